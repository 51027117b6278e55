"""Categorical: independent choices of one among K, P(c) = p_c = e^(l_c) / Σ_j e^(l_j).

∂log p/∂l_c = x_c − p_c = Σ_{j≠c} p_j where c was chosen (x_c = 1), −p_c where it was not (x_c = 0)

The second form is the one computed: where one p_c is almost 1, the difference 1 − p_c would round to 0. Samples are
one-hot vectors x, the form in which a choice can be relaxed, and a table of costs is `x @ table`; or indices, which are
K times shorter, for costs that look the choice up: `table[x.long()]`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import one_hot, pad

from rllab.distributions.base import Distribution, uniform, weighted_sum
from rllab.distributions.checks import check_logits
from rllab.keys import Key

SAMPLES = ("one-hot", "index")


@dataclass(frozen=True, eq=False)
class Categorical(Distribution):
    """n independent choices among K; a sample is their one-hot vectors end to end, (n K,): `x.view(-1, n, K)`.

    Args:
        logits: log p up to a constant for each choice: (K,) for a single choice, (n, K), or (B, n, K); floating and
            finite.
        samples: "one-hot"; or "index" for samples (n,) of indices 0 … K − 1, as floating numbers like all points.
    """

    logits: Tensor
    samples: Literal["one-hot", "index"] = "one-hot"

    def __post_init__(self) -> None:
        check_logits("Categorical", self.logits, {1: "(K,)", 2: "(n, K)", 3: "(B, n, K)"})
        if self.samples not in SAMPLES:
            raise ValueError(f"Categorical: samples must be one of {SAMPLES}, got {self.samples!r}")

    @property
    def parameters(self) -> dict[str, Tensor]:
        return {"logits": self.logits}

    @property
    def shape(self) -> tuple[int, ...]:
        *problems, n, k = (1, *self.logits.shape) if self.logits.ndim == 1 else self.logits.shape
        return (*problems, n if self.samples == "index" else n * k)

    @property
    def support_size(self) -> int:
        return self.logits.shape[-1] ** self._choices

    def draw(self, k: int, key: Key) -> tuple[Tensor, None]:
        c = torch.softmax(self.logits.double(), -1).cumsum(-1)
        c = c / c[..., -1:]  # ends in exactly 1, so that no u < 1 falls behind the last choice of positive probability
        u = uniform((k, *self._variables), key, c)
        return self._encoded(torch.searchsorted(c, u.movedim(0, -1).contiguous(), right=True).movedim(-1, 0)), None

    def support(self, start: int = 0, stop: int | None = None) -> tuple[Tensor, Tensor]:
        k, n = self.logits.shape[-1], self._choices
        which = range(self.support_size)[start:stop]
        index = torch.arange(which.start, which.stop, device=self.logits.device)
        digits = index[:, None] // torch.tensor([k**j for j in reversed(range(n))], device=index.device) % k
        digits = digits.view(-1, *[1] * (len(self._variables) - 1), *self._variables[-1:]).expand(-1, *self._variables)
        return self._encoded(digits), self._log_prob(digits)

    def log_prob(self, x: Tensor) -> Tensor:
        return self._log_prob(self._index(x))

    def score_sum(self, w: Tensor, x: Tensor, noise: Any) -> dict[str, Tensor]:
        # Σ_k w_k s_c(x_k) = (Σ_{j≠c} p_j) Σ_{x_k = c} w_k − p_c Σ_{x_k ≠ c} w_k
        p, mine = torch.softmax(self.logits, -1), self._histogram(w, x)
        return {"logits": mine * _others(p) - _others(mine) * p}

    def score_square_sum(self, w: Tensor, x: Tensor, noise: Any) -> dict[str, Tensor]:
        p, mine = torch.softmax(self.logits, -1), self._histogram(w, x)
        return {"logits": mine * _others(p).square() + _others(mine) * p.square()}

    def scores(self, x: Tensor, noise: Any) -> dict[str, Tensor]:
        p, k = torch.softmax(self.logits, -1), self.logits.shape[-1]
        x = one_hot(self._index(x), k).to(p) if self.samples == "index" else x.view(-1, *self.logits.shape)
        return {"logits": x * _others(p) - (1 - x) * p}

    @property
    def _variables(self) -> tuple[int, ...]:
        return self.logits.shape[:-1]  # (), (n,) or (B, n)

    @property
    def _choices(self) -> int:
        return self._variables[-1] if self._variables else 1

    def _encoded(self, index: Tensor) -> Tensor:
        """Return samples of indices (k, *variables)."""
        x = index if self.samples == "index" else one_hot(index, self.logits.shape[-1])
        return x.to(self.logits).reshape(len(index), *self.shape)

    def _index(self, x: Tensor) -> Tensor:
        """Return the indices (k, *variables) of samples."""
        x = x.long() if self.samples == "index" else x.view(len(x), *self.logits.shape).argmax(-1)
        return x.view(len(x), *self._variables)

    def _log_prob(self, index: Tensor) -> Tensor:
        log_p = torch.log_softmax(self.logits, -1).expand(*index.shape, -1).gather(-1, index[..., None])[..., 0]
        return log_p if self.logits.ndim == 1 else log_p.sum(-1)

    def _histogram(self, w: Tensor, x: Tensor) -> Tensor:
        """Return Σ_{k: x_k = c} w_k for every choice: shaped like the logits, behind the dimensions in front of w."""
        lead = w.shape[: w.ndim - x.ndim + 1]
        if self.samples == "one-hot":
            return weighted_sum(w, x).view(*lead, *self.logits.shape)
        first = torch.arange(0, self.logits.numel(), self.logits.shape[-1], device=x.device)  # cell of each variable
        cells = (self._index(x) + first.view(self._variables)).flatten()
        w = w if self.logits.ndim == 1 else w.unsqueeze(-1).expand(*w.shape, self._choices)
        sums = [torch.bincount(cells, one, self.logits.numel()) for one in w.reshape(-1, len(cells))]
        return torch.stack(sums).view(*lead, *self.logits.shape)


def _others(v: Tensor) -> Tensor:
    """Return Σ_{j≠c} v_j for each c, from the sums on its left and right: nothing is subtracted, so nothing cancels."""
    left, right = v.cumsum(-1), v.flip(-1).cumsum(-1)
    return pad(left, (1, -1)) + pad(right, (1, -1)).flip(-1)
