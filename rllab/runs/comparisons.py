"""Comparisons of two methods: over all pairs of runs, seed by seed, and by the area under their curves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rllab.keys import Key, as_key
from rllab.runs.statistics import check_interval, percentiles

Array = NDArray[np.float64]


def probability_of_improvement_interval(
    x: ArrayLike, y: ArrayLike, *, key: Key | int, level: float = 0.95, resamples: int = 2000
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of P(X > Y) + P(X = Y)/2, averaged over tasks.

    Runs are drawn with replacement, of each method and for each task by itself. With few runs it is too narrow: where
    every run of one method is above every run of the other it has no width at all.

    Args:
        x, y: scores of either method, (runs,) or (runs, tasks); the numbers of runs may differ, two or more each.
        key: of the bootstrap.
        level: the nominal coverage.
        resamples: how many.

    Returns:
        Lower and upper end.

    Raises:
        ValueError: the tasks differ in number, a score is NaN, or there are fewer than two runs.

    Source: Agarwal et al. (2021), "Deep reinforcement learning at the edge of the statistical precipice", section 4.3.
    """
    who = "probability_of_improvement_interval"
    a, b = (np.asarray(scores, float) for scores in (x, y))
    a, b = (scores[:, None] if scores.ndim == 1 else scores for scores in (a, b))
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(f"{who}: x and y must be (runs, tasks) of the same tasks, got {a.shape} and {b.shape}")
    if np.isnan(a).any() or np.isnan(b).any():
        raise ValueError(f"{who}: scores must not be NaN; give a run that diverged the score it deserves")
    check_interval(who, min(len(a), len(b)), level, resamples)
    draw = np.random.default_rng(as_key(key).integer())
    values = np.zeros(resamples)
    for t in range(a.shape[1]):
        wins = (a[:, None, t] > b[None, :, t]) + 0.5 * (a[:, None, t] == b[None, :, t])
        # how often each run is drawn: the mean over drawn pairs is a bilinear form
        drawn = [draw.multinomial(n, np.full(n, 1 / n), size=resamples) / n for n in wins.shape]
        values += np.einsum("ri,ij,rj->r", drawn[0], wins, drawn[1]) / a.shape[1]
    low, high = percentiles(values, level)
    return float(low), float(high)


@dataclass(frozen=True)
class PairedDifference:
    """By how much one method's score is above another's, seed by seed.

    Args:
        seeds: on how many both have a score.
        mean: of the differences; it estimates E[X − Y] without bias.
        low, high: ends of Student's 95 % interval of the mean, NaN with one seed; exact if differences are normal.
    """

    seeds: int
    mean: float
    low: float
    high: float


def paired_difference(x: Mapping[int, float], y: Mapping[int, float]) -> PairedDifference:
    """Compare two methods by the differences d = x − y of their scores under the same seed.

        d̄ ± t_{n−1} s_d / √n

    What a seed does to both alike, its start or its data, cancels: the interval is then shorter than that of two
    means.

    Args:
        x, y: scores by seed; seeds that only one of them has are passed over.

    Raises:
        ValueError: no seed is in both.

    Source: Student (1908), "The probable error of a mean".
    """
    from scipy.special import stdtrit  # scipy.stats takes a second to load

    shared = sorted(set(x) & set(y))
    if not shared:
        raise ValueError("paired_difference: x and y must share a seed, got none")
    d = np.array([x[seed] - y[seed] for seed in shared], float)
    n, mean = len(d), float(d.mean())
    half = float(stdtrit(n - 1, 0.975) * d.std(ddof=1) / math.sqrt(n)) if n > 1 else math.nan
    return PairedDifference(n, mean, mean - half, mean + half)


def area_under_curve(x: ArrayLike, y: ArrayLike, *, end: float | None = None) -> float:
    """Return the area under a curve for each unit of x: its mean value from the first point to the end.

        1/(x_end − x_0) Σ_i y_i (x_{i+1} − x_i)         a value holds until the next point

    Args:
        x: (points,), never decreasing.
        y: (points,).
        end: where the curve ends; by default at its last point. Beyond that its last value holds.

    Returns:
        The mean value; where the curve has no length, that of its last point.

    Raises:
        ValueError: there is no point, x decreases, the shapes differ, or the end lies before the first point.
    """
    xs, ys = np.asarray(x, float), np.asarray(y, float)
    if xs.ndim != 1 or xs.shape != ys.shape or not xs.size or not (np.diff(xs) >= 0).all():
        raise ValueError(
            f"area_under_curve: x and y must be (points,), x never decreasing, got {xs.shape} and {ys.shape}"
        )
    stop = xs[-1] if end is None else float(end)
    if not stop >= xs[0]:
        raise ValueError(f"area_under_curve: end must be >= the first point {xs[0]:g}, got {stop:g}")
    widths = np.diff(np.minimum(np.append(xs, max(stop, xs[-1])), stop))
    wide = widths > 0  # a value that holds for no time counts nothing, even if it is NaN
    return float(ys[wide] @ widths[wide] / widths.sum()) if wide.any() else float(ys[-1])
