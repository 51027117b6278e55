"""Tuning: one grid for every method, on seeds that are not reported, and a file that says what came out.

The file stands beside the script and is committed; a method's setting is the one that reached the script's goal in the
fewest calls, the median over the seeds, or if none did, that came nearest.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from experiments.common.frame import Flags, Switch, column

import numpy as np

from rllab.files import write_atomically
from rllab.runs import Record
from rllab.runs.survival import kaplan_meier

TUNING_SEEDS = (100, 101)
TUNED = ("lr", "sigma")  # what a setting consists of


@dataclass(frozen=True)
class TunedFlags(Flags):
    """Flags of a script whose methods are tuned; a subclass lists them as the default of `methods`."""

    first_seed: ClassVar[int] = 1000
    seeds: int = 20
    """Seeds, from the first on: repetitions of everything."""
    tune: Switch = False
    """Run the trials: each method the same grid, on seeds of their own; write what came out."""
    methods: tuple[str, ...] = ()
    """Which to run."""

    def check(self) -> None:
        super().check()
        known = type(self).methods
        if not self.methods or not set(self.methods) <= set(known):
            raise ValueError(f"--methods must be some of {', '.join(map(repr, known))}, got {' '.join(self.methods)}")

    @property
    def compares(self) -> bool:
        """Whether methods are held against each other: all of them, and not in a fast pass."""
        return not self.fast and set(self.methods) == set(type(self).methods)

    @property
    def why_no_more(self) -> str:
        return "a fast pass judges no more" if self.fast else "no more is judged of some methods alone"


def settings_of(path: Path) -> dict[str, dict[str, float]]:
    """Return the settings chosen for each method.

    Raises:
        FileNotFoundError: if nothing was tuned yet.
    """
    return {name: chosen["settings"] for name, chosen in json.loads(path.read_text("utf-8")).items()}


def best_tried(path: Path, methods: Sequence[str]) -> str:
    """Return the method that reached the goal in the fewest calls in its trials, on seeds that are not reported."""
    chosen = json.loads(path.read_text("utf-8"))

    def calls(method: str) -> float:
        tried = [trial["calls"] for trial in chosen[method]["trials"] if trial["calls"] is not None]
        return min(tried, default=math.inf)

    return min(methods, key=calls)


def calls_to_goal(records: Sequence[Record]) -> np.ndarray:
    """Return each run's calls until its goal, `summary["reached"]`; infinite where it was not reached."""
    calls = column(records, "reached")
    return np.where(np.isnan(calls), np.inf, calls)


def known_median(times: np.ndarray, reached: np.ndarray) -> str:
    """Say by Kaplan and Meier after how many calls half of the runs have reached the goal, some of which never did."""
    middle, low, high = kaplan_meier(times, reached).median
    if np.isinf(middle):
        return f"not known, at least {low:,.0f}" if np.isfinite(low) else "not known"
    return f"{middle:,.0f}, 95 % interval {low:,.0f} to {high:,.0f}".replace("inf", "∞")


def choose(records: Sequence[Record], path: Path, misses: Callable[[Sequence[Record]], float]) -> None:
    """Write every method's best setting, with all its trials, beside those of methods not tried now.

    Args:
        records: of all trials; each says its method and its setting.
        misses: how far runs ended from the goal, the smaller the better, for where it was not reached.
    """
    trials: dict[str, dict[tuple[float, ...], list[Record]]] = {}
    for record in records:
        setting = tuple(record.config[name] for name in TUNED)
        trials.setdefault(record.config["method"], {}).setdefault(setting, []).append(record)
    chosen = json.loads(path.read_text("utf-8")) if path.exists() else {}
    for method, settings in trials.items():
        scores = {s: (float(np.median(calls_to_goal(runs))), misses(runs)) for s, runs in settings.items()}
        best = min(scores, key=lambda s: scores[s])
        rows = [
            {**named(s), "calls": calls if np.isfinite(calls) else None, "missed by": round(miss, 4)}
            for s, (calls, miss) in scores.items()
        ]
        chosen[method] = {"settings": named(best), "seeds": list(TUNING_SEEDS), "trials": rows}
    write_atomically(path, (json.dumps(chosen, indent=1) + "\n").encode())


def named(setting: tuple[float, ...]) -> dict[str, float]:
    return dict(zip(TUNED, setting, strict=True))
