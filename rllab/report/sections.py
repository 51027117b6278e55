"""What stands on the page: for each folder of runs its question, claims, figures, tables and configuration."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rllab import plots
from rllab.plots.comparison import draw_pairs, draw_profile, draw_scores
from rllab.plots.run_panels import draw_task
from rllab.quality.report import Report
from rllab.report.svg import inline
from rllab.report.tables import Table, pairs_table, quality_table, runs_table, standings_table
from rllab.runs.about import About
from rllab.runs.record import Record
from rllab.runs.series import Curve, Task, curves_by_task, flat_config
from rllab.runs.standings import has_final, label_of, notes_on, ranked

QUALITY = ".quality.json"  # how files end that `Report.save` wrote for the page

Skipped = Callable[[Path, str], None]


@dataclass
class Part:
    """A figure or a table with its heading.

    Args:
        title: the heading.
        svg: a drawing as an element of the page, or "".
        table: a table, or None.
        notes: what is said below the table.
        folded: whether it is shown only when it is asked for.
    """

    title: str
    svg: str = ""
    table: Table | None = None
    notes: Sequence[str] = ()
    folded: bool = False


@dataclass
class Section:
    """A folder of runs on the page."""

    name: str
    folder: str
    about: About
    parts: list[Part] = field(default_factory=list)
    config: list[tuple[str, str]] = field(default_factory=list)
    versions: list[tuple[str, str]] = field(default_factory=list)
    runs: int = 0
    finished: int = 0

    @property
    def judged(self) -> int:
        """How many claims are judged."""
        return sum(claim.holds is not None for claim in self.about.claims)

    @property
    def hold(self) -> int:
        """How many of them hold."""
        return sum(claim.holds is True for claim in self.about.claims)


def sections_of(
    records: Sequence[Record], files: Sequence[Path], *, threshold: Callable[[Record], float | None], skipped: Skipped
) -> list[Section]:
    """Return a section for each folder that holds runs or measured quality.

    Args:
        records: the runs.
        files: reports of quality, as `Report.save` wrote them.
        threshold: of the curves of a run's environment, for the steps it takes to reach it; None for none.
        skipped: told of each file that is damaged, and what is wrong with it.
    """
    groups: dict[Path, list[Record]] = defaultdict(list)
    for record in records:
        groups[record.folder.absolute().parent].append(record)
    measured: dict[Path, list[tuple[Path, Report]]] = defaultdict(list)
    for path in sorted(set(files)):
        try:
            measured[path.absolute().parent].append((path, Report.load(path)))
        except (ValueError, OSError) as error:
            skipped(path, str(error))
    found = []
    for number, folder in enumerate(dict.fromkeys([*groups, *measured])):
        try:
            about = About.read(folder)
        except ValueError as error:
            skipped(folder, str(error))
            about = About()
        shown = groups[folder][0].folder.parent if folder in groups else folder.name  # as the caller wrote it
        section = Section(folder.name, str(shown), about)
        names = (f"s{number}-{i}" for i in range(10**6))
        _add_figures(section, folder, names, skipped)
        if folder in groups:
            _add_runs(section, groups[folder], names, threshold)
        for path, report in measured[folder]:
            _add_quality(section, path.name.removesuffix(QUALITY), report, names)
        found.append(section)
    return found


def _add_figures(section: Section, folder: Path, names: Iterator[str], skipped: Skipped) -> None:
    for figure in section.about.figures:
        label = f"Figure {figure} of {section.name}. {section.about.question}"
        try:
            section.parts.append(Part("Figure", inline((folder / Path(figure).name).read_bytes(), label, next(names))))
        except (OSError, ValueError) as error:
            skipped(folder / figure, str(error))


def _add_runs(
    section: Section, records: list[Record], names: Iterator[str], threshold: Callable[[Record], float | None]
) -> None:
    section.runs, section.finished = len(records), sum(record.finished for record in records)
    drawn = bool(section.about.figures)
    for i, (task, curves) in enumerate(curves_by_task(records).items()):
        if not drawn:
            _add_curves(section, task, curves, names)
        if any(isinstance(run.config.get("method"), str) for curve in curves for run in curve.runs):
            _add_standings(section, task, curves, threshold(curves[0].runs[0]), names, key=i)
    section.parts.append(Part("Runs", table=runs_table(records), folded=True))
    configs = [dict(flat_config(record.config)) for record in records]
    for name in dict.fromkeys(name for config in configs for name in config):
        values = list(dict.fromkeys(str(config.get(name, "absent")) for config in configs))
        more = f" … {len(values)} values" if len(values) > 4 else ""
        section.config.append((name, " | ".join(values[:4]) + more))
    about: dict[str, dict[str, None]] = defaultdict(dict)
    for record in records:
        for name, value in flat_config(record.about):
            about[name][str(value)] = None
    for name, values in about.items():
        first, *_, last = [*values, *values]
        section.versions.append((name, first if len(values) == 1 else f"{first} to {last}"))


def _add_curves(section: Section, task: Task, curves: list[Curve], names: Iterator[str]) -> None:
    for i in range(0, len(curves), plots.MOST_CURVES):
        figure, (ax,) = plots.panels(width=8.0, height=4.0 + 0.2 * min(len(curves) - i, plots.MOST_CURVES))
        draw_task(ax, task, curves[i : i + plots.MOST_CURVES], before=curves[:i])
        shown = ", ".join(curve.name for curve in curves[i : i + plots.MOST_CURVES])
        against = f" against {task.x}" if task.x else ""
        label = f"{task.y}{against} in {task.title}, the median over seeds with its interval, of {shown}."
        section.parts.append(Part(f"Curves: {task.title}", inline(plots.as_svg(figure), label, next(names))))


def _add_standings(
    section: Section, task: Task, curves: list[Curve], threshold: float | None, names: Iterator[str], key: int
) -> None:
    found, pairs = ranked(task, curves, threshold=threshold, key=key)
    reached = label_of(task, final=has_final(task, curves))
    table = standings_table(found, task, reached, threshold)
    section.parts.append(Part(f"What was reached: {task.title}", table=table, notes=notes_on(found, threshold)))
    finite = [s for s in found if math.isfinite(s.iqm)]
    if not finite:
        return
    figure, (above, below) = plots.panels(1, 2, width=8.0, height=1.8 + 0.35 * max(len(found), 4))
    draw_scores(above, found, label=reached)
    draw_profile(below, found, label=reached)
    said = "; ".join(f"{s.name} {s.iqm:.5g}, interval {s.low:.5g} to {s.high:.5g}" for s in finite)
    label = f"Interquartile means in {task.title} with intervals: {said}. Below it the share of runs above each score."
    section.parts.append(
        Part("Interquartile means and performance profile", inline(plots.as_svg(figure), label, next(names)))
    )
    if pairs:
        figure, (ax,) = plots.panels(width=8.0, height=1.4 + 0.5 * len(pairs))
        draw_pairs(ax, pairs)
        said = "; ".join(f"{p.first} above {p.second}: {p.probability:.2f}" for p in pairs)
        label = f"Probability of improvement in {task.title}: {said}."
        section.parts.append(
            Part("Probability of improvement", inline(plots.as_svg(figure), label, next(names)), pairs_table(pairs))
        )


def _add_quality(section: Section, name: str, report: Report, names: Iterator[str]) -> None:
    for quantity in ("cosine", "mse", "variance"):
        try:
            figure, (ax,) = plots.panels(width=8.0)
            plots.quality(report, quantity, ax)
        except ValueError:  # there is nothing of it to draw: a direction has no error, say
            continue
        shown = ", ".join(dict.fromkeys(str(row["estimator"]) for row in report.rows))
        label = f"{quantity} against evaluations of {shown}."
        section.parts.append(
            Part(f"Quality of estimates {name}: {quantity}", inline(plots.as_svg(figure), label, next(names)))
        )
    section.parts.append(Part(f"Quality of estimates {name}: all numbers", table=quality_table(report), folded=True))
