"""Names of lines: at their ends where they are few, else in a legend below, which takes no room from the axes."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from rllab.plots.styles import STYLE, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

FEW = 5  # lines that are named at their ends
WIDTH = 28  # signs of a line of such a name
POINTS = STYLE["legend.fontsize"]
SIGN, LINE = 0.58 * POINTS, 1.25 * POINTS  # points that a sign is wide, and a line of text high, about
HANDLE = (STYLE["legend.handlelength"] + 1.6) * POINTS  # what a legend shows beside a text, and the gaps
LEADER = {"arrowstyle": "-", "lw": 1.2, "shrinkA": 1, "shrinkB": 3, "relpos": (0, 0.5)}  # from an end to its name
FAR = {"lw": 0.8, "linestyle": ":", "color": "#888888"}  # of one that would be taken for a part of its line
EDGE = 0.9  # of the axes' width: a line that ends before is far from its name
HARD = "\u00a0"  # a space at which no line is broken: "lr = 0.1", "10 seeds"
GAP = 34.0  # points from the axes to the legend below them: ticks and a label stand between
AROUND = 54.0  # points of a panel beside its axes: labels and ticks


def name_lines(ax: Axes, title: str = "") -> Axes:
    """Name what is drawn: up to five lines at their ends, without a legend; more, or long names, in a legend below.

    A line that has no point to be named at stands in the legend. Names are broken where they are long, and the figure
    grows by the height of the legend, so that the axes stay as high as they were. To be called when all is drawn.

    Args:
        ax: its lines have labels.
        title: what else there is to say of the lines, such as what their bands are; it stands below.

    Returns:
        ax.

    Example:
        from rllab import plots

        figure, (ax,) = plots.panels()
        ax.plot([1, 2, 3], [3, 2, 1], label="falls")
        ax.plot([1, 2, 3], [1, 3, 3], label="rises, and stays")
        plots.name_lines(ax)
    """
    from matplotlib.transforms import ScaledTranslation

    entries = list(zip(*ax.get_legend_handles_labels(), strict=True))
    ends = {name: end for handle, name in entries if (end := _end(ax, handle)) is not None}
    texts = {name: _broken(name, WIDTH) for name in ends}
    total = sum(text.count("\n") + 1 for text in texts.values())
    if len(ends) <= FEW and len(texts) == len(ends) and total * LINE <= _height(ax):
        _name_ends(ax, {name: (texts[name], *ends[name]) for name in ends})
        entries = [(handle, name) for handle, name in entries if name not in ends]
    most = int((_width(ax) - HANDLE) / SIGN)
    names = [_broken(name, most) for _, name in entries]
    if names or title:
        columns = 2 if len(names) > FEW and all(len(name) * SIGN + HANDLE < _width(ax) / 2 for name in names) else 1
        before, figure = _legends(ax), _figure(ax)
        under = ax.transAxes + ScaledTranslation(0, -GAP / 72, figure.dpi_scale_trans)
        with style():
            below = {
                "loc": "upper center",
                "bbox_to_anchor": (0.5, 0),
                "bbox_transform": under,
                "alignment": "left",
                "ncols": columns,
            }
            ax.legend([handle for handle, _ in entries], names, title=title or None, **below)
        figure.set_figheight(figure.get_figheight() + _legends(ax) - before)
    return ax


def apart(wanted: Sequence[float], heights: Sequence[float], low: float = 0.0, high: float = 1.0) -> list[float]:
    """Return the centres nearest to the wanted ones at which intervals of these heights do not overlap.

    They stay in order, and between low and high while there is room: pools of neighbours move together, as in isotonic
    regression.
    """
    if not len(wanted):
        return []
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    offsets = np.cumsum([0.0, *((heights[i] + heights[j]) / 2 for i, j in pairwise(order))])
    pools: list[list[float]] = []
    for i, offset in zip(order, offsets, strict=True):
        pools.append([wanted[i] - offset])
        while len(pools) > 1 and np.mean(pools[-2]) > np.mean(pools[-1]):
            pools[-2:] = [pools[-2] + pools[-1]]
    bases = np.array([float(np.mean(pool)) for pool in pools for _ in pool])
    top = high - heights[order[-1]] / 2 - offsets[-1]
    bases = np.maximum(np.minimum(bases, top), low + heights[order[0]] / 2)
    found = dict(zip(order, (bases + offsets).tolist(), strict=True))
    return [found[i] for i in range(len(wanted))]


def _end(ax: Axes, handle: object) -> tuple[Line2D, float, float] | None:
    """Return a line and its last point that the axes can show; None for what is no line, or has no such point."""
    from matplotlib.lines import Line2D

    if not isinstance(handle, Line2D):
        return None
    xs, ys = (np.ma.filled(np.ma.asarray(part, float), np.nan) for part in handle.get_data(orig=False))
    if handle.get_transform() != ax.transData:  # of axhline and axvline, whose ends are those of the axes
        _ = ax.get_xlim(), ax.get_ylim()  # sets the limits of what is drawn
        points = handle.get_transform().transform(np.column_stack((xs, ys)))
        xs, ys = ax.transData.inverted().transform(points).T
    shown = [np.isfinite(xs), np.isfinite(ys)]
    shown += [part > 0 for part, scale in ((xs, ax.get_xscale()), (ys, ax.get_yscale())) if scale == "log"]
    (there,) = np.nonzero(np.logical_and.reduce(shown))
    return (handle, float(xs[there[-1]]), float(ys[there[-1]])) if len(there) else None


def _name_ends(ax: Axes, named: dict[str, tuple[str, Line2D, float, float]]) -> None:
    """Write names right of the axes, each as near to its line's end as others let it, and lead from the end to it."""
    to_axes = ax.transScale + ax.transLimits
    _ = ax.get_xlim(), ax.get_ylim()  # sets the limits of what is drawn, which the transforms go by
    ends = [to_axes.transform((x, y)) for _, _, x, y in named.values()]
    wanted = [float(np.clip(end[1], 0.0, 1.0)) for end in ends]
    heights = [(text.count("\n") + 1.3) * LINE / _height(ax) for text, *_ in named.values()]
    for (text, line, x, y), end, at in zip(named.values(), ends, apart(wanted, heights), strict=True):
        look = {"color": line.get_color()} if end[0] >= EDGE else FAR
        ax.annotate(
            text,
            (x, y),
            xytext=(1.03, at),
            textcoords="axes fraction",
            va="center",
            fontsize=POINTS,
            linespacing=1.1,
            annotation_clip=False,
            arrowprops=LEADER | look,
        )


def _broken(name: str, most: int) -> str:
    """Return a name in lines of at most so many signs, if it can be broken; a formula of matplotlib's is left whole."""
    if "$" in name:
        return name
    held = re.sub(r" = |(?<=\d) (?=seed)", lambda match: match[0].replace(" ", HARD), name)
    parts = (
        textwrap.fill(part, max(8, most), break_long_words=False, break_on_hyphens=False) for part in held.split("\n")
    )
    return "\n".join(parts).replace(HARD, " ")


def _width(ax: Axes) -> float:
    """Return about how wide axes are, in points."""
    spec = ax.get_subplotspec()
    columns = spec.get_gridspec().ncols / len(spec.colspan) if spec is not None else 1
    return max(72.0, 72 * _figure(ax).get_figwidth() / columns - AROUND)


def _height(ax: Axes) -> float:
    """Return about how high axes are, in points."""
    spec = ax.get_subplotspec()
    rows = spec.get_gridspec().nrows / len(spec.rowspan) if spec is not None else 1
    return max(72.0, 72 * (_figure(ax).get_figheight() - _legends(ax)) / rows - AROUND)


def _legends(ax: Axes) -> float:
    """Return what the legends of all rows of panels take of the height of a figure, in inches."""
    rows: dict[int, float] = {}
    for panel in _figure(ax).axes:
        spec, legend = panel.get_subplotspec(), panel.get_legend()
        if spec is not None and legend is not None:
            inches = legend.get_window_extent().height / _figure(ax).dpi
            rows[spec.rowspan.start] = max(rows.get(spec.rowspan.start, 0.0), inches)
    return sum(rows.values())


def _figure(ax: Axes) -> Figure:
    from matplotlib.figure import SubFigure

    figure = ax.get_figure()
    while isinstance(figure, SubFigure):
        figure = figure.figure
    assert figure is not None  # axes are made by figures
    return figure
