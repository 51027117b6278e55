"""Gaussian: independent normal outputs, x = μ + s u, u ~ N(0, I).

∂log p/∂μ = (x − μ)/s² = u/s            ∂log p/∂s = ((x − μ)²/s² − 1)/s = (u² − 1)/s
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rllab.distributions.base import Distribution, weighted_sum
from rllab.keys import Key, standard_normal


@dataclass(frozen=True, eq=False)
class Gaussian(Distribution):
    """Normal distribution with diagonal covariance.

    Args:
        mean: μ, (d,) or (B, d), floating.
        scale: standard deviation s > 0: a number, or a tensor that broadcasts to the shape of `mean`, to which it is
            expanded; the gradient with respect to it has that shape too.
    """

    mean: Tensor
    scale: Tensor | float = 1.0

    def __post_init__(self) -> None:
        mean = self.mean
        if not isinstance(mean, Tensor) or not mean.is_floating_point() or mean.ndim not in (1, 2) or not mean.numel():
            got = f"{tuple(mean.shape)} {mean.dtype}" if isinstance(mean, Tensor) else type(mean).__name__
            raise ValueError(f"Gaussian: mean must be a floating tensor (d,) or (B, d), got {got}")
        scale = torch.as_tensor(self.scale, dtype=mean.dtype, device=mean.device)
        try:
            scale = scale.expand(mean.shape)
        except RuntimeError:
            raise ValueError(
                f"Gaussian: scale must broadcast to mean's shape {tuple(mean.shape)}, got {tuple(scale.shape)}"
            ) from None
        if not bool((scale > 0).all()):
            raise ValueError(f"Gaussian: scale must be positive everywhere, got a minimum of {scale.min().item()}")
        object.__setattr__(self, "scale", scale)

    @property
    def parameters(self) -> dict[str, Tensor]:
        return {"mean": self.mean, "scale": self._scale}

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.mean.shape)

    def replace(self, **parameters: Tensor) -> Gaussian:
        if unknown := set(parameters) - {"mean", "scale"}:
            raise ValueError(f"Gaussian.replace: parameters are mean and scale, got {min(unknown)!r}")
        return Gaussian(parameters.get("mean", self.mean), parameters.get("scale", self.scale))

    def draw(self, k: int, key: Key) -> tuple[Tensor, Tensor]:
        u = standard_normal((k, *self.shape), key, self.mean)
        return torch.addcmul(self.mean, u, self._scale), u

    def score_sum(self, w: Tensor, x: Tensor, noise: Any) -> dict[str, Tensor]:
        return self._sum(w, (noise, noise * noise - 1), self._scale)

    def score_square_sum(self, w: Tensor, x: Tensor, noise: Any) -> dict[str, Tensor]:
        square = noise * noise
        return self._sum(w, (square, (square - 1).square_()), self._scale.square())

    def scores(self, x: Tensor, noise: Any) -> dict[str, Tensor]:
        return {"mean": noise / self._scale, "scale": (noise * noise - 1) / self._scale}

    @property
    def _scale(self) -> Tensor:
        assert isinstance(self.scale, Tensor)  # __post_init__ made it one
        return self.scale

    @staticmethod
    def _sum(w: Tensor, terms: tuple[Tensor, Tensor], over: Tensor) -> dict[str, Tensor]:
        return {name: weighted_sum(w, t) / over for name, t in zip(("mean", "scale"), terms, strict=True)}
