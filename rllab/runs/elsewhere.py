"""Jobs by an executor: a worker makes a run in a folder of its own, and its files come back through the executor."""

from __future__ import annotations

import concurrent.futures
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import nullcontext
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any

from rllab.executors.jobs import Executor, Submits
from rllab.executors.workers import Workers
from rllab.files import write_atomically
from rllab.runs.job import Job, Worker, do_job, note_failure
from rllab.runs.record import DONE, RUN
from rllab.warned import ShownOnce, Warned, warnings_to

POLL = 0.05  # seconds between looks at futures that are not those of concurrent.futures
Files = dict[str, bytes]


def run_by_executor(
    worker: Worker,
    jobs: Sequence[Job],
    folder: Path,
    executor: Executor,
    *,
    started: Callable[[Job], None],
    ended: Callable[[Job, str | None], None],
) -> None:
    """Do the jobs by an executor; whoever does one writes nothing here, so that no file system need be shared.

    A worker that is lost fails the job it had. What they warn of is shown here, once.

    Raises:
        TypeError: `executor` is nothing that submits.
    """
    own = Workers(executor) if isinstance(executor, int) and not isinstance(executor, bool) else None
    is_given = isinstance(executor, Submits) and not isinstance(executor, type)
    pool: Submits = own or (executor if is_given else _made(executor))  # type: ignore[assignment] - `is_given` says so
    flying: dict[Any, Job] = {}
    show = ShownOnce()
    try:
        for job in jobs:
            flying[pool.submit(do_job_apart, worker, job)] = job
            started(job)
        while flying:
            for future in _landed(flying):
                job = flying.pop(future)
                try:
                    error, files, warned = future.result()
                    for each in warned:
                        show(each)
                    keep_files(folder / job.name, files)
                except Exception as lost:  # a worker that died, or whatever an executor raises
                    error = f"{type(lost).__name__}: {lost}".splitlines()[0]
                    note_failure(folder / job.name, error + "\n")
                ended(job, error)
    finally:
        for future in flying:
            future.cancel()
        if own is not None:
            own.close()
        elif not is_given and isinstance(pool, concurrent.futures.Executor):
            pool.shutdown(wait=False, cancel_futures=True)


def do_job_apart(worker: Worker, job: Job) -> tuple[str | None, Files, list[Warned]]:
    """Make one run in a temporary folder; return why it failed, or None, its files by name, and what it warned of."""
    warned: list[Warned] = []
    # a thread of a pool shares what shows warnings with all others, and it is not to be exchanged under them
    collected = warnings_to(warned.append) if current_thread() is main_thread() else nullcontext()
    with tempfile.TemporaryDirectory() as scratch, collected:
        error = do_job(worker, job, Path(scratch))
        run = Path(scratch) / job.name
        files = {str(path.relative_to(run)): path.read_bytes() for path in run.rglob("*") if path.is_file()}
    return error, files, warned


def keep_files(run: Path, files: Files) -> None:
    """Write the files of a run; the one that makes it a run, and the one that says it is done, come last."""
    run.mkdir(parents=True, exist_ok=True)
    for name in sorted(files, key=lambda name: (name == DONE, name == RUN)):
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        write_atomically(run / name, files[name])


def _made(executor: object) -> Submits:
    pool = executor() if callable(executor) else executor
    if not isinstance(pool, Submits):
        raise TypeError(
            "sweep: executor must be a number of workers, something with submit(function, *arguments), or a function "
            f"without arguments that makes one, got {pool!r:.80}"
        )
    return pool


def _landed(flying: dict[Any, Job]) -> list[Any]:
    """Wait for futures that are done."""
    while True:
        if all(isinstance(future, Future) for future in flying):
            wait(flying, return_when=FIRST_COMPLETED)
        if done := [future for future in flying if future.done()]:
            return done
        time.sleep(POLL)
