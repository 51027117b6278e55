"""Children: processes that are spawned with one thread each, end with their parent, and say how they ended."""

from __future__ import annotations

import os
import pickle
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from threading import Lock, Thread

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_ENVIRONMENT = Lock()  # which all threads share


def start_child(serve: Callable[[Connection], None], *, daemon: bool = False) -> tuple[Connection, SpawnProcess]:
    """Start a process that runs `serve(connection)`; return our end of the connection, and the process.

    A daemon may have no children of its own, and a simulator may be one; others are waited for when the program ends.
    """
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=serve, args=(theirs,), daemon=daemon)
    with one_thread():
        child.start()
    theirs.close()  # so that the child's death is the end of the pipe
    return ours, child


def begin_as_child() -> None:
    """Leave Ctrl-C, which reaches the whole group, to the parent, and end when it does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()


def cores() -> int:
    """Return how many cores this process may use, where the system tells; else how many there are."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def how_it_ended(child: SpawnProcess) -> str:
    """Return how a child ended, as "exit code 1" or "signal SIGKILL"; nothing of it remains."""
    child.join()
    code = child.exitcode or 0
    child.close()
    names = {int(known): known.name for known in signal.Signals}  # real-time signals have none
    return f"signal {names.get(-code, -code)}" if code < 0 else f"exit code {code}"


def portable(error: Exception) -> Exception:
    """Return an error that another process can read."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)  # whatever the other threads do


@contextmanager
def one_thread() -> Iterator[None]:
    """Let children that start meanwhile find one thread in their environment; no two threads do so at a time."""
    with _ENVIRONMENT, one_thread_said():
        yield


@contextmanager
def one_thread_said() -> Iterator[None]:
    """Say in the environment that there is to be one thread; afterwards it is as it was."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
