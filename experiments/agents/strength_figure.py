"""What strength.py draws: the difference to the peer in each cell, its title the answer; and returns over widths."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from experiments.agents.strength_cells import CELLS, UNJUDGED, WIDTHS
from experiments.agents.strength_judged import MARGIN, Compared, Found, compared
from experiments.common.drawing import GREY, REFERENCE, legend_below

import numpy as np

from rllab.plots import BLUE, VERMILLION, save, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {"not inferior": BLUE, "inferior": VERMILLION, "undecided": GREY, "not judged": GREY}
NARROWEST = -1.0  # the left end of the axis: what lies below is cut, and said


def draw(found: Found, path: Path) -> Path:
    """Draw what is found; write the figure."""
    import matplotlib.pyplot as plt

    shown, widths = compared(found), any(f"{task}/CrossQ-{w}" in found for task in UNJUDGED for w in WIDTHS)
    with style():
        height = 1.8 + 0.42 * max(len(shown), 3)
        drawing, axes = plt.subplots(
            1, 1 + widths, figsize=(8 + 4.5 * widths, height), layout="constrained", squeeze=False
        )
        forest(axes[0, 0], shown)
        if widths:
            over_widths(axes[0, 1], found)
        return save(drawing, path)


def answer(shown: list[Compared]) -> str:
    """Say in one sentence what the figure shows."""
    planned, judged = sum(cell.task not in UNJUDGED for cell in CELLS), [one for one in shown if one.judged]
    if not judged:
        return f"None of {planned} cells has ten seeds a side yet"
    good = [one for one in judged if one.verdict == "not inferior"]
    share = float(np.median([one.cpu[0] / one.cpu[1] for one in judged]))
    return (
        f"{len(judged)} of {planned} cells judged: our agents are not inferior in {len(good)},\n"
        f"at {share:.2f} of their peers' CPU time (median)"
    )


def forest(ax: Axes, shown: list[Compared]) -> None:
    """Draw (ours − peer)/(peer − random) with its interval, a line for each cell."""
    for i, one in enumerate(shown):
        middle, low, high = (max(x / one.scale, NARROWEST) for x in (one.apart, one.low, one.high))
        colour = COLOURS[one.verdict]
        ax.plot([low, high], [i, i], color=colour, linewidth=2.5, solid_capstyle="butt")
        ax.plot(middle, i, "o", color=colour, markersize=7, markerfacecolor=colour if one.judged else "white")
        ax.annotate(
            f"{one.verdict}, n = {one.seeds}; {one.cpu[0] / one.cpu[1]:.2f} of the CPU time",
            (1.01, i), xycoords=("axes fraction", "data"), va="center", fontsize=8, color=colour,
        )  # fmt: skip
    ax.axvline(0, color=GREY, linewidth=0.9)
    ax.axvline(-MARGIN, **REFERENCE)
    ax.annotate(
        "dashed: the least allowed",
        (0, 0.5),  # between two cells
        xytext=(6, 0),
        textcoords="offset points",
        va="center",
        fontsize=8,
        color=GREY,
    )
    ax.set_xlim(min(ax.get_xlim()[0], -2 * MARGIN), max(ax.get_xlim()[1], MARGIN))
    ax.set_yticks(range(len(shown)), [one.cell.name for one in shown])
    ax.set_ylim(len(shown) - 0.5, -0.5)
    ax.grid(False, axis="y")
    ax.set_xlabel("(ours − peer)/(peer − random policy): mean over seeds, Welch's 95 % interval")
    ax.set_title(answer(shown), loc="left", fontweight="bold")


def over_widths(ax: Axes, found: Found) -> None:
    """Draw CrossQ's returns over the width of its critics, beside SAC's."""
    for i, task in enumerate(UNJUDGED):
        cells = [(w, found[f"{task}/CrossQ-{w}"]["rllab"]) for w in WIDTHS if f"{task}/CrossQ-{w}" in found]
        colour = (BLUE, VERMILLION)[i]
        if cells:
            x, returns = [w for w, _ in cells], [side["return"] for _, side in cells]
            errors = [np.std(r, ddof=1) / len(r) ** 0.5 if len(r) > 1 else 0.0 for r in returns]
            means = [np.mean(r) for r in returns]
            ax.errorbar(x, means, yerr=errors, marker="o", color=colour, capsize=3, label=f"CrossQ, {task}")
        if soft := found.get(f"{task}/SAC", {}).get("rllab"):
            ax.axhline(np.mean(soft["return"]), **{**REFERENCE, "color": colour}, label=f"SAC-256, {task}")
    ax.set_xlabel("units in a hidden layer of the critics")
    ax.set_ylabel("return after 50,000 steps, mean ± standard error")
    legend_below(ax)
