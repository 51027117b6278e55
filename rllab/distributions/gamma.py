"""Gamma: independent positive outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rllab.checks import VECTORS, check_floating, check_positive_everywhere, positive_beside
from rllab.distributions.base import Distribution, each_problem
from rllab.keys import Key


@dataclass(frozen=True, eq=False)
class Gamma(Distribution):
    """Gamma distribution, of mean α/β and variance α/β².

        p(x) = β^α x^(α−1) e^(−βx) / Γ(α)
        ∂log p/∂α = log βx − ψ(α)            ∂log p/∂β = (α − βx)/β            ψ = (log Γ)'

    A shape α far below 1 puts most of its probability where x underflows to 0; log x stays finite, as it is what is
    drawn:

        log βx = log g + log(v)/α,      g ~ Gamma(α + 1, 1),  v uniform

    Args:
        concentration: shape α > 0, (d,) or (B, d), floating.
        rate: β > 0: a number, or a tensor that broadcasts to the shape of `concentration`, to which it is expanded; the
            gradient with respect to it has that shape too.

    Raises:
        TypeError, ValueError: a parameter is no floating tensor of such a shape, or not positive.

    Source:
        Marsaglia & Tsang (2000), "A simple method for generating gamma variables", section 6, there for α < 1 alone.

    Example:
        import torch
        from rllab import Gamma, Key

        x, _ = Gamma(torch.ones(3), rate=2.0).draw(5, Key(0))  # (5, 3), of mean 1/2
    """

    concentration: Tensor
    rate: Tensor | float = 1.0

    def __post_init__(self) -> None:
        alpha = check_floating("Gamma", "concentration", self.concentration, VECTORS)
        check_positive_everywhere("Gamma", "concentration", alpha)
        object.__setattr__(self, "rate", positive_beside("Gamma", "rate", self.rate, "concentration", alpha))

    @property
    def parameters(self) -> dict[str, Tensor]:
        return {"concentration": self.concentration, "rate": self._rate}

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.concentration.shape)

    def draw(self, k: int, key: Key) -> tuple[Tensor, Tensor]:
        """Draw samples; their noise is log x in float64, finite where x underflows."""
        log_x = log_standard_gamma(self.concentration, k, key.child("y")) - self._rate.double().log()
        return log_x.exp().to(self.concentration), log_x

    def noise_of(self, x: Tensor) -> Tensor:
        return x.double().log()

    def noise_from(self, other: Distribution, x: Tensor, noise: Any) -> Tensor:
        return noise if isinstance(other, Gamma) else self.noise_of(x)

    def log_prob(self, x: Tensor) -> Tensor:
        return self.log_density(x, self.noise_of(x))

    def log_density(self, x: Tensor, noise: Tensor) -> Tensor:
        # log p = Σ_i α log β + (α − 1) log x − βx − log Γ(α)
        a, b = self.concentration.double(), self._rate.double()
        return (a * b.log() + times_log(a - 1, noise) - b * noise.exp() - torch.lgamma(a)).sum(-1)

    def scores(self, x: Tensor, noise: Tensor) -> dict[str, Tensor]:
        # log βx − ψ(α) and (α − βx)/β: differences of numbers that may be large and close, taken in float64
        a, b = self.concentration.double(), self._rate.double()
        log_y = noise + b.log()
        s = {"concentration": log_y - torch.digamma(a), "rate": (a - log_y.exp()) / b}
        return {name: value.to(self.concentration) for name, value in s.items()}

    @property
    def _rate(self) -> Tensor:
        assert isinstance(self.rate, Tensor)  # __post_init__ made it one
        return self.rate


def times_log(c: Tensor, log_x: Tensor) -> Tensor:
    """Return c log x, and 0 where c is: of x⁰ = 1, at x = 0 too."""
    return torch.where((c == 0) & torch.isinf(log_x), 0.0, c * log_x)


def log_standard_gamma(concentration: Tensor, k: int, key: Key) -> Tensor:
    """Draw log y, y ~ Gamma(α, 1): (k, *shape of α), float64 on its device."""

    def draw(rng: np.random.Generator, a: np.ndarray) -> np.ndarray:
        g = rng.standard_gamma(a + 1, (k, *a.shape))
        return np.log(g) - rng.standard_exponential(g.shape) / a

    return each_problem(draw, concentration, key)
