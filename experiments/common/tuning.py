"""Tuning: one grid for every method, on seeds that are not reported, and a file that says what came out.

The file stands beside the script and is committed; a method's setting is the one that reached the script's goal in the
fewest calls, the median over the seeds, or if none did, that came nearest.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from experiments.common.frame import column

import numpy as np

from rllab.files import write_atomically
from rllab.runs import Record

TUNING_SEEDS = (100, 101)
Setting = tuple[tuple[str, float], ...]


def settings_of(path: Path) -> dict[str, dict[str, float]]:
    """Return the settings chosen for each method.

    Raises:
        FileNotFoundError: if nothing was tuned yet.
    """
    return {name: chosen["settings"] for name, chosen in json.loads(path.read_text()).items()}


def calls_to_goal(records: Sequence[Record]) -> np.ndarray:
    """Return each run's calls until its goal, `summary["reached"]`; infinite where it was not reached."""
    calls = column(records, "reached")
    return np.where(np.isnan(calls), np.inf, calls)


def choose(
    trials: Mapping[str, Mapping[Setting, Sequence[Record]]], path: Path, misses: Callable[[Sequence[Record]], float]
) -> None:
    """Write every method's best setting, with all its trials, beside those of methods not tried now.

    Args:
        trials: runs by method and setting.
        misses: how far runs ended from the goal, the smaller the better, for where it was not reached.
    """
    chosen = json.loads(path.read_text()) if path.exists() else {}
    for method, settings in trials.items():
        scores = {s: (float(np.median(calls_to_goal(runs))), misses(runs)) for s, runs in settings.items()}
        best = min(scores, key=lambda s: scores[s])
        rows = [
            {**dict(s), "calls": calls if np.isfinite(calls) else None, "missed by": round(miss, 4)}
            for s, (calls, miss) in scores.items()
        ]
        chosen[method] = {"settings": dict(best), "seeds": list(TUNING_SEEDS), "trials": rows}
    write_atomically(path, (json.dumps(chosen, indent=1) + "\n").encode())
