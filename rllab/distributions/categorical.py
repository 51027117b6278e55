"""Categorical: independent choices of one among K, P(c) = p_c = e^(l_c) / Σ_j e^(l_j).

∂log p/∂l_c = x_c − p_c = Σ_{j≠c} p_j where c was chosen (x_c = 1), −p_c where it was not (x_c = 0)

The second form is the one computed: where one p_c is almost 1, the difference 1 − p_c would round to 0; see `_others`.
In sums the scores of all choices add up to 0, so those of the most probable one are what the others leave; see `_once`.
Samples are one-hot vectors x, the form in which a choice can be relaxed, and a table of costs is `x @ table`; or
indices, which are K times shorter, for costs that look the choice up: `table[x.long()]`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from rllab.distributions.base import Distribution, uniform, weighted_sum
from rllab.distributions.checks import check_logits
from rllab.keys import Key

SAMPLES = ("one-hot", "index")
_FEW_CHOICES = 32  # of so few, and for many samples, counting the boundaries below u is faster than bisection
_MANY_SAMPLES = 2048


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
        if self._variables:  # bisection wants the samples last
            index = torch.searchsorted(c, u.movedim(0, -1).contiguous(), right=True).movedim(-1, 0)
        else:
            index = _below(c, u)
        return self._encoded(index), None

    def support(self, start: int = 0, stop: int | None = None) -> tuple[Tensor, Tensor]:
        k, n = self.logits.shape[-1], self._choices
        which = range(self.support_size)[start:stop]
        index = torch.arange(which.start, which.stop, device=self.logits.device)
        if not self._variables:
            return self._encoded(index), torch.log_softmax(self.logits, -1)[start:stop]
        digits = index[:, None] // torch.tensor([k**j for j in reversed(range(n))], device=index.device) % k
        digits = digits.view(-1, *[1] * (len(self._variables) - 1), *self._variables[-1:]).expand(-1, *self._variables)
        return self._encoded(digits), self._log_prob(digits)

    def log_prob(self, x: Tensor) -> Tensor:
        return self._log_prob(self._index(x))

    def score_sum(self, w: Tensor, x: Tensor, noise: Any) -> dict[str, Tensor]:
        return {"logits": _once(torch.softmax(self.logits, -1), self._histogram(w, x))}

    def score_square_sum(self, w: Tensor, x: Tensor, noise: Any) -> dict[str, Tensor]:
        (p, q), mine = self._probabilities(), self._histogram(w, x)
        return {"logits": _twice(p, q, mine, _others(mine, p))}

    def score_sums(
        self, once: Tensor, twice: Tensor, x: Tensor, noise: Any
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        m, p = len(once), torch.softmax(self.logits, -1)
        mine = self._histogram(torch.cat((once, twice)), x)
        others = _others(torch.cat((mine[m:], p.expand(1, *mine.shape[1:]))), p)  # p stands behind the weights
        return {"logits": _once(p, mine[:m])}, {"logits": _twice(p, others[-1], mine[m:], others[:-1])}

    def scores(self, x: Tensor, noise: Any) -> dict[str, Tensor]:
        p, q = self._probabilities()
        x = self._hot(self._index(x)) if self.samples == "index" else x.view(-1, *self.logits.shape)
        return {"logits": x * q - (1 - x) * p}

    @property
    def _variables(self) -> tuple[int, ...]:
        return self.logits.shape[:-1]  # (), (n,) or (B, n)

    @property
    def _choices(self) -> int:
        return self._variables[-1] if self._variables else 1

    def _encoded(self, index: Tensor) -> Tensor:
        """Return samples of indices (k, *variables)."""
        x = index.to(self.logits.dtype) if self.samples == "index" else self._hot(index)
        return x.view(len(index), *self.shape)

    def _hot(self, index: Tensor) -> Tensor:
        """Return one-hot vectors (k, *shape of the logits)."""
        index = index.long().unsqueeze(-1)
        return self.logits.new_zeros((len(index), *self.logits.shape)).scatter_(-1, index, 1.0)

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
        if not self._variables:
            cells = x.view(-1).long()
        else:
            offsets = torch.arange(0, self.logits.numel(), self.logits.shape[-1], device=x.device)
            cells = (self._index(x) + offsets.view(self._variables)).flatten()
            w = w.unsqueeze(-1).expand(*w.shape, self._choices)
        w = w.reshape(*lead, -1)
        sums = w.new_zeros((*lead, self.logits.numel())).scatter_add_(-1, cells.expand(w.shape), w)
        return sums.view(*lead, *self.logits.shape)

    def _probabilities(self) -> tuple[Tensor, Tensor]:
        """Return p_c and Σ_{j≠c} p_j."""
        p = torch.softmax(self.logits, -1)
        return p, _others(p, p)


def _below(c: Tensor, u: Tensor) -> Tensor:
    """Return how many of the boundaries c (K,), which ascend, are <= u (k,)."""
    if len(c) > _FEW_CHOICES or len(u) < _MANY_SAMPLES or not c.is_cpu:
        return torch.searchsorted(c, u, right=True)
    numbers, index = u.numpy(), np.zeros(len(u), np.int8)
    for boundary in c.tolist():
        index += numbers >= boundary
    return torch.from_numpy(index)


def _once(p: Tensor, mine: Tensor) -> Tensor:
    """Return Σ_k w_k s_c(x_k) = Σ_{x_k = c} w_k − p_c Σ_k w_k of the first sums; overall they add up to 0.

    That difference cancels for the c of most probability alone, which is given what the others leave.
    """
    g = torch.addcmul(mine, mine.sum(-1, keepdim=True), p, value=-1)
    most = p.argmax(-1, keepdim=True).expand(*g.shape[:-1], 1)
    rest = g.scatter_(-1, most, 0.0).sum(-1, keepdim=True)
    return g.scatter_(-1, most, rest.neg_())


def _twice(p: Tensor, q: Tensor, mine: Tensor, theirs: Tensor) -> Tensor:
    """Return Σ_k w_k s_c(x_k)²."""
    return torch.addcmul(mine * (q * q), theirs, p * p)


def _others(v: Tensor, p: Tensor) -> Tensor:
    """Return Σ_{j≠c} v_j for each c.

    As a difference from the sum over all, but for the c of most probability: that difference cancels where the samples
    are almost all of one choice, and is multiplied by p_c ≈ 1; elsewhere p_c <= 1/2 and its rounding is harmless.
    """
    most = p.argmax(-1, keepdim=True).expand(*v.shape[:-1], 1)
    rest = v.scatter(-1, most, 0.0).sum(-1, keepdim=True)
    return (v.sum(-1, keepdim=True) - v).scatter_(-1, most, rest)
