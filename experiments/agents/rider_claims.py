"""What the bicycle experiment claims of its runs, each with a threshold that was written down before them."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.agents.learners import LEARNERS, SIZES, WEIGHTS
from experiments.agents.rider_records import CPU_SECONDS, Run, chosen, kept, runs_of, searches_of, times_of
from experiments.agents.riding import FRESH
from experiments.common.frame import Judge, select
from experiments.common.survival import earlier, exponents, lognormal_line

import numpy as np

from rllab.runs import Record
from rllab.runs.statistics import (
    bootstrap_interval,
    iqm,
    probability_of_improvement,
    stratified_bootstrap_interval,
)

LEVEL = 0.05 / 8  # of the test of each learner against random search: 5 % for all eight together
LATER = 1010  # seeds from here on were run after a report of those before
TAUGHT = 0.9  # share of unseen starts from which the goal is reached
RESAMPLES = 500  # of exponents
PAIRS = [(slow, fast) for slow in ("evolution", "ars") for fast in ("td3", "sac")]


def judge_all(records: Sequence[Record], fast: bool, judge: Judge) -> None:
    """Judge every claim, and print the table of learners."""
    for record in select(records, method="hand"):
        share, task = (record.summary or {})["fresh"], record.config["task"]
        judge.note(f"a rider by hand succeeds on {share:.0%} of {FRESH} rides ({task})")
    flat = next(record.summary for record in records if record.config["method"] == "flatness")
    assert flat is not None
    judge(
        flat["unchanged"] >= 0.98,
        f"(c) no gradient under fixed noise: {flat['unchanged']:.1%} of {flat['policies']} drawn policies keep their "
        f"steps exactly under central differences, h = {flat['h']:g}, in every weight (needs >= 98 %)",
    )
    judge(
        flat["significant"] >= 0.5,
        f"(c) but the smoothed one is not 0: at {flat['significant']:.1%} a weight's slope is > 5 standard errors, "
        f"σ = {flat['sigma']:g}, {flat['evaluations']} rides each (needs >= 50 %)",
    )
    runs = runs_of(records)
    for task, size in dict.fromkeys((run.task, run.size) for run in runs):
        print("\n" + table(runs, task, size))
    print("\n" + overall(chosen(runs, task="balance")))
    if fast:
        judge.note("a fast pass judges no more")
        return
    note_later_seeds(chosen(kept(), task="balance"), judge)
    judge_speed(chosen(runs, task="balance", size="64-64"), judge)
    judge_sizes(chosen(kept(), task="balance"), judge)
    judge_goal(chosen(kept(), task="goal"), judge)


def note_later_seeds(runs: Sequence[Run], judge: Judge) -> None:
    """Say what the seeds that were run after a first report say alone: they were not looked at when it was written."""
    searches = searches_of(runs, "balance", "64-64")
    for method in LEARNERS:
        mine = [run for run in chosen(runs, method=method, size="64-64") if run.seed >= LATER]
        if mine and searches and method != "random":
            yes, p = credited(mine, searches)
            judge.note(
                f"{method}, {len(mine)} seeds from {LATER} alone: {'' if yes else 'not '}earlier than random search "
                f"(p = {p:.1g})"
            )


def judge_speed(runs: Sequence[Run], judge: Judge) -> None:
    """(d): one learner has the most steps upright over the first CPU seconds, and its interval is above all others'."""
    learners = [m for m in LEARNERS if m != "random" and chosen(runs, method=m)]
    if len(learners) < 2:
        judge.note("(d) not judged: fewer than two learners")
        return
    upright = {m: np.array([run.upright for run in chosen(runs, method=m)], float) for m in learners}
    ends = {m: [float(end) for end in bootstrap_interval(x, iqm, key=0)] for m, x in upright.items()}
    best = max(learners, key=lambda m: float(iqm(upright[m])))
    other = max((m for m in learners if m != best), key=lambda m: ends[m][1])
    judge(
        ends[best][0] > ends[other][1],
        f"(d) longest upright over the first {CPU_SECONDS:g} CPU seconds: {best}, interquartile mean "
        f"{float(iqm(upright[best])):.0f} steps, 95 % interval {ends[best][0]:.0f} to {ends[best][1]:.0f} "
        f"(needs to be above that of every other; {other}'s ends at {ends[other][1]:.0f})",
    )


def judge_sizes(runs: Sequence[Run], judge: Judge) -> None:
    """(a): the price of perturbing weights grows with their number, by a larger exponent than that of a critic."""
    found, line = {}, {}
    for method in {m for pair in PAIRS for m in pair}:
        mine = chosen(runs, method=method)
        if {run.size for run in mine} < set(SIZES):
            judge.note(f"(a) not judged for {method}: of {', '.join(SIZES)} there is {sorted({r.size for r in mine})}")
            continue
        d, times = [WEIGHTS[run.size] for run in mine], times_of(mine)
        line[method], found[method] = lognormal_line(d, times).exponent, exponents(d, times, key=0, resamples=RESAMPLES)
    for slow in ("evolution", "ars"):
        if slow in found:
            low, high = np.nanpercentile(found[slow], (2.5, 97.5))
            judge(
                low > 0,
                f"(a) {slow}: steps to ride grow as d^{line[slow]:.2f}, 95 % interval {low:.2f} to {high:.2f} "
                "(needs to be above 0)",
            )
    for slow, fast in PAIRS:
        if slow in found and fast in found:
            low, high = np.nanpercentile(found[slow] - found[fast], (2.5, 97.5))
            judge(
                low > 0,
                f"(a) that exponent less {fast}'s, {line[fast]:.2f}: {line[slow] - line[fast]:.2f}, 95 % interval "
                f"{low:.2f} to {high:.2f} (needs to be above 0)",
            )


def judge_goal(runs: Sequence[Run], judge: Judge) -> None:
    """(b): goal riding is learned by at least one learner."""
    shares = {m: [run.fresh for run in chosen(runs, method=m) if run.fresh is not None] for m in LEARNERS}
    shares = {m: float(np.median(x)) for m, x in shares.items() if x and m != "random"}  # which is no learner
    if not shares:
        judge.note("(b) not judged: no run to the goal is kept")
        return
    text = ", ".join(f"{m} {share:.0%}" for m, share in shares.items())
    judge(
        max(shares.values()) >= TAUGHT,
        f"(b) of {FRESH} unseen starts the goal is reached, median of seeds: {text} (needs >= {TAUGHT:.0%} of one)",
    )


def credited(runs: Sequence[Run], searches: Sequence[Sequence[Run]]) -> tuple[bool, float]:
    """Return whether a learner rides significantly earlier than every random search, and the largest p."""
    p = max(earlier(times_of(runs), times_of(search)) for search in searches)
    return p < LEVEL, p


def names_credited(runs: Sequence[Run], searches: Sequence[Sequence[Run]]) -> str:
    """Return who rides significantly sooner than every random search, as a sentence has it: a, b and c, or nobody."""
    learners = {m: mine for m in LEARNERS if m != "random" and (mine := chosen(runs, method=m))}
    names = [LEARNERS[m].name.partition(":")[0] for m, mine in learners.items() if credited(mine, searches)[0]]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names) or "nobody"


TITLES = (
    "| learner | rides within its limit, 95 % | steps to the first ride: median (least to most) | CPU s to it "
    "| earlier than random search? | P(sooner than a search) | fallen since | final rides "
    "| upright: interquartile mean, 95 % |\n" + "| --- " * 9 + "|"
)


def table(runs: Sequence[Run], task: str, size: str) -> str:
    """Return what came of one task and policy as Markdown, a line for each learner and random search."""
    here = chosen(runs, task=task, size=size)
    searches = searches_of(runs, task, size)
    lines = [f"{task}, policy {size}:\n", TITLES]
    for method in LEARNERS:
        if mine := chosen(here, method=method):
            lines.append(_line(method, mine, searches))
    return "\n".join(lines)


def _line(method: str, mine: Sequence[Run], searches: Sequence[Sequence[Run]]) -> str:
    times = times_of(mine)
    limit = float(np.max(times.limit))
    interval = times.interval(limit)
    share = f"{times.came.sum()} of {len(mine)} in {limit:,.0f} ({interval[1]:.0%} to {interval[2]:.0%})"
    seen = np.where(times.came, times.seen, np.inf)
    first = " ".join((number(times.median()), f"({number(seen.min())} to {number(seen.max())})"))
    if method == "random":
        return f"| {method} | {share} | {first} |{' |' * 6}"
    # runs that never ride are censored at clocks of their own, which may bring the curve to a half before the steps do
    cpu = times_of(mine, cpu=True).median() if np.isfinite(times.median()) else np.inf
    verdict = sooner = "–"
    if searches:
        yes, p = credited(mine, searches)
        verdict = f"{'yes' if yes else '**no**'} (p = {p:.1g})"
        sooner = f"{min(chance_of_riding_sooner(mine, search) for search in searches):.0%}"
    fallen = [run.fallen for run in mine if run.fallen is not None]
    since = f"{np.mean(fallen):.0%}" if fallen else "–"
    fresh = np.mean([run.fresh for run in mine if run.fresh is not None])
    upright = with_interval([run.score for run in mine if run.score is not None])
    cells = method, share, first, number(cpu, 1), verdict, sooner, since, f"{fresh:.0%}", upright
    return f"| {' | '.join(cells)} |"


def chance_of_riding_sooner(runs: Sequence[Run], search: Sequence[Run]) -> float:
    """Return P(T < T') + P(T = T')/2 of a run and a search, over the shorter of their limits: never is a tie."""
    limit = min(run.limit for run in (*runs, *search))
    a, b = ([min(run.first_steps or limit, limit) for run in these] for these in (runs, search))
    return probability_of_improvement(-np.array(a, float), -np.array(b, float))


def with_interval(scores: Sequence[float]) -> str:
    """Return the interquartile mean and its 95 % bootstrap interval; of one run no interval."""
    if len(scores) < 2:
        return f"{np.mean(scores):.0f}"
    low, high = bootstrap_interval(scores, iqm, key=0)
    return f"{float(iqm(scores)):.0f} ({float(low):.0f} to {float(high):.0f})"


def overall(runs: Sequence[Run]) -> str:
    """Return, of learners with equally many runs at every size, the share upright over all sizes, as Markdown.

    Interquartile mean of steps upright over all runs and sizes, with a bootstrap interval stratified by size.
    """
    lines = ["balance, all sizes:\n", "| learner | upright: interquartile mean, 95 % stratified |", "| --- | --- |"]
    for method in LEARNERS:
        mine = [chosen(runs, method=method, size=size) for size in SIZES]
        scores = [[run.score for run in at if run.score is not None] for at in mine]
        n = min(map(len, scores))
        if n > 1:
            table = np.array([at[:n] for at in scores], float).T
            low, high = stratified_bootstrap_interval(table, iqm, key=0)
            lines.append(f"| {method} | {float(iqm(table)):.0f} ({low:.0f} to {high:.0f}) |")
    return "\n".join(lines) if len(lines) > 3 else ""


def number(value: float, digits: int = 0) -> str:
    """Return a number, or "never" for what did not come."""
    return f"{value:,.{digits}f}" if np.isfinite(value) else "never"
