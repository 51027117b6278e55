"""Trials: the grid behind the step sizes of a script, tried on seeds that are never reported."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.common.drawing import every_seed
from experiments.common.frame import Flags, Judge, Switch, script_of, values

import numpy as np

from rllab import plots
from rllab.runs import Job, Record


@dataclass(frozen=True)
class Tunable(Flags):
    """Flags of a script that shows the trials behind its step sizes, too."""

    tune: Switch = False
    """Run the trials of step sizes instead, on seeds that are never reported."""


@dataclass(frozen=True)
class Trials:
    """Step sizes to try.

    Args:
        grid, best: all that are tried, and the chosen one, by method.
        score: a method, a step size and a job to what the step size is chosen by, its median, the less the better.
        what: what that is.
    """

    grid: Mapping[Any, Sequence[float]]
    best: Mapping[Any, float]
    score: Callable[[Any, float, Job], float]
    what: str

    def jobs(self, config: Tunable, seeds: range) -> list[Job]:
        """Return a job a seed: of the trials on their seeds with --tune, else of the script."""
        kind, chosen = ("trials", seeds) if config.tune else (script_of(config), config.all_seeds)
        return [Job(f"{kind}-{seed}", {"kind": kind, **config.identity}, seed) for seed in chosen]

    def run(self, job: Job, record: Record) -> None:
        for method, etas in self.grid.items():
            for eta in etas:
                record.append({"method": method, "eta": eta, "score": self.score(method, eta, job)})

    def claims(self, records: list[Record], judge: Judge) -> None:
        for method, etas in self.grid.items():
            each = {eta: float(np.median(values(records, "score", method=method, eta=eta))) for eta in etas}
            eta = min(etas, key=lambda eta: each[eta])
            inside = etas[0] < eta < etas[-1]
            judge(eta == self.best[method] and inside, f"{method}: best of {each} at {eta:g}, not an edge of the grid")

    def figure(self, records: list[Record], path: Path) -> Path:
        """Draw every seed's scores."""
        drawing, axes = plots.panels(3, math.ceil(len(self.grid) / 3), width=4, height=3)
        with plots.style():
            for ax, (method, etas) in zip(axes, self.grid.items(), strict=False):
                pairs = [(np.array(etas), values([record], "score", method=method)) for record in records]
                every_seed(ax, pairs, "", color=plots.BLUE, marker="o", markersize=3)
                ax.set(xlabel="step size η", ylabel=self.what, title=str(method), xscale="log", yscale="log")
        return plots.save(drawing, path)
