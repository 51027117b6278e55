"""BoxHole and Orthant: products over coordinates, the needle in a haystack: in many dimensions all is flat around it.

E Π_i 1[x_i ∈ I_i] = Π_i P_i,        ∂/∂μ_i = ∂P_i/∂μ_i Π_{j≠i} P_j
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from scipy.special import log_ndtr
from torch import Tensor

from rllab._special.normal import cdf, interval, pdf, products_of_others
from rllab.checks import check_positive
from rllab.problems.base import NormalMoments, Problem, vector


@dataclass(frozen=True)
class BoxHole(Problem):
    """f(x) = −depth if |x_i − centre_i| <= width_i for every i, else 0.

    Args:
        centre, width: one number for all coordinates, or one each; `width` is half the hole's.
        depth: > 0, how much lower the cost is inside.
        dimension: number of coordinates.

    Raises:
        TypeError, ValueError: `depth` is no positive number.
        ValueError: a width is not positive.

    Example:
        import torch
        from rllab import problems

        hole = problems.BoxHole(dimension=3)
        hole.gradient(torch.ones(1, 3)), hole.smoothed_gradient(torch.ones(3), sigma=0.5)  # 0, and not 0
    """

    depth: float = 1.0
    centre: float | tuple[float, ...] = 0.0
    width: float | tuple[float, ...] = 1.0
    dimension: int = field(default=2, kw_only=True)  # type: ignore[assignment]

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("BoxHole", depth=self.depth)
        if not (self._box[1] > 0).all():
            raise ValueError(f"BoxHole: width must be positive, got {self.width!r}")

    @property
    def _box(self) -> tuple[np.ndarray, np.ndarray]:
        d = self.dimension
        return vector("BoxHole: centre", self.centre, d), vector("BoxHole: width", self.width, d)

    def _value(self, x: Tensor) -> Tensor:
        c, w = (torch.from_numpy(v).to(x) for v in self._box)
        return -self.depth * ((x - c).abs() <= w).all(-1).to(x)

    def _gradient(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)

    def _gaussian(self, who: str, mean: np.ndarray, scale: np.ndarray) -> NormalMoments:
        c, w = self._box
        # P = Φ(u) − Φ(b), u, b = (c ± w − μ)/s:  ∂P/∂μ = −(φ(u) − φ(b))/s,  ∂P/∂s = −(u φ(u) − b φ(b))/s
        offset = c - mean
        inside = interval(offset / scale, w / scale, (np.abs(offset) - w) / scale)
        others = self.depth * products_of_others(inside.probability)
        return NormalMoments(
            -self.depth * inside.probability.prod(-1), others * inside.pdf / scale, others * inside.z_pdf / scale
        )


@dataclass(frozen=True)
class Orthant(Problem):
    """f(x) = 0 in the orthant above the corner, else 1: the heavisides 1[x_i >= corner_i] joined by a gate.

    Args:
        corner: one number for all coordinates, or one each.
        gate: "and": the cost is 0 if all are above; "or": if any is.
        dimension: number of coordinates.

    Raises:
        ValueError: `gate` is neither of the two, or `corner` does not fit.

    Source:
        Suh, Simchowitz, Zhang & Tedrake (2022), "Do differentiable simulators give better policy gradients?", whose
        Heaviside costs these are in d dimensions.

    Example:
        import torch
        from rllab import problems

        problems.Orthant(gate="or").smoothed_gradient(torch.zeros(2), sigma=0.5)
    """

    corner: float | tuple[float, ...] = 0.0
    gate: Literal["and", "or"] = "and"
    dimension: int = field(default=2, kw_only=True)  # type: ignore[assignment]

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.gate not in ("and", "or"):
            raise ValueError(f'Orthant: gate must be "and" or "or", got {self.gate!r}')
        _ = self._corner

    @property
    def _corner(self) -> np.ndarray:
        return vector("Orthant: corner", self.corner, self.dimension)

    def _value(self, x: Tensor) -> Tensor:
        above = x >= torch.from_numpy(self._corner).to(x)
        return 1 - (above.all(-1) if self.gate == "and" else above.any(-1)).to(x)

    def _gradient(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)

    def _gaussian(self, who: str, mean: np.ndarray, scale: np.ndarray) -> NormalMoments:
        z = (mean - self._corner) / scale
        side = 1.0 if self.gate == "and" else -1.0
        # "and": 1 − Π Φ(z_i), by logarithms because it may be tiny;  "or": Π Φ(−z_i)
        value = -np.expm1(log_ndtr(z).sum(-1)) if self.gate == "and" else cdf(-z).prod(-1)
        slope = -pdf(z) / scale * products_of_others(cdf(side * z))
        return NormalMoments(value, slope, -z * slope)
