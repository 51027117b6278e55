"""Flat, Linear, Quadratic: smoothing leaves their gradient as it is, and the variance of its estimates is known.

    f = c + a·(x − m) + (x − m)ᵀH(x − m)/2        f_σ = f + σ² tr H/2 (Gaussian), f + r² tr H/(2(d + 2)) (ball)

Trace of the covariance of one unit of Gaussian smoothing at θ, p = |∇f(θ)|², q = (tr H)² + 2 tr H²:
    antithetic  p (d+1)        forward  p (d+1) + σ² (d+4) q/4        one-point  forward + d f(θ)²/σ² + f(θ) tr H (d+2)
from E[(a·u)²|u|²] = (d+2)|a|², E[uᵀHu |u|²] = (d+2) tr H, E[(uᵀHu)²|u|²] = (d+4) q. m units divide it by m.
The antithetic form is that of Nesterov & Spokoiny (2017), "Random gradient-free minimization of convex functions".
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from rllab.checks import check_positive
from rllab.problems.base import NormalMoments, Problem, vector

Form = Literal["antithetic", "forward", "one-point"]


@dataclass(frozen=True)
class Polynomial(Problem):
    """Base of the polynomials of degree two and less; subclasses say what c, a, m and H are."""

    dimension: int = field(default=2, kw_only=True)  # type: ignore[assignment]
    offset: float = field(default=0.0, kw_only=True)
    offers: ClassVar[frozenset[str]] = frozenset({"value", "gradient", "jvp", "complex"})
    kernels: ClassVar[tuple[str, ...]] = ("gaussian", "ball")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not math.isfinite(self.offset):
            raise ValueError(f"{self._name}: offset must be finite, got {self.offset!r}")

    @abstractmethod
    def _coefficients(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """a (d,), m (d,), H (d, d) or, if it is diagonal, (d,)."""

    def smoothing_variance(self, at: Tensor, sigma: float, form: Form = "antithetic") -> Tensor:
        """Return the trace of the covariance of one unit of Gaussian smoothing, at (d,) or (B, d), as () or (B,)."""
        check_positive(f"{self._name}.smoothing_variance", sigma=sigma)
        sigma = float(sigma)
        if form not in ("antithetic", "forward", "one-point"):
            raise ValueError(f'{self._name}: form must be "antithetic", "forward" or "one-point", got {form!r}')
        x = self._at(f"{self._name}.smoothing_variance", at).double()
        f, p, h = self._value(x), self._gradient(x).square().sum(-1), self._coefficients()[2]
        trace, trace_of_square = float(np.sum(_diagonal(h))), float((h * h).sum())
        d, q = self.dimension, trace**2 + 2 * trace_of_square
        variance = p * (d + 1)
        if form != "antithetic":
            variance = variance + sigma**2 * (d + 4) * q / 4
        if form == "one-point":
            variance = variance + d * f.square() / sigma**2 + f * trace * (d + 2)
        return variance.reshape(at.shape[:-1]).to(at)

    def _value(self, x: Tensor) -> Tensor:
        a, m, h = (torch.as_tensor(c).to(x) for c in self._coefficients())
        y = x - m
        return self.offset + y @ a + 0.5 * (y * _product(y, h)).sum(-1)

    def _gradient(self, x: Tensor) -> Tensor:
        a, m, h = (torch.as_tensor(c).to(x) for c in self._coefficients())
        return a + _product(x - m, h)

    def _gaussian(self, who: str, mean: np.ndarray, scale: np.ndarray) -> NormalMoments:
        x, h = torch.from_numpy(mean), _diagonal(self._coefficients()[2])
        return NormalMoments(self._value(x).numpy() + 0.5 * (scale**2 @ h), self._gradient(x).numpy(), h * scale)

    def _ball(self, at: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
        x, h = torch.from_numpy(at), _diagonal(self._coefficients()[2])
        return self._value(x).numpy() + radius**2 * h.sum() / (2 * (self.dimension + 2)), self._gradient(x).numpy()


@dataclass(frozen=True)
class Flat(Polynomial):
    """f = offset. One-point estimates of its gradient, 0, have variance d offset²/σ²; the other forms have none.

    Args:
        offset: the cost everywhere.
        dimension: number of coordinates.

    Example:
        import torch
        from rllab import problems

        problems.Flat().gradient(torch.ones(1, 2))  # 0, 0
    """

    offset: float = field(default=1.0, kw_only=True)

    def _coefficients(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        zero = np.zeros(self.dimension)
        return zero, zero, zero


@dataclass(frozen=True)
class Linear(Polynomial):
    """f = offset + slope·x.

    Args:
        slope: one number for all coordinates, or one each.
        offset: the cost at 0.
        dimension: number of coordinates.

    Example:
        import torch
        from rllab import problems

        problems.Linear(slope=(1.0, 2.0)).gradient(torch.ones(1, 2))  # 1, 2
    """

    slope: float | tuple[float, ...] = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self._coefficients()

    def _coefficients(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        zero = np.zeros(self.dimension)
        return vector("Linear: slope", self.slope, self.dimension), zero, zero


@dataclass(frozen=True)
class Quadratic(Polynomial):
    """f = offset + (x − centre)ᵀH(x − centre)/2.

    Args:
        curvature: H, symmetric: one number for c·I, d numbers for its diagonal, or d rows of d numbers.
        centre: one number for all coordinates, or one each.
        offset: the cost at the centre.
        dimension: number of coordinates.

    Example:
        import torch
        from rllab import problems

        problems.Quadratic(curvature=(1.0, 4.0)).gradient(torch.ones(1, 2))  # 1, 4
    """

    curvature: float | tuple[float, ...] | tuple[tuple[float, ...], ...] = 1.0
    centre: float | tuple[float, ...] = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self._coefficients()

    def _coefficients(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        d = self.dimension
        h = np.array(self.curvature, dtype=np.float64)
        if h.shape not in ((), (d,), (d, d)) or not np.isfinite(h).all() or (h.ndim == 2 and (h != h.T).any()):
            raise ValueError(
                f"Quadratic: curvature must be a finite number, dimension = {d} of them, or a symmetric matrix of "
                f"{d} rows, got {self.curvature!r}"
            )
        h = h if h.ndim == 2 else np.full(d, h)
        return np.zeros(d), vector("Quadratic: centre", self.centre, d), h


def _diagonal(h: np.ndarray) -> np.ndarray:
    return h.diagonal() if h.ndim == 2 else h


def _product(y: Tensor, h: Tensor) -> Tensor:
    return y @ h if h.ndim == 2 else y * h
