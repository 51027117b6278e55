"""Gaussian: independent normal outputs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rllab.arrays import as_array, weighted_sum
from rllab.checks import VECTORS, check_floating, positive_beside
from rllab.distributions.base import Distribution, Sums
from rllab.keys import Key
from rllab.noise import standard_normal


@dataclass(frozen=True, eq=False)
class Gaussian(Distribution):
    """Normal distribution with diagonal covariance.

        x = μ + s u, u ~ N(0, I)
        ∂log p/∂μ = (x − μ)/s² = u/s            ∂log p/∂s = ((x − μ)²/s² − 1)/s = (u² − 1)/s

    Args:
        mean: μ, (d,) or (B, d), floating.
        scale: standard deviation s > 0: a number, or a tensor that broadcasts to the shape of `mean`, to which it is
            expanded; the gradient with respect to it has that shape too.

    Raises:
        TypeError, ValueError: `mean` is no floating tensor of such a shape, or `scale` is not positive or does not
            broadcast to it.

    Example:
        import torch
        from rllab import Gaussian, Key

        x, _ = Gaussian(torch.zeros(3), 0.5).draw(5, Key(0))  # (5, 3)
    """

    mean: Tensor
    scale: Tensor | float = 1.0

    def __post_init__(self) -> None:
        mean = check_floating("Gaussian", "mean", self.mean, VECTORS)
        object.__setattr__(self, "scale", positive_beside("Gaussian", "scale", self.scale, "mean", mean))

    @property
    def parameters(self) -> dict[str, Tensor]:
        return {"mean": self.mean, "scale": self._scale}

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.mean.shape)

    def draw(self, k: int, key: Key) -> tuple[Tensor, Tensor]:
        u = standard_normal((k, *self.shape), key, self.mean)
        return torch.addcmul(self.mean, u, self._scale), u

    def noise_of(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self._scale

    def log_prob(self, x: Tensor) -> Tensor:
        # log p = Σ_i −u_i²/2 − log s_i − log(2π)/2
        wide = self.double()
        u = wide.noise_of(x.double())
        return (-0.5 * u.square() - wide._scale.log() - 0.5 * math.log(2 * math.pi)).sum(-1)

    def score_sums(
        self, once: np.ndarray | None, twice: np.ndarray | None, x: Tensor, noise: Tensor
    ) -> tuple[Sums, Sums]:
        u, s = as_array(noise), as_array(self._scale)
        square = u * u
        less = square - 1
        first, second = Sums(), Sums()
        if once is not None:
            first = {"mean": weighted_sum(once, u) / s, "scale": weighted_sum(once, less) / s}
        if twice is not None:
            s2 = s * s
            less = np.multiply(less, less, out=less)
            second = {"mean": weighted_sum(twice, square) / s2, "scale": weighted_sum(twice, less) / s2}
        return first, second

    def scores(self, x: Tensor, noise: Any) -> dict[str, Tensor]:
        return {"mean": noise / self._scale, "scale": (noise * noise - 1) / self._scale}

    @property
    def _scale(self) -> Tensor:
        assert isinstance(self.scale, Tensor)  # __post_init__ made it one
        return self.scale
