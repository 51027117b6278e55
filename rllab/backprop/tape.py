"""Tape: the calls that a pass makes, each with the buffers of last time, so that a second pass allocates nothing.

The first pass asks, block by block, what reads what, and leaves a list of calls with their arguments. As long as
nothing but numbers has changed, the next pass is that list, run from top to bottom.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import is_
from typing import Any

from torch import Tensor


class Tape:
    """Calls in the order made.

    The n-th call of a pass gets as `out` what the n-th call of the pass before returned.
    """

    def __init__(self) -> None:
        self._calls: list[tuple[Callable, list, Any]] = []
        self._again: list[Any] = []  # what the calls returned last time
        self._patches: list[tuple[list, int, Any]] = []  # arguments, place, the input, or a tuple with inputs, there
        self._settled = True  # whether calls return their buffers, so that arguments stay what they were
        self._ended = False

    def begin(self) -> None:
        """Start a pass."""
        self._ended = False
        self._again = [result for _, _, result in self._calls]
        self._calls = []

    def __call__(self, function: Callable, *arguments: Any) -> Any:
        """Return function(*arguments, out)."""
        k = len(self._calls)
        out = self._again[k] if k < len(self._again) else None
        result = function(*arguments, out)
        if out is not None and not _same(result, out):
            self._settled = False
        self._calls.append((function, [*arguments, result], result))
        return result

    def write(self, function: Callable, *arguments: Any) -> None:
        """Call function(*arguments), which writes into one of them."""
        self._calls.append((function, list(arguments), function(*arguments)))

    def end(self, observed: Sequence[Tensor]) -> None:
        """End a pass in which these tensors came from outside; they may be others in the next."""
        self._ended, self._observed = True, list(observed)
        where = {id(t): i for i, t in enumerate(observed)}
        self._patches = []
        for _, arguments, _ in self._calls:
            for k, argument in enumerate(arguments):
                if id(argument) in where:
                    self._patches.append((arguments, k, where[id(argument)]))
                elif type(argument) is tuple and any(id(t) in where for t in argument):
                    self._patches.append((arguments, k, tuple(where.get(id(t), t) for t in argument)))

    def replay(self, observed: Sequence[Tensor]) -> bool:
        """Make the calls of the last pass again; False if one of them did not keep to its buffers."""
        if not (self._settled and self._ended):
            return False
        if any(map(_is_not, observed, self._observed)):
            self._observed = list(observed)
            for arguments, k, source in self._patches:
                if type(source) is int:
                    arguments[k] = observed[source]
                else:
                    arguments[k] = tuple([observed[t] if type(t) is int else t for t in source])
        for function, arguments, result in self._calls:
            if (new := function(*arguments)) is not result and not _same(new, result):
                self._settled = False
                return False
        return True


def _is_not(a: Any, b: Any) -> bool:
    return a is not b


def _same(new: Any, old: Any) -> bool:
    """Whether these are the same tensors, not tensors of the same numbers."""
    if type(new) is tuple and type(old) is tuple:
        return len(new) == len(old) and all(map(is_, new, old))
    return new is old
