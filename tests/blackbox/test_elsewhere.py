"""A black box evaluated by an executor: the same outputs and gradients, every attempt counted."""

import pytest
import torch

from rllab import BudgetExceeded, measure_quality, problems
from rllab import estimators as est
from rllab.blackbox import BlackBox
from tests.proofs.executors import Backwards, Pools
from tests.proofs.weighing import Weighing

X = torch.linspace(-1, 1, 10, dtype=torch.float64).reshape(5, 2)


def outputs(a, b):
    return torch.floor(3 * a) * b, (a * b).sum(-1)


def one_row(a, b):
    return torch.floor(3 * a) * b, float((a * b).sum())


def of_seed(row, seed):
    return row * (1 + seed % 7)


def total(y, s):
    return y.sum(-1) + s.square()


def passed(function, executor, **how):
    a, b = X.clone().requires_grad_(), X.flip(0).clone().requires_grad_()
    box = BlackBox(function, key=3, downstream=total, evaluations=6, executor=executor, **how)
    cost = box(a, b)
    cost.mean().backward()
    return box, (cost.detach(), a.grad, b.grad)


@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("executor", [Weighing, Backwards], ids=lambda e: e.__name__)
def test_outputs_and_gradients_are_the_same_bits(batched, executor):
    function = outputs if batched else one_row
    here, expected = passed(function, None, batched=batched)
    there, got = passed(function, executor(), batched=batched, chunk=4)
    assert all(map(torch.equal, got, expected))
    assert there.calls == here.calls and there.ledger.spent == here.ledger.spent


def test_seeds_go_with_their_rows():
    def grads(executor):
        x = X.clone().requires_grad_()
        box = BlackBox(of_seed, key=1, seeded=True, batched=False, smooth=True, executor=executor)
        box(x).sum().backward()
        return x.grad

    assert torch.equal(grads(None), grads(Backwards()))


def test_rows_lost_with_a_pool_are_evaluated_and_counted_again():
    pools, rows = Pools([4], 1), torch.arange(10.0).reshape(5, 2)
    box = BlackBox(outputs, key=0, downstream=total, check_rows=False, executor=pools, chunk=2)
    with torch.no_grad():
        assert torch.equal(box(rows, rows), total(*outputs(rows, rows)))
    assert box.calls == box.ledger.evaluations > len(rows)


def test_an_error_names_the_row():
    def breaks(row):
        if row[0] > 0.5:
            raise ZeroDivisionError("large")
        return row

    box = BlackBox(breaks, key=0, batched=False, smooth=True, executor=Backwards(), chunk=1)
    with pytest.raises(ZeroDivisionError, match="large") as caught:
        box(X)
    assert "row 4 of inputs [0.777" in caught.value.__notes__[0]


def test_a_budget_holds_and_a_block_that_torch_differentiates_stays_here():
    box = BlackBox(outputs, key=0, downstream=total, budget=3, executor=Backwards())
    with pytest.raises(BudgetExceeded):
        box(X, X)
    with pytest.raises(ValueError, match="executor must be None for a function that torch is to differentiate"):
        BlackBox(torch.sin, key=0, differentiable=True, executor=Backwards())


def test_quality_is_the_same_numbers_elsewhere():
    problem, at = problems.Staircase(dimension=3), X[0].repeat(2)[:3]
    how = {"at": at, "budgets": [8], "repeats": 5, "key": 0}
    here, there = (
        measure_quality(est.GaussianSmoothing(), problem, executor=executor, **how).rows
        for executor in (None, Weighing())
    )
    assert here == there
    with pytest.raises(ValueError, match="executor must be that of the Cost"):
        measure_quality(est.SPSA(), problem.cost(), truth=at, executor=Weighing(), **how)
