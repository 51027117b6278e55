"""Categorical: independent choices of one among K."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from rllab.arrays import as_array, as_tensor, row_sum, weighted_sum
from rllab.checks import check_logits
from rllab.distributions.base import Distribution, Sums, uniform
from rllab.keys import Key

SAMPLES = ("one-hot", "index")
_FEW_CHOICES = 32  # of so few, and for many samples, counting the boundaries below u is faster than bisection
_MANY_SAMPLES = 2048


class Choices(NamedTuple):
    """What was drawn: the indices (k, *variables), and the probabilities they were drawn by, shaped like the logits."""

    index: np.ndarray
    p: np.ndarray


@dataclass(frozen=True, eq=False)
class Categorical(Distribution):
    """n independent choices among K; a sample is their one-hot vectors end to end, (n K,): `x.view(-1, n, K)`.

        P(c) = p_c = e^(l_c) / Σ_j e^(l_j)
        ∂log p/∂l_c = x_c − p_c = Σ_{j≠c} p_j where c was chosen (x_c = 1), −p_c where it was not (x_c = 0)

    The second form is the one computed: where one p_c is almost 1, the difference 1 − p_c would round to 0. In sums
    the scores of all choices add up to 0, so those of the most probable one are what the others leave.

    Samples are one-hot vectors x, the form in which a choice can be relaxed, and a table of costs is `x @ table`; or
    indices, which are K times shorter, for costs that look the choice up: `table[x.long()]`.

    Args:
        logits: log p up to a constant for each choice: (K,) for a single choice, (n, K), or (B, n, K); floating and
            finite.
        samples: "one-hot"; or "index" for samples (n,) of indices 0 … K − 1, as floating numbers like all points.

    Raises:
        TypeError, ValueError: `logits` are no floating tensor of such a shape, or not finite.
        ValueError: `samples` is neither of the two.

    Example:
        import torch
        from rllab import Categorical, Key

        x, _ = Categorical(torch.zeros(4), samples="index").draw(5, Key(0))  # (5, 1), each 0, 1, 2 or 3
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
    def measure(self) -> tuple[str, ...]:
        return ("counting",) * self.shape[-1]

    @property
    def support_size(self) -> int:
        return self.logits.shape[-1] ** self._choices

    def _repeated(self, n: int) -> Categorical:
        return self._with({"logits": self.logits.expand(n, self._choices, self.logits.shape[-1])})

    def draw(self, k: int, key: Key) -> tuple[Tensor, Choices]:
        p = _softmax(self.logits)
        c = p.cumsum(-1)
        c /= c[..., -1:]  # ends in exactly 1, so that no u < 1 falls behind the last choice of positive probability
        u = as_array(uniform((k, *self._variables), key, self.logits))
        if self._variables:  # bisection wants the samples last, and is torch's where there are several boundaries
            of_samples = torch.from_numpy(np.ascontiguousarray(np.moveaxis(u, 0, -1)))
            index = torch.searchsorted(torch.from_numpy(c), of_samples, right=True).movedim(-1, 0).numpy()
        else:
            index = _below(c, u)
        return self._encoded(index), Choices(index, p)

    def noise_part(self, noise: Choices | None, part: slice) -> Choices | None:
        return noise and Choices(noise.index[part], noise.p)

    def support(self, start: int = 0, stop: int | None = None) -> tuple[Tensor, Tensor]:
        k, n = self.logits.shape[-1], self._choices
        which = range(self.support_size)[start:stop]
        index = np.arange(which.start, which.stop)
        if not self._variables:
            return self._encoded(index), torch.log_softmax(self.logits.double(), -1)[start:stop]
        digits = index[:, None] // np.array([k**j for j in reversed(range(n))]) % k
        digits = digits.reshape(-1, *[1] * (len(self._variables) - 1), *self._variables[-1:])
        digits = np.broadcast_to(digits, (len(index), *self._variables)).copy()
        return self._encoded(digits), self._log_prob(torch.from_numpy(digits).to(self.logits.device))

    def log_prob(self, x: Tensor) -> Tensor:
        return self._log_prob(self._index(x))

    def score_sums(
        self, once: np.ndarray | None, twice: np.ndarray | None, x: Tensor, noise: Choices | None
    ) -> tuple[Sums, Sums]:
        index, p = noise or (None, _softmax(self.logits))
        most = p.argmax(-1)
        first, second = Sums(), Sums()
        if once is not None:
            first = {"logits": _once(p, most, self._histogram(once, x, index))}
        if twice is not None:
            mine = self._histogram(twice, x, index)
            # Σ_k w_k s_c(x_k)² = q_c² Σ_{x_k = c} w_k + p_c² Σ_{x_k ≠ c} w_k,  q_c = Σ_{j≠c} p_j
            q = _others(p, most)
            second = {"logits": mine * (q * q) + _others(mine, most) * (p * p)}
        return first, second

    def scores(self, x: Tensor, noise: Any) -> dict[str, Tensor]:
        both = _softmax(self.logits)
        p, q = as_tensor(both, self.logits), as_tensor(_others(both, both.argmax(-1)), self.logits)
        if noise is not None or self.samples == "index":
            x = self._hot(noise.index if noise is not None else self._index(x).cpu().numpy())
        else:
            x = x.view(-1, *self.logits.shape)
        return {"logits": x * q - (1 - x) * p}

    @property
    def _variables(self) -> tuple[int, ...]:
        return self.logits.shape[:-1]  # (), (n,) or (B, n)

    @property
    def _choices(self) -> int:
        return self._variables[-1] if self._variables else 1

    def _encoded(self, index: np.ndarray) -> Tensor:
        """Return samples of indices (k, *variables)."""
        x = as_tensor(index, self.logits) if self.samples == "index" else self._hot(index)
        return x.view(len(index), *self.shape)

    def _hot(self, index: np.ndarray) -> Tensor:
        """Return one-hot vectors (k, *shape of the logits)."""
        where = torch.from_numpy(index).to(self.logits.device).unsqueeze(-1)
        return self.logits.new_zeros((len(index), *self.logits.shape)).scatter_(-1, where, 1.0)

    def _index(self, x: Tensor) -> Tensor:
        """Return the indices (k, *variables) of samples."""
        x = x.long() if self.samples == "index" else x.view(len(x), *self.logits.shape).argmax(-1)
        return x.view(len(x), *self._variables)

    def _log_prob(self, index: Tensor) -> Tensor:
        log_p = (
            torch.log_softmax(self.logits.double(), -1).expand(*index.shape, -1).gather(-1, index[..., None])[..., 0]
        )
        return log_p if self.logits.ndim == 1 else log_p.sum(-1)

    def _histogram(self, w: np.ndarray, x: Tensor, index: np.ndarray | None) -> np.ndarray:
        """Return Σ_{k: x_k = c} w_k for every choice: shaped like the logits, behind the dimensions in front of w."""
        lead, shape = w.shape[: w.ndim - x.ndim + 1], self.logits.shape
        if index is None:
            if self.samples == "one-hot":
                return weighted_sum(w, as_array(x)).reshape(*lead, *shape)
            index = self._index(x).cpu().numpy()
        cells, k = index, math.prod(shape)
        if self._variables:
            cells = (index + np.arange(0, k, shape[-1]).reshape(self._variables)).ravel()
            w = np.repeat(w[..., None], self._choices, -1)
        sums = [np.bincount(cells, one, k) for one in w.reshape(-1, len(cells))]
        return np.array(sums).reshape(*lead, *shape)


def _below(c: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Return how many of the boundaries c (K,), which ascend, are <= u (k,)."""
    if len(c) > _FEW_CHOICES or len(u) < _MANY_SAMPLES:
        return c.searchsorted(u, "right")
    index = np.zeros(len(u), np.int8)
    for boundary in c.tolist():
        index += u >= boundary
    return index.astype(np.int64)


def _softmax(logits: Tensor) -> np.ndarray:
    """Return the probabilities, in double precision."""
    l = as_array(logits).astype(np.float64, "C")  # noqa: E741 - the letter of logits
    e = np.exp(l - np.maximum.reduce(l, -1, keepdims=True))
    return e / row_sum(e)


def _once(p: np.ndarray, most: np.ndarray, mine: np.ndarray) -> np.ndarray:
    """Return Σ_k w_k s_c(x_k) = Σ_{x_k = c} w_k − p_c Σ_k w_k of the first sums; overall they add up to 0.

    That difference cancels for the c of most probability alone, which is given what the others leave.
    """
    g = _put(mine - row_sum(mine) * p, most, 0.0)
    return _put(g, most, -row_sum(g)[..., 0])


def _others(v: np.ndarray, most: np.ndarray) -> np.ndarray:
    """Return Σ_{j≠c} v_j for each c.

    As a difference from the sum over all, but for the c of most probability: that difference cancels where the samples
    are almost all of one choice, and is multiplied by p_c ≈ 1; elsewhere p_c <= 1/2 and its rounding is harmless.
    """
    return _put(row_sum(v) - v, most, _rest(v, most))


def _rest(v: np.ndarray, most: np.ndarray) -> np.ndarray:
    """Return the sum over the last dimension but for the choice of most probability."""
    return row_sum(_put(v.copy(), most, 0.0))[..., 0]


def _put(v: np.ndarray, most: np.ndarray, value: np.ndarray | float) -> np.ndarray:
    """Set v (…, *shape of the logits) at the choice of most probability, and return it."""
    if most.ndim == 0:
        v[..., most] = value
    else:
        where, values = (np.broadcast_to(np.expand_dims(a, -1), (*v.shape[:-1], 1)) for a in (most, value))
        np.put_along_axis(v, where, values, -1)
    return v
