"""Agents do not depend on what torch is set to around them, and take counts as whatever whole numbers they come."""

import numpy as np
import pytest
import torch

from rllab.agents import ARS, PPO, SAC, TD3, CrossQ, Evolution, Reinforce
from tests.proofs.agents import all_of, kinds
from tests.proofs.toy_environments import DRIFT

OFF_POLICY = {"learning_starts": 40, "batch_size": 16, "critic_hidden": (8,)}
SMALL = {
    ARS: {"n_delta": 2, "n_top": 1},
    CrossQ: OFF_POLICY,
    Evolution: {"population": 4},
    PPO: {"num_envs": 2, "n_steps": 10, "batch_size": 10, "n_epochs": 2},
    Reinforce: {"episodes": 4},
    SAC: OFF_POLICY,
    TD3: OFF_POLICY,
}
every = pytest.mark.parametrize("kind", SMALL, ids=lambda kind: kind.__name__)


def learned(kind):
    agent = kind(DRIFT, hidden=(6,), **SMALL[kind])
    agent.learn(200)
    agent.evaluate(2)
    if SMALL[kind] is OFF_POLICY:
        agent.gradient(key=0, observations=np.zeros((3, 2)))
        assert agent.gradient(20, key=0).value.dtype is torch.float32
    return agent


@pytest.mark.slow
@every
@pytest.mark.parametrize("mode", (torch.no_grad, torch.inference_mode), ids=lambda mode: mode.__name__)
def test_gradients_are_off_around_it(kind, mode):
    with mode():
        agent = learned(kind)
    plain = learned(kind)
    assert all_of(agent) == all_of(plain)
    agent.learn(100)  # and outside of it, too
    plain.learn(100)
    assert all_of(agent) == all_of(plain)


@pytest.mark.slow
@every
def test_the_default_dtype_is_another(kind):
    plain = learned(kind)
    torch.set_default_dtype(torch.float64)
    try:
        assert all_of(learned(kind)) == all_of(plain)
    finally:
        torch.set_default_dtype(torch.float32)


COUNTS = [
    (Evolution, "population"),
    (Reinforce, "episodes"),
    *((TD3, name) for name in ("buffer_size", "learning_starts", "batch_size", "policy_delay")),
    *((SAC, name) for name in ("train_freq", "gradient_steps", "n_steps", "num_envs")),
    (CrossQ, "renorm_warmup"),
]


@pytest.mark.parametrize(("kind", "name"), COUNTS, ids=[f"{kind.__name__}-{name}" for kind, name in COUNTS])
def test_whole_counts_are_taken_and_others_refused_up_front(kind, name):
    for eight in (8, 8.0, np.int64(8), np.float32(8)):
        agent = kind(DRIFT, hidden=(), **{name: eight})
        assert getattr(agent, name) == 8 and type(getattr(agent, name)) is int
    for wrong in (8.5, float("nan"), float("inf"), "8", None, True, [8]):
        with pytest.raises((TypeError, ValueError), match=f"^{kind.__name__}: {name} must be an integer >= "):
            kind(DRIFT, hidden=(), **{name: wrong})


@every
def test_steps_and_episodes_may_be_whole_floats(kind):
    agent = kind(DRIFT, hidden=(), **SMALL[kind])
    agent.learn(1e2)
    assert 96 < agent.spent.steps <= 100 and len(agent.evaluate(2.0).returns) == 2
    for wrong in (2.5, "2", None):
        with pytest.raises((TypeError, ValueError), match=f"{kind.__name__}: steps must be an integer"):
            agent.learn(wrong)
        with pytest.raises((TypeError, ValueError), match=f"{kind.__name__}: episodes must be an integer"):
            agent.evaluate(wrong)
    with pytest.raises(TypeError, match=f"{kind.__name__}: max_steps must be an integer"):
        agent.evaluate(2, max_steps="a")
    with pytest.raises(TypeError, match=f"{kind.__name__}: environment_arguments must map"):
        agent.evaluate(2, environment_arguments=5)
    with pytest.raises(TypeError, match=f"{kind.__name__}: seconds must be a number, got 'a'"):
        agent.learn(10, seconds="a")


@every
@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("environment", 5),
        ("environment", None),
        ("environment_arguments", 5),
        ("environment_arguments", {1: 2}),
        ("seed", 1.5),
        ("seed", "4"),
        ("seed", True),
        ("hidden", 32),
        ("hidden", "64"),
        ("hidden", (4.5,)),
        ("hidden", (None,)),
        ("observation_scale", 2.0),
        ("observation_scale", ("a", "b")),
        ("observation_scale", (1.0,)),
        ("lr", "a"),
        ("lr", None),
    ],
)
def test_a_wrong_kind_of_argument_is_named_with_the_agent(kind, name, wrong):
    with pytest.raises((TypeError, ValueError), match=f"^{kind.__name__}: {name} must "):
        kind(**{"environment": DRIFT, "hidden": ()} | SMALL[kind] | {name: wrong})


def test_every_agent_is_tried_here():
    assert set(SMALL) == set(kinds())
