"""Registry: Gymnasium's own environments, and every agent on each of them: it learns for some steps, or refuses.

python -m tests.proofs.registry --steps 2000 --resume FILE    prints ids × agents, and exits with 1 if a cell is neither
"""

import argparse
import json
import re
import sys
import warnings
from pathlib import Path

import gymnasium
import numpy as np

from rllab.agents import ARS, PPO, SAC, TD3, CrossQ, Evolution, Reinforce
from rllab.tables import table

OFF_POLICY = {"learning_starts": 50, "batch_size": 8, "critic_hidden": (8,), "buffer_size": 500}
SMALL = {
    ARS: {"n_delta": 1, "n_top": 1},
    CrossQ: OFF_POLICY,
    Evolution: {"population": 2},
    PPO: {"num_envs": 2, "n_steps": 32, "batch_size": 32, "n_epochs": 1},
    Reinforce: {"episodes": 2},
    SAC: OFF_POLICY,
    TD3: OFF_POLICY,
}
# name, of whose versions the newest is played: what it takes; what it shows, flattened
CHOICES = {
    "Acrobot": 6,
    "Blackjack": 32 + 11 + 2,
    "CartPole": 4,
    "CliffWalking": 48,
    "CliffWalkingSlippery": 48,
    "FrozenLake": 16,
    "FrozenLake8x8": 64,
    "MountainCar": 2,
    "Taxi": 500,
}
BOXES = {
    "Ant": 105,
    "HalfCheetah": 17,
    "Hopper": 11,
    "Humanoid": 348,
    "HumanoidStandup": 348,
    "InvertedDoublePendulum": 9,
    "InvertedPendulum": 4,
    "MountainCarContinuous": 2,
    "Pendulum": 3,
    "Pusher": 23,
    "Reacher": 10,
    "Swimmer": 8,
    "Walker2d": 17,
}
FAMILIES = "gymnasium.envs.classic_control", "gymnasium.envs.toy_text", "gymnasium.envs.mujoco"
CELLS = [(name, kind) for name in CHOICES | BOXES for kind in SMALL]
REFUSED = r"{}: actions must be a Box, got \w+\(.*\); these agents learn them: [\w, ]+"


def newest_versions():
    """Return the newest id of every environment of these families that the installed Gymnasium has, by name."""
    newest = {}
    for spec in gymnasium.registry.values():
        if str(spec.entry_point).startswith(FAMILIES):
            newest[spec.name] = max(newest.get(spec.name, -1), spec.version or 0)
    return {name: f"{name}-v{version}" for name, version in newest.items()}


def attempt(name, kind, steps):
    """Learn for so many steps; return "learned" or "refused", each checked; an AssertionError says what is neither."""
    arguments, environment = {"hidden": (8,), **SMALL[kind]}, newest_versions()[name]
    if name in CHOICES and not kind.takes_choices:
        try:
            kind(environment, **arguments)
        except ValueError as error:
            assert re.fullmatch(REFUSED.format(kind.__name__), str(error)), error
            return "refused"
        raise AssertionError("neither learned nor refused")
    agent = kind(environment, **arguments)
    assert len(agent.policy.scale) == (CHOICES | BOXES)[name]
    agent.learn(steps)
    assert steps - 2 < agent.spent.steps <= steps
    assert np.isfinite(agent.weights.detach().numpy()).all()
    assert agent.evaluate(1, max_steps=20).steps <= 20
    return "learned"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--resume", type=Path, help="where what was found is kept, and gone on from")
    given = parser.parse_args()
    found = json.loads(given.resume.read_text()) if given.resume and given.resume.exists() else {}
    warnings.simplefilter("ignore")  # episodes longer than the steps pay for no update, which agents say
    there = newest_versions()
    for name, kind in CELLS:
        cell = f"{name} {kind.__name__} {given.steps}"
        if name in there and cell not in found:
            try:
                found[cell] = attempt(name, kind, given.steps)
            except Exception as error:  # whatever it is, it is what the table is to show
                found[cell] = f"{type(error).__name__}: {error}"
            print(cell, found[cell], flush=True)
            if given.resume:
                given.resume.write_text(json.dumps(found))
    lines = [[there[e], *(found[f"{e} {kind.__name__} {given.steps}"] for kind in SMALL)] for e in there]
    print(table(["environment", *(kind.__name__ for kind in SMALL)], lines))
    sys.exit(int(any(not set(line[1:]) <= {"learned", "refused"} for line in lines)))


if __name__ == "__main__":
    main()
