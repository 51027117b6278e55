"""fit and `rllab train`: what is evaluated, saved, kept and stopped, and what is on disk afterwards."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

import rllab
from rllab.agents import ARS, PPO, SAC, Evolution, Linear, Reinforce, load
from rllab.agents.base import EVALUATION
from rllab.agents.collectors import episode_seeds
from rllab.agents.named import arguments_of
from rllab.cli import main
from rllab.due import Every
from rllab.progress import Meter
from rllab.runs import Record, ResultsConflict
from rllab.training import UNSEEN, Schedule, rarely, train_seeds
from tests.proofs.agents import timeless


def agent(seed=0):
    return Evolution("CartPole-v1", seed=seed, hidden=(), population=4)


def quiet(agent, steps, **options):
    return rllab.fit(agent, steps, progress=False, **{"episodes": 3, **options})


def test_rows_and_weights_are_those_of_training_alone():
    fitted, alone = agent(), agent()
    done = quiet(fitted, 2000, evaluate_every=300)
    rows = alone.learn(2000)
    timeless = [{k: v for k, v in row.items() if "seconds" not in k and k != "evaluation"} for row in done.rows]
    assert timeless == [{k: v for k, v in row.items() if "seconds" not in k} for row in rows]
    assert torch.equal(fitted.weights, alone.weights)


@pytest.mark.slow
@pytest.mark.filterwarnings("always:rllab train")
def test_who_evaluates_more_often_than_there_are_iterations_is_told(tmp_path, capsys):
    ppo = {"num_envs": 2, "n_steps": 32, "hidden": (4,)}
    sac = {"num_envs": 3, "learning_starts": 990, "hidden": (4,), "critic_hidden": (4,), "train_freq": 30}
    for kind, options, every, rows in ((PPO, ppo, 63, 4), (SAC, sac, 998, 2)):
        learner = kind("Pendulum-v1", **options)
        says = f"evaluate_every={every} is shorter than an iteration of {kind.__name__}, {every + 1} steps"
        with pytest.warns(UserWarning, match=says):
            done = quiet(learner, rows * (every + 1), evaluate_every=every, episodes=1, max_steps=5)
        assert [row["steps"] for row in done.rows if "evaluation" in row] == [
            (every + 1) * (i + 1) for i in range(rows)
        ]
        assert rarely(learner, every + 1) is None and rarely(learner, None) is None and rarely(agent(), 1) is None
    flags = ["--method", "ppo", "--steps", "128", "--seeds", "1", "--processes", "1", "--episodes", "1"]
    flags += ["--set", "num_envs=2", "n_steps=32", "--out"]
    main(["train", "CartPole-v1", *flags, str(tmp_path / "default")])
    assert "is shorter" not in capsys.readouterr().err
    main(["train", "CartPole-v1", *flags, str(tmp_path / "asked"), "--evaluate-every", "63"])
    assert "rllab train: evaluate_every=63 is shorter than an iteration of PPO, 64 steps" in capsys.readouterr().err


def test_it_evaluates_at_the_first_row_at_or_after_each_multiple():
    done = quiet(agent(), 2000, evaluate_every=300)
    steps = np.array([row["steps"] for row in done.rows])
    due = {int(steps[steps >= k * 300][0]) for k in range(1, 7) if (steps >= k * 300).any()} | {int(steps[-1])}
    assert {row["steps"] for row in done.rows if "evaluation" in row} == due
    evaluations = {row["steps"]: row["evaluation"] for row in done.rows if "evaluation" in row}
    assert done.best == max(evaluations.values())
    assert evaluations[done.best_steps] == done.best


@pytest.mark.parametrize("kind", [ARS, Evolution, Reinforce, PPO], ids=lambda kind: kind.__name__)
def test_there_is_one_evaluation_where_training_ends_whatever_is_left_of_the_steps(kind, tmp_path):
    learner = kind("CartPole-v1", 1, **({"num_envs": 2, "n_steps": 32, "hidden": (4,)} if kind is PPO else {}))
    done = quiet(learner, 999, evaluate_every=600, folder=tmp_path / "run", episodes=2)
    evaluated = [row["steps"] for row in done.rows if "evaluation" in row]
    assert evaluated[-1] == done.agent.spent.steps == done.rows[-1]["steps"]
    assert len(evaluated) == len(set(evaluated)) == 2  # due at 600; at the end, once, though two rows may stand there
    assert done.best == max(row["evaluation"] for row in done.rows if "evaluation" in row)
    assert load(tmp_path / "run" / "best.pt").spent.steps == done.best_steps
    at_the_end = done.agent.evaluate(2).returns.mean()
    assert [row["evaluation"] for row in done.rows if "evaluation" in row][-1] == at_the_end
    assert not any("evaluation" in row for row in quiet(done.agent, 200, episodes=1).rows)  # nobody asked for any


def test_training_that_ends_by_the_clock_is_evaluated_there():
    done = quiet(agent(), 10**9, evaluate_every=10**8, seconds=1e-9, episodes=1)
    assert len(done.rows) == 1 and "evaluation" in done.rows[0]


def test_the_last_evaluation_is_of_episodes_that_were_never_evaluated_on_the_way():
    a = agent()
    done = quiet(a, 500, episodes=5)
    assert np.array_equal(done.returns, a.evaluate(5, first=UNSEEN).returns)
    on_the_way, at_the_end = (episode_seeds(EVALUATION, first, 1000) for first in (0, UNSEEN))
    assert not set(on_the_way) & set(at_the_end)


def test_checkpoints_hold_the_last_and_the_best(tmp_path):
    a = agent()
    done = quiet(a, 3000, folder=tmp_path / "run", evaluate_every=200, checkpoint_every=500)
    record = Record.open(tmp_path / "run")
    assert record.finished and record.summary["best"] == done.best and record.config["method"] == "evolution"
    assert torch.equal(load(tmp_path / "run" / "agent.pt").weights, a.weights)
    best = load(tmp_path / "run" / "best.pt")
    assert best.spent.steps == done.best_steps
    assert best.evaluate(3).returns.mean() == done.best
    assert [row["steps"] for row in record.rows] == [row["steps"] for row in done.rows]


def test_a_checkpoint_on_the_way_goes_on_to_the_same_end(tmp_path, monkeypatch):
    kept = []
    save = Evolution.save
    monkeypatch.setattr(Evolution, "save", lambda self, path: (save(self, path), kept.append(path.read_bytes())))
    a = agent()
    quiet(a, 3000, folder=tmp_path / "run", checkpoint_every=500, keep_best=False)
    assert len(kept) > 2
    (tmp_path / "first.pt").write_bytes(kept[0])
    again = load(tmp_path / "first.pt")
    again.learn(a.spent.steps - again.spent.steps)
    assert torch.equal(again.weights, a.weights)


def test_periods_are_counted_from_where_training_begins_and_a_long_row_makes_up_for_all_it_spans():
    every = Every(100, 50, now=50)
    assert [every.due(steps) for steps in (149, 150, 249, 450, 460, 549, 550)] == [0, 1, 0, 1, 0, 0, 1]
    assert not Every(None, 0, now=0).due(10**9)


def test_of_equal_evaluations_the_first_is_the_best_and_a_return_that_is_reached_ends_it(tmp_path, monkeypatch):
    played = agent().evaluate(3)
    monkeypatch.setattr(Evolution, "evaluate", lambda *_, **__: played)
    done = quiet(agent(), 600, folder=tmp_path / "run", evaluate_every=100)
    at = [row["steps"] for row in done.rows if "evaluation" in row]
    assert len(at) > 2 and done.best_steps == at[0] == load(tmp_path / "run" / "best.pt").spent.steps
    assert not done.stopped
    reached = quiet(agent(), 600, evaluate_every=100, stop_at=float(played.returns.mean()))
    assert reached.stopped and reached.rows[-1]["steps"] == at[0]


def test_it_stops_at_a_return():
    done = quiet(agent(), 100_000, evaluate_every=100, stop_at=9.0)
    assert done.stopped and done.rows[-1]["evaluation"] >= 9.0
    assert sum("evaluation" in row for row in done.rows) == 1
    assert not quiet(agent(), 300, evaluate_every=100, stop_at=1e9).stopped


def test_a_folder_with_a_run_is_not_written_over(tmp_path):
    quiet(agent(), 200, folder=tmp_path / "run")
    before = (tmp_path / "run" / "agent.pt").read_bytes()
    with pytest.raises(FileExistsError, match="already holds a run"):
        quiet(agent(1), 200, folder=tmp_path / "run")
    assert (tmp_path / "run" / "agent.pt").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"evaluate_every": 0}, "fit: evaluate_every must be an integer >= 1, got 0"),
        ({"checkpoint_every": 2.5}, "fit: checkpoint_every must be an integer >= 1, got 2.5"),
        ({"episodes": -1}, "fit: episodes must be an integer >= 1, got -1"),
        ({"seconds": float("nan")}, "fit: seconds must be positive, got nan"),
        ({"seconds": -1}, "fit: seconds must be positive, got -1"),
        ({"seconds": "1"}, "fit: seconds must be a number, got '1'"),
        ({"keep_best": "false"}, "fit: keep_best must be True or False, got 'false'"),
        ({"stop_at": "high"}, "fit: stop_at must be a number, got 'high'"),
        ({"stop_at": float("nan"), "evaluate_every": 50}, "fit: stop_at must be finite, got nan"),
        ({"stop_at": 9.0}, "fit: evaluate_every must be given for stop_at=9.0"),
    ],
)
def test_wrong_arguments_are_named_before_any_step(options, says):
    a = agent()
    with pytest.raises((TypeError, ValueError), match=says):
        quiet(a, 100, **options)
    assert a.spent.steps == 0


def test_what_is_no_agent_is_named():
    with pytest.raises(TypeError, match=r"fit: agent must be an agent, .* got <class '.*Evolution'>"):
        quiet(Evolution, 100)


def seeds(folder, n, **options):
    on = {"settings": {"hidden": (), "population": 4}, "schedule": Schedule(200, 2), "processes": 1, **options}
    return train_seeds("Evolution", "CartPole-v1", 600, folder, seeds=n, **on)


def test_seeds_can_be_added_and_those_that_finished_stay(tmp_path):
    first = seeds(tmp_path / "r", 1)
    with pytest.raises(ResultsConflict, match="already holds results"):
        seeds(tmp_path / "r", 2)
    both = seeds(tmp_path / "r", 2, resume=True)
    assert [record.seed for record in both] == [0, 1]
    assert [load(record.folder / "agent.pt").seed for record in both] == [0, 1]
    assert both[0].about["started"] == first[0].about["started"]
    assert both[0].summary["return"] == np.mean(
        load(tmp_path / "r" / "evolution-0" / "agent.pt").evaluate(2, first=UNSEEN).returns
    )
    with pytest.raises(ResultsConflict, match="population"):
        seeds(tmp_path / "r", 2, resume=True, settings={"hidden": (), "population": 6})


def test_a_schedule_is_given_as_a_text_and_the_run_follows_it(tmp_path, monkeypatch):
    assert arguments_of(Evolution, {"lr": "linear(3e-4,0)"}) == {"lr": Linear(3e-4, 0.0)}
    flags = "--method evolution --steps 300 --seeds 1 --episodes 1 --processes 1 --out r --set population=4 hidden=()"
    monkeypatch.chdir(tmp_path)
    main(["train", "CartPole-v1", *flags.split(), "lr=Linear(0.5, 0, 1e3)"])
    trained = load("r/evolution-0/agent.pt")
    assert trained.lr == Linear(0.5, 0.0, 1000)
    by_hand, constant = (Evolution("CartPole-v1", 0, population=4, hidden=(), lr=lr) for lr in (trained.lr, 0.5))
    by_hand.learn(300), constant.learn(300)
    assert torch.equal(trained.weights, by_hand.weights) and not torch.equal(trained.weights, constant.weights)


def test_a_dotted_setting_changes_a_part_of_the_default_alone():
    default = next(f.default for f in fields(Evolution) if f.name == "estimator")
    inner = replace(default.estimator, sigma=0.7)
    given = arguments_of(Evolution, {"estimator.estimator.sigma": 0.7, "estimator.by": "z-scores", "lr": 0.1})
    assert given == {"estimator": replace(default, estimator=inner, by="z-scores"), "lr": 0.1}


@pytest.mark.parametrize(
    ("method", "settings", "says"),
    [
        ("tdx", {}, "train: method must be one of .*evolution.*, got 'tdx'"),
        ("evolution", {"discount": 0.9}, "train: Evolution has no setting 'discount'; it has .*population"),
        ("evolution", {"population": 0}, "population"),
    ],
)
def test_a_wrong_method_or_setting_is_named_and_nothing_is_written(tmp_path, method, settings, says):
    with pytest.raises(ValueError, match=says):
        train_seeds(method, "CartPole-v1", 100, tmp_path / "r", seeds=1, settings=settings, schedule=Schedule())
    assert not (tmp_path / "r").exists()


@pytest.mark.filterwarnings("always:.*did not suffice")
def test_work_that_taught_nothing_says_so_wherever_it_is_shown(tmp_path, capsys):
    flags = ["--method", "ppo", "--steps", "100", "--seeds", "2", "--episodes", "1", "--processes", "1"]
    few = ["--set", "num_envs=2", "n_steps=64", "--out", f"{tmp_path}/few"]
    main(["train", "CartPole-v1", *flags, *few])
    out, err = capsys.readouterr()
    takes = "did not suffice for an update, which takes 2 · 64 steps (num_envs · n_steps)"
    assert f"nothing was learned by 2 of 2 seeds: 100 steps {takes}; the return is that of policies as they b" in out
    assert [line for line in err.splitlines() if "suffice" in line] == [
        f"warning: PPO: 100 environment steps {takes}; what was collected is kept, and the next call goes on from it"
    ]
    assert err.count("after 100 steps, without an update: nothing was learned") == 2 and "UserWarning" not in err
    main(["list", f"{tmp_path}/few"])
    assert capsys.readouterr().out.count("finished, without an update") == 2
    main(["compare", f"{tmp_path}/few", "--out", f"{tmp_path}/c.png"])
    assert "ppo: 2 of 2 runs made no update; they learned nothing." in capsys.readouterr().out
    main(["train", "CartPole-v1", *flags, "--set", "num_envs=2", "n_steps=32", "--out", f"{tmp_path}/enough"])
    out, err = capsys.readouterr()
    assert "nothing was learned" not in out + err and "warning" not in err
    assert not Record.open(tmp_path / "enough" / "ppo-0").untaught


def test_a_warning_names_the_line_of_the_user():
    with pytest.warns(UserWarning, match="did not suffice") as said:
        agents = [PPO("CartPole-v1", num_envs=2, n_steps=64, hidden=(4,)) for _ in range(3)]
        list(agents[0].train(10)), agents[1].learn(10), quiet(agents[2], 10, episodes=1, max_steps=5)
    assert [Path(warning.filename) for warning in said] == [Path(__file__)] * 3


@pytest.mark.slow
def test_the_command_trains_draws_and_says_what_came_out(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    flags = "--method evolution --steps 6e2 --seeds 2 --episodes 2 --processes 1 --set population=4 hidden=()"
    main(["train", "CartPole-v1", *flags.split()])
    out = capsys.readouterr().out
    assert "evolution on CartPole-v1: return" in out and "2 seeds; their range is" in out
    folder = tmp_path / "results" / "CartPole-v1-evolution"
    assert (folder / "curves.png").exists() and (folder / "evolution-1" / "best.pt").exists()
    assert Record.open(folder / "evolution-1").config["settings"]["population"] == 4
    main(["train", "CartPole-v1", *flags.split(), "--executor", "1", "--out", "elsewhere"])
    here, there = (Record.open(at / "evolution-1") for at in (folder, tmp_path / "elsewhere"))
    assert timeless(here.rows) == timeless(there.rows) and (there.folder / "best.pt").exists()


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--set", "population"], "--set takes NAME=VALUE"),
        (["--steps", "many"], "--steps must be a number"),
        (["--method", "ppo", "--set", "normalize_costs=no"], "normalize_costs must be True or False, got 'no'"),
        (["--steps", "20.5"], "steps must be an integer >= 1, got 20.5"),
        (["--steps", "nan"], "steps must be an integer >= 1, got nan"),
        (["--steps", "inf"], "steps must be an integer >= 1, got inf"),
        (["--stop-at", "nan"], "stop_at must be finite, got nan"),
        (["--evaluate-every", "0"], "evaluate_every must be an integer >= 1, got 0"),
        (["--method", "none"], "method must be one of"),
        (["--method", "evolution", "--set", "population=many"], "population must be an integer >= 1, got 'many'"),
        (["--method", "evolution", "--set", "hidden=3"], "hidden must be widths"),
        (["--set", "lr=linear(1e-3)"], "lr must be a value or linear(START,END)"),
        (["--set", "lr=linear(1e-3,0,-5)"], "steps must be an integer >= 1, got -5"),
        (["--method", "ppo", "--set", "gamma=linear(1,0)"], "gamma must be a number, got Linear(start=1.0"),
        (["--processes", "0", "--method", "evolution"], "processes must be an integer >= 1, got 0"),
    ],
)
def test_the_command_answers_a_wrong_flag_in_a_line(tmp_path, monkeypatch, capsys, flags, says):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        main(["train", "CartPole-v1", *flags])
    assert end.value.code == 2
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1


def test_the_meter_says_how_much_is_left():
    meter = Meter(1000)
    assert meter.line(250, 10.0) == "250 of 1,000 steps; 0:00:10 elapsed; 0:00:30 left"


def test_learning_itself_shows_how_far_it_is_where_it_is_asked_to(capsys):
    quiet, loud = (Evolution("CartPole-v1", seed=0, population=4) for _ in range(2))
    rows = quiet.learn(400)
    assert capsys.readouterr().err == ""
    shown = loud.learn(400, progress=True)
    assert [row["return"] for row in shown] == [row["return"] for row in rows]  # it changes nothing else
    assert f"{loud.spent.steps:,} of 400 steps; return " in capsys.readouterr().err
