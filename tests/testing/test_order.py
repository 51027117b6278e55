"""The rule about the order of a bias, and that the default problem tells radii and kernels apart."""

from dataclasses import dataclass, replace
from typing import ClassVar

import pytest

from rllab import Target
from rllab.estimators import (
    Backprop,
    CentralDifference,
    ComplexStep,
    ForwardDifference,
    GaussianSmoothing,
    LinearInterpolation,
    OrthogonalSmoothing,
    SphereSmoothing,
)
from rllab.testing import NotTested, Order, Power, check_estimator


class Boasting(CentralDifference):
    order: ClassVar[int | None] = 9


class Modest(CentralDifference):
    order: ClassVar[int | None] = 1


class OneSided(ForwardDifference):
    order: ClassVar[int | None] = 2


class Doubled(CentralDifference):
    def _fold(self, query, answered, per_unit, errors):
        estimate = super()._fold(query, answered, per_unit, errors)
        return replace(estimate, gradient=2 * estimate.gradient)


@pytest.mark.parametrize("wrong", (Boasting(), Modest(), OneSided()), ids=lambda e: type(e).__name__)
def test_a_wrong_order_is_caught(wrong):
    with pytest.raises(AssertionError, match=r"^order: halving step must divide the bias by about 2\^"):
        check_estimator(wrong, rules=["order"])


def test_a_factor_that_no_step_mends_is_told_by_its_length():
    """Twice the gradient: at both steps the bias is about as long as the gradient."""
    with pytest.raises(
        AssertionError, match=r"got 2\^-?0\.0\d: it is (0\.9|1)\S* and (0\.9|1)\S* times the gradient's length"
    ):
        check_estimator(Doubled(), rules=["order"])


@pytest.mark.parametrize("right", (CentralDifference(0.01), ComplexStep(), ForwardDifference()), ids=str)
def test_the_orders_of_differences_are_measured(right):
    order = check_estimator(right, rules=["order"])["order"]
    assert isinstance(order, Order) and abs(order.measured - order.declared) < 0.1
    assert f"and the order is {right.order}" in str(order)


@pytest.mark.parametrize(
    ("estimator", "why"),
    [
        (GaussianSmoothing(), "it declares no order"),
        (LinearInterpolation(), "it is too noisy for its bias to show"),
    ],
    ids=str,
)
def test_where_an_order_is_not_measured_the_report_says_why(estimator, why):
    assert check_estimator(estimator, rules=["order"])["order"] == NotTested(why)


class Exact(Backprop):
    order: ClassVar[int | None] = 2


def test_an_order_in_nothing_that_has_a_name_of_a_step_is_not_measured():
    found = check_estimator(Exact(), rules=["order"])["order"]
    assert "step, sigma, radius" in str(found)


@dataclass(frozen=True)
class OtherRadius(GaussianSmoothing):
    """Says another radius than it steps by."""

    said: float = 0.11

    @property
    def target(self):
        return Target.smoothed("gaussian", self.said)


class OtherKernel(SphereSmoothing):
    @property
    def target(self):
        return Target.smoothed("gaussian", self.radius)


class NoRadius(GaussianSmoothing):
    """Says that it estimates the gradient where it is."""

    target: ClassVar[Target] = Target.gradient()  # type: ignore[assignment]


class OtherSigns(OrthogonalSmoothing):
    @property
    def target(self):
        return Target.smoothed("ball", self.radius)


@pytest.mark.parametrize(
    "wrong",
    [
        *(OtherRadius(said=said) for said in (0.11, 0.09, 1.5)),
        OtherKernel(),
        NoRadius(),
        OtherSigns(law="hadamard"),
    ],
    ids=str,
)
def test_a_wrong_radius_or_kernel_is_caught_on_the_problem_of_the_lab(wrong):
    with pytest.raises(AssertionError, match=r"^unbiased: the mean of .*Ridge"):
        check_estimator(wrong, rules=["unbiased"])


class UnknownKernel(GaussianSmoothing):
    @property
    def target(self):
        return Target.smoothed("one of my own", self.sigma)


class Halved(UnknownKernel):
    def _fold(self, query, answered, per_unit, errors):
        e = super()._fold(query, answered, per_unit, errors)
        return replace(e, gradient=0.5 * e.gradient)


def test_a_kernel_without_a_closed_form_is_measured_on_a_quadratic():
    power = check_estimator(UnknownKernel(), rules=["unbiased"])["unbiased"]
    assert isinstance(power, Power) and "Quadratic" in power.of
    with pytest.raises(AssertionError, match=r"^unbiased: the mean of .*Quadratic"):
        check_estimator(Halved(), rules=["unbiased"])


def test_a_claim_that_is_not_made_is_not_tested_and_the_report_says_what_to_do():
    found = check_estimator(CentralDifference(), rules=["unbiased"])["unbiased"]
    assert isinstance(found, NotTested) and "measure_quality(..., truth=Target.gradient())" in str(found)
