"""The figure of harder roads: who rides after how many steps, a panel for each task, at one size of policy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from experiments.agents.rider_claims import names_credited
from experiments.agents.rider_figures import by_hand, minimised, riding
from experiments.agents.rider_records import chosen, kept, runs_of, searches_of

from rllab import plots
from rllab.runs import Record

SIZE, GOAL = "64-64", "goal"
ROADS = {
    "balance": "Upright for 10 s",
    "whipple": "The benchmark bicycle",
    "delay": "Observed 3 steps late",
    "no-rates": "Rates not observed",
}


def draw_roads(records: Sequence[Record], path: Path) -> Path:
    """Draw the share of runs that ride against steps, of every road there are runs of, beside those that are kept.

    Where a goal is to be reached success is something else; it has its panel only where it was run.
    """
    runs = runs_of(records)
    here = {run.task for run in runs} - {"balance"}
    every = [*runs, *(run for run in kept() if run.task not in here)]
    roads = {road: mine for road in ROADS if (mine := chosen(every, task=road, size=SIZE))}
    if goal := [run for run in chosen(runs, task=GOAL) if run.method != "random"]:
        roads[GOAL] = goal  # of policies of more than one size
    columns = min(2, len(roads))
    drawing, axes = plots.panels(columns, -(-len(roads) // columns), width=4.6, height=3.4)
    for spare in axes[len(roads) :]:
        spare.set_axis_off()
    for i, (ax, (road, mine)) in enumerate(zip(axes, roads.items(), strict=False)):
        riding(ax, mine, by_hand(records, road))
        searches = searches_of(every, road, SIZE)
        sooner = names_credited(mine, searches) if searches else "not searched"
        ax.set_title(f"{ROADS.get(road, 'To a goal 100 m away')}: {sooner}", fontsize=11)
        ax.set_ylabel("share of runs that arrive" if road == GOAL else "" if i % columns else "share of runs that ride")
        if i + columns < len(roads):
            ax.set_xlabel("")
    entries = {label: handle for ax in axes for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    drawing.legend(
        entries.values(), entries.keys(), loc="outside lower center", ncols=2, fontsize=9, frameon=False,
        title="A run rides once 20 rides of 20 last 10 s. 95 % intervals are Greenwood's, Wilson's at none or all.\n"
        + minimised({run.method for mine in roads.values() for run in mine}, width=115),
        alignment="center",
    )  # fmt: skip
    drawing.suptitle("Which learner rides in significantly fewer steps than random search, road by road?", fontsize=13)
    return plots.save(drawing, path)
