"""minimize: it steps where a hand-written loop would, counts every evaluation, and loses nothing on a crash."""

import math

import pytest
import torch

from rllab import Bernoulli, Cost, Gaussian, Key, minimize
from rllab.estimators import Backprop, ForwardGradient, GaussianSmoothing, ScoreFunction

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


@pytest.mark.parametrize(
    ("estimator", "at", "cost"),
    [
        (ScoreFunction(counts=True), Bernoulli(AT), Cost(stairs)),  # a price that varies from step to step
        (GaussianSmoothing(0.2), torch.stack((AT, -AT)), Cost(stairs)),
        (Backprop(), AT, Cost(lambda x: x.square().sum(-1), gradient=lambda x: 2 * x)),
        (ForwardGradient(), AT, Cost(lambda x: x.square().sum(-1))),
    ],
    ids=("counts", "a batch", "a given gradient", "tangents"),
)
def test_the_trace_is_the_ledger(estimator, at, cost):
    trace = minimize(cost, at, estimator, evaluations=8, budget=100, lr=0.1, key=0)
    assert trace.evaluations[-1] == cost.evaluated <= 100
    steps = [b - a for a, b in zip([0, *trace.evaluations], trace.evaluations, strict=False)]
    assert all(0 < step <= 8 * (2 if isinstance(at, torch.Tensor) and at.ndim == 2 else 1) for step in steps)


def test_a_state_is_handed_from_step_to_step():
    estimator, bits = ScoreFunction(baseline="moving"), Bernoulli(AT)
    trace = minimize(Cost(stairs), bits, estimator, evaluations=8, budget=16, lr=0.1, key=3, optimizer=torch.optim.SGD)
    first = estimator(Cost(stairs), bits, evaluations=8, key=Key(3).child("step", 0))
    moved = bits.replace(logits=bits.logits - 0.1 * first.gradient["logits"])
    second = estimator(Cost(stairs), moved, evaluations=8, key=Key(3).child("step", 1), state=first.state)
    torch.testing.assert_close(trace.at.logits, moved.logits - 0.1 * second.gradient["logits"])


def test_what_a_cost_was_asked_before_is_neither_in_the_trace_nor_in_the_budget():
    cost = Cost(stairs)
    first, again = (
        minimize(cost, AT, GaussianSmoothing(0.2), evaluations=8, budget=24, lr=0.1, key=0) for _ in range(2)
    )
    assert first.evaluations == again.evaluations == [8, 16, 24] and cost.evaluated == 48


def test_a_step_of_a_batch_is_begun_only_if_the_budget_pays_for_all_its_rows():
    batch = torch.stack((AT, -AT))
    trace = minimize(Cost(stairs), batch, GaussianSmoothing(0.2), evaluations=8, budget=40, lr=0.1, key=0)
    assert trace.evaluations == [16, 32]


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


def test_a_distribution_that_a_step_moves_out_of_its_domain_is_told_with_what_moves():
    with pytest.raises(ValueError, match="Gaussian: scale must be positive") as caught:
        minimize(Cost(stairs), Gaussian(AT, 0.2), ScoreFunction(), evaluations=32, budget=6_400, lr=0.3, key=0)
    assert any("its steps move mean, scale" in note and "only=('mean',)" in note for note in caught.value.__notes__)


def test_a_nan_in_the_cost_loses_no_finished_step():
    calls = []

    def breaks(x):
        calls.append(1)
        return stairs(x) if len(calls) < 5 else stairs(x) * math.nan  # three steps, and a look at the rows

    with pytest.raises(FloatingPointError) as caught:
        minimize(Cost(breaks), AT, GaussianSmoothing(0.2), evaluations=8, budget=800, lr=0.1, key=0)
    trace = caught.value.trace
    assert len(trace) == 3 and trace.evaluations[-1] == 24
    assert not torch.equal(trace.at, AT)
    assert "3 steps were done" in caught.value.__notes__[0]


def test_whoever_watches_sees_the_parameters_after_each_step_and_the_trace_keeps_what_it_says(tmp_path):
    seen, apart, more = [], Cost(stairs), {"evaluations": 8, "lr": 0.1, "key": 0}

    def watch(x):
        seen.append(x.clone())
        return apart(x[None]).item()

    cost = Cost(stairs)
    trace = minimize(cost, AT, GaussianSmoothing(0.2), budget=32, watch=watch, **more)
    assert len(seen) == 4 and torch.equal(seen[-1], trace.at) and cost.evaluated == 32 and apart.evaluated == 4
    assert trace.watched == [stairs(x[None]).item() for x in seen]
    assert [row["watched"] for row in trace.rows] == trace.watched
    plain = minimize(Cost(stairs), AT, GaussianSmoothing(0.2), budget=32, **more)
    assert torch.equal(plain.at, trace.at) and plain.watched == [] and "watched" not in next(plain.rows)
    for budget in (16, 32):
        parts = minimize(
            Cost(stairs), AT, GaussianSmoothing(0.2), budget=budget, watch=watch, checkpoint=tmp_path / "run.pt", **more
        )
    assert parts.watched == trace.watched
    late = minimize(Cost(stairs), AT, GaussianSmoothing(0.2), budget=16, checkpoint=tmp_path / "late.pt", **more)
    late = minimize(
        Cost(stairs), AT, GaussianSmoothing(0.2), budget=32, watch=watch, checkpoint=tmp_path / "late.pt", **more
    )
    assert late.watched[2:] == trace.watched[2:] and all(map(math.isnan, late.watched[:2]))


def test_what_whoever_watches_asks_of_the_same_cost_counts_and_its_error_loses_no_step():
    cost = Cost(stairs)
    more = {"evaluations": 8, "budget": 27, "lr": 0.1, "key": 0}
    trace = minimize(cost, AT, GaussianSmoothing(0.2), watch=lambda x: cost(x[None]).item(), **more)
    assert trace.evaluations == [8, 17, 26] and cost.evaluated == 27
    with pytest.raises(ZeroDivisionError) as caught:
        minimize(Cost(stairs), AT, GaussianSmoothing(0.2), watch=lambda x: 1 / 0, **more)
    assert len(caught.value.trace) == 1 and math.isnan(caught.value.trace.watched[0])


def test_a_budget_below_what_a_checkpoint_has_spent_is_refused(tmp_path):
    more = {"evaluations": 8, "lr": 0.1, "key": 0, "checkpoint": tmp_path / "run.pt"}
    minimize(Cost(stairs), AT, GaussianSmoothing(0.2), budget=40, **more)
    assert len(minimize(Cost(stairs), AT, GaussianSmoothing(0.2), budget=40, **more)) == 5
    with pytest.raises(ValueError, match=r"budget must be at least the 40 evaluations that .*run.pt has spent, got 39"):
        minimize(Cost(stairs), AT, GaussianSmoothing(0.2), budget=39, **more)
