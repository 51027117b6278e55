"""The bicycle experiment as a user runs it: records, claims that can fail, replot, resume, and errors in one line."""

import json
import shutil

from experiments.agents import bicycle, flat_cost
from experiments.common.frame import Judge, main

import numpy as np
import pytest
import torch
from PIL import Image

from rllab.runs import Record

STEPS = {"evolution": 20_000, "reinforce": 20_000, "td3": 1_100}


def script(monkeypatch, *arguments):
    """Run the script in this process; return its exit code."""
    monkeypatch.setattr(bicycle, "FAST_STEPS", STEPS)
    monkeypatch.setattr("sys.argv", ["bicycle.py", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        main(bicycle.Config, bicycle.__doc__, bicycle.jobs_of, bicycle.run, bicycle.claims, bicycle.figure)
    return stop.value.code


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results") / "bicycle"
    with pytest.MonkeyPatch.context() as patch:
        # 20,000 steps do not teach a rider: claim (b) fails, and the exit code says so
        assert script(patch, "--fast", "--out", folder) == 1
    return folder


def test_every_step_is_counted_and_no_limit_exceeded(results):
    for method, steps in STEPS.items():
        record = Record.open(results / f"{method}-linear-10")
        assert record.finished and record.config["method"] == method
        used, evaluated = record.column("steps"), record.column("evaluated")
        assert used[0] == 0 and used[-1] <= steps and (np.diff(used) > 0).all()
        assert (np.diff(evaluated) >= 20).all()  # evaluation is counted, and apart
        assert record.summary["steps"] == used[-1]
        assert used[-1] > 0.9 * steps


def test_the_figure_and_the_ride_are_drawn(results):
    with Image.open(results / "bicycle.png") as curves:
        assert curves.width > 1500
    with Image.open(results / "bicycle.gif") as ride:
        pictures = []
        for i in (0, ride.n_frames - 1):
            ride.seek(i)
            pictures.append(np.asarray(ride.convert("RGB")))
    assert (pictures[0] != pictures[1]).mean() > 0.01


def test_replot_draws_the_same_from_disk_alone(results, tmp_path, monkeypatch, capsys):
    copy = tmp_path / "copy"
    shutil.copytree(results, copy)
    (copy / "bicycle.png").unlink()
    (copy / "bicycle.gif").unlink()
    # nothing may be learned, ridden or rendered again
    monkeypatch.setattr(bicycle, "make_agent", None)
    monkeypatch.setattr("gymnasium.make", None)
    monkeypatch.setattr("rllab.agents.load", None)
    assert script(monkeypatch, "--fast", "--replot", "--out", copy) == 1
    for name in ("bicycle.png", "bicycle.gif"):
        assert (copy / name).read_bytes() == (results / name).read_bytes()
    out = capsys.readouterr().out
    assert "FAILS  (b) evolution, linear: 0 of 1 seeds" in out and "holds  (a)" in out


def test_resume_redoes_only_what_was_interrupted(results, tmp_path, monkeypatch):
    copy = tmp_path / "copy"
    shutil.copytree(results, copy)
    (copy / "td3-linear-10/done.json").unlink()
    untouched = (copy / "evolution-linear-10/rows.jsonl").stat().st_mtime_ns
    assert script(monkeypatch, "--fast", "--resume", "--out", copy) == 1
    assert (copy / "evolution-linear-10/rows.jsonl").stat().st_mtime_ns == untouched
    assert (copy / "td3-linear-10/interrupted-1").exists()
    again, before = Record.open(copy / "td3-linear-10"), Record.open(results / "td3-linear-10")
    for name in ("steps", "evaluation", "worst", "evaluated"):
        np.testing.assert_array_equal(again.column(name), before.column(name))


def test_trials_with_the_default_policy_end_in_a_table_and_a_figure(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bicycle, "TRIALS", {method: trials[:2] for method, trials in bicycle.TRIALS.items()})
    monkeypatch.setattr(bicycle, "TUNING_SEEDS", (100,))
    monkeypatch.setattr(bicycle, "TUNING_STEPS", {"evolution": 15_000, "reinforce": 15_000, "td3": 1_010})
    assert script(monkeypatch, "--tune", "--processes", 1, "--out", tmp_path / "tuning") == 0
    out = capsys.readouterr().out
    assert "steps each: evolution 15,000" in out and out.count("| td3 |") == 2 and "6 trials are finished" in out
    assert (tmp_path / "tuning/bicycle.png").exists() and not (tmp_path / "tuning/bicycle.gif").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--fast"], "--resume goes on"),
        (["--policy", "linear"], "fast"),
        (["--seeds", "0"], "--seeds must be positive, got 0"),
        (["--steps", "-5"], "--steps must be positive, got -5"),
    ],
)
def test_a_users_error_is_one_line_and_changes_nothing(results, arguments, says, monkeypatch, capsys):
    before = {path: path.stat().st_mtime_ns for path in results.rglob("*")}
    assert script(monkeypatch, *arguments, "--out", results) == 2
    error = capsys.readouterr().err.strip()
    assert says in error and "\n" not in error and "Traceback" not in error
    assert before == {path: path.stat().st_mtime_ns for path in results.rglob("*")}


def test_each_claim_can_fail(results, tmp_path, capsys):
    config = bicycle.Config(policy="linear", seeds=1)

    def verdicts(**changes):
        copy = tmp_path / str(len(list(tmp_path.iterdir())))
        shutil.copytree(results, copy)
        good = {"ride": 1000.0, "at_cap": 1.0, "unchanged": 0.99, "significant": 0.9}
        for path in copy.glob("*/done.json"):
            path.write_text(json.dumps({**json.loads(path.read_text()), **good, **changes}))
        records = [Record.open(path.parent) for path in copy.glob("*/done.json")]
        judge = Judge()
        bicycle.claims(records, config, judge)
        return judge.all_hold

    assert verdicts()
    assert not verdicts(unchanged=0.97)
    assert not verdicts(significant=0.4)
    assert not verdicts(ride=250.0)
    assert not verdicts(at_cap=0.88)
    assert "FAILS" in capsys.readouterr().out


def test_rides_meet_equal_noise_under_equal_seeds_only():
    rides = flat_cost.Rides(bicycle.ENVIRONMENT, bicycle.SCALE, 4)
    w = torch.zeros(4, 10, dtype=torch.float64)
    steps = rides(w, torch.tensor([1, 1, 2, 3]))
    assert steps[0] == steps[1] and len(set(steps.tolist())) > 1
    assert (steps < -100).all() and (steps > -300).all()  # a rider who does nothing falls after 169 steps, sd 24
