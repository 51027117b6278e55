"""Surrogate: c_φ, a network of one hidden layer with weights of its own for each of a batch, and its slope.

    c(y) = v·t + c₀,   t = tanh(W y + a)            ∂c/∂y = Wᵀ (v ⊙ (1 − t²))

v starts at 0, so that the first estimate is that without a control variate. The slope is written out, and made of the
same tensors, so that one pass of autograd has the derivative of both by φ.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rllab.keys import Key
from rllab.noise import standard_normal


@dataclass(frozen=True)
class Surrogate:
    """tanh network from n numbers to one.

    Args:
        n: inputs.
        hidden: width h of the layer between.
    """

    n: int
    hidden: int

    @property
    def size(self) -> int:
        """How many numbers φ is: W (h, n), a (h,), v (h,) and c₀, end to end."""
        return self.hidden * (self.n + 2) + 1

    def initial(self, batch: tuple[int, ...], key: Key, like: Tensor) -> Tensor:
        """Draw φ, (*batch, size): W ~ N(0, 1/n), all else 0."""
        w = standard_normal((*batch, self.hidden * self.n), key, like) / self.n**0.5
        return torch.cat((w, w.new_zeros(*batch, self.size - w.shape[-1])), -1)

    def value_and_slope(self, phi: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return c (k, *batch) and ∂c/∂y (k, *batch, n) at y (k, *batch, n)."""
        h, n = self.hidden, self.n
        flat, a, v, c0 = phi.split((h * n, h, h, 1), -1)
        w = flat.unflatten(-1, (h, n))
        t = torch.tanh((w @ y.unsqueeze(-1)).squeeze(-1) + a)
        slope = ((v * (1 - t * t)).unsqueeze(-2) @ w).squeeze(-2)
        return (t * v).sum(-1) + c0.squeeze(-1), slope
