"""Schedules: a line in the steps taken, and nothing else."""

from itertools import pairwise

import pytest
import torch

from rllab.agents import PPO, CrossQ, Evolution, OffPolicy, load, off_policy
from rllab.agents.schedules import Linear, as_scheduled, check_scheduled, now
from rllab.agents.spent import Spent
from tests.proofs.agents import kinds
from tests.proofs.toy_environments import DRIFT

every = pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)


def test_a_line_goes_from_start_to_end_and_stays():
    line = Linear(0.4, 0.2, steps=100)
    assert [line.at(Spent(steps=s)) for s in (0, 50, 100, 250)] == pytest.approx([0.4, 0.3, 0.2, 0.2], abs=1e-15)
    assert line.at(Spent(steps=50, first_call=7)) == line.at(Spent(steps=50))
    assert Linear(0.4, 0.2, steps=1e2) == line and type(Linear(0.4, 0.2, steps=1e2).steps) is int


def test_without_steps_of_its_own_it_ends_with_the_first_call():
    line = Linear(1.0, 0.0)
    assert [line.at(Spent(steps=s, first_call=10)) for s in (0, 5, 20)] == [1.0, 0.5, 0.0]
    assert line.at(Spent()) == 1.0
    assert now(line, Spent(steps=5, first_call=10)) == 0.5 and now(0.25, Spent(steps=5)) == 0.25


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (-1.0, "lr must be positive and finite, got -1.0"),
        (0.0, "lr must be positive and finite, got 0.0"),
        (Linear(-1.0, 0.0), "lr.start must be >= 0 and finite, got -1.0"),
        (Linear(1.0, -0.5), "lr.end must be >= 0 and finite, got -0.5"),
    ],
)
def test_what_is_no_learning_rate_is_refused(value, message):
    with pytest.raises(ValueError, match=f"Somebody: {message}"):
        check_scheduled("Somebody", lr=value)


def test_a_text_stands_for_a_schedule_and_nothing_in_it_is_run():
    assert as_scheduled("lr", " LINEAR ( 3e-4 , 0 ) ") == Linear(3e-4, 0.0)
    assert as_scheduled("lr", "linear(1,0,2_000)") == Linear(1.0, 0.0, steps=2000)
    for other in (0.1, "relu", "linearly", None):
        assert as_scheduled("lr", other) is other
    for wrong in (
        "linear",
        "linear(1)",
        "linear(1,2,3,4)",
        "linear(1,2,0.5)",
        "linear(1,2",
        "linear(nan,0)",
        "linear(1,exit())",
    ):
        with pytest.raises(ValueError, match=r"train: lr must be a value or linear\(START,END\)"):
            as_scheduled("lr", wrong)


def test_its_errors_name_it():
    with pytest.raises(ValueError, match="Linear: steps must be an integer >= 1, got 0"):
        Linear(1.0, 0.0, steps=0)
    with pytest.raises(ValueError, match=r"Linear: steps must be an integer >= 1, got 0\.5"):
        Linear(1.0, 0.0, steps=0.5)  # type: ignore[arg-type] - that is the test
    with pytest.raises(TypeError, match="Linear: start must be a number, got 'a'"):
        Linear("a", 0.0)  # type: ignore[arg-type] - that is the test
    with pytest.raises(TypeError, match=r"Somebody: lr must be a number or agents.Linear\(start, end\), got 'a'"):
        check_scheduled("Somebody", lr="a")


@pytest.fixture
def small(kind, monkeypatch):
    """Arguments by which an agent of a kind makes several updates in 400 steps, in blocks of 100 if it has blocks."""
    monkeypatch.setattr(off_policy, "BLOCK", 100)
    if issubclass(kind, OffPolicy):
        return {"learning_starts": 10, "train_freq": 10, "batch_size": 16, "critic_hidden": (8,)}
    return {PPO: {"num_envs": 2, "n_steps": 32}, Evolution: {"population": 4}}.get(kind, {})


@every
def test_rows_say_the_learning_rate_of_the_first_update(kind, small):
    line = Linear(1e-2, 1e-3, steps=800)
    rows = kind(DRIFT, 3, hidden=(), lr=line, **small).learn(400)
    learned = [row for row in rows if row["lr"] is not None]
    assert learned and all(
        (row["lr"] is None) is (row["updates"] == before["updates"]) for before, row in pairwise(rows)
    )
    # of TD3, SAC and CrossQ the last multiple of 100 steps before the first update of the row, else the row's end
    at = [row["steps"] - 100 if issubclass(kind, OffPolicy) else row["steps"] for row in learned]
    assert [row["lr"] for row in learned] == [line.at(Spent(steps=steps)) for steps in at]


@pytest.mark.slow
@every
def test_who_pays_for_updates_at_a_rate_of_0_is_told(kind, small, tmp_path):
    agent = kind(DRIFT, 3, hidden=(), lr=Linear(1e-2, 0.0), **small)
    agent.learn(400)  # PPO's last update is at 0, others are not: no warning, which would be an error here
    agent.save(tmp_path / "agent.pt")
    again = load(tmp_path / "agent.pt")
    before = again.weights.clone()
    with pytest.warns(UserWarning, match="the learning rate was 0 in .* does not begin again; to go on, set lr to a"):
        again.learn(400)
    assert kind is CrossQ or torch.equal(again.weights, before)  # CrossQ's normalisation is part of its weights
    with pytest.warns(UserWarning, match=f"{kind.__name__}: the learning rate was 0"):
        load(tmp_path / "agent.pt", lr=Linear(1e-2, 0.0)).learn(400)
    for lr in (1e-2, Linear(1e-2, 0.0, steps=100_000)):
        taught = load(tmp_path / "agent.pt", lr=lr)
        taught.learn(400)
        assert not torch.equal(taught.weights, before)
