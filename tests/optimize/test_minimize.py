"""minimize: it steps where a hand-written loop would, counts every evaluation, and loses nothing on a crash."""

import math

import pytest
import torch

from rllab import Cost, Gaussian, Key, minimize
from rllab.estimators import GaussianSmoothing, ScoreFunction

AT = torch.tensor([1.5, -0.7, 0.4], dtype=torch.float64)


def stairs(x):
    return torch.floor(4 * x.abs()).sum(-1)


def test_it_is_the_loop_one_would_write():
    estimator = GaussianSmoothing(0.2)
    trace = minimize(Cost(stairs), AT, estimator, evaluations=8, budget=50, lr=0.1, key=3, optimizer=torch.optim.SGD)
    w = AT.clone()
    for step in range(6):
        w = w - 0.1 * estimator(Cost(stairs), w, evaluations=8, key=Key(3).child("step", step)).gradient
    torch.testing.assert_close(trace.at, w)
    assert trace.evaluations == [8, 16, 24, 32, 40, 48]
    assert [row["evaluations"] for row in trace.rows] == trace.evaluations


def test_it_walks_down_a_staircase_that_autograd_cannot_see():
    cost = Cost(stairs)
    trace = minimize(cost, AT, GaussianSmoothing(0.2), evaluations=16, budget=4_000, lr=0.05, key=0)
    assert cost.evaluations == trace.evaluations[-1] == 4_000
    assert float(stairs(trace.at[None])) <= 1 < float(stairs(AT[None]))
    assert torch.equal(AT, torch.tensor([1.5, -0.7, 0.4], dtype=torch.float64))


def test_a_distribution_keeps_the_parameters_it_is_told_to():
    trace = minimize(
        Cost(stairs), Gaussian(AT, 0.2), ScoreFunction(), evaluations=32, budget=6_400, lr=0.05, key=0, only=("mean",)
    )
    assert torch.equal(trace.at.scale, torch.full_like(AT, 0.2))
    assert float(stairs(trace.at.mean[None])) <= 1


def test_a_budget_below_one_step_is_refused():
    with pytest.raises(ValueError, match="budget must pay for one step of 8 evaluations, got 7"):
        minimize(Cost(stairs), AT, GaussianSmoothing(), evaluations=8, budget=7, lr=0.1, key=0)


def test_an_unknown_parameter_is_named():
    with pytest.raises(ValueError, match=r"only must name parameters among .*, got 'variance'"):
        minimize(
            Cost(stairs), Gaussian(AT), ScoreFunction(), evaluations=8, budget=80, lr=0.1, key=0, only=("variance",)
        )


def test_a_nan_in_the_cost_loses_no_finished_step():
    calls = []

    def breaks(x):
        calls.append(1)
        return stairs(x) if len(calls) < 4 else stairs(x) * math.nan

    with pytest.raises(FloatingPointError) as caught:
        minimize(Cost(breaks), AT, GaussianSmoothing(0.2), evaluations=8, budget=800, lr=0.1, key=0)
    trace = caught.value.trace
    assert len(trace) == 3 and trace.evaluations[-1] == 24
    assert not torch.equal(trace.at, AT)
    assert "3 steps were done" in caught.value.__notes__[0]
