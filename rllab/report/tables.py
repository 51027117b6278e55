"""Tables of the page: cells with what is shown and what they are sorted by."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rllab.quality.report import Report, with_interval
from rllab.runs.record import Record
from rllab.runs.rows import last_row
from rllab.runs.series import Task
from rllab.runs.standings import Pair, Standing, have_cpu_seconds, height_of


@dataclass(frozen=True)
class Cell:
    """What is shown, and the number by which it is sorted; None sorts by the text."""

    text: str
    number: float | None = None


@dataclass(frozen=True)
class Table:
    """A head and lines of as many cells each."""

    head: Sequence[str]
    lines: Sequence[Sequence[Cell]]


def standings_table(standings: Iterable[Standing], task: Task, label: str, threshold: float | None) -> Table:
    """Return what methods reached, with intervals; `label` says what their scores are."""
    head = [
        "method",
        "seeds",
        "unfinished",
        f"IQM of {label}",
        "95 % interval",
        "median",
        "mean",
        height_of(task),
    ]
    found = list(standings)
    timed = have_cpu_seconds(found)
    if timed:
        head.append("median CPU seconds")
    if threshold is not None:
        head += [f"reached {threshold:g}", f"median {task.x} to it", "95 % interval"]
    lines = []
    for s in found:
        line = [Cell(s.name), _count(s.runs), _count(s.unfinished), cell(s.iqm), _interval(s.low, s.high)]
        line += [cell(s.median), cell(s.mean), cell(s.area)]
        if timed:
            line.append(cell(s.cpu_seconds))
        if s.steps is not None and s.reached is not None:
            middle, low, high = s.steps
            text = "not by half of them" if math.isinf(middle) else f"{middle:,.0f}"
            line += [Cell(f"{s.reached} of {s.runs}", s.reached), Cell(text, middle), _interval(low, high)]
        lines.append(line)
    return Table(head, lines)


def pairs_table(pairs: Iterable[Pair]) -> Table:
    """Return comparisons of two methods, with intervals."""
    head = [
        "first",
        "second",
        "P(first > second)",
        "95 % interval",
        "mean difference over shared seeds",
        "95 % interval",
    ]
    lines = []
    for p in pairs:
        d = p.difference
        paired = [Cell(""), Cell("")] if d is None else [cell(d.mean), _interval(d.low, d.high)]
        lines.append([Cell(p.first), Cell(p.second), cell(p.probability), _interval(p.low, p.high), *paired])
    return Table(head, lines)


def runs_table(records: Iterable[Record]) -> Table:
    """Return every run: what it is, how far it came, what it concluded, and why it failed."""
    lines = []
    for record in records:
        steps = (last_row(record.folder) or {}).get("steps")
        summary = ", ".join(f"{name} {_text(value)}" for name, value in (record.summary or {}).items())
        failed = (record.error or "").strip().splitlines()[-1:]
        method, took = str(record.config.get("method", "")), Cell("") if steps is None else cell(float(steps))
        known = [Cell(record.folder.name), Cell(method), _count(record.seed), Cell(record.outcome)]
        lines.append([*known, _count(record.columns.count), took, Cell("".join(failed) or summary)])
    return Table(["run", "method", "seed", "status", "rows", "steps", "what it concluded"], lines)


def quality_table(report: Report) -> Table:
    """Return the rows of a report of quality."""
    names = "estimator truth budget evaluations kind bias variance relative_mse cosine snr why".split()
    lines = []
    for row in report.rows:
        shown = {name: row.get(name) for name in names}
        cells = {name: cell(v) if isinstance(v, int | float) else Cell(str(v or "")) for name, v in shown.items()}
        for name in ("bias", "relative_mse", "cosine"):
            cells[name] = Cell(with_interval(row, name), shown[name])
        lines.append(list(cells.values()))
    return Table([name.replace("_", " ") for name in names], lines)


def cell(value: float) -> Cell:
    """Return a number to five digits."""
    return Cell("none" if math.isnan(value) else f"{value:,.5g}" if abs(value) < 1e5 else f"{value:,.0f}", value)


def _count(value: int) -> Cell:
    return Cell(f"{value:,}", value)


def _interval(low: float, high: float) -> Cell:
    if math.isnan(low):
        return Cell("none", math.nan)
    return Cell(f"{low:.4g} or more" if math.isinf(high) and high > 0 else f"{low:.4g} to {high:.4g}", low)


def _text(value: object) -> str:
    text = f"{value:.5g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 60 else text[:59] + "…"
