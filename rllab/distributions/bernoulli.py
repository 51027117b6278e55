"""Bernoulli: independent bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from rllab.arrays import as_array, weighted_sum
from rllab.checks import check_logits
from rllab.distributions.base import Distribution, Sums, uniform
from rllab.keys import Key


@dataclass(frozen=True, eq=False)
class Bernoulli(Distribution):
    """Vectors of n independent bits, as floating 0s and 1s.

        P(x_i = 1) = σ(l_i), σ(l) = 1/(1 + e^(−l))
        ∂log p/∂l = x − σ(l) = σ(−l) where x = 1, −σ(l) where x = 0

    The second form is the one computed: at l = 50 the difference 1 − σ(l) would round to 0 instead of 1.9·10⁻²².

    Args:
        logits: l = log(p/(1 − p)), (n,) or (B, n), floating and finite.

    Raises:
        TypeError, ValueError: `logits` are no floating tensor of such a shape, or not finite.

    Example:
        import torch
        from rllab import Bernoulli, Key

        x, _ = Bernoulli(torch.zeros(3)).draw(5, Key(0))  # (5, 3), of 0s and 1s
    """

    logits: Tensor

    def __post_init__(self) -> None:
        check_logits("Bernoulli", self.logits, {1: "(n,)", 2: "(B, n)"})

    @property
    def parameters(self) -> dict[str, Tensor]:
        return {"logits": self.logits}

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.logits.shape)

    @property
    def measure(self) -> tuple[str, ...]:
        return ("counting",) * self.shape[-1]

    @property
    def support_size(self) -> int:
        return 2 ** self.shape[-1]

    def draw(self, k: int, key: Key) -> tuple[Tensor, None]:
        p = torch.sigmoid(self.logits.double())
        return (uniform((k, *self.shape), key, p) < p).to(self.logits), None

    def support(self, start: int = 0, stop: int | None = None) -> tuple[Tensor, Tensor]:
        n = self.shape[-1]
        which = range(self.support_size)[start:stop]
        index = torch.arange(which.start, which.stop, device=self.logits.device)
        bits = (index[:, None] >> torch.arange(n - 1, -1, -1, device=self.logits.device)) & 1
        x = bits.to(self.logits).view(-1, *[1] * (self.logits.ndim - 1), n).expand(-1, *self.shape)
        return x, self.log_prob(x)

    def log_prob(self, x: Tensor) -> Tensor:
        return logsigmoid((2 * x.double() - 1) * self.logits.double()).sum(-1)

    def score_sums(self, once: np.ndarray | None, twice: np.ndarray | None, x: Tensor, noise: Any) -> tuple[Sums, Sums]:
        # Σ_k w_k s(x_k) = σ(−l) Σ_{x_k = 1} w_k − σ(l) Σ_{x_k = 0} w_k, and likewise the squares
        ones, on, off = as_array(x), as_array(torch.sigmoid(-self.logits)), as_array(torch.sigmoid(self.logits))
        zeros = 1 - ones
        first, second = Sums(), Sums()
        if once is not None:
            first = {"logits": weighted_sum(once, ones) * on - weighted_sum(once, zeros) * off}
        if twice is not None:
            second = {"logits": weighted_sum(twice, ones) * (on * on) + weighted_sum(twice, zeros) * (off * off)}
        return first, second

    def scores(self, x: Tensor, noise: Any) -> dict[str, Tensor]:
        return {"logits": x * torch.sigmoid(-self.logits) - (1 - x) * torch.sigmoid(self.logits)}
