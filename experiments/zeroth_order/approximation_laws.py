"""Laws of the errors that approximations of the gradient of one function make: no sampling, and no fitting.

    f(x) = Σ_{i <= n/2} (M sin x_{2i−1} + cos x_{2i}) + (L − M)/2n (Σ_j x_j)²        at x = 0, where |g| = M √(n/2)

Source of f: Berahas, Cao, Choromanski & Scheinberg (2022), "A theoretical and empirical comparison of gradient
approximations in derivative-free optimization", section 3.1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

from experiments.common.bounds import FALSE_ALARM

import numpy as np
import torch
from scipy import stats
from torch import Tensor

N, M, L = 20, 1.0, 2.0
NORM = M * math.sqrt(N / 2)  # |g|
THETA, MISSES = 0.5, 0.1  # within θ|g|, but for a share δ of the estimates
ROUNDOFF = torch.finfo(torch.float64).eps / 2
FORWARD_STEP, CENTRAL_STEP = 2 * math.sqrt(ROUNDOFF), (3 * ROUNDOFF) ** (1 / 3)  # without noise, at x = 0


def value(x: Tensor) -> Tensor:
    """Return f at points (k, n), (k,)."""
    waves = M * x[:, 0::2].sin().sum(-1) + x[:, 1::2].cos().sum(-1)
    return waves + (L - M) / (2 * N) * x.sum(-1).square()


def gradient_at_zero() -> Tensor:
    return torch.tensor([M, 0.0] * (N // 2)).double()


def hessian_at_zero() -> np.ndarray:
    return np.diag([0.0, -1.0] * (N // 2)) + (L - M) / N


@cache
def share_within(law: str, m: int) -> float:
    """Return the share of estimates from m directions that are within θ|g|, by the laws above."""
    p = (np.arange(2000) + 0.5) / 2000
    if law == "gaussian":
        s = stats.chi2.ppf(p, m)
        room = np.clip(m**2 * (THETA**2 - (s / m - 1) ** 2) / s, 0, None)
        return float(stats.chi2.cdf(room, N - 1).mean())
    if m >= N:
        return 1.0
    c = stats.beta.ppf(p, m / 2, (N - m) / 2)
    return float((N / m * (N / m - 2) * c + 1 <= THETA**2).mean())


@cache
def directions_needed(law: str) -> int:
    """Return the least number of directions of which a share 1 − δ of the estimates is within θ|g|."""
    return next(m for m in range(1, 10_000) if share_within(law, m) >= 1 - MISSES)


def likely_shares(p: float, n: int, comparisons: int) -> tuple[float, float]:
    """Return the shares of n that leave no more than FALSE_ALARM to the others, in all comparisons together."""
    tail = FALSE_ALARM / (2 * comparisons)
    return float(stats.binom.ppf(tail, n, p)) / n, float(stats.binom.isf(tail, n, p)) / n


@dataclass(frozen=True)
class Stencil:
    """What differences along all axes err by: a bias, and normal noise, all relative to |g|.

    Args:
        bias: squares of its part across (1, …, 1)/√N, and along it.
        variance: of the noise in one direction across, and along; what the differences share makes the latter larger.
    """

    bias: tuple[float, float]
    variance: tuple[float, float]

    @property
    def square(self) -> float:
        """The mean square error."""
        return sum(self.bias) + (N - 1) * self.variance[0] + self.variance[1]

    def deviation(self, n: int, comparisons: int) -> float:
        """Return how far the mean of n squares may be off, all comparisons erring with probability FALSE_ALARM.

        A noncentral χ² of D degrees of freedom and noncentrality B is within 2√((D + 2B)t) + 2t of D + B but for 2e^−t:
        Birgé (2001), "An alternative point of view on Lepski's method", lemma 8.1. Here there are two.
        """
        t = math.log(4 * comparisons / FALSE_ALARM)
        freedom = (n * (N - 1), n)
        parts = zip(freedom, self.bias, self.variance, strict=True)
        return sum(v * (2 * math.sqrt((d + 2 * n * b / v) * t) + 2 * t) for d, b, v in parts) / n


def stencil(method: str, noise: float) -> Stencil:
    """Return what one stencil errs by: the bias computed, the noise by its variance."""
    x, eye = torch.zeros(N).double(), torch.eye(N).double()
    rounded = noise + ROUNDOFF
    if method == "forward-difference":
        h = 2 * math.sqrt(rounded)
        slope, variance = (value(h * eye) - value(x[None])) / h, noise**2 / h**2
        along = (1 + N) * variance  # as all differences share the noise at the centre
    else:
        h = (3 * rounded) ** (1 / 3)
        slope, variance = (value(h * eye) - value(-h * eye)) / (2 * h), noise**2 / (2 * h**2)
        along = variance
    bias = slope - gradient_at_zero()
    shared = float(bias.sum() ** 2) / N
    squares = (float(bias.square().sum()) - shared, shared)
    return Stencil((squares[0] / NORM**2, squares[1] / NORM**2), (variance / NORM**2, along / NORM**2))


def careless_stencil(noise: float) -> Stencil:
    """Return what forward differences err by if their step is made for rounding alone: noise, as no bias is left."""
    across = noise**2 / FORWARD_STEP**2 / NORM**2
    return Stencil((0.0, 0.0), (across, (1 + N) * across))


def rounding(apart: float) -> float:
    """Return the relative error if each of N differences of points so far apart is off by one unit in the last place.

    Each of the two values is within half a unit of f(0) = N/2, and a unit there is 2u times the power of two below.
    """
    unit = 2 * ROUNDOFF * 2.0 ** math.floor(math.log2(N / 2))
    return unit / apart * math.sqrt(N) / NORM
