"""Times to a first success of which some did not come: censored, never left out and never set to the limit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rllab.keys import Key, as_key
from rllab.runs.survival import SurvivalCurve, kaplan_meier


class Times:
    """Say when each run first succeeded.

    Args:
        first: of each run, (runs,); NaN where it did not come.
        limit: how long each run went on, (runs,) or one number for all: what a missing time is censored at.

    Raises:
        ValueError: there is no run, or a time is after its limit.

    Example:
        from experiments.common.survival import Times

        times = Times([900.0, float("nan"), 1200.0], 5000.0)
        times.interval(1000.0)[0]  # 1/3
    """

    def __init__(self, first: ArrayLike, limit: ArrayLike):
        self.first = np.asarray(first, float)
        if self.first.ndim != 1 or len(self.first) == 0:
            raise ValueError(f"Times: first must be (runs,), of one run or more, got {self.first.shape}")
        self.limit = np.broadcast_to(np.asarray(limit, float), self.first.shape)
        if (self.first > self.limit).any() or not (self.limit > 0).all():
            raise ValueError("Times: limits must be positive and no time after its limit")

    @property
    def came(self) -> np.ndarray:
        """Whether each run succeeded, (runs,)."""
        return ~np.isnan(self.first)

    @property
    def seen(self) -> np.ndarray:
        """Return the time of each run, or its limit, (runs,)."""
        return np.where(self.came, self.first, self.limit)

    @property
    def survival(self) -> SurvivalCurve:
        """Return the share of runs that have not succeeded, at each time at which one does, with 95 % intervals."""
        return kaplan_meier(self.seen, self.came)

    def interval(self, at: float) -> tuple[float, float, float]:
        """Return the share of runs that succeed by a time, and the ends of its 95 % interval.

        Where all runs have succeeded, or none, the interval of Kaplan and Meier says nothing, and it is Wilson's for a
        share.

        Source: E. B. Wilson (1927), "Probable inference, the law of succession, and statistical inference".
        """
        from scipy.special import ndtri  # scipy.stats takes a second to load

        found = self.survival
        last = int(np.searchsorted(found.times, at, side="right")) - 1
        share = found.share[last] if last >= 0 else 1.0
        if 0.0 < share < 1.0:
            return float(1.0 - share), float(1.0 - found.high[last]), float(1.0 - found.low[last])
        n, p, z = len(self.seen), float(1.0 - share), float(ndtri(0.975))
        middle, half = (p + z * z / (2 * n)) / (1 + z * z / n), z / (1 + z * z / n) * (z * z / (4 * n * n)) ** 0.5
        return p, max(0.0, middle - half), min(1.0, middle + half)

    def curve(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the times and shares of the steps of 1 − S, from (0, 0) to the longest limit, each (points,)."""
        found = self.survival
        share = np.array([1.0, *found.share])
        return np.array([0.0, *found.times, self.limit.max()]), 1.0 - np.append(share, share[-1])

    def median(self) -> float:
        """Return the first time by which half the runs have succeeded; infinite if it did not come."""
        return self.survival.median[0]


def earlier(a: Times, b: Times) -> float:
    """Return p of the one-sided log-rank test that a succeeds earlier than b.

    It is 1 where a never succeeds, and where nothing can be compared.

    Runs are compared at each success, of those that are still under way then: after the last limit of either there is
    nothing to compare.

    Source: N. Mantel (1966), "Evaluation of survival data and two new rank order statistics arising in its
    consideration".
    """
    if not a.came.any():
        return 1.0
    from scipy.stats import CensoredData, logrank  # which takes a second to load

    sides = [CensoredData(times.seen[times.came], right=times.seen[~times.came]) for times in (a, b)]
    with np.errstate(invalid="ignore"):  # no success while both are under way
        p = float(logrank(*sides, alternative="greater").pvalue)
    return 1.0 if np.isnan(p) else p


@dataclass(frozen=True)
class Line:
    """log t = a + b log d + s ε, ε ~ N(0, 1).

    Attributes:
        intercept: a.
        exponent: b.
        scale: s.
    """

    intercept: float
    exponent: float
    scale: float


def lognormal_line(d: ArrayLike, times: Times) -> Line:
    """Fit how times grow with a size d, by maximum likelihood; a run that did not succeed counts as P(t > limit).

        ℓ = Σ_came log φ(z)/s + Σ_censored log Φ(−z),    z = (log t − a − b log d)/s

    Args:
        d: size of each run, (runs,), of two values or more.
        times: of each run.
    Returns:
        The estimates; consistent where the times are log-normal, biased towards small scales with few runs.
    Raises:
        ValueError: fewer than two sizes have a success, so that there is no exponent.
    """
    from scipy.optimize import minimize
    from scipy.special import log_ndtr

    x, y, came = np.log(np.asarray(d, float)), np.log(times.seen), times.came
    if len(np.unique(x[came])) < 2:
        raise ValueError("lognormal_line: d must have two values or more at which a run succeeded")
    slope, start = np.polyfit(x[came], y[came], 1)
    design = np.stack((np.ones_like(x), x))

    def minus(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        """Return −ℓ without its constant, and its gradient by a, b, log s."""
        s = np.exp(parameters[2])
        z = (y - parameters[:2] @ design) / s
        value = (0.5 * z[came] ** 2 + parameters[2]).sum() - log_ndtr(-z[~came]).sum()
        # −∂ℓ/∂z: z where a run succeeded, φ(z)/Φ(−z) where it was cut off
        slope = np.where(came, z, np.exp(-0.5 * z * z - log_ndtr(-z)) / np.sqrt(2 * np.pi))
        by_scale = (came - slope * z).sum()
        return float(value), np.append(-(design @ slope) / s, by_scale)

    scale = max(float((y[came] - start - slope * x[came]).std()), 0.05)
    found = minimize(minus, (start, slope, np.log(scale)), jac=True, method="BFGS")
    a, b, log_s = found.x
    return Line(float(a), float(b), float(np.exp(log_s)))


def exponents(d: ArrayLike, times: Times, *, key: Key | int, resamples: int = 500) -> np.ndarray:
    """Return bootstrap exponents, (resamples,): runs are drawn again within each size.

    A resample of which fewer than two sizes have a success has none, NaN.
    """
    d, draw = np.asarray(d, float), np.random.default_rng(as_key(key).integer())
    groups = [np.flatnonzero(d == size) for size in np.unique(d)]
    found = np.full(resamples, np.nan)
    for i in range(resamples):
        chosen = np.concatenate([draw.choice(group, len(group)) for group in groups])
        again = Times(times.first[chosen], times.limit[chosen])
        if len(np.unique(d[chosen][again.came])) >= 2:
            found[i] = lognormal_line(d[chosen], again).exponent
    return found
