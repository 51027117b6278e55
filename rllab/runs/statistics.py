"""Statistics over runs: robust averages, bootstrap intervals, and what to compare methods by.

Source: Agarwal, Schwarzer, Castro, Courville & Bellemare (2021), "Deep reinforcement learning at the edge of the
statistical precipice", section 4 and appendix A; the names are those of their library rliable. Intervals are
percentile bootstrap intervals: Efron & Tibshirani (1993), "An introduction to the bootstrap", section 13.3.

Scores are (runs,) or (runs, tasks), the larger the better. A NaN among them makes the result NaN, or is refused: a run
that diverged is not left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rllab.keys import Key, as_key
from rllab.runs.record import Record

Array = NDArray[np.float64]
Statistic = Callable[..., Array]  # called as statistic(samples, axis=1), reduces that axis

CHUNK = 1 << 22  # numbers resampled at once
ENOUGH = 10  # seeds: a bootstrap of fewer is narrower than it says


def iqm(scores: ArrayLike, axis: int | None = None) -> Array:
    """Return the interquartile mean: the mean of what is left without the lowest and the highest quarter.

    Args:
        axis: what to average over; None for all runs and tasks together. Of n scores ⌊n/4⌋ are dropped at either end.
    """
    x = _scores("iqm", scores)
    if axis is None:
        x, axis = x.ravel(), 0
    n = x.shape[axis]
    first, end = n // 4, n - n // 4
    # a NaN is sorted to the end, and dropped there
    kept = np.moveaxis(np.partition(x, (first, end - 1), axis), axis, 0)[first:end]
    return np.where(np.isnan(x).any(axis), np.nan, kept.mean(0))


def median(scores: ArrayLike, axis: int | None = None) -> Array:
    """Return the median, by default of all runs and tasks together; rliable's first averages over each task's runs."""
    return np.asarray(np.median(_scores("median", scores), axis=axis))


def mean(scores: ArrayLike, axis: int | None = None) -> Array:
    """Return the mean."""
    return np.asarray(np.mean(_scores("mean", scores), axis=axis))


def optimality_gap(scores: ArrayLike, gamma: float = 1.0, axis: int | None = None) -> Array:
    """Return γ − mean min(x, γ): by how much the scores miss γ, what exceeds it counting nothing. Less is better."""
    return np.asarray(gamma - np.mean(np.minimum(_scores("optimality_gap", scores), gamma), axis=axis))


def performance_profile(scores: ArrayLike, thresholds: ArrayLike) -> Array:
    """Return, for every threshold τ, the fraction of runs (on tasks) whose score is above τ; (thresholds,)."""
    x = np.sort(_scores("performance_profile", scores), axis=None)
    if np.isnan(x).any():
        raise ValueError("performance_profile: scores must not be NaN; give a run that diverged the score it deserves")
    return 1 - np.searchsorted(x, np.asarray(thresholds, float), side="right") / x.size


def probability_of_improvement(x: ArrayLike, y: ArrayLike) -> float:
    """Return P(X > Y) + P(X = Y)/2 for a run of each method on the same task, averaged over tasks.

    Args:
        x, y: scores of either method, (runs,) or (runs, tasks); the numbers of runs may differ.
    """
    a, b = (_scores("probability_of_improvement", scores) for scores in (x, y))
    a, b = (scores[:, None] if scores.ndim == 1 else scores for scores in (a, b))
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"probability_of_improvement: x has {a.shape[1]} tasks, y has {b.shape[1]}")
    a, b = a[:, None], b[None]
    pairs = np.where(np.isnan(a) | np.isnan(b), np.nan, (a > b) + 0.5 * (a == b))
    return float(pairs.mean())


def bootstrap_interval(
    scores: ArrayLike,
    statistic: Statistic = iqm,
    *,
    key: Key | int,
    level: float = 0.95,
    resamples: int = 2000,
) -> tuple[Array, Array]:
    """Return the percentile interval of a statistic over runs, for each column by itself.

    A score may be infinite. Between a finite value and an infinite one an end is infinite, and where a resample has
    no statistic, as ∞ − ∞ in a mean, it is NaN. Memory: that of `CHUNK` numbers, or of one resample if that is more,
    and of the resampled statistics.

    Args:
        scores: (runs, …); whole runs are drawn with replacement, the same for all columns.
        statistic: reduces the axis it is told to, as `iqm`, `median` and `mean` do.
        level: the nominal coverage; with few runs the true one is less (for the mean of 10 normal runs 0.90 of 0.95).
    Returns:
        lower and upper ends, each (…).
    """
    x = _scores("bootstrap_interval", scores)
    n = len(x)
    check_interval("bootstrap_interval", n, level, resamples)
    draw, columns = np.random.default_rng(as_key(key).integer()), x.reshape(n, -1)
    most = min(resamples, max(1, CHUNK // n))
    step = max(1, CHUNK // (most * n))  # the same in each round: how numpy adds depends on the width
    values = []
    for i in range(0, resamples, most):
        draws = draw.integers(n, size=(min(most, resamples - i), n))
        parts = [_of(statistic, columns[:, j : j + step][draws]) for j in range(0, columns.shape[1], step)]
        values.append(np.concatenate(parts, axis=1))
    low, high = percentiles(np.concatenate(values), level)
    return low.reshape(x.shape[1:]), high.reshape(x.shape[1:])


def stratified_bootstrap_interval(
    scores: ArrayLike,
    statistic: Statistic = iqm,
    *,
    key: Key | int,
    level: float = 0.95,
    resamples: int = 2000,
) -> tuple[float, float]:
    """Return the percentile interval of a statistic of all runs and tasks together.

    Args:
        scores: (runs, tasks); runs are drawn with replacement for each task by itself, so each task keeps its weight.
        statistic: reduces the axis it is told to.
        level, resamples: as for `bootstrap_interval`.
    """
    x = _scores("stratified_bootstrap_interval", scores)
    if x.ndim != 2:
        raise ValueError(f"stratified_bootstrap_interval: scores must be (runs, tasks), got {x.shape}")
    runs, tasks = x.shape
    check_interval("stratified_bootstrap_interval", runs, level, resamples)
    draw = np.random.default_rng(as_key(key).integer())
    step = max(1, CHUNK // x.size)
    values = []
    for i in range(0, resamples, step):
        chosen = draw.integers(runs, size=(min(step, resamples - i), runs, tasks))
        samples = x[chosen, np.arange(tasks)]
        values.append(_of(statistic, samples.reshape(len(samples), -1)))
    low, high = percentiles(np.concatenate(values), level)
    return float(low), float(high)


def on_grid(records: Sequence[Record], x: str, y: str, grid: ArrayLike) -> Array:
    """Return each run's curve on common points: the value of its last row at or before them.

    Args:
        x, y: names of columns; rows without either are passed over, a value of NaN is kept.
        grid: the points, (points,).
    Returns:
        (runs, points), NaN before a run's first row; after its last one the value of that, whether it finished or not.
    Raises:
        ValueError: if a run's x ever decreases.
    """
    return _held([curve_of(record, x, y) for record in records], np.asarray(grid, float))


def curve_of(record: Record, x: str, y: str) -> tuple[Array, Array]:
    """Return the columns x and y of the rows that have both, each (rows,).

    Raises:
        ValueError: if x ever decreases, or either holds text.
    """
    xs, ys = record.column(x), record.column(y)
    both = record.columns.there(x) & record.columns.there(y)
    xs, ys = xs[both], ys[both]
    if not (np.diff(xs) >= 0).all() or np.isnan(xs).any():
        raise ValueError(f"{record.folder}: {x} must never decrease from row to row")
    return xs, ys


@dataclass(frozen=True, eq=False)
class MedianCurve:
    """What several runs of one method look like together; all arrays are (points,).

    Args:
        grid: every x at which some run has a row, thinned if there are many.
        median: over the runs that have begun and not ended; NaN where those are fewer than half of all.
        low, high: ends of the 95 % bootstrap interval of the median; NaN where the median is, or where only one run is.
    """

    grid: Array
    median: Array
    low: Array
    high: Array


def median_curve(records: Sequence[Record], x: str, y: str, *, key: Key | int, points: int = 400) -> MedianCurve:
    """Summarise runs of unequal length without pretending: a run counts from its first row to its last.

    Runs whose rows are at slightly different x begin and end together: a last value counts for as long as the one
    before it did, and there is no median where a run is about to begin, within the distance of its first two rows.
    A value of NaN in any counted run makes the median NaN there. With few runs the interval is too narrow: that of 5
    cannot reach beyond the lowest and highest run, which hold the median between them with probability 1 − 2⁻⁴.
    """
    return median_of_curves([curve_of(record, x, y) for record in records], key=key, points=points)


def median_of_curves(curves: Sequence[tuple[Array, Array]], *, key: Key | int, points: int = 400) -> MedianCurve:
    """Do the same for curves that are there as numbers.

    Args:
        curves: x, which never decreases, and y, each (rows,), of every run.
        key: of the bootstrap.
        points: of the grid, at most.
    """
    ends = [_counted(xs) for xs, _ in curves]
    every = np.unique(np.concatenate([xs for xs, _ in curves]))
    if len(every) > points:
        every = every[np.linspace(0, len(every) - 1, points).round().astype(int)]
    values = _held(curves, every)
    soon, first, last, end = np.array(ends).T[:, :, None]
    counted = (first <= every) & ((every <= last) | (every < end))
    counted[:, ((soon < every) & (every < first)).any(0)] = False
    curve = MedianCurve(every, *np.full((3, len(every)), np.nan))
    patterns, which = np.unique(counted, axis=1, return_inverse=True)
    which = which.reshape(-1)  # numpy 2.0.0 alone returns (1, points)
    for i, pattern in enumerate(patterns.T):
        here, chosen = which == i, values[pattern][:, which == i]
        if 2 * len(chosen) < len(curves):
            continue
        curve.median[here] = median(chosen, axis=0)
        if len(chosen) > 1:
            curve.low[here], curve.high[here] = bootstrap_interval(chosen, median, key=key)
    return curve


def _counted(xs: Array) -> tuple[float, float, float, float]:
    """Return after where a run is about to begin, its first and last x, and before where its last value counts."""
    if not len(xs):
        return np.inf, np.inf, -np.inf, -np.inf
    before, after = (xs[1] - xs[0], xs[-1] - xs[-2]) if len(xs) > 1 else (0.0, 0.0)
    return xs[0] - before, xs[0], xs[-1], xs[-1] + after


def _held(curves: Sequence[tuple[Array, Array]], points: Array) -> Array:
    """Return each curve at common points, (curves, points): the value of its last row at or before them."""
    values = np.full((len(curves), len(points)), np.nan)
    for value, (xs, ys) in zip(values, curves, strict=True):
        last = np.searchsorted(xs, points, side="right") - 1
        known = last >= 0
        value[known] = ys[last[known]]
    return values


def _scores(who: str, scores: ArrayLike) -> Array:
    x = np.asarray(scores, float)
    if x.ndim == 0 or x.size == 0:
        raise ValueError(f"{who}: scores must be (runs, …) and not empty, got {x.shape}")
    return x


def check_interval(who: str, runs: int, level: float, resamples: int) -> None:
    if not 0 < level < 1:
        raise ValueError(f"{who}: level must be between 0 and 1, got {level}")
    if resamples < 1:
        raise ValueError(f"{who}: resamples must be >= 1, got {resamples}")
    if runs < 2:
        raise ValueError(f"{who}: there must be >= 2 runs, got {runs}")


def _of(statistic: Statistic, samples: Array) -> Array:
    with np.errstate(invalid="ignore"):  # ∞ − ∞ is NaN, and said to be
        return statistic(samples, axis=1)


def percentiles(values: Array, level: float) -> Array:
    """Return quantiles at (1 ∓ level)/2 of the first axis, between neighbours as numpy interpolates them."""
    at = [(1 - level) / 2, (1 + level) / 2]
    if np.isfinite(values).all():
        return np.quantile(values, at, axis=0)
    below, above = (np.quantile(values, at, axis=0, method=method) for method in ("lower", "higher"))
    with np.errstate(invalid="ignore"):
        ends, sums = np.quantile(values, at, axis=0), below + above
    finite = np.isfinite(below) & np.isfinite(above)
    # numpy takes the difference of neighbours, which is NaN from infinity to infinity
    return np.where(finite, ends, np.where(below == above, below, sums))
