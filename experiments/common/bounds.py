"""How far the mean of bounded numbers can be from their expectation, whatever their law: no z-score of rare events.

    |x̄ − E x| <= √(2 V ln(4/δ)/n) + 7 b ln(4/δ)/(3(n − 1))      with probability >= 1 − δ

for n independent numbers from an interval of length b whose sample variance is V. Source: Maurer & Pontil (2009),
"Empirical Bernstein bounds and sample-variance penalization", theorem 4, applied to both tails.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

LARGEST = 6.56  # no normal number of `rllab.keys` is further from 0
FALSE_ALARM = 1e-9  # of all comparisons of one experiment together


def deviation(variance: ArrayLike, n: int, length: ArrayLike, comparisons: int) -> NDArray[np.float64]:
    """Return the right-hand side for one of `comparisons` that together err with probability FALSE_ALARM."""
    log = math.log(4 * comparisons / FALSE_ALARM)
    return np.sqrt(2 * log / n * np.asarray(variance, float)) + 7 * log / (3 * (n - 1)) * np.asarray(length, float)


def pooled(means: ArrayLike, errors: ArrayLike, m: int) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Return mean and sample variance of all n = k m numbers, from k means of m and their errors, along axis 0.

    Σ x² = m ((m − 1) se² + x̄²) in each group.
    """
    g, se = np.asarray(means, float), np.asarray(errors, float)
    n = len(g) * m
    mean = g.mean(0)
    return mean, np.maximum(m * ((m - 1) * se**2 + (g - mean) ** 2).sum(0), 0) / (n - 1), n
