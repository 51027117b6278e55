"""Cost: counted, checked, refused over the budget, and nothing already computed is lost."""

import math

import pytest
import torch

from rllab import BudgetExceeded, Cost

X = torch.tensor([[1.0, 2.0], [3.0, 4.0], [-1.0, 0.5]], dtype=torch.float64)


def square(x):
    return (x * x).sum(-1)


def test_values_are_counted_and_detached():
    w = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    cost = Cost(lambda x: square(x) * w)
    y = cost(X)
    assert not y.requires_grad
    torch.testing.assert_close(y, 2 * square(X))
    assert cost.evaluations == 3 and cost.spent == {"value": 3, "gradient": 0, "jvp": 0, "steps": 0}


def test_a_function_of_one_point_is_called_point_by_point():
    cost = Cost(lambda p: float(p[0]) - 1, batched=False)
    assert cost(X).tolist() == [0.0, 2.0, -2.0]
    seeded = Cost(lambda p, seed: seed * p[0], batched=False, seeded=True)
    assert seeded(X, torch.tensor([1, 2, 3])).tolist() == [1.0, 6.0, -3.0]


def test_numpy_answers_take_the_dtype_of_the_points():
    y = Cost(lambda x: x.numpy().sum(-1).astype("f4"))(X)
    assert y.dtype == torch.float64


def test_the_budget_is_refused_before_anything_is_evaluated():
    calls = []
    cost = Cost(lambda x: calls.append(len(x)) or square(x), budget=5)
    cost(X)
    with pytest.raises(BudgetExceeded, match="3 more value evaluations do not fit: 3 of the budget of 5 are spent"):
        cost(X)
    assert calls == [3] and cost.evaluations == 3
    cost.gradient(X[:2])
    with pytest.raises(BudgetExceeded):
        cost.gradient(X[:1])


@pytest.mark.parametrize("bad", (math.nan, math.inf, -math.inf))
def test_a_value_that_is_not_finite_names_evaluation_and_point(bad):
    cost = Cost(lambda x: torch.where(x[:, 0] == 3, bad, square(x)))
    cost(X[:1])
    with pytest.raises(FloatingPointError, match=rf"evaluation 2 is {bad} at point \[3, 4\]"):
        cost(X)
    assert cost.evaluations == 4  # it was evaluated, so it counts
    penalised = Cost(cost.function, nonfinite=99.0)
    assert penalised(X).tolist() == [5.0, 99.0, 1.25]


def test_finite_values_whose_sum_overflows_are_fine():
    assert Cost(lambda x: torch.full((len(x),), 1e308, dtype=x.dtype))(X).tolist() == [1e308] * 3


def test_gradients_come_from_autograd_or_as_given():
    torch.testing.assert_close(Cost(square).gradient(X), 2 * X)
    assert not X.requires_grad
    torch.testing.assert_close(Cost(torch.floor, gradient=lambda x: 3 * x).gradient(X), 3 * X)
    with pytest.raises(TypeError, match="not differentiable"):
        Cost(lambda x: x.detach().sum(-1)).gradient(X)
    with pytest.raises(FloatingPointError, match="gradient 0 is not finite"):
        Cost(square, gradient=lambda x: x / 0).gradient(X)


def test_a_wrong_shape_says_what_was_expected():
    with pytest.raises(ValueError, match=r"must return \(3,\) costs for \(3, 2\) points, got \(3, 2\)"):
        Cost(lambda x: x)(X)
    with pytest.raises(ValueError, match=r"points must be \(n, d\), got \(2,\)"):
        Cost(square)(X[0])
    with pytest.raises(ValueError, match=r"seeds of shape \(3,\), got None"):
        Cost(lambda x, s: square(x), seeded=True)(X)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"budget": 0}, "budget must be >= 1 or None, got 0"),
        ({"budget": -4}, "budget must be >= 1 or None, got -4"),
        ({"nonfinite": "ignore"}, "nonfinite must be"),
        ({"nonfinite": math.nan}, "nonfinite must be"),
    ],
)
def test_bad_arguments_are_named(arguments, error):
    with pytest.raises(ValueError, match=error):
        Cost(square, **arguments)
    with pytest.raises(TypeError, match="function must be callable"):
        Cost(3.0)
