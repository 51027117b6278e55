"""A folder of runs with everything that a page can show, and names that must not run."""

from __future__ import annotations

from pathlib import Path

import torch

from rllab import estimators as est
from rllab import measure_quality, plots, problems
from rllab.runs import Record, load_records
from rllab.runs.about import About, Claim

EVIL = "<script>alert(1)</script>"


def make_results(folder: Path) -> Path:
    """Write two methods of ten seeds, a failed and an unfinished run, a toy with claims, and measured quality."""
    for seed in range(10):
        for method, shift in (("td3", 0.0), (EVIL, 5.0)):
            config = {"method": method, "environment": "Pendulum-v1", "settings": {"lr": 1e-3}}
            with Record.create(folder / "pendulum" / f"{method[:3]}-{seed}", config, seed=seed) as record:
                for steps in (100, 200):
                    record.append({"steps": steps, "evaluation": steps / 10 + seed + shift})
                if (method, seed) != ("td3", 9):
                    record.finish(**{"return": 30.0 + seed + shift})
    (folder / "pendulum" / "td3-9" / "error.txt").write_text(f"Traceback\nValueError: {EVIL}\n")
    for seed in range(2):
        with Record.create(folder / "toys" / f"toys-{seed}", {"dimension": 3}, seed=seed) as record:
            for evaluations in (10, 20):
                record.append({"evaluations": evaluations, "error": 1.0 / evaluations})
            record.finish()
    claims = (Claim(True, f"the error halves {EVIL}"), Claim(False, "it is 0 (needs 0)"), Claim(None, "a note"))
    plots.save(plots.overview(load_records(folder / "toys")), folder / "toys" / "toys.png")
    About("Does the error halve?", "python toys.py", claims, ("toys.svg",)).save(folder / "toys")
    at = torch.full((3,), 0.4)
    estimators = [est.SPSA(), est.CentralDifference()]
    report = measure_quality(estimators, problems.Quadratic(dimension=3), at=at, budgets=[4, 8], repeats=20, key=0)
    report.save(folder / "toys" / "two.quality.json")
    return folder
