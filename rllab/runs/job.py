"""Job: one run of a sweep, and doing it, in whichever process."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rllab.checks import check_seed
from rllab.files import write_atomically
from rllab.runs.record import ASIDE, ERROR, RUN, Record
from rllab.runs.trackers import Tracking
from rllab.text import as_bytes, printable


@dataclass(frozen=True)
class Job:
    """One run to be made.

    Args:
        name: the name of its folder, as "evolution-3".
        config: its configuration, which its record keeps.
        seed: its seed.

    Raises:
        TypeError: `config` is no mapping, or `seed` no integer.
        ValueError: `name` cannot be that of a folder, or is hidden or reserved.

    Example:
        from rllab.runs import Job

        jobs = [Job(f"evolution-{seed}", {"method": "evolution", "lr": 0.1}, seed) for seed in range(3)]
    """

    name: str
    config: dict[str, Any]
    seed: int

    def __post_init__(self) -> None:
        if not self.name or self.name[0] == "." or set(self.name) & set('/\\:*?"<>|') or ASIDE.fullmatch(self.name):
            raise ValueError(f"Job: name must be the name of a folder, not hidden or reserved, got {self.name!r}")
        if not isinstance(self.config, Mapping):
            raise TypeError(f"Job {self.name}: config must be a mapping, got {self.config!r:.60}")
        object.__setattr__(self, "seed", check_seed(f"Job {self.name}", self.seed))


Worker = Callable[[Job, Record], dict[str, Any] | None]


def do_job(worker: Worker, job: Job, folder: Path, track: str | None = None) -> str | None:
    """Make one run, or go on with one that was interrupted, and keep whatever comes of it.

    Returns:
        None, or in one line why it failed.

    The traceback of a failure goes to error.txt in the run's folder.
    """
    here, folder = os.getcwd(), folder.absolute()  # a worker may change directory
    try:
        run = folder / job.name
        record = Record.reopen(run) if (run / RUN).exists() else Record.create(run, job.config, seed=job.seed)
        record.repeat()  # what has states goes on from the last of them instead, once its worker asks for it
    except (OSError, ValueError) as error:  # the folder may be another process's: nothing is left there
        return str(error)
    with record:
        if track is not None:
            record.watch(Tracking(track, record))
        try:
            record.finish(**(worker(job, record) or {}))
        except (Exception, SystemExit) as error:
            note_failure(record.folder, traceback.format_exc())
            text = "".join(traceback.format_exception_only(error)).strip().splitlines()[0]
            return printable(text)
        finally:
            with suppress(OSError):
                os.chdir(here)
    return None


def note_failure(run: Path, text: str) -> None:
    """Write error.txt, if that can be: what hinders it (a full disk, a folder that is gone) must not hide the cause."""
    with suppress(OSError):
        run.mkdir(exist_ok=True)
        write_atomically(run / ERROR, as_bytes(text))
