"""Ridge and Cliff: a curve along one direction, constant across it.

    f(x) = k(a·x)          E f under N(μ, diag s²): the curve's own, at mean a·μ and deviation σ = √(Σ a_i² s_i²)
    ∂J/∂μ_i = a_i J_μ      ∂J/∂s_i = J_s a_i² s_i/σ

a·μ is rounded, to 1e-16 of its terms, as it is by `value`: deviations below 1e-6 of them would see that in tails.

In a ball of radius r, a·v is |a| times a coordinate, so the curve's own again, at radius r|a| in dimension d.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from rllab.problems.base import NormalMoments, Problem, vector
from rllab.problems.jump_curves import Steps
from rllab.problems.separable import Separable
from rllab.problems.smooth_curves import Cosine


@dataclass(frozen=True)
class AlongDirection(Problem):
    """Base of the ridges; subclasses say what the curve is.

    Args:
        direction: a: one number for all coordinates, or one each; its length counts.
    """

    dimension: int = field(default=2, kw_only=True)  # type: ignore[assignment]
    direction: float | tuple[float, ...] = field(default=1.0, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self._a.any():
            raise ValueError(f"{self._name}: direction must not be zero, got {self.direction!r}")

    @property
    @abstractmethod
    def _profile(self) -> Separable:
        """The curve k."""

    @property
    def _a(self) -> np.ndarray:
        return vector(f"{self._name}: direction", self.direction, self.dimension)

    def _along(self, x: Tensor) -> Tensor:
        return x @ torch.from_numpy(self._a).to(x)

    def _value(self, x: Tensor) -> Tensor:
        return self._profile._k(self._along(x))

    def _gradient(self, x: Tensor) -> Tensor:
        return self._profile._slope(self._along(x))[:, None] * torch.from_numpy(self._a).to(x)

    def _gaussian(self, who: str, mean: np.ndarray, scale: np.ndarray) -> NormalMoments:
        a = self._a
        sigma = np.sqrt(((a * scale) ** 2).sum(-1))
        j, j_mu, j_s = self._profile._k_moments(mean @ a, sigma)
        return NormalMoments(j, j_mu[:, None] * a, (j_s / sigma)[:, None] * a**2 * scale)

    def _ball(self, at: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
        a = self._a
        j, j_mu = self._profile._k_ball(at @ a, radius * math.sqrt(a @ a), self.dimension)
        return j, j_mu[:, None] * a


@dataclass(frozen=True)
class Ridge(AlongDirection):
    """f(x) = k(direction·x) for any curve k of one dimension.

    Args:
        curve: k, of dimension 1.
        direction, dimension: as for `Cliff`.

    Raises:
        ValueError: `curve` is no curve of dimension 1.

    Example:
        import torch
        from rllab import problems

        problems.Ridge(problems.Steps(), direction=(1.0, 0.0)).value(torch.tensor([[-1.0, 5.0], [1.0, 5.0]]))  # 0 and 1
    """

    curve: Separable = field(default_factory=Cosine)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.curve, Separable) or self.curve.dimension != 1:
            raise ValueError(f"Ridge: curve must be a curve of dimension 1, got {self.curve!r}")

    @property
    def offers(self) -> frozenset[str]:  # type: ignore[override]
        return self.curve.offers

    @property
    def kernels(self) -> tuple[str, ...]:  # type: ignore[override]
        return self.curve.kernels

    @property
    def _profile(self) -> Separable:
        return self.curve


@dataclass(frozen=True)
class Cliff(AlongDirection):
    """f(x) = height·1[direction·x >= edge]: a half-space; its gradient is 0 wherever it exists.

    Args:
        edge: where it is, along the direction.
        height: of the cost beyond it.
        direction, dimension: a, one number for all coordinates or one each, whose length counts; number of coordinates.

    Example:
        import torch
        from rllab import problems

        cliff = problems.Cliff()
        cliff.gradient(torch.zeros(1, 2)), cliff.smoothed_gradient(torch.zeros(2), sigma=0.5)  # 0, and not 0
    """

    edge: float = 0.0
    height: float = 1.0
    kernels = Steps.kernels

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self._profile

    @property
    def _profile(self) -> Separable:
        return Steps((self.edge,), (self.height,))
