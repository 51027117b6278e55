"""An overview of recorded runs of any experiments: a panel for each environment, drawn without being told how."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from rllab.plots.learning_curves import AXES, counted, draw_curves, legend_of, looks_of
from rllab.plots.log_axes import set_log
from rllab.plots.names import name_lines
from rllab.plots.styles import as_label, panels, style
from rllab.runs.record import Record
from rllab.runs.row_kinds import COUNTERS, ROW, TIME
from rllab.runs.series import MOST_CURVES, Curve, Task, curves_by_task

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 2
WIDE = 100.0  # times the least: a range that a linear axis does not show
DOTS = "line: median; dots: seeds"


def overview(
    records: Sequence[Record], x: str | None = None, y: str | Sequence[str] | None = None, *, log: bool = False
) -> Figure:
    """Draw the curves of recorded runs, a panel for each environment, or experiment where there is no environment.

    A panel shows, as `curves` does, each method's median over seeds with its 95 % bootstrap band, and every seed; where
    there is one number of each run, a line of dots for each method. Which columns it shows follows from the rows, see
    `rllab.runs.series.curves_by_task`; more than 12 curves are continued in another panel. A vertical axis is
    logarithmic where what was measured is positive and spans more than two orders of magnitude, a horizontal one where
    a setting does that.

    Args:
        records: runs of any experiments.
        x: column along the horizontal axes; by default steps, evaluations, or what else the rows count.
        y: column along the vertical axes, or several, each in panels of its own; by default evaluation, return, value,
            cost or loss, or the first of the rows.
        log: make the horizontal axes logarithmic.

    Returns:
        The figure.

    Raises:
        ValueError: no run has anything to draw of a column, naming those there are; or one run stands there twice.

    Example:
        import tempfile
        from rllab import plots, runs

        with tempfile.TemporaryDirectory() as folder:
            for seed in range(3):
                config = {"method": "td3", "environment": "Pendulum-v1"}
                with runs.Record.create(f"{folder}/td3-{seed}", config, seed=seed) as record:
                    record.append({"steps": 100, "evaluation": -500.0 - seed})
            plots.save(plots.overview(runs.load_records(folder)), f"{folder}/overview.png")
    """
    parts = []
    wanted = [y] if y is None or isinstance(y, str) else list(y)
    by_column = [curves_by_task(records, x, column) for column in wanted]
    if missing := [column for column, found in zip(wanted, by_column, strict=True) if not found]:
        there = sorted({name for record in records for name in record.columns.names})
        names = [repr(name) for name in missing if name is not None]
        lacks = " nor ".join(names) or ("numbers to draw" if x is None else repr(x))
        beside = f" beside {x!r}" if x is not None and names else ""
        raise ValueError(f"overview: no row has {lacks}{beside}; columns are {', '.join(there) or 'none: no rows'}")
    for found in by_column:
        for task, curves in found.items():
            parts += [(task, curves[i : i + MOST_CURVES], curves[:i]) for i in range(0, len(curves), MOST_CURVES)]
    columns = min(COLUMNS, len(parts))
    figure, axes = panels(columns, math.ceil(len(parts) / columns), width=7.0)
    for ax, (task, curves, before) in zip(axes, parts, strict=False):
        draw_task(ax, task, curves, log=log, before=before)
        if len(wanted) > 1:  # else panels of one environment would all be called the same
            ax.set_title(f"{ax.get_title()}: {as_label(task.y)}")
    for ax in axes[len(parts) :]:
        ax.remove()
    return figure


def draw_task(
    ax: Axes, task: Task, curves: Sequence[Curve], *, log: bool = False, before: Sequence[Curve] = ()
) -> None:
    """Draw the curves of one environment or experiment; where all of them are at one x, a line of dots for each.

    With `before`, curves of the task that another panel shows, this one continues it.
    """
    there = {float(x) for curve in curves for xs, _ in curve.points for x in xs}
    title = as_label(f"{task.title} (continued)" if before else task.title)
    values = np.concatenate([ys for curve in curves for _, ys in curve.points])
    with style():
        if len(there) < 2:
            at = f", {AXES.get(task.x, task.x)} = {there.pop():,.6g}" if there and task.x not in ("", ROW) else ""
            _draw_dots(ax, curves, before)
            ax.set_title(title)
            ax.set_xlabel(as_label(f"{task.y}{at} ({DOTS})"))
            _scale(ax, "x", values)
            return
        held = task.x in COUNTERS or task.x.endswith(TIME) or task.x == ROW
        draw_curves(ax, curves, held=held, before=before)
        if log or (not held and min(there) > 0 and max(there) > WIDE * min(there)):
            set_log(ax, "x", "mask")
        _scale(ax, "y", values)
        ax.set_title(title)
        ax.set_xlabel(as_label(AXES.get(task.x, task.x)))
        ax.set_ylabel(as_label(task.y))
        name_lines(ax, legend_of(curves))


def _scale(ax: Axes, which: Literal["x", "y"], values: np.ndarray) -> None:
    """Make an axis logarithmic if what stands along it is wide; linear about 0, where there are zeros or signs."""
    finite = values[np.isfinite(values)]
    sizes = np.abs(finite[finite != 0])
    if not sizes.size:
        return
    set_scale, set_limits = (ax.set_xscale, ax.set_xlim) if which == "x" else (ax.set_yscale, ax.set_ylim)
    if finite.min() < 0:
        if sizes.max() > WIDE**2 * np.median(sizes):
            set_scale("symlog", linthresh=float(np.median(sizes)))
    elif sizes.max() > WIDE * sizes.min():
        if len(sizes) == len(finite):
            set_log(ax, which)
        else:
            set_scale("symlog", linthresh=float(max(sizes.min(), 1e-9 * sizes.max())))
            set_limits(0.0, None)


def _draw_dots(ax: Axes, curves: Sequence[Curve], before: Sequence[Curve]) -> None:
    """Draw a line of dots for each curve, a dot for each run, and their median."""
    for i, (curve, how) in enumerate(zip(curves, looks_of(curves, before), strict=True)):
        values = [float(ys[-1]) for _, ys in curve.points if len(ys)]
        ax.plot(values, [i] * len(values), "o", color=how.color, alpha=0.5, zorder=2)
        if values:
            ax.plot([np.median(values)], [i], marker="|", markersize=14, markeredgewidth=2.5, color=how.color, zorder=3)
    names = [as_label(f"{curve.name} ({counted(curve)})") for curve in curves]
    ax.set_yticks(range(len(curves)), names)
    ax.set_ylim(len(curves) - 0.5, -0.5)
