"""Gamma: independent positive outputs, p(x) = β^α x^(α−1) e^(−βx) / Γ(α).

∂log p/∂α = log βx − ψ(α)            ∂log p/∂β = (α − βx)/β            ψ = (log Γ)'

A shape α far below 1 puts most of its probability where x underflows to 0; log x stays finite, as it is what is drawn:

    log βx = log g + log(v)/α,      g ~ Gamma(α + 1, 1),  v uniform

Source: Marsaglia & Tsang (2000), "A simple method for generating gamma variables", section 6, there for α < 1 alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rllab.distributions.base import Distribution, each_problem
from rllab.distributions.checks import VECTORS, check_floating, check_positive, positive_beside
from rllab.keys import Key

Noise = tuple[Tensor, Tensor]


@dataclass(frozen=True, eq=False)
class Gamma(Distribution):
    """Gamma distribution, of mean α/β and variance α/β².

    Args:
        concentration: shape α > 0, (d,) or (B, d), floating.
        rate: β > 0: a number, or a tensor that broadcasts to the shape of `concentration`, to which it is expanded; the
            gradient with respect to it has that shape too.
    """

    concentration: Tensor
    rate: Tensor | float = 1.0

    def __post_init__(self) -> None:
        alpha = check_floating("Gamma", "concentration", self.concentration, VECTORS)
        check_positive("Gamma", "concentration", alpha)
        object.__setattr__(self, "rate", positive_beside("Gamma", "rate", self.rate, "concentration", alpha))

    @property
    def parameters(self) -> dict[str, Tensor]:
        return {"concentration": self.concentration, "rate": self._rate}

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.concentration.shape)

    def draw(self, k: int, key: Key) -> tuple[Tensor, Noise]:
        log_y = log_standard_gamma(self.concentration, k, key.child("y"))  # y = βx
        return torch.exp(log_y - self._rate.double().log()).to(self.concentration), self._noise(log_y)

    def noise_of(self, x: Tensor) -> Noise:
        return self._noise(x.double().log() + self._rate.double().log())

    def log_prob(self, x: Tensor) -> Tensor:
        a, b = self.concentration, self._rate
        return (torch.xlogy(a, b) + torch.xlogy(a - 1, x) - b * x - torch.lgamma(a)).sum(-1)

    def scores(self, x: Tensor, noise: Noise) -> dict[str, Tensor]:
        return {"concentration": noise[0], "rate": noise[1] / self._rate}

    def _noise(self, log_y: Tensor) -> Noise:
        """Return log y − ψ(α) and α − y, differences of numbers that may be large and close, taken in float64."""
        a = self.concentration.double()
        return (log_y - torch.digamma(a)).to(self.concentration), (a - log_y.exp()).to(self.concentration)

    @property
    def _rate(self) -> Tensor:
        assert isinstance(self.rate, Tensor)  # __post_init__ made it one
        return self.rate


def log_standard_gamma(concentration: Tensor, k: int, key: Key) -> Tensor:
    """Draw log y, y ~ Gamma(α, 1): (k, *shape of α), float64 on its device."""

    def draw(rng: np.random.Generator, a: np.ndarray) -> np.ndarray:
        g = rng.standard_gamma(a + 1, (k, *a.shape))
        return np.log(g) - rng.standard_exponential(g.shape) / a

    return each_problem(draw, concentration, key)
