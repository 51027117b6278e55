"""Criteria of the lecture's rows: which numbers hold, and that no NaN does."""

import itertools
import math

from experiments.common.acceptance import AtLeast, AtMost, Equals, Within, furthest, largest, least

import pytest

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("criterion", "good", "bad"),
    [
        (AtLeast(2), (2, 3, INF), (1.9, -INF, NAN)),
        (AtMost(2), (2, 1, -INF), (2.1, INF, NAN)),
        (Within(2, 3), (2, 2.5, 3), (1.9, 3.1, -INF, INF, NAN)),
        (Equals(0), (0, -0.0), (5e-324, 1, INF, NAN)),
    ],
    ids=str,
)
def test_a_criterion_holds_up_to_its_bounds_and_never_for_nan(criterion, good, bad):
    assert all(map(criterion.holds, good)) and not any(map(criterion.holds, bad))
    for number in bad:
        assert not criterion.holds(criterion.worst([*good, number]))
    assert criterion.worst(good) in good


def test_the_largest_least_and_furthest_of_numbers_are_nan_wherever_one_is():
    assert (largest(1, -3, 2), least(1, -3, 2), furthest([1, -3, 2], 2)) == (2, -3, -3)
    for numbers in itertools.permutations([NAN, 1.0, 2.0]):
        assert all(map(math.isnan, (largest(*numbers), least(*numbers), furthest(numbers, 1.5))))


@pytest.mark.parametrize("make", [lambda: AtLeast(NAN), lambda: Equals(NAN), lambda: Within(0, NAN)])
def test_a_criterion_of_nan_is_refused(make):
    with pytest.raises(ValueError, match="must be a number, got nan"):
        make()


def test_an_empty_interval_is_refused():
    with pytest.raises(ValueError, match="Within: low must be below high, got 3 and 2"):
        Within(3, 2)
