"""Jobs: points given together to an executor, the chunks they are cut into, and what an executor must be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from rllab.executors.calls import Call, pack


@runtime_checkable
class Submits(Protocol):
    """What evaluates elsewhere: anything with the `submit` of concurrent.futures."""

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> Any: ...


Executor = int | Submits | Callable[[], Submits]


@dataclass(eq=False)
class Job:
    """Points that were given to a dispatcher together, and what has come back so far.

    Args:
        call: what is applied to them.
        inputs: tensors (n, …), or None.
        name: says what row i is, in errors.
        charge: is told how many rows are evaluated again, before they are.
        scored: the row that stands for one that is lost; None if that is an error.
        whole: whether all is one chunk.
        remade: the call that makes the inputs where they are evaluated, and the block they are; None if there is none.
        ragged: whether a row may be answered by any number of lines of a part, so that they are not counted.

    Attributes:
        again: how often each row was evaluated again.
    """

    call: Call
    inputs: tuple[Tensor | None, ...]
    name: Callable[[int], str]
    charge: Callable[[int], None]
    scored: Tensor | None = None
    whole: bool = False
    remade: tuple[Call, int] | None = None
    ragged: bool = False
    n: int = field(init=False)
    left: int = field(init=False)
    lost: int = field(init=False, default=0)
    again: Counter[int] = field(init=False, default_factory=Counter)
    error: Exception | None = field(init=False, default=None)
    parts: dict[int, tuple[int, tuple[Tensor, ...]]] = field(init=False, default_factory=dict)

    def __post_init__(self):
        self.n = self.left = max(len(x) for x in self.inputs if x is not None)

    def message(self, start: int, stop: int, known: bool) -> tuple[Call, tuple[Any, ...]]:
        """Return what is sent for rows start..stop: the rows themselves, or how they are made, whichever is smaller.

        Args:
            known: whether a call is sent once, however often it is submitted.
        """
        if self.remade is not None:
            call, block = self.remade
            rows = self.n if known else stop - start
            if call.bytes_of_recipe < sum(x[:1].nbytes for x in self.inputs if x is not None) * rows:
                return call, (block, start, stop)
        return self.call, tuple(pack(None if x is None else x[start:stop]) for x in self.inputs)

    def keep(self, start: int, rows: int, parts: tuple[Tensor, ...]) -> None:
        """Take the answer to `rows` rows from `start` on."""
        self.parts[start] = rows, parts
        self.left -= rows

    def score(self, start: int, rows: int) -> None:
        """Let the number that stands for lost rows be their answer."""
        assert self.scored is not None
        self.lost += rows
        self.keep(start, rows, (self.scored.expand(rows),))

    def joined(self) -> tuple[Tensor, ...]:
        """Return all answers in the order of the rows.

        Raises:
            ValueError: one has not as many rows as its points.
        """
        found = [self.parts[start] for start in sorted(self.parts)]
        for rows, parts in () if self.ragged else found:
            for part in parts:
                if part.shape[:1] != (rows,):
                    got = tuple(part.shape)
                    raise ValueError(f"Cost: function must return ({rows},) costs for ({rows}, d) points, got {got}")
        return tuple(torch.cat(column) for column in zip(*(parts for _, parts in found), strict=True))


@dataclass(frozen=True, eq=False)
class Chunk:
    """Rows start..stop of a job, and how often they were lost so far."""

    job: Job
    start: int
    stop: int
    losses: int = 0

    @property
    def rows(self) -> int:
        return self.stop - self.start


class Here:
    """An executor that evaluates at once, in this process."""

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args))
        return future
