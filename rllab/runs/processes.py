"""Jobs in child processes: spawned, one thread each, no worse for a sibling's crash, gone with their parent."""

from __future__ import annotations

import pickle
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from threading import Lock
from typing import Any

from rllab.children import begin_as_child, how_it_ended, start_child
from rllab.runs.job import Job, Worker, do_job, note_failure
from rllab.warned import ShownOnce, Warned, warnings_to

PATIENCE = 10.0  # seconds that children have to keep their states when they are to end
DEAD: Any = object()  # in the place of what a child says: it has died


def run_in_processes(
    worker: Worker,
    jobs: Sequence[Job],
    folder: Path,
    processes: int,
    *,
    track: str | None,
    started: Callable[[Job], None],
    ended: Callable[[Job, str | None], None],
) -> None:
    """Do the jobs in up to `processes` children at a time; each takes the next job when it is done with one.

    A child that dies fails the job it had, and another takes its place. What they warn of is shown here, once.
    """
    waiting, idle, show = deque(jobs), [], ShownOnce()
    busy: dict[Connection, tuple[SpawnProcess, Job]] = {}
    try:
        while waiting or busy:
            while waiting and len(busy) < processes:
                connection, child = idle.pop() if idle else start_child(partial(_serve, worker, folder, track))
                job = waiting.popleft()
                busy[connection] = child, job
                with suppress(ConnectionError):  # it died while idle; that is seen below
                    connection.send(job)
                started(job)
            # The end of a pipe shows most deaths, but not of a child whose own children hold it open.
            ready = wait([*busy, *(child.sentinel for child, _ in busy.values())])
            for connection, (child, job) in list(busy.items()):
                if connection not in ready and child.sentinel not in ready:
                    continue
                said = _heard(connection) if connection in ready else DEAD
                if isinstance(said, Warned):
                    show(said)
                    continue
                del busy[connection]
                if said is DEAD:
                    said = f"the process ended with {how_it_ended(child)}"
                    connection.close()
                    note_failure(folder / job.name, said + "\n")
                else:
                    idle.append((connection, child))
                ended(job, said)
    finally:
        _stop([*idle, *((connection, child) for connection, (child, _) in busy.items())])


def check_sendable(worker: Worker) -> None:
    """Check that the worker can be sent to a child.

    Raises:
        ValueError: if not: it is a lambda, say, or defined inside a function.
    """
    try:
        ForkingPickler.dumps(worker)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ValueError(f"sweep: worker must be a function at the top level of a module, got {worker!r}") from error
    main = sys.modules["__main__"]
    if worker.__module__ == "__main__" and main.__spec__ is None and not Path(getattr(main, "__file__", "")).is_file():
        raise ValueError(
            f"sweep: worker {worker.__qualname__} is defined in a session that no file holds (python -c, a notebook), "
            "where other processes cannot find it: write it in a module, or give processes=1"
        )


def _serve(worker: Worker, folder: Path, track: str | None, connection: Connection) -> None:
    begin_as_child()
    sending = Lock()  # a worker's threads may warn, too

    def send(what: Warned | str | None) -> None:
        with sending:
            connection.send(what)

    with suppress(EOFError, ConnectionError), warnings_to(send):  # the parent has gone
        while True:
            send(do_job(worker, connection.recv(), folder, track))


def _heard(connection: Connection) -> Any:
    """Return what a child says: a warning, or of a job that has ended why it failed, or None."""
    try:
        return connection.recv()
    except (EOFError, ConnectionError):
        return DEAD


def _stop(children: list[tuple[Connection, SpawnProcess]]) -> None:
    for _, child in children:
        child.terminate()
    last = time.monotonic() + PATIENCE
    try:
        for _, child in children:
            child.join(timeout=max(0.0, last - time.monotonic()))
    finally:  # Ctrl-C again
        for connection, child in children:
            connection.close()
            if child.is_alive():
                child.kill()
                child.join()
            child.close()
