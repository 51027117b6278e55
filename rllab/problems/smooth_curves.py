"""Square, Exponential, Bell, Cosine: the smooth curves, analytic, so that `value` also takes complex points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from rllab._special.balls import ball_damping, ball_growth
from rllab.checks import check_positive
from rllab.problems.separable import Separable

_ANALYTIC = frozenset({"value", "gradient", "jvp", "complex"})


@dataclass(frozen=True)
class Square(Separable):
    """k(x) = (x − centre)², J = (μ − centre)² + s²; a ball of radius r adds r²/(d + 2).

    Args:
        centre: where it is 0.
        dimension, average: as for `Separable`.

    Source:
        One of the three curves of Mohamed, Rosca, Figurnov & Mnih (2020), "Monte Carlo gradient estimation in machine
        learning": which estimator has least variance depends on the curve.

    Example:
        import torch
        from rllab import problems

        problems.Square(dimension=3).gradient(torch.ones(1, 3))  # 2, 2, 2
    """

    centre: float = 0.0
    offers: ClassVar[frozenset[str]] = _ANALYTIC
    kernels: ClassVar[tuple[str, ...]] = ("gaussian", "ball")

    def _k(self, x: Tensor) -> Tensor:
        return (x - self.centre) ** 2

    def _slope(self, x: Tensor) -> Tensor:
        return 2 * (x - self.centre)

    def _k_moments(self, mu: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        a = mu - self.centre
        return a * a + s * s, 2 * a, 2 * s

    def _k_ball(self, mu: np.ndarray, r: float, d: int) -> tuple[np.ndarray, np.ndarray]:
        a = mu - self.centre
        return a * a + r * r / (d + 2), 2 * a


@dataclass(frozen=True)
class Exponential(Separable):
    """k(x) = exp(rate x), J = exp(rate μ + rate² s²/2); a ball multiplies by ₀F₁(; d/2 + 1; (rate r)²/4).

    Args:
        rate: of growth, of either sign.
        dimension, average: as for `Separable`.

    Example:
        import torch
        from rllab import problems

        problems.Exponential(rate=0.5).smoothed_value(torch.zeros(1), sigma=0.1)
    """

    rate: float = 1.0
    offers: ClassVar[frozenset[str]] = _ANALYTIC
    kernels: ClassVar[tuple[str, ...]] = ("gaussian", "ball")

    def _k(self, x: Tensor) -> Tensor:
        return torch.exp(self.rate * x)

    def _slope(self, x: Tensor) -> Tensor:
        return self.rate * torch.exp(self.rate * x)

    def _k_moments(self, mu: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        k = self.rate
        with np.errstate(over="ignore"):  # an infinite mean is the truth in float64
            j = np.exp(k * mu + 0.5 * (k * s) ** 2)
        return j, k * j, k * k * s * j

    def _k_ball(self, mu: np.ndarray, r: float, d: int) -> tuple[np.ndarray, np.ndarray]:
        k = self.rate
        j = np.exp(k * mu) * ball_growth(k * r, d)
        return j, k * j


@dataclass(frozen=True)
class Bell(Separable):
    """k(x) = exp(−rate x²), J = exp(−rate μ²/q)/√q, q = 1 + 2 rate s².

    Args:
        rate: > 0, of the decay.
        dimension, average: as for `Separable`.

    Raises:
        TypeError, ValueError: `rate` is no positive number.

    Source:
        One of the three curves of Mohamed, Rosca, Figurnov & Mnih (2020), see `Square`.

    Example:
        import torch
        from rllab import problems

        problems.Bell(rate=2.0).smoothed_gradient(torch.ones(1), sigma=0.1)
    """

    rate: float = 1.0
    offers: ClassVar[frozenset[str]] = _ANALYTIC

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("Bell", rate=self.rate)

    def _k(self, x: Tensor) -> Tensor:
        return torch.exp(-self.rate * x * x)

    def _slope(self, x: Tensor) -> Tensor:
        return -2 * self.rate * x * torch.exp(-self.rate * x * x)

    def _k_moments(self, mu: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        k = self.rate
        q = 1 + 2 * k * s * s
        j = np.exp(-k * mu * mu / q) / np.sqrt(q)
        return j, -2 * k * mu * j / q, j * (2 * k * s / q) * (2 * k * mu * mu / q - 1)


@dataclass(frozen=True)
class Cosine(Separable):
    """k(x) = cos(frequency x), J = e^{−(fs)²/2} cos(fμ), f = frequency; in a ball ₀F₁(; d/2 + 1; −(fr)²/4).

    Args:
        frequency: rad a unit of x.
        dimension, average: as for `Separable`.

    Source:
        One of the three curves of Mohamed, Rosca, Figurnov & Mnih (2020), see `Square`.

    Example:
        import torch
        from rllab import problems

        problems.Cosine(frequency=2.0).smoothed_gradient(torch.ones(1), sigma=0.1)
    """

    frequency: float = 1.0
    offers: ClassVar[frozenset[str]] = _ANALYTIC
    kernels: ClassVar[tuple[str, ...]] = ("gaussian", "ball")

    def _k(self, x: Tensor) -> Tensor:
        return torch.cos(self.frequency * x)

    def _slope(self, x: Tensor) -> Tensor:
        return -self.frequency * torch.sin(self.frequency * x)

    def _k_moments(self, mu: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        k = self.frequency
        e = np.exp(-0.5 * (k * s) ** 2)
        return e * np.cos(k * mu), -k * e * np.sin(k * mu), -k * k * s * e * np.cos(k * mu)

    def _k_ball(self, mu: np.ndarray, r: float, d: int) -> tuple[np.ndarray, np.ndarray]:
        k = self.frequency
        e = ball_damping(k * r, d)
        return e * np.cos(k * mu), -k * e * np.sin(k * mu)
