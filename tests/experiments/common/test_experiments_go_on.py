"""Runs of experiments that can take more than a minute are stopped at states, and go on inside themselves."""

from experiments.agents import contrast
from experiments.black_boxes import learned_simulator, revealed
from experiments.lecture import table
from experiments.zeroth_order import recommended

import pytest

from rllab.runs import Job, states
from rllab.runs.states import States
from tests.proofs.agents import timeless
from tests.proofs.stops import both, timeless_summary

NETS = {"lr": 0.01, "sigma": 0.5}
FITTED = {"part": "contrast", "sigma": 0.1, "lr": 0.01, "hidden": [8]}
CASES = {
    "backprop": (revealed.run, {"method": "backprop", **NETS, "budget": 200}),
    "residual": (revealed.run, {"method": "critic and residual", **NETS, "budget": 500}),
    "classes": (revealed.run, {"method": "right/wrong, score of a class", **NETS, "budget": 900}),
    "weights": (revealed.run, {"method": revealed.AT_WEIGHTS, **NETS, "budget": 400}),
    "forest": (learned_simulator.run, {"method": "critic and residual", **NETS, "budget": 700}),
    "forest at weights": (learned_simulator.run, {"method": learned_simulator.AT_WEIGHTS, **NETS, "budget": 400}),
    "contrast": (contrast.run, {**FITTED, "policies": [0, 9], "steps": [1_000]}),
    "recommended": (recommended.run, {"exact": 64, "budgets": 1, "repeats": 4}),
    "lecture": (table.run, {"file": "lecture/rows/costs.py", "fast": True, "wrong": True}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_it_goes_on_inside_itself(name, tmp_path, monkeypatch):
    monkeypatch.setattr(states, "SECONDS_PER_STATE", 0.0)
    went_on, go_on = [], States.go_on
    monkeypatch.setattr(States, "go_on", lambda self, load: went_on.append(go_on(self, load)) or went_on[-1])
    if name == "recommended":
        every = recommended.cases
        monkeypatch.setattr(recommended, "cases", lambda seed, exact: list(every(seed, exact))[::9])
    worker, config = CASES[name]
    if name == "lecture":
        rows = [table._label(entry) for entry in table.REGISTRY if entry.where.startswith(config["file"])]
        config = {**config, "rows": rows}
    whole, again = both(worker, Job("job", config, 3), tmp_path, stops=(1,))
    assert [found is not None for found in went_on] == [False, False, True]  # the whole run, then the other
    assert timeless(again.rows) == timeless(whole.rows) and len(whole.rows) > 1
    assert timeless_summary(again) == timeless_summary(whole)
    assert sorted(p.name for p in again.folder.iterdir()) == sorted(p.name for p in whole.folder.iterdir())
