"""Record: one run's folder on disk, append-only: what was run, one JSON line per row, and that it came to its end."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rllab.checks import check_seed
from rllab.files import write_atomically
from rllab.runs.columns import Columns
from rllab.runs.repetition import Repetition
from rllab.runs.rows import (
    ROWS,
    Row,
    append_row,
    being_written,
    create_rows,
    last_row,
    read_rows,
    reopen_rows,
    storable_row,
)
from rllab.runs.storage import read_object, restored, storable, to_json
from rllab.runs.versions import machine, package_versions, threads
from rllab.warned import warn

if TYPE_CHECKING:
    import numpy as np

RUN, DONE, ERROR = "run.json", "done.json", "error.txt"
STATES, STATE_FILES = "states.json", "state-*.pt"  # see `rllab.runs.states`
ASIDE = re.compile(r"interrupted-(\d+)")

Folder = str | os.PathLike[str]


class Watcher(Protocol):
    """What is told of the rows of a record that is being written."""

    def log(self, row: Mapping[str, Any]) -> None:
        """Be told of a row that is on disk."""
        ...

    def finish(self) -> None:
        """Be told that no more will come."""
        ...


class Record:
    """One run on disk. `Record.create` writes one, `Record.open` reads one.

        run.json     config, seed, versions, machine, threads and start, written once
        rows.jsonl   the rows, each handed to the operating system whole and at once: a killed process loses at most the
                     row being written, which is then a torn last line and is dropped on reading
        done.json    the summary; its presence says that the run finished
        error.txt    the traceback, where the run failed

    The writer holds a lock on rows.jsonl for as long as it lives, so a run that is still being written is never taken
    for an interrupted one.

    Attributes:
        folder: where it is.
        config: the run's configuration; tuples come back as lists.
        seed: the run's seed.
        about: versions, machine, threads and start of the run.
        summary: what `finish` was given, None until then.
        error: the traceback of a run that failed, else None.
        running: whether a live process was writing it when it was opened (never known on Windows).

    Raises:
        ValueError: the folder holds something else than a run.

    Example:
        import tempfile
        from rllab.runs import Record

        with tempfile.TemporaryDirectory() as folder:
            with Record.create(f"{folder}/run", {"lr": 0.1}, seed=0) as record:
                record.append({"steps": 100, "loss": 0.5})
                record.finish(loss=0.5)
            print(Record.open(f"{folder}/run").summary)
    """

    def __init__(self, folder: Path, file: FileIO | None = None):
        header = {name: restored(value) for name, value in read_object(folder / RUN).items()}
        for name, kind, wanted in (("config", dict, "an object"), ("seed", int, "an integer")):
            if type(header.get(name)) is not kind:
                raise ValueError(f"{folder / RUN}: {name} must be {wanted}, got {header.get(name)!r:.60}")
        self.folder = folder
        self.config: dict[str, Any] = header.pop("config")  # type: ignore[assignment]
        self.seed: int = header.pop("seed")  # type: ignore[assignment]
        self.about: dict[str, Any] = header
        self.running = file is not None or being_written(folder)
        self.summary: dict[str, Any] | None = None
        self.error: str | None = None
        with suppress(FileNotFoundError):
            self.summary = restored(read_object(folder / DONE))  # type: ignore[assignment]
        with suppress(FileNotFoundError):
            self.error = (folder / ERROR).read_bytes().decode("utf-8", "replace")
        self._file = file
        self._repetition: Repetition | None = None
        self._watchers: list[Watcher] = []
        self._size = None if file else (folder / ROWS).stat().st_size  # what is there now is what is read
        self._rows: list[Row] | None = None
        self._columns: Columns | None = None if file else self._read_columns()  # a damaged row is found now

    @classmethod
    def create(cls, folder: Folder, config: Mapping[str, Any], *, seed: int) -> Record:
        """Begin a run in an empty or new folder (sub-folders of runs set aside do not count).

        Raises:
            FileExistsError: if the folder holds a run; nothing is changed.
            TypeError: if config holds what JSON cannot, naming the field.
        """
        if not isinstance(config, Mapping):
            raise TypeError(
                f"Record.create: config must be a mapping (dataclasses.asdict of a dataclass), got {config!r:.60}"
            )
        header = {
            "config": storable(config, "Record.create: config"),
            "seed": check_seed("Record.create", seed),
            "versions": package_versions(),
            "machine": machine(),
            "threads": threads(),
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        if any(not ASIDE.fullmatch(name) for name in os.listdir(folder)):
            raise FileExistsError(f"Record.create: {folder} already holds a run; set it aside or choose another folder")
        file = create_rows(folder)
        try:
            write_atomically(folder / RUN, to_json(header, indent=2) + "\n")
            return cls(folder, file)
        except BaseException:
            file.close()
            raise

    @classmethod
    def reopen(cls, folder: Folder) -> Record:
        """Go on writing a run that did not finish; a torn last line is cut off, and the error it failed with forgotten.

        Raises:
            FileNotFoundError: if there is no run.
            ValueError: if it finished, is damaged, or is being written by another process.
        """
        folder = Path(folder)
        if (folder / DONE).exists():
            raise ValueError(f"Record.reopen: the run in {folder} is finished")
        cls.open(folder)  # a damaged one is named before anything changes
        file = reopen_rows(folder)
        (folder / ERROR).unlink(missing_ok=True)
        return cls(folder, file)

    @classmethod
    def open(cls, folder: Folder) -> Record:
        """Read a run as it is now, finished or not; a torn last line is dropped.

        Raises:
            FileNotFoundError: if there is no run.
            ValueError: if a file is damaged, naming the file and line.
        """
        folder = Path(folder)
        if not (folder / RUN).is_file():
            raise FileNotFoundError(f"Record.open: {folder} holds no run (no {RUN})")
        return cls(folder)

    @staticmethod
    def set_aside(folder: Folder) -> Path:
        """Move all that an unfinished run left into a new sub-folder `interrupted-<n>`, and return that.

        Raises:
            ValueError: if the run finished, or is still being written.
        """
        folder = Path(folder)
        if (folder / DONE).exists():
            raise ValueError(f"Record.set_aside: the run in {folder} is finished")
        if being_written(folder):
            raise ValueError(f"Record.set_aside: the run in {folder} is still being written by another process")
        names, target = os.listdir(folder), Record._next_aside(folder)
        target.mkdir()
        # run.json goes first: without it a folder is no run, so a move cut short never looks like one
        for name in sorted(names, key=lambda name: name != RUN):
            if not ASIDE.fullmatch(name):
                os.rename(folder / name, target / name)
        return target

    @staticmethod
    def _next_aside(folder: Path) -> Path:
        aside = [int(match[1]) for match in map(ASIDE.fullmatch, os.listdir(folder)) if match]
        return folder / f"interrupted-{max(aside, default=0) + 1}"

    def append(self, row: Mapping[str, Any]) -> None:
        """Store one row of numbers, texts, bools and None; scalars of numpy and torch become Python's.

        In a repetition, see `repeat`, a row that is there already is only looked at.

        Raises:
            TypeError: if a value is anything else, naming its key; nothing is written.
            ValueError: if the record is not open for writing.
            OSError: if the disk is full; the row is then not there at all.
        """
        file, stored = self._writable("append"), storable_row(row, "Record.append")
        readable: Any = restored(stored)
        if self._repetition is not None:
            difference = self._repetition.difference(readable)
            if difference is None:
                if self._repetition.over:
                    self._repetition = None
                return
            self._give_up_repetition(difference)
        append_row(file, stored)
        for watcher in self._watchers:
            watcher.log(readable)

    def watch(self, watcher: Watcher) -> None:
        """Tell somebody of every row from now on, once it is stored, and of the end."""
        self._watchers.append(watcher)

    def sync(self) -> int:
        """Force the rows to the disk; return how many bytes those are that were made so far."""
        file = self._writable("sync")
        os.fsync(file.fileno())
        return self._made(file)

    def repeat(self, size: int = 0) -> None:
        """Begin to make the rows again that follow the first ones, of so many bytes; until then they stay.

        Each appended row is held against the one that is there, times aside (columns whose names end in "seconds"). At
        the first that differs a copy of the old rows is set aside, the new ones take their place, and a warning says
        so.

        Raises:
            ValueError: if there are fewer bytes, or the record is not open for writing.
        """
        there = self._writable("repeat").tell()
        if size > there:
            raise ValueError(f"Record.repeat: {self.folder} has {there} bytes of rows, {size} are wanted")
        self._repetition = Repetition(self.folder, size) if size < there else None

    def _give_up_repetition(self, why: str) -> None:
        assert self._repetition is not None
        file, target = self._writable("append"), self._next_aside(self.folder)
        target.mkdir()
        for name in (ROWS, RUN):  # without the last a folder is no run, so a copy cut short never looks like one
            shutil.copyfile(self.folder / name, target / name)
        file.truncate(self._repetition.made)
        file.seek(self._repetition.made)
        self._repetition = None
        warn(
            f"{self.folder}: a row made again differs from the one before the interruption ({why}): the rows from "
            f"there on are made anew, the old ones are kept in {target.name}",
        )

    def _made(self, file: FileIO) -> int:
        return file.tell() if self._repetition is None else self._repetition.made

    def finish(self, **summary: Any) -> None:
        """Say that the run came to its end, with a summary of whatever JSON holds; the record is closed.

        States that it could have gone on from are deleted.
        """
        file = self._writable("finish")
        done = storable(summary, "Record.finish: summary")
        if self._repetition is not None:
            self._give_up_repetition("there are fewer rows")
        os.fsync(file.fileno())  # the rows reach the disk before the word that they are all there
        write_atomically(self.folder / DONE, to_json(done, indent=2) + "\n")
        self.summary = restored(done)  # type: ignore[assignment]
        for path in (self.folder / STATES, *self.folder.glob(STATE_FILES)):
            path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """End writing; without `finish` the run counts as interrupted."""
        if self._file is not None:
            self._file.close()
            self.running = False
            self._repetition = None
            while self._watchers:
                self._watchers.pop().finish()

    def __enter__(self) -> Record:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def rows(self) -> list[Row]:
        """The rows in order; of a record that is being written, those on disk now; of one that is repeated, those that
        were made again so far.

        Raises:
            ValueError: if a line is no row, naming it.
        """
        if self._file is not None:
            return list(read_rows(self.folder, self._until))
        if self._rows is None:
            self._rows = list(read_rows(self.folder, self._until))
        return self._rows

    @property
    def columns(self) -> Columns:
        """The same numbers by column; of a record that is being written, those on disk now."""
        return self._read_columns() if self._columns is None else self._columns

    @property
    def _until(self) -> int | None:
        """How many bytes of rows are read: in a repetition those that were made again; None for all."""
        return self._size if self._repetition is None else self._repetition.made

    def _read_columns(self) -> Columns:
        try:
            return Columns(read_rows(self.folder, self._until))
        except ValueError as error:
            where = "" if f"{self.folder}" in f"{error}" else f"{self.folder}: "
            raise ValueError(f"{where}{error}") from None

    @property
    def finished(self) -> bool:
        return self.summary is not None

    @property
    def status(self) -> str:
        """One word: finished, running, failed or interrupted."""
        if self.finished:
            return "finished"
        return "running" if self.running else "failed" if self.error is not None else "interrupted"

    @property
    def untaught(self) -> bool:
        """Whether a learner's run came to its end without an update: its policy is the one it began with."""
        return self.finished and (last_row(self.folder) or {}).get("updates") == 0

    @property
    def outcome(self) -> str:
        """The status, and where a run has finished without an update, that."""
        return f"{self.status}, without an update" if self.untaught else self.status

    def column(self, name: str) -> np.ndarray:
        """Return one value per row as float64 (rows,); where a row has none, or None, it is NaN.

        Raises:
            ValueError: on a text, naming the row.
        """
        try:
            return self.columns.numbers(name)
        except ValueError as error:
            raise ValueError(f"Record.column: {self.folder}: {error}") from None

    def __repr__(self) -> str:
        return f"Record({str(self.folder)!r}, {self.status})"

    def _writable(self, who: str) -> FileIO:
        if self._file is None or self._file.closed:
            raise ValueError(f"Record.{who}: {self.folder} is {self.status} and open for reading only")
        return self._file
