"""Kinds of rows: which rows of an experiment belong together, and what of them is drawn against what."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from rllab.runs.record import Record
from rllab.runs.rows import Row

COUNTERS = ("steps", "evaluations", "updates", "iteration", "step", "epoch", "samples")  # of what a run does
TIME = "seconds"  # how columns end that are never drawn unless they are asked for
Y = ("evaluation", "return", "value", "cost", "loss", "error", "mse", "variance", "bias", "cosine")
ROW = "row"  # the number of a row, where it is asked for as a column
AGAIN = "repeat"  # the column that numbers repetitions: they are one curve
SPLIT = 6  # values that a setting may have to tell curves apart
NAMES = 12  # values that a text may have to name curves

Found = tuple[Record, int, Row]  # a row, its run, and its number in that


@dataclass(eq=False)
class RowKind:
    """Rows that say the same things: of the same columns, or of fewer of them.

    Args:
        columns: names of all that these rows have.
        rows: each with its run, in the order in which they were written.
        part: what tells the kind apart from others of its runs, a text that all its rows share; "" if nothing does.
        ignored: columns that say no more than `part`.
        concluded: whether they are summaries of runs that have no rows.
    """

    columns: frozenset[str]
    rows: list[Found] = field(default_factory=list)
    part: str = ""
    ignored: set[str] = field(default_factory=set)
    concluded: bool = False

    def values(self, name: str) -> list[object]:
        """Return what the rows have in a column, those that have something there."""
        return [row[name] for _, _, row in self.rows if row.get(name) is not None]

    @property
    def texts(self) -> list[str]:
        """Columns whose texts name curves: of several values, and not of so many that each row is its own."""
        names = sorted(self.columns - self.ignored)
        different = {n: len({value for value in self.values(n) if isinstance(value, str)}) for n in names}
        return [n for n in names if 1 < different[n] <= NAMES or (n == "method" and different[n])]

    @property
    def numbers(self) -> list[str]:
        """Columns of numbers, in the order of the rows."""
        names = dict.fromkeys(name for _, _, row in self.rows for name in row)
        return [n for n in names if (v := self.values(n)) and not any(isinstance(value, str) for value in v)]

    def is_setting(self, name: str) -> bool:
        """Whether a column of numbers was chosen and not measured.

        It is if all runs have the same there, or values that come equally often, or round ones that are few or rise.
        """
        if name in Y:
            return False
        columns, values = list(self.by_run(name).values()), self.values(name)
        repeated, rounded = len(set(values)) <= len(values) / 2, all(map(_round, values))
        if len(columns) > 1 and len({len(column) for column in columns}) == 1:
            return len(set(columns)) == 1 and (repeated or rounded)
        few = len(columns) > 1 and len({frozenset(column) for column in columns}) == 1 and len(set(values)) <= SPLIT
        equally = len(set(Counter(values).values())) == 1
        return (repeated and (equally or (rounded and few))) or (rounded and all(map(_rises, columns)))

    def by_run(self, name: str) -> dict[int, tuple[object, ...]]:
        """Return what each run's rows have in a column, by the run's id."""
        found: dict[int, list[object]] = defaultdict(list)
        for run, _, row in self.rows:
            if row.get(name) is not None:
                found[id(run)].append(row[name])
        return {run: tuple(values) for run, values in found.items()}


def kinds_of(records: Sequence[Record]) -> list[RowKind]:
    """Put the rows of runs of one experiment together by their columns; of runs without a row, what they concluded."""
    found: list[Found] = [(run, number, row) for run in records for number, row in enumerate(run.rows)]
    concluded = not found and all(run.finished for run in records)
    if concluded:
        found = [(run, 0, row) for run in records if (row := _row_of(run.summary))]
    sets = {frozenset(row) for _, _, row in found}
    largest = [columns for columns in sets if not any(columns < other for other in sets)]
    kinds: dict[frozenset[str], RowKind] = {}
    for run, number, row in found:
        columns = min((c for c in largest if frozenset(row) <= c), key=sorted)
        kinds.setdefault(columns, RowKind(columns, concluded=concluded)).rows.append((run, number, row))
    for kind in kinds.values():
        for name in sorted(kind.columns):
            texts = {value for _, _, row in found if isinstance(value := row.get(name), str)}
            mine = {value for value in kind.values(name) if isinstance(value, str)}
            if len(kinds) > 1 and len(mine) == 1 < len(texts) and not kind.part:
                kind.part = mine.pop()
                kind.ignored.add(name)
    return [part for kind in kinds.values() for part in _parted(kind)]


def _parted(kind: RowKind) -> list[RowKind]:
    """Return the parts of a kind for each of which other settings vary, by the text that says which part it is."""
    settings = [name for name in kind.numbers if name not in COUNTERS and name not in Y and kind.is_setting(name)]
    for name in kind.texts:
        parts: dict[object, RowKind] = {}
        for found in kind.rows:
            value = found[2].get(name)
            title = ", ".join(filter(None, (kind.part, f"{value}")))
            part = parts.setdefault(value, RowKind(kind.columns, [], title, {*kind.ignored, name}))
            part.rows.append(found)
        varied = [{n for n in settings if len(set(part.values(n))) > 1} for part in parts.values()]
        if len(varied) > 1 and all(varied) and sum(map(len, varied)) == len(set().union(*varied)):
            return list(parts.values())
    return [kind]


def axes_of(kind: RowKind, x: str | None, y: str | None) -> tuple[str, str] | None:
    """Return the columns that are drawn of a kind of rows; x is "" where there is nothing to draw y against.

    Args:
        kind: the rows.
        x, y: columns that were asked for. Without x it is what a run counts, else the setting of the most values.
            Without y it is what was measured: one of `Y`, else the first.

    Returns:
        None if the rows have nothing to draw, or not what was asked for.
    """
    numbers = kind.numbers
    if kind.concluded:
        numbers = [name for name in numbers if not _is_truth(kind, name)]
        return ("", y or numbers[0]) if numbers and x is None and y in (None, *numbers) else None
    if any(name is not None and name not in numbers for name in (x if x != ROW else None, y)):
        return None
    numbers = [name for name in numbers if not name.endswith(TIME) or name in (x, y)]
    settings = {name for name in numbers if name not in COUNTERS and kind.is_setting(name)}
    over = x if x is not None else _over(kind, [name for name in numbers if name != y], settings)
    if y is not None:
        return over, y
    measured = [name for name in numbers if name not in (over, AGAIN) and name not in settings]
    what = next((name for name in Y if name in measured), None)
    numbers_of_kind = [n for n in measured if n not in COUNTERS and not _is_truth(kind, n)]
    fractions = [n for n in numbers_of_kind if not all(float(v).is_integer() for v in kind.values(n))]  # type: ignore[arg-type]
    what = what or next(iter([*fractions, *numbers_of_kind]), None)  # counts come after what was measured
    # settings may be measured after all, if nothing else is: a share that is 1 in every run
    what = what or next(iter([*measured, *(n for n in numbers if n != over and n in settings)]), None)
    return None if what is None else (over, what)


def splits_of(kind: RowKind, x: str, y: str, name: Callable[[Row], str]) -> list[str]:
    """Return the settings by which rows must be told apart so that one curve has one value at each x."""
    chosen: list[str] = []
    settings = [n for n in kind.numbers if n not in (x, y, AGAIN, *COUNTERS) and kind.is_setting(n)]
    settings = [n for n in settings if 1 < len(set(kind.values(n))) <= SPLIT]

    def points(names: Iterable[str]) -> int:
        where = ((id(run), name(row), number if x == ROW else row.get(x), row) for run, number, row in kind.rows)
        return len({(*at, *(row.get(n) for n in names)) for *at, row in where})

    while settings and points(chosen) < len(kind.rows):
        best = max(settings, key=lambda n: points([*chosen, n]))
        if points([*chosen, best]) == points(chosen):
            break
        chosen.append(best)
        settings.remove(best)
    return chosen


def _over(kind: RowKind, numbers: Sequence[str], settings: set[str]) -> str:
    different = {name: max(len(set(values)) for values in kind.by_run(name).values()) for name in numbers}
    everywhere = [n for n in numbers if len(kind.values(n)) == len(kind.rows)]
    counted = [n for n in COUNTERS if n in everywhere and all(float(v).is_integer() for v in kind.values(n))]  # type: ignore[arg-type]
    several = [n for n in counted if different[n] > 1]
    most = max((different[n] for n in everywhere if n in settings), default=0)
    several += [n for n in everywhere if n in settings and different[n] == most > 1]
    return next(iter([*several, *counted]), "")


def _is_truth(kind: RowKind, name: str) -> bool:
    return all(isinstance(value, bool) for value in kind.values(name))


def _round(value: object) -> bool:
    number = float(value)  # type: ignore[arg-type] - a number of a row
    return not math.isfinite(number) or float(f"{number:.3g}") == number


def _rises(values: Sequence[object]) -> bool:
    return all(a < b for a, b in pairwise(values))  # type: ignore[operator] - numbers


def _row_of(summary: dict[str, object] | None) -> Row:
    """Return what a run concluded as a row."""
    return {n: v for n, v in (summary or {}).items() if isinstance(v, int | float | str)}  # type: ignore[misc]
