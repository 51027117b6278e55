"""The rules about precision, torch's modes and others' queries: each names the estimator that breaks it."""

from dataclasses import replace

import pytest
import torch

from rllab.estimators import Enumeration, GaussianSmoothing, LinearInterpolation, ScoreFunction
from rllab.testing import check_estimator


class Narrowing(GaussianSmoothing):
    """Rounds costs to the parameters' precision before it takes differences."""

    def _fold(self, query, answered, per_unit, errors):
        return super()._fold(query, ((block, f.to(query.at.dtype)) for block, f in answered), per_unit, errors)


class Widening(GaussianSmoothing):
    """Returns a gradient as wide as the costs were."""

    def _fold(self, query, answered, per_unit, errors):
        e = super()._fold(query, answered, per_unit, errors)
        return replace(e, gradient=e.gradient.to(e.value.dtype))


class Unfit(GaussianSmoothing):
    """Has an operation that torch does not have in half precision."""

    def _plan(self, at):
        torch.linalg.svdvals(torch.eye(2, dtype=at.dtype))
        return super()._plan(at)


class Overflowing(GaussianSmoothing):
    """Has a sum that runs over in half precision."""

    def _fold(self, query, answered, per_unit, errors):
        e = super()._fold(query, answered, per_unit, errors)
        large = torch.full_like(e.gradient, 2.0**100)
        return replace(e, gradient=e.gradient * large / large)


class FollowingTheDefault(GaussianSmoothing):
    """Makes numbers of torch's default dtype."""

    def _fold(self, query, answered, per_unit, errors):
        e = super()._fold(query, answered, per_unit, errors)
        third = torch.ones(1) / 3
        return replace(e, gradient=(e.gradient * third.double()).to(e.gradient.dtype))


class DrawingInTheDefault(GaussianSmoothing):
    """Draws signs from numbers of torch's default dtype."""

    def _directions(self, query, i, first, shape):
        uniform = torch.rand(shape, generator=query.key.child("direction", i).generator())
        return (2.0 * (uniform < 0.5) - 1).to(query.at)


class Trusting(GaussianSmoothing):
    """Answers anybody's query."""

    def tell(self, query, values, *, per_unit=False, errors=True):
        return super().tell(replace(query, estimator=self), values, per_unit=per_unit, errors=errors)


@pytest.mark.parametrize(
    ("rule", "mutant"),
    [
        ("wide costs", Narrowing()),
        ("wide costs", Widening()),
        ("half precision", Unfit()),
        ("half precision", Overflowing()),
        ("modes", FollowingTheDefault()),
        ("modes", DrawingInTheDefault()),  # of a few draws the signs may be the same
        ("own queries", Trusting()),
    ],
    ids=lambda v: v if isinstance(v, str) else type(v).__name__,
)
def test_the_broken_estimator_is_caught_by_the_name_of_the_rule(rule, mutant):
    with pytest.raises(AssertionError, match=rf"^{rule}: .*{type(mutant).__name__}.*; the rule: "):
        check_estimator(mutant, ignores_offset=True, rules=[rule])


@pytest.mark.parametrize("rule", ("wide costs", "half precision", "modes", "own queries"))
@pytest.mark.parametrize(
    "estimator", (GaussianSmoothing(), LinearInterpolation(), Enumeration(), ScoreFunction()), ids=str
)
def test_right_estimators_keep_them(rule, estimator):
    check_estimator(estimator, ignores_offset=True, rules=[rule])
