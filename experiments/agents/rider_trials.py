"""The trials behind the settings of the bicycle experiment: the best of each learner, and their table."""

from __future__ import annotations

import json
from collections.abc import Sequence

from experiments.agents.learners import EDGE, TASKS, TUNED, TUNING_SEEDS, inside, ranges_of, trials
from experiments.common.frame import Judge, column, select

import numpy as np

from rllab.files import write_atomically
from rllab.runs import Record

TITLES = (
    "| learner | settings | score: mean (least to most) | first rides after, steps | inside its range |\n"
    + "| --- " * 5 + "|"
)  # fmt: skip


def choose(records: Sequence[Record], judge: Judge) -> None:
    """Write every tried learner's best settings at every size or task, beside those tried before, and judge them.

    Records of the first seed are of all trials, and begin the file anew; those of other seeds are of the finals, and
    add to it. The best has the highest mean score of those tried on the most seeds.
    """
    chosen = json.loads(TUNED.read_text("utf-8")) if TUNED.exists() else {}
    for where, method in sorted({(_where(r), r.config["method"]) for r in records}):
        mine = [r for r in select(records, method=method) if _where(r) == where]
        mine.sort(key=lambda record: record.seed)
        if any(record.seed == TUNING_SEEDS[0] for record in mine):
            rows = [{"settings": settings, "scores": [], "first": []} for settings in trials(method, where)]
        else:
            rows = [
                {**row, "scores": row["scores"][:1], "first": row["first"][:1]}
                for row in chosen[where][method]["trials"]
            ]
        for row in rows:
            runs = select(mine, settings=row["settings"])
            row["scores"] += [float(f"{score:.4g}") for score in column(runs, "score")]
            row["first"] += [record.summary["first_steps"] for record in runs if record.summary]
        best = max(rows, key=lambda row: (len(row["scores"]), np.mean(row["scores"])))
        steps = mine[0].config["steps"]
        seeds = TUNING_SEEDS[: len(best["scores"])]
        chosen.setdefault(where, {})[method] = {**best, "steps": steps, "seeds": list(seeds), "trials": rows}
        judge(
            inside(method, best["settings"], where),
            f"{where}, {method}: the best of {len(rows)} trials, {best['settings']}, is inside its ranges "
            f"{ranges_of(method, where)} (needs all by {EDGE:.0%} of the range)",
        )
    write_atomically(TUNED, (json.dumps(chosen, indent=1) + "\n").encode())


def _where(record: Record) -> str:
    """Return where a trial belongs: its task if that has trials of its own, else the size of the policy."""
    return record.config["task"] if TASKS[record.config["task"]].plans else record.config["size"]


def table() -> str:
    """Return the winners of all trials as Markdown, a table for each size."""
    parts = []
    for where, methods in json.loads(TUNED.read_text("utf-8")).items():
        lines = ["To a goal:\n" if where in TASKS else f"Policy {where}:\n", TITLES]
        for method, best in methods.items():
            what = ", ".join(f"{name} {value:g}" for name, value in best["settings"].items())
            first = ", ".join("never" if steps is None else f"{steps:,}" for steps in best["first"])
            yes = "yes" if inside(method, best["settings"], where) else "**no**"
            first = first if method != "random" else "–"
            scores = best["scores"]
            score = f"{np.mean(scores):,.0f}"
            if len(scores) > 1:
                score += f" ({min(scores):,.0f} to {max(scores):,.0f})"
            lines.append(f"| {method} | {what} | {score} | {first} | {yes} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"
