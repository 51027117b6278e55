"""rows.jsonl: one JSON line per row, appended whole, read back without a torn end, locked while its writer lives."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any
from weakref import WeakSet

from rllab.files import errors_name
from rllab.runs.storage import Storable, restored, scalar, to_json

if sys.platform != "win32":
    import fcntl

ROWS = "rows.jsonl"
TAIL = 1 << 16  # bytes read from the end to find the last row

Row = dict[str, Any]

_LOCKED: WeakSet[FileIO] = WeakSet()


def _lock(file: FileIO) -> None:
    """Lock an open file for as long as this process has it open; a process that is forked from this one gives it up."""
    if sys.platform != "win32":
        with suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_EX)  # waits at most for the moment in which another process looks
            _LOCKED.add(file)


def _close_inherited() -> None:
    for file in list(_LOCKED):
        file.close()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_close_inherited)


def create_rows(folder: Path) -> FileIO:
    """Create the empty file, unbuffered and locked; of two processes that try, one gets a FileExistsError."""
    file = FileIO(folder / ROWS, "x")
    _lock(file)
    return file


def reopen_rows(folder: Path) -> FileIO:
    """Open the rows of a run to append to them, unbuffered and locked; a torn last line is cut off.

    Raises:
        ValueError: if a live process is writing them.
    """
    file = FileIO(folder / ROWS, "r+")
    try:
        if sys.platform != "win32":
            with suppress(OSError):  # a file system without locks
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise ValueError(f"{folder} is being written by another process: wait for it, or end it") from None
                _LOCKED.add(file)
        size = file.readall().rfind(b"\n") + 1
        file.truncate(size)
        file.seek(size)
        return file
    except BaseException:
        file.close()
        raise


def storable_row(row: Mapping[str, Any], who: str) -> Storable:
    """Return a row as it is stored.

    Raises:
        TypeError, ValueError: if a value cannot be stored, naming its key.
    """
    for key in row:
        if not isinstance(key, str):
            raise TypeError(f"{who}: keys must be strings, got {key!r}")
    return {key: scalar(value, f"{who}: row[{key!r}]") for key, value in row.items()}


def append_row(file: FileIO, row: Storable) -> None:
    """Hand one row to the operating system, whole or not at all.

    Raises:
        OSError: if the disk is full, say.
    """
    data, size = to_json(row).encode() + b"\n", file.tell()
    try:
        with errors_name(file.name):
            while data:
                data = data[file.write(data) :]
    except BaseException:  # what part of it was written would be a torn line in front of the next row
        file.truncate(size)
        file.seek(size)
        raise


def read_rows(folder: Path, size: int | None = None) -> Iterator[Row]:
    """Yield the rows, one after the other; what follows the last line end is a torn row and is dropped.

    Args:
        size: bytes to read at most; all by default.

    Raises:
        ValueError: if any other line is not a row, naming it.
    """
    with open(folder / ROWS, "rb") as file:
        read = 0
        for number, line in enumerate(file, 1):
            read += len(line)
            if not line.endswith(b"\n") or (size is not None and read > size):
                return
            yield parse_row(line[:-1], f"{folder / ROWS}: line {number}")


def last_row(folder: Path) -> Row | None:
    """Return the last whole row of a run that may be in the middle of writing; None before there is one."""
    try:
        with open(folder / ROWS, "rb") as file:
            start = max(0, file.seek(0, os.SEEK_END) - TAIL)
            file.seek(start)
            lines = file.read().split(b"\n")[start > 0 :]  # the first of a tail is a part of a line
    except FileNotFoundError:
        return None
    return parse_row(lines[-2], f"{folder / ROWS}: the last line") if len(lines) > 1 else None


def being_written(folder: Path) -> bool:
    """Whether a live process is writing the rows in this folder; False where that cannot be known."""
    if sys.platform == "win32":
        return False
    with suppress(FileNotFoundError), open(folder / ROWS, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # a file system without locks
            return False
    return False


def parse_row(line: bytes, where: str) -> Row:
    """Return the row of a line without its end.

    Raises:
        ValueError: if it is none, naming where it stands.
    """
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        row = None
    if not isinstance(row, dict) or any(isinstance(value, (dict, list)) for value in row.values()):
        raise ValueError(f"{where} is not a row: {line[:60]!r}")
    return restored(row)  # type: ignore[return-value]
