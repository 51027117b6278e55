"""Dirichlet: shares x of a whole, Σ_i x_i = 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rllab.checks import VECTORS, check_floating, check_positive_everywhere
from rllab.distributions.base import Distribution
from rllab.distributions.gamma import log_standard_gamma, times_log
from rllab.keys import Key


@dataclass(frozen=True, eq=False)
class Dirichlet(Distribution):
    """Dirichlet distribution, of mean α/Σ_j α_j.

        p(x) = Γ(Σ_i α_i) Π_i x_i^(α_i − 1)/Γ(α_i)
        ∂log p/∂α_i = log x_i − ψ(α_i) + ψ(Σ_j α_j)            ψ = (log Γ)'

    x_i = y_i/Σ_j y_j for y_i ~ Gamma(α_i, 1), so that log x_i is known where x_i rounds to 0.

    Its samples lie on the simplex, where the density is that of all shares but the last, whichever that is.

    Args:
        concentration: α > 0, (d,) for d shares, or (B, d), floating.

    Raises:
        TypeError, ValueError: `concentration` is no floating tensor of such a shape, or not positive.

    Source:
        Kotz, Balakrishnan & Johnson (2000), "Continuous multivariate distributions 1", chapter 49.

    Example:
        import torch
        from rllab import Dirichlet, Key

        x, _ = Dirichlet(torch.ones(3)).draw(5, Key(0))  # (5, 3), each row adds up to 1
    """

    concentration: Tensor

    def __post_init__(self) -> None:
        check_floating("Dirichlet", "concentration", self.concentration, VECTORS)
        check_positive_everywhere("Dirichlet", "concentration", self.concentration)

    @property
    def parameters(self) -> dict[str, Tensor]:
        return {"concentration": self.concentration}

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.concentration.shape)

    @property
    def measure(self) -> tuple[str, ...]:
        return ("simplex",) * self.shape[-1]

    def draw(self, k: int, key: Key) -> tuple[Tensor, Tensor]:
        """Draw samples; their noise is log x in float64, finite where x underflows."""
        log_x = torch.log_softmax(log_standard_gamma(self.concentration, k, key.child("y")), -1)
        return log_x.exp().to(self.concentration), log_x

    def noise_of(self, x: Tensor) -> Tensor:
        return x.double().log()

    def noise_from(self, other: Distribution, x: Tensor, noise: Any) -> Tensor:
        return noise if isinstance(other, Dirichlet) else self.noise_of(x)

    def log_prob(self, x: Tensor) -> Tensor:
        return self.log_density(x, self.noise_of(x))

    def log_density(self, x: Tensor, noise: Tensor) -> Tensor:
        # log p = log Γ(Σ_i α_i) + Σ_i (α_i − 1) log x_i − log Γ(α_i)
        a = self.concentration.double()
        return torch.lgamma(a.sum(-1)) + (times_log(a - 1, noise) - torch.lgamma(a)).sum(-1)

    def scores(self, x: Tensor, noise: Tensor) -> dict[str, Tensor]:
        # a difference of numbers that may be large and close, taken in float64
        a = self.concentration.double()
        mean = torch.digamma(a) - torch.digamma(a.sum(-1, keepdim=True))  # E log x
        return {"concentration": (noise - mean).to(self.concentration)}
