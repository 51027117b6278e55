"""Drawing: what figures share: a curve with the band of all seeds, lines of reference, legends that hide nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from rllab.plots import MethodStyle
from rllab.plots.log_axes import set_log

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GREY = "#666666"
SMALL = 8  # points of the least text: 6.5 pixels where a figure 12 inches wide, the widest, is shown 700 pixels wide
REFERENCE: dict[str, Any] = {"color": GREY, "linewidth": 0.9, "linestyle": (0, (2, 2))}  # of a line to compare with


def look(how: MethodStyle, **more: Any) -> dict[str, Any]:
    """Return a style as keyword arguments of matplotlib, with others."""
    return {"color": how.color, "linestyle": how.linestyle, "marker": how.marker, **more}


def line(how: MethodStyle, **more: Any) -> dict[str, Any]:
    """Return colour and line alone as keyword arguments of matplotlib, for curves of many points."""
    return {"color": how.color, "linestyle": how.linestyle, **more}


def every_seed(ax: Axes, pairs: Iterable[tuple[np.ndarray, np.ndarray]], label: str, **more: Any) -> None:
    """Draw one thin line a seed, all of one look and with one label."""
    for k, (x, y) in enumerate(pairs):
        ax.plot(x, y, label=None if k else label, **{"linewidth": 1, **more})


def dots(ax: Axes, named: Mapping[str, ArrayLike], colors: Iterable[str], *, never: float = np.nan) -> None:
    """Draw a row of dots for each name, one a seed, beside each other; what is at `never` is hollow."""
    for i, ((name, numbers), color) in enumerate(zip(named.items(), colors, strict=False)):
        x = np.asarray(numbers, float)
        y = i + np.linspace(-0.25, 0.25, len(x))
        ax.plot(x[x != never], y[x != never], "o", color=color, markersize=4, label=name)
        ax.plot(x[x == never], y[x == never], "o", color=color, markersize=4, markerfacecolor="none")
    ax.set_yticks(range(len(named)), list(named))
    ax.set_ylim(len(named) - 0.5, -0.5)
    ax.grid(False, axis="y")


def band(
    ax: Axes,
    x: ArrayLike,
    each: np.ndarray,
    how: MethodStyle,
    *,
    middle: Callable[..., np.ndarray] = np.median,
    alpha: float = 0.15,
    **more: Any,
) -> None:
    """Draw the middle of all seeds, and a band from the least to the largest; `each` is (seeds, points)."""
    ax.fill_between(np.asarray(x), each.min(0), each.max(0), color=how.color, alpha=alpha, lw=0)
    ax.plot(x, middle(each, 0), **look(how, **more))


def label_end(
    ax: Axes, x: float, y: float, text: str, color: str, *, side: Literal["left", "right"] = "right", up: float = 0
) -> None:
    """Write what a curve is beside its end at (x, y), or its start, `up` points higher."""
    ax.annotate(
        text,
        (x, y),
        xytext=(5 if side == "right" else -5, up),
        textcoords="offset points",
        ha="left" if side == "right" else "right",
        va="center",
        color=color,
        fontsize=SMALL,
    )


def say(ax: Axes, at: tuple[float, float], said: Iterable[tuple[str, str]], *, ha: str = "left") -> None:
    """Write texts of a colour each below each other, the first at a point in shares of the axes: (0, 0) lower left."""
    down = 0.0
    for text, color in said:
        ax.annotate(
            text,
            at,
            xycoords="axes fraction",
            xytext=(0, -down),
            textcoords="offset points",
            ha=ha,
            va="top",
            color=color,
            fontsize=SMALL,
        )
        down += 1.35 * SMALL * (1 + text.count("\n"))


def log_log(ax: Axes) -> None:
    """Make both axes logarithmic, with numbers that do not overlap over few decades."""
    set_log(ax, "x")
    set_log(ax, "y")


def legend_below(ax: Axes, columns: int = 2, *, down: float = 0.16, **more: Any) -> None:
    """Put the legend of one panel below it."""
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -down), ncols=columns, **{"fontsize": SMALL, **more})


def shared_legend(drawing: Figure, ax: Axes, columns: int, **more: Any) -> None:
    """Put the legend of one panel, which speaks for all of them, below the whole figure."""
    drawing.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=columns, **more)
