"""Counts: K draws from finitely many outcomes as how often each was drawn, at a price that K has no part in.

n ~ Multinomial(K, p)            Σ_k h(x_k) = Σ_c n_c h(c) in law, for any h
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from rllab.arrays import as_array, as_tensor, column_sum, single_at_least
from rllab.distributions import Distribution
from rllab.keys import Key

_MOST = 1 << 24  # numbers that write down all outcomes


def outcomes(name: str, at: Distribution) -> int:
    """Return how many outcomes a distribution has; raise a TypeError in the name of `name` if not finitely many."""
    if at.support_size is None:
        raise TypeError(f"{name}: at must have finitely many outcomes, got {type(at).__name__}")
    return at.support_size


def check_writable(name: str, at: Distribution) -> None:
    """Raise a ValueError in the name of `name` if all outcomes are too many numbers to be written down."""
    if (size := outcomes(name, at)) * math.prod(at.shape) > _MOST:
        raise ValueError(
            f"{name}: all outcomes must be at most {_MOST} numbers, got {size.bit_length()} bits of outcomes of shape "
            f'{at.shape}; a Categorical with samples="index" has shorter ones'
        )


def draw_counts(at: Distribution, k: int, key: Key) -> tuple[Tensor, Tensor]:
    """Draw k samples; return the outcomes x (N, *shape) that were seen and how often, (N,) or (N, B).

    Each of a batch has outcomes of its own, N as many as the one that saw most; the others' last ones are outcomes of
    theirs once more, seen 0 times.
    """
    if (given := key.given("counts", (k,))) is not None:
        return given
    x, log_p = at.support()
    p = np.exp(as_array(log_p).reshape(len(x), -1).astype(np.float64))
    n = np.empty(p.shape)
    for b in range(p.shape[1]):
        rng = np.random.default_rng(key.child(b))  # type: ignore[arg-type] - a Key is a seed sequence
        n[:, b] = rng.multinomial(k, p[:, b] / column_sum(p[:, b]))
    order = np.argsort(n == 0, axis=0, kind="stable")[: (n > 0).sum(0).max()]  # those seen first, else as they were
    n = np.take_along_axis(n, order, 0)
    order = torch.from_numpy(np.where(n > 0, order, order[:1])).to(x.device)
    x = pick(x, order.reshape(-1, *log_p.shape[1:]))
    return x, as_tensor(n.reshape(-1, *log_p.shape[1:]), single_at_least(x))


def pick(x: Tensor, index: Tensor) -> Tensor:
    """Return outcomes (N, *shape) by index, (k,), or (k, B) for each of a batch its own."""
    return x[index] if index.ndim == 1 else x[index, torch.arange(index.shape[1], device=index.device)]


def repeat_rows(r: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Return rows r (N, …) or (N, B, …) as often as they were drawn, (K, …) or (K, B, …), in order of outcomes."""
    n = n.astype(np.int64)
    if n.ndim == 1:
        return np.repeat(r, n, 0)
    return np.stack([np.repeat(r[:, b], n[:, b], 0) for b in range(n.shape[1])], 1)
