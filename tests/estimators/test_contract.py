"""The contract, on every estimator: order of blocks, ask/tell, accounting, randomness, purity, pickling, errors."""

import pickle
import subprocess
import sys

import pytest
import torch
from checks import fresh_state

from rllab import BudgetExceeded, Cost, Gaussian, Key
from rllab.estimators import GaussianSmoothing, ScoreFunction

ESTIMATORS = [
    GaussianSmoothing(0.2),
    GaussianSmoothing(0.2, "forward"),
    GaussianSmoothing(0.2, "one-point"),
    ScoreFunction(None),
    ScoreFunction(0.7),
    ScoreFunction("mean"),
    ScoreFunction("leave-one-out"),
]
every = pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)


def place(estimator, shape=(30_000,), dtype=torch.float64):
    """Long enough that eleven evaluations make several blocks."""
    at = torch.linspace(-1, 2, torch.Size(shape).numel(), dtype=dtype).reshape(shape)
    return Gaussian(at, 0.2) if isinstance(estimator, ScoreFunction) else at


def bumpy(x):
    return torch.floor(4 * x.abs()).mean(-1) + x[:, 0] * x[:, -1]


def same(a, b) -> bool:
    return all(torch.equal(a[n], b[n]) for n in a) if isinstance(a, dict) else torch.equal(a, b)


@every
@pytest.mark.parametrize("shape", ((30_000,), (3, 10_000)), ids=str)
def test_blocks_in_any_order_told_later_give_the_bits_of_a_call(estimator, shape):
    at = place(estimator, shape)
    whole = estimator(Cost(bumpy), at, evaluations=11, key=7, rows=True)
    query = estimator.ask(at, 11, 7)
    assert len(query) > 1
    values = torch.empty(query.evaluations, *shape[:-1], dtype=torch.float64)
    for i in reversed(range(len(query))):
        points = query[i].points
        values[query[i].rows] = bumpy(points.reshape(-1, shape[-1])).reshape(points.shape[:-1])
    told = estimator.tell(query, values, rows=True)
    assert same(whole.gradient, told.gradient)
    assert same(whole.standard_error, told.standard_error)
    assert same(whole.rows, told.rows)
    assert torch.equal(whole.value, told.value)
    assert whole.evaluations == told.evaluations == query.evaluations


@every
@pytest.mark.parametrize("evaluations", (1, 2, 3, 10, 257))
def test_what_is_spent_is_what_was_called(estimator, evaluations):
    at, calls = place(estimator, (5,)), []
    if evaluations < estimator.minimum(at):
        with pytest.raises(ValueError, match=f"evaluations must be >= {estimator.minimum(at)}, got {evaluations}"):
            estimator.ask(at, evaluations, 0)
        return
    cost = Cost(lambda x: calls.append(len(x)) or bumpy(x))
    e = estimator(cost, at, evaluations=evaluations, key=0)
    assert sum(calls) == cost.spent["value"] == cost.evaluations == e.evaluations <= evaluations
    assert evaluations - e.evaluations < 2


@every
def test_the_whole_query_is_reserved_before_the_first_call(estimator):
    at = place(estimator)
    spent = estimator.ask(at, 11, 0).evaluations
    cost = Cost(bumpy, budget=spent - 1)
    with pytest.raises(BudgetExceeded, match="do not fit"):
        estimator(cost, at, evaluations=11, key=0)
    assert cost.evaluations == 0
    exact = Cost(bumpy, budget=spent)
    estimator(exact, at, evaluations=11, key=0)
    assert exact.evaluations == spent


@every
def test_problems_are_charged_and_answered_one_by_one(estimator):
    at, cost = place(estimator, (3, 4)), Cost(bumpy)
    e = estimator(cost, at, evaluations=10, key=0)
    assert cost.evaluations == 3 * e.evaluations
    gradient = e.gradient["mean"] if isinstance(e.gradient, dict) else e.gradient
    assert gradient.shape == (3, 4)
    assert e.value is not None and e.value.shape == (3,)


@every
def test_a_batch_of_problems_estimates_each_of_them(estimator):
    # On a cost that is zero for problem 1 only, only its gradient is zero (a constant baseline is not zero mean cost)
    at = place(estimator, (2, 3))
    far = at.mean if isinstance(at, Gaussian) else at
    far[1] += 100
    e = estimator(
        Cost(lambda x: torch.where(x[:, 0] > 50, 0.7 * (estimator == ScoreFunction(0.7)), bumpy(x))),
        at,
        evaluations=8,
        key=0,
    )
    gradient = e.gradient["mean"] if isinstance(e.gradient, dict) else e.gradient
    assert not gradient[0].eq(0).any()
    assert gradient[1].eq(0).all()


@every
def test_nothing_outside_is_touched(estimator):
    at = place(estimator, (5,))
    leaf = at.mean if isinstance(at, Gaussian) else at
    leaf.requires_grad_()
    before, copy, grad_mode = fresh_state(), leaf.detach().clone(), torch.is_grad_enabled()
    e = estimator(Cost(bumpy), at, evaluations=9, key=4)
    assert fresh_state() == before
    assert leaf.requires_grad and leaf.grad is None and torch.equal(leaf.detach(), copy)
    assert torch.is_grad_enabled() == grad_mode
    gradient = e.gradient["mean"] if isinstance(e.gradient, dict) else e.gradient
    assert not gradient.requires_grad
    assert gradient.dtype == leaf.dtype


@every
def test_single_precision_stays_single_and_agrees_with_double(estimator):
    single = estimator(Cost(bumpy), place(estimator, (5,), torch.float32), evaluations=9, key=4).gradient
    double = estimator(Cost(bumpy), place(estimator, (5,)), evaluations=9, key=4).gradient
    single, double = (g["mean"] if isinstance(g, dict) else g for g in (single, double))
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), double, rtol=1e-3, atol=1e-3)  # the same draws, rounded


@every
def test_equal_keys_give_equal_and_other_keys_other_estimates(estimator):
    at = place(estimator, (5,))
    first, again, other = (
        estimator(Cost(bumpy), at, evaluations=9, key=k).gradient for k in (4, Key(4), Key(4).child("other"))
    )
    assert same(first, again)
    assert not same(first, other)


CHILD = """
import pickle, sys, torch
query, path = pickle.load(sys.stdin.buffer), sys.argv[1]
values = torch.cat([torch.floor(4 * b.points.abs()).mean(-1) + b.points[:, 0] * b.points[:, -1] for b in query])
e = query.estimator.tell(query, values)
torch.save(e.gradient, path)
"""


@pytest.mark.parametrize("estimator", (GaussianSmoothing(0.2, "forward"), ScoreFunction()), ids=str)
def test_a_pickled_query_is_a_recipe_that_another_process_can_carry_on(estimator, tmp_path):
    at = place(estimator, (2_000,))
    query = estimator.ask(at, 100, 7)
    parcel = pickle.dumps(query)
    assert len(parcel) < 40_000 + 2_000 * 8  # the parameters travel; 100 × 2,000 numbers of noise do not
    path = tmp_path / "gradient.pt"
    subprocess.run([sys.executable, "-c", CHILD, str(path)], input=parcel, check=True, timeout=120)
    here = estimator(Cost(bumpy), at, evaluations=100, key=7).gradient
    there = torch.load(path, weights_only=True)
    pairs = [(here[n], there[n]) for n in here] if isinstance(here, dict) else [(here, there)]
    for a, b in pairs:  # the child evaluates with one thread per its own settings, so costs may differ by rounding
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


@every
def test_telling_the_wrong_number_of_values_or_a_nan_is_an_error(estimator):
    query = estimator.ask(place(estimator, (5,)), 6, 0)
    with pytest.raises(ValueError, match=r"values must be \(6,\), got \(5,\)"):
        estimator.tell(query, torch.zeros(5))
    with pytest.raises(ValueError, match=r"values must be finite, got nan at \[2\]"):
        estimator.tell(query, torch.tensor([0, 0, torch.nan, 0, 0, 0]))


@every
def test_a_plain_function_is_not_a_cost(estimator):
    with pytest.raises(TypeError, match="cost must be a Cost"):
        estimator(bumpy, place(estimator, (5,)), evaluations=6, key=0)


@pytest.mark.parametrize("at", (torch.zeros(0), torch.zeros(2, 2, 2), torch.tensor(1.0)))
def test_parameters_of_another_shape_are_refused(at):
    with pytest.raises(ValueError, match=r"at must be \(d,\) or \(B, d\)"):
        GaussianSmoothing().ask(at, 4, 0)


def test_parameters_that_are_no_floating_tensor_are_refused():
    with pytest.raises(TypeError, match="at must be a tensor"):
        GaussianSmoothing().ask([0.0], 4, 0)
    with pytest.raises(TypeError, match="floating-point"):
        GaussianSmoothing().ask(torch.tensor([1, 2]), 4, 0)
