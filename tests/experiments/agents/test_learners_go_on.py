"""Learners of the experiments that are stopped at any state go on inside themselves: rows, weights and summaries."""

from experiments.agents import bicycle, riding, strength

import pytest

from rllab.agents import load
from rllab.runs import Job, Record, states, sweep
from rllab.runs.states import States
from tests.proofs.agents import all_of, timeless
from tests.proofs.stops import Killed, both, stopped_after, timeless_summary

STEPS = {"ars": 6_000, "ppo": 4_096, "td3": 900, "true": 8_000, "short": 8_000}


@pytest.fixture(autouse=True)
def a_state_after_every_row(monkeypatch):
    monkeypatch.setattr(states, "SECONDS_PER_STATE", 0.0)


@pytest.mark.slow
@pytest.mark.parametrize("method", STEPS)
def test_a_rider_goes_on_from_its_weights_and_those_kept_to_be_judged(method, tmp_path, monkeypatch):
    went_on, go_on = [], States.go_on
    monkeypatch.setattr(States, "go_on", lambda self, load: went_on.append(go_on(self, load)) or went_on[-1])
    settings = bicycle.trials(method)[0]
    job = bicycle._job(method, method, "balance", "linear", settings, STEPS[method], 7)
    whole, again = both(riding.run, job, tmp_path, stops=(1, 2))
    assert [found is not None for found in went_on] == [False, False, True, True]  # the whole run, then the other
    assert timeless(again.rows) == timeless(whole.rows) and len(whole.rows) > 3
    assert timeless_summary(again) == timeless_summary(whole)
    assert all_of(load(again.folder / "agent.pt")) == all_of(load(whole.folder / "agent.pt"))
    assert sorted(p.name for p in again.folder.iterdir()) == sorted(p.name for p in whole.folder.iterdir())


def test_a_rider_without_the_weights_kept_begins_anew(tmp_path):
    job = bicycle._job("ars", "ars", "balance", "linear", bicycle.trials("ars")[0], STEPS["ars"], 7)
    (whole,) = sweep(riding.run, [job], tmp_path / "whole", config={}, processes=1)
    with pytest.raises(Killed):
        sweep(stopped_after(riding.run, 2), [job], tmp_path / "run", config={}, processes=1)
    for path in (tmp_path / "run/ars").glob("state-*.weights.pt"):
        path.unlink()
    (again,) = sweep(riding.run, [job], tmp_path / "run", config={}, processes=1, resume=True)
    assert timeless(again.rows) == timeless(whole.rows)


def test_ours_beside_its_peer_goes_on_where_it_was(tmp_path):
    told = {"cell": "CartPole-v1/ARS", "library": "rllab", "share": 0.06, "peers": ""}
    whole, again = both(strength.run, Job("ars", told, 3), tmp_path, stops=(1, 3))
    assert timeless(again.rows) == timeless(whole.rows) and len(whole.rows) == 2
    assert timeless_summary(again) == timeless_summary(whole)


def test_records_without_states_as_they_were_written_before_are_still_read(tmp_path):
    job = bicycle._job("ars", "ars", "balance", "linear", bicycle.trials("ars")[0], STEPS["ars"], 7)
    (whole,) = sweep(riding.run, [job], tmp_path, config={}, processes=1)
    (whole.folder / "done.json").unlink()
    (again,) = sweep(riding.run, [job], tmp_path, config={}, processes=1, resume=True)
    assert timeless(Record.open(again.folder).rows) == timeless(whole.rows)
    assert not list(again.folder.glob("interrupted-*"))


def test_a_trial_that_diverges_scores_nothing_and_stops_no_other(tmp_path):
    settings = {"lr": 1e30, "std": 0.5, "one_minus_gamma": 0.01}
    trial, reported = (
        bicycle._job(name, "ppo", "balance", "linear", settings, 4_096, 7, trial=name == "trial")
        for name in ("trial", "reported")
    )
    (record,) = sweep(riding.run, [trial], tmp_path / "trial", config={}, processes=1)
    assert record.summary["score"] == 0.0 and record.summary["first_steps"] is None
    assert "weights must stay finite" in record.summary["diverged"]
    with pytest.raises(RuntimeError, match="weights must stay finite"):
        sweep(riding.run, [reported], tmp_path / "reported", config={}, processes=1)
