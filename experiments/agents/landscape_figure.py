"""The picture of `landscape.py`: one cost four times, and at the same points the arrow that each way gives."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rllab import plots

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEAST, MOST = 0.9, 10.0  # seconds, of the colours
TITLES = {
    "autograd": ("What a rider gets:\nstairs and plateaus", "autograd: 0 at every point, no arrow"),
    "perturb": ("Perturb the weights:\nsmoothed, it has a slope", "{} rides a point"),
    "score": ("Draw weights at random,\nscore them by their rides", "{} rides a point"),
    "learn": ("Learn the cost,\nfollow what was learned", "{} rides a point, shared by all points"),
}


def draw(
    land: Mapping[str, np.ndarray],
    learned: Mapping[str, np.ndarray],
    fields: Mapping[str, Mapping[str, np.ndarray]],
    true: np.ndarray,
    ends: tuple[float, float],
    unit: tuple[float, float],
    rides: int,
    path: Path,
) -> Path:
    """Draw four panels; write PNG and SVG, and return the path of the PNG.

    Args:
        land: `along` (n,), `steps` and `smoothed` (n, n).
        learned: `along` (m,) and `learned` (m, m) steps.
        fields: of each way places and directions (p, 2) and whether they stand out (p,).
        true: directions (p, 2).
        ends: of what is drawn, in units.
        unit: of each weight.
        rides: paid at a point.
        path: of the PNG.
    """
    drawing, axes = plots.panels(4, 1, width=3.35, height=4.5)
    surfaces = {
        "autograd": (land["along"], land["steps"]),
        "perturb": (land["along"], land["smoothed"]),
        "score": (land["along"], land["smoothed"]),
        "learn": (learned["along"], learned["learned"]),
    }
    image = None
    for ax, (way, (along, steps)) in zip(axes, surfaces.items(), strict=True):
        image = _surface(ax, along, steps / 100.0, ends, unit)
        at = fields["perturb"]["at"] * np.array(unit)
        if way == "autograd":
            ax.plot(*at.T, "o", color="white", markersize=4, markeredgecolor="black", markeredgewidth=0.6)
        else:
            _arrows(ax, fields[way], true, unit)
        title, price = TITLES[way]
        ax.set_title(title, fontsize=13)
        ax.set_xlabel(price.format(rides), fontsize=11)
    axes[0].set_ylabel("weight on the lean's rate, N·m·s/rad", fontsize=11)
    drawing.supxlabel(
        "across: weight on the lean, N·m/rad          "
        "white: the arrow that is found, faint where it is within its error          "
        "orange: the true slope of the smoothed time",
        fontsize=11,
    )
    assert image is not None
    bar = drawing.colorbar(image, ax=axes, shrink=0.9, pad=0.01, ticks=[1, 2, 3, 5, 10])
    bar.ax.set_yticklabels(["1 s", "2 s", "3 s", "5 s", "10 s\nor more"])
    bar.ax.minorticks_off()
    bar.set_label("time upright", fontsize=12)
    drawing.suptitle(
        "How long a bicycle rider stays up has no slope. Three ways to find out where it goes up", fontsize=15
    )
    return plots.save(drawing, path)


def _surface(
    ax: Axes, along: np.ndarray, seconds: np.ndarray, ends: tuple[float, float], unit: tuple[float, float]
) -> Any:
    from matplotlib import colormaps
    from matplotlib.colors import LogNorm

    inside = (along >= ends[0] - 1e-9) & (along <= ends[1] + 1e-9)
    at = along[inside]
    half = (at[1] - at[0]) / 2
    low, high = at[0] - half, at[-1] + half
    ax.grid(False)
    ax.set_xlim(low * unit[0], high * unit[0])
    ax.set_ylim(low * unit[1], high * unit[1])
    return ax.imshow(
        seconds[np.ix_(inside, inside)],
        origin="lower",
        extent=(low * unit[0], high * unit[0], low * unit[1], high * unit[1]),
        norm=LogNorm(LEAST, MOST),
        cmap=colormaps["viridis"].resampled(24),  # fits into the palette of a PNG
        aspect="auto",
        interpolation="nearest",
    )


def _arrows(ax: Axes, field: Mapping[str, np.ndarray], true: np.ndarray, unit: tuple[float, float]) -> None:
    """Draw unit arrows: those that stand out white and black, the others faint; the truth thin beneath."""
    places = field["at"] * np.array(unit)
    beneath = _unit_length(true) * np.array(unit)
    shared: dict[str, Any] = {"angles": "xy", "scale_units": "xy", "scale": 1.0, "pivot": "tail"}
    ax.quiver(*places.T, *beneath.T, color=plots.ORANGE, width=0.007, headwidth=4.0, **shared)
    given = _unit_length(field["direction"]) * np.array(unit)
    for chosen, alpha in ((~field["out"], 0.3), (field["out"], 1.0)):
        if chosen.any():
            ax.quiver(
                *places[chosen].T, *given[chosen].T,
                color="white", edgecolor="black", linewidth=0.5, alpha=alpha, width=0.014, headwidth=3.6, **shared,
            )  # fmt: skip


def _unit_length(directions: np.ndarray) -> np.ndarray:
    """Return directions of one length, a little less than the distance of points; none where there is none."""
    norm = np.linalg.norm(directions, axis=1, keepdims=True)
    return 0.6 * np.divide(directions, norm, out=np.zeros_like(directions), where=norm > 0)
