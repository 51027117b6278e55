"""What `tell` takes from whoever evaluates elsewhere, and what a cost may do to its argument."""

import numpy as np
import pytest
import torch

from rllab import Bernoulli, Cost, Gaussian
from rllab.critics import Critic
from rllab.estimators import (
    Backprop,
    CentralDifference,
    ComplexStep,
    ForwardGradient,
    GaussianSmoothing,
    ScoreFunction,
)

AT = torch.tensor([0.7, -1.3, 0.4], dtype=torch.float64)
WHOLE = [3, -1, 4, 1, -5, 9]  # answers that every number type holds


def tell(estimator, at, values):
    return estimator.tell(estimator.ask(at, 6, 0), values, per_unit=True)


FORMS = {
    "double precision": torch.tensor(WHOLE, dtype=torch.float64),
    "single precision": torch.tensor(WHOLE, dtype=torch.float32),
    "integers": torch.tensor(WHOLE),
    "a list": WHOLE,
    "a list of floats": [float(w) for w in WHOLE],
    "numpy": np.array(WHOLE, dtype=np.float32),
    "read-only numpy": np.broadcast_to(np.array(WHOLE, dtype=float), (6,)),
    "with a graph": torch.tensor(WHOLE, dtype=torch.float64, requires_grad=True),
}


@pytest.mark.parametrize("dtype", (torch.float32, torch.float64))
@pytest.mark.parametrize("values", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize(
    ("estimator", "place"),
    [
        (GaussianSmoothing(), None),
        (GaussianSmoothing(form="forward"), None),
        (CentralDifference(), None),
        (ScoreFunction(), Gaussian),
    ],
)
def test_answers_of_any_number_type_are_taken_with_the_precision_of_the_parameters(estimator, place, values, dtype):
    x = AT.to(dtype)
    at = x if place is None else place(x, 0.5)
    got, plain = tell(estimator, at, values), tell(estimator, at, torch.tensor(WHOLE, dtype=dtype))
    for a, b in ((got.gradient, plain.gradient), (got.per_unit, plain.per_unit)):
        pairs = zip(a.values(), b.values(), strict=True) if isinstance(a, dict) else [(a, b)]
        for one, other in pairs:
            assert one.dtype == dtype and torch.equal(one, other) and not one.requires_grad
    assert got.value.dtype == dtype and torch.equal(got.value, plain.value)


def test_answers_of_two_parts_are_converted_each():
    query = Backprop(repeat=True).ask(AT, 2, 0)
    e = query.estimator.tell(query, ([1, 2], np.array([[1, 2, 3], [3, 4, 5]])))
    assert e.gradient.tolist() == [2.0, 3.0, 4.0] and float(e.value) == 1.5 and e.gradient.dtype == torch.float64


def test_complex_answers_stay_complex_and_take_the_precision_too():
    query = ComplexStep(step=0.5).ask(AT.float(), 3, 0)
    e = query.estimator.tell(query, [1 + 1j, 2 - 2j, 3 + 0.5j])
    assert e.gradient.tolist() == [2.0, -4.0, 1.0] and e.gradient.dtype == torch.float32
    with pytest.raises(TypeError, match="ComplexStep: values must be complex for a 'complex' query, got real"):
        query.estimator.tell(query, [1.0, 2.0, 3.0])
    with pytest.raises(TypeError, match="GaussianSmoothing: values must be real for a 'value' query, got complex"):
        tell(GaussianSmoothing(), AT, torch.ones(6, dtype=torch.complex128))


@pytest.mark.parametrize("values", (["a"] * 6, None, [[1.0], [1.0, 2.0]], "text"))
def test_answers_that_are_no_numbers_are_refused_by_name(values):
    with pytest.raises(TypeError, match=r"^GaussianSmoothing: values must be numbers, got "):
        tell(GaussianSmoothing(), AT, values)


@pytest.mark.parametrize(("values", "got"), (([1.0] * 5, r"\(5,\)"), (np.ones((6, 1)), r"\(6, 1\)"), (1.0, r"\(\)")))
def test_a_wrong_shape_is_refused_whatever_it_comes_in(values, got):
    with pytest.raises(ValueError, match=rf"GaussianSmoothing: values must be \(6,\), got {got}"):
        tell(GaussianSmoothing(), AT, values)


@pytest.mark.parametrize("evaluations", (64.0, "64", None))
def test_evaluations_that_are_no_integer_are_refused_by_name(evaluations):
    with pytest.raises(TypeError, match=f"^GaussianSmoothing: evaluations must be an integer, got {evaluations!r}"):
        GaussianSmoothing().ask(AT, evaluations, 0)


def test_an_integer_of_numpy_is_one():
    assert GaussianSmoothing().ask(AT, np.int64(64), 0).evaluations == 64


def double_in_place(x):
    return x.mul_(2).square().sum(-1)


def double_in_numpy(x):
    a = x.detach().numpy()  # shares its memory, and torch does not notice
    a *= 2
    return (a**2).sum(-1)


def double(x):
    return (2 * x).square().sum(-1)


def slope(x):
    return x.mul_(8)


@pytest.mark.parametrize("shape", ((3,), (1, 3), (2, 3)))
@pytest.mark.parametrize("evaluations", (1, 4))
@pytest.mark.parametrize(
    ("estimator", "cost"),
    [
        (ForwardGradient(), lambda: Cost(double_in_place)),
        (Backprop(repeat=True), lambda: Cost(double, gradient=slope)),
        (GaussianSmoothing(form="one-point"), lambda: Cost(double_in_numpy)),
    ],
    ids=("jvp", "gradient", "value"),
)
def test_a_cost_that_writes_into_its_argument_leaves_the_parameters_alone(estimator, cost, shape, evaluations):
    at = AT.repeat(*shape[:-1], 1).reshape(shape)
    kept = at.clone()
    e = estimator(cost(), at, evaluations=evaluations, key=3)
    assert torch.equal(at, kept)
    right = estimator(Cost(double, gradient=lambda x: 8 * x), at, evaluations=evaluations, key=3)
    torch.testing.assert_close(e.gradient, right.gradient, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("function", (double_in_place, double_in_numpy))
@pytest.mark.parametrize(
    ("estimator", "at"),
    [
        (ScoreFunction(), Bernoulli(AT)),
        (ScoreFunction(None), Gaussian(AT, 0.5)),
        (Critic(), AT),
    ],
    ids=("bits", "normal", "critic"),
)
def test_a_cost_that_writes_into_its_argument_changes_no_estimate(estimator, at, function):
    wrote, right = (estimator(Cost(f), at, evaluations=20, key=3).gradient for f in (function, double))
    torch.testing.assert_close(wrote, right, rtol=1e-12, atol=1e-12)
