"""What `tell` takes from whoever evaluates elsewhere, and what a cost may do to its argument."""

import numpy as np
import pytest
import torch

from rllab import Bernoulli, Cost, Gaussian
from rllab.batches import as_numbers
from rllab.critics import Critic
from rllab.estimators import (
    Backprop,
    CentralDifference,
    ComplexStep,
    ForwardGradient,
    GaussianSmoothing,
    MuProp,
    Pathwise,
    Rebar,
    ScoreFunction,
    SobolSmoothing,
    SphereSmoothing,
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
def test_answers_of_any_number_type_give_estimates_with_the_precision_of_the_parameters(
    estimator, place, values, dtype
):
    x = AT.to(dtype)
    at = x if place is None else place(x, 0.5)
    got, plain = tell(estimator, at, values), tell(estimator, at, torch.tensor(WHOLE, dtype=dtype))
    for a, b in ((got.gradient, plain.gradient), (got.per_unit, plain.per_unit)):
        pairs = zip(a.values(), b.values(), strict=True) if isinstance(a, dict) else [(a, b)]
        for one, other in pairs:
            assert one.dtype == dtype and not one.requires_grad
            most = float(other.abs().max())  # means in either precision differ by their rounding
            torch.testing.assert_close(one, other, rtol=0, atol=4 * torch.finfo(dtype).eps * most)
    as_given = as_numbers(values).dtype
    wide = torch.promote_types(as_given if as_given.is_floating_point else torch.float64, dtype)
    assert got.value.dtype == wide
    torch.testing.assert_close(got.value.to(dtype), plain.value, rtol=4 * torch.finfo(dtype).eps, atol=0)


FAR = 1e8  # where numbers in single precision are 8 apart


@pytest.mark.parametrize("dtype", (torch.float32, torch.bfloat16))
@pytest.mark.parametrize(
    ("estimator", "place"),
    [
        (GaussianSmoothing(0.5), None),
        (GaussianSmoothing(0.5, "forward"), None),
        (CentralDifference(0.5), None),
        (ScoreFunction(), Gaussian),
    ],
)
def test_answers_that_differ_less_than_parameters_can_tell_are_differenced_as_they_came(estimator, place, dtype):
    at = AT.to(dtype) if place is None else place(AT.to(dtype), 0.5)
    far, near = (tell(estimator, at, [w + offset for w in WHOLE]) for offset in (FAR, 0))
    both = ((e.gradient if place is None else e.gradient["mean"]) for e in (far, near))
    torch.testing.assert_close(*both, rtol=4 * torch.finfo(dtype).eps, atol=0)
    assert far.value.dtype == torch.float64 and abs(float(far.value - FAR - near.value)) < 1e-6


def test_the_query_of_another_estimator_is_refused():
    query = GaussianSmoothing(0.1).ask(AT, 6, 0)
    for other in (GaussianSmoothing(0.2), SphereSmoothing(0.1), GaussianSmoothing(0.1, "one-point")):
        with pytest.raises(ValueError, match=rf"^{type(other).__name__}: query must be one of .*, got one of Gaussian"):
            other.tell(query, WHOLE)
    own, equal = (e.tell(query, WHOLE).gradient for e in (query.estimator, GaussianSmoothing(0.1)))
    assert torch.equal(own, equal)


@pytest.mark.parametrize("estimator", (Rebar(), MuProp(), Pathwise(), Backprop(repeat=True)))
@pytest.mark.parametrize("batch", ((), (2,)))
def test_a_value_beside_a_given_gradient_is_within_what_may_be_spent(estimator, batch):
    x = AT.expand(*batch, 3)
    at = Gaussian(x, 0.5) if isinstance(estimator, Pathwise) else x if isinstance(estimator, Backprop) else Bernoulli(x)
    given, plain = (Cost(double, gradient=g, relaxed=True) for g in (slope, None))
    e = estimator(given, at, evaluations=13, key=0)
    each, members = 2 if "value" in estimator.needs else 1, sum(batch) or 1
    assert given.evaluated == e.evaluations * members <= 13 * members
    assert (
        each * estimator.minimum(at) == estimator.minimum(at, given)
        and estimator.price(given, at, 13, 0) <= 13 * members
    )
    half = estimator(plain, at, evaluations=13 // each, key=0)  # the same points
    assert half.evaluations * each == e.evaluations
    pairs = zip(*(g.values() if isinstance(g, dict) else [g] for g in (e.gradient, half.gradient)), strict=True)
    assert all(torch.allclose(a, b, rtol=1e-12, atol=1e-12) for a, b in pairs)


def test_too_few_evaluations_for_a_value_beside_a_given_gradient_are_refused():
    with pytest.raises(ValueError, match="Rebar: evaluations must be >= 6, got 5: a value beside a given gradient"):
        Rebar()(Cost(double, gradient=slope, relaxed=True), Bernoulli(AT), evaluations=5, key=0)


@pytest.mark.parametrize("wrong", (torch.nan, torch.inf))
def test_a_score_that_is_no_number_is_refused_as_a_cost_is(wrong):
    class Odd(Gaussian):
        def score_sums(self, once, twice, x, noise):
            first, second = super().score_sums(once, twice, x, noise)
            return first | {"scale": first["scale"] * wrong}, second

    at, cost = Odd(AT, 0.5), Cost(double)
    says = "^ScoreFunction: the gradient by 'scale' is not finite though all costs are"
    with pytest.raises(FloatingPointError, match=says):
        ScoreFunction()(cost, at, evaluations=6, key=0)
    with pytest.raises(FloatingPointError, match=says):
        ScoreFunction().tell(ScoreFunction().ask(at, 6, 0), WHOLE)


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


@pytest.mark.parametrize("evaluations", (64.5, float("nan"), float("inf"), "64", None, True))
def test_evaluations_that_are_not_whole_are_refused_by_name(evaluations):
    with pytest.raises(
        (TypeError, ValueError), match=rf"^GaussianSmoothing: evaluations must be .*, got {evaluations!r}"
    ):
        GaussianSmoothing().ask(AT, evaluations, 0)


def test_whole_numbers_are_counts_whatever_their_type():
    cost = Cost(double)
    for evaluations in (64, 64.0, np.float32(64), np.int64(64)):
        assert GaussianSmoothing().ask(AT, evaluations, 0).evaluations == 64
        assert GaussianSmoothing()(cost, AT, evaluations=evaluations, key=0).evaluations == 64
    assert SobolSmoothing(group=4.0) == SobolSmoothing(group=4) and type(SobolSmoothing(group=4.0).group) is int
    with pytest.raises(ValueError, match=r"SobolSmoothing: group must be an integer >= 1, got 4\.5"):
        SobolSmoothing(group=4.5)


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
