"""States: what an unfinished run goes on from, beside its rows: the last two, so that one may be damaged."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from rllab.files import write_atomically
from rllab.runs.record import STATE_FILES, STATES, Record
from rllab.runs.storage import read_object, restored, storable, to_json
from rllab.runs.versions import package_versions

KEPT = 2
SECONDS_PER_STATE = 60.0

Loaded = TypeVar("Loaded")
Thing = TypeVar("Thing")


class States:
    """The states of a run that is being written.

        states.json     versions, and of each state kept, newest first: its file, the bytes of rows.jsonl that were
                        there, and plain values noted with it
        state-7.pt      what the caller saved; it may save further files, as state-7.weights.pt

    A state is on disk whole before states.json names it, so a process that is killed at any moment leaves what a run
    can go on from. Rows that were appended after the state are made again, see `Record.repeat`.

    Args:
        record: of the run.
    """

    def __init__(self, record: Record):
        self.record = record
        self._written = time.monotonic()

    def between(
        self,
        things: Iterable[Thing],
        save: Callable[[Path], object],
        notes: Callable[[], Mapping[str, Any] | None] = dict,
    ) -> Iterator[Thing]:
        """Yield things; between two of them keep a state, if the last was kept `SECONDS_PER_STATE` ago or more.

        Args:
            things: what the run does, one after the other.
            save: see `write`.
            notes: returns what is noted with the state; None where there is none to go on from.
        """
        for thing in things:
            yield thing
            if time.monotonic() - self._written >= SECONDS_PER_STATE and (noted := notes()) is not None:
                self.write(save, **noted)

    def write(self, save: Callable[[Path], object], **notes: Any) -> None:
        """Keep a state of the run as it is after the rows that it has now.

        Args:
            save: writes the state to the path it is given, and to others beside it that begin with its name.
            **notes: plain values that belong to it.

        Raises:
            OSError: the disk is full, say; the states before stay.
        """
        folder, kept = self.record.folder, _kept(self.record.folder)
        number = 1 + max((int(_name(path).partition("-")[2]) for path in folder.glob(STATE_FILES)), default=0)
        path = folder / f"state-{number}.pt"
        save(path)
        new = {"file": path.name, "bytes": self.record.sync(), "notes": storable(notes, "States.write: notes")}
        kept = [new, *kept[: KEPT - 1]]
        content = {"versions": storable(package_versions(), "versions"), "states": storable(kept, "states")}
        write_atomically(folder / STATES, to_json(content, indent=1) + "\n")
        for old in folder.glob(STATE_FILES):
            if _name(old) not in {_name(Path(state["file"])) for state in kept}:
                old.unlink()
        self._written = time.monotonic()

    def go_on(self, load: Callable[[Path], Loaded]) -> tuple[Loaded, dict[str, Any]] | None:
        """Return the newest state that can be read, with its notes; the rows after those that it had are made again.

        Args:
            load: reads a path that `save` wrote; raises a ValueError or OSError if that is damaged.

        Returns:
            What was loaded, and the notes; None if there is no state to be read: the run is then at its start, and
            makes all its rows again.
        """
        for state in _kept(self.record.folder):
            with suppress(ValueError, OSError):
                loaded = load(self.record.folder / state["file"])
                self.record.repeat(state["bytes"])
                return loaded, state["notes"]
        self.record.repeat()
        return None


def can_go_on(folder: Path) -> bool:
    """Whether a run's folder holds a state, of the versions that are installed now: others may compute otherwise."""
    try:
        return read_object(folder / STATES).get("versions") == package_versions()
    except (ValueError, OSError):
        return False


def _name(path: Path) -> str:
    """Return the part of a file's name that all files of one state share, "state-7"."""
    return path.name.partition(".")[0]


def _kept(folder: Path) -> list[dict[str, Any]]:
    try:
        states: Any = restored(read_object(folder / STATES)["states"])
        return [{"file": str(s["file"]), "bytes": int(s["bytes"]), "notes": dict(s["notes"])} for s in states]
    except (ValueError, OSError, KeyError, TypeError):  # none yet, or damaged: the run begins anew
        return []
