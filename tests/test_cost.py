"""Cost: counted, checked, refused over the budget, and nothing already computed is lost."""

import math

import numpy as np
import pytest
import torch

from rllab import BudgetExceeded, Cost
from rllab.problems import BooleanQuadratic, Square
from tests.proofs.executors import Backwards

X = torch.tensor([[1.0, 2.0], [3.0, 4.0], [-1.0, 0.5]], dtype=torch.float64)


def square(x):
    return (x * x).sum(-1)


def test_values_are_counted_and_detached():
    w = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    cost = Cost(lambda x: square(x) * w)
    y = cost(X)
    assert not y.requires_grad
    torch.testing.assert_close(y, 2 * square(X))
    assert cost.evaluations == 3 and cost.spent == {"value": 3, "gradient": 0, "jvp": 0, "complex": 0}
    assert cost.checks == 1


def test_a_function_of_one_point_is_called_point_by_point():
    cost = Cost(lambda p: float(p[0]) - 1, batched=False)
    assert cost(X).tolist() == [0.0, 2.0, -2.0]
    seeded = Cost(lambda p, seed: seed * p[0], batched=False, seeded=True)
    assert seeded(X, torch.tensor([1, 2, 3])).tolist() == [1.0, 6.0, -3.0]


def test_a_cost_of_bits_says_whether_it_is_one_between_them_too():
    assert Cost(square, relaxed=True).relaxed and not Cost(square).relaxed
    assert BooleanQuadratic().cost().relaxed and not Square().cost().relaxed


def test_numpy_answers_take_the_dtype_of_the_points():
    y = Cost(lambda x: x.numpy().sum(-1).astype("f4"))(X)
    assert y.dtype == torch.float64


def test_python_numbers_keep_their_double_precision():
    third = 1 / 3  # not a float32
    assert Cost(lambda p: third, batched=False)(X).tolist() == [third] * 3
    assert Cost(lambda x: [third] * len(x))(X).tolist() == [third] * 3


def test_the_budget_is_refused_before_anything_is_evaluated():
    calls = []
    cost = Cost(lambda x: calls.append(len(x)) or square(x), budget=5, check_rows=False)
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
    assert penalised.replaced == 1


def test_costs_that_a_number_stands_for_are_counted_with_those_of_one_ledger_and_without_checks():
    cost = Cost(lambda x: torch.log(x).sum(-1), nonfinite=5.0)
    other = cost.over(lambda x: x[:, 0] * math.nan)
    cost(-X)  # the last row is looked at once more, alone
    other(X[:2])
    assert cost.replaced == other.replaced == 5
    assert cost.checks == 1 and cost.evaluations == 5
    assert Cost(square)(X).isfinite().all() and Cost(square).replaced == 0


@pytest.mark.parametrize("executor", (None, Backwards))
@pytest.mark.parametrize("dtype", (torch.float16, torch.float32, torch.float64))
@pytest.mark.parametrize("number", (1e6, np.float32(1e6), np.int64(10**6)))
def test_a_number_stands_for_costs_that_are_not_finite_whichever_row_they_are_in(dtype, number, executor):
    for i in range(3):
        cost = Cost(lambda x: torch.where(x[:, 0] < 0, math.nan, x[:, 0]), nonfinite=number, executor=executor)
        points = torch.ones(3, 2, dtype=dtype)
        points[i] = -1
        assert cost(points).tolist() == [1e6 if k == i else 1.0 for k in range(3)]


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


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_a_function_of_derivatives_may_ask_autograd_for_them(mode):
    def gradient(x):
        return torch.autograd.grad(square(x.requires_grad_()), x, torch.ones(len(x)).double(), create_graph=True)[0]

    def jvp(x, v):
        return square(x), (gradient(x) * v).sum(-1)

    with mode():
        cost, points = Cost(square, gradient=gradient, jvp=jvp), X.clone()
        g, (y, dy) = cost.gradient(points), cost.jvp(points, torch.ones_like(points))
    torch.testing.assert_close((g, y, dy), (2 * X, square(X), 2 * X.sum(-1)))
    assert not any(t.requires_grad for t in (points, g, y, dy))


TANGENTS = torch.tensor([[1.0, 0.0], [0.5, -2.0], [0.0, 3.0]], dtype=torch.float64)
SLOPES = (2 * X * TANGENTS).sum(-1)


def one_square(p):
    return (p * p).sum()


@pytest.mark.parametrize(
    "cost", (Cost(square, check_rows=False), Cost(one_square, batched=False)), ids=("batched", "point by point")
)
def test_value_gradient_and_derivative_along_a_tangent_come_from_one_function(cost):
    for value, gradient in (cost.value_and_gradient(X), (square(X), cost.gradient(X))):
        torch.testing.assert_close(value, square(X))
        torch.testing.assert_close(gradient, 2 * X)
        assert not value.requires_grad and not gradient.requires_grad
    value, slope = cost.jvp(X, TANGENTS)
    torch.testing.assert_close(value, square(X))
    torch.testing.assert_close(slope, SLOPES)
    again = cost.jvp(X[0].expand(3, 2), TANGENTS)[1]
    torch.testing.assert_close(again, (2 * X[0] * TANGENTS).sum(-1))
    assert cost.spent == {"value": 0, "gradient": 6, "jvp": 6, "complex": 0}


def test_derivatives_given_as_functions_are_used_with_seeds_and_point_by_point():
    def value(p, seed):
        return float(p.sum()) * seed

    cost = Cost(
        value,
        batched=False,
        seeded=True,
        gradient=lambda p, seed: torch.full_like(p, seed),
        jvp=lambda p, v, seed: (value(p, seed), float(v.sum()) * seed),
    )
    seeds = torch.tensor([3, 4, 5])
    y, g = cost.value_and_gradient(X, seeds)
    assert y.tolist() == [9.0, 28.0, -2.5] and g.tolist() == [[3.0, 3.0], [4.0, 4.0], [5.0, 5.0]]
    y, slope = cost.jvp(X, TANGENTS, seeds)
    assert y.tolist() == [9.0, 28.0, -2.5] and slope.tolist() == [3.0, -6.0, 15.0]
    assert cost.spent == {"value": 3, "gradient": 3, "jvp": 3, "complex": 0}


def test_a_given_gradient_does_not_pay_for_the_value_and_both_are_reserved_together():
    cost = Cost(square, budget=5, gradient=lambda x: 2 * x)
    with pytest.raises(BudgetExceeded, match="6 more value_and_gradient evaluations do not fit: 0 of the budget of 5"):
        cost.value_and_gradient(X)
    assert set(cost.spent.values()) == {0}
    by_autograd = Cost(square, budget=3)
    by_autograd.value_and_gradient(X)
    assert by_autograd.spent["gradient"] == 3 and by_autograd.evaluations == 0


def test_every_kind_of_evaluation_counts_against_the_budget():
    cost = Cost(square, budget=12)
    cost(X)
    cost.gradient(X)
    cost.jvp(X, TANGENTS)
    cost.complex(X.to(torch.complex128))
    assert cost.spent == {"value": 3, "gradient": 3, "jvp": 3, "complex": 3}
    for ask in (cost, cost.gradient, cost.value_and_gradient, lambda x: cost.jvp(x, x)):
        with pytest.raises(BudgetExceeded):
            ask(X[:1])
    with pytest.raises(BudgetExceeded):
        cost.complex(X[:1].to(torch.complex128))


def test_a_function_that_forward_mode_cannot_follow_is_named():
    with pytest.raises(TypeError, match="not differentiable in forward mode; pass jvp="):
        Cost(lambda x: x.detach().numpy().sum(-1)).jvp(X, TANGENTS)
    with pytest.raises(TypeError, match=r"with torch alone .* got one that calls numpy; pass gradient=") as caught:
        Cost(lambda x: x.numpy().sum(-1)).gradient(X)
    assert isinstance(caught.value.__cause__, RuntimeError)
    with pytest.raises(TypeError, match="not differentiable by autograd"):
        Cost(lambda x: torch.ones(3, requires_grad=True)).gradient(X)  # a gradient, but not with respect to x
    with pytest.raises(ValueError, match=r"tangents must be \(3, 2\) like points, got \(2, 2\)"):
        Cost(square).jvp(X, TANGENTS[:2])


def test_a_derivative_that_is_not_finite_is_named():
    edge = torch.tensor([[1.0], [0.0]], dtype=torch.float64)
    with pytest.raises(FloatingPointError, match=r"gradient 1 is not finite at point \[0\]"):
        Cost(lambda x: x[:, 0].sqrt()).gradient(edge)
    with pytest.raises(FloatingPointError, match=r"jvp 1 is not finite at point \[0\]"):
        Cost(lambda x: x[:, 0].sqrt()).jvp(edge, torch.ones_like(edge))
    with pytest.raises(FloatingPointError, match=r"evaluation 1 is nan at point \[0\]"):
        Cost(lambda x: x[:, 0] / x[:, 0]).gradient(edge)


def test_complex_costs_are_for_complex_points_only():
    z = X + 1e-30j * TANGENTS
    y = Cost(square).complex(z)
    torch.testing.assert_close(y.imag / 1e-30, SLOPES)
    assert Cost(lambda p: complex(p[0]) ** 2, batched=False).complex(z)[1].item() == (3 + 5e-31j) ** 2
    with pytest.raises(TypeError, match="points must be real; ask"):
        Cost(square)(z)
    with pytest.raises(TypeError, match="points must be complex, got"):
        Cost(square).complex(X)
    with pytest.raises(TypeError, match="must return real costs for real points, got complex ones"):
        Cost(lambda x: square(x) + 0j)(X)
    for flat in (Cost(lambda x: x.abs().sum(-1)), Cost(lambda p: float(p[0].real), batched=False)):
        with pytest.raises(TypeError, match="must return complex costs for complex points, got real ones"):
            flat.complex(z)
    with pytest.raises(RuntimeError) as caught:
        Cost(lambda x: torch.floor(x).sum(-1)).complex(z)
    assert "analytic" in caught.value.__notes__[1]
    with pytest.raises(FloatingPointError, match="evaluation 0 is"):
        Cost(lambda x: 1 / (x[:, 0] - x[:, 0])).complex(z)


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
        ({"budget": 0}, "budget must be an integer >= 1, got 0"),
        ({"budget": -4}, "budget must be an integer >= 1, got -4"),
        ({"nonfinite": "ignore"}, "nonfinite must be"),
        ({"nonfinite": math.nan}, "nonfinite must be"),
    ],
)
def test_bad_arguments_are_named(arguments, error):
    with pytest.raises(ValueError, match=error):
        Cost(square, **arguments)
    with pytest.raises(TypeError, match="function must be callable"):
        Cost(3.0)


def test_a_function_may_write_into_its_points_wherever_derivatives_are_asked():
    def square_of_the_double(x):
        return x.mul_(2).square().sum(-1)

    for points in (X.clone(), X[:1].clone(), X[0].expand(1, 2)):  # one row that is expanded is contiguous already
        kept, tangents = points.clone(), TANGENTS[: len(points)].clone()
        value, slope = Cost(square_of_the_double).jvp(points, tangents)
        torch.testing.assert_close((value, slope), (4 * square(kept), 8 * (kept * tangents).sum(-1)))
        assert torch.equal(points, kept) and torch.equal(tangents, TANGENTS[: len(points)])
        value, gradient = Cost(square_of_the_double, gradient=lambda x: 8 * x).value_and_gradient(points)
        torch.testing.assert_close((value, gradient), (4 * square(kept), 8 * kept))
        assert torch.equal(points, kept)


def test_numpy_answers_may_be_read_only_or_reversed():
    frozen = np.ones(3)
    frozen.flags.writeable = False
    assert Cost(lambda x: frozen, check_rows=False)(X).tolist() == [1.0] * 3
    assert Cost(lambda x: np.arange(3.0)[::-1], check_rows=False)(X).tolist() == [2.0, 1.0, 0.0]


@pytest.mark.parametrize(
    "mixes",
    [
        lambda x: torch.ones(2, dtype=x.dtype) @ x,
        lambda x: square(x - x.mean(0)),
        lambda x: square(x) / square(x).sum(),
        lambda x: torch.arange(len(x)),
    ],
    ids=("c @ w", "centred", "normalised", "by position"),
)
def test_a_function_whose_rows_depend_on_each_other_is_refused(mixes):
    with pytest.raises(ValueError, match="Cost: a row must give the same alone and among others"):
        Cost(mixes)(X[:2])
    assert Cost(mixes, check_rows=False)(X[:2]).shape == Cost(mixes, noisy=True)(X[:2]).shape == (2,)


def test_rows_are_looked_at_once_and_that_is_counted_apart():
    calls = []
    cost = Cost(lambda x: calls.append(x.clone()) or square(x), budget=9)
    for _ in range(3):
        cost(X)
    assert [len(x) for x in calls] == [3, 1, 3, 3] and torch.equal(calls[1], X[-1:])
    assert cost.evaluated == cost.evaluations == 9 and cost.checks == 1
    seeded = Cost(lambda x, seeds: square(x) + seeds, seeded=True)
    assert seeded(X, torch.tensor([1, 2, 3])).tolist() == (square(X) + torch.tensor([1, 2, 3])).tolist()


@pytest.mark.parametrize(
    ("function", "cure"),
    [
        (lambda w: float(w[0]) ** 2 + float(w[1]), "single point needs batched=False"),
        (lambda w: math.hypot(*w.tolist()), "single point needs batched=False"),
        (lambda w: np.concatenate([w[:1], [1.0]]).sum(), "single point needs batched=False"),
        (lambda w: w.astype(float).sum(), r"single array needs batched=False, and \.numpy\(\) of its point"),
    ],
    ids=("floats", "a list", "concatenate", "an array"),
)
def test_a_function_of_one_point_is_told_how_it_is_given(function, cure):
    with pytest.raises(TypeError, match=rf"Cost: function must map \(3, 2\) points to costs: one that takes a {cure}"):
        Cost(function)(X)


@pytest.mark.parametrize("given", (torch.float16, torch.float32, torch.float64, torch.int64, torch.bool))
@pytest.mark.parametrize("dtype", (torch.float16, torch.float32, torch.float64, torch.int64))
def test_costs_are_never_narrowed_to_what_the_points_have(given, dtype):
    y = Cost(lambda x: x.sum(-1).to(given))(X.to(dtype))
    wide = given if given.is_floating_point else torch.float64
    assert y.dtype == torch.promote_types(wide, dtype)
    assert y.tolist() == X.to(dtype).sum(-1).to(given).double().tolist()
    half = Cost(lambda x: x.double().mean(-1) + 0.5)(torch.ones(2, 3, dtype=torch.int64))
    assert half.tolist() == [1.5, 1.5]


def test_evaluations_that_crash_are_counted_whatever_was_asked():
    def crash(*_):
        raise OSError("the machine is gone")

    cost = Cost(crash, 10, gradient=crash, jvp=crash)
    for asked in range(1, 3):
        for kind in (cost, cost.gradient):
            with pytest.raises(OSError, match="the machine is gone"):
                kind(X[:1])
        assert cost.spent["value"] == cost.spent["gradient"] == asked
    with pytest.raises(OSError, match="the machine is gone"):
        cost.jvp(X, X)
    with pytest.raises(OSError, match="the machine is gone"):
        cost.complex(X.to(torch.complex128))
    assert cost.spent == {"value": 2, "gradient": 2, "jvp": 3, "complex": 3} and cost.evaluated == 10
    with pytest.raises(BudgetExceeded, match="10 of the budget of 10 are spent"):
        cost(X[:1])
    one_by_one, left = Cost(lambda p: left.pop(), batched=False), [1.0]
    with pytest.raises(IndexError):
        one_by_one(X)
    assert one_by_one.evaluated == 3  # it is not known how far it came


@pytest.mark.parametrize(
    "answer",
    (None, "a", {"c": 1}, [[1.0], [1.0, 2.0]], np.array([None] * 3)),
    ids=("none", "text", "dict", "ragged", "objects"),
)
@pytest.mark.parametrize("batched", (True, False))
def test_what_is_no_number_is_refused_in_the_name_of_the_function(answer, batched):
    with pytest.raises(TypeError, match=r"^Cost: function must return numbers, got "):
        Cost(lambda x: answer, batched=batched)(X)


@pytest.mark.parametrize("points", (None, [[1.0]], (1.0,)), ids=("none", "list", "tuple"))
@pytest.mark.parametrize("ask", ("__call__", "gradient", "complex"))
def test_points_that_are_no_tensor_are_refused(points, ask):
    with pytest.raises(TypeError, match=r"^Cost: points must be a tensor \(n, d\), got "):
        getattr(Cost(square), ask)(points)


@pytest.mark.parametrize("batched", (True, False))
def test_no_points_cost_nothing_and_call_nothing(batched):
    def never(*_):
        raise AssertionError("called")

    for cost in (Cost(never, batched=batched), Cost(never, batched=batched, gradient=never, jvp=never)):
        none = torch.zeros(0, 2)
        assert cost(none).shape == (0,) and cost.gradient(none).shape == (0, 2)
        assert [tuple(t.shape) for t in cost.value_and_gradient(none)] == [(0,), (0, 2)]
        assert [tuple(t.shape) for t in cost.jvp(none, none)] == [(0,), (0,)] and cost.evaluated == 0


def test_derivatives_are_taken_in_inference_mode_too():
    with torch.inference_mode():
        points = X.clone()
        y, g = Cost(square).value_and_gradient(points)
        _, dy = Cost(square).jvp(points, points)
    assert torch.equal(y, square(X)) and torch.equal(g, 2 * X) and torch.equal(dy, 2 * square(X))
