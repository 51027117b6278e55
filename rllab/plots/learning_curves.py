"""Learning curves: the median over seeds of each method's runs, with its interval and every seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rllab.keys import Key
from rllab.plots.log_axes import set_log
from rllab.plots.names import name_lines
from rllab.plots.styles import MethodStyle, as_label, style, variant_styles
from rllab.runs.record import Record
from rllab.runs.series import Curve, group_runs
from rllab.runs.statistics import ENOUGH, curve_of, median_of_curves

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STEPS = "steps-post"  # a value holds until the next row; between them nothing was measured
AXES = {"steps": "environment steps", "evaluations": "evaluations of the cost", "seconds": "wall seconds"}

FEW = 5  # seeds, which may be drawn so that each is seen; more would hide their median


def curves(
    ax: Axes,
    records: Sequence[Record],
    x: str = "steps",
    y: str = "evaluation",
    *,
    key: Key | int = 0,
    label: str | None = None,
    names: Mapping[str, str] | None = None,
    log: bool = False,
) -> Axes:
    """Draw each method's median over seeds, its 95 % bootstrap band, and every seed faintly.

    A run counts from its first row to its last: median and band end where fewer than half of a method's runs remain,
    and a single run has no band. Runs that did not finish are drawn, and a curve's name says how many they are. Where
    fewer than half of the runs overlap there is no median, and so no line; the name says that, too. Groups of one
    method with different configurations are drawn apart, in its colour. Up to five curves are named at their ends, more
    in a legend below: see `name_lines`.

    A value is held until the next row, as between them nothing was measured; one without a neighbour is a point.

    Args:
        ax: what is drawn on.
        records: runs whose configuration names their method.
        x: column of the rows along the horizontal axis.
        y: column along the vertical one.
        key: of the bootstrap.
        label: what y is, with its unit; by default the column's name.
        names: how the figure calls the methods; by default by their own names.
        log: draw x on a logarithmic axis.

    Returns:
        ax.

    Raises:
        ValueError: if no row has both columns, naming the columns there are; and as `group_runs` does.

    Example:
        import tempfile
        from rllab import plots, runs

        with tempfile.TemporaryDirectory() as folder:
            for seed in range(3):
                with runs.Record.create(f"{folder}/es-{seed}", {"method": "evolution"}, seed=seed) as record:
                    for steps in (100, 200):
                        record.append({"steps": steps, "evaluation_return": float(steps + seed)})
            plots.curves(plots.panels()[1][0], runs.load_records(folder), x="steps", y="evaluation_return")
    """
    for record in records:
        method = record.config.get("method")
        if not isinstance(method, str):
            raise ValueError(f'curves: config["method"] must name the method, got {method!r} in {record.folder}')
    groups = group_runs(records)
    for group in groups:
        group.points = [curve_of(record, x, y) for record in group.runs]
    if not any(len(xs) for group in groups for xs, _ in group.points):
        there = sorted({name for record in records for name in record.columns.names})
        raise ValueError(f"curves: no row has both {x!r} and {y!r}; columns are {', '.join(there) or 'none: no rows'}")
    if log:
        set_log(ax, "x", "mask")
    with style():
        draw_curves(ax, groups, names=names, key=key)
        ax.set_xlabel(as_label(AXES.get(x, x)))
        ax.set_ylabel(as_label(label or y))
    return name_lines(ax, legend_of(groups))


def draw_curves(
    ax: Axes,
    curves: Sequence[Curve],
    *,
    names: Mapping[str, str] | None = None,
    key: Key | int = 0,
    held: bool = True,
    before: Sequence[Curve] = (),
) -> None:
    """Draw curves with their points, each with its interval, every seed, and one entry in the legend.

    Args:
        ax: what is drawn on.
        curves: with their points.
        names: how the legend calls the methods.
        key: of the bootstrap.
        held: whether a value holds until the next one; else points of settings are joined.
        before: curves that another panel shows, whose looks these go on from.
    """
    for curve, how in zip(curves, looks_of(curves, before), strict=True):
        name = curve.name.replace(curve.method, (names or {}).get(curve.method, curve.method), 1)
        _draw(ax, curve, how, name, key, held)


def looks_of(curves: Sequence[Curve], before: Sequence[Curve] = ()) -> list[MethodStyle]:
    """Return how each curve looks: in the colour of its method, no two alike, nor like one of those before."""
    every = [*before, *curves]
    styles = {name: iter(looks) for name, looks in variant_styles(Counter(curve.method for curve in every)).items()}
    return [next(styles[curve.method]) for curve in every][len(before) :]


def legend_of(curves: Sequence[Curve]) -> str:
    """Say what bands and faint lines are; a curve of one seed has neither."""
    seeds = [len(curve.runs) for curve in curves if len(curve.runs) > 1]
    if not seeds:
        return "one seed each, no interval"
    few = f" (too narrow for fewer than {ENOUGH} seeds)" if min(seeds) < ENOUGH else ""
    return f"median and 95 % bootstrap band over seeds{few}; faint: every seed"


def counted(curve: Curve) -> str:
    """Say of how many seeds a curve is, and how many of them did not finish, or finished without an update."""
    n, unfinished = len(curve.runs), sum(not run.finished for run in curve.runs)
    untaught = sum(run.untaught for run in curve.runs)
    notes = [f"{unfinished} unfinished"] * (unfinished > 0) + [f"{untaught} without an update"] * (untaught > 0)
    return ", ".join([f"{n} seed{'s' * (n > 1)}", *notes])


def lone(values: np.ndarray) -> list[int]:
    """Return which values no line shows: those without a neighbour."""
    there = np.pad(np.isfinite(values), 1)
    return np.flatnonzero(there[1:-1] & ~there[:-2] & ~there[2:]).tolist()


def _draw(ax: Axes, curve: Curve, how: MethodStyle, name: str, key: Key | int, held: bool) -> None:
    drawn: dict[str, Any] = {"drawstyle": STEPS} if held else {}
    filled: dict[str, Any] = {"step": "post"} if held else {}
    few = len(curve.points) <= FEW
    faint: dict[str, Any] = {"color": how.color, "linewidth": 1.0 if few else 0.7, "alpha": 0.7 if few else 0.35}
    for xs, ys in curve.points:
        points: dict[str, Any] = {"marker": "o", "markersize": 3.5, "markevery": lone(ys)} if lone(ys) else {}
        ax.plot(xs, ys, **drawn, **faint, **points, zorder=2)
    middle = median_of_curves(curve.points, key=key)
    ax.fill_between(middle.grid, middle.low, middle.high, **filled, color=how.color, alpha=0.18, lw=0, zorder=1.5)
    notes = [counted(curve)]
    marked = {*range(0, len(middle.grid), max(1, len(middle.grid) // 8)), *lone(middle.median)}
    line: dict[str, Any] = {"linestyle": how.linestyle, "marker": how.marker, "markevery": sorted(marked)}
    if np.isnan(middle.median).all():  # a line in the legend would be one that is nowhere else
        notes.append("no median: fewer than half overlap" if len(middle.grid) else "no rows")
        line = {"linestyle": "none", "marker": "none", "markevery": None}
    ax.plot(
        middle.grid,
        middle.median,
        **drawn,
        color=how.color,
        **line,
        label=as_label(f"{name} ({', '.join(notes)})"),
        zorder=3,
    )
