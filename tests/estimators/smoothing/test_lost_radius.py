"""A radius or step that rounding takes away is an error, not a gradient that is surely zero; and so is no number."""

import re

import pytest
import torch

from rllab import Cost
from rllab.estimators import (
    SPSA,
    CentralDifference,
    ForwardDifference,
    GaussianSmoothing,
    GuidedSmoothing,
    LinearInterpolation,
    OrthogonalSmoothing,
    SobolSmoothing,
    SphereSmoothing,
)

ONES = torch.ones(3)
PROBES = [
    *(cls(1e-9, form) for cls in (GaussianSmoothing, SPSA, SphereSmoothing) for form in ("antithetic", "forward")),
    OrthogonalSmoothing(1e-9),
    SobolSmoothing(1e-9),
    GuidedSmoothing(1e-9),
]


def line(x):
    return x @ torch.arange(1, x.shape[-1] + 1, dtype=x.dtype)


def ask(estimator, at, f=line):
    return estimator(Cost(f), at, evaluations=20, key=0)


@pytest.mark.parametrize("at", (ONES, torch.stack((ONES * 0, ONES))), ids=("one", "the second of two"))
@pytest.mark.parametrize("estimator", PROBES, ids=str)
def test_a_radius_that_is_lost_to_rounding_is_named_with_one_that_is_not(estimator, at):
    argument = "sigma" if hasattr(estimator, "sigma") else "radius"
    says = rf"^{type(estimator).__name__}: {argument} is lost to rounding at a parameter of size 1 .*, got 1e-09"
    with pytest.raises(ValueError, match=says) as caught:
        ask(estimator, at)
    least = float(re.search(r"at least (\S+),", str(caught.value))[1])
    enough = type(estimator)(**{argument: least})
    assert bool(ask(enough, ONES).gradient.abs().max() > 0)


@pytest.mark.parametrize("estimator", PROBES, ids=str)
def test_a_plateau_where_probes_move_is_flat_and_no_error(estimator):
    at = ONES.double()
    assert torch.equal(ask(estimator, at, lambda x: torch.floor(x.sum(-1) + 0.5)).gradient, at * 0)


def test_a_step_that_is_lost_is_named_by_interpolation_too():
    at = torch.tensor([0.3, 1e8], dtype=torch.float64)
    with pytest.raises(
        ValueError, match=r"LinearInterpolation: step is lost to rounding .* at least 2.1e-08, got 1e-09"
    ):
        ask(LinearInterpolation(step=1e-9), at)
    ask(LinearInterpolation(step=1.0), at)


@pytest.mark.parametrize("wrong", ("a", None, [0.1]))
@pytest.mark.parametrize("cls", (GaussianSmoothing, SPSA, SphereSmoothing, OrthogonalSmoothing, SobolSmoothing))
def test_a_radius_that_is_no_number_is_named(cls, wrong):
    argument = "sigma" if hasattr(cls(), "sigma") else "radius"
    with pytest.raises(TypeError, match=rf"^{cls.__name__}: {argument} must be a number, got {re.escape(repr(wrong))}"):
        cls(wrong)


@pytest.mark.parametrize("cls", (CentralDifference, ForwardDifference, LinearInterpolation))
def test_a_step_that_is_no_number_is_named(cls):
    with pytest.raises(TypeError, match=rf"^{cls.__name__}: step must be a number, or None for .*, got 'auto'"):
        cls("auto")
    with pytest.raises(TypeError, match=rf"^{cls.__name__}: noise must be a number, got None"):
        cls(noise=None)
