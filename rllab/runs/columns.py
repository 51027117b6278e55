"""Columns of a record's rows, read without keeping the rows: eight bytes a number instead of some hundreds."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable
from itertools import repeat
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


class Columns:
    """The numbers of rows by name, and where a row has none.

    Args:
        rows: numbers, texts, bools and None by name, as they stand on disk.

    Raises:
        ValueError: on a number beyond double precision, naming it.
    """

    def __init__(self, rows: Iterable[dict[str, Any]]):
        self.count = 0
        self._numbers: dict[str, array[float]] = {}
        self._there: dict[str, bytearray] = {}
        self._text: dict[str, tuple[int, str]] = {}  # the first of each column, and its row
        for row in rows:
            self._add(row)
        for name in self._numbers:
            self._fill(name)

    @property
    def names(self) -> list[str]:
        """All columns, in the order of the alphabet."""
        return sorted(self._numbers)

    def numbers(self, name: str) -> np.ndarray:
        """Return a column as float64 (rows,), NaN where a row has no number.

        Raises:
            ValueError: on a text, naming the row.
        """
        import numpy as np

        if name in self._text:
            i, text = self._text[name]
            raise ValueError(f"{name!r} must hold numbers, got {text!r} in row {i}")
        return np.array(self._numbers[name]) if name in self._numbers else np.full(self.count, np.nan)

    def there(self, name: str) -> np.ndarray:
        """Return which rows have the column, and not None in it, bool (rows,)."""
        import numpy as np

        return np.array(self._there[name], bool) if name in self._there else np.zeros(self.count, bool)

    def _add(self, row: dict[str, Any]) -> None:
        for name, value in row.items():
            if name not in self._numbers:
                self._numbers[name], self._there[name] = array("d"), bytearray()
            self._fill(name)
            self._there[name].append(value is not None)
            if isinstance(value, str):
                self._text.setdefault(name, (self.count, value))
                value = math.nan
            try:
                self._numbers[name].append(math.nan if value is None else value)
            except OverflowError:
                raise ValueError(f"{name!r} holds {str(value)[:20]}…, a number beyond double precision") from None
        self.count += 1

    def _fill(self, name: str) -> None:
        """Say of the rows so far that had no such column that they have none."""
        numbers = self._numbers[name]
        if missing := self.count - len(numbers):
            numbers.extend(repeat(math.nan, missing))
            self._there[name].extend(bytes(missing))
