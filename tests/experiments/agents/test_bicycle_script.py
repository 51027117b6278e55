"""The bicycle experiment as a user runs it: records, replot, resume, trials, and errors in one line."""

import json
import shutil
from dataclasses import fields, replace

from experiments.agents import bicycle, flat_cost, learners, rider_trials, riding
from experiments.agents.learners import LEARNERS, inside, trials
from experiments.agents.snapshots import ride_all
from experiments.common.frame import main

import numpy as np
import pytest
import torch
from PIL import Image

from rllab import agents
from rllab.runs import Job, Record

STEPS = {
    "evolution": 6_000,
    "ars": 6_000,
    "reinforce": 6_000,
    "ppo": 1_024,
    "td3": 760,
    "sac": 760,
    "true": 4_000,
    "short": 4_000,
}


def script(monkeypatch, *arguments, figure=bicycle.figure):
    """Run the script in this process; return its exit code."""
    monkeypatch.setattr(bicycle, "FAST_STEPS", STEPS)
    monkeypatch.setattr(bicycle, "FAST_POLICIES", 8)
    monkeypatch.setattr("sys.argv", ["bicycle.py", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        main(bicycle.Config, bicycle.__doc__, bicycle.jobs_of, riding.run, bicycle.claims, figure)
    return stop.value.code


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results") / "bicycle"
    with pytest.MonkeyPatch.context() as patch:
        assert script(patch, "--fast", "--out", folder) == 0
    return folder


@pytest.mark.slow
def test_every_step_is_counted_and_no_limit_exceeded(results):
    for method, steps in STEPS.items():
        record = Record.open(results / f"{method}-balance-linear-1000")
        assert record.finished and record.config["method"] == method
        used, evaluated = record.column("steps"), record.column("evaluated")
        assert used[0] == 0 and used[-1] <= steps and (np.diff(used) > 0).all()
        assert (np.diff(evaluated) >= 20).all()  # evaluation is counted, and apart
        assert record.summary["steps"] == used[-1] > 0.5 * steps
        assert (np.diff(record.column("cpu_seconds")) >= 0).all()
    searched = Record.open(results / "random-balance-linear-1000").summary
    assert searched["first_steps"] is None or searched["first_steps"] == searched["steps"] <= 120_000


@pytest.mark.slow
def test_the_figure_and_the_ride_are_drawn(results):
    with Image.open(results / "bicycle.png") as curves:
        assert curves.width > 1500
    with Image.open(results / "bicycle.gif") as ride:
        pictures = []
        for i in (0, ride.n_frames - 1):
            ride.seek(i)
            pictures.append(np.asarray(ride.convert("RGB")))
    assert (pictures[0] != pictures[1]).mean() > 0.01


@pytest.mark.slow
def test_replot_draws_the_same_from_disk_alone(results, tmp_path, monkeypatch, capsys):
    copy = tmp_path / "copy"
    shutil.copytree(results, copy)
    (copy / "bicycle.png").unlink()
    (copy / "bicycle.gif").unlink()
    # nothing may be learned, ridden or rendered again
    monkeypatch.setattr(riding, "make_agent", None)
    monkeypatch.setattr("gymnasium.make", None)
    monkeypatch.setattr("rllab.agents.load", None)
    assert script(monkeypatch, "--fast", "--replot", "--out", copy) == 0
    for name in ("bicycle.png", "bicycle.gif"):
        assert (copy / name).read_bytes() == (results / name).read_bytes()
    out = capsys.readouterr().out
    assert "| td3 | 0 of 1 in 760" in out and "holds  (c)" in out and "by hand succeeds on 100%" in out


@pytest.mark.slow
def test_learners_alone_are_drawn_too_where_no_search_was_run(results, tmp_path, monkeypatch, capsys):
    copy = tmp_path / "copy"
    shutil.copytree(results, copy)
    (copy / "bicycle.png").unlink()
    assert script(monkeypatch, "--fast", "--replot", "--learners", "ars", "sac", "--out", copy) == 0
    assert (copy / "bicycle.png").exists() and "| ars | 0 of 1" in capsys.readouterr().out


@pytest.mark.slow
def test_resume_redoes_only_what_was_interrupted(results, tmp_path, monkeypatch):
    copy = tmp_path / "copy"
    shutil.copytree(results, copy)
    (copy / "td3-balance-linear-1000/done.json").unlink()
    untouched = (copy / "evolution-balance-linear-1000/rows.jsonl").stat().st_mtime_ns
    drawn = []

    def figure(records, config):  # that it is drawn is enough: what it shows is looked at above
        drawn.append(len(records))
        return copy

    assert script(monkeypatch, "--fast", "--resume", "--out", copy, figure=figure) == 0
    assert len(drawn) == 1
    assert (copy / "evolution-balance-linear-1000/rows.jsonl").stat().st_mtime_ns == untouched
    assert not (copy / "td3-balance-linear-1000/interrupted-1").exists()  # the same rows came again
    again, before = (Record.open(at / "td3-balance-linear-1000") for at in (copy, results))
    for name in ("steps", "upright", "worst", "evaluated"):
        np.testing.assert_array_equal(again.column(name), before.column(name))


@pytest.mark.slow
def test_trials_and_finals_end_in_settings_on_disk_a_table_and_a_figure(tmp_path, monkeypatch, capsys):
    for module in (learners, rider_trials, bicycle):
        monkeypatch.setattr(module, "trials", lambda method, where="64-64": trials(method)[:2])
    for module in (learners, rider_trials):
        monkeypatch.setattr(module, "TUNED", tmp_path / "tuned.json")
    for module in (learners, rider_trials, bicycle):
        monkeypatch.setattr(module, "TUNING_SEEDS", (100, 101))
    monkeypatch.setitem(LEARNERS, "reinforce", replace(LEARNERS["reinforce"], tuning_steps=3_000))
    monkeypatch.setitem(LEARNERS, "random", replace(LEARNERS["random"], tuning_steps=600))
    arguments = ("--learners", "reinforce", "random", "--sizes", "linear", "--processes", 1, "--out", tmp_path / "all")
    script(monkeypatch, "--tune", *arguments)
    first = json.loads((tmp_path / "tuned.json").read_text())["linear"]["reinforce"]
    code = script(monkeypatch, "--finals", "--resume", *arguments)
    out, tuned = capsys.readouterr().out, json.loads((tmp_path / "tuned.json").read_text())
    best = tuned["linear"]["reinforce"]
    assert best["settings"] in trials("reinforce") and len(best["trials"]) == 2
    assert first["seeds"] == [100] and best["seeds"] == [100, 101]
    for before, row in zip(first["trials"], best["trials"], strict=True):
        assert row["scores"][:1] == before["scores"] and len(row["scores"]) == 2  # the seed before is not made again
    assert np.mean(best["scores"]) == max(np.mean(trial["scores"]) for trial in best["trials"]) > 20
    within = [inside(m, tuned["linear"][m]["settings"], "linear") for m in ("reinforce", "random")]
    assert code == (0 if all(within) else 1)
    assert "| reinforce | lr " in out and (tmp_path / "all/bicycle_trials.png").exists()


@pytest.mark.slow
def test_a_task_of_its_own_plans_is_tuned_by_what_its_runs_come_to(tmp_path, monkeypatch, capsys):
    for module in (learners, rider_trials, bicycle):
        monkeypatch.setattr(module, "trials", lambda method, where="64-64": trials(method, where)[:2])
    for module in (learners, rider_trials):
        monkeypatch.setattr(module, "TUNED", tmp_path / "tuned.json")
    short = {"distance": 12.0, "cap": 500}
    plans = {
        "ars": learners.Plan(2_000, learners.GOAL["ars"].ranges, {}, "linear"),
        "random": learners.Plan(1_000, {}, {}, "linear"),
    }
    task = replace(learners.TASKS["goal"], arguments=short, judged={"reward": "sparse"}, longest=500, plans=plans)
    monkeypatch.setitem(learners.TASKS, "goal", task)
    script(monkeypatch, "--tune", "--tasks", "goal", "--processes", 1, "--out", tmp_path / "all")
    found = json.loads((tmp_path / "tuned.json").read_text())["goal"]
    assert set(found) == {"ars"} and found["ars"]["steps"] == 2_000
    record = Record.open(tmp_path / "all/ars-goal-trial0-100")
    assert record.summary["score"] == riding.FRESH * record.summary["fresh"] == found["ars"]["trials"][0]["scores"][0]
    assert "To a goal:" in capsys.readouterr().out


def test_only_tasks_with_trials_of_their_own_are_tuned():
    with pytest.raises(ValueError, match=r"of the tasks balance and goal, got delay"):
        bicycle.Config(tune=True, tasks=("delay",)).check()


def test_weights_judged_together_give_what_each_gives_alone():
    agent = learners.make_agent("ars", "16", {"delta_std": 0.3, "lr": 0.3, "n_delta": 4}, 7)
    kept, alone = [], []
    for _ in agent.train(4_000):
        kept.append(agent.weights.clone())
        alone.append(agent.evaluate(5, max_steps=150).lengths)
    returns, lengths = ride_all(agent, kept, 5, longest=150)
    np.testing.assert_array_equal(lengths, alone)
    np.testing.assert_array_equal(returns, alone)  # one for each step
    assert len(set(lengths.mean(1))) > 2  # they do not all ride alike


def test_trials_fill_their_ranges_evenly():
    for method, learner in LEARNERS.items():
        tried = trials(method)
        assert len(tried) == learners.TRIALS and tried == trials(method)
        assert (trials(method, "256-256") == tried) == ((method, "256-256") not in learners.WIDER)
        for name, (low, high) in learner.ranges.items():
            u = [np.log(settings[name] / low) / np.log(high / low) for settings in tried]
            # of 16 Sobol points each sixteenth of a range holds one; independent draws do so once in 900,000 times.
            # Settings have three digits: a point may lie as much beyond its sixteenth
            ideal = (np.arange(learners.TRIALS) + 0.5) / learners.TRIALS
            assert np.abs(np.sort(u) - ideal).max() < 0.5 / learners.TRIALS + 0.005


def test_every_setting_that_is_reported_is_of_sixteen_trials_inside_their_ranges():
    tuned = json.loads(learners.TUNED.read_text("utf-8"))
    assert set(tuned) == {*learners.SIZES, "goal"} and all(set(tuned[size]) == set(LEARNERS) for size in learners.SIZES)
    for where, methods in tuned.items():
        for method, best in methods.items():
            assert inside(method, best["settings"], where), (method, where)
            assert [row["settings"] for row in best["trials"]] == trials(method, where), (method, where)
            assert best["seeds"] == list(learners.TUNING_SEEDS)


def test_a_learner_without_trials_on_a_task_does_not_take_those_of_balance():
    with pytest.raises(KeyError, match="sac"):
        learners.settings_of("sac", "goal")


def test_a_winner_on_an_edge_is_not_inside():
    ranges = LEARNERS["reinforce"].ranges
    middle = {name: (low * high) ** 0.5 for name, (low, high) in ranges.items()}
    assert inside("reinforce", middle)
    assert not inside("reinforce", {**middle, "lr": 1.1 * ranges["lr"][0]})
    assert not inside("reinforce", {**middle, "std": ranges["std"][1]})
    # an edge beyond which there is nothing is no reason to widen a range
    middle = {name: (low * high) ** 0.5 for name, (low, high) in LEARNERS["td3"].ranges.items()}
    assert inside("td3", {**middle, "tau": 1.0}) and not inside(
        "td3", {**middle, "tau": LEARNERS["td3"].ranges["tau"][0]}
    )


def test_a_task_with_plans_is_learned_by_those_who_have_one():
    config = bicycle.Config(tasks=("goal", "delay"), seeds=2)
    jobs = [job for job in bicycle.jobs_of(config) if "size" in job.config]
    goal = {(j.config["method"], j.config["size"], j.config["steps"]) for j in jobs if j.config["task"] == "goal"}
    assert goal == {(method, plan.size, plan.steps) for method, plan in learners.GOAL.items()}
    delayed = {j.config["method"] for j in jobs if j.config["task"] == "delay"}
    assert delayed == set(LEARNERS) - {"true", "short"}  # which are told the state of now
    # what a plan changes is for learning: all are judged alike
    agent = learners.make_agent("ars", "linear", trials("ars", "goal")[0], 0, "goal")
    assert isinstance(agent, agents.ARS) and agent.lr == agents.Linear(trials("ars", "goal")[0]["lr"], 0.0, 600_000)
    assert agent.environment_arguments["cap"] == 2_000 and agent.environment_arguments["distance"] == 100.0
    assert learners.TASKS["goal"].judged == {"reward": "sparse", "cap": learners.FAR}


def test_the_score_holds_each_evaluation_until_the_next():
    steps, upright = np.array([0.0, 100.0, 400.0]), np.array([10.0, 50.0, 1000.0])
    # 100 steps of 10, 300 of 50, 600 of 1,000
    assert riding.score(steps, upright, 1000) == pytest.approx((1_000 + 15_000 + 600_000) / 1000)
    assert riding.score(steps, upright, 200) == pytest.approx((1_000 + 5_000) / 200)
    fell = np.array([True, False, True, False])
    steps = np.array([0, 100, 400, 900])
    assert riding.fallen_share(steps, fell, 1100) == pytest.approx(500 / 1000)  # from 400 to 900, of 100 to 1,100
    assert riding.fallen_share(steps, np.ones(4, bool), 1100) is None


def test_a_trial_of_random_search_counts_every_rider_found(tmp_path):
    settings = {"scale": 2.0}
    what = {"method": "random", "task": "balance", "size": "linear", "settings": settings, "steps": 6_000}
    found = []
    for trial in (True, False):
        with Record.create(tmp_path / str(trial), what, seed=3) as record:
            found.append(riding.run(Job("search", {**what, "trial": trial, "ride": 0.0}, 3), record))
    several, one = found
    riders = several["score"] * several["steps"] / 1e6
    assert several["first_steps"] is None and several["steps"] == 6_000 and riders == pytest.approx(round(riders))
    # the first search of the trial is the search alone: the trial goes on after it
    assert one["first_steps"] in (None, one["steps"]) and one["steps"] <= 6_000
    assert (one["first_steps"] is not None) == (riders >= 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--fast"], "--resume goes on"),
        ([], "fast"),
        (["--seeds", "0"], "--seeds must be positive, got 0"),
        (["--sizes", "64"], "--sizes must be some of linear, 16, 64-64, 256-256, got 64"),
        (["--learners", "dqn"], "--learners must be some of evolution, ars"),
    ],
)
def test_a_users_error_is_one_line_and_changes_nothing(results, arguments, says, monkeypatch, capsys):
    before = {path: path.stat().st_mtime_ns for path in results.rglob("*")}
    assert script(monkeypatch, *arguments, "--out", results) == 2
    error = capsys.readouterr().err.strip()
    assert says in error and "\n" not in error and "Traceback" not in error
    assert before == {path: path.stat().st_mtime_ns for path in results.rglob("*")}


def test_rides_meet_equal_noise_under_equal_seeds_only():
    rides = flat_cost.Rides(learners.ENVIRONMENT, learners.SCALE, 4)
    w = torch.zeros(4, 10, dtype=torch.float64)
    steps = rides(w, torch.tensor([1, 1, 2, 3]))
    assert steps[0] == steps[1] and len(set(steps.tolist())) > 1
    assert (steps < -100).all() and (steps > -300).all()  # a rider who does nothing falls after 169 steps, sd 24


@pytest.mark.parametrize("method", ("ars", "ppo", "reinforce", "sac", "td3"))
def test_settings_that_the_package_keeps_are_those_that_its_trials_came_to(method):
    trial = learners.make_agent(method, "64-64", learners.settings_of(method, "64-64"), seed=0)
    kept = type(trial)("rllab_envs:rllab/BicycleBalance-v0", 0, **agents.tuned(method, "rllab/BicycleBalance-v0"))
    unlike = {f.name for f in fields(trial) if getattr(trial, f.name) != getattr(kept, f.name)}
    assert unlike <= {"environment_arguments"}  # {} for None
