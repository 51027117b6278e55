"""What is kept of each run of the bicycle experiment: one line of numbers, committed beside the script."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from experiments.agents.riding import score
from experiments.common.survival import Times

from rllab.files import write_atomically
from rllab.runs import Record

KEPT = Path(__file__).parent / "records" / "bicycle.jsonl"
CPU_SECONDS = 3.0  # over which steps upright are compared; written down before the runs


@dataclass(frozen=True)
class Run:
    """One learner, or search, on one seed.

    Args:
        method, task, size, seed: which it is.
        limit: steps it might take.
        first_steps, first_cpu_seconds: spent until all rides of an evaluation succeeded; None if that did not come.
        cpu_seconds: of learning, in all.
        fresh: share of the final rides that succeed.
        score: mean steps upright over all steps of the limit.
        upright: the same over the first `CPU_SECONDS`.
        fallen: share of the steps after the first success at which the last evaluation had a fall; None without one.
    """

    method: str
    task: str
    size: str
    seed: int
    limit: int
    first_steps: int | None
    first_cpu_seconds: float | None
    cpu_seconds: float | None
    fresh: float | None
    score: float | None
    upright: float | None
    fallen: float | None

    @property
    def key(self) -> tuple[str, str, str, int]:
        return self.task, self.size, self.method, self.seed


def runs_of(records: Iterable[Record]) -> list[Run]:
    """Return what is kept of the runs that learned or searched."""
    found = []
    for record in records:
        c, s = record.config, record.summary
        if "size" not in c or s is None:
            continue
        upright = None
        if c["method"] != "random":
            s = {**s, "cpu_seconds": round(s["cpu_seconds"], 3), "score": round(s["score"], 1)}
            s["first_cpu_seconds"] = min(s["first_cpu_seconds"], s["cpu_seconds"]) if s["first_steps"] else None
            upright = round(score(record.column("cpu_seconds"), record.column("upright"), CPU_SECONDS), 1)
        found.append(
            Run(
                method=c["method"],
                task=c["task"],
                size=c["size"],
                seed=record.seed,
                limit=c["steps"],
                first_steps=s["first_steps"],
                first_cpu_seconds=s.get("first_cpu_seconds"),
                cpu_seconds=s.get("cpu_seconds"),
                fresh=s.get("fresh"),
                score=s.get("score"),
                upright=upright,
                fallen=s.get("fallen"),
            )
        )
    return found


def keep(runs: Iterable[Run], path: Path = KEPT) -> None:
    """Write runs beside those kept before, one in the place of another of the same name."""
    every = {run.key: run for run in [*kept(path), *runs]}
    lines = [json.dumps(asdict(every[key])) for key in sorted(every)]
    path.parent.mkdir(exist_ok=True)
    write_atomically(path, ("\n".join(lines) + "\n").encode())


def kept(path: Path = KEPT) -> list[Run]:
    """Return the runs that were kept; none if there is no file."""
    return [Run(**json.loads(line)) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def chosen(runs: Iterable[Run], **wanted: str) -> list[Run]:
    """Return the runs that have these values."""
    return [run for run in runs if all(getattr(run, name) == value for name, value in wanted.items())]


def searches_of(runs: Iterable[Run], task: str, size: str) -> list[list[Run]]:
    """Return the random searches that a policy of this size is held against: those of its size, and linear ones."""
    searches = (chosen(runs, task=task, method="random", size=at) for at in dict.fromkeys((size, "linear")))
    return [search for search in searches if search]


def times_of(runs: Sequence[Run], *, cpu: bool = False) -> Times:
    """Return the steps, or CPU seconds, to the first success of every run, censored where the run ended."""
    if cpu:
        first, limits = [run.first_cpu_seconds for run in runs], [run.cpu_seconds or 0.0 for run in runs]
    else:
        first, limits = [run.first_steps for run in runs], [float(run.limit) for run in runs]
    return Times([float("nan") if at is None else float(at) for at in first], limits)
