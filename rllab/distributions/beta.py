"""Beta: independent outputs between 0 and 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rllab.checks import VECTORS, check_floating, check_positive_everywhere, positive_beside
from rllab.distributions.base import Distribution
from rllab.distributions.gamma import log_standard_gamma, times_log
from rllab.keys import Key

Noise = tuple[Tensor, Tensor]


@dataclass(frozen=True, eq=False)
class Beta(Distribution):
    """Beta distribution, of mean α/(α + β); the parameters have the names that torch gives them.

        p(x) = x^(α−1) (1 − x)^(β−1) Γ(α + β) / (Γ(α) Γ(β))
        ∂log p/∂α = log x − ψ(α) + ψ(α + β)            ∂log p/∂β = log(1 − x) − ψ(β) + ψ(α + β)            ψ = (log Γ)'

    x = y/(y + z) for y ~ Gamma(α, 1) and z ~ Gamma(β, 1), so that log x and log(1 − x) are known where x rounds to
    0 or 1.

    Args:
        concentration1: α > 0, the exponent of x, (d,) or (B, d), floating.
        concentration0: β > 0, the exponent of 1 − x: a number, or a tensor that broadcasts to the shape of
            `concentration1`, to which it is expanded.

    Raises:
        TypeError, ValueError: a concentration is no floating tensor of such a shape, or not positive.

    Source:
        Johnson, Kotz & Balakrishnan (1995), "Continuous univariate distributions 2", section 25.2.

    Example:
        import torch
        from rllab import Beta, Key

        x, _ = Beta(torch.ones(3), 2.0).draw(5, Key(0))  # (5, 3), between 0 and 1
    """

    concentration1: Tensor
    concentration0: Tensor | float = 1.0

    def __post_init__(self) -> None:
        alpha = check_floating("Beta", "concentration1", self.concentration1, VECTORS)
        check_positive_everywhere("Beta", "concentration1", alpha)
        beta = positive_beside("Beta", "concentration0", self.concentration0, "concentration1", alpha)
        object.__setattr__(self, "concentration0", beta)

    @property
    def parameters(self) -> dict[str, Tensor]:
        return {"concentration1": self.concentration1, "concentration0": self._beta}

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.concentration1.shape)

    def draw(self, k: int, key: Key) -> tuple[Tensor, Noise]:
        """Draw samples; their noise is log x and log(1 − x) in float64, finite where x rounds to 0 or 1."""
        log_y = log_standard_gamma(self.concentration1, k, key.child("y"))
        log_z = log_standard_gamma(self._beta, k, key.child("z"))
        log_sum = torch.logaddexp(log_y, log_z)
        return torch.exp(log_y - log_sum).to(self.concentration1), (log_y - log_sum, log_z - log_sum)

    def noise_of(self, x: Tensor) -> Noise:
        x = x.double()
        return x.log(), torch.log1p(-x)

    def noise_from(self, other: Distribution, x: Tensor, noise: Any) -> Noise:
        return noise if isinstance(other, Beta) else self.noise_of(x)

    def log_prob(self, x: Tensor) -> Tensor:
        return self.log_density(x, self.noise_of(x))

    def log_density(self, x: Tensor, noise: Noise) -> Tensor:
        # log p = Σ_i (α − 1) log x + (β − 1) log(1 − x) − log Γ(α) − log Γ(β) + log Γ(α + β)
        (log_x, log_1mx), a, b = noise, self.concentration1.double(), self._beta.double()
        log_norm = torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)
        return (times_log(a - 1, log_x) + times_log(b - 1, log_1mx) - log_norm).sum(-1)

    def scores(self, x: Tensor, noise: Noise) -> dict[str, Tensor]:
        # differences of numbers that may be large and close, taken in float64
        (log_x, log_1mx), a, b = noise, self.concentration1.double(), self._beta.double()
        both = torch.digamma(a + b)
        s = {"concentration1": log_x - (torch.digamma(a) - both), "concentration0": log_1mx - (torch.digamma(b) - both)}
        return {name: value.to(self.concentration1) for name, value in s.items()}

    @property
    def _beta(self) -> Tensor:
        assert isinstance(self.concentration0, Tensor)  # __post_init__ made it one
        return self.concentration0
