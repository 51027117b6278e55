"""Ctrl-C and SIGTERM in training: the iteration ends, its state is kept, and goes on as if nothing had stopped it."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from rllab.agents import PPO
from rllab.runs import Record
from rllab.stopping import HeldSignals, sigterm_interrupts
from rllab.training import fit
from tests.proofs.agents import all_of, timeless
from tests.proofs.toy_environments import DRIFT


class Ended(BaseException):
    """What the handler raises that a test has in the place of the system's."""


def make():
    return PPO(DRIFT, seed=3, hidden=(4,), num_envs=4, n_steps=12, batch_size=16, n_epochs=1)


def train(folder):
    return fit(make(), 200, folder=folder, evaluate_every=96, episodes=2, max_steps=20, progress=False, resume=True)


def interrupt_iteration(monkeypatch, *numbers):
    """Let signals come in the middle of the second iteration."""
    iterate, calls = PPO._iterate, iter(range(10**9))

    def interrupted(agent, limit):
        if next(calls) == 1:
            for number in numbers:
                signal.raise_signal(number)
        return iterate(agent, limit)

    monkeypatch.setattr(PPO, "_iterate", interrupted)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_the_state_is_kept_and_goes_on_bit_for_bit(number, tmp_path, monkeypatch, capsys):
    def end(*_):
        raise Ended

    whole, before = train(tmp_path / "whole"), signal.signal(number, end)
    try:
        with monkeypatch.context() as patch:
            interrupt_iteration(patch, number)
            with pytest.raises(Ended):
                train(tmp_path / "run")
        assert signal.getsignal(number) is end
    finally:
        signal.signal(number, before)
    assert ("a second Ctrl-C ends at once" in capsys.readouterr().err) is (number == signal.SIGINT)
    stopped = Record.open(tmp_path / "run")
    assert not stopped.finished and [row["steps"] for row in stopped.rows] == [48, 96]
    taken = []
    with monkeypatch.context() as patch:
        iterate = PPO._iterate
        patch.setattr(PPO, "_iterate", lambda agent, limit: taken.append(agent.spent.steps) or iterate(agent, limit))
        done = train(tmp_path / "run")
    assert taken[0] == 96  # nothing is done twice
    assert all_of(done.agent) == all_of(whole.agent) and timeless(done.rows) == timeless(whole.rows)
    assert np.array_equal(done.returns, whole.returns)
    assert (done.best, done.best_steps) == (whole.best, whole.best_steps)


def test_a_second_interrupt_ends_it_at_once(tmp_path, monkeypatch):
    interrupt_iteration(monkeypatch, signal.SIGINT, signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "run")
    assert [row["steps"] for row in Record.open(tmp_path / "run").rows] == [48]
    assert not (tmp_path / "run" / "states.json").exists()


def test_nothing_is_held_that_is_ignored_nor_in_another_thread_nor_without_a_folder(tmp_path, monkeypatch):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with HeldSignals() as held:
            signal.raise_signal(signal.SIGINT)
        assert not held.came and signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    done = []
    thread = threading.Thread(target=lambda: done.append(train(tmp_path / "thread")))
    thread.start()
    thread.join()
    assert len(done[0].rows) > 1
    interrupt_iteration(monkeypatch, signal.SIGINT)
    agent = make()
    with pytest.raises(KeyboardInterrupt):
        fit(agent, 200, progress=False)
    assert agent.spent.steps == 48


def test_sigterm_is_an_interrupt_inside_of_the_block_alone():
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with pytest.raises(KeyboardInterrupt), sigterm_interrupts():
            signal.raise_signal(signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGTERM")
def test_the_command_keeps_the_states_of_its_children(tmp_path):
    flags = "CartPole-v1 --method ppo --steps 10_000_000 --seeds 2 --episodes 1 --set num_envs=2 n_steps=32".split()
    command = [sys.executable, "-c", "from rllab.cli import main; main()", "train", *flags, "--out", str(tmp_path)]
    parent = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    runs, last = [tmp_path / f"ppo-{seed}" for seed in (0, 1)], time.monotonic() + 120
    while not all((run / "run.json").exists() and Record.open(run).rows for run in runs) and time.monotonic() < last:
        time.sleep(0.1)
    os.kill(parent.pid, signal.SIGTERM)
    said = parent.communicate(timeout=120)[1]
    assert parent.returncode == 130 and said.splitlines()[-1].endswith("are finished; --resume goes on)")
    assert all((run / "states.json").exists() and Record.open(run).rows for run in runs)
