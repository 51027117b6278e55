"""The rules of a results folder: it holds one configuration's runs, and nothing in it is ever overwritten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rllab.files import write_atomically
from rllab.runs.errors import ResultsConflict
from rllab.runs.job import Job
from rllab.runs.record import DONE, RUN, STATES, Record
from rllab.runs.rows import being_written
from rllab.runs.states import can_go_on
from rllab.runs.storage import Storable, read_object, storable, to_json
from rllab.runs.versions import package_versions

CONFIG = "config.json"
ABSENT = "absent"


def claim(folder: Path, config: Mapping[str, Any], jobs: Sequence[Job], resume: bool) -> list[Job]:
    """Make `folder` the place of these jobs; return those still to be done, their folders cleared for them.

    What unfinished runs left is set aside where they failed, are damaged, or were begun otherwise or with other
    versions; the rows of those that were interrupted stay. All is checked before anything is changed.

    Raises:
        ResultsConflict: if the folder holds results of another configuration; or of this one, without `resume`; or
            runs of no known configuration; or a run that another process is writing.
        OSError: if the folder cannot be written to.
    """
    wanted = storable(config, "sweep: config")
    asked = {job.name: storable({"config": job.config, "seed": job.seed}, f"Job {job.name}") for job in jobs}
    check_writable(folder)
    if (folder / CONFIG).exists():
        _check_config(folder, wanted)
        if not resume:
            finished = len(list(folder.glob(f"*/{DONE}")))
            raise ResultsConflict(
                f"{folder} already holds results of this configuration ({finished} finished runs; {len(jobs)} are "
                f"wanted): --resume goes on, rllab plot {folder} draws them, --out DIR starts elsewhere"
            )
    else:
        strangers = sorted(path.parent.name for path in folder.glob(f"*/{RUN}"))
        if strangers:
            raise ResultsConflict(
                f"{folder} holds the run {strangers[0]} but no {CONFIG}: choose another folder (--out)"
            )
    waiting = [job for job in jobs if not _is_done(folder / job.name, asked[job.name])]
    for job in waiting:
        if being_written(folder / job.name):
            raise ResultsConflict(f"{folder / job.name} is being written by another process: wait for it, or end it")
    if not (folder / CONFIG).exists():
        write_atomically(folder / CONFIG, to_json(wanted, indent=2) + "\n")
    for job in waiting:
        if (folder / job.name).exists() and not (resume and _goes_on(folder / job.name, asked[job.name])):
            Record.set_aside(folder / job.name)
    return waiting


def first_difference(there: Storable, here: Storable, name: str = "") -> tuple[str, str, str] | None:
    """Return the name of the first field in which two configurations differ, and both values as JSON."""
    if isinstance(there, dict) and isinstance(here, dict):
        for key in [*there, *(key for key in here if key not in there)]:
            field = f"{name}.{key}" if name else key
            if key not in there:
                return field, ABSENT, to_json(here[key])
            if key not in here:
                return field, to_json(there[key]), ABSENT
            if difference := first_difference(there[key], here[key], field):
                return difference
        return None
    # as JSON, so that 1 and true, or 1 and 1.0, are told apart, and NaN is equal to itself
    return None if to_json(there) == to_json(here) else (name, to_json(there), to_json(here))


def _check_config(folder: Path, wanted: Storable) -> None:
    try:
        there = read_object(folder / CONFIG)
    except ValueError as error:
        raise ResultsConflict(f"{error}: choose another folder (--out)") from None
    if difference := first_difference(there, wanted):
        field, old, new = difference
        conflict = ResultsConflict(
            f"{folder} holds results of another configuration: {field} is {old} there and {new} now; choose another "
            f"folder (--out), or set {field} back to go on with --resume"
        )
        conflict.field = field
        raise conflict


def _is_done(run: Path, asked: Storable) -> bool:
    if not (run / DONE).exists():
        return False
    there = {name: value for name, value in read_object(run / RUN).items() if name in ("config", "seed")}
    if difference := first_difference(there, asked):
        field, old, new = difference
        raise ResultsConflict(
            f"{run} is a finished run whose {field} is {old}, not {new}: choose another folder (--out)"
        )
    return True


def _goes_on(run: Path, asked: Storable) -> bool:
    """Whether a run that was interrupted is the one that is asked for, and can go on, or make its rows again."""
    try:
        record, header = Record.open(run), read_object(run / RUN)
    except (ValueError, OSError):  # damaged
        return False
    if (run / STATES).exists():
        if not can_go_on(run):
            return False
    elif record.error is not None or header.get("versions") != storable(package_versions(), "versions"):
        return False
    return first_difference({name: header[name] for name in ("config", "seed")}, asked) is None


def check_writable(folder: Path) -> None:
    probe = folder / ".writable"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(probe, b"")
        probe.unlink()
    except OSError as error:
        raise type(error)(f"sweep: cannot write to {folder}: {error.strerror or error}") from None
