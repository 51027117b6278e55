"""Statistics: values by hand, the exact bootstrap by enumeration, and the coverage that theory predicts."""

import math
import tracemalloc
from functools import partial
from itertools import product
from statistics import NormalDist

import numpy as np
import pytest
from scipy.stats import t as student

from rllab.runs import Record
from rllab.runs.statistics import (
    CHUNK,
    bootstrap_interval,
    iqm,
    mean,
    median,
    median_curve,
    on_grid,
    optimality_gap,
    percentiles,
    performance_profile,
    probability_of_improvement,
    stratified_bootstrap_interval,
)


def test_the_interquartile_mean_drops_a_quarter_at_either_end():
    assert iqm([100, 1, 2, 3, 4, -50, 5, 6]) == (2 + 3 + 4 + 5) / 4
    assert iqm([9, 1, 2, 4, 7]) == (2 + 4 + 7) / 3  # ⌊5/4⌋ = 1
    assert iqm([1, 2, 6]) == 3  # ⌊3/4⌋ = 0
    np.testing.assert_array_equal(iqm([[1, 10], [2, 20], [3, 60], [50, -7]], axis=0), [2.5, 15])
    assert iqm([[1, 10], [2, 20], [3, 60], [50, -7]]) == (2 + 3 + 10 + 20) / 4


def test_means_medians_and_gaps_are_those_worked_out_by_hand():
    scores = [[0.5, 2.0], [0.1, 0.9], [1.0, 0.3]]
    assert median(scores) == pytest.approx((0.5 + 0.9) / 2) and mean(scores) == pytest.approx(4.8 / 6)
    assert optimality_gap(scores) == pytest.approx(1 - (0.5 + 1 + 0.1 + 0.9 + 1 + 0.3) / 6)
    assert optimality_gap(scores, gamma=2) == pytest.approx(2 - 0.8)
    np.testing.assert_allclose(optimality_gap(scores, axis=0), [1 - 1.6 / 3, 1 - 2.2 / 3])


def test_a_profile_is_the_fraction_above_each_threshold():
    scores = [[0.5, 2.0], [0.5, 0.9]]
    np.testing.assert_array_equal(performance_profile(scores, [0, 0.5, 0.7, 0.9, 3]), [1, 0.5, 0.5, 0.25, 0])


def test_improvement_counts_pairs_within_tasks_and_ties_by_half():
    assert probability_of_improvement([1, 3], [2, 2, 3]) == (0 + 0 + 0 + 1 + 1 + 0.5) / 6
    # task 1: 4 of 4 pairs; task 2: 1 of 4. Across tasks, 3 would also beat 2.
    assert probability_of_improvement([[5, 0], [6, 3]], [[1, 2], [2, 4]]) == (1 + 0.25) / 2
    with pytest.raises(ValueError, match="x has 2 tasks, y has 1"):
        probability_of_improvement([[1, 2]], [1])


def test_a_fixed_case_has_the_numbers_of_rliable():
    # computed by rliable 1.2.0; the interval is the mean of three of its runs with 50,000 resamples
    r, t = np.mgrid[0:10, 0:6]
    x = 1 + 0.2 * t + (0.2 + 0.1 * t) * np.sin(1.3 * r + 0.7 * t * t)
    y = (1.1 + 0.15 * t + (0.2 + 0.1 * t) * np.cos(2.1 * r + t))[:8]
    assert iqm(x) == pytest.approx(1.4026511705983296, rel=1e-12)
    assert optimality_gap(x, gamma=1.5) == pytest.approx(0.20089684467066315, rel=1e-12)
    assert probability_of_improvement(x, y) == pytest.approx(0.4916666666666667, rel=1e-12)
    np.testing.assert_allclose(performance_profile(x, [0.8, 1.2, 1.6, 2.4]), [1, 19 / 30, 0.35, 1 / 30], rtol=1e-12)
    # The resampled IQM has sd 0.054, so an end has sd 0.00064 with 50,000 resamples: √0.024375 / (50,000^½ · 1.09).
    # 0.006 is 8 sd of the difference: false alarm below 1e-14.
    ends = stratified_bootstrap_interval(x, key=0, resamples=50_000)
    np.testing.assert_allclose(ends, [1.304106, 1.514609], atol=0.006)


def test_a_diverged_run_is_never_left_out():
    scores = [1.0, 2.0, 3.0, math.nan]
    for statistic in (iqm, mean, median, optimality_gap):
        assert math.isnan(statistic(scores))
    assert math.isnan(probability_of_improvement(scores, [1, 2]))
    assert all(map(math.isnan, bootstrap_interval(scores, key=0)))
    with pytest.raises(ValueError, match="scores must not be NaN"):
        performance_profile(scores, [0])


RESAMPLED, LEVELS = 100_000, (0.3, 0.5, 0.8, 0.9, 0.98)


def assert_ends_are_exact(interval, every):
    """Check interval ends at several levels against the statistic of all equally likely resamples.

    The share of drawn resamples below an exact quantile is off by more than `slack` with probability at most 1e-10
    (Hoeffding, all ends together), so each end lies between the exact quantiles at its level ± slack = 0.011.
    """
    slack = math.sqrt(math.log(2 * 2 * len(LEVELS) / 1e-10) / (2 * RESAMPLED))
    for level in LEVELS:
        ends = interval(key=1, level=level, resamples=RESAMPLED)
        for end, at in zip(ends, ((1 - level) / 2, (1 + level) / 2), strict=True):
            below, above = np.quantile(every, [max(0, at - slack), min(1, at + slack)], method="inverted_cdf")
            assert below - 1e-12 <= end <= above + 1e-12, (level, end, below, above)


VALUES = np.array([0.3, 1.0, 2.7, 7.1])
TASKS = np.array([[0.0, 10.0], [1.0, 13.0], [5.0, 11.0]])


@pytest.mark.parametrize("statistic", [mean, median, iqm])
def test_the_interval_is_that_of_all_resamples(statistic):
    every = np.array([statistic(VALUES[list(chosen)]) for chosen in product(range(4), repeat=4)])
    assert_ends_are_exact(partial(bootstrap_interval, VALUES, statistic), every)


def test_the_stratified_interval_is_that_of_all_resamples_within_tasks():
    draws = [list(chosen) for chosen in product(range(3), repeat=3)]
    every = np.array([mean([*TASKS[one, 0], *TASKS[two, 1]]) for one in draws for two in draws])
    assert_ends_are_exact(partial(stratified_bootstrap_interval, TASKS, mean), every)
    with pytest.raises(AssertionError):  # whole runs drawn, the tasks not by themselves
        assert_ends_are_exact(partial(bootstrap_interval, TASKS.mean(1), mean), every)


RUNS, TRIALS, RESAMPLES, LEVEL = 20, 4000, 400, 0.95
FALSE_ALARM = 1e-9


def theory():
    """Coverage of the percentile interval for the mean of normal runs, with B resamples.

    The bootstrap law of the mean is close to N(x̄, (n−1)/n · s²/n), and the interpolated B-quantile at p stands on
    average at (p(B−1)+1)/(B+1) of it; so coverage = P(|T_{n−1}| < z √((n−1)/n)).
    """
    p = ((1 - LEVEL) / 2 * (RESAMPLES - 1) + 1) / (RESAMPLES + 1)
    z = -NormalDist().inv_cdf(p)
    return 2 * student.cdf(z * math.sqrt((RUNS - 1) / RUNS), RUNS - 1) - 1


def assert_coverage(interval):
    # Trials are independent, so hits are binomial; 0.004 is allowed for the theory, as a bootstrap law is not quite
    # normal (30,000 trials hit 0.9231 of them, theory says 0.9234). A true coverage of 0.87 or less is missed with
    # probability below 1e-5: (0.0534 − 0.0297)/0.0053 = 4.4 sd.
    draws = np.random.default_rng(11)
    hits = 0
    for trial in range(TRIALS):
        low, high = interval(draws.normal(3.0, 2.0, size=RUNS), key=trial)
        hits += low <= 3.0 <= high
    z = -NormalDist().inv_cdf(FALSE_ALARM / 2)
    tolerance = z * math.sqrt(theory() * (1 - theory()) / TRIALS) + 0.004
    assert abs(hits / TRIALS - theory()) < tolerance


def right(scores, key):
    return bootstrap_interval(scores, mean, key=key, level=LEVEL, resamples=RESAMPLES)


def one_tail_sold_as_two(scores, key):
    return bootstrap_interval(scores, mean, key=key, level=1 - 2 * (1 - LEVEL), resamples=RESAMPLES)


def spread_of_runs_not_of_their_mean(scores, key):
    return np.quantile(scores, [0.025, 0.975])


def half_as_many_draws(scores, key):
    chosen = np.random.default_rng(key).integers(RUNS, size=(RESAMPLES, RUNS // 2))
    return np.quantile(scores[chosen].mean(1), [0.025, 0.975])


def test_the_interval_covers_as_often_as_theory_says():
    assert_coverage(right)


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [one_tail_sold_as_two, spread_of_runs_not_of_their_mean, half_as_many_draws])
def test_the_coverage_test_catches(wrong):
    with pytest.raises(AssertionError):
        assert_coverage(wrong)


def test_an_interval_depends_on_its_key_alone():
    scores = np.random.default_rng(0).normal(size=(12, 5))
    first = bootstrap_interval(scores, key=3)
    np.testing.assert_array_equal(first, bootstrap_interval(scores, key=3))
    assert (np.array(first) != np.array(bootstrap_interval(scores, key=4))).any()
    for column in range(5):
        np.testing.assert_array_equal(np.array(first)[:, column], bootstrap_interval(scores[:, column], key=3))


def test_intervals_do_not_depend_on_how_much_is_resampled_at_once(monkeypatch):
    scores = np.random.default_rng(0).normal(size=(12, 5))
    before = bootstrap_interval(scores, key=3), stratified_bootstrap_interval(scores, key=3)
    monkeypatch.setattr("rllab.runs.statistics.CHUNK", 2500)
    after = bootstrap_interval(scores, key=3), stratified_bootstrap_interval(scores, key=3)
    np.testing.assert_array_equal(before[0], after[0])
    assert before[1] == after[1]


def test_infinite_scores_have_infinite_ends_and_a_finite_one_where_enough_are_finite():
    inf = math.inf
    for sign in (1, -1):
        ends = sorted(sign * float(end) for end in bootstrap_interval([sign * s for s in (1, 2, inf)], mean, key=0))
        assert ends[0] < inf == ends[1]  # a resample without the third has probability (2/3)³ = 0.3
    scores = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, inf]
    low, high = bootstrap_interval(scores, median, key=0)
    assert (low, high) == bootstrap_interval([*scores[:7], 1e300], median, key=0) and high < 1e300
    assert stratified_bootstrap_interval([[inf, 1.0], [inf, 2.0]], mean, key=0) == (inf, inf)
    assert [float(end) for end in bootstrap_interval([inf, inf, inf], iqm, key=0)] == [inf, inf]
    assert all(map(math.isnan, bootstrap_interval([inf, -inf, inf], mean, key=0)))  # most resamples hold ∞ − ∞


def test_a_quantile_between_a_number_and_infinity_is_infinite():
    values = np.array([[0.0, -math.inf, 1.0], [1.0, 0.0, 1.0], [math.inf, 2.0, 1.0]])
    low, high = percentiles(values, 0.5)  # at 1/2 and 3/2 of the way through each column
    np.testing.assert_array_equal(low, [0.5, -math.inf, 1.0])
    np.testing.assert_array_equal(high, [math.inf, 1.0, 1.0])


def test_many_scores_take_little_memory():
    scores = np.random.default_rng(0).normal(size=50_000)
    tracemalloc.start()
    low, high = bootstrap_interval(scores, mean, key=0, resamples=400)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 8 * CHUNK < 400 * 8 * len(scores)  # draws, samples, and room for what a statistic makes
    half = 1.96 / math.sqrt(len(scores))
    assert low < scores.mean() < high and abs((high - low) / (2 * half) - 1) < 0.3


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"level": 1.0}, "level must be between 0 and 1, got 1.0"),
        ({"level": 95}, "level must be between 0 and 1, got 95"),
        ({"resamples": 0}, "resamples must be >= 1, got 0"),
    ],
)
def test_wrong_arguments_are_refused(options, why):
    for interval in (bootstrap_interval, stratified_bootstrap_interval):
        with pytest.raises(ValueError, match=why):
            interval(np.ones((3, 2)), key=0, **options)
        with pytest.raises(ValueError, match="there must be >= 2 runs, got 1"):
            interval(np.ones((1, 2)), key=0)
        with pytest.raises(ValueError, match=r"scores must be .* not empty"):
            interval(np.ones((0, 2)), key=0)
    with pytest.raises(ValueError, match=r"must be \(runs, tasks\), got \(3,\)"):
        stratified_bootstrap_interval(np.ones(3), key=0)


def record(folder, rows):
    with Record.create(folder, {}, seed=0) as new:
        for row in rows:
            new.append(row)
    return Record.open(folder)


def test_a_curve_on_a_grid_is_the_last_value_so_far(tmp_path):
    one = record(tmp_path / "1", [{"s": 10, "y": 1.0}, {"s": 15}, {"s": 20, "y": 2.0}, {"s": 20, "y": 2.5}])
    two = record(tmp_path / "2", [{"s": 5, "y": -1.0}, {"s": 30, "y": math.nan}, {"s": 40, "y": 3.0}, {"y": 9.0}])
    empty = record(tmp_path / "3", [])
    grid, nan = [4, 5, 10, 19.5, 20, 30, 40, 41], math.nan
    held = [[nan, nan, 1, 1, 2.5, 2.5, 2.5, 2.5], [nan, -1, -1, -1, -1, nan, 3, 3], [nan] * 8]
    np.testing.assert_array_equal(on_grid([one, two, empty], "s", "y", grid), held)


def test_a_curve_that_runs_backwards_is_refused(tmp_path):
    back = record(tmp_path / "1", [{"s": 10, "y": 1.0}, {"s": 9, "y": 2.0}])
    with pytest.raises(ValueError, match="1: s must never decrease from row to row"):
        on_grid([back], "s", "y", [0])


def test_the_median_of_runs_of_unequal_length_ends_where_half_of_them_have(tmp_path):
    runs = [
        record(tmp_path / str(i), [{"s": s, "y": 10.0 * i + s} for s in range(0, end, 2)])
        for i, end in enumerate((5, 7, 9, 11))  # last rows at 4, 6, 8, 10
    ]
    curve = median_curve(runs, "s", "y", key=0)
    np.testing.assert_array_equal(curve.grid, [0, 2, 4, 6, 8, 10])
    np.testing.assert_array_equal(curve.median, [15, 17, 19, 26, 33, math.nan])  # of 4, 4, 4, 3, 2, 1 runs
    for i, chosen in ((0, [0, 10, 20, 30]), (3, [16, 26, 36]), (4, [28, 38])):
        interval = bootstrap_interval(np.array(chosen, float), median, key=0)
        np.testing.assert_array_equal((curve.low[i], curve.high[i]), interval)
    assert math.isnan(curve.low[5]) and math.isnan(curve.high[5])
    assert (curve.low[:5] <= curve.median[:5]).all() and (curve.median[:5] <= curve.high[:5]).all()


def test_runs_with_rows_at_other_points_are_compared_where_each_last_stood(tmp_path):
    one = record(tmp_path / "1", [{"s": 1, "y": 1.0}, {"s": 3, "y": 3.0}, {"s": 5, "y": 5.0}])
    two = record(tmp_path / "2", [{"s": 2, "y": 10.0}, {"s": 5, "y": 20.0}])
    curve = median_curve([one, two], "s", "y", key=0)
    np.testing.assert_array_equal(curve.grid, [1, 2, 3, 5])
    np.testing.assert_array_equal(curve.median, [math.nan, 5.5, 6.5, 12.5])  # at 1 the second is about to begin
    np.testing.assert_array_equal(np.isnan(curve.low), [True, False, False, False])


def test_runs_that_end_a_step_apart_end_together(tmp_path):
    # whole episodes fill a budget to within a few steps: the median at the end is that of all runs, not of the longest
    runs = [
        record(tmp_path / str(end), [{"s": end - 500, "y": 0.0}, {"s": end, "y": last}])
        for end, last in ((998, 5.0), (1000, 1.0), (999, 5.0))
    ]
    curve = median_curve(runs, "s", "y", key=0)
    np.testing.assert_array_equal(curve.grid, [498, 499, 500, 998, 999, 1000])
    np.testing.assert_array_equal(curve.median, [math.nan, math.nan, 0, 0, 5, 5])


def test_a_diverged_run_breaks_the_median_and_an_empty_one_counts_as_missing(tmp_path):
    one = record(tmp_path / "1", [{"s": 1, "y": 1.0}, {"s": 2, "y": 2.0}])
    two = record(tmp_path / "2", [{"s": 1, "y": 3.0}, {"s": 2, "y": math.nan}])
    np.testing.assert_array_equal(median_curve([one, two], "s", "y", key=0).median, [2, math.nan])
    empty = [record(tmp_path / name, []) for name in "34"]
    np.testing.assert_array_equal(median_curve([one, empty[0]], "s", "y", key=0).median, [1, 2])
    np.testing.assert_array_equal(median_curve([one, *empty], "s", "y", key=0).median, [math.nan] * 2)
    assert median_curve(empty, "s", "y", key=0).grid.shape == (0,)


def test_a_long_curve_is_thinned_but_keeps_its_ends(tmp_path):
    long = record(tmp_path / "1", [{"s": s, "y": 2.0 * s} for s in range(1001)])
    curve = median_curve([long], "s", "y", key=0, points=50)
    assert len(curve.grid) == 50 and curve.grid[0] == 0 and curve.grid[-1] == 1000
    np.testing.assert_array_equal(curve.median, 2 * curve.grid)
