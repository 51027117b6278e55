"""Repetition: the rows that a run left when it was interrupted, held against those that it makes again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rllab.runs.rows import ROWS, Row, parse_row
from rllab.runs.storage import to_json

TIME = "seconds"  # how the names of columns end that differ from one run to the next


class Repetition:
    """Walks along the rows from some byte of rows.jsonl on, as a run makes them again.

    Attributes:
        made: the bytes of all rows that have been made, or made again, so far.
    """

    def __init__(self, folder: Path, start: int):
        self._lines = _lines(folder / ROWS, start)
        self._next = next(self._lines, None)
        self._where = f"{folder / ROWS}"
        self.made = start

    @property
    def over(self) -> bool:
        """Whether every row that was there has been made again."""
        return self._next is None

    def difference(self, row: Row) -> str | None:
        """Return in what a row differs from the one that is there, times aside; where they agree go one row further."""
        assert self._next is not None
        there = parse_row(self._next[:-1], self._where)
        old, new = _timeless(there), _timeless(row)
        for name in [*old, *(name for name in new if name not in old)]:
            was, now = (to_json(values[name]) if name in values else "absent" for values in (old, new))
            if was != now:
                return f"{name} was {was} and is {now}"
        self.made += len(self._next)
        self._next = next(self._lines, None)
        return None


def _lines(path: Path, start: int) -> Iterator[bytes]:
    with open(path, "rb") as file:
        file.seek(start)
        yield from file


def _timeless(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if not name.endswith(TIME)}
