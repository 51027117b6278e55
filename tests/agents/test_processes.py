"""Environments in worker processes give the same numbers as here, and an error or a death there is said here."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from rllab.agents import TD3, Reinforce
from rllab.agents.environments import SingleEnvironments
from rllab.agents.making import Maker
from rllab.agents.processes import ProcessEnvironments
from tests.proofs.agents import all_of, timeless
from tests.proofs.toy_environments import DRIFT, Drift, Sick

N = 5
SHORT = {"cap": 11, "fall": 0.9}  # episodes that end at different times


def test_a_worker_loads_no_torch():
    program = "import sys, rllab.agents.processes; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], timeout=240).returncode == 0


@pytest.fixture(scope="module")
def two():
    environments = ProcessEnvironments(Maker("Test", DRIFT, SHORT), N, workers=2)
    yield environments
    environments.close()


def history(environments):
    rng, seen = np.random.default_rng(0), []
    taken = environments.taken
    seen.append(environments.reset(range(N)))
    going = np.ones(N, bool)
    for t in range(60):
        live = rng.permutation(np.flatnonzero(going))
        seen.extend(environments.step(rng.uniform(-1, 1, (len(live), 1)).astype(np.float32), live))
        going[live[seen[-1] | seen[-2]]] = False
        ended = np.flatnonzero(~going)
        if len(ended) == N or (t % 7 == 6 and ended.size):
            seen.append(environments.reset([100 * t + i for i in ended], ended))
            going[:] = True
    return seen, environments.taken - taken


def test_the_numbers_are_those_of_environments_here(two):
    (seen, taken), (expected, steps) = history(two), history(SingleEnvironments(Maker("Test", DRIFT, SHORT), N))
    assert taken == steps < 60 * N and len(seen) == len(expected)
    for one, other in zip(seen, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(two._workers) == 2 and two._worker.tolist() == [0, 0, 0, 1, 1]


def test_a_question_that_is_interrupted_leaves_no_answer_to_the_next_one(two, monkeypatch):
    def interrupted(k):
        raise KeyboardInterrupt

    actions, live = np.zeros((N, 1), np.float32), np.arange(N)
    two.reset(range(N))
    with monkeypatch.context() as patch:
        patch.setattr(two, "_hear", interrupted)
        with pytest.raises(KeyboardInterrupt):
            two.step(actions, live)
    (seen, taken), (expected, steps) = history(two), history(SingleEnvironments(Maker("Test", DRIFT, SHORT), N))
    for one, other in zip(seen, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert taken == steps + N  # what was taken meanwhile counts


@pytest.mark.parametrize("kind", (TD3, Reinforce), ids=lambda kind: kind.__name__)
def test_an_agent_learns_the_same_in_processes(kind):
    small = {"num_envs": 2, "learning_starts": 40, "batch_size": 8} if kind is TD3 else {"episodes": 2}
    here, there = (kind(lambda: Drift(cap=9), hidden=(4,), vectorization=v, **small) for v in ("auto", "process"))
    assert timeless(here.learn(150)) == timeless(there.learn(150)) and all_of(here) == all_of(there)


@pytest.mark.slow
def test_an_error_in_a_worker_comes_here_and_the_others_go_on():
    environments = ProcessEnvironments(Maker("Test", DRIFT, wrappers=(Sick,)), 2, workers=2)
    live, actions = np.arange(2), np.zeros((2, 1), np.float32)
    environments.reset([1, 2])
    for only in (live, live[:1]):
        environments.step(actions[: len(only)], only)
    with pytest.raises(RuntimeError, match="Local: the motor is broken"):
        environments.step(actions, live)
    environments.reset([3, 4])
    environments.step(actions[:1], live[:1])
    with pytest.raises(RuntimeError, match="Local: the motor is broken"):
        environments.step(actions, live)

    _, process = environments._workers[1]
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(RuntimeError, match="Test: worker process 1 of the environments has ended, exit code -9"):
        environments.reset([5, 6])
    others = [process for _, process in environments._workers]
    environments.close()
    deadline = time.monotonic() + 10
    while any(process.is_alive() for process in others) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(process.is_alive() for process in others)


def test_an_unknown_vectorization_is_refused():
    with pytest.raises(ValueError, match=r"TD3: vectorization must be one of .*, got 'threads'"):
        TD3(DRIFT, vectorization="threads")
