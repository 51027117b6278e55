"""Separable: a curve of one variable summed over the coordinates; in one dimension, the curve itself."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from rllab.problems.base import NormalMoments, Problem


@dataclass(frozen=True)
class Separable(Problem):
    """Base of the curves k; subclasses say what k is and give its moments, elementwise.

        f(x) = Σ_i k(x_i)            ∂f_σ/∂θ_i = J_μ(θ_i, σ),   J(μ, s) = E k(μ + s u)

    With `average` the sum is divided by d. A curve also serves as the profile of a `Ridge`.

    Args:
        dimension: number of coordinates.
        average: divide the sum by `dimension`.

    Raises:
        TypeError, ValueError: `dimension` is no integer >= 1.

    Example:
        import torch
        from rllab import problems

        problems.Cosine(dimension=3, average=True).value(torch.zeros(1, 3))  # 1
    """

    dimension: int = field(default=1, kw_only=True)  # type: ignore[assignment]
    average: bool = field(default=False, kw_only=True)

    @abstractmethod
    def _k(self, x: Tensor) -> Tensor:
        """k(x), elementwise."""

    @abstractmethod
    def _slope(self, x: Tensor) -> Tensor:
        """k′(x), elementwise, almost everywhere."""

    @abstractmethod
    def _k_moments(self, mu: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """J = E k(μ + s u), ∂J/∂μ, ∂J/∂s, elementwise for u ~ N(0, 1)."""

    def _k_ball(self, mu: np.ndarray, r: float, d: int) -> tuple[np.ndarray, np.ndarray]:
        """E k(μ + r v₁), v uniform in the unit ball of dimension d, and its derivative in μ, elementwise."""
        raise NotImplementedError

    @property
    def _weight(self) -> float:
        return 1 / self.dimension if self.average else 1.0

    def _value(self, x: Tensor) -> Tensor:
        return self._weight * self._k(x).sum(-1)

    def _gradient(self, x: Tensor) -> Tensor:
        return self._weight * self._slope(x)

    def _gaussian(self, who: str, mean: np.ndarray, scale: np.ndarray) -> NormalMoments:
        j, j_mu, j_s = self._k_moments(mean, scale)
        return NormalMoments(self._weight * j.sum(-1), self._weight * j_mu, self._weight * j_s)

    def _ball(self, at: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
        j, j_mu = self._k_ball(at, radius, self.dimension)
        return self._weight * j.sum(-1), self._weight * j_mu
