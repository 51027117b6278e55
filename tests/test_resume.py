"""Runs that are stopped at any moment go on inside themselves: rows and weights are those of a run nothing stopped."""

import functools
import sys

import gymnasium
import numpy as np
import pytest
import torch

import rllab
from rllab import Bernoulli, Cost, critics, estimators, training
from rllab.agents import ARS, PPO, SAC, TD3, CrossQ, Evolution, Reinforce
from rllab.agents.base import Agent
from rllab.optimize import minimizing
from rllab.runs import Job, Record, load_records, states, sweep
from rllab.runs.states import States
from rllab.training import described, fit, train_seeds
from rllab.tuning import Range, tune
from tests.proofs.agents import all_of, kinds, timeless
from tests.proofs.kills import kill_minimize, kill_training
from tests.proofs.toy_environments import DRIFT

OFF_POLICY = {"learning_starts": 40, "batch_size": 16, "critic_hidden": (8,), "buffer_size": 150, "train_freq": 20}
SMALL = {
    ARS: {"n_delta": 2, "n_top": 1, "normalize_observations": True},
    CrossQ: OFF_POLICY,
    Evolution: {"population": 4},
    PPO: {"num_envs": 4, "n_steps": 12, "batch_size": 16, "n_epochs": 2},
    Reinforce: {"episodes": 4},
    SAC: OFF_POLICY | {"n_steps": 2},
    TD3: OFF_POLICY | {"num_envs": 2},
}
STEPS = {CrossQ: 2100, SAC: 2100, TD3: 2100}  # iterations of 1000


class Killed(BaseException):
    """What stops a run here as a kill would: nothing after it is done."""


@pytest.fixture(autouse=True)
def a_state_after_every_row(monkeypatch):
    monkeypatch.setattr(states, "SECONDS_PER_STATE", 0.0)


def stop_at(monkeypatch, owner, name, calls, *, after=True):
    """Let the call of a method with this number raise, after it was done or before."""
    method, count = getattr(owner, name), iter(range(10**9))

    @functools.wraps(method)
    def stopping(*args, **options):
        last = next(count) == calls
        if last and not after:
            raise Killed
        done = method(*args, **options)
        if last:
            raise Killed
        return done

    monkeypatch.setattr(owner, name, stopping)


def test_there_is_a_case_for_every_agent():
    assert {kind.__name__ for kind in SMALL} == {kind.__name__ for kind in kinds()}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:fit. evaluate_every=150 is shorter than an iteration")
@pytest.mark.parametrize("kind", SMALL, ids=lambda kind: kind.__name__)
def test_every_agent_goes_on_bit_for_bit(kind, tmp_path, monkeypatch):
    steps, options = STEPS.get(kind, 400), {"evaluate_every": 150, "episodes": 2, "max_steps": 50, "progress": False}
    make = functools.partial(kind, DRIFT, seed=3, hidden=(8,), **SMALL[kind])
    whole = fit(make(), steps, folder=tmp_path / "whole", **options)
    n = len(whole.rows)
    assert n >= 3
    # after a row, before its state; while a state is written; in the middle of an iteration of learning
    for owner, name, calls, after in (
        (Record, "append", 0, True),
        (States, "write", n // 2, False),
        (Agent, "save", 0, True),
        (kind, "_iterate", 1, False),
    ):
        with monkeypatch.context() as patch:
            stop_at(patch, owner, name, calls, after=after)
            with pytest.raises(Killed):
                fit(make(), steps, folder=tmp_path / "run", resume=True, **options)
    agent = make()
    done = fit(agent, steps, folder=tmp_path / "run", resume=True, **options)
    assert all_of(done.agent) == all_of(whole.agent) and agent.spent.steps == 0
    assert timeless(done.rows) == timeless(whole.rows) and np.array_equal(done.returns, whole.returns)
    assert (done.best, done.best_steps) == (whole.best, whole.best_steps)
    run, uninterrupted = Record.open(tmp_path / "run"), Record.open(tmp_path / "whole")
    assert timeless(run.rows) == timeless(uninterrupted.rows) and run.finished
    names = [sorted(path.name for path in record.folder.iterdir()) for record in (run, uninterrupted)]
    assert names[0] == names[1] and not any(name.startswith("state") for name in names[0])


def test_a_sweep_goes_on_inside_a_run_and_a_damaged_state_gives_way_to_the_one_before(tmp_path, monkeypatch):
    def train(folder, **more):
        schedule = training.Schedule(evaluate_every=300, episodes=2, max_steps=20)
        made = {"seeds": 1, "settings": {"population": 4, "hidden": ()}, "schedule": schedule, "processes": 1}
        return train_seeds("evolution", "CartPole-v1", 900, folder, **made, **more)

    (whole,) = train(tmp_path / "whole")
    with monkeypatch.context() as patch:
        stop_at(patch, Record, "append", 4)
        with pytest.raises(Killed):
            train(tmp_path / "stopped")
    run = tmp_path / "stopped" / "evolution-0"
    _, second = sorted(run.glob("state-*.pt"))
    second.write_bytes(b"damaged")
    (run / "rows.jsonl").write_bytes((run / "rows.jsonl").read_bytes() + b'{"torn')
    went_on = []
    with monkeypatch.context() as patch:
        go_on = States.go_on
        patch.setattr(States, "go_on", lambda self, load: went_on.append(go_on(self, load)) or went_on[-1])
        (again,) = train(tmp_path / "stopped", resume=True)
    assert len(went_on) == 1 and went_on[0] is not None
    assert timeless(again.rows) == timeless(whole.rows)
    assert {k: v for k, v in again.summary.items() if "seconds" not in k} == {
        k: v for k, v in whole.summary.items() if "seconds" not in k
    }
    assert not list(run.glob("interrupted-*"))


@pytest.mark.slow
def test_a_search_goes_on_inside_its_runs(tmp_path, monkeypatch):
    def search(folder, **more):
        on = {"steps": 1800, "trials": 3, "seeds": 1, "fixed": {"hidden": (), "population": 4}, "episodes": 2}
        return tune(
            "evolution", "CartPole-v1", folder, ranges={"lr": Range(1e-3, 1.0, "log")}, processes=1, **on, **more
        )

    whole, went_on = search(tmp_path / "whole"), []
    for calls in (0, 0, 3):  # of states, in the first rung and in later ones
        with monkeypatch.context() as patch:
            stop_at(patch, States, "write", calls)
            with pytest.raises(Killed):
                search(tmp_path / "stopped", resume=True)
    with monkeypatch.context() as patch:
        go_on = States.go_on
        patch.setattr(States, "go_on", lambda self, load: went_on.append(go_on(self, load)) or went_on[-1])
        again = search(tmp_path / "stopped", resume=True)
    assert went_on[0] is not None
    assert (again.best, again.trials) == (whole.best, whole.trials)
    runs = [{r.folder.name: timeless(r.rows) for r in load_records(tmp_path / f)} for f in ("whole", "stopped")]
    assert runs[0] == runs[1] and len(runs[0]) == 5


@pytest.mark.parametrize("wrong", ["rows are doubled", "progress begins anew"])
def test_what_goes_on_wrongly_is_noticed(wrong, tmp_path, monkeypatch):
    def train(folder):
        agent = Evolution("CartPole-v1", hidden=(), population=4)
        options = {"evaluate_every": 100, "episodes": 2, "max_steps": 20, "progress": False, "resume": True}
        return fit(agent, 700, folder=folder, **options)

    whole = train(tmp_path / "whole")
    with monkeypatch.context() as patch:
        stop_at(patch, Record, "append", 3)
        with pytest.raises(Killed):
            train(tmp_path / "run")
    if wrong == "rows are doubled":
        monkeypatch.setattr(Record, "repeat", lambda record, size=0: None)
    else:
        go_on = States.go_on
        monkeypatch.setattr(States, "go_on", lambda s, load: (go_on(s, load)[0], {"start": 0, "start_seconds": 0.0}))
    done = train(tmp_path / "run")
    same = timeless(done.rows) == timeless(whole.rows) and done.best_steps == whole.best_steps
    assert same is False and torch.equal(done.agent.weights, whole.agent.weights)


def test_a_state_of_other_versions_is_not_gone_on_from(tmp_path, monkeypatch):
    config = {"steps": 1}
    with Record.create(tmp_path / "all" / "job", config, seed=0) as record:
        record.append({"steps": 1})
        States(record).write(lambda path: path.write_bytes(b"state"), start=0)
    kept = tmp_path / "all" / "job" / "states.json"
    kept.write_text(kept.read_text().replace('"rllab": "', '"rllab": "0.0.'))
    (tmp_path / "all" / "config.json").write_text("{}")
    (done,) = sweep(
        lambda job, record: record.append({"steps": 2}),
        [Job("job", config, 0)],
        tmp_path / "all",
        config={},
        resume=True,
        processes=1,
    )
    assert done.rows == [{"steps": 2}] and (done.folder / "interrupted-1" / "states.json").exists()


def test_a_function_is_recorded_by_its_name_in_whatever_process_it_is():
    def made_in_a_process():
        def make():
            return gymnasium.make("CartPole-v1")

        return Evolution(make, hidden=(), population=4, wrappers=[lambda env: env])

    one, other = described(made_in_a_process()), described(made_in_a_process())
    assert one == other
    assert one["environment"].startswith(f"{__name__}:") and one["environment"].endswith("make")
    assert one["settings"]["wrappers"][0].endswith("<lambda>") and one["settings"]["hidden"] == []


def test_what_cannot_go_on_is_refused(tmp_path):
    def agent(**changes):
        return Evolution("CartPole-v1", hidden=(), population=4, **changes)

    fit(agent(), 200, folder=tmp_path / "run", episodes=2, progress=False)
    with pytest.raises(ValueError, match=r"run whose config\.settings\.lr is 0\.\d+, not 0\.5: choose another folder"):
        fit(agent(lr=0.5), 200, folder=tmp_path / "run", episodes=2, progress=False, resume=True)
    with pytest.raises(ValueError, match=r"Record\.reopen: the run in .* is finished"):
        fit(agent(), 200, folder=tmp_path / "run", episodes=2, progress=False, resume=True)
    with pytest.raises(FileExistsError):
        fit(agent(), 200, folder=tmp_path / "run", episodes=2, progress=False)


def test_a_run_that_another_process_writes_is_not_gone_on_with(tmp_path):
    with Record.create(tmp_path / "run", {}, seed=0):
        with pytest.raises(ValueError, match="is being written by another process: wait for it, or end it"):
            Record.reopen(tmp_path / "run")


COST = Cost(lambda x: (x - 0.3).square().sum(-1))
CASES = {
    "without a state": (torch.ones(3), estimators.GaussianSmoothing(0.1)),
    "a critic": (torch.ones(3), critics.Critic(hidden=(5,), gradient_steps=4)),
    "a control variate": (Bernoulli(torch.zeros(3)), estimators.Relax()),
    "remembered directions": (torch.ones(3), estimators.GuidedSmoothing()),
}


@pytest.mark.parametrize("case", CASES)
def test_minimize_goes_on_bit_for_bit(case, tmp_path, monkeypatch):
    at, estimator = CASES[case]

    def minimize(budget=320, **more):
        cost = Cost(lambda x: (x - 0.3).square().sum(-1))
        given = {"evaluations": 16, "budget": budget, "lr": 0.05, "key": 5, "checkpoint_every": 0}
        return rllab.minimize(cost, at, estimator, **given, **more)

    whole, path = minimize(), tmp_path / "new" / "minimum.pt"
    with monkeypatch.context() as patch:
        stop_at(patch, minimizing._Checkpoint, "write", 6)
        with pytest.raises(Killed):
            minimize(checkpoint=path)
        stop_at(patch, minimizing._Checkpoint, "write", 2, after=False)
        with pytest.raises(Killed):
            minimize(checkpoint=path)
    done = minimize(checkpoint=path)
    assert done.evaluations == whole.evaluations and done.values == whole.values
    parts = [(t.at,) if isinstance(t.at, torch.Tensor) else tuple(t.at.parameters.values()) for t in (done, whole)]
    assert all(torch.equal(a, b) for a, b in zip(*parts, strict=True))
    again = minimize(checkpoint=path, budget=400)  # more than before
    assert again.values == minimize(budget=400).values
    with pytest.raises(ValueError, match="holds a run of another lr, key: give another checkpoint"):
        rllab.minimize(COST, at, estimator, evaluations=16, budget=320, lr=0.1, key=6, checkpoint=path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="must be a checkpoint of rllab"):
        minimize(checkpoint=path)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL")
@pytest.mark.parametrize("method", ["ppo", "minimize"])
def test_killed_by_the_system_it_goes_on_bit_for_bit(method, tmp_path):
    if method == "minimize":
        killed, alike = kill_minimize(tmp_path, kills=3, seed=0, budget=1200)
    else:
        killed, alike = kill_training(method, tmp_path, kills=3, seed=0, steps=2100)
    assert killed >= 1 and alike
