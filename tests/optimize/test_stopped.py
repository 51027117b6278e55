"""minimize is stopped: an error, Ctrl-C or SIGTERM leaves what it goes on from, and every evaluation is counted."""

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import Future
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

from rllab import Cost, minimize
from rllab.checkpoint import read_checkpoint
from rllab.estimators import GaussianSmoothing

AT = torch.tensor([1.5, -0.7, 0.4], dtype=torch.float64)


def stairs(x):
    return torch.floor(4 * x.abs()).sum(-1)


def descend(cost, path=None, **more):
    given = {"evaluations": 8, "budget": 80, "lr": 0.1, "key": 3, "checkpoint": path} | more
    return minimize(cost, AT, GaussianSmoothing(0.2), **given)


def stops(stop, evaluations):
    """Return a cost that raises, or sends itself a signal, once so many evaluations are charged."""

    def function(x):
        if cost.evaluated > evaluations:
            if isinstance(stop, signal.Signals):
                os.kill(os.getpid(), stop)
            else:
                raise stop
        return stairs(x)

    cost = Cost(function)
    return cost


STOPS = (KeyboardInterrupt, ZeroDivisionError, signal.SIGTERM, signal.SIGINT)


@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize("steps", (0, 4))
def test_what_stops_it_leaves_a_checkpoint_from_which_it_goes_on_bit_for_bit(stop, steps, tmp_path):
    error = KeyboardInterrupt if isinstance(stop, signal.Signals) else stop
    whole, cost = descend(Cost(stairs)), stops(stop, 8 * steps + 4)
    with pytest.raises(error) as caught:
        descend(cost, tmp_path / "run.pt")
    assert len(caught.value.trace) == steps and cost.evaluated == 8 * steps + 8
    note = "steps were done; they are this exception's attribute `trace`; 8 evaluations of the next one were asked for"
    assert f"{steps} {note}, and count as spent, made or not" in caught.value.__notes__[-1]
    assert caught.value.args == (("SIGTERM",) if stop is signal.SIGTERM else ())
    again = descend(rest := Cost(stairs), tmp_path / "run.pt", budget=88)
    assert cost.evaluated + rest.evaluated == again.evaluations[-1] == 88  # what was paid twice is counted twice
    assert torch.equal(again.at, whole.at) and again.values == whole.values
    assert again.evaluations == [*whole.evaluations[:steps], *(n + 8 for n in whole.evaluations[steps:])]


def test_evaluations_in_all_never_exceed_the_budget_however_often_it_is_stopped(tmp_path):
    paid = 0
    for after in (4, 20, 20):
        with pytest.raises(OSError):
            descend(cost := stops(OSError, after), tmp_path / "run.pt")
        paid += cost.evaluated
    trace = descend(cost := Cost(stairs), tmp_path / "run.pt")
    assert paid + cost.evaluated == trace.evaluations[-1] == 80 and len(trace) == 7
    with pytest.raises(OSError):
        descend(stops(OSError, 4), tmp_path / "other.pt")
    with pytest.raises(ValueError, match="budget must pay for one step of 8 evaluations, got 12, of which 8 are spent"):
        descend(Cost(stairs), tmp_path / "other.pt", budget=12)


class LosesOne:
    """An executor in this process that loses its n-th submission."""

    def __init__(self, n):
        self.n, self.seen = n, 0

    def submit(self, function, /, *inputs):
        future, self.seen = Future(), self.seen + 1
        if self.seen == self.n:
            future.set_exception(OSError("a machine went away"))
        else:
            future.set_result(function(*inputs))
        return future


def lossy(n):
    return Cost(lambda x: stairs(x[None])[0], batched=False, executor=LosesOne(n), chunk=1)


def test_a_step_that_a_loss_has_cost_is_told_and_none_that_it_has_not():
    with pytest.warns(RuntimeWarning, match=r"the budget of 80 also paid for .*, 1 of them: it ends after 9 steps"):
        trace = descend(cost := lossy(13))
    assert cost.repeated == 1 and cost.evaluated == 73 == trace.evaluations[-1] and len(trace) == 9
    assert trace.values == descend(Cost(stairs)).values[:9]  # the loss changes no number
    trace = descend(cost := lossy(13), budget=81)  # of which the last one pays for it; a warning would be an error
    assert cost.repeated == 1 and len(trace) == 10 and trace.evaluations[-1] == 81


def test_a_signal_between_two_steps_waits_until_the_step_is_whole(tmp_path):
    class Signalling(torch.optim.SGD):
        def step(self, closure=None):
            os.kill(os.getpid(), signal.SIGTERM)
            super().step(closure)

    with pytest.raises(KeyboardInterrupt) as caught:
        descend(cost := Cost(stairs), tmp_path / "run.pt", optimizer=Signalling)
    assert len(caught.value.trace) == 1 and cost.evaluated == 8
    saved = read_checkpoint(tmp_path / "run.pt")
    assert saved["evaluations"] == [8] and saved["spent"] == 8
    assert torch.equal(saved["leaves"]["at"], caught.value.trace.at) and not torch.equal(caught.value.trace.at, AT)


def test_handlers_are_afterwards_what_they_were_and_those_of_others_are_left_alone(tmp_path):
    numbers, told = (signal.SIGTERM, signal.SIGINT), []
    before = [signal.getsignal(number) for number in numbers]
    for cost, ends in ((stops(signal.SIGTERM, 20), pytest.raises(KeyboardInterrupt)), (Cost(stairs), nullcontext())):
        with ends:
            descend(cost, tmp_path / "run.pt")
        assert [signal.getsignal(number) for number in numbers] == before
    signal.signal(signal.SIGTERM, lambda number, frame: told.append(number))
    try:
        trace = descend(stops(signal.SIGTERM, 76), tmp_path / "other.pt")
    finally:
        signal.signal(signal.SIGTERM, before[0])
    assert told and len(trace) == 10
    found = []
    thread = threading.Thread(target=lambda: found.append(descend(Cost(stairs), tmp_path / "thread.pt")))
    thread.start()
    thread.join()
    assert len(found[0]) == 10  # no handler can be set there


def test_it_writes_as_often_as_it_is_told(tmp_path):
    seen = []

    def watched(x):
        seen.append((tmp_path / "run.pt").exists())
        return stairs(x)

    descend(Cost(watched), tmp_path / "run.pt")
    assert not any(seen)  # it is done within a minute
    (tmp_path / "run.pt").unlink()
    seen.clear()
    descend(Cost(watched), tmp_path / "run.pt", checkpoint_every=0)
    assert seen.index(True) == 2 and all(seen[2:])  # after the first step, and the look at the rows
    for wrong in (-1.0, float("nan")):
        with pytest.raises(ValueError, match="checkpoint_every must be"):
            descend(Cost(stairs), tmp_path / "run.pt", checkpoint_every=wrong)


SCRIPT = """
import sys, time
import torch
from rllab import Cost, estimators as est, minimize

def simulate(w):
    print("evaluated", flush=True)
    time.sleep(0.02)
    return float((w - 1).square().sum())

given = {"evaluations": 8, "budget": 4000, "lr": 0.1, "key": 0, "checkpoint": sys.argv[1]}
minimize(Cost(simulate, batched=False), torch.zeros(3), est.GaussianSmoothing(), **given)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGTERM")
def test_a_program_that_a_scheduler_ends_leaves_all_it_has_paid(tmp_path):
    path = Path(tmp_path / "run.pt")
    piped = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    child = subprocess.Popen([sys.executable, "-c", SCRIPT, path], **piped)
    assert child.stdout is not None
    for _ in range(30):
        assert child.stdout.readline() == "evaluated\n"
    child.send_signal(signal.SIGTERM)
    out, said = child.communicate(timeout=60)
    calls = 30 + out.count("evaluated")
    assert child.returncode == -signal.SIGINT and "KeyboardInterrupt: SIGTERM\nminimize: " in said
    saved = read_checkpoint(path)
    assert len(saved["values"]) >= 3 and calls <= saved["spent"] < calls + 8  # the block under way is charged whole
