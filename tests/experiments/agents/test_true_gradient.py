"""Backpropagation through the bicycle: its gradient by differences, what it counts, how it is saved."""

from experiments.agents.learners import ENVIRONMENT, SCALE
from experiments.agents.true_gradient import TrueGradient

import numpy as np
import pytest
import torch

from rllab.agents import load

WHIPPLE = "rllab_envs:rllab/WhippleBicycle-v0"


def make(environment=ENVIRONMENT, **more):
    return TrueGradient(environment, seed=3, hidden=(8,), observation_scale=SCALE, num_envs=4, horizon=10, **more)


def mean_lean(agent, w, states, noise):
    """The cost of one iteration by a loop of its own, in float64, from the environment's dynamics."""
    w, x, total = w.double(), states.double(), torch.zeros((), dtype=torch.float64)
    for noise_t in noise.double():
        a = agent.policy(w, x / torch.tensor(SCALE, dtype=torch.float64))
        x = agent._task.dynamics(x, a, noise_t)
        total += ((x[:, 0] / agent._task.parameters.fall_angle) ** 2).mean()
    return total / len(noise)


@pytest.mark.parametrize("environment", [ENVIRONMENT, WHIPPLE])
def test_the_gradient_is_the_slope_of_the_mean_squared_lean(environment):
    agent, seen = make(environment), []
    agent.states = 0.05 * torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    w, states, noise = agent.weights.clone(), agent.states.clone(), agent._noise(agent.key.child("noise", 0))
    agent.optimizer.step = lambda gradient: seen.append(gradient.clone())
    list(agent.train(40))
    h, found = 1e-4, []
    for unit in torch.eye(len(w), dtype=torch.float64):
        up, down = (mean_lean(agent, w.double() + s * h * unit, states, noise) for s in (1, -1))
        found.append((up - down) / (2 * h))
    slope = torch.stack(found)
    assert (seen[0] - slope).norm() < 2e-3 * slope.norm()  # float32 through 10 steps


def test_it_learns_to_stay_upright():
    agent = TrueGradient(ENVIRONMENT, seed=1, observation_scale=SCALE, lr=0.03)
    before = agent.evaluate(10).lengths.mean()
    agent.learn(10_000)
    assert agent.evaluate(10).lengths.mean() > 3.0 * before


def test_steps_and_falls_are_counted_and_no_limit_exceeded():
    agent = make()
    rows = list(agent.train(1_030))
    assert agent.spent.steps == 1_000 == rows[-1]["steps"] and agent.spent.updates == 25
    assert agent.spent.episodes > 0  # 250 steps of a rider who does nothing: it falls after 169, sd 24
    assert (agent.states[:, 0].abs() <= np.pi / 15).all()


def test_a_saved_one_goes_on_as_it_would_have(tmp_path):
    agent = make()
    agent.learn(400)
    agent.save(tmp_path / "agent.pt")
    again = load(tmp_path / "agent.pt")
    for one in (agent, again):
        one.learn(400)
    assert torch.equal(agent.weights, again.weights)


def test_a_handlebar_at_its_stop_is_a_fall_where_the_environment_says_so():
    agent = make(WHIPPLE)
    stop = agent._task.parameters.stop
    agent.states = torch.tensor([[0.0, 0.0, 0.99 * stop, 60.0], [0.0, 0.0, 0.0, 0.0]]).repeat(2, 1)
    list(agent.train(40))
    assert agent.spent.episodes == 2
    assert make()._stop == np.inf


@pytest.mark.parametrize("arguments", [{"delay": 2}, {"rates": False}])
def test_a_bicycle_that_does_not_show_its_state_is_refused(arguments):
    scale = SCALE if "delay" in arguments else SCALE[::2]
    with pytest.raises(ValueError, match="observed at once and with rates"):
        TrueGradient(ENVIRONMENT, observation_scale=scale, environment_arguments=arguments)


def test_other_environments_are_refused():
    with pytest.raises(ValueError, match=r"must be BicycleBalance-v0 or WhippleBicycle-v0, .*got 'Pendulum-v1'"):
        TrueGradient("Pendulum-v1")
