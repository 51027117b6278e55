"""Every hyperparameter that is set after an agent was made either changes what is learned or is refused."""

from dataclasses import fields
from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

from rllab.agents import ARS, PPO, SAC, TD3, CrossQ, Evolution, OffPolicy, Reinforce, off_policy
from rllab.agents.base import Agent
from rllab.estimators import GaussianSmoothing

SMALL = {"hidden": (4,)}
OFF_POLICY = SMALL | {"critic_hidden": (8,), "learning_starts": 8, "batch_size": 4, "policy_delay": 1}
MADE = {
    ARS: SMALL | {"environment": "CartPole-v1", "environment_arguments": {}},  # where lengths of episodes differ
    Evolution: SMALL | {"population": 4},
    Reinforce: SMALL | {"episodes": 4},
    PPO: SMALL | {"num_envs": 2, "n_steps": 16, "batch_size": 16, "n_epochs": 2},
    TD3: OFF_POLICY,
    SAC: OFF_POLICY,
    CrossQ: OFF_POLICY | {"renorm_warmup": 10},
}
# another value for every hyperparameter that any agent has
OTHERS = {
    "environment": "CartPole-v1",
    "seed": 5,
    "hidden": (3,),
    "observation_scale": (2.0, 2.0, 2.0),
    "environment_arguments": {"g": 5.0, "max_episode_steps": 10},
    "wrappers": (lambda env: env,),
    "normalize_observations": True,
    "vectorization": "process",
    "actor": nn.Linear(3, 1),
    "critic": (nn.Linear(4, 1), nn.Linear(4, 1)),
    "critic_hidden": (3,),
    "num_envs": 4,
    "lr": 0.03,
    "buffer_size": 10,
    "learning_starts": 150,
    "batch_size": 8,
    "gamma": 0.5,
    "train_freq": 2,
    "gradient_steps": 2,
    "policy_delay": 3,
    "n_steps": 3,
    "max_grad_norm": 1e-3,
    "tau": 0.5,
    "ent_coef": 0.7,
    "target_entropy": -5.0,
    "renorm_warmup": 10_000,
    "action_noise": 0.5,
    "target_policy_noise": 1.0,
    "target_noise_clip": 0.01,
    "n_epochs": 3,
    "gae_lambda": 0.5,
    "clip_range": 1e-3,
    "vf_coef": 2.0,
    "normalize_advantage": False,
    "normalize_costs": False,
    "target_kl": 1e-9,
    "std": 0.1,
    "episodes": 2,
    "baseline": "none",
    "estimator": GaussianSmoothing(sigma=0.5),
    "population": 6,
    "weight_decay": 0.5,
    "n_delta": 3,
    "n_top": 1,
    "delta_std": 0.5,
    "zero_policy": False,
    "alive_bonus_offset": -2.0,  # a step alive costs 1
}
CASES = [(kind, f.name) for kind in MADE for f in fields(kind) if f.name not in kind.fixed]


SHORT = {"environment": "Pendulum-v1", "environment_arguments": {"max_episode_steps": 10}}


def learned(kind: type[Agent], changed: str | None = None) -> torch.Tensor:
    """Return the weights that were learned, one hyperparameter having been changed on the way."""
    before, after = (30, 40) if issubclass(kind, OffPolicy) else (100, 300)  # of those, each step pays for an update
    agent = kind(seed=1, **SHORT | MADE[kind])
    agent.learn(before)
    if changed is not None:
        setattr(agent, changed, OTHERS[changed])
    agent.learn(after)
    return agent.weights


unchanged = cache(learned)


def name(parameter: object) -> str:
    return parameter.__name__ if isinstance(parameter, type) else str(parameter)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "changed"), CASES, ids=name)
def test_a_hyperparameter_set_later_changes_what_is_learned(kind, changed):
    assert not torch.equal(learned(kind, changed), unchanged(kind))


@pytest.mark.parametrize(
    ("changed", "updates"),
    (({"train_freq": 1}, 10 + 40), ({"train_freq": 1, "gradient_steps": 2}, 10 + 80), ({"batch_size": 5}, 10 + 10)),
    ids=str,
)
def test_what_is_set_within_a_block_of_steps_counts_from_there(changed, updates, monkeypatch):
    monkeypatch.setattr(off_policy, "BLOCK", 100)
    agent, sizes = TD3(seed=1, **SHORT | MADE[TD3] | {"train_freq": 4}), []
    agent.learn(48)
    for name, value in changed.items():
        setattr(agent, name, value)
    update = agent.update
    agent.update = lambda batch, noise: sizes.append((len(batch.costs), len(noise))) or update(batch, noise)
    agent.learn(40)
    assert agent.critic_updates == updates and set(sizes) == {(agent.batch_size, agent.batch_size)}


@pytest.mark.parametrize("kind", MADE, ids=name)
def test_a_hyperparameter_used_only_at_construction_is_refused_later(kind):
    agent = kind(seed=1, **SHORT | MADE[kind])
    for fixed in kind.fixed:
        before = getattr(agent, fixed)
        with pytest.raises(
            AttributeError, match=f"{kind.__name__}: {fixed} is fixed once the agent is made; make another"
        ):
            setattr(agent, fixed, OTHERS.get(fixed))
        assert getattr(agent, fixed) is before


def test_a_name_that_is_none_of_the_agents_is_refused():
    agent = TD3(seed=1, **SHORT | MADE[TD3])
    with pytest.raises(
        AttributeError, match=r"TD3 has no setting .learning_rate., which is lr here; what may be set: .*lr"
    ):
        agent.learning_rate = 1e-4


@pytest.mark.parametrize("kind", MADE, ids=name)
def test_a_hyperparameter_set_later_is_checked_and_converted(kind):
    agent = kind(seed=1, **SHORT | MADE[kind])
    with pytest.raises(ValueError, match=f"{kind.__name__}: lr must be"):
        agent.lr = -1.0
    assert agent.lr == kind(seed=1, **SHORT | MADE[kind]).lr
    agent.lr = np.float64(0.01)
    assert type(agent.lr) is float
