"""Standings: what methods reached in one environment, with intervals, and by how sure a margin one beats another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from rllab.keys import Key, as_key
from rllab.runs.comparisons import (
    PairedDifference,
    area_under_curve,
    paired_difference,
    probability_of_improvement_interval,
)
from rllab.runs.record import Record
from rllab.runs.row_kinds import COUNTERS, ROW, TIME
from rllab.runs.series import Curve, Task
from rllab.runs.statistics import bootstrap_interval, iqm, mean, median, probability_of_improvement
from rllab.runs.survival import kaplan_meier, times_to_threshold

LOWER = ("value", "cost", "loss", "error", "mse", "variance", "bias")  # columns of which less is better
FINAL = "return on unseen episodes, at the end"  # what a run's summary has as its return
ALL_PAIRS = 5  # methods of which every two are compared; of more, each is compared with the best


@dataclass(frozen=True)
class Standing:
    """What the runs of one method reached.

    Args:
        name: the method, and what sets it apart.
        method: whose colour it has.
        scores: by seed, the larger the better: the mean return on unseen episodes at the end where a run has one and it
            counts, see `ranked`, else the last value of its curve; where less is better, its negative. −∞ where there
            is none, or NaN.
        unfinished: how many runs did not come to their end; they count as far as they came.
        iqm, low, high: the interquartile mean, which estimates that of all seeds, and its 95 % bootstrap interval; NaN
            with one run.
        median, mean: of the scores.
        area: median over runs of the mean height of their curves, up to where the longest of the task ends.
        reached: of how many runs the curve reached the threshold; None without one.
        steps: Kaplan–Meier median of the steps to it, with its interval; infinite where it is not known.
    """

    name: str
    method: str
    scores: dict[int, float]
    unfinished: int
    iqm: float
    low: float
    high: float
    median: float
    mean: float
    area: float
    reached: int | None
    steps: tuple[float, float, float] | None


@dataclass(frozen=True)
class Pair:
    """A comparison of two methods, the first of the higher interquartile mean.

    Args:
        first, second: their names.
        probability: that a run of the first scores above one of the second, ties by half.
        low, high: ends of its 95 % bootstrap interval; NaN where a method has one run.
        difference: over seeds that both have; None without one, or where a score is infinite.
    """

    first: str
    second: str
    probability: float
    low: float
    high: float
    difference: PairedDifference | None


def has_final(task: Task, curves: Sequence[Curve], lower: bool | None = None) -> bool:
    """Whether runs of a task say what they returned on unseen episodes at the end, and more is better."""
    returned = (_final(run) for curve in curves for run in curve.runs)
    return not _less_is_better(task, lower) and any(final is not None for final in returned)


def label_of(task: Task, lower: bool | None = None, *, final: bool = False) -> str:
    """Return what scores of a task are called: the column, with a minus where less of it is better, and at what.

    With `final` they are returns on unseen episodes at the end, see `has_final`.
    """
    if final:
        return FINAL
    where = "" if task.x in ("", ROW, *COUNTERS) or task.x.endswith(TIME) else f" at the largest {task.x}"
    return f"−{task.y}{where} (less is better)" if _less_is_better(task, lower) else f"{task.y}{where}"


def height_of(task: Task) -> str:
    """Return what `Standing.area` of a task is called."""
    return f"mean height of the curve of {task.y}"


def ranked(
    task: Task,
    curves: Sequence[Curve],
    *,
    threshold: float | None = None,
    lower: bool | None = None,
    final: bool = True,
    key: Key | int,
) -> tuple[list[Standing], list[Pair]]:
    """Say what each curve's runs reached, best first, and compare them.

    Args:
        task: their environment and columns.
        curves: as `curves_by_task` gives them.
        threshold: of y, for the steps it takes to reach it.
        lower: whether less is better; by default it is for columns called cost, loss, error and the like.
        final: whether what a run returned on unseen episodes at the end is its score where it says so and more is
            better; else the last value of its curve is.
        key: of the bootstraps.

    Returns:
        A standing for each curve, but those whose runs all finished without a row, best first; and the comparisons: of
        every two, or of each with the best if there are many.
    """
    sign, key = -1 if _less_is_better(task, lower) else 1, as_key(key)
    # who finished without a single row was never asked for one: measurements beside the learners
    curves = [c for c in curves if any(len(xs) for xs, _ in c.points) or not all(run.finished for run in c.runs)]
    longest = max((xs[-1] for curve in curves for xs, _ in curve.points if len(xs)), default=0.0)
    final = final and has_final(task, curves, lower)
    found = [_standing(curve, sign, longest, threshold, final, key) for curve in curves]
    found.sort(key=lambda standing: -standing.iqm if not math.isnan(standing.iqm) else math.inf)
    pairs = combinations(found, 2) if len(found) <= ALL_PAIRS else ((found[0], other) for other in found[1:])
    return found, [_pair(a, b, key.child("pair", i)) for i, (a, b) in enumerate(pairs)]


def _less_is_better(task: Task, lower: bool | None) -> bool:
    return task.y in LOWER if lower is None else lower


def _final(run: Record) -> float | None:
    """Return the mean return on unseen episodes at a run's end; None where its summary has none."""
    found = (run.summary or {}).get("return")
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


def _standing(curve: Curve, sign: int, longest: float, threshold: float | None, final: bool, key: Key) -> Standing:
    scores: dict[int, float] = {}
    areas = []
    for run, (xs, ys) in zip(curve.runs, curve.points, strict=True):
        score = sign * float(ys[-1]) if len(ys) else -math.inf
        if final and (at_the_end := _final(run)) is not None:
            score = at_the_end
        scores[run.seed] = -math.inf if math.isnan(score) else score
        areas.append(area_under_curve(xs, ys, end=longest) if len(xs) else math.nan)
    values, enough = sorted(scores.values()), len(scores) > 1  # the same scores, the same interval
    reached = steps = None
    if threshold is not None:
        times, there = times_to_threshold([(xs, sign * ys) for xs, ys in curve.points], sign * threshold)
        reached, steps = int(there.sum()), kaplan_meier(times, there).median
    low, high = map(float, bootstrap_interval(values, key=key)) if enough else (math.nan, math.nan)
    with np.errstate(invalid="ignore"):
        middle = (float(iqm(values)), low, high, float(median(values)), float(mean(values)))
    unfinished = sum(not run.finished for run in curve.runs)
    return Standing(curve.name, curve.method, scores, unfinished, *middle, float(np.median(areas)), reached, steps)


def _pair(first: Standing, second: Standing, key: Key) -> Pair:
    x, y = list(first.scores.values()), list(second.scores.values())
    enough = min(len(x), len(y)) > 1
    low, high = probability_of_improvement_interval(x, y, key=key) if enough else (math.nan, math.nan)
    shared = set(first.scores) & set(second.scores)
    finite = shared and all(math.isfinite(s.scores[seed]) for s in (first, second) for seed in shared)
    difference = paired_difference(first.scores, second.scores) if finite else None
    return Pair(first.name, second.name, probability_of_improvement(x, y), low, high, difference)
