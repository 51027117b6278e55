"""Comparisons: intervals against all resamples by enumeration, paired differences and areas by hand."""

import math
from itertools import product

import numpy as np
import pytest

from rllab.runs.comparisons import area_under_curve, paired_difference, probability_of_improvement_interval
from rllab.runs.statistics import probability_of_improvement

X, Y = np.array([[1.0, 5.0], [2.0, 4.0], [4.0, 9.0]]), np.array([[2.0, 6.0], [3.0, 4.0]])
RESAMPLED = 100_000


def every_resample():
    """Return the probability of improvement of all equally likely resamples, tasks by themselves."""
    each = []
    for t in range(2):
        pairs = product(product(range(3), repeat=3), product(range(2), repeat=2))
        each.append([probability_of_improvement(X[list(i), t], Y[list(j), t]) for i, j in pairs])
    return np.add.outer(each[0], each[1]).ravel() / 2


def test_the_interval_is_that_of_all_resamples():
    # The share of drawn resamples below an exact quantile is off by more than `slack` with probability 1e-10 at most
    # (Hoeffding, six ends), so each end lies between the exact quantiles at its level ± slack = 0.011.
    slack, levels = math.sqrt(math.log(12 / 1e-10) / (2 * RESAMPLED)), (0.5, 0.8, 0.95)
    options = {"key": 1, "resamples": RESAMPLED}
    ends = [probability_of_improvement_interval(X, Y, level=level, **options) for level in levels]

    def agrees(every):
        for level, interval in zip(levels, ends, strict=True):
            for end, at in zip(interval, ((1 - level) / 2, (1 + level) / 2), strict=True):
                below, above = np.quantile(every, [max(0, at - slack), min(1, at + slack)], method="inverted_cdf")
                assert below - 1e-12 <= end <= above + 1e-12

    agrees(every_resample())
    with pytest.raises(AssertionError):  # runs of the second method are not drawn
        agrees([probability_of_improvement(X[list(i)], Y) for i in product(range(3), repeat=3)])


def test_the_interval_of_a_fixed_case_has_the_numbers_of_rliable():
    # rliable 1.2.0 on the same scores as the fixed case of test_statistics.py says 0.49166… for the point
    r, t = np.mgrid[0:10, 0:6]
    x = 1 + 0.2 * t + (0.2 + 0.1 * t) * np.sin(1.3 * r + 0.7 * t * t)
    y = (1.1 + 0.15 * t + (0.2 + 0.1 * t) * np.cos(2.1 * r + t))[:8]
    low, high = probability_of_improvement_interval(x, y, key=0, resamples=20_000)
    # a sum of six means of independent two-sample U statistics: normal within what is asked, Var from its projections
    variance = 0.0
    for column in range(6):
        wins = (x[:, None, column] > y[None, :, column]).astype(float)
        point, a, b = wins.mean(), wins.mean(1), wins.mean(0)
        rest = wins - a[:, None] - b[None] + point
        variance += a.var() / 10 + b.var() / 8 + (rest**2).mean() / 80  # of the bootstrap, exactly
    half = 1.959964 * math.sqrt(variance) / 6
    np.testing.assert_allclose([low, high], [0.4916667 - half, 0.4916667 + half], atol=0.008)


def test_scores_that_cannot_be_compared_are_refused():
    for x, y, message in (
        ([[1, 2], [3, 4]], [1, 2], "of the same tasks"),
        ([1, math.nan], [1, 2], "must not be NaN"),
        ([1], [1, 2], ">= 2 runs"),
    ):
        with pytest.raises(ValueError, match=f"probability_of_improvement_interval: .*{message}"):
            probability_of_improvement_interval(x, y, key=0)


def test_a_paired_difference_is_that_of_students_sleep_data():
    # Student (1908): hours of sleep gained under two drugs by ten patients; mean 1.58, t = 4.0621 with 9 degrees of
    # freedom, whose 97.5 % quantile is 2.262157; the interval is 1.58 ∓ 0.8799.
    one = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    two = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    found = paired_difference(dict(enumerate(two)), {**dict(enumerate(one)), 99: 5.0})
    assert found.seeds == 10
    np.testing.assert_allclose([found.mean, found.low, found.high], [1.58, 0.7001142, 2.4598858], atol=1e-6)
    alone = paired_difference({3: 2.0}, {3: 1.0})
    assert alone.mean == 1.0 and math.isnan(alone.low)
    with pytest.raises(ValueError, match="must share a seed, got none"):
        paired_difference({0: 1.0}, {1: 1.0})


def test_an_area_is_the_mean_height_of_a_curve_of_steps():
    assert area_under_curve([0, 10, 30], [1.0, 4.0, 100.0]) == (1 * 10 + 4 * 20) / 30
    assert area_under_curve([0, 10, 30], [1.0, 4.0, 100.0], end=40) == (1 * 10 + 4 * 20 + 100 * 10) / 40
    assert area_under_curve([0, 10, 30], [1.0, 4.0, 100.0], end=20) == (1 * 10 + 4 * 10) / 20
    assert area_under_curve([5], [3.0]) == area_under_curve([5], [3.0], end=8) == 3.0
    for x, y, more in (([], [], {}), ([1, 0], [1, 1], {}), ([1], [1, 2], {}), ([4, 5], [1, 2], {"end": 3})):
        with pytest.raises(ValueError, match="area_under_curve: "):
            area_under_curve(x, y, **more)
