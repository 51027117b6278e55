"""Stopping: what may end a run from outside, let in only where the run can be gone on from."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Stops:
    """Hold back a Ctrl-C or SIGTERM while a run is between two steps, and raise it as soon as it is not.

    SIGTERM becomes a KeyboardInterrupt too, so that whatever is under way, a sweep say, ends as it does by Ctrl-C.
    Handlers are set within `heard`, in the main thread only, and only in the place of Python's own: whoever has set
    another one keeps it.

    Example:
        from rllab.optimize.stopping import Stops

        stops = Stops()
        with stops.heard():
            with stops.held():
                pass  # is done to its end
    """

    def __init__(self) -> None:
        self._holding = False
        self._waiting: BaseException | None = None

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Let this object answer signals meanwhile; handlers are afterwards what they were."""
        ours: dict[signal.Signals, Any] = {}
        if threading.current_thread() is threading.main_thread():
            defaults = {signal.SIGTERM: signal.SIG_DFL, signal.SIGINT: signal.default_int_handler}
            ours = {number: old for number, old in defaults.items() if signal.getsignal(number) is old}
        try:
            for number in ours:
                signal.signal(number, self._answer)
            yield
        finally:
            for number, old in ours.items():
                signal.signal(number, old)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold signals back meanwhile.

        Raises:
            KeyboardInterrupt: at the end, if one came.
        """
        self._holding = True
        try:
            yield
        finally:
            self._holding = False
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            raise waiting

    def _answer(self, number: int, frame: FrameType | None) -> None:
        error = KeyboardInterrupt(*(() if number == signal.SIGINT else ("SIGTERM",)))
        if not self._holding:
            raise error
        self._waiting = error
