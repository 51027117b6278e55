"""A lock on a folder: one sweep at a time works in it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rllab.runs.errors import ResultsConflict
from rllab.runs.record import RUN
from rllab.runs.rows import being_written

if sys.platform != "win32":
    import fcntl

_HELD: set[int] = set()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep every other sweep out of a folder, which is made if there is none; without locks (Windows) nothing is kept.

    Raises:
        ResultsConflict: if another sweep is at work in it.
        OSError: if it cannot be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if sys.platform == "win32":
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    _HELD.add(descriptor)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            run = next((path.parent for path in sorted(folder.glob(f"*/{RUN}")) if being_written(path.parent)), folder)
            what = "written by another process" if run != folder else "made by another sweep"
            raise ResultsConflict(f"{run} is being {what}: wait for it, or end it") from None
        except OSError:  # a file system without locks
            pass
        yield
    finally:
        _HELD.discard(descriptor)
        os.close(descriptor)


def _close_inherited() -> None:
    """Give the lock up in a process that is forked from this one: it may live on, and must not keep others out."""
    for descriptor in _HELD:
        os.close(descriptor)
    _HELD.clear()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_close_inherited)
