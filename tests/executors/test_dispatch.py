"""Costs and executors that lose, break, hang and answer in another order: every number and every count is exact."""

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest
import torch

from rllab import BudgetExceeded, Cost, Gaussian, minimize
from rllab import estimators as est
from rllab.estimators.base import AHEAD
from rllab.executors import EvaluationLost, ExecutorError
from tests.proofs import evaluated
from tests.proofs.executors import Backwards, Fading, Losing, Pools, Timed

ROWS = torch.arange(10.0, dtype=torch.float64)[:, None].repeat(1, 3)
SUMS = ROWS.sum(-1)
AT = torch.linspace(-1, 1, 7, dtype=torch.float64)


def total(point):
    return point.sum()


def company(points):
    return torch.full((len(points),), float(len(points)))


def spent(n):
    return {"value": n, "gradient": 0, "jvp": 0, "complex": 0}


@pytest.mark.parametrize("chunk", ["auto", 3])
@pytest.mark.parametrize("executor", [None, Backwards, Backwards()], ids=["here", "made", "given"])
def test_costs_come_in_the_order_of_their_points_whoever_answers_first(executor, chunk):
    cost = Cost(evaluated.curved, batched=False, executor=executor, chunk=chunk)
    assert torch.equal(cost(ROWS), Cost(evaluated.curved, batched=False)(ROWS))
    assert cost.spent == spent(10) and cost.checks == 0


@pytest.mark.parametrize("executor", [None, Backwards])
def test_a_chunk_of_a_fixed_size_is_what_the_function_is_given_everywhere(executor):
    cost = Cost(company, executor=executor, chunk=4, check_rows=False)
    assert cost(ROWS).tolist() == [4] * 8 + [2] * 2


def test_chunks_are_as_large_as_makes_twenty_milliseconds():
    timed = Timed(seconds=0.003)
    cost = Cost(total, batched=False, executor=timed)
    cost(ROWS[:1])
    cost(ROWS)
    assert timed.sizes == [1, 7, 3]  # 7 rows of 3 ms are the fewest that take 20
    slow = Timed(seconds=0.02)
    Cost(total, batched=False, executor=slow)(ROWS)
    assert slow.sizes == [1] * 10


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda **on: Cost(evaluated.analytic, gradient=evaluated.slope, **on), "gradient"),
        (lambda **on: Cost(evaluated.analytic, gradient=evaluated.slope, **on), "value_and_gradient"),
        (lambda **on: Cost(evaluated.analytic, **on), "gradient"),
        (lambda **on: Cost(evaluated.analytic, **on), "value_and_gradient"),
        (lambda **on: Cost(evaluated.analytic, **on), "jvp"),
        (lambda **on: Cost(evaluated.analytic, **on), "complex"),
        (lambda **on: Cost(evaluated.drawn_rows, seeded=True, **on), "value"),
        (lambda **on: Cost(evaluated.drawn, seeded=True, batched=False, **on), "value"),
    ],
)
def test_whatever_may_be_asked_is_answered_and_counted_as_without_an_executor(make, kind):
    points = ROWS / 10 + (0.1j if kind == "complex" else 0)
    seeds, v = torch.arange(10), {"tangents": points.flip(0)} if kind == "jvp" else {}
    here, there = make(check_rows=False), make(check_rows=False, executor=Backwards(), chunk=3)
    # element by element, so that a row's bits do not depend on its company
    expected, got = (cost.begin(kind, points, seeds=seeds, **v)() for cost in (here, there))
    torch.testing.assert_close(got, expected, rtol=1e-15, atol=0)
    assert here.spent == there.spent
    empty = {name: x[:0] for name, x in v.items()}
    none = there.begin(kind, points[:0], seeds=seeds[:0], **empty)()
    assert len(none[0] if isinstance(none, tuple) else none) == 0


@pytest.mark.parametrize(
    ("estimator", "at"),
    [
        (est.GaussianSmoothing(0.1), torch.linspace(-1, 1, 10**5)),
        (est.GaussianSmoothing(0.1), torch.ones(4, 10**5)),
        (est.SPSA(), AT),
        (est.ScoreFunction(), Gaussian(AT, torch.ones(7, dtype=torch.float64))),
        (est.CentralDifference(), torch.linspace(-1, 1, 1500)),
    ],
)
def test_an_estimate_is_the_same_bits_and_has_several_chunks_under_way(estimator, at):
    pool = Backwards()
    n = max(estimator.minimum(at), 48)
    here = estimator(Cost(total, batched=False), at, evaluations=n, key=7)
    there = estimator(Cost(total, batched=False, executor=pool, chunk=2), at, evaluations=n, key=7)
    same(here.gradient, there.gradient)
    same(here.standard_error, there.standard_error)
    same(torch.as_tensor(here.value), torch.as_tensor(there.value))
    assert here.evaluations == there.evaluations
    assert pool.most > 1


def same(a, b):
    if isinstance(a, dict):
        for name in a:
            same(a[name], b[name])
    else:
        assert (a is None and b is None) or torch.equal(a, b)


def test_futures_under_way_say_when_they_are_done_and_are_not_asked_one_by_one(monkeypatch):
    asked, done = [], Future.done
    monkeypatch.setattr(Future, "done", lambda future: asked.append(future) or done(future))
    n = 400
    with ThreadPoolExecutor(1) as pool:
        costs = Cost(slow, batched=False, executor=pool, chunk=1)(torch.ones(n, 3))
    assert costs.tolist() == [3.0] * n
    assert len(asked) <= n  # each of those that wait at each answer would be n²/2


def slow(point):
    time.sleep(2e-4)
    return point.sum()


def test_at_most_so_many_blocks_are_under_way():
    pool = Backwards()
    cost = Cost(total, batched=False, executor=pool, chunk=10**6)
    est.GaussianSmoothing(0.1)(cost, torch.ones(1 << 17), evaluations=200, key=0)
    assert pool.most == AHEAD and len(pool.sizes) == 50


def test_an_error_in_one_block_forgets_those_under_way():
    pool = Fading(10)
    cost = Cost(evaluated.failing, batched=False, executor=pool, chunk=1)
    first, second = cost.begin("value", ROWS), cost.begin("value", ROWS[4:])
    with pytest.raises(ZeroDivisionError):
        first()
    with pytest.raises(ExecutorError, match="another evaluation failed"):
        second()
    assert [future.cancelled() for future in pool.futures[10:]] == [True] * 6


def test_rows_that_depend_on_each_other_are_refused():
    with pytest.raises(ValueError, match="a row must give the same alone and among others"):
        Cost(evaluated.centred, executor=Backwards())(ROWS)
    good = Cost(evaluated.analytic, executor=Backwards())
    good(ROWS / 10)
    good(ROWS / 10)
    assert good.checks == 3 and good.spent == spent(20)


def test_a_function_of_one_point_is_told_from_one_of_many():
    with pytest.raises(TypeError, match="one that takes a single point needs batched=False"):
        Cost(lambda p: float(p.sum()), executor=Backwards(), chunk=5)(ROWS)


def test_costs_that_are_not_finite_are_named_or_scored():
    def log(point):
        return (point[0] - 2).log()

    with pytest.raises(FloatingPointError, match=r"evaluation 0 is nan at point \[0, 0, 0\]"):
        Cost(log, batched=False, executor=Backwards())(ROWS)
    scored = Cost(log, batched=False, executor=Backwards(), nonfinite=9.0)(ROWS)
    assert scored[:3].tolist() == [9, 9, 9] and torch.equal(scored[3:], (ROWS[3:, 0] - 2).log())


@pytest.mark.parametrize("chunk", ["auto", 1, 4])
def test_what_is_lost_is_made_again_and_counted_again(chunk):
    cost = Cost(total, batched=False, executor=Losing({2, 7}), chunk=chunk)
    assert torch.equal(cost(ROWS), SUMS)
    again = {"auto": 2, 1: 2, 4: 8}[chunk]
    assert cost.spent == spent(10 + again) and cost.lost == 0


def test_a_lost_chunk_of_automatic_size_is_made_again_point_by_point():
    losing = Losing({7})
    cost = Cost(total, batched=False, executor=losing, retries=0)
    cost(ROWS[:1])
    cost._elsewhere._dispatcher._measured = [1, 0.004]  # chunks of 5
    assert torch.equal(cost(ROWS), SUMS)  # though nothing may be lost: it was not known which point was
    assert cost.spent == spent(1 + 10 + 5)


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_what_is_lost_too_often_is_an_error_that_names_the_point_or_is_scored(retries):
    cost = Cost(total, batched=False, executor=Losing({7}, times=99), chunk=1, retries=retries)
    with pytest.raises(EvaluationLost, match=rf"evaluation 7 at point \[7, 7, 7\] was lost in each of {retries + 1} "):
        cost(ROWS)
    cost = Cost(total, batched=False, executor=Losing({7}, times=99), chunk=1, retries=retries, on_failure=-5)
    assert torch.equal(cost(ROWS), torch.where(SUMS == 21, -5, SUMS))
    assert cost.spent == spent(10 + retries) and cost.lost == 1


def test_the_functions_own_error_is_raised_at_once_with_evaluation_and_point():
    losing = Losing(())
    cost = Cost(evaluated.failing, batched=False, executor=losing, retries=5, on_failure=0.0, chunk=2)
    cost(ROWS[4:])
    with pytest.raises(ZeroDivisionError, match="three") as caught:
        cost(ROWS)
    assert caught.value.__notes__ == ["Cost: this came up at evaluation 9 at point [3, 3, 3]"]
    assert losing.submitted == 16 and cost.spent == spent(16)


def test_a_loss_beyond_the_budget_is_refused_before_it_is_made_again():
    losing = Losing({7})
    cost = Cost(total, budget=10, batched=False, executor=losing, chunk=1)
    with pytest.raises(BudgetExceeded):
        cost(ROWS)
    assert losing.submitted == 10 and cost.spent == spent(10)
    with pytest.raises(BudgetExceeded):
        Cost(total, budget=9, batched=False, executor=losing)(ROWS)
    assert losing.submitted == 10


@pytest.mark.parametrize("times", [1, 2])
def test_a_pool_that_breaks_is_made_anew(times):
    pools = Pools({4}, times)
    cost = Cost(total, batched=False, executor=pools, chunk=1)
    assert torch.equal(cost(ROWS), SUMS)
    assert pools.made == 1 + times and pools.alive == 1
    assert cost.spent == spent(10 + 6 * times)  # 4 and the five after it are lost together
    cost.close()
    assert pools.alive == 0


def test_of_those_lost_with_a_pool_only_the_cause_is_given_up():
    pools = Pools({4}, 99)
    cost = Cost(total, batched=False, executor=pools, chunk=1, on_failure=0.5)
    assert torch.equal(cost(ROWS), torch.where(SUMS == 12, 0.5, SUMS))
    assert cost.lost == 1 and pools.made == 4  # twice among others, once alone
    with pytest.raises(EvaluationLost, match="evaluation 4 at point"):
        Cost(total, batched=False, executor=Pools({4}, 99), chunk=1)(ROWS)


def test_a_pool_that_breaks_and_cannot_be_made_anew_says_what_to_give():
    with pytest.raises(ExecutorError, match="give a function that makes one"):
        Cost(total, batched=False, executor=Pools({4}, 1)(), chunk=1)(ROWS)


class Hanging:
    """Hang at some points until it is told to go on."""

    def __init__(self, places):
        self.places, self.go = places, threading.Event()

    def __call__(self, point):
        if int(point[0]) in self.places:
            self.go.wait(30)
        return point.sum()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.go.set()


@pytest.mark.parametrize("made", [False, True])
def test_where_nobody_can_be_stopped_a_late_result_is_discarded_and_the_worker_reported(made):
    hanging = Hanging({4})
    with ThreadPoolExecutor(3) as pool, hanging:
        factory = (lambda: ThreadPoolExecutor(3)) if made else pool
        cost = Cost(hanging, batched=False, executor=factory, timeout=0.5, on_failure=0.5, chunk=1)
        with pytest.warns(RuntimeWarning, match=r"nothing came within 0.5 s; .* its worker is lost"):
            assert torch.equal(cost(ROWS), torch.where(SUMS == 12, 0.5, SUMS))
        hanging.go.set()
        assert cost.lost == 1 and cost.spent == spent(11)
        assert torch.equal(cost(ROWS), SUMS)
        cost.close()


def test_an_executor_all_of_whose_workers_hang_is_named_and_nothing_is_scored():
    hanging = Hanging({0, 1, 2, 3})
    with ThreadPoolExecutor(2) as pool, hanging:
        cost = Cost(hanging, batched=False, executor=pool, timeout=0.2, on_failure=0.5, chunk=1)
        with (
            pytest.warns(RuntimeWarning, match="its worker is lost"),
            pytest.raises(ExecutorError, match="no worker of executor answers"),
        ):
            cost(ROWS)
    assert cost.lost == 0


class Interrupted:
    """Ctrl-C comes while the third is submitted."""

    def __init__(self):
        self.futures = []

    def submit(self, function, /, *inputs):
        if len(self.futures) == 2:
            raise KeyboardInterrupt
        self.futures.append(Future())
        return self.futures[-1]


def test_an_interrupt_cancels_what_is_pending():
    executor = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        Cost(total, batched=False, executor=executor, chunk=1)(ROWS)
    assert [future.cancelled() for future in executor.futures] == [True, True]


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"timeout": 1.0}, ValueError, "timeout needs an executor"),
        ({"timeout": 0.0, "executor": Backwards}, ValueError, "timeout must be positive"),
        ({"executor": "ray"}, TypeError, r"executor must be .* submit\(function, \*arguments\).* got 'ray'"),
        ({"executor": True}, TypeError, "executor must be"),
        ({"executor": 0}, ValueError, "executor must be an integer >= 1, got 0"),
        ({"executor": 2.5}, ValueError, "executor must be an integer >= 1, got 2.5"),
        ({"executor": 2, "chunk": 0}, ValueError, "chunk must be an integer >= 1, got 0"),
        ({"executor": 2, "chunk": "large"}, TypeError, "chunk must be"),
        ({"executor": 2, "retries": -1}, ValueError, "retries must be an integer >= 0, got -1"),
        ({"executor": 2, "on_failure": "skip"}, TypeError, "on_failure must be a number"),
        ({"executor": 2, "on_failure": float("nan")}, ValueError, "on_failure must be finite"),
    ],
)
def test_wrong_arguments_are_refused(options, error, match):
    with pytest.raises(error, match=match):
        Cost(total, **options)


@pytest.mark.parametrize("number", [np.int64(2), 2.0])
def test_workers_are_counted_by_whole_numbers_of_any_type(number):
    cost = Cost(total, executor=number)
    assert cost._elsewhere._dispatcher._executor.count == 2
    cost.close()


@pytest.mark.parametrize("dtype", [torch.int64, torch.float16, torch.float32])
def test_what_stands_for_a_lost_cost_is_not_rounded_to_the_points(dtype):
    cost = Cost(total, batched=False, executor=Losing({7}, times=99), chunk=1, retries=0, on_failure=1e5 + 0.7)
    costs = cost(ROWS.to(dtype))
    assert costs[7] == 1e5 + 0.7 and torch.equal(costs[:7], SUMS[:7])


def test_a_function_that_makes_no_executor_is_refused():
    with pytest.raises(TypeError, match="executor must make something with submit, got 3"):
        Cost(total, batched=False, executor=lambda: 3)(ROWS)


def test_a_minimisation_is_the_same_bits_as_without_an_executor():
    start, estimator = torch.linspace(-1, 1, 5), est.SphereSmoothing(0.1)
    here, there = (
        minimize(Cost(total, batched=False, **on), start, estimator, evaluations=8, budget=40, lr=0.1, key=5)
        for on in ({}, {"executor": Backwards()})
    )
    assert torch.equal(here.at, there.at) and here.values == there.values and here.evaluations == there.evaluations
