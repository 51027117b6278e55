"""How many steps does it take to find a rider by drawing weights at random, and how long does one by hand ride?

What a learner has to beat on `BicycleBalance-v0`: linear policies tanh(W o/scale + b) with all weights N(0, s²), drawn
until one rides to the cap, once and then 20 times more. Every step of every draw counts; the 20 rides of confirming are
counted apart, as the learners' evaluations are.

    python experiments/agents/baselines.py    draws, prints claims, draws the figure
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from experiments.agents.random_search import search_weights
from experiments.agents.riders import balance_rider, ride
from experiments.common.drawing import legend_below, line
from experiments.common.frame import Flags, Judge, column, main, select

import numpy as np

from rllab import plots
from rllab.runs import Job, Record
from rllab.runs.statistics import bootstrap_interval, mean

ENVIRONMENT = "rllab_envs:rllab/BicycleBalance-v0"
CAP = 1000  # steps: 10 s, the environment's default
SCALE = (0.1, 0.3, 0.3, 3.0)  # rad, rad/s, rad, rad/s: what the learners divide observations by
SETTINGS = ((1.0, True), (2.0, False), (4.0, False), (2.0, True), (4.0, True), (1.0, False))  # s, whether there is a b
RIDES = 100  # of the rider by hand


@dataclass(frozen=True)
class Config(Flags):
    seeds: int = 50
    """Searches per setting."""
    steps: int = 400_000
    """Environment steps a search may take."""
    settings: int = len(SETTINGS)
    """How many of the settings to search with."""
    quick: ClassVar[dict[str, Any]] = {"seeds": 2, "settings": 3}


def jobs_of(config: Config) -> Iterator[Job]:
    """Yield a search per setting and seed, and the rides of the rider by hand."""
    yield Job("hand", {"method": "hand"}, seed=0)
    for scale, biases in SETTINGS[: config.settings]:
        for seed in config.all_seeds:
            setting = {"method": "search", "scale": scale, "biases": biases, "steps": config.steps}
            yield Job(f"search-{scale:g}-{'b' if biases else 'nob'}-{seed}", setting, seed)


def run(job: Job, record: Record) -> dict[str, Any]:
    """Search once, or ride by hand."""
    c = job.config
    if c["method"] == "hand":
        return {"rode": (ride(balance_rider(), ENVIRONMENT, rides=RIDES, key=job.seed).returns >= CAP).mean()}
    found = search_weights(
        ENVIRONMENT,
        goal=CAP,
        scale=c["scale"],
        biases=c["biases"],
        key=job.seed,
        steps=c["steps"],
        observation_scale=SCALE,
    )
    return {
        "found": found.weights is not None,
        "steps": found.steps,
        "draws": found.draws,
        "reached": found.reached,
        "evaluated": found.evaluated,
    }


def steps_to_ride(runs: list[Record]) -> np.ndarray:
    """Return the steps of every search, infinite where the limit came first."""
    return np.where(column(runs, "found") > 0, column(runs, "steps"), np.inf)


def groups(records: list[Record], config: Config) -> dict[str, list[Record]]:
    """Return the searches of every setting by its name."""
    names = [(f"N(0, {scale:g}²){'' if biases else ', no b'}", scale, biases) for scale, biases in SETTINGS]
    return {name: select(records, scale=s, biases=b) for name, s, b in names[: config.settings]}


def claims(records: list[Record], config: Config, judge: Judge) -> None:
    """Judge every claim on its numbers, and print what a search costs."""
    rode = column(select(records, method="hand"), "rode")[0]
    judge(rode == 1.0, f"(a) the rider by hand reaches the cap on {rode:.0%} of {RIDES} rides (needs all)")
    searches = groups(records, config)
    titles = f"{'steps, mean':>12}{'95 % interval':>18}{'median':>9}{'draws that ride':>17}{'steps a draw':>14}"
    print(f"\n  {'weights':16}{titles}")
    for name, runs in searches.items():
        steps, draws = steps_to_ride(runs), column(runs, "draws").sum()
        low, high = bootstrap_interval(steps, mean, key=0)
        share, paid = column(runs, "reached").sum() / draws, column(runs, "steps").sum() / draws
        interval = f"{float(low):,.0f} – {float(high):,.0f}"
        print(f"  {name:16}{steps.mean():12,.0f}{interval:>18}{np.median(steps):9,.0f}{share:17.2%}{paid:14.1f}")
    if config.fast:
        judge.note("a fast pass judges no more")
        return
    for name, runs in searches.items():
        found = int(column(runs, "found").sum())
        judge(found == len(runs), f"(b) {name}: {found} of {len(runs)} searches find a rider (needs all)")
    ends = [bootstrap_interval(steps_to_ride(searches[name]), mean, key=0) for name in ("N(0, 2²), no b", "N(0, 1²)")]
    judge(
        float(ends[0][1]) < float(ends[1][0]),
        f"(c) the scale is a setting to tune: the interval of N(0, 2²) without b ends at {float(ends[0][1]):,.0f}, "
        f"that of N(0, 1²) begins at {float(ends[1][0]):,.0f} steps (needs the former below the latter)",
    )


def figure(records: list[Record], config: Config) -> Path:
    """Draw the share of searches that have found a rider against the steps they took, PNG and SVG."""
    drawing, (ax,) = plots.panels(1, 1, width=6.4, height=4.6)
    searches = groups(records, config)
    styles = plots.method_styles(searches)
    for name, runs in searches.items():
        steps = np.sort(steps_to_ride(runs))
        steps = steps[np.isfinite(steps)]
        share = np.arange(1, len(steps) + 1) / len(runs)
        ax.step(steps, share, where="post", **line(styles[name], label=name))
    ax.set_xscale("log")
    ax.set_ylim(0, 1)
    ax.set_xlabel("environment steps of all draws")
    ax.set_ylabel(f"share of {config.seeds} searches that found a rider")
    ax.set_title("Linear riders drawn at random")
    legend_below(ax, 3)
    return plots.save(drawing, config.out / "baselines.png")


def describe(record: Record) -> str:
    """Say in a few words how a finished run ended."""
    summary = record.summary or {}
    return f"{summary['steps']:,} steps, {summary['draws']} draws" if "steps" in summary else ""


if __name__ == "__main__":
    main(Config, __doc__, jobs_of, run, claims, figure, describe=describe)
