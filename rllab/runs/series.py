"""Series: what can be drawn of any run against what it spent, found without being told the columns."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rllab.runs.record import Record
from rllab.runs.row_kinds import ROW, RowKind, axes_of, kinds_of, splits_of
from rllab.runs.rows import Row

Array = NDArray[np.float64]
Drawn = dict[tuple[tuple[str, str], ...], tuple[Array, Array]]  # x and y of a run, by labels
Variant = tuple[dict[str, Any], list[Record]]  # a configuration, flat, and its runs

ID = r"(?:\w+:)?([\w/]*\w-v\d+)(?:/|$)"  # how texts begin that name a Gymnasium environment, as CartPole-v1/PPO
NOTHING = (np.zeros(0), np.zeros(0))
MOST_CURVES = 12  # that can be told apart in one panel


@dataclass(frozen=True)
class Task:
    """What runs are compared on.

    Args:
        name: the environment's id without its module; the experiment's folder where there is no environment.
        x, y: the columns that are drawn; x is "" where there is one number of each run.
        part: of the experiment, where its rows are of several kinds or are too many for one panel; else "".
    """

    name: str
    x: str
    y: str
    part: str = ""

    @property
    def title(self) -> str:
        """The name, and the part if there is one."""
        return f"{self.name}: {self.part}" if self.part else self.name


@dataclass(eq=False)
class Curve:
    """Runs that differ by their seeds alone, and what is drawn of them.

    Args:
        method: what they share with other curves of one colour: `config["method"]`, or texts in the rows.
        name: the method, and what sets this curve apart from others of the same method.
        runs: the records.
        points: of each of them, x, which never decreases, and y, each (points,).
        labels: what of its rows, by column, sets it apart.
    """

    method: str
    name: str
    runs: list[Record] = field(default_factory=list)
    points: list[tuple[Array, Array]] = field(default_factory=list)
    labels: tuple[tuple[str, str], ...] = ()


def task_of(record: Record) -> str:
    """Return the name of what a run is about: its environment, else the folder of its experiment, and its task."""
    folder, config = record.folder.absolute().parent.name, record.config
    environment, task = config.get("environment"), config.get("task")
    if isinstance(environment, str):
        return environment.rpartition(":")[2]
    ids = (re.match(ID, value) for value in config.values() if isinstance(value, str))
    if (found := next((match[1] for match in ids if match), None)) is not None:
        return found
    return f"{folder}: {task}" if isinstance(task, str) else folder


def curves_by_task(records: Sequence[Record], x: str | None = None, y: str | None = None) -> dict[Task, list[Curve]]:
    """Put the runs together that can be compared: by environment or experiment, then by method and configuration.

    Rows of other columns are another part of an experiment. Where rows hold texts, as `method` in a table of many, each
    combination of them is a curve of its own, and so is each value of a setting that would else give one x several
    values; what is left of those is one point, their median. Of runs without rows their summaries are compared.

    Args:
        records: of any experiments.
        x, y: columns; by default see `rllab.runs.row_kinds.axes_of`.

    Returns:
        Curves by task, in the order in which they come; an unfinished run without anything to draw is in a curve
        without points if another run of its task has any, and in no curve if not.

    Raises:
        ValueError: if one run, by configuration and seed, stands there twice: counting it as two would make an
            interval too narrow.
    """
    tasks: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        tasks[task_of(record)].append(record)
    found: dict[Task, list[Curve]] = {}
    for name, runs in tasks.items():
        group_runs(runs)  # one that stands there twice is named
        drawn: dict[Task, dict[int, Drawn]] = {}
        for kind in kinds_of(runs):
            if (axes := axes_of(kind, x, y)) is not None:
                points = drawn.setdefault(Task(name, *axes, kind.part), {})
                for run, parts in _points(kind, *axes).items():
                    points.setdefault(run, {}).update(parts)
        if not drawn:
            continue
        seen = {run for points in drawn.values() for run in points}
        empty = [run for run in runs if id(run) not in seen and not run.finished]
        for i, (task, points) in enumerate(drawn.items()):
            members = [run for run in runs if id(run) in points or (i == 0 and run in empty)]
            found |= _panels(task, _curves(members, points))
    return found


def flat_config(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield names and values of a nested configuration, as "settings.lr"."""
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from flat_config(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def group_runs(records: Sequence[Record]) -> list[Curve]:
    """Put runs of one configuration together, method by method, in the order in which they come; without points.

    Configurations of one method are named by the fewest settings that tell them apart; where more of them differ, by
    their folders, if each has one of its own.

    Returns:
        Curves, whose method is "" where a configuration names none.

    Raises:
        ValueError: one seed stands twice for the same configuration.
    """
    return [curve for method, variants in _variants(records).items() for curve in _named_curves(method, variants)]


def _variants(records: Sequence[Record]) -> dict[str, list[Variant]]:
    """Return each method's configurations with their runs."""
    methods: dict[str, list[Variant]] = {}
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
    return methods


def _named_curves(method: str, variants: Sequence[Variant]) -> list[Curve]:
    """Return a curve for each configuration of a method, named by what tells it from the others."""
    configs, runs = [config for config, _ in variants], [runs for _, runs in variants]
    fields = sorted({name for config in configs for name in config})
    # what was given stands among the settings as well
    fields = [n for n in fields if not (n.startswith("given.") and n.replace("given", "settings", 1) in fields)]
    differing = [name for name in fields if any(config.get(name) != configs[0].get(name) for config in configs)]
    chosen = _telling(differing, configs)
    # one text needs no name of its setting beside it
    alone = len(chosen) == 1 and all(isinstance(config.get(chosen[0]), str) for config in configs)
    names = _folders_apart(runs) if len(differing) > len(chosen) else []
    if not names:
        names = [", ".join(_setting(config, name, alone) for name in chosen) for config in configs]
    titles = [", ".join(filter(None, (method, name))) for name in names]
    return [Curve(method, title, members) for title, members in zip(titles, runs, strict=True)]


def _setting(config: Mapping[str, Any], name: str, alone: bool) -> str:
    """Return a setting as a curve's name has it: "lr = 0.1", or its value alone."""
    text = _shown(config.get(name, "absent"))
    return text if alone else f"{name.removeprefix('settings.')} = {text}"


def _folders_apart(groups: Sequence[Sequence[Record]]) -> list[str]:
    """Return the folder of each group's runs, as far as folders differ; nothing where they do not tell groups apart."""
    homes = [{run.folder.absolute().parent for run in runs} for runs in groups]
    paths = [path for home in homes for path in home]
    if any(len(home) > 1 for home in homes) or len(set(paths)) < len(groups):
        return []
    above = os.path.commonpath(paths)
    return [path.relative_to(above).as_posix() for path in paths]


def _shown(value: Any) -> str:
    """Return a value as a curve's name shows it: 0.1 · 3 is 0.3."""
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _telling(fields: Sequence[str], configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the fewest fields, about, by which configurations can be told apart, in their order; rather texts."""
    chosen: list[str] = []

    def apart(names: Sequence[str]) -> int:
        return len({tuple(f"{config.get(name, 'absent')}" for name in names) for config in configs})

    def short(name: str) -> tuple[bool, int]:
        values = [config.get(name) for config in configs]
        return all(isinstance(value, str) for value in values), -max(len(f"{value}") for value in values)

    while fields and apart(chosen) < apart(fields):
        chosen.append(max(fields, key=lambda name: (apart([*chosen, name]), short(name))))
    return [name for name in fields if name in chosen]


def _curves(runs: Sequence[Record], points: Mapping[int, Drawn]) -> list[Curve]:
    """Return the curves of one task, with their points; what rows hold texts of is drawn apart."""
    curves: dict[str, Curve] = {}
    for group in group_runs(runs):
        for run in group.runs:
            for labels, there in (points.get(id(run)) or {(): NOTHING}).items():
                text = _named(labels)
                method = group.method or dict(labels).get("method") or text or run.folder.absolute().parent.name
                name = ", ".join(part for part in (group.name, text) if part) or method
                if name not in curves:
                    curves[name] = Curve(method, name, labels=labels)
                curves[name].runs.append(run)
                curves[name].points.append(there)
    return list(curves.values())


def _panels(task: Task, curves: list[Curve]) -> dict[Task, list[Curve]]:
    """Return curves that are too many for one panel by that text of theirs which makes the fewest panels that hold all.

    Where no text does, they stay together.
    """
    if len(curves) <= MOST_CURVES:
        return {task: curves}
    best: dict[str, list[Curve]] = {}
    for name in sorted({name for curve in curves for name, _ in curve.labels}):
        groups: dict[str, list[Curve]] = defaultdict(list)
        for curve in curves:
            groups[dict(curve.labels).get(name, "")].append(curve)
        small = max(map(len, groups.values())) <= MOST_CURVES and "" not in groups
        if small and len(groups) < len(curves) and (not best or len(groups) < len(best)):
            best = {f"{name}\0{value}": members for value, members in groups.items()}
    if not best:
        return {task: curves}
    found = {}
    for key, members in best.items():
        name, _, value = key.partition("\0")
        for curve in members:
            curve.labels = tuple(label for label in curve.labels if label[0] != name)
            curve.name = _without(curve.name, value)
            curve.method = _without(curve.method, value)
        found[replace(task, part=", ".join(filter(None, (task.part, value))))] = members
    return found


def _without(name: str, part: str) -> str:
    """Return a name without one of the parts that commas join, if anything is left then."""
    parts = name.split(", ")
    if part in parts and len(parts) > 1:
        parts.remove(part)
    return ", ".join(parts)


def _points(kind: RowKind, x: str, y: str) -> dict[int, Drawn]:
    """Return x and y of each run's rows by the labels that set them apart."""
    texts = kind.texts

    def named(row: Row) -> str:
        return ", ".join(str(row.get(name)) for name in texts)

    splits = splits_of(kind, x, y, named)
    found: dict[int, dict[tuple[tuple[str, str], ...], list[tuple[float, float]]]] = {}
    for run, number, row in kind.rows:
        at = number if x == ROW else row.get(x) if x else 0
        if at is None or row.get(y) is None:
            continue
        labels = [(name, str(row[name])) for name in texts if row.get(name) is not None]
        labels += [(name, f"{name} {row[name]:.3g}") for name in splits if row.get(name) is not None]
        where = found.setdefault(id(run), {}).setdefault(tuple(labels), [])
        where.append((float(at), float(row[y])))  # type: ignore[arg-type] - numbers, as `axes_of` chose them
    return {
        run: {labels: _sorted(*np.array(rows, float).T) for labels, rows in parts.items()}
        for run, parts in found.items()
    }


def _named(labels: Sequence[tuple[str, str]]) -> str:
    return ", ".join(value for _, value in labels)


def _sorted(x: Array, y: Array) -> tuple[Array, Array]:
    """Return points in the order of x; where several have one x, their median, unless they are in order already."""
    if len(set(x)) > 1 and (np.diff(x) >= 0).all():
        return x, y
    points = np.unique(x)
    return points, np.array([np.median(y[x == point]) for point in points])
