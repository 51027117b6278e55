"""Standings: what methods reached in one environment, with intervals, and by how sure a margin one beats another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

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

Array = NDArray[np.float64]

LOWER = ("value", "cost", "loss", "error", "mse", "variance", "bias")  # columns of which less is better
FINAL = "return on unseen episodes, at the end"  # what a run's summary has as its return
ALL_PAIRS = 5  # methods of which every two are compared; of more, each is compared with the best


@dataclass(frozen=True)
class Standing:
    """What the runs of one method reached.

    Args:
        name: the method, and what sets it apart.
        method: whose colour it has.
        runs: how many there are.
        scores: by seed, the larger the better: the mean return on unseen episodes at the end if that is what counts,
            see `ranked`, else the last value of the curve; where less is better, its negative. −∞ where a finished run
            has none, or NaN, and where a run failed. A run that is under way or was interrupted has no score.
        left_out: the runs without a score, each with its status and how far it came.
        failed: the runs that failed.
        iqm, low, high: the interquartile mean, which estimates that of all seeds, and its 95 % bootstrap interval; NaN
            without a score, the interval also with one.
        median, mean: of the scores.
        area: median, over the runs that have a score, of the mean height of their curves, up to where the longest of
            the task ends; of one that failed it is the worst there is, infinite.
        cpu_seconds: median of what learning took the finished runs, by their summaries; NaN if one does not say it.
        reached: of how many of all runs the curve reached the threshold; None without one.
        steps: Kaplan–Meier median of the steps to it, with its interval, over all runs, each as far as it came;
            infinite where it is not known.
    """

    name: str
    method: str
    runs: int
    scores: dict[int, float]
    left_out: tuple[str, ...]
    failed: tuple[str, ...]
    iqm: float
    low: float
    high: float
    median: float
    mean: float
    area: float
    cpu_seconds: float
    reached: int | None
    steps: tuple[float, float, float] | None

    @property
    def unfinished(self) -> int:
        """How many runs did not come to their end: left out, or failed."""
        return len(self.left_out) + len(self.failed)


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
    """Whether all finished runs of a task say what they returned on unseen episodes at the end, and more is better."""
    ended = [run for curve in curves for run, xs, _ in _drawn(curve) if len(xs) and run.finished]
    returned = [_said(run, "return") for run in ended]
    return not _less_is_better(task, lower) and bool(returned) and None not in returned


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


def have_cpu_seconds(standings: Sequence[Standing]) -> bool:
    """Whether a table of standings has something to say of CPU seconds."""
    return not all(math.isnan(standing.cpu_seconds) for standing in standings)


def notes_on(standings: Sequence[Standing], threshold: float | None) -> list[str]:
    """Say which runs are left out of the numbers of a table, and which count as the worst."""
    but = "" if threshold is None else f" but what it takes to reach {threshold:g}"
    notes = []
    for s in standings:
        if s.left_out:
            are = "is" if len(s.left_out) == 1 else "are"
            which = ", ".join(s.left_out)
            notes.append(f"{s.name}: {len(s.left_out)} of {s.runs} runs {are} left out of all numbers{but}: {which}.")
        if s.failed:
            count = "counts" if len(s.failed) == 1 else "count"
            notes.append(
                f"{s.name}: {len(s.failed)} of {s.runs} runs failed and {count} as the worst: {', '.join(s.failed)}."
            )
    return notes


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
        final: whether what a run returned on unseen episodes at the end is its score, if `has_final`; else the last
            value of its curve is.
        key: of the bootstraps.

    Returns:
        A standing for each curve, but those whose runs all finished without a row, best first; and the comparisons of
        those that have scores: of every two, or of each with the best if there are many.
    """
    sign, key = -1 if _less_is_better(task, lower) else 1, as_key(key)
    # who finished without a single row was never asked for one: measurements beside the learners
    curves = [c for c in curves if any(len(xs) for xs, _ in c.points) or not all(run.finished for run in c.runs)]
    finished = [xs for curve in curves for run, xs, _ in _drawn(curve) if run.finished]
    longest = max((xs[-1] for xs in finished if len(xs)), default=0.0)
    final = final and has_final(task, curves, lower)
    found = [_standing(task, curve, sign, longest, threshold, final, key) for curve in curves]
    found.sort(key=lambda standing: -standing.iqm if not math.isnan(standing.iqm) else math.inf)
    scored = [standing for standing in found if standing.scores]
    pairs = combinations(scored, 2) if len(scored) <= ALL_PAIRS else ((scored[0], other) for other in scored[1:])
    return found, [_pair(a, b, key.child("pair", i)) for i, (a, b) in enumerate(pairs)]


def _less_is_better(task: Task, lower: bool | None) -> bool:
    return task.y in LOWER if lower is None else lower


def _said(run: Record, name: str) -> float | None:
    """Return a number of a run's summary, as the mean return on unseen episodes at its end; None where it has none."""
    found = (run.summary or {}).get(name)
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


def _drawn(curve: Curve) -> list[tuple[Record, Array, Array]]:
    """Return each run of a curve with its x and y."""
    return [(run, xs, ys) for run, (xs, ys) in zip(curve.runs, curve.points, strict=True)]


def _standing(
    task: Task, curve: Curve, sign: int, longest: float, threshold: float | None, final: bool, key: Key
) -> Standing:
    scores: dict[int, float] = {}
    areas, left_out, failed = [], [], []
    for run, xs, ys in _drawn(curve):
        if run.finished:
            last = sign * float(ys[-1]) if len(ys) else None
            score = _said(run, "return") if final else last
            scores[run.seed] = -math.inf if score is None or math.isnan(score) else score
            areas.append(area_under_curve(xs, ys, end=longest) if len(xs) else math.nan)
        elif run.status == "failed":  # as one that has diverged does: left out, it would flatter its method
            scores[run.seed] = -math.inf
            areas.append(-sign * math.inf)
            failed.append(run.folder.name)
        else:  # its last value is of another step than those of the finished runs
            left_out.append(f"{run.folder.name} ({run.status}{_how_far(task.x, xs)})")
    reached = steps = None
    if threshold is not None:
        times, there = times_to_threshold([(xs, sign * ys) for xs, ys in curve.points], sign * threshold)
        reached, steps = int(there.sum()), kaplan_meier(times, there).median
    return Standing(
        curve.name,
        curve.method,
        len(curve.runs),
        scores,
        tuple(left_out),
        tuple(failed),
        *_averages(sorted(scores.values()), key),  # the same scores, the same interval
        float(np.median(areas)) if areas else math.nan,
        _cpu_seconds(curve),
        reached,
        steps,
    )


def _how_far(x: str, xs: Array) -> str:
    if not len(xs):
        return " without a row"
    return f" at {x} {xs[-1]:,.10g}" if x else ""


def _averages(values: list[float], key: Key) -> tuple[float, float, float, float, float]:
    """Return interquartile mean, its interval, median and mean; NaN where scores are too few for them."""
    if not values:
        return math.nan, math.nan, math.nan, math.nan, math.nan
    low, high = map(float, bootstrap_interval(values, key=key)) if len(values) > 1 else (math.nan, math.nan)
    with np.errstate(invalid="ignore"):
        return float(iqm(values)), low, high, float(median(values)), float(mean(values))


def _cpu_seconds(curve: Curve) -> float:
    spent = [_said(run, "cpu_seconds") for run in curve.runs if run.finished]
    if curve.labels or not spent or None in spent:  # of a part of a run nobody says what it took
        return math.nan
    return float(median([seconds for seconds in spent if seconds is not None]))


def _pair(first: Standing, second: Standing, key: Key) -> Pair:
    x, y = list(first.scores.values()), list(second.scores.values())
    enough = min(len(x), len(y)) > 1
    low, high = probability_of_improvement_interval(x, y, key=key) if enough else (math.nan, math.nan)
    shared = set(first.scores) & set(second.scores)
    finite = shared and all(math.isfinite(s.scores[seed]) for s in (first, second) for seed in shared)
    difference = paired_difference(first.scores, second.scores) if finite else None
    return Pair(first.name, second.name, probability_of_improvement(x, y), low, high, difference)
