"""The figures of the bicycle experiment: who rides after how many steps, what more weights cost, and all trials."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.agents.learners import LEARNERS, SIZES, WEIGHTS
from experiments.agents.rider_claims import names_credited
from experiments.agents.rider_records import Run, chosen, kept, runs_of, searches_of, times_of
from experiments.common.drawing import GREY, dots, line, look
from experiments.common.frame import column, select

import numpy as np

from rllab import plots
from rllab.plots import MethodStyle
from rllab.runs import Record
from rllab.runs.statistics import bootstrap_interval, median

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RANDOM = MethodStyle(GREY, "-", ".")
FEW = 5  # runs, below which a learner's are not compared with a search in a title
TITLE = "Which way to a gradient teaches a bicycle rider soonest?"


def styles() -> dict[str, MethodStyle]:
    """Return the style of every learner; random search is grey, and both that are told the dynamics have one colour."""
    found = plots.method_styles(m for m in LEARNERS if m not in ("random", "short"))
    return {**found, "short": MethodStyle(found["true"].color, "-", "D"), "random": RANDOM}


def draw(records: Sequence[Record], path: Path) -> Path:
    """Draw the share of runs that ride against steps, and beside it what more weights cost.

    The second panel is of the runs that are kept; where they are of one size only, it is of CPU seconds instead.
    """
    drawing, (left, right) = plots.panels(2, 1, width=6.6, height=5.4)
    runs, before = runs_of(records), chosen(kept(), task="balance")
    size = next((at for at in ("64-64", *SIZES) if chosen(runs, task="balance", size=at)), "64-64")
    here = chosen(runs, task="balance", size=size)
    riding(left, here, by_hand(records, "balance"))
    searches = searches_of(runs, "balance", size)
    sooner = names_credited(here, searches) if searches else "not run here"
    few = not searches or max(len(chosen(here, method=m)) for m in LEARNERS if m != "random") < FEW
    left.set_title("Too few runs to compare" if few else f"Significantly sooner than random search: {sooner}")
    left.set_xlabel(f"{left.get_xlabel()}: {len(here) and WEIGHTS[size]:,} weights, {_counts(here)}")
    if len({run.size for run in before if run.method != "random"}) > 1:
        sizes(right, before)
        right.set_title(_growth(before))
        right.set_xlabel(f"{right.get_xlabel()}: {_counts(before)} at a size, kept in the repository")
    else:
        riding(right, [run for run in here if run.method != "random"], None, cpu=True)
        right.set_title("The same by the clock: seconds of one core")
    title = "what the gradient comes from; bars: 95 % intervals (Greenwood's, Wilson's where all or none ride)"
    drawing.legend(
        *left.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=10, frameon=False,
        title=f"{title}\n{minimised({run.method for run in here}, width=180)}", alignment="center", title_fontsize=9.5,
    )  # fmt: skip
    drawing.suptitle(TITLE, fontsize=13)
    return plots.save(drawing, path)


def minimised(methods: Iterable[str], *, width: int) -> str:
    """Return what these learners minimise, in lines of at most so many characters."""
    who: dict[str, list[str]] = {}
    for method in LEARNERS:
        if method in methods and method != "random":
            learner = LEARNERS[method]
            who.setdefault(learner.objective, []).append(learner.name.partition(":")[0])
    said = "; ".join(f"{objective} ({', '.join(names)})" for objective, names in who.items())
    return textwrap.fill(f"minimised: {said}", width)


def by_hand(records: Sequence[Record], task: str) -> float | None:
    """Return the share of rides that a rider by hand ends well; None if there is none."""
    ridden = select(records, method="hand", task=task)
    return next((record.summary["fresh"] for record in ridden if record.summary), None)


def _growth(runs: Sequence[Run]) -> str:
    """Say how much longer, at most, a learner takes with the most weights than with the fewest."""
    few, many = (
        {m: times_of(mine).median() for m in LEARNERS if (mine := chosen(runs, method=m, size=size))}
        for size in (min(WEIGHTS, key=WEIGHTS.__getitem__), max(WEIGHTS, key=WEIGHTS.__getitem__))
    )
    factors = [many[m] / few[m] for m in few if m in many and np.isfinite(few[m]) and np.isfinite(many[m])]
    if not factors:
        return "Steps to ride with more weights"
    between = [times_of(mine).median() for m in few for size in SIZES if (mine := chosen(runs, method=m, size=size))]
    unfinished = "; ↑: no median" if np.isinf(between).any() else ""
    return f"Most against fewest weights: at most {max(factors):.1f} × the steps{unfinished}"


def _counts(runs: Sequence[Run]) -> str:
    groups = [chosen(runs, method=m, size=size) for m in LEARNERS if m != "random" for size in SIZES]
    counts = sorted({len(group) for group in groups} - {0})
    if len(counts) == 1:
        return f"{counts[0]} run{'s' * (counts[0] > 1)} each"
    return f"{' to '.join(map(str, counts[:: len(counts) - 1]))} runs" if counts else "no runs"


def riding(ax: Axes, runs: Sequence[Run], hand: float | None, *, cpu: bool = False) -> None:
    """Draw 1 − S(t) of every learner, with its interval where its steps end; a rider by hand as a line."""
    how, last = styles(), 0.0
    for method in reversed(LEARNERS):
        mine = chosen(runs, method=method)
        if not mine:
            continue
        times = times_of(mine, cpu=cpu)
        at, share = times.curve()
        width = 2.6 if method == "random" else 1.8
        ax.step(at, share, where="post", **line(how[method], label=LEARNERS[method].name, linewidth=width))
        end = times.interval(float(at[-1]))
        ax.errorbar(
            at[-1], end[0], np.maximum([[end[0] - end[1]], [end[2] - end[0]]], 0.0), color=how[method].color, capsize=3,
            marker=how[method].marker, linewidth=1,
        )  # fmt: skip
        last = max(last, float(at[-1]))
    if hand is not None:
        ax.axhline(hand, color=GREY, linewidth=0.9, linestyle=(0, (2, 2)), zorder=1)
        ax.annotate(
            "a rider by hand, nothing learned", (0.01, hand), xycoords=("axes fraction", "data"), xytext=(0, 4),
            textcoords="offset points", color=GREY, fontsize=10,
        )  # fmt: skip
    ax.set_xscale("log")
    ax.set_xlim(0.03 if cpu else 200, 1.3 * max(last, 1.0 if cpu else 1000.0))
    ax.set_ylim(-0.02, 1.12)
    ax.set_yticks([0, 0.25, 0.5, 0.75, 1.0], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    ax.set_xlabel("CPU seconds used to learn" if cpu else "environment steps used to learn")
    ax.set_ylabel("share of runs that ride: 10 s, 20 rides of 20")


def sizes(ax: Axes, runs: Sequence[Run]) -> None:
    """Draw each run's steps to ride against its weights, and medians with intervals; a bound where under half ride."""
    how = styles()
    for i, method in enumerate(LEARNERS):
        shift = 1.09 ** (i - len(LEARNERS) / 2)
        x, middle, low, high = [], [], [], []
        for size in SIZES:
            mine = chosen(runs, method=method, size=size)
            if not mine:
                continue
            times, at = times_of(mine), WEIGHTS[size] * shift
            first = np.where(times.came, times.seen, np.inf)
            came = first[times.came]
            ax.plot(np.full(len(came), at), came, ".", color=how[method].color, markersize=3, alpha=0.5)
            if np.isinf(times.median()):
                ax.plot(at, times.limit.max(), marker=r"$\uparrow$", color=how[method].color, markersize=11)
                continue
            x.append(at)
            middle.append(times.median())
            ends = bootstrap_interval(first, median, key=0) if len(first) > 1 else (middle[-1], middle[-1])
            low.append(middle[-1] - float(ends[0]))
            high.append(min(float(ends[1]), float(times.limit.max())) - middle[-1])
        if x:
            bars = np.maximum([low, high], 0.0)
            ax.errorbar(x, middle, bars, **look(how[method]), capsize=2, elinewidth=0.9, linewidth=1.4)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel("number of the policy's weights")
    ax.set_ylabel("steps to ride: runs, median, 95 %\n(arrow: under half ride in so many)")


def draw_trials(records: Sequence[Record], path: Path) -> Path:
    """Draw the score of every trial, a row for each learner."""
    drawing, (ax,) = plots.panels()
    scores = {m: column(select(records, method=m), "score") for m in LEARNERS}
    scores = {m: values for m, values in scores.items() if len(values)}
    dots(ax, scores, [styles()[m].color for m in scores])
    ax.set_xlabel("score of a trial: mean steps upright (random search: riders found in a million steps)")
    return plots.save(drawing, path)
