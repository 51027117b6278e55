"""Gymnasium's own environments: each is learned for some steps by every agent that fits, or refused in one sentence."""

import gymnasium
import pytest
from gymnasium.error import DependencyNotInstalled

from rllab.agents import ARS, PPO, SAC, TD3, CrossQ, Evolution, Reinforce
from tests.proofs.agents import kinds

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
# id: what it takes; what it shows, flattened
CHOICES = {
    "Acrobot-v1": 6,
    "Blackjack-v1": 32 + 11 + 2,
    "CartPole-v1": 4,
    "CliffWalking-v1": 48,
    "CliffWalkingSlippery-v1": 48,
    "FrozenLake-v1": 16,
    "FrozenLake8x8-v1": 64,
    "MountainCar-v0": 2,
    "Taxi-v4": 500,
}
BOXES = {
    "Ant-v5": 105,
    "HalfCheetah-v5": 17,
    "Hopper-v5": 11,
    "Humanoid-v5": 348,
    "HumanoidStandup-v5": 348,
    "InvertedDoublePendulum-v5": 9,
    "InvertedPendulum-v5": 4,
    "MountainCarContinuous-v0": 2,
    "Pendulum-v1": 3,
    "Pusher-v5": 23,
    "Reacher-v5": 10,
    "Swimmer-v5": 8,
    "Walker2d-v5": 17,
}
CELLS = [(environment, kind) for environment in CHOICES | BOXES for kind in SMALL]


@pytest.mark.parametrize(("environment", "kind"), CELLS, ids=[f"{e}-{k.__name__}" for e, k in CELLS])
def test_it_is_learned_or_refused(environment, kind):
    try:
        gymnasium.make(environment).close()
    except DependencyNotInstalled as lacking:
        pytest.skip(str(lacking))
    arguments = {"hidden": (8,), **SMALL[kind]}
    if environment in CHOICES and not kind.takes_choices:
        with pytest.raises(ValueError, match=rf"^{kind.__name__}: actions must be a Box, got \w+\(.*\); these agents "):
            kind(environment, **arguments)
        return
    agent = kind(environment, **arguments)
    assert len(agent.policy.scale) == (CHOICES | BOXES)[environment]
    agent.learn(STEPS)
    assert STEPS - 2 < agent.spent.steps <= STEPS
    assert agent.evaluate(1, max_steps=20).steps <= 20


def test_the_table_names_every_environment_of_these_families():
    families = "gymnasium.envs.classic_control", "gymnasium.envs.toy_text", "gymnasium.envs.mujoco"
    newest = {}
    for spec in gymnasium.registry.values():
        if str(spec.entry_point).startswith(families):
            name = spec.name
            newest[name] = max(newest.get(name, -1), spec.version or 0)
    assert {f"{name}-v{version}" for name, version in newest.items()} == set(CHOICES | BOXES)


def test_every_agent_is_tried_here():
    assert set(SMALL) == set(kinds())
