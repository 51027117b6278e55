"""Policy gradients of the linear system that contrast.py compares: each is what it says."""

import math

from experiments.agents import contrast
from experiments.agents import policy_gradients as lqr
from experiments.common.frame import Judge

import numpy as np
import pytest
import torch

from rllab import Key


def test_costs_to_go_add_up_to_the_cost_of_a_run():
    problem = lqr.task()
    runs = lqr.simulated(problem, lqr.policies()[4], 7, Key(0))
    to_go = lqr.costs_to_go(problem, runs)
    torch.testing.assert_close(to_go[:, 0], runs.cost, rtol=1e-12, atol=1e-12)


def test_the_exact_critic_gives_the_exact_policy_gradient():
    problem, gains, n = lqr.task(), lqr.policies()[3], 4000
    runs, true = lqr.simulated(problem, gains, n, Key(0)), problem.critic(gains)

    def slope(x, u):
        return torch.stack([true.action_gradient(t, x[:, t], u[:, t]) for t in range(problem.horizon)], 1)

    pieces = [lqr.Trajectories(*(t[i : i + 40] for t in runs)) for i in range(0, n, 40)]
    g = torch.stack([lqr.backpropagated(problem, piece, slope) for piece in pieces])
    z = (g.mean(0) - problem.gradient(gains[None])[0]) / (g.std(0) / math.sqrt(len(g)))
    assert z.abs().max() < 8  # Student's t with 99 degrees: a false alarm in 10¹¹


def test_a_baseline_of_the_other_half_never_sees_its_own_costs():
    states = torch.randn(10, 20, 4, generator=Key(0).generator(), dtype=torch.float64)
    to_go = torch.randn(10, 20, generator=Key(1).generator(), dtype=torch.float64)
    before = lqr.crossed(states, to_go)
    to_go[:5] += 100
    after = lqr.crossed(states, to_go)
    assert torch.equal(before[:5], after[:5]) and not torch.equal(before[5:], after[5:])


def test_a_net_stops_where_its_error_on_episodes_held_out_is_least():
    problem, gains = lqr.task(), lqr.policies()[5]
    runs = lqr.simulated(problem, gains, 60, Key(0))
    to_go = lqr.costs_to_go(problem, runs)
    made = lqr.fitted_net(problem, runs, to_go, Key(1), lqr.Settings(0.1, 1e-2, (16,)))
    assert 0 < made.minibatches < lqr.MOST and made.held_out < 0.5
    mixed = to_go.flatten()[torch.randperm(to_go.numel(), generator=Key(2).generator())].view(to_go.shape)
    noise = lqr.fitted_net(problem, runs, mixed, Key(1), lqr.Settings(0.1, 1e-2, (16,)))  # nothing to learn
    assert noise.held_out > 0.8


@pytest.mark.parametrize(("bias", "holds"), [(0.0, True), (0.05, False), (-0.05, False)])
def test_five_percent_too_much_or_too_little_are_caught(bias, holds):
    draws = np.random.default_rng(0)
    rows = [
        {
            "method": method,
            "share": 1 + bias + 0.005 * math.sqrt(600) * draws.normal(),
            **{f"g{i}": draws.normal() for i in range(8)},
        }
        for method in lqr.UNBIASED
        for _ in range(600)
    ]
    judge = Judge()
    contrast.judge_unbiased([type("Run", (), {"rows": rows})], contrast.Config(fast=True), judge)
    assert judge.verdicts == [holds] * len(lqr.UNBIASED)
