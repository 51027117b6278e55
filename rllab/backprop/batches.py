"""Batches: the samples of one step after the other, with or without replacement."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, get_args

import torch
from torch import Tensor

from rllab.checks import check_count, check_one_of
from rllab.keys import Key, as_key

Order = Literal["independent", "shuffled", "sequential"]
_BLOCK = 1024  # picks drawn at once


def minibatches(samples: int, batch: int, *, order: Order = "independent", key: Key | int) -> Iterator[Tensor]:
    """Yield the numbers (batch,), int64, of the samples of one batch after the other, without end.

    Args:
        samples: how many there are, >= 1.
        batch: how many are in a batch, >= 1, at most `samples` without replacement.
        order: "independent", with replacement, each pick uniform whatever came before; "shuffled", without replacement,
            a new permutation an epoch; or "sequential", as they stand. In the last two an epoch's last batch holds what
            is left.
        key: the picks come from its stream "minibatch"; which samples come one after the other does not depend on
            the batch's size.

    Returns:
        An endless iterator of (batch,) int64.

    Raises:
        TypeError, ValueError: an argument is none of these.

    Example:
        from rllab import backprop as bp

        batches = bp.minibatches(10, 4, order="shuffled", key=0)
        print([next(batches).tolist() for _ in range(3)])
    """
    check_one_of("minibatches", get_args(Order), order=order)
    check_count("minibatches", samples=samples, batch=batch)
    if order != "independent" and batch > samples:
        raise ValueError(f"minibatches: batch must be at most {samples}, the samples, got {batch}")
    return (_independent if order == "independent" else _epochs)(samples, batch, order, as_key(key).child("minibatch"))


def _independent(samples: int, batch: int, order: Order, key: Key) -> Iterator[Tensor]:
    ready, block = torch.empty(0, dtype=torch.int64), 0
    while True:
        while len(ready) < batch:
            new = torch.randint(samples, (_BLOCK,), generator=key.child(block).generator())
            ready, block = torch.cat((ready, new)), block + 1
        yield ready[:batch]
        ready = ready[batch:]


def _epochs(samples: int, batch: int, order: Order, key: Key) -> Iterator[Tensor]:
    epoch = 0
    while True:
        shuffled = torch.randperm(samples, generator=key.child(epoch).generator())
        yield from (shuffled if order == "shuffled" else torch.arange(samples)).split(batch)
        epoch += 1


class TakenSamples:
    """Samples x, y by their numbers, in the same two tensors for each size of a batch, written over by the next."""

    def __init__(self, x: Tensor, y: Tensor):
        self._x, self._y = x.detach(), y.detach()
        self._made: dict[int, tuple[Tensor, Tensor]] = {}

    def __call__(self, picked: Tensor) -> tuple[Tensor, Tensor]:
        """Return the samples of these numbers, to be used before the next call."""
        made = self._made.get(len(picked))
        if made is None:
            made = self._made[len(picked)] = self._x[picked], self._y[picked]
        else:
            torch.index_select(self._x, 0, picked, out=made[0])
            torch.index_select(self._y, 0, picked, out=made[1])
        return made
