"""Call: a function on its way to a worker, which answers with numbers or says what the function raised."""

from __future__ import annotations

import math
import pickle
import time
import traceback
from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from rllab.children import portable
from rllab.executors.errors import NotSendable

Packed = np.ndarray | tuple[np.ndarray, str] | None
Inputs = tuple[Tensor | None, ...]
Recipe = Callable[[int, int, int], Inputs]  # (block, start, stop) -> rows of it, the same bits wherever they are made


class Answer(NamedTuple):
    """What comes back: numbers, or an error of the function with its traceback and the row it came up at.

    Args:
        parts: one array or more, each with a row for each point.
        seconds: that the function took.
        row: of the inputs; None where all were evaluated at once.
    """

    parts: tuple[Packed, ...]
    seconds: float
    error: Exception | None = None
    trace: str = ""
    row: int | None = None


class Call:
    """Apply a function of tensors to rows that arrive as arrays, which pickle to their own bytes and share no memory.

    A call opens itself where it arrives: what cannot be imported there is an error with a name, not a dead worker.

    Args:
        function: maps tensors (n, …), or None, to a tuple of tensors (n, …).
        apart: whether it is given one row at a time.
        recipe: makes the rows where they are evaluated; three numbers arrive then in the place of arrays.
    """

    def __init__(self, function: Callable[..., tuple[Tensor, ...]], apart: bool, recipe: Recipe | None = None):
        self.function, self.apart, self.recipe = function, apart, recipe

    @cached_property
    def bytes_of_recipe(self) -> float:
        """How much is sent with a call that makes its rows; infinity where that cannot be pickled."""
        try:
            return len(pickle.dumps(self.recipe))
        except Exception:  # an estimator that is defined in a function, say: its points are sent
            return math.inf

    def __call__(self, *packed: Any) -> Answer:
        start, row = time.perf_counter(), None
        try:
            inputs = tuple(unpack(x) for x in packed) if self.recipe is None else self.recipe(*packed)
            if self.apart:
                rows = []
                for row in range(max(len(x) for x in inputs if x is not None)):
                    rows.append(self.function(*(None if x is None else x[row : row + 1] for x in inputs)))
                parts = tuple(torch.cat(column) for column in zip(*rows, strict=True))
            else:
                parts = self.function(*inputs)
            answer = tuple(pack(part) for part in parts)
        except Exception as error:
            return Answer((), time.perf_counter() - start, portable(error), traceback.format_exc(), row)
        return Answer(answer, time.perf_counter() - start)

    def __reduce__(self) -> tuple[Any, ...]:
        try:
            data = pickle.dumps((self.function, self.apart, self.recipe))
        except Exception:  # an executor with a pickler of its own may be able to send it
            return Call, (self.function, self.apart, self.recipe)
        # What a script defines is known by that name to children of this process alone; other picklers send its code.
        whole = self.function, self.apart, self.recipe
        return (Call, whole) if b"__main__" in data else (opened, (data,))


def loaded(data: bytes) -> Callable[..., Any]:
    """Return the function that was pickled, or one that says why there is none."""
    try:
        return pickle.loads(data)
    except Exception as error:  # whatever the import of a user's module raises
        return Unopened(f"{type(error).__name__}: {error}")


def opened(data: bytes) -> Callable[..., Answer]:
    """Return the call that was sent as `data`, or one that says why there is none."""
    found: Any = loaded(data)
    return found if isinstance(found, Unopened) else Call(*found)


class Unopened:
    """Stand for a call that could not be read where it arrived.

    Args:
        why: the error that came up.
    """

    def __init__(self, why: str):
        self.why = why

    def __call__(self, *packed: Any) -> Answer:
        raise NotSendable(
            f"executor: a worker cannot load function ({self.why}); define it at the top level of a module that "
            "workers can import: installed, or on PYTHONPATH"
        )


def pack(x: Tensor | None) -> Packed:
    """Return a tensor as an array; torch's own pickling would send all the memory that a slice is part of."""
    if x is not None and x.dtype is torch.bfloat16:  # which numpy has not
        return x.detach().contiguous().view(torch.int16).numpy(force=True), "bfloat16"
    return None if x is None else x.numpy(force=True)


def unpack(x: Packed) -> Tensor | None:
    """Return what `pack` made an array of; one that may not be written to, as a store shares it, is copied."""
    if x is None:
        return None
    array, dtype = x if isinstance(x, tuple) else (x, "")
    made = torch.from_numpy(array if array.flags.writeable else array.copy())
    return made.view(getattr(torch, dtype)) if dtype else made
