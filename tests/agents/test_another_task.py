"""An agent that is loaded into another task keeps what it learned, and begins a new episode, which it says."""

import warnings

import pytest
import torch

from rllab.agents import PPO, TD3, OffPolicy, load
from tests.proofs.agents import kinds
from tests.proofs.toy_environments import DRIFT

CAP = {"cap": 50, "fall": 1e9}  # so that episodes are of 50 steps


def learner(kind, **settings):
    small = {"learning_starts": 40, "batch_size": 16} if issubclass(kind, OffPolicy) else {}
    small |= {"num_envs": 2, "n_steps": 32} if kind is PPO else {}
    return kind(DRIFT, hidden=(), environment_arguments=CAP, **small, **settings)


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_the_episode_under_way_is_given_up_where_the_task_is_another(kind, tmp_path, monkeypatch):
    agent = learner(kind)
    agent.learn(90)
    agent.save(tmp_path / "agent.pt")
    with pytest.warns(UserWarning, match="load: environment_arguments is given anew: the episode under way when"):
        again = load(tmp_path / "agent.pt", environment_arguments={**CAP, "noise": 0.1})
    assert torch.equal(again.weights, agent.weights) and again.spent == agent.spent
    taken = []
    step = type(again.maker().unwrapped).step
    monkeypatch.setattr(
        type(again.maker().unwrapped), "step", lambda self, action: (taken.append(1), step(self, action))[1]
    )
    again.learn(32)  # no step of it repeats an old one, and nobody blames the environment: a warning is an error here
    assert len(taken) == again.spent.steps - agent.spent.steps and again.spent.episodes > agent.spent.episodes
    same = load(tmp_path / "agent.pt", environment_arguments=dict(CAP), environment=DRIFT)
    same.learn(32), agent.learn(32)
    assert torch.equal(same.weights, agent.weights) and same.spent.episodes == agent.spent.episodes


def test_between_episodes_nothing_is_given_up(tmp_path):
    agent = learner(TD3)
    agent.learn(100)
    agent.save(tmp_path / "agent.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = load(tmp_path / "agent.pt", environment_arguments={**CAP, "noise": 0.1})
    assert len(again.replay) == 100
    again.replay.clear()
    assert len(again.replay) == 0
    again.learn(10)
    assert len(again.replay) == 10 and again.critic_updates == agent.critic_updates + 10
