"""Comparisons of methods: what each reached, and the probability that one improves on another, with intervals."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from rllab.plots.names import name_lines
from rllab.plots.styles import BLACK, MethodStyle, as_label, style, variant_styles
from rllab.runs.standings import Pair, Standing
from rllab.runs.statistics import performance_profile

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_scores(ax: Axes, standings: Sequence[Standing], *, label: str = "score") -> Axes:
    """Draw each method's runs, its interquartile mean and the 95 % bootstrap interval of that, best on top."""
    styles = _styles(standings)
    with style():
        for i, standing in enumerate(standings):
            how = styles[standing.name]
            finite = [score for score in standing.scores.values() if math.isfinite(score)]
            ax.plot(finite, [i] * len(finite), "o", color=how.color, alpha=0.35, markersize=4, zorder=2)
            if math.isfinite(standing.low) and math.isfinite(standing.high):
                ax.plot([standing.low, standing.high], [i, i], color=how.color, linewidth=3, zorder=3)
            if math.isfinite(standing.iqm):
                ax.plot([standing.iqm], [i], marker="|", markersize=14, color=how.color, markeredgewidth=2.5, zorder=4)
            lost, left_out = len(standing.scores) - len(finite), len(standing.left_out)
            notes = [f"{lost} without a score"] * (lost > 0) + [f"{left_out} unfinished, left out"] * (left_out > 0)
            if notes:
                ax.annotate(", ".join(notes), (0, i), xycoords=("axes fraction", "data"), fontsize=8)
        ax.set_yticks(range(len(standings)), [as_label(_wrapped(standing.name)) for standing in standings])
        ax.set_ylim(len(standings) - 0.5, -0.5)
        ax.set_xlabel(as_label(f"{label}: interquartile mean, 95 % bootstrap interval; dots: seeds"))
    return ax


def draw_pairs(ax: Axes, pairs: Sequence[Pair]) -> Axes:
    """Draw the probability that a run of the first method of each pair scores above one of the second."""
    with style():
        ax.axvline(0.5, color="#666666", linewidth=0.9, linestyle=(0, (2, 2)))
        for i, pair in enumerate(pairs):
            if not math.isnan(pair.low):
                ax.plot([pair.low, pair.high], [i, i], color=BLACK, linewidth=3)
            ax.plot([pair.probability], [i], marker="o", color=BLACK)
        names = [as_label(f"{_wrapped(pair.first)} >\n{_wrapped(pair.second)}") for pair in pairs]
        ax.set_yticks(range(len(pairs)), names)
        ax.set_ylim(len(pairs) - 0.5, -0.5)
        ax.set_xlim(-0.02, 1.02)
        ax.set_xlabel("probability of improvement, 95 % bootstrap interval")
    return ax


def draw_profile(ax: Axes, standings: Sequence[Standing], *, label: str = "score") -> Axes:
    """Draw the performance profile of each method: the share of its runs whose score is above each value."""
    scores = [score for standing in standings for score in standing.scores.values() if math.isfinite(score)]
    if not scores:
        return ax
    thresholds = np.unique([min(scores) - 0.02 * (max(scores) - min(scores)), *scores])
    styles = _styles(standings)
    with style():
        for standing in filter(lambda standing: standing.scores, standings):
            how = styles[standing.name]
            shares = performance_profile(list(standing.scores.values()), thresholds)
            look = {"color": how.color, "linestyle": how.linestyle}
            ax.plot(thresholds, shares, drawstyle="steps-post", label=as_label(standing.name), **look)
        ax.set_ylim(-0.02, 1.02)
        ax.set_ylabel("share of runs above it")
        ax.set_xlabel(as_label(label))
    return name_lines(ax)


def _styles(standings: Sequence[Standing]) -> dict[str, MethodStyle]:
    """Return a style by name: the colour is the method's, lines and markers are each configuration's own."""
    looks = {name: iter(styles) for name, styles in variant_styles(Counter(s.method for s in standings)).items()}
    return {standing.name: next(looks[standing.method]) for standing in sorted(standings, key=lambda s: s.name)}


def _wrapped(name: str, most: int = 34) -> str:
    """Return a long name in lines of at most so many signs, where it has commas."""
    lines = [""]
    for part in name.split(", "):
        if lines[-1] and len(lines[-1]) + len(part) > most:
            lines.append(part)
        else:
            lines[-1] = f"{lines[-1]}, {part}" if lines[-1] else part
    return ",\n".join(lines)
