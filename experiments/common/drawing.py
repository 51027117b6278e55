"""Drawing: what figures of experiments share, and the numbers of every seed that they draw."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from experiments.common.frame import values

import numpy as np

from rllab.plots import MethodStyle
from rllab.runs import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GREY = "#666666"
GUIDE: dict[str, Any] = {"color": GREY, "linewidth": 0.9, "linestyle": (0, (2, 2))}  # of what was not measured


def by_seed(records: Sequence[Record], name: str, **wanted: object) -> np.ndarray:
    """Return one number of every row that has these values, (seeds, rows)."""
    return np.array([values([record], name, **wanted) for record in records])


def look(how: MethodStyle) -> dict[str, Any]:
    """Return colour, line and marker as matplotlib takes them."""
    return {"color": how.color, "linestyle": how.linestyle, "marker": how.marker}


def line(how: MethodStyle) -> dict[str, Any]:
    """Return colour and line as matplotlib takes them, for curves of many points."""
    return {"color": how.color, "linestyle": how.linestyle}


def band(ax: Axes, x: Sequence[float] | np.ndarray, each: np.ndarray, how: MethodStyle, **more: Any) -> None:
    """Draw the median over seeds of (seeds, x), and a band from the least to the largest, on logarithmic axes."""
    ax.fill_between(x, each.min(0), each.max(0), color=how.color, alpha=0.2, lw=0)
    ax.loglog(x, np.median(each, 0), **{**look(how), **more})


def every_seed(ax: Axes, pairs: Iterable[tuple[np.ndarray, np.ndarray]], label: str, **more: Any) -> None:
    """Draw one thin line a seed, all of one look and with one label."""
    for k, (x, y) in enumerate(pairs):
        ax.plot(x, y, label=None if k else label, **{"linewidth": 1, **more})


def legends_below(axes: Iterable[Axes], columns: int = 2, drop: float = 0.16, **more: Any) -> None:
    """Put the legend of each under its axis."""
    for ax in axes:
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -drop), ncols=columns, **more)
