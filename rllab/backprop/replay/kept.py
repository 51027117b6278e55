"""Kept: passes that will be wanted again, by what they were made for."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """The passes of the last few kinds of call, each from its second call on, so that one call alone keeps nothing.

    A pass is taken out while it is made again: threads, and calls inside of calls, never share one. A copy of this,
    pickled or not, is empty.

    Args:
        most: kinds of call that are remembered.
    """

    def __init__(self, most: int):
        self._most = most
        self._by_kind: dict[Hashable, T | None] = {}

    def __reduce__(self) -> tuple[Callable[[int], Kept], tuple[int]]:
        return Kept, (self._most,)

    def seen(self, kind: Hashable) -> bool:
        """Whether there was a call of this kind among the last few."""
        return kind in self._by_kind

    def take(self, kind: Hashable) -> T | None:
        """Return the pass of a kind, which is then no longer here; None if there is none."""
        return self._by_kind.pop(kind, None)

    def put(self, kind: Hashable, made: T | None) -> None:
        """Keep a pass, or the kind alone, as the one used last."""
        self._by_kind[kind] = made
        for oldest in list(self._by_kind)[: -self._most]:
            self._by_kind.pop(oldest, None)
