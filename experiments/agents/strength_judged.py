"""How the two sides of a cell of strength.py are compared: the difference, its interval, the verdict, the table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from experiments.agents.strength_cells import CELLS, UNJUDGED, Cell

import numpy as np
from scipy.special import nctdtr, stdtrit

from rllab.runs.comparisons import probability_of_improvement_interval
from rllab.runs.statistics import (
    iqm,
    median_of_curves,
    optimality_gap,
    performance_profile,
    probability_of_improvement,
    stratified_bootstrap_interval,
)

SEEDS = 10  # from so many on, of each side, there is a verdict
PILOT = 4  # seeds whose spread says how many are needed
POWER = 0.8  # with which equals are found not to be inferior
MARGIN = 0.1  # of (reference − random policy)
Found = Mapping[str, Mapping[str, Mapping[str, Any]]]


def difference(ours: list[float], theirs: list[float]) -> tuple[float, float, float]:
    """Return our mean minus theirs, with the ends of Welch's 95 % interval; without spread, it has no width."""
    x, y = np.asarray(ours, float), np.asarray(theirs, float)
    apart = float(x.mean() - y.mean())
    # s²/n of either side, and Welch's degrees of freedom
    a, b = x.var(ddof=1) / len(x), y.var(ddof=1) / len(y)
    if a + b == 0:
        return apart, apart, apart
    freedom = (a + b) ** 2 / (a**2 / (len(x) - 1) + b**2 / (len(y) - 1))
    half = float(stdtrit(freedom, 0.975) * (a + b) ** 0.5)
    return apart, apart - half, apart + half


def seeds_needed(spread: tuple[float, float], margin: float, *, most: int = 10_000) -> int:
    """Return the seeds a side with which equals of these standard deviations are not inferior with probability 0.8.

        P(t'_ν(δ) > t_0.975(ν)) >= 0.8,     δ = margin/√((s₁² + s₂²)/n),   ν = 2 (n − 1)

    Args:
        margin: how much lower a mean may be, > 0.
        most: where none so large suffices, this is returned.

    Source: Julious (2004), "Sample sizes for clinical trials with normal data", section on non-inferiority; by the
    noncentral t distribution.
    """
    variance = spread[0] ** 2 + spread[1] ** 2
    if variance == 0:
        return 2
    for n in (np.arange(2, min(most, 100)), np.arange(100, most)):  # many are seldom needed, and take long
        freedom = 2 * (n - 1)
        with np.errstate(invalid="ignore"):  # where it is as good as 1, old versions of scipy have no number for it
            power = 1 - nctdtr(freedom, margin / np.sqrt(variance / n), stdtrit(freedom, 0.975))
        reached = (power >= POWER) | np.isnan(power)
        if reached.any():
            return int(n[np.argmax(reached)])
    return most


@dataclass(frozen=True)
class Compared:
    """What is known of a cell.

    Attributes:
        ours, theirs: returns of each seed.
        low, high: ends of Welch's 95 % interval of `apart`, our mean minus theirs.
        allowed: the least that `low` must be above.
        cpu: median CPU seconds of a run, ours and theirs.
        needed: seeds a side that a pilot of the first four asks for.
    """

    cell: Cell
    peer: str
    ours: list[float]
    theirs: list[float]
    random: float
    apart: float
    low: float
    high: float
    allowed: float
    cpu: tuple[float, float]
    needed: int | None

    @property
    def seeds(self) -> int:
        return min(len(self.ours), len(self.theirs))

    @property
    def judged(self) -> bool:
        return self.cell.task not in UNJUDGED and self.seeds >= SEEDS

    @property
    def verdict(self) -> str:
        if not self.judged:
            return "not judged"
        if self.low > self.allowed:
            return "not inferior"
        return "inferior" if self.high < self.allowed else "undecided"

    @property
    def scale(self) -> float:
        """What differences are drawn over: reference − random policy."""
        return float(np.mean(self.theirs)) - self.random

    def said(self) -> str:
        """Say it in one line."""
        pilot = "" if self.needed is None else f"; a pilot of {PILOT} asks for {self.needed} seeds"
        return (
            f"{self.cell.name}: {np.mean(self.ours):.4g} against {np.mean(self.theirs):.4g} of {self.peer}, n = "
            f"{len(self.ours)} and {len(self.theirs)}: {self.apart:+.3g} in [{self.low:.3g}, {self.high:.3g}], "
            f"{self.cpu[1] / self.cpu[0]:.1f} times its CPU speed{pilot}"
        )


def compared(found: Found) -> list[Compared]:
    """Compare the two sides of each cell of which both have two seeds or more."""
    return [one for one in (_compare(cell, found) for cell in CELLS) if one is not None]


def _compare(cell: Cell, found: Found) -> Compared | None:
    sides = found.get(cell.name, {})
    peer = next((name for name in sides if name != "rllab"), None)
    if peer is None or "rllab" not in sides:
        return None
    ours, theirs = list(sides["rllab"]["return"]), list(sides[peer]["return"])
    if min(len(ours), len(theirs)) < 2:
        return None
    (random,) = found[f"{cell.task}/random"]["random"]["return"]
    allowed = -MARGIN * (float(np.mean(theirs)) - random)
    needed = None
    if min(len(ours), len(theirs)) >= PILOT and allowed < 0:
        spread = float(np.std(ours[:PILOT], ddof=1)), float(np.std(theirs[:PILOT], ddof=1))
        needed = seeds_needed(spread, -allowed)
    cpu = float(np.median(sides["rllab"]["cpu_seconds"])), float(np.median(sides[peer]["cpu_seconds"]))
    return Compared(cell, peer, ours, theirs, random, *difference(ours, theirs), allowed, cpu, needed)


def overall(found: Found) -> list[str]:
    """Say what all judged cells come to together, a column of the table each, and who is ahead half way.

    Scores are shares of (reference − random policy), so that 1 is the mean of the reference.
    """
    cells = [one for one in compared(found) if one.judged and one.scale > 0]
    if not cells:
        return []
    n = min(one.seeds for one in cells)
    ours, theirs = (
        np.array([[(x - one.random) / one.scale for x in returns[:n]] for one, returns in side]).T
        for side in ([(one, one.ours) for one in cells], [(one, one.theirs) for one in cells])
    )
    low, high = stratified_bootstrap_interval(ours, iqm, key=0)
    p = probability_of_improvement(ours, theirs)
    least, most = probability_of_improvement_interval(ours, theirs, key=0)
    near = [float(performance_profile(scores, [1 - MARGIN])[0]) for scores in (ours, theirs)]
    gap, other = float(optimality_gap(ours)), float(optimality_gap(theirs))
    ahead = 0
    for one in cells:
        sides = found[one.cell.name]
        ahead += _first_median(sides["rllab"]) > _first_median(sides[one.peer])
    return [
        f"{len(cells)} cells together, {n} seeds a side, of (reference − random): interquartile mean "
        f"{float(iqm(ours)):.3f} in [{low:.3f}, {high:.3f}], stratified; {near[0]:.0%} of our runs and {near[1]:.0%} "
        f"of theirs are above {1 - MARGIN:.0%} of it; optimality gap {gap:.3f} and {other:.3f}; P(ours above "
        f"theirs) {p:.2f} in [{least:.2f}, {most:.2f}]",
        f"half way the median return of our seeds is the higher one in {ahead} of {len(cells)} cells",
    ]


def _first_median(side: Mapping[str, Any]) -> float:
    """Return the median over seeds at the first evaluation that half of them have."""
    curves = [tuple(np.array(curve, float).T) for curve in side["curve"] if curve]
    medians = median_of_curves(curves, key=0).median if curves else np.array([np.nan])  # type: ignore[arg-type] - x and y
    return float(next(iter(medians[np.isfinite(medians)]), np.nan))


def markdown(found: Found) -> str:
    """Return the table that the documentation shows, and what was not run."""
    head = [
        *("task", "method", "steps", "ours", "theirs", "random", "difference", "allowed", "verdict"),
        *("CPU seconds, ours / theirs", "seeds", "a pilot asks for", "published"),
    ]
    there = compared(found)
    lines = [head, ["---"] * len(head), *(_cells(one) for one in there)]
    text = "\n".join(f"| {' | '.join(cells)} |".replace("|  |", "| |") for cells in lines)
    left = ", ".join(cell.name for cell in CELLS if cell.name not in {one.cell.name for one in there})
    return f"{text}\n\nNot run, or on fewer than two seeds: {left or 'none'}.\n"


def _cells(one: Compared) -> list[str]:
    return [
        one.cell.task,
        one.cell.method + (f", critics {one.cell.width}" if one.cell.width else ""),
        f"{one.cell.steps:,}",
        _mean(one.ours),
        _mean(one.theirs),
        f"{one.random:.4g}",
        f"{one.apart:+.3g} [{one.low:.3g}, {one.high:.3g}]",
        f"{one.allowed:.3g}",
        one.verdict,
        f"{one.cpu[0]:.3g} / {one.cpu[1]:.3g}",
        f"{len(one.ours)}, {len(one.theirs)}" if len(one.ours) != len(one.theirs) else str(one.seeds),
        "" if one.needed is None else str(one.needed),
        one.cell.published,
    ]


def _mean(returns: list[float]) -> str:
    """Return mean ± half of Student's 95 % interval."""
    half = stdtrit(len(returns) - 1, 0.975) * np.std(returns, ddof=1) / len(returns) ** 0.5
    return f"{np.mean(returns):.4g} ± {half:.2g}"
