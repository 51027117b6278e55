"""Censored times: shares and intervals against counts by hand, the line against the law that its times come from."""

import math

from experiments.common import survival
from experiments.common.survival import Times, earlier, exponents, lognormal_line

import numpy as np
import pytest
from scipy.stats import CensoredData, ecdf

NAN = float("nan")


def test_shares_are_those_counted_by_hand_with_ties_and_censored_runs():
    # 2 of 5 succeed at 3, one leaves at 4, one of the 2 left succeeds at 6
    times = Times([3.0, 3.0, NAN, 6.0, NAN], [9.0, 9.0, 4.0, 9.0, 9.0])
    assert [times.interval(t)[0] for t in (2.9, 3.0, 5.9, 6.0, 99.0)] == pytest.approx([0.0, 0.4, 0.4, 0.7, 0.7])
    at, share = times.curve()
    assert at.tolist() == [0, 3, 6, 9] and share == pytest.approx([0, 0.4, 0.7, 0.7])
    assert times.median() == 6.0 and Times([NAN, NAN, 1.0], 5.0).median() == math.inf


def test_the_median_is_where_half_have_come_whatever_the_rounding_of_the_share():
    for n in range(2, 80, 2):  # a product of shares may be 1/2 + 1e-16 at the half
        assert Times(np.arange(1.0, n + 1), n).median() == n / 2


def test_intervals_are_greenwoods_as_scipy_has_them():
    generator = np.random.default_rng(0)
    first = generator.lognormal(size=25)
    times = Times(np.where(first > 1.5, NAN, first), 1.5)
    curve = ecdf(CensoredData(times.seen[times.came], right=times.seen[~times.came])).sf
    ends = curve.confidence_interval(0.95, method="log-log")
    for t in (0.4, 0.9, 1.4):
        share, low, high = times.interval(t)
        assert share == pytest.approx(1 - curve.evaluate(t))
        assert (low, high) == pytest.approx((1 - ends.high.evaluate(t), 1 - ends.low.evaluate(t)))


def test_where_all_or_none_succeed_the_interval_is_wilsons():
    z2 = 1.959963984540054**2
    assert Times([1.0] * 10, 5.0).interval(2.0) == pytest.approx((1.0, 10 / (10 + z2), 1.0))
    assert Times([NAN] * 10, 5.0).interval(5.0) == pytest.approx((0.0, 0.0, z2 / (10 + z2)))


def test_who_succeeds_earlier_is_found_by_direction():
    soon, late = Times(np.arange(1.0, 11.0), 100.0), Times([*np.arange(50.0, 58.0), NAN, NAN], 100.0)
    assert earlier(soon, late) < 1e-4 and earlier(late, soon) > 0.99
    assert earlier(soon, soon) == pytest.approx(0.5)
    assert earlier(Times([NAN], 1.0), Times([NAN], 1.0)) == 1.0
    assert earlier(Times([NAN], 1.0), Times([2.0, 3.0], 5.0)) == 1.0  # nobody succeeds while both are under way


def sample(b, s, runs, limit, seed):
    """Draw times at three sizes, log t = 1 + b log d + s ε."""
    d = np.repeat([10.0, 100.0, 1000.0], runs)
    t = np.exp(1.0 + b * np.log(d) + s * np.random.default_rng(seed).standard_normal(len(d)))
    return d, Times(np.where(t > limit, NAN, t), limit)


def test_the_line_finds_the_exponent_though_the_slow_runs_are_cut_off():
    # half of the largest size is cut off: median e · 1000^0.5 = 86
    d, times = sample(0.5, 0.6, 4000, 86.0, seed=0)
    line = lognormal_line(d, times)
    # without censoring b has the standard error s/√Σ(x − x̄)² = 0.0029, s has s/√(2n) = 0.004: limits are far wider
    assert abs(line.exponent - 0.5) < 0.024 and abs(line.scale - 0.6) < 0.06
    finished = Times(times.first[times.came], times.limit[times.came])
    left_out = lognormal_line(d[times.came], finished).exponent  # the wrong version: unfinished runs dropped
    assert left_out < 0.5 - 0.04
    set_to_limit = lognormal_line(d, Times(times.seen, times.limit)).exponent  # and the other one
    assert set_to_limit < 0.5 - 0.024


def test_resampled_exponents_surround_the_estimate_and_follow_the_key():
    d, times = sample(0.5, 0.4, 10, 1e9, seed=1)
    found = exponents(d, times, key=0, resamples=60)
    assert (found == exponents(d, times, key=0, resamples=60)).all()
    # least squares, where nothing is censored: its standard error is s/√Σ(x − x̄)²
    x = np.log(d)
    error = 0.4 / math.sqrt(((x - x.mean()) ** 2).sum())
    assert 0.3 * error < found.std() < 2.0 * error
    assert found.min() < lognormal_line(d, times).exponent < found.max()
    assert lognormal_line(d, times).exponent == pytest.approx(np.polyfit(x, np.log(times.first), 1)[0], abs=1e-3)


def test_bad_times_are_refused():
    with pytest.raises(ValueError, match="no time after its limit"):
        Times([2.0], 1.0)
    with pytest.raises(ValueError, match="one run or more"):
        Times([], 1.0)
    with pytest.raises(ValueError, match="two values or more at which a run succeeded"):
        survival.lognormal_line([1.0, 2.0], Times([1.0, NAN], 3.0))
