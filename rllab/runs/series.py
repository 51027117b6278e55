"""Series: what can be drawn of any run against what it spent, found without being told the columns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rllab.runs.record import Record
from rllab.runs.rows import Row

Array = NDArray[np.float64]

X = ("steps", "evaluations", "updates", "iteration", "step", "epoch", "budget", "samples", "dimension", "seconds")
Y = ("evaluation", "return", "value", "cost", "loss", "error", "mse", "variance", "bias", "cosine")
ROW = "row"  # the column of a run without any other: the number of its row


@dataclass(frozen=True)
class Task:
    """What runs are compared on.

    Args:
        name: the environment's id without its module; the experiment's folder where there is no environment.
        x, y: the columns that are drawn.
    """

    name: str
    x: str
    y: str


@dataclass(eq=False)
class Curve:
    """Runs that differ by their seeds alone, and what is drawn of them.

    Args:
        method: what they share with other curves of one colour: `config["method"]`, or texts in the rows.
        name: the method, and what sets this curve apart from others of the same method.
        variant: 0 for the first curve of the method, 1 for the next.
        runs: the records.
        points: of each of them, x, which never decreases, and y, each (points,).
    """

    method: str
    name: str
    variant: int = 0
    runs: list[Record] = field(default_factory=list)
    points: list[tuple[Array, Array]] = field(default_factory=list)


def task_of(record: Record) -> str:
    """Return the name of what a run is about: its environment, else the folder of its experiment."""
    environment = record.config.get("environment")
    return environment.rpartition(":")[2] if isinstance(environment, str) else record.folder.absolute().parent.name


def curves_by_task(records: Sequence[Record], x: str | None = None, y: str | None = None) -> dict[Task, list[Curve]]:
    """Put the runs together that can be compared: by environment or experiment, then by method and configuration.

    Where a run's rows hold texts, as `method` in a table of many, each combination of them is a curve of its own; rows
    of one x are then one point, their median.

    Args:
        records: of any experiments.
        x, y: columns; by default the first of `X` and of `Y` that a run has, else numbers of its rows, and its first
            other column of numbers.

    Returns:
        Curves by task, in the order in which they come; a run without anything to draw is in a curve without points
        if another run of its task has any, and in no curve if not.

    Raises:
        ValueError: if one run, by configuration and seed, stands there twice: counting it as two would make an
            interval too narrow.
    """
    tasks: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        tasks[task_of(record)].append(record)
    found: dict[Task, list[Curve]] = {}
    for name, runs in tasks.items():
        columns = {id(run): _columns(run, x, y) for run in runs}
        known = next((pair for pair in columns.values() if pair is not None), None)
        if known is None:
            continue
        panels: dict[tuple[str, str], list[Record]] = defaultdict(list)
        for run in runs:
            panels[columns[id(run)] or known].append(run)
        for (over, what), members in panels.items():
            found[Task(name, over, what)] = _curves(members, over, what)
    return found


def flat_config(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield names and values of a nested configuration, as "settings.lr"."""
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from flat_config(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _columns(run: Record, x: str | None, y: str | None) -> tuple[str, str] | None:
    """Return the columns to draw of a run; None if it has none."""
    rows = run.rows
    texts = {name for row in rows for name, value in row.items() if isinstance(value, str)}
    numbers = [name for row in rows for name, value in row.items() if value is not None and name not in texts]
    there = dict.fromkeys(numbers)
    over = x or next((name for name in X if name in there), ROW)
    others = (name for name in there if name not in X and not name.endswith("seconds"))  # times are never what is drawn
    what = y or next((name for name in Y if name in there), next(others, None))
    if what is None or what not in there or (over not in there and over != ROW):
        return None
    return over, what


def group_runs(records: Sequence[Record]) -> list[Curve]:
    """Put runs of one configuration together, method by method, in the order in which they come; without points.

    Returns:
        Curves, whose method is "" where a configuration names none.

    Raises:
        ValueError: one seed stands twice for the same configuration.
    """
    methods: dict[str, list[tuple[dict[str, Any], list[Record]]]] = {}
    for record in records:
        method = record.config.get("method")
        config = dict(flat_config({name: value for name, value in record.config.items() if name != "seed"}))
        variants = methods.setdefault(method if isinstance(method, str) else "", [])
        same = next((runs for other, runs in variants if other == config), None)
        if same is None:
            variants.append((config, [record]))
            continue
        twin = next((other for other in same if other.seed == record.seed), None)
        if twin is not None:
            what = f"{method or record.folder.name} with seed {record.seed}"
            raise ValueError(f"{record.folder} and {twin.folder} are one run, {what}")
        same.append(record)
    curves = []
    for method, variants in methods.items():
        fields = sorted({name for config, _ in variants for name in config})
        differing = [name for name in fields if any(v.get(name) != variants[0][0].get(name) for v, _ in variants)]
        for i, (config, runs) in enumerate(variants):
            what = [f"{name.removeprefix('settings.')} = {_shown(config.get(name, 'absent'))}" for name in differing]
            curves.append(Curve(method, ", ".join([method, *what] if method else what), i, runs))
    return curves


def _shown(value: Any) -> str:
    """Return a value as a curve's name shows it: 0.1 · 3 is 0.3."""
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _curves(runs: Sequence[Record], x: str, y: str) -> list[Curve]:
    """Return the curves of one panel, with their points; what rows hold texts of is drawn apart."""
    curves: dict[str, Curve] = {}
    variants: dict[str, int] = defaultdict(int)
    for group in group_runs(runs):
        for run in group.runs:
            for text, points in _points(run, x, y).items():
                method = group.method or text or run.folder.absolute().parent.name
                name = ", ".join(part for part in (group.name, text) if part) or method
                if name not in curves:
                    curves[name] = Curve(method, name, variants[method])
                    variants[method] += 1
                curves[name].runs.append(run)
                curves[name].points.append(points)
    return list(curves.values())


def _points(run: Record, x: str, y: str) -> dict[str, tuple[Array, Array]]:
    """Return x and y of a run's rows by their texts; "" where they have none."""
    texts: dict[str, list[Row]] = defaultdict(list)
    names = sorted({name for row in run.rows for name, value in row.items() if isinstance(value, str)} - {x, y})
    for number, row in enumerate(run.rows):
        row = {ROW: number, **row}
        if row.get(x) is not None and row.get(y) is not None:
            texts[", ".join(str(row[name]) for name in names if row.get(name) is not None)].append(row)
    if not texts:
        return {"": (np.zeros(0), np.zeros(0))}
    return {
        text: _sorted(*(np.array([row[name] for row in rows], float) for name in (x, y)))
        for text, rows in texts.items()
    }


def _sorted(x: Array, y: Array) -> tuple[Array, Array]:
    """Return points in the order of x; where several have one x, their median, unless they are in order already."""
    if (np.diff(x) >= 0).all():
        return x, y
    points = np.unique(x)
    return points, np.array([np.median(y[x == point]) for point in points])
