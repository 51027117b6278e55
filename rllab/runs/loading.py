"""load_records: every run below some folders; a damaged one never hides the others."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from rllab.runs.record import ASIDE, RUN, Folder, Record


def load_records(
    paths: Folder | Iterable[Folder], *, skipped: Callable[[Path, str], None] | None = None
) -> list[Record]:
    """Read every run in the given folders and below, each once, evolution-2 before evolution-10.

    Args:
        paths: a folder, or several; each is a run, or has runs somewhere below.
        skipped: told the folder of a damaged run, and what is wrong with it; by default that is a warning.

    Returns:
        The records, in the order of the names of their folders.

    Raises:
        FileNotFoundError: if a folder does not exist.
        ValueError: if there is no run at all, or none that can be read.

    Example:
        import tempfile
        from rllab.runs import Record, load_records

        with tempfile.TemporaryDirectory() as folder:
            Record.create(f"{folder}/run-0", {"lr": 0.1}, seed=0).close()
            print([record.config for record in load_records(folder)])
    """
    folders = [Path(p) for p in ([paths] if isinstance(paths, (str, os.PathLike)) else paths)]
    found: dict[Path, Path] = {}
    for folder in folders:
        if not folder.is_dir():
            raise FileNotFoundError(f"load_records: there is no folder {folder}")
        for run in sorted(_runs_below(folder), key=_natural):
            found.setdefault(run.resolve(), run)
    if not found:
        raise ValueError(f"load_records: no run in {', '.join(map(str, folders)) or 'no folder at all'}")
    records, damaged = [], []
    for run in found.values():
        try:
            records.append(Record.open(run))
        except (ValueError, OSError) as error:
            damaged.append((run, str(error)))
    if not records:
        raise ValueError(f"load_records: no run can be read: {damaged[0][1]}")
    for run, why in damaged:
        if skipped is None:
            warnings.warn(f"load_records: {run} is skipped: {why}", stacklevel=2)
        else:
            skipped(run, why)
    return records


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sort key by which the numbers in a path count as numbers."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", str(path))]


def _runs_below(folder: Path) -> Iterator[Path]:
    for here, below, files in os.walk(folder):
        if RUN in files:
            yield Path(here)
        below[:] = [name for name in below if RUN not in files and not ASIDE.fullmatch(name)]
