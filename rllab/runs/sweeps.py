"""sweep: many runs of one experiment, in processes, safe to interrupt and to go on with."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rllab.checks import as_count
from rllab.runs.errors import SweepFailed
from rllab.runs.job import Job, Worker, do_job
from rllab.runs.locks import locked
from rllab.runs.processes import check_sendable, run_in_processes
from rllab.runs.progress import Progress
from rllab.runs.record import ERROR, Record
from rllab.runs.results import check_writable, claim
from rllab.runs.storage import storable
from rllab.runs.trackers import check_tracker
from rllab.runs.versions import one_thread

if TYPE_CHECKING:
    from rllab.executors.jobs import Executor


def sweep(
    worker: Worker,
    jobs: Iterable[Job],
    folder: str | os.PathLike[str],
    *,
    config: Mapping[str, Any],
    resume: bool = False,
    processes: int = 2,
    executor: Executor | None = None,
    describe: Callable[[Record], str] | None = None,
    track: str | None = None,
) -> list[Record]:
    """Make every run that is not finished yet; return the records of all, in the order of the jobs.

    Args:
        worker: appends rows to the record of the job it is given, and returns a summary or None. With more than one
            process it must be a function at the top level of a module, and the script guarded by `__main__`.
        folder: where the runs are, each in a sub-folder of its job's name, beside `config.json`.
        config: the experiment's configuration; a folder holds runs of one only. What only says which jobs there are,
            such as the number of seeds, may stay out of it, and may then grow with `resume`.
        resume: go on in a folder that holds results: finished runs stay; one that has states (see `rllab.runs.states`)
            goes on from the last of them; one that was interrupted without makes its rows again, which stay meanwhile,
            see `Record.repeat`; what failed is set aside and redone.
        processes: how many at a time, one thread each; with 1 everything runs in this process. A worker that draws
            from its job's seed gives the same numbers either way.
        executor: who makes the runs in the place of processes of this machine, and sends their files back: a number of
            own workers, a `RayExecutor`, anything with the `submit` of `concurrent.futures`, or a function that makes
            one. The records are the same but for times and machines; rows are on disk when a run has ended.
        describe: what to say of a finished run.
        track: show rows by "tensorboard", "wandb" or "trackio" as well; if that fails, the run goes on and says so.
        jobs: the runs to be made, of different names.

    Returns:
        The record of each job, in the order of the jobs.

    Raises:
        ResultsConflict: if the folder's results are in the way; nothing is changed.
        SweepFailed: after all jobs are done, if some raised; error.txt in a run's folder holds the traceback.
        OSError: if the folder cannot be written to, before any work.

    Example:
        import tempfile
        from rllab.runs import Job, sweep

        def work(job, record):
            record.append({"steps": 1, "loss": job.config["lr"]})

        with tempfile.TemporaryDirectory() as folder:
            jobs = [Job(f"run-{seed}", {"lr": 0.1}, seed) for seed in range(2)]
            sweep(work, jobs, f"{folder}/sweep", config={"lr": 0.1}, processes=1)
    """
    jobs, folder = list(jobs), Path(folder)
    processes = as_count("sweep", "processes", processes)
    _check(jobs, config)
    check_tracker(track)
    if track is not None and executor is not None:
        raise ValueError(f"sweep: track must be None with an executor, which sends rows at a run's end, got {track!r}")
    if processes > 1 and executor is None:
        check_sendable(worker)
    failed: dict[str, str] = {}
    check_writable(folder)
    with locked(folder):
        waiting = claim(folder, config, jobs, resume)
        with one_thread(), Progress(folder, len(jobs) - len(waiting), len(jobs), describe=describe) as progress:

            def ended(job: Job, error: str | None) -> None:
                if error is not None:
                    failed[job.name] = error
                progress.ended(job, error)

            try:
                if executor is not None:
                    from rllab.runs.elsewhere import run_by_executor  # which loads torch

                    run_by_executor(worker, waiting, folder, executor, started=progress.started, ended=ended)
                elif processes == 1:
                    for job in waiting:
                        progress.started(job)
                        ended(job, do_job(worker, job, folder, track))
                else:
                    run_in_processes(
                        worker, waiting, folder, processes, track=track, started=progress.started, ended=ended
                    )
            except KeyboardInterrupt as interrupt:
                interrupt.add_note(f"({progress.done} of {len(jobs)} runs in {folder} are finished; --resume goes on)")
                raise
    if failed:
        what = "; ".join(f"{name}: {error} ({folder / name / ERROR})" for name, error in failed.items())
        raise SweepFailed(f"{len(failed)} of {len(jobs)} runs failed, the others are kept: {what}")
    return [Record.open(folder / job.name) for job in jobs]


def _check(jobs: Sequence[Job], config: object) -> None:
    if not isinstance(config, Mapping):
        raise TypeError(f"sweep: config must be a mapping (dataclasses.asdict of a dataclass), got {config!r:.60}")
    storable(config, "sweep: config")
    for job in jobs:
        storable(job.config, f"Job {job.name}.config")
    if not jobs:
        raise ValueError("sweep: there must be at least one job, got none")
    name, count = Counter(job.name for job in jobs).most_common(1)[0]
    if count > 1:
        raise ValueError(f"sweep: names of jobs must differ, got {name!r} {count} times")
