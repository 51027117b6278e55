"""The trials behind the settings of the bicycle experiment: the best of each learner, and their table."""

from __future__ import annotations

import json
from collections.abc import Sequence

from experiments.agents.learners import EDGE, LEARNERS, TRIALS, TUNED, TUNING_SEEDS, inside, trials
from experiments.common.frame import Judge, column, select

from rllab.files import write_atomically
from rllab.runs import Record

TITLES = "| learner | settings | score | first ride after, steps | inside its range |\n| --- | --- | --- | --- | --- |"


def choose(records: Sequence[Record], judge: Judge) -> None:
    """Write every tried learner's best settings at every size, beside those tried before, and judge them."""
    chosen = json.loads(TUNED.read_text("utf-8")) if TUNED.exists() else {}
    for size, method in sorted({(r.config["size"], r.config["method"]) for r in records}):
        mine = select(records, size=size, method=method)
        rows = []
        for settings in trials(method):
            runs = select(mine, settings=settings)
            first = [record.summary["first_steps"] for record in runs if record.summary]
            rows.append({"settings": settings, "score": float(f"{column(runs, 'score').mean():.4g}"), "first": first})
        best = max(rows, key=lambda row: (row["score"], inside(method, row["settings"])))  # of equals one inside
        steps = mine[0].config["steps"]
        chosen.setdefault(size, {})[method] = {**best, "steps": steps, "seeds": list(TUNING_SEEDS), "trials": rows}
        judge(
            inside(method, best["settings"]),
            f"{size}, {method}: the best of {TRIALS} trials, {best['settings']}, is inside its ranges "
            f"{LEARNERS[method].ranges} (needs all by {EDGE:.0%} of the range)",
        )
    write_atomically(TUNED, (json.dumps(chosen, indent=1) + "\n").encode())


def table() -> str:
    """Return the winners of all trials as Markdown, a table for each size."""
    parts = []
    for size, methods in json.loads(TUNED.read_text("utf-8")).items():
        lines = [f"Policy {size}:\n", TITLES]
        for method, best in methods.items():
            what = ", ".join(f"{name} {value:g}" for name, value in best["settings"].items())
            first = ", ".join("never" if steps is None else f"{steps:,}" for steps in best["first"])
            yes = "yes" if inside(method, best["settings"]) else "**no**"
            first = first if method != "random" else "–"
            lines.append(f"| {method} | {what} | {best['score']:,.0f} | {first} | {yes} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"
