"""Gymnasium's own environments: each is learned for some steps by every agent that fits, or refused in one sentence."""

import gymnasium
import pytest
from gymnasium.error import DependencyNotInstalled

from rllab.agents import ARS, PPO, SAC, TD3, CrossQ, Evolution, Reinforce
from tests.proofs.agents import kinds, newest_versions

STEPS = 120
OFF_POLICY = {"learning_starts": 80, "batch_size": 8, "critic_hidden": (8,), "buffer_size": 500}
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
NEWEST = newest_versions(FAMILIES)
CELLS = [(name, kind) for name in CHOICES | BOXES for kind in SMALL]


@pytest.mark.parametrize(("name", "kind"), CELLS, ids=[f"{name}-{kind.__name__}" for name, kind in CELLS])
def test_it_is_learned_or_refused(name, kind):
    if name not in NEWEST:
        pytest.skip(f"this version of Gymnasium has no {name}")
    environment = NEWEST[name]
    try:
        gymnasium.make(environment).close()
    except DependencyNotInstalled as lacking:
        pytest.skip(str(lacking))
    arguments = {"hidden": (8,), **SMALL[kind]}
    if name in CHOICES and not kind.takes_choices:
        with pytest.raises(ValueError, match=rf"^{kind.__name__}: actions must be a Box, got \w+\(.*\); these agents "):
            kind(environment, **arguments)
        return
    agent = kind(environment, **arguments)
    assert len(agent.policy.scale) == (CHOICES | BOXES)[name]
    agent.learn(STEPS)
    assert STEPS - 2 < agent.spent.steps <= STEPS
    assert agent.evaluate(1, max_steps=20).steps <= 20


def test_the_table_names_every_environment_of_these_families():
    assert set(NEWEST) <= set(CHOICES | BOXES)
    assert {"CartPole-v1", "Pendulum-v1", "Swimmer-v5"} <= set(NEWEST.values())


def test_every_agent_is_tried_here():
    assert set(SMALL) == set(kinds())
