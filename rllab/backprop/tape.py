"""Tape: the calls that a pass makes, each with the buffers of last time, so that a second pass allocates nothing.

The first pass asks, block by block, what reads what, and leaves a list of calls with their arguments. As long as
nothing but numbers has changed, the next pass is that list, run from top to bottom.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from operator import is_
from typing import Any

from torch import Tensor


class Tape:
    """Calls in the order made.

    The n-th call of a pass gets as `out` what the n-th call of the pass before returned.
    """

    def __init__(self) -> None:
        self._calls: list[tuple[Callable, tuple, Any]] = []  # function, arguments, what it returned
        self._made = 0  # calls of this pass so far
        self._bound: list[tuple[partial, Any]] = []  # those that a replay makes, and what they must return
        self._observed: list[Tensor] = []
        self._touched: list[int] = []  # those of them that are given something observed
        self._settled = True  # whether calls return their buffers, so that arguments stay what they were
        self.ready = False  # whether there is a pass to be made again

    def begin(self) -> None:
        """Start a pass."""
        self._made, self.ready = 0, False

    def __call__(self, function: Callable, *arguments: Any) -> Any:
        """Return function(*arguments, out)."""
        out = self._calls[self._made][2] if self._made < len(self._calls) else None
        result = function(*arguments, out)
        if out is not None and not _same(result, out):
            self._settled = False
        self._keep(function, (*arguments, result), result)
        return result

    def constant(self, function: Callable, *arguments: Any) -> Any:
        """Return function(*arguments), which no number changes: what an earlier pass made of it."""
        known = self._made < len(self._calls)
        result = self._calls[self._made][2] if known else function(*arguments)
        self._keep(_nothing, (), result)
        return result

    def write(self, function: Callable, *arguments: Any) -> None:
        """Call function(*arguments), which writes into one of them."""
        self._keep(function, arguments, function(*arguments))

    def _keep(self, function: Callable, arguments: tuple, result: Any) -> None:
        self._calls[self._made : self._made + 1] = [(function, arguments, result)]
        self._made += 1

    def end(self, observed: Sequence[Tensor]) -> None:
        """End a pass in which these tensors came from outside; they may be others in the next."""
        self._observed, self.ready = list(observed), self._settled
        ids = set(map(id, observed))
        calls = [call for call in self._calls if call[0] is not _nothing]
        self._bound = [(partial(function, *arguments), result) for function, arguments, result in calls]
        self._touched = [k for k, (_, arguments, _) in enumerate(calls) if any(_within(a, ids) for a in arguments)]

    def replay(self, observed: Sequence[Tensor]) -> bool:
        """Make the calls of the last pass again; False if one of them did not keep to its buffers."""
        if not all(map(is_, observed, self._observed)):
            if len(set(map(id, observed))) < len(observed):
                return False  # inputs are told apart by identity
            self._exchange(observed)
        for call, result in self._bound:
            if (new := call()) is not result and not _same(new, result):
                self._settled = self.ready = False
                return False
        return True

    def _exchange(self, observed: Sequence[Tensor]) -> None:
        new = {id(old): t for old, t in zip(self._observed, observed, strict=True)}
        for k in self._touched:
            call, result = self._bound[k]
            self._bound[k] = partial(call.func, *[_exchanged(a, new) for a in call.args]), result
        self._observed = list(observed)


def _nothing() -> None:
    """Stand for a call that need not be made again."""


def _same(new: Any, old: Any) -> bool:
    """Whether these are the same tensors, not tensors of the same numbers."""
    if type(new) is tuple and type(old) is tuple:
        return len(new) == len(old) and all(map(is_, new, old))
    return new is old


def _within(argument: Any, ids: set[int]) -> bool:
    return id(argument) in ids or (type(argument) is tuple and any(id(t) in ids for t in argument))


def _exchanged(argument: Any, new: dict[int, Tensor]) -> Any:
    if type(argument) is tuple:
        return tuple([new.get(id(t), t) for t in argument])
    return new.get(id(argument), argument)
