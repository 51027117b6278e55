"""Stopping: signals that end a process, Ctrl-C and SIGTERM, held until what is under way can be kept."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType
from typing import Any

from rllab.text import error_stream, printable

HELD = (signal.SIGINT, signal.SIGTERM)


class HeldSignals:
    """Hold SIGINT and SIGTERM inside of a block, and let the first of them act where the block ends.

    A second Ctrl-C acts at once. A signal that is ignored stays so; outside of the main thread nothing is held, since
    Python handles signals there alone.

    Args:
        hold: False holds nothing.
        says: what is printed at the first Ctrl-C.
    """

    def __init__(self, hold: bool = True, *, says: str = ""):
        self._hold = hold and current_thread() is main_thread()
        self._says = says
        self._before: dict[signal.Signals, Any] = {}
        self._came: signal.Signals | None = None

    @property
    def came(self) -> bool:
        """Whether one came, so that the block is to end soon."""
        return self._came is not None

    def __enter__(self) -> HeldSignals:
        for number in HELD if self._hold else ():
            if (before := signal.getsignal(number)) not in (signal.SIG_IGN, None):  # None: not set by Python
                self._before[number] = before
                signal.signal(number, self._keep)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
        if self._came is not None and kind is None:
            signal.raise_signal(self._came)

    def _keep(self, number: int, frame: FrameType | None) -> None:
        self._came = self._came or signal.Signals(number)
        if number == signal.SIGINT:
            signal.signal(number, self._before[signal.SIGINT])
            if self._says:
                print(printable(self._says), file=error_stream(), flush=True)


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Let SIGTERM raise a KeyboardInterrupt in a block, as Ctrl-C does, so that children come to an end in order."""
    before = signal.getsignal(signal.SIGTERM)
    if before is not signal.SIG_DFL or current_thread() is not main_thread():
        yield
        return
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt("SIGTERM")
