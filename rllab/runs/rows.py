"""rows.jsonl: one JSON line per row, appended whole, read back without a torn end, locked while its writer lives."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any

from rllab.runs.storage import restored, scalar, to_json

if sys.platform != "win32":
    import fcntl

ROWS = "rows.jsonl"
TAIL = 1 << 16  # bytes read from the end to find the last row

Row = dict[str, Any]


def create_rows(folder: Path) -> FileIO:
    """Create the empty file, unbuffered and locked; of two processes that try, one gets a FileExistsError."""
    file = FileIO(folder / ROWS, "x")
    if sys.platform != "win32":
        with suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_EX)  # waits at most for the moment in which another process looks
    return file


def append_row(file: FileIO, row: Mapping[str, Any], who: str) -> None:
    """Hand one row to the operating system, whole or not at all.

    Raises:
        TypeError, ValueError: if a value cannot be stored, naming its key.
        OSError: if the disk is full, say.
    """
    for key in row:
        if not isinstance(key, str):
            raise TypeError(f"{who}: keys must be strings, got {key!r}")
    line = to_json({key: scalar(value, f"{who}: row[{key!r}]") for key, value in row.items()})
    data, size = line.encode() + b"\n", file.tell()
    try:
        while data:
            data = data[file.write(data) :]
    except BaseException:  # what part of it was written would be a torn line in front of the next row
        file.truncate(size)
        file.seek(size)
        raise


def read_rows(folder: Path) -> list[Row]:
    """Read the rows; what follows the last line end is a torn row and is dropped.

    Raises:
        ValueError: if any other line is not a row, naming it.
    """
    *lines, _torn = (folder / ROWS).read_bytes().split(b"\n")
    return [_parse(line, f"{folder / ROWS}: line {number}") for number, line in enumerate(lines, 1)]


def last_row(folder: Path) -> Row | None:
    """Return the last whole row of a run that may be in the middle of writing; None before there is one."""
    try:
        with open(folder / ROWS, "rb") as file:
            start = max(0, file.seek(0, os.SEEK_END) - TAIL)
            file.seek(start)
            lines = file.read().split(b"\n")[start > 0 :]  # the first of a tail is a part of a line
    except FileNotFoundError:
        return None
    return _parse(lines[-2], f"{folder / ROWS}: the last line") if len(lines) > 1 else None


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


def _parse(line: bytes, where: str) -> Row:
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    if not isinstance(row, dict):
        raise ValueError(f"{where} is not a row: {line[:60]!r}")
    return restored(row)  # type: ignore[return-value]
