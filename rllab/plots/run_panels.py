"""An overview of recorded runs of any experiments: a panel for each environment, drawn without being told how."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rllab.plots.learning_curves import AXES, LEGEND, draw_curves
from rllab.plots.names import name_lines
from rllab.plots.styles import as_label, panels, style
from rllab.runs.record import Record
from rllab.runs.series import Curve, Task, curves_by_task

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_CURVES = 12  # curves a panel can hold and be read; more go to further panels
COLUMNS = 2


def overview(records: Sequence[Record], x: str | None = None, y: str | None = None, *, log: bool = False) -> Figure:
    """Draw the curves of recorded runs, a panel for each environment, or experiment where there is no environment.

    A panel shows, as `curves` does, each method's median over seeds with its 95 % bootstrap band, and every seed. Which
    columns it shows follows from the rows, see `rllab.runs.series.curves_by_task`; more than 12 curves are continued in
    another panel.

    Args:
        records: runs of any experiments.
        x: column along the horizontal axes; by default steps, evaluations, or what else the rows count.
        y: column along the vertical axes; by default evaluation, return, value, cost or loss, or the first of the rows.
        log: make the horizontal axes logarithmic.

    Returns:
        The figure.

    Raises:
        ValueError: no run has anything to draw, naming the columns there are; or one run stands there twice.

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
    parts = [
        (task, curves[i : i + MOST_CURVES], i)
        for task, curves in curves_by_task(records, x, y).items()
        for i in range(0, len(curves), MOST_CURVES)
    ]
    if not parts:
        there = sorted({name for record in records for name in record.columns.names})
        wanted = " and ".join(repr(name) for name in (x, y) if name is not None) or "numbers to draw"
        raise ValueError(f"overview: no row has {wanted}; columns are {', '.join(there) or 'none: no rows'}")
    columns = min(COLUMNS, len(parts))
    figure, axes = panels(columns, math.ceil(len(parts) / columns), width=7.0)
    for ax, (task, curves, first) in zip(axes, parts, strict=False):
        draw_task(ax, task, curves, log=log, continued=first > 0)
    for ax in axes[len(parts) :]:
        ax.remove()
    return figure


def draw_task(ax: Axes, task: Task, curves: Sequence[Curve], *, log: bool = False, continued: bool = False) -> None:
    """Draw the curves of one environment or experiment."""
    if log:
        ax.set_xscale("log", nonpositive="mask")
    with style():
        draw_curves(ax, curves)
        ax.set_title(as_label(f"{task.name} (continued)" if continued else task.name))
        ax.set_xlabel(as_label(AXES.get(task.x, task.x)))
        ax.set_ylabel(as_label(task.y))
    name_lines(ax, LEGEND)
