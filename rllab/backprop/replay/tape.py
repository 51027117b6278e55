"""Tape: the calls that a pass makes, each with the buffers of last time, so that a second pass allocates nothing."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from rllab.backprop.replay.operations import Operations, same


class Tape:
    """Calls in the order made.

    The first pass asks, block by block, what reads what, and makes every buffer: the n-th call of a pass gets as `out`
    what the n-th call of the pass before returned. The second is recorded, operation by operation: a call of a module
    that does nothing but write into its buffers is a few of torch's own functions with all their arguments. As long as
    nothing but numbers has changed, the next pass is that list, run from top to bottom.
    """

    def __init__(self) -> None:
        self._buffers: list[Any] = []  # what the calls returned
        self._made = 0  # calls of this pass so far
        self._recording = False
        self._steps: list[Callable[[], object]] = []  # what a replay does
        self._settles = True  # whether calls return their buffers, so that arguments stay what they were
        self.ready = False  # whether there is a pass to be made again

    def begin(self, *, record: bool) -> None:
        """Start a pass; record it if nothing that its calls are given will be replaced, only written over."""
        self._recording = record and self._settles and bool(self._buffers)
        self._made, self._steps, self.ready = 0, [], False

    def __call__(self, function: Callable, *arguments: Any) -> Any:
        """Return function(*arguments, out)."""
        out = self._buffers[self._made] if self._made < len(self._buffers) else None
        result = self._call(function, (*arguments, out), out)
        self._buffers[self._made : self._made + 1] = [result]
        self._made += 1
        return result

    def constant(self, function: Callable, *arguments: Any) -> Any:
        """Return function(*arguments), which no number changes: what an earlier pass made of it."""
        if self._made == len(self._buffers):
            self._buffers.append(function(*arguments))
        self._made += 1
        return self._buffers[self._made - 1]

    def write(self, function: Callable, *arguments: Any) -> object:
        """Call function(*arguments), which writes into one of them; return what it returns."""
        return self._call(function, arguments, None)

    def _call(self, function: Callable, arguments: tuple, out: Any) -> Any:
        if not self._recording:
            return function(*arguments)
        with Operations() as operations:
            result = function(*arguments)
        if operations.only_write:
            self._steps += operations.made
        elif out is None or same(result, out):
            self._steps.append(partial(_again, partial(function, *arguments), out))
        else:
            self._settles = self._recording = False
        return result

    def end(self) -> None:
        """End a pass."""
        self.ready = self._recording

    def replay(self) -> bool:
        """Make the calls of the recorded pass again; False if one of them did not keep to its buffers."""
        try:
            for step in self._steps:
                step()
        except _Moved:
            self._settles = self.ready = False
        return self.ready


class _Moved(Exception):
    """A call returned something else than its buffer."""


def _again(call: Callable, out: Any) -> None:
    result = call()
    if out is not None and not same(result, out):
        raise _Moved
