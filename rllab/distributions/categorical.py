"""Categorical: independent choices of one among K, as one-hot vectors, P(x = e_c) = p_c = e^(l_c) / Σ_j e^(l_j).

∂log p/∂l_c = x_c − p_c = Σ_{j≠c} p_j where x_c = 1, −p_c where x_c = 0

The second form is the one computed: where one p_c is almost 1, the difference 1 − p_c would round to 0. One-hot vectors
and not indices, because that is the form in which a choice can be relaxed, and a table of costs is `x @ table`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot, pad

from rllab.distributions.base import Distribution, check_logits, uniform, weighted_sum
from rllab.keys import Key


@dataclass(frozen=True, eq=False)
class Categorical(Distribution):
    """n independent choices among K; a sample is their one-hot vectors end to end, (n K,): `x.view(-1, n, K)`.

    Args:
        logits: log p up to a constant for each choice: (K,) for a single choice, (n, K), or (B, n, K); floating and
            finite.
    """

    logits: Tensor

    def __post_init__(self) -> None:
        check_logits("Categorical", self.logits, {1: "(K,)", 2: "(n, K)", 3: "(B, n, K)"})

    @property
    def parameters(self) -> dict[str, Tensor]:
        return {"logits": self.logits}

    @property
    def shape(self) -> tuple[int, ...]:
        *problems, n, k = (1, *self.logits.shape) if self.logits.ndim == 1 else self.logits.shape
        return (*problems, n * k)

    @property
    def support_size(self) -> int:
        k = self.logits.shape[-1]
        return k ** (self.shape[-1] // k)

    def replace(self, **parameters: Tensor) -> Categorical:
        if unknown := set(parameters) - {"logits"}:
            raise ValueError(f"Categorical.replace: the parameter is logits, got {min(unknown)!r}")
        return Categorical(parameters.get("logits", self.logits))

    def draw(self, k: int, key: Key) -> tuple[Tensor, None]:
        c = torch.softmax(self.logits.double(), -1).cumsum(-1)
        c = c / c[..., -1:]  # ends in exactly 1, so that no u < 1 falls behind the last choice of positive probability
        u = uniform((k, *self.logits.shape[:-1], 1), key, c)
        return self._one_hot((u >= c).sum(-1)), None

    def support(self, start: int = 0, stop: int | None = None) -> tuple[Tensor, Tensor]:
        k = self.logits.shape[-1]
        n = self.shape[-1] // k
        which = range(self.support_size)[start:stop]
        index = torch.arange(which.start, which.stop, device=self.logits.device)
        digits = index[:, None] // torch.tensor([k**j for j in reversed(range(n))], device=index.device) % k
        variables = self.logits.shape[:-1]  # (), (n,) or (B, n)
        digits = digits.view(-1, *[1] * (len(variables) - 1), *variables[-1:]).expand(-1, *variables)
        log_p = torch.log_softmax(self.logits, -1).expand(*digits.shape, k).gather(-1, digits[..., None])[..., 0]
        return self._one_hot(digits), log_p if self.logits.ndim == 1 else log_p.sum(-1)

    def score_sum(self, w: Tensor, x: Tensor, noise: Any) -> dict[str, Tensor]:
        # Σ_k w_k s_c(x_k) = (Σ_{j≠c} p_j) Σ_{x_k = e_c} w_k − p_c Σ_{x_k ≠ e_c} w_k
        p, mine = torch.softmax(self.logits, -1), weighted_sum(w, x).view(self.logits.shape)
        return {"logits": mine * _others(p) - _others(mine) * p}

    def score_square_sum(self, w: Tensor, x: Tensor, noise: Any) -> dict[str, Tensor]:
        p, mine = torch.softmax(self.logits, -1), weighted_sum(w, x).view(self.logits.shape)
        return {"logits": mine * _others(p).square() + _others(mine) * p.square()}

    def scores(self, x: Tensor, noise: Any) -> dict[str, Tensor]:
        p, x = torch.softmax(self.logits, -1), x.view(-1, *self.logits.shape)
        return {"logits": x * _others(p) - (1 - x) * p}

    def _one_hot(self, index: Tensor) -> Tensor:
        return one_hot(index, self.logits.shape[-1]).to(self.logits).view(len(index), *self.shape)


def _others(v: Tensor) -> Tensor:
    """Return Σ_{j≠c} v_j for each c, from the sums on its left and right: nothing is subtracted, so nothing cancels."""
    left, right = v.cumsum(-1), v.flip(-1).cumsum(-1)
    return pad(left, (1, -1)) + pad(right, (1, -1)).flip(-1)
