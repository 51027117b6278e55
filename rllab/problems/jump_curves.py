"""Steps and Staircase: piecewise constant curves. Their derivative is 0 almost everywhere, that of their mean is not.

J_μ = E k′(x) + Σ_j [k(a_j+) − k(a_j−)] φ((a_j − μ)/s)/s          the sum is the bias of the pathwise estimator
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from rllab._special.balls import ball_cdf, ball_pdf
from rllab._special.normal import cdf, pdf
from rllab.problems.base import vector
from rllab.problems.separable import Separable


@dataclass(frozen=True)
class Steps(Separable):
    """k(x) = Σ_j heights_j 1[x >= edges_j], J = Σ_j heights_j Φ((μ − edges_j)/s); by default one step at 0.

    Args:
        edges: where it jumps.
        heights: by how much: one number for all edges, or one each.
        dimension, average: as for `Separable`.

    Raises:
        ValueError: `edges` are not one or more finite numbers, or `heights` does not fit.

    Example:
        import torch
        from rllab import problems

        problems.Steps((0.0, 1.0)).value(torch.tensor([[-1.0], [0.5], [2.0]]))  # 0, 1, 2
    """

    edges: tuple[float, ...] = (0.0,)
    heights: float | tuple[float, ...] = 1.0
    kernels: ClassVar[tuple[str, ...]] = ("gaussian", "ball")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.edges or not all(math.isfinite(a) for a in self.edges):
            raise ValueError(f"Steps: edges must be one or more finite numbers, got {self.edges!r}")
        _ = self._heights

    @property
    def _heights(self) -> np.ndarray:
        return vector("Steps: heights", self.heights, len(self.edges))

    def _k(self, x: Tensor) -> Tensor:
        return (x[..., None] >= x.new_tensor(self.edges)).to(x) @ torch.from_numpy(self._heights).to(x)

    def _slope(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)

    def _k_moments(self, mu: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        z = (mu[..., None] - np.array(self.edges)) / s[..., None]
        h = self._heights
        return cdf(z) @ h, pdf(z) @ h / s, -(z * pdf(z)) @ h / s

    def _k_ball(self, mu: np.ndarray, r: float, d: int) -> tuple[np.ndarray, np.ndarray]:
        t = (mu[..., None] - np.array(self.edges)) / r
        return ball_cdf(t, d) @ self._heights, ball_pdf(t, d) @ self._heights / r


@dataclass(frozen=True)
class Staircase(Separable):
    """k(x) = floor(levels x)/levels: stairs without end, by default averaged over the coordinates.

    Args:
        levels: stairs a unit, so that each is 1/levels wide and high; `Staircase(1)` is floor itself.
        dimension, average: as for `Separable`.

    Raises:
        ValueError: `levels` is no integer in 1..2²⁶.

    Example:
        import torch
        from rllab import problems

        stairs = problems.Staircase()
        stairs.gradient(torch.zeros(1, 1)), stairs.smoothed_gradient(torch.zeros(1), sigma=0.5)  # 0 and nearly 1
    """

    levels: int = 4
    average: bool = field(default=True, kw_only=True)
    kernels: ClassVar[tuple[str, ...]] = ("gaussian", "ball")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.levels, int) or not 1 <= self.levels < 2**26:
            raise ValueError(f"Staircase: levels must be an integer in 1..2^26, got {self.levels!r}")

    def _k(self, x: Tensor) -> Tensor:
        return torch.floor(self.levels * x) / self.levels

    def _slope(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)

    def _k_moments(self, mu: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        n = self.levels
        whole, part = _stair(mu, n)
        s = n * s
        j, j_mu, j_s = (
            np.where(s < _FEW, edges, waves)
            for edges, waves in zip(
                _by_edges(part, np.minimum(s, _FEW)), _by_waves(part, np.maximum(s, _FEW)), strict=True
            )
        )
        return (whole + j) / n, j_mu, j_s

    def _k_ball(self, mu: np.ndarray, r: float, d: int) -> tuple[np.ndarray, np.ndarray]:
        n = self.levels
        whole, part = _stair(mu, n)
        reach = math.ceil(n * r) + 1
        t = (part[..., None] - np.arange(-reach, reach + 1)) / (n * r)
        below = ball_cdf(t[..., reach + 1 :], d).sum(-1) - ball_cdf(-t[..., : reach + 1], d).sum(-1)
        return (whole + below) / n, ball_pdf(t, d).sum(-1) / (n * r)


_FEW = 0.5  # stairs of noise up to which edges are summed, and from which Fourier's series needs three terms


def _stair(mu: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return floor(nμ) and nμ − floor(nμ), the latter without the rounding of the product: n (hi + lo) in two parts."""
    hi = mu.astype(np.float32).astype(np.float64)  # 24 bits, so n·hi is exact, and so is n·lo
    whole = np.floor(n * mu)
    return whole, (n * hi - whole) + n * (mu - hi)


def _by_edges(x: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """E floor(x + s u) for x in [0, 1), s <= 1/2: Σ_{j>=1} Φ((x − j)/s) − Σ_{j<=0} Φ((j − x)/s); 20 stairs are 40 s."""
    j = np.arange(-20, 22)
    z = (x[..., None] - j) / s[..., None]
    density = pdf(z)
    value = cdf(z[..., j >= 1]).sum(-1) - cdf(-z[..., j < 1]).sum(-1)
    return value, density.sum(-1) / s, -(z * density).sum(-1) / s


def _by_waves(x: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same for s >= 1/2: x − 1/2 + Σ_n e_n sin(2πnx)/(πn), e_n = exp(−2π²n²s²) < 1e-19 at n = 4."""
    value, d_x, d_s = x - 0.5, np.ones_like(x), np.zeros_like(x)
    for n in (1, 2, 3):
        e, angle = np.exp(-2 * (np.pi * n * s) ** 2), 2 * np.pi * n * x
        value = value + e * np.sin(angle) / (np.pi * n)
        d_x = d_x + 2 * e * np.cos(angle)
        d_s = d_s - 4 * np.pi * n * s * e * np.sin(angle)
    return value, d_x, d_s
