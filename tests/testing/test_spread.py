"""The rule about standard errors: it errs as seldom as it says, and sees a factor where it says it does."""

from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch

from rllab import Key, Target
from rllab.estimators import (
    Backprop,
    CentralDifference,
    Enumeration,
    GaussianSmoothing,
    ScoreFunction,
    Shaped,
    SumAndSample,
)
from rllab.testing import NotTested, Spread, check_estimator
from rllab.testing.power import FALSE_ALARM
from rllab.testing.spread import REPEATS, spread_of
from rllab.testing.subject import choice

RULE = "standard error"


@dataclass(frozen=True)
class Multiplied(GaussianSmoothing):
    """Has a standard error that is a factor too large."""

    factor: float = 100.0

    def _fold(self, query, answered, per_unit, errors):
        e = super()._fold(query, answered, per_unit, errors)
        return e if e.standard_error is None else replace(e, standard_error=self.factor * e.standard_error)


class OfOneUnit(GaussianSmoothing):
    """Forgets to divide by √m."""

    def _fold(self, query, answered, per_unit, errors):
        e = super()._fold(query, answered, per_unit, errors)
        return e if e.standard_error is None else replace(e, standard_error=e.standard_error * query.units**0.5)


class WithoutOne(GaussianSmoothing):
    """Has contributions of several units, and no standard error."""

    def _fold(self, query, answered, per_unit, errors):
        return super()._fold(query, answered, per_unit, False)


@dataclass(frozen=True)
class OfAgreeing(CentralDifference):
    """Has a standard error where nothing scatters, of which a noisy cost makes a hundredth part."""

    repeat: bool = True

    def _fold(self, query, answered, per_unit, errors):
        e = super()._fold(query, answered, per_unit, errors)
        return e if e.standard_error is None else replace(e, standard_error=0.01 * e.standard_error)


@dataclass(frozen=True)
class ShapedTimes(Shaped):
    """A direction whose standard error is a hundred times too large."""

    def _fold(self, query, answered, per_unit, errors):
        e = super()._fold(query, answered, per_unit, errors)
        return e if e.standard_error is None else replace(e, standard_error=100 * e.standard_error)


@pytest.mark.slow
@pytest.mark.parametrize(
    "wrong",
    [
        *(Multiplied(factor=f) for f in (100.0, 3.0, 2.0, 0.5, 0.0)),
        OfOneUnit(),
        WithoutOne(),
        OfAgreeing(),
        ShapedTimes(),
    ],
    ids=str,
)
def test_a_wrong_standard_error_is_caught(wrong):
    for key in range(3):
        with pytest.raises(AssertionError, match=r"^standard error: .*standard error"):
            check_estimator(wrong, key=key, ignores_offset=True, rules=[RULE])
    with pytest.raises(AssertionError):
        check_estimator(wrong, ignores_offset=True)


def test_what_the_wrong_ones_are_made_of_is_right_and_says_what_would_have_been_seen():
    for right in (Multiplied(factor=1.0), CentralDifference(repeat=True), Backprop(repeat=True), ScoreFunction()):
        spread = check_estimator(right, rules=[RULE])[RULE]
        assert isinstance(spread, Spread) and spread.detected < 2
        assert 0.8 < spread.low <= spread.high < 1.25
        assert f"a factor of {spread.detected:.2g} is seen" in str(spread) and "of the spread of 400" in str(spread)
    assert "of a noisy cost" in str(check_estimator(CentralDifference(repeat=True), rules=[RULE])[RULE])


@pytest.mark.parametrize("estimator", (CentralDifference(), Enumeration()), ids=str)
def test_who_gives_none_is_not_asked_and_the_report_says_so(estimator):
    found = check_estimator(estimator, rules=[RULE])[RULE]
    assert found == NotTested("it gives no standard error")
    assert str(found) == "not tested: it gives no standard error"


def test_samples_that_leave_nothing_to_chance_are_not_asked():
    found = check_estimator(SumAndSample(2, None), make_at=choice, rules=[RULE])[RULE]  # of three, one is left
    assert found == NotTested("nothing is left to chance at a small distribution")


def normal_estimates(many: int, repeats: int, units: int, key: Key) -> tuple[torch.Tensor, torch.Tensor]:
    """Return `many` sets of estimates of normal units, and their standard errors, (repeats, many) each."""
    x = torch.randn(units, repeats, many, generator=key.generator(), dtype=torch.float64)
    return x.mean(0), x.std(0) / units**0.5


def test_the_limit_is_that_of_fishers_law_and_a_factor_of_two_is_beyond_it():
    g, se = normal_estimates(40, REPEATS, 16, Key(0))
    for part in range(0, 40, 4):
        columns = slice(part, part + 4)
        spread, chance = spread_of(g[:, columns], se[:, columns], "error", 16)
        assert 0.4 < chance < 0.6 and 1.6 < spread.detected < 2  # where draws are cheap
        for factor in (2.0, 0.5):
            with pytest.raises(AssertionError, match="error must be the spread of 400 estimates within a factor of"):
                spread_of(g[:, columns], factor * se[:, columns], "error", 16)


def test_a_rate_of_a_tenth_is_a_tenth():
    # where it can be counted: without the tolerance, of 300 sets of one component each, 0.1 ± 6.2 sd of a binomial
    n, rate = 300, 0.1
    g, se = normal_estimates(n, 100, 4, Key(1))
    wrong = 0
    for j in range(n):
        try:
            spread_of(g[:, j : j + 1], se[:, j : j + 1], "error", 4, tolerance=1.0, false_alarm=rate)
        except AssertionError:
            wrong += 1
    assert wrong / n <= rate + 6.2 * (rate * (1 - rate) / n) ** 0.5
    assert wrong > 0.02 * n and FALSE_ALARM <= 1e-8


def test_where_nothing_scatters_a_standard_error_is_refused():
    g = torch.ones(REPEATS, 2, dtype=torch.float64)
    g[:, 0] = torch.randn(REPEATS, generator=Key(2).generator(), dtype=torch.float64)
    se = torch.stack((torch.ones(REPEATS), torch.zeros(REPEATS)), -1).double()
    spread_of(g, se, "error", 16)
    with pytest.raises(AssertionError, match=r"error of what does not scatter must be 0, got \[0.125\]"):
        spread_of(g, se + torch.tensor([0.0, 0.125]), "error", 16)


class Kept(GaussianSmoothing):
    """An estimator of a target that is a direction is held to a wider limit, as its numbers depend on each other."""

    target: ClassVar[Target] = Target.direction("none")  # type: ignore[assignment]
    unbiased: ClassVar[bool] = False


def test_a_direction_is_held_to_a_wider_limit_that_the_report_tells():
    spread = check_estimator(Kept(), rules=[RULE])[RULE]
    assert isinstance(spread, Spread) and 3 < spread.detected < 4
