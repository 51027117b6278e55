"""Runs of experiments that are stopped once so many states are on disk, and what they come to in the end."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from rllab.runs import Job, Record, sweep
from rllab.runs.job import Worker
from rllab.runs.states import States


class Killed(BaseException):
    """What stops a run here as a kill would: nothing after it is done."""


def stopped_after(worker: Worker, writes: int) -> Worker:
    """Return a worker that is stopped once so many states are on disk."""

    def work(job: Job, record: Record) -> dict[str, Any] | None:
        left, write = iter(range(writes - 1)), States.write

        @functools.wraps(write)
        def writing(*args: Any, **options: Any) -> None:
            write(*args, **options)
            if next(left, None) is None:
                raise Killed

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(States, "write", writing)
            return worker(job, record)

    return work


def both(worker: Worker, job: Job, folder: Path, stops: Sequence[int]) -> tuple[Record, Record]:
    """Return the record of a run that nothing stopped, and that of one that was stopped after so many states each."""
    (whole,) = sweep(worker, [job], folder / "whole", config={}, processes=1)
    for writes in stops:
        with pytest.raises(Killed):
            sweep(stopped_after(worker, writes), [job], folder / "run", config={}, processes=1, resume=True)
    (again,) = sweep(worker, [job], folder / "run", config={}, processes=1, resume=True)
    return whole, again


def timeless_summary(record: Record) -> dict[str, Any]:
    """Return what a run concluded, times aside."""
    return {name: value for name, value in (record.summary or {}).items() if "seconds" not in name}
