"""Backpropagation through a few steps and a learned cost: gradient by differences, values by hand, what is saved."""

from experiments.agents.learners import ENVIRONMENT, SCALE
from experiments.agents.short_horizon import CostToGo, ShortHorizon, returns_after
from experiments.agents.through_dynamics import Passage

import numpy as np
import pytest
import torch

from rllab import Key
from rllab.agents import load

FALL = np.pi / 15
SCALES = torch.tensor(SCALE, dtype=torch.float64)


def make(**more):
    more = {"num_envs": 4, "horizon": 10, "gamma": 0.9, **more}
    return ShortHorizon(ENVIRONMENT, seed=3, hidden=(8,), observation_scale=SCALE, **more)


def discounted(agent, w, states, noise, values):
    """The cost of one iteration by a loop of its own, in float64: one bicycle after the other."""
    total, w = torch.zeros((), dtype=torch.float64), w.double()
    for i in range(len(states)):
        x, weight = states[i : i + 1].double(), 1.0
        for noise_t in noise[:, i : i + 1].double():
            x = agent._task.dynamics(x, agent.policy(w, x / SCALES), noise_t)
            lean = x[0, 0] / FALL
            total, weight = total + 0.1 * weight * lean**2, 0.9 * weight
            if abs(lean) > 1:  # falls for ever, and another begins
                total, x, weight = total + weight, torch.zeros_like(x), 1.0
        if weight < 1.0:
            total = total + weight * agent.value.network(values.double(), x / SCALES).square().mean()
    return total / len(states)


@pytest.mark.parametrize("lean", [0.03, 0.19])  # of 0.19 some fall within ten steps, of 0.2094
def test_the_gradient_is_the_slope_of_the_discounted_cost(lean):
    agent, seen = make(), []
    agent.states = torch.tensor([[lean, 0.3, 0.0, 0.0], [-lean, 0.0, 0.1, 0.0], [lean / 2, 0, 0, 0], [0, 0.1, 0, 0]])
    w, states, values = agent.weights.clone(), agent.states.clone(), agent.value.weights.clone()
    noise = agent._noise(agent.key.child("noise", 0))
    agent.optimizer.step = lambda gradient: seen.append(gradient.clone())
    list(agent.train(40))
    assert (agent.spent.episodes > 0) == (lean > 0.1)
    h, found = 1e-4, []
    for unit in torch.eye(len(w), dtype=torch.float64):
        up, down = (discounted(agent, w.double() + s * h * unit, states, noise, values) for s in (1, -1))
        found.append((up - down) / (2 * h))
    slope = torch.stack(found).detach()
    assert (seen[0] - slope).norm() < 2e-3 * slope.norm()  # float32 through 10 steps


def test_the_learned_cost_is_a_part_of_that_gradient():
    agents, seen = (make(), make()), []
    agents[1].value.weights.zero_()
    for agent in agents:
        agent.states = 0.05 * torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
        agent.optimizer.step = lambda gradient: seen.append(gradient.clone())
        list(agent.train(40))
    assert (seen[0] - seen[1]).norm() > 0.05 * seen[1].norm()


def passage(costs, falls):
    costs = [torch.tensor([float(c)]) for c in costs]
    return Passage([torch.zeros(1, 4)] * 3, costs, [torch.tensor([f]) for f in falls], torch.zeros(1, 4), [])


def test_costs_after_a_state_by_hand():
    values = [torch.tensor([v]) for v in (0.2, 0.4, 0.8)]
    # γ = λ = ½: G_2 = ½ 0.3 + ½ 0.8; G_1 = ½ 0.2 + ½ (½ 0.4 + ½ 0.55); G_0 = ½ 0.1 + ½ (½ 0.2 + ½ 0.3375)
    found = returns_after(passage((0.1, 0.2, 0.3), (False,) * 3), values, 0.5, 0.5)
    assert torch.allclose(torch.cat(found), torch.tensor([0.184375, 0.3375, 0.55]))
    # the second step falls: 1 for ever after it
    found = returns_after(passage((0.1, 0.2, 0.3), (False, True, False)), values, 0.5, 0.5)
    assert torch.allclose(torch.cat(found), torch.tensor([0.05 + 0.25 * 0.2 + 0.25 * 0.6, 0.6, 0.55]))
    # λ = 1: the end's value alone; λ = 0: one step
    found = returns_after(passage((0.1, 0.2, 0.3), (False,) * 3), values, 0.5, 1.0)
    assert torch.allclose(found[0], torch.tensor([0.05 + 0.05 + 0.0375 + 0.1]))
    found = returns_after(passage((0.1, 0.2, 0.3), (False,) * 3), values, 0.5, 0.0)
    assert torch.allclose(torch.cat(found), torch.tensor([0.15, 0.3, 0.55]))


def test_a_quadratic_cost_seen_on_one_side_is_known_on_the_other():
    value, generator = CostToGo(4, (16,), Key(0)), torch.Generator().manual_seed(1)
    x = torch.randn(512, 4, generator=generator)
    x[:, 0] = x[:, 0].abs()
    for i in range(60):
        value.fit(x, x[:, 0] ** 2 / 2, Key(i))
    there = -x  # all of the state, as when falling to the other side
    error = (value(there).detach() - x[:, 0] ** 2 / 2).square().mean().sqrt()
    assert error < 0.4  # of values with a mean square of 0.87: a linear guess misses by more than 1


def test_a_constant_cost_is_worth_itself():
    value = CostToGo(4, (16,), Key(0))
    x = torch.randn(512, 4, generator=torch.Generator().manual_seed(1))
    first = value.fit(x, torch.full((512,), 0.3), Key(1))
    for i in range(20):
        last = value.fit(x, torch.full((512,), 0.3), Key(2 + i))
    assert last < 1e-3 < first
    assert (value(x).detach() - 0.3).abs().mean() < 0.03


def test_it_learns_to_stay_upright_and_its_value_what_that_costs():
    agent = ShortHorizon(ENVIRONMENT, seed=1, observation_scale=SCALE, lr=0.01, num_envs=8, horizon=16, gamma=0.95)
    before = agent.evaluate(10).lengths.mean()
    rows = list(agent.train(60 * 128))
    assert agent.evaluate(10).lengths.mean() > 3.0 * before
    losses = [row["value_loss"] for row in rows]
    assert losses[-1] < 0.1 * max(losses)


def test_a_saved_one_goes_on_as_it_would_have(tmp_path):
    agent = make()
    agent.learn(400)
    agent.save(tmp_path / "agent.pt")
    again = load(tmp_path / "agent.pt")
    for one in (agent, again):
        one.learn(400)
    assert torch.equal(agent.weights, again.weights) and torch.equal(agent.value.weights, again.value.weights)


def test_what_is_out_of_range_is_refused():
    with pytest.raises(ValueError, match="gamma must be"):
        make(gamma=1.0)
    with pytest.raises(ValueError, match=r"must be BicycleBalance-v0 or WhippleBicycle-v0, .*got 'Pendulum-v1'"):
        ShortHorizon("Pendulum-v1")
