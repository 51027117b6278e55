"""GaussianMixture: one of K normal laws with diagonal covariance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rllab.checks import check_floating, check_logits, positive_beside
from rllab.distributions.base import Distribution
from rllab.distributions.categorical import Categorical
from rllab.keys import Key
from rllab.noise import standard_normal


@dataclass(frozen=True, eq=False)
class GaussianMixture(Distribution):
    """Mixture of K normal distributions with diagonal covariance; a sample is (d,), without its component.

        p(x) = Σ_k π_k Π_i N(x_i; μ_ki, s_ki²)

    With π = softmax(l), u_ki = (x_i − μ_ki)/s_ki and the probability r_k = π_k N(x; μ_k, s_k²)/p(x) that x came from k:

        ∂log p/∂l_k = r_k − π_k        ∂log p/∂μ_ki = r_k u_ki/s_ki        ∂log p/∂s_ki = r_k (u_ki² − 1)/s_ki

    Args:
        logits: l, log π up to a constant: (K,) or (B, K), floating and finite.
        mean: μ, (K, d) or (B, K, d), of the same dtype.
        scale: standard deviations s > 0: a number, or a tensor that broadcasts to the shape of `mean`, to which it is
            expanded; the gradient with respect to it has that shape too.

    Raises:
        TypeError, ValueError: a parameter is no floating tensor of such a shape, or not finite.
        ValueError: `mean` does not go with `logits` in shape or dtype, or `scale` is not positive.

    Source:
        Bishop (2006), "Pattern recognition and machine learning", section 9.2.

    Example:
        import torch
        from rllab import GaussianMixture, Key

        two = GaussianMixture(torch.zeros(2), torch.tensor([[-1.0], [1.0]]), 0.1)
        x, _ = two.draw(5, Key(0))  # (5, 1), near -1 or 1
    """

    logits: Tensor
    mean: Tensor
    scale: Tensor | float = 1.0

    def __post_init__(self) -> None:
        name = "GaussianMixture"
        check_logits(name, self.logits, {1: "(K,)", 2: "(B, K)"})
        mean = check_floating(name, "mean", self.mean, {2: "(K, d)", 3: "(B, K, d)"})
        if mean.shape[:-1] != self.logits.shape or mean.dtype != self.logits.dtype:
            wanted = f"({', '.join(map(str, self.logits.shape))}, d) {self.logits.dtype}, as logits are"
            raise ValueError(f"{name}: mean must be {wanted}, got {tuple(mean.shape)} {mean.dtype}")
        object.__setattr__(self, "scale", positive_beside(name, "scale", self.scale, "mean", mean))

    @property
    def parameters(self) -> dict[str, Tensor]:
        return {"logits": self.logits, "mean": self.mean, "scale": self._scale}

    @property
    def shape(self) -> tuple[int, ...]:
        *problems, _, d = self.mean.shape
        return (*problems, d)

    def draw(self, k: int, key: Key) -> tuple[Tensor, None]:
        index, _ = Categorical(self.logits, "index").draw(k, key.child("component"))
        c = index.long().view(k, *self.logits.shape[:-1], 1, 1).expand(k, *self.shape[:-1], 1, self.shape[-1])
        mu, s = (v.expand(k, *v.shape).gather(-2, c).squeeze(-2) for v in (self.mean, self._scale))
        return torch.addcmul(mu, standard_normal(mu.shape, key.child("noise"), mu), s), None

    def log_prob(self, x: Tensor) -> Tensor:
        # in pieces, as there are K d numbers to a sample of d
        wide = self.double()
        parts = (x[part].double() for part in self.pieces(len(x)))
        return torch.cat([wide._log_joint(wide._standardised(part)).logsumexp(-1) for part in parts])

    def scores(self, x: Tensor, noise: Any) -> dict[str, Tensor]:
        u = self._standardised(x)
        r = torch.softmax(self._log_joint(u), -1)
        over = r.unsqueeze(-1) / self._scale
        return {"logits": r - torch.softmax(self.logits, -1), "mean": over * u, "scale": over * (u * u - 1)}

    def _standardised(self, x: Tensor) -> Tensor:
        """Return u, (k, [B], K, d)."""
        return (x.unsqueeze(-2) - self.mean) / self._scale

    def _log_joint(self, u: Tensor) -> Tensor:
        """Return log π_k + log N(x; μ_k, s_k²), (k, [B], K)."""
        log_normal = -0.5 * u.square() - self._scale.log() - 0.5 * math.log(2 * math.pi)
        return torch.log_softmax(self.logits, -1) + log_normal.sum(-1)

    @property
    def _scale(self) -> Tensor:
        assert isinstance(self.scale, Tensor)  # __post_init__ made it one
        return self.scale
