"""Poisson: independent counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rllab.checks import VECTORS, check_floating, check_positive_everywhere
from rllab.distributions.base import Distribution, each_problem
from rllab.keys import Key


@dataclass(frozen=True, eq=False)
class Poisson(Distribution):
    """Vectors of independent counts, as floating numbers.

        P(x) = λ^x e^(−λ) / x!, x = 0, 1, 2, …
        ∂log p/∂λ = (x − λ)/λ

    Args:
        rate: λ > 0, mean and variance, (d,) or (B, d), floating.

    Raises:
        TypeError, ValueError: `rate` is no floating tensor of such a shape, or not positive.

    Example:
        import torch
        from rllab import Key, Poisson

        x, _ = Poisson(torch.full((3,), 2.0)).draw(5, Key(0))  # (5, 3), counts as floating numbers
    """

    rate: Tensor

    def __post_init__(self) -> None:
        check_positive_everywhere("Poisson", "rate", check_floating("Poisson", "rate", self.rate, VECTORS))

    @property
    def parameters(self) -> dict[str, Tensor]:
        return {"rate": self.rate}

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.rate.shape)

    @property
    def measure(self) -> tuple[str, ...]:
        return ("counting",) * self.shape[-1]

    def draw(self, k: int, key: Key) -> tuple[Tensor, None]:
        return each_problem(lambda rng, rate: rng.poisson(rate, (k, *rate.shape)), self.rate, key).to(self.rate), None

    def log_prob(self, x: Tensor) -> Tensor:
        x, rate = x.double(), self.rate.double()
        return (torch.xlogy(x, rate) - rate - torch.lgamma(x + 1)).sum(-1)

    def scores(self, x: Tensor, noise: Any) -> dict[str, Tensor]:
        return {"rate": (x - self.rate) / self.rate}
