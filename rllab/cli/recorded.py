"""Commands on recorded runs: list them, draw them, compare them, and write their rows for other programs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from rllab.cli.common import Folders, Reader, short
from rllab.tables import table

if TYPE_CHECKING:
    from rllab.runs import Record
    from rllab.runs.series import Task
    from rllab.runs.standings import Pair, Standing


@dataclass(frozen=True)
class List:
    """List recorded runs: where they are, what they are, how far they came, and what they concluded."""

    folders: Folders = (Path("results"),)
    """Folders of runs, or folders with runs somewhere below, as --out of `rllab train`."""

    def run(self) -> int:
        reader = Reader()
        head = ["run", "method", "seed", "status", "rows", "steps", "summary"]
        print(table(head, map(_line, reader.read(self.folders))))
        return reader.code


@dataclass(frozen=True)
class Plot:
    """Draw recorded runs of any experiments, a panel for each environment; write PNG and SVG."""

    folders: Folders = (Path("results"),)
    """Folders of runs, or folders with runs somewhere below, as --out of `rllab train`."""
    x: str | None = None
    """Column of the rows for the horizontal axis, such as steps or seconds; by default what the rows count."""
    y: str | None = None
    """Column of the rows for the vertical axis, or several, as policy_loss,value_loss, each in a panel of its own; by
    default the evaluation, return, value, cost or loss. A name that no row has lists those there are."""
    out: Path = Path("comparison.png")
    """The figure, .png or .svg; the other of both is written beside it."""
    log: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Make the horizontal axes logarithmic."""

    def run(self) -> int:
        reader = Reader()
        records = reader.read(self.folders)
        from rllab import plots

        columns = None if self.y is None else [name.strip() for name in self.y.split(",")]
        print(plots.save(plots.overview(records, self.x, columns, log=self.log), self.out))
        return reader.code


@dataclass(frozen=True)
class Compare:
    """Compare the methods of each environment: what they reached, how soon, and whether one improves on another.

    What runs that `rllab train` or `rllab.fit` made have reached is their mean return at the end, on episodes that were
    not evaluated on the way; where other runs are among them, and of a column that is named with --y, it is the last
    value of the rows.
    A probability of improvement is that of a run of one method scoring above a run of another. Its interval, and that
    of the interquartile mean, are 95 % bootstrap intervals, which are too narrow for fewer than ten seeds.

    A run that is under way or was interrupted is left out, and named below the table: what it has is of another step
    than what the others have. One that failed counts as the worst. `rllab plot` draws each as far as it came.

    The mean height of a curve is the area under its stairs, on which a value holds until the next one, divided by
    their width: from the run's first point to where the longest finished run of the environment ends. So the last value
    of the longest has no width and does not count, and that of a shorter run holds to the end. Of a method it is the
    median over its runs. Median CPU seconds are those of learning alone, where the runs say them.
    """

    folders: Folders = (Path("results"),)
    """Folders of runs, or folders with runs somewhere below, as --out of `rllab train`."""
    y: str | None = None
    """Column of the rows whose last value is compared, as evaluation; by default what is said above, and for curves the
    evaluation, return, value, cost or loss."""
    x: str | None = None
    """Column of the rows for what it takes, such as steps; by default what the rows count."""
    threshold: float | None = None
    """Report the median of what it takes to reach this; by default what Gymnasium says solves the environment. A run
    that does not reach it counts as far as it came (Kaplan and Meier). The 95 % interval of the median (Brookmeyer and
    Crowley) ends at ∞ with six runs or fewer, and where all reach it at once, even if each of them does: so few, or so
    much alike, they do not say by when half of all seeds would have reached it."""
    lower_is_better: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Less of the column is better; by default it is of one called cost, loss, error and the like."""
    out: Path = Path("improvement.png")
    """The figure, .png or .svg; the other of both is written beside it."""

    def run(self) -> int:
        reader = Reader()
        records = reader.read(self.folders)
        from rllab import plots
        from rllab.plots.comparison import draw_pairs, draw_scores
        from rllab.runs.series import curves_by_task
        from rllab.runs.standings import has_final, label_of, notes_on, ranked
        from rllab.runs.statistics import ENOUGH

        tasks = curves_by_task(records, self.x, self.y)
        if not tasks:
            raise ValueError("no row has numbers to compare: give the column with --y NAME")
        found, lower, labels = {}, self.lower_is_better or None, {}
        for task, curves in tasks.items():
            threshold = self.threshold if self.threshold is not None else solved_at(curves[0].runs[0])
            final = self.y is None and has_final(task, curves, lower)
            labels[task] = label_of(task, lower, final=final)
            found[task] = (threshold, *ranked(task, curves, threshold=threshold, lower=lower, final=final, key=0))
        for task, (threshold, best, pairs) in found.items():
            print(f"\n{task.title}: {labels[task]}")
            print(standings_table(best, task, threshold))
            if pairs:
                print(pairs_table(pairs))
            for note in notes_on(best, threshold):
                print(note)
            for curve in tasks[task]:
                if untaught := sum(run.untaught for run in curve.runs):
                    print(f"{curve.name}: {untaught} of {len(curve.runs)} runs made no update; they learned nothing.")
            if any(1 < len(standing.scores) < ENOUGH for standing in best):
                print(f"Bootstrap intervals of fewer than {ENOUGH} seeds are too narrow; [0, 0] and [1, 1] say little.")
        longest = max(max(len(best), len(pairs)) for _, best, pairs in found.values())
        figure, axes = plots.panels(2, len(found), width=7.0, height=1.4 + 0.45 * longest)
        for i, (task, (_, best, pairs)) in enumerate(found.items()):
            draw_scores(axes[2 * i], best, label=labels[task]).set_title(plots.as_label(task.title))
            if pairs:
                draw_pairs(axes[2 * i + 1], pairs)
            else:
                axes[2 * i + 1].remove()
        print(f"\nfigure: {plots.save(figure, self.out)}")
        return reader.code


@dataclass(frozen=True)
class Report:
    """Write recorded runs as one HTML file that needs nothing else: claims, figures, tables with intervals, runs."""

    folders: Folders = (Path("results"),)
    """Runs, or folders with runs somewhere below; reports of quality (*.quality.json) there are shown too."""
    out: Path = Path("report.html")
    """The file."""
    threshold: float | None = None
    """Report what it takes to reach this; by default what Gymnasium says solves the environment."""

    def run(self) -> int:
        from rllab.report import write_report

        reader = Reader()
        threshold = solved_at if self.threshold is None else lambda record: self.threshold
        print(write_report(self.folders, self.out, threshold=threshold, skipped=reader.skip))
        return reader.code


@dataclass(frozen=True)
class Export:
    """Write the rows of recorded runs as one CSV file, with their method, environment and seed before them."""

    folders: Folders = (Path("results"),)
    """Folders of runs, or folders with runs somewhere below, as --out of `rllab train`."""
    out: Path = Path("rows.csv")
    """The file."""

    def run(self) -> int:
        import csv
        import io

        from rllab.files import write_atomically
        from rllab.runs.series import task_of

        reader = Reader()
        records = reader.read(self.folders)
        names = dict.fromkeys(name for record in records for row in record.rows for name in row)
        text = io.StringIO()
        # a column of the rows that bears the name of one of the run's keeps it, with "row." before it
        run_columns = ("run", "method", "environment", "seed", "status")
        head = [*run_columns, *(f"row.{name}" if name in run_columns else name for name in names)]
        writer = csv.writer(text)
        writer.writerow(head)
        for record in records:
            about = [record.folder, record.config.get("method", ""), task_of(record), record.seed, record.status]
            writer.writerows([*about, *(row.get(name, "") for name in names)] for row in record.rows)
        self.out.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self.out, text.getvalue())
        print(f"{self.out}: {sum(len(record.rows) for record in records):,} rows of {len(records)} runs")
        return reader.code


def standings_table(standings: list[Standing], task: Task, threshold: float | None) -> str:
    """Return what methods reached as a text table."""
    from rllab.runs.standings import have_cpu_seconds, height_of

    timed = have_cpu_seconds(standings)
    head = [
        "method",
        "seeds",
        "unfinished",
        "IQM",
        "95 % interval",
        "median",
        "mean",
        height_of(task),
    ]
    if timed:
        head.append("median CPU seconds")
    if threshold is not None:
        head += [f"reached {threshold:g}", f"median {task.x} to it"]
    lines = []
    for s in standings:
        line = [s.name, s.runs, s.unfinished, _number(s.iqm), _interval(s.low, s.high)]
        line += [_number(s.median), _number(s.mean), _number(s.area)]
        if timed:
            line.append(_number(s.cpu_seconds))
        if s.steps is not None:
            middle, low, high = s.steps
            times = f"{_number(middle)} {_interval(low, high)}" if math.isfinite(middle) else "not reached by half"
            line += [f"{s.reached} of {s.runs}", times]
        lines.append(line)
    return table(head, lines)


def pairs_table(pairs: list[Pair]) -> str:
    """Return comparisons of two methods as a text table."""
    head = ["first", "second", "P(first > second)", "95 % interval", "mean difference, same seeds", "95 % interval"]
    lines = []
    for p in pairs:
        d = p.difference
        paired = ["", ""] if d is None else [f"{_number(d.mean)} ({d.seeds} seeds)", _interval(d.low, d.high)]
        lines.append([p.first, p.second, f"{p.probability:.2f}", _interval(p.low, p.high), *paired])
    return table(head, lines)


def solved_at(record: Record) -> float | None:
    """Return the mean return at which Gymnasium calls a run's environment solved; None if it does not say."""
    environment = record.config.get("environment")
    if not isinstance(environment, str):
        return None
    import gymnasium

    found = gymnasium.registry.get(environment.rpartition(":")[2])
    return None if found is None else found.reward_threshold


def _number(value: float) -> str:
    return "none" if math.isnan(value) else f"{value:.5g}"


def _interval(low: float, high: float) -> str:
    if math.isnan(low):
        return ""
    return f"[{low:.4g}, ∞)" if math.isinf(high) and high > 0 else f"[{low:.4g}, {high:.4g}]"


def _line(record: Record) -> list[object]:
    from rllab.runs.rows import last_row

    steps = (last_row(record.folder) or {}).get("steps", "")
    summary = " ".join(f"{name}={short(value)}" for name, value in (record.summary or {}).items())
    method = record.config.get("method", "")
    return [record.folder, method, record.seed, record.outcome, record.columns.count, steps, summary]
