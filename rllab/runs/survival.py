"""How long runs take to reach a threshold, where some never do: censored times and their Kaplan–Meier curve."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rllab.runs.record import Record
from rllab.runs.statistics import curve_of

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SurvivalCurve:
    """The share of runs that have not reached a threshold yet; all arrays are (times,).

    Args:
        times: at which at least one run reached it, ascending.
        at_risk: runs that had neither reached it nor ended before that time.
        events: how many reached it then.
        share: Ŝ, the share that has not reached it after that time; unbiased up to runs that ended early.
        error: Greenwood's standard error of it.
        low, high: ends of its 95 % interval.
    """

    times: Array
    at_risk: Array
    events: Array
    share: Array
    error: Array
    low: Array
    high: Array

    @property
    def median(self) -> tuple[float, float, float]:
        """The first time at which half of the runs have reached it, with its interval; infinity where it is not known.

        Its upper end is not known with six runs or fewer, nor where all reach it at once, though each of them does:
        where the share is 0 it has no interval.

        Source: Brookmeyer & Crowley (1982), "A confidence interval for the median survival time": all times at which
        the interval of the share holds 1/2.
        """
        low = np.where(np.isnan(self.low), self.share, self.low)
        return self._first(self.share), self._first(low), self._first(self.high)

    def _first(self, share: Array) -> float:
        below = np.flatnonzero(share <= 0.5 + 1e-12)
        return float(self.times[below[0]]) if below.size else math.inf


def steps_to_threshold(
    records: Sequence[Record], threshold: float, *, x: str = "steps", y: str = "evaluation"
) -> tuple[Array, NDArray[np.bool_]]:
    """Return the first x at which each run's y is at least a threshold, or its last x if it never is.

    Args:
        records: runs, each with rows of both columns.
        threshold: of y; the larger the better.
        x, y: columns.

    Returns:
        times, (runs,), and whether it was reached, (runs,); where it was not, the run is censored: it had not by then.
        A run without any row is censored at 0.

    Raises:
        ValueError: a run's x decreases.
    """
    return times_to_threshold([curve_of(record, x, y) for record in records], threshold)


def times_to_threshold(curves: Sequence[tuple[Array, Array]], threshold: float) -> tuple[Array, NDArray[np.bool_]]:
    """Do the same for curves that are there as numbers, x and y of every run."""
    times, reached = np.zeros(len(curves)), np.zeros(len(curves), bool)
    for i, (xs, ys) in enumerate(curves):
        there = np.flatnonzero(ys >= threshold)
        reached[i] = there.size > 0
        times[i] = xs[there[0]] if there.size else xs[-1] if xs.size else 0.0
    return times, reached


def kaplan_meier(times: ArrayLike, reached: ArrayLike) -> SurvivalCurve:
    """Estimate the share of runs that have not reached a threshold yet, where some ended before they did.

        Ŝ(t) = Π_{t_i <= t} (1 − d_i/n_i)           Var Ŝ(t) ≈ Ŝ(t)² Σ_{t_i <= t} d_i / (n_i (n_i − d_i))

    d_i of the n_i runs that are at risk reach it at t_i; a run that is censored at t_i is still at risk there. The
    interval is normal for log(−log Ŝ), so that it stays within 0 and 1; where Ŝ is 0 it has none, NaN.

    Args:
        times: (runs,), when each reached it or ended.
        reached: (runs,), whether it reached it.

    Returns:
        The estimate, at each time at which a run reached it.

    Raises:
        ValueError: there is no run, shapes differ, or a time is negative or no finite number.

    Example:
        from rllab.runs.survival import kaplan_meier

        kaplan_meier([6, 7, 9, 10], [True, True, False, True]).share  # 3/4, 1/2, 0

    Source: Kaplan & Meier (1958), "Nonparametric estimation from incomplete observations"; Greenwood (1926), "The
    natural duration of cancer"; the interval: Kalbfleisch & Prentice (1980), "The statistical analysis of failure time
    data", section 1.3.
    """
    from scipy.special import ndtri  # scipy.stats takes a second to load

    t, seen = np.asarray(times, float), np.asarray(reached, bool)
    if t.ndim != 1 or t.shape != seen.shape or not t.size:
        raise ValueError(f"kaplan_meier: times and reached must be (runs,), got {t.shape} and {seen.shape}")
    if not (np.isfinite(t) & (t >= 0)).all():
        raise ValueError(f"kaplan_meier: times must be finite and >= 0, got {t}")
    at, d = np.unique(t[seen], return_counts=True)
    n = len(t) - np.searchsorted(np.sort(t), at, side="left")
    share = np.cumprod(1 - d / n)
    with np.errstate(divide="ignore", invalid="ignore"):
        hazard = np.sqrt(np.cumsum(d / (n * (n - d))))  # Σ d/n(n − d), its root
        # log(−log Ŝ) ± z √(Σ d/n(n − d)) / |log Ŝ|
        width = np.exp(ndtri(0.975) * hazard / -np.log(share))
        error, low, high = share * hazard, share**width, share ** (1 / width)
    share, error, low, high = (np.asarray(part, np.float64) for part in (share, error, low, high))
    gone = share <= 0
    error[gone], low[gone], high[gone] = 0.0, np.nan, np.nan
    return SurvivalCurve(at, n.astype(float), d.astype(float), share, error, low, high)
