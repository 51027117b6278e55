"""What goes wrong around learning: environments that hang, never end or end at once, a full disk, and slow leaks."""

import contextlib
import math
import multiprocessing
import os
import resource
import signal

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete

import rllab
from rllab.agents import PPO, TD3, Evolution, base, load, processes
from rllab.runs import Record
from tests.agents.test_agents_contract import KINDS, SMALL, make
from tests.proofs.soak import soak
from tests.proofs.toy_environments import Endless

every = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
ROLLOUT = {"num_envs": 2, "n_steps": 8, "batch_size": 8, "n_epochs": 1}


@every
def test_an_environment_that_never_ends_ends_no_call(kind, monkeypatch):
    agent = kind(Endless, 0, **{"hidden": (6,), **SMALL[kind.__name__]})
    whole = kind.__name__ in ("ARS", "Evolution", "Reinforce")  # they learn of whole episodes
    expected = pytest.warns(UserWarning, match="did not suffice for an update") if whole else contextlib.nullcontext()
    with expected:
        rows = agent.learn(120)
    assert 100 < agent.spent.steps <= 120 and all(row["return"] is None for row in rows)
    assert (agent.spent.updates > 0) != whole
    cut = agent.evaluate(2, max_steps=30)
    assert cut.lengths.tolist() == [30, 30] and not cut.complete
    monkeypatch.setattr(base, "LONGEST", 40)
    with pytest.warns(
        UserWarning, match=f"^{kind.__name__}: an episode of .* had not ended after 40 steps and was cut"
    ):
        assert agent.evaluate(1).lengths.tolist() == [40]


@every
def test_an_environment_that_ends_at_once_is_learned(kind):
    agent = kind(lambda: Endless(length=1), 0, **{"hidden": (6,), **SMALL[kind.__name__]})
    agent.learn(120)
    assert agent.spent.updates > 0 and agent.spent.steps <= 120
    assert agent.evaluate(3).lengths.tolist() == [1, 1, 1]


def test_a_worker_that_takes_long_is_waited_for_and_said(monkeypatch):
    monkeypatch.setattr(processes, "SILENCE", 0.2)
    agent = PPO(lambda: Endless(slow=3, seconds=0.5), 0, vectorization="process", hidden=(4,), **ROLLOUT)
    try:
        with pytest.warns(UserWarning) as said:
            agent.learn(6)
        wanted = "PPO: worker process 0 of the environments has not answered for 0.2 s; it is waited for"
        assert wanted in [str(warning.message) for warning in said]
        assert agent.spent.steps == 6
    finally:
        agent.collector.environments.close()


def test_a_worker_that_hangs_is_left_by_an_interrupt_and_ended(monkeypatch):
    monkeypatch.setattr(processes, "PATIENCE", 0.3)
    agent = PPO(lambda: Endless(slow=3, seconds=10**6), 0, vectorization="process", hidden=(4,), **ROLLOUT)
    with pytest.warns(UserWarning, match="did not suffice"):
        agent.learn(4)
    workers = [process for _, process in agent.collector.environments._workers]
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)  # as Ctrl-C does
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        with pytest.raises(KeyboardInterrupt):
            agent.learn(100)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    agent.collector.environments.close()
    assert not any(worker.is_alive() for worker in workers)
    assert not set(workers) & set(multiprocessing.active_children())


@contextlib.contextmanager
def full_disk(bytes_left):
    """A disk on which no file can grow beyond so many bytes: writing raises an OSError in the midst of it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_left, hard))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def test_a_disk_that_is_full_leaves_the_last_checkpoint(tmp_path):
    agent, path = make(TD3), tmp_path / "agent.pt"
    agent.learn(100)
    agent.save(path)
    whole, weights = path.read_bytes(), agent.weights.clone()
    agent.learn(50)
    with full_disk(len(whole) // 2), pytest.raises(OSError):
        agent.save(path)
    assert path.read_bytes() == whole and os.listdir(tmp_path) == ["agent.pt"]
    assert load(path).weights.equal(weights)
    agent.save(path)  # there is room again, and nothing was lost
    assert load(path).weights.equal(agent.weights) and load(path).spent.steps == 150


def test_a_disk_that_fills_up_ends_a_training_with_its_rows_kept(tmp_path):
    agent = Evolution("CartPole-v1", seed=0, hidden=(64, 64), population=2)
    with full_disk(10_000), pytest.raises(OSError):  # rows are some hundred bytes, a checkpoint 50 kB
        rllab.fit(agent, 300, folder=tmp_path / "run", checkpoint_every=100, episodes=1, progress=False)
    record = Record.open(tmp_path / "run")
    assert record.rows and record.rows[-1]["steps"] >= 100 and not record.finished
    assert not [name for name in os.listdir(tmp_path / "run") if name.startswith("agent.pt")]


@pytest.mark.slow
@pytest.mark.parametrize("kind", (Evolution, TD3), ids=lambda kind: kind.__name__)
def test_nothing_is_left_behind_by_the_step(kind):
    agent, seen = soak(kind, 4000)
    assert agent.spent.updates > 10
    first, last = seen[1], seen[-1]  # 2,000 steps apart
    assert last.descriptors == first.descriptors
    assert last.objects - first.objects < 500
    assert last.memory - first.memory < 4000  # kB


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.takes_choices], ids=lambda kind: kind.__name__)
def test_weights_that_are_no_numbers_end_learning_where_only_choices_are_seen(kind):
    agent = kind("CartPole-v1", 0, **{"hidden": (6,), **SMALL[kind.__name__]})
    with torch.no_grad():
        agent.weights[-1] = math.nan
    with pytest.raises(
        FloatingPointError, match=f"^{kind.__name__}: weights must stay finite, .* made some nan: it div"
    ):
        agent.learn(100)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.takes_choices], ids=lambda kind: kind.__name__)
def test_learning_that_diverges_is_named_and_no_environment_blamed(kind):
    agent = kind("Pendulum-v1", 0, **{"hidden": (6,), **SMALL[kind.__name__], "lr": 1e30})
    with pytest.raises(FloatingPointError, match=f"^{kind.__name__}: .* it diverged; take a smaller lr"):
        agent.learn(200)


def test_ppo_does_not_go_on_with_what_a_rate_beyond_all_measure_left():
    with pytest.raises(FloatingPointError, match=r"^PPO: .* it diverged"):
        PPO("CartPole-v1", 0, lr=1e30, max_grad_norm=None, hidden=(6,), **ROLLOUT).learn(200)


class Counted(gymnasium.Wrapper):
    """Count the environments that are open."""

    open = 0

    def __init__(self, env):
        super().__init__(env)
        Counted.open += 1

    def close(self):
        super().close()
        Counted.open -= 1


@every
def test_a_gradient_and_an_evaluation_let_go_of_their_environments(kind):
    agent = make(kind, wrappers=[Counted])
    agent.learn(100)
    before = Counted.open
    agent.gradient(steps=400, key=1)
    agent.evaluate(2)
    assert Counted.open == before
    with pytest.raises(ValueError, match="first must be an integer >= 0, got -1"):
        agent.evaluate(2, first=-1)
    assert Counted.open == before


class Wide(gymnasium.Env):
    """See as many numbers as it is told, and choose among as many."""

    def __init__(self, width=3, choices=2):
        self.observation_space, self.action_space = Box(-1, 1, (width,)), Discrete(choices)

    def reset(self, *, seed=None, options=None):
        return np.zeros(self.observation_space.shape, np.float32), {}

    def step(self, action):
        return np.zeros(self.observation_space.shape, np.float32), 1.0, True, False, {}


@pytest.mark.parametrize("arguments", ({"width": 1}, {"width": 4}, {"choices": 3}), ids=str)
def test_an_evaluation_in_another_environment_must_see_and_do_the_same(arguments):
    agent = PPO(Wide, 0, hidden=(4,), **ROLLOUT)
    wanted = r"^PPO: environment_arguments must leave observations and actions as they were in learning, got Box\("
    with pytest.raises(ValueError, match=wanted):
        agent.evaluate(2, environment_arguments=arguments)
    assert agent.evaluate(2, environment_arguments={"width": 3}).returns.tolist() == [1.0, 1.0]
