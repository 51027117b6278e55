"""Relu, Absolute, Clip, Plateau: continuous curves with kinks, on which the pathwise estimator is still unbiased.

With R(z) = E max(0, z + u) = z Φ(z) + φ(z):
    clip(x, lo, hi) = lo + relu(x − lo) − relu(x − hi)            min(|x|, p) = clip(x, 0, p) + clip(−x, 0, p)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import erf
from torch import Tensor

from rllab._special.normal import cdf, interval, pdf, positive_part
from rllab.checks import check_positive
from rllab.problems.separable import Separable


@dataclass(frozen=True)
class Relu(Separable):
    """k(x) = max(0, x − edge), J = s R(z), z = (μ − edge)/s.

    Args:
        edge: where the kink is.
        dimension, average: as for `Separable`.

    Example:
        import torch
        from rllab import problems

        problems.Relu().smoothed_gradient(torch.zeros(1), sigma=0.5)  # 1/2
    """

    edge: float = 0.0

    def _k(self, x: Tensor) -> Tensor:
        return (x - self.edge).clamp(min=0)

    def _slope(self, x: Tensor) -> Tensor:
        return (x > self.edge).to(x)

    def _k_moments(self, mu: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        z = (mu - self.edge) / s
        return s * positive_part(z), cdf(z), pdf(z)


@dataclass(frozen=True)
class Absolute(Separable):
    """k(x) = |x|, J = μ (2Φ(z) − 1) + 2 s φ(z), z = μ/s.

    Args:
        dimension, average: as for `Separable`.

    Example:
        import torch
        from rllab import problems

        problems.Absolute(dimension=2).smoothed_gradient(torch.tensor([0.0, 1.0]), sigma=0.5)  # 0 and nearly 1
    """

    def _k(self, x: Tensor) -> Tensor:
        return x.abs()

    def _slope(self, x: Tensor) -> Tensor:
        return x.sign()

    def _k_moments(self, mu: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        z = mu / s
        sign = erf(z / math.sqrt(2))  # = 2Φ(z) − 1
        return mu * sign + 2 * s * pdf(z), sign, 2 * pdf(z)


@dataclass(frozen=True)
class Clip(Separable):
    """k(x) = min(max(x, low), high), flat on both sides.

    Args:
        low, high: between which x is kept, low < high.
        dimension, average: as for `Separable`.

    Raises:
        ValueError: `low` is not below `high`, or one of them is not finite.

    Example:
        import torch
        from rllab import problems

        problems.Clip().value(torch.tensor([[-2.0], [0.5], [2.0]]))  # -1, 0.5, 1
    """

    low: float = -1.0
    high: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"Clip: low must be below high, both finite, got {self.low!r} and {self.high!r}")

    def _k(self, x: Tensor) -> Tensor:
        return x.clamp(self.low, self.high)

    def _slope(self, x: Tensor) -> Tensor:
        return ((x > self.low) & (x < self.high)).to(x)

    def _k_moments(self, mu: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return _clip_moments(mu, s, self.low, self.high)


@dataclass(frozen=True)
class Plateau(Separable):
    """k(x) = min(|x|, width): a basin of that half-width in a plain without gradient.

    Args:
        width: half of the basin's, > 0.
        dimension, average: as for `Separable`.

    Raises:
        TypeError, ValueError: `width` is no positive number.

    Example:
        import torch
        from rllab import problems

        problems.Plateau().gradient(torch.tensor([[0.5], [3.0]]))  # 1 and 0
    """

    width: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("Plateau", width=self.width)

    def _k(self, x: Tensor) -> Tensor:
        return x.abs().clamp(max=self.width)

    def _slope(self, x: Tensor) -> Tensor:
        return torch.where(x.abs() < self.width, x.sign(), torch.zeros_like(x))

    def _k_moments(self, mu: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        right, left = (_clip_moments(side, s, 0.0, self.width) for side in (mu, -mu))
        return right[0] + left[0], right[1] - left[1], right[2] + left[2]


def _clip_moments(mu: np.ndarray, s: np.ndarray, lo: float, hi: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """E clip(x, lo, hi) and its derivatives, written from the nearer end so that only tails are subtracted."""
    z_lo, z_hi = (mu - lo) / s, (mu - hi) / s
    from_low = lo + s * (positive_part(z_lo) - positive_part(z_hi))
    from_high = hi - s * (positive_part(-z_hi) - positive_part(-z_lo))
    middle = 0.5 * (lo + hi)
    inside = interval((mu - middle) / s, 0.5 * (hi - lo) / s, np.where(mu < middle, -z_lo, z_hi))
    return np.where(mu < middle, from_low, from_high), inside.probability, inside.pdf
