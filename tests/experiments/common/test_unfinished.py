"""A loop that is stopped between any two things goes on from where it was, and ends with the same bits."""

from experiments.common import unfinished
from experiments.common.unfinished import going_on

import pytest
import torch
from torch import nn

from rllab import BlackBox, Cost, Key
from rllab import estimators as est
from rllab.critics import Critic
from rllab.runs import Job, Record, states, sweep
from tests.proofs.agents import timeless

STEPS = 7


class Killed(BaseException):
    """What stops a run here as a kill would."""


def distance(outputs):
    return outputs.square().sum(1)


def work(job, record, *, stop=None):
    """Learn through a box and by an estimator whose state travels; all that changes is a part."""
    key = Key(job.seed)
    net = nn.Linear(2, 2)
    with torch.no_grad():
        for p in net.parameters():
            p.uniform_(-1, 1, generator=key.child("net").generator())
    draws, ledger, other = key.child("draws").generator(), Cost(distance), Cost(distance)
    critic = Critic(hidden=(4,), gradient_steps=2)
    box = BlackBox(distance, critic, 4, scope="cost", budget=ledger, check_rows=False, key=key.child("box"))
    adam, memory, seen = torch.optim.Adam(net.parameters(), lr=0.1), {"state": None, "best": 9.0}, []
    at = torch.ones(2)
    parts = {"net": net, "adam": adam, "draws": draws, "box": box, "other": other}
    for i in going_on(record, range(STEPS), {**parts, "memory": memory, "seen": seen, "at": at}):
        adam.zero_grad()
        loss = box(net(torch.randn(8, 2, generator=draws))).mean()
        loss.backward()
        adam.step()
        how = {"evaluations": 4, "key": key.child("step", i), "errors": False}
        estimate = est.GuidedSmoothing()(other, at, state=memory["state"], **how)
        at -= 0.1 * estimate.gradient
        memory["state"], memory["best"] = estimate.state, min(memory["best"], float(loss.detach()))
        seen.append(i)
        spent = ledger.evaluations + other.evaluations
        record.append({"evaluations": spent, "loss": loss.item(), "x": at[0].item(), "best": memory["best"]})
        if i == stop:
            raise Killed
    return {"seen": seen, "x": at[0].item(), "weight": net.weight[0, 0].item(), "spent": ledger.evaluations}


def run(folder, stop=None, **more):
    def worker(job, record):
        return work(job, record, stop=stop)

    return sweep(worker, [Job("job", {}, 3)], folder, config={}, processes=1, resume=True, **more)


@pytest.fixture(autouse=True)
def a_state_after_everything(monkeypatch):
    monkeypatch.setattr(states, "SECONDS_PER_STATE", 0.0)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    (record,) = run(tmp_path_factory.mktemp("whole"))
    return record


def test_it_goes_on_bit_for_bit_wherever_it_was_stopped(whole, tmp_path):
    for stop in range(STEPS):  # from the state after the one before
        with pytest.raises(Killed):
            run(tmp_path, stop)
    (again,) = run(tmp_path)
    assert timeless(again.rows) == timeless(whole.rows) and again.summary == whole.summary
    assert again.summary["seen"] == list(range(STEPS))
    assert sorted(p.name for p in again.folder.iterdir()) == sorted(p.name for p in whole.folder.iterdir())


@pytest.mark.filterwarnings("ignore:.*a row made again differs")
@pytest.mark.parametrize("lost", ["net", "adam", "draws", "box", "other", "memory", "seen", "at", "how many are done"])
def test_a_part_that_is_not_brought_back_is_noticed(lost, whole, tmp_path, monkeypatch):
    with pytest.raises(Killed):
        run(tmp_path, 4)
    if lost == "how many are done":
        go_on = states.States.go_on
        monkeypatch.setattr(states.States, "go_on", lambda s, load: (go_on(s, load)[0], {"done": 0}))
    else:
        number = ["net", "adam", "draws", "box", "other", "memory", "seen", "at"].index(lost)
        calls, bring_back = iter(range(99)), unfinished._bring_back
        monkeypatch.setattr(
            unfinished, "_bring_back", lambda part, held: next(calls) == number or bring_back(part, held)
        )
    (again,) = run(tmp_path)
    assert timeless(again.rows) != timeless(whole.rows) or again.summary != whole.summary


def test_a_state_of_other_parts_is_passed_over_and_a_part_of_another_kind_named(tmp_path):
    def before(job, record):
        for i in going_on(record, range(3), {"memory": {"old": 1}}):
            record.append({"i": i})
            if i == 1:
                raise Killed

    def now(job, record):
        total = {"sum": 0}
        for i in going_on(record, range(3), {"total": total}):
            record.append({"i": i})
            total["sum"] += i
        return total

    with pytest.raises(Killed):
        sweep(before, [Job("job", {}, 0)], tmp_path, config={}, processes=1)
    (done,) = sweep(now, [Job("job", {}, 0)], tmp_path, config={}, processes=1, resume=True)
    assert done.summary == {"sum": 3} and [row["i"] for row in done.rows] == [0, 1, 2]
    with Record.create(tmp_path / "other", {}, seed=0) as record:
        with pytest.raises(TypeError, match=r"going_on: count must be one of .*, got int"):
            list(going_on(record, range(2), {"count": 3}))
    assert list(going_on(None, "ab")) == ["a", "b"]
