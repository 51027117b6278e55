"""Horizon: costs to go add up, the start is stationary, slopes and crossings are those of known curves."""

import math
from dataclasses import replace

from experiments.agents import horizon
from experiments.common.frame import mean_slope

import numpy as np
import pytest
import torch

from rllab.keys import Key


def test_costs_to_go_begin_with_the_cost_of_the_run_and_end_with_its_last_step():
    problem, at = horizon.problem_of(2, 4)
    g = torch.Generator().manual_seed(5)
    start, process, action = (
        torch.randn(shape, generator=g, dtype=torch.float64) for shape in ((3, 4), (3, 4, 4), (3, 4, 2))
    )
    runs = problem.simulate(at.expand(3, -1), start, process, action)
    togo = horizon.costs_to_go(problem, runs.states, runs.actions)
    torch.testing.assert_close(togo[:, 0], runs.cost)
    q, r = torch.tensor(problem.q), torch.tensor(problem.r)
    for i in range(3):
        x, u, end = (t.float() for t in (runs.states[i, 3], runs.actions[i, 3], runs.states[i, 4]))
        assert togo[i, 3].item() == pytest.approx((x @ q @ x + u @ r @ u + end @ q @ end).item(), rel=1e-5)


def test_the_start_is_stationary_so_that_every_step_costs_alike():
    values = []
    for steps in (5, 6, 7):
        problem, at = horizon.problem_of(1, steps)
        values.append(problem.value(at[None]).item())
    assert values[2] - values[1] == pytest.approx(values[1] - values[0], rel=1e-10)


def test_systems_side_by_side_cost_and_vary_as_so_many_single_ones():
    (one, x), (three, y) = horizon.problem_of(1, 6), horizon.problem_of(3, 6)
    assert three.dimension == 18
    assert three.value(y[None]).item() == pytest.approx(3 * one.value(x[None]).item(), rel=1e-12)
    assert three.gradient(y[None]).square().sum().item() == pytest.approx(
        3 * one.gradient(x[None]).square().sum().item(), rel=1e-10
    )


def test_both_scores_have_the_exact_gradient_as_their_mean():
    problem, at = horizon.problem_of(1, 5)
    truth = problem.gradient(at[None])[0]
    for g in horizon.scores(problem, at, 20_000, Key(11)).values():
        off = (g.mean(0) - truth) / (g.std(0) / math.sqrt(len(g)))
        assert off.abs().max() < 6.5  # 4 checks of a normal deviate: a false alarm in 3e9


def test_the_noise_of_a_step_is_that_of_runs_whose_end_is_worth_what_a_step_is():
    problem, at = horizon.problem_of(1, 60)
    p = problem.critic(at).p[0].numpy()
    n, steps = 20_000, 8
    short = replace(problem, horizon=steps, q_final=tuple(map(tuple, ((p + p.T) / 2).tolist())))
    g = torch.Generator().manual_seed(2)
    start, process, action = (
        torch.randn(shape, generator=g, dtype=torch.float64) for shape in ((n, 2), (n, steps, 2), (n, steps, 1))
    )
    runs = short.simulate(at.expand(n, -1), start, process, action)
    squares = (runs.cost - short.critic(at).value(0, runs.states[:, 0])).square() / steps
    exact = horizon.noise_of_a_step(short, at, p)
    error = (squares.std() / math.sqrt(n)).item()
    assert abs(squares.mean().item() - exact) < 6.5 * error < 0.15 * exact  # a false alarm in 1e10
    assert abs(squares.mean().item() - 1.2 * exact) > 6.5 * error


def test_slope_and_crossing_of_power_laws():
    x = np.array([5.0, 10.0, 20.0, 40.0])
    value, half = mean_slope(x, np.stack([3 * x**1.5, 7 * x**1.5]))
    assert (value, half) == (pytest.approx(1.5), pytest.approx(0, abs=1e-10))
    assert horizon.crossing(x, x**2, 12 * x) == pytest.approx(12)
    assert math.isnan(horizon.crossing(x, x, 2 * x))
