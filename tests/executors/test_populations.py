"""Populations that an executor plays: bits, steps and files of those played here, whoever is lost or interrupted."""

import os
import sys
import threading
import time
import warnings
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest
import torch

import rllab
from rllab.agents import ARS, Evolution, load, player, spread_episodes
from rllab.agents.normalize import RunningMoments
from rllab.agents.player import Player
from rllab.agents.population import Seen
from rllab.agents.spread_episodes import SpreadEpisodes
from rllab.estimators import CentralDifference, GaussianSmoothing, OrthogonalSmoothing
from rllab.executors import EvaluationLost, NotSendable
from rllab.runs import states
from rllab.training import described
from tests.proofs.executors import Backwards
from tests.proofs.toy_environments import CHOICE, DRIFT, LOG, Drift
from tests.proofs.weighing import Weighing

CUTS = (57, 100, 31, 20, 7, 300)  # steps of calls, most of which end within a generation
linux = pytest.mark.skipif(sys.platform != "linux", reason="signals")


def learned(agent, calls=CUTS):
    """Learn in calls of so many steps; return all that a user sees of it."""
    rows = []
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*did not suffice for an update")
        for steps in calls:
            rows += [[row[name] for name in ("steps", "episodes", "updates", "return")] for row in agent.learn(steps)]
    seen = [] if agent.normalizer is None else [part.tolist() for part in agent.normalizer.state_dict().values()]
    return rows, agent.weights.tolist(), seen


def prove_the_same_elsewhere(make, executor=None):
    here, there = make(), make(executor=Backwards() if executor is None else executor)
    assert learned(here) == learned(there)
    assert there.spent.updates > 0 and there.spent.lost_steps == 0
    a, b = (agent.gradient(steps=300, key=1) for agent in (here, there))
    assert torch.equal(a.gradient, b.gradient) and a.evaluations == b.evaluations


MAKERS = {
    "ranks": partial(Evolution, DRIFT, hidden=(8,), population=10),
    "scaled": partial(Evolution, DRIFT, hidden=(), population=6, normalize_observations=False),
    "forward": partial(Evolution, DRIFT, hidden=(3,), population=7, estimator=GaussianSmoothing(0.2, "forward")),
    "points": partial(Evolution, DRIFT, hidden=(3,), population=8, estimator=OrthogonalSmoothing(0.2)),
    "coordinates": partial(Evolution, DRIFT, hidden=(), population=6, estimator=CentralDifference(0.2)),
    "choices": partial(Evolution, CHOICE, hidden=(5,), population=8),
    "ars": partial(ARS, DRIFT, n_delta=5, n_top=3, alive_bonus_offset=0.3),
}


@pytest.mark.slow
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_learning_is_the_same_bits_and_steps_as_here(make):
    prove_the_same_elsewhere(make)


def test_the_vector_form_here_and_the_single_form_there_are_the_same():
    how = {"environment_arguments": {"cap": 60}, "population": 6, "hidden": (16, 16)}
    (*here, seen), (*there, shown) = (
        learned(Evolution("rllab_envs:rllab/BicycleBalance-v0", **how, **on)) for on in ({}, {"executor": Backwards()})
    )
    assert here == there
    for a, b in zip(seen, shown, strict=True):  # sums of float64 in another order: columns lie together there
        np.testing.assert_allclose(a, b, rtol=1e-13)


def test_blocks_of_a_large_population_come_back_in_their_order(monkeypatch):
    monkeypatch.setattr("rllab.estimators.base.BLOCK", 40)  # numbers: a pair or two
    monkeypatch.setattr(spread_episodes, "AHEAD", 3)
    prove_the_same_elsewhere(MAKERS["ranks"])


def test_own_workers_and_threads_play_the_same_bits(workers):
    prove_the_same_elsewhere(MAKERS["ranks"], workers)
    with ThreadPoolExecutor(3) as pool:
        prove_the_same_elsewhere(MAKERS["ars"], pool)


def test_a_factory_and_wrappers_may_be_lambdas(workers):
    def make(**on):
        factory = lambda: Drift(cap=9)  # noqa: E731
        return ARS(factory, wrappers=[lambda env: gymnasium.wrappers.TransformReward(env, lambda r: 2 * r)], **on)

    assert learned(make(), (400,)) == learned(make(executor=workers), (400,))


def test_what_a_member_sees_and_does_does_not_depend_on_where_its_weights_lie():
    agent = Evolution("CartPole-v1", hidden=())
    wide = replace(agent.policy, scale=(1.0,) * 376, hidden=(17,))  # of rows that do not begin at a cache line
    points = torch.randn(5, wide.size + 3, generator=torch.Generator().manual_seed(0))

    class Still:
        def reset(self, seed):
            return np.sin(np.arange(376.0, dtype=np.float32) * seed)

        def step(self, action):
            actions.append(action)
            return self.reset(len(actions) % 7 + 2), 0.0, False, False

    def acts(rows):
        actions.clear()
        sent = SimpleNamespace(made=lambda: (Still(), wide))
        told = Player(sent, RunningMoments(376), 20)(rows, None, torch.tensor([5]))
        return [a.tolist() for a in actions], told[3].tolist()

    actions = []
    first = acts(points[0:1, : wide.size].clone())
    for shift in range(1, 4):
        moved = torch.zeros(1, wide.size + shift)
        moved[:, shift:] = points[0:1, : wide.size]
        assert acts(moved[:, shift:]) == first


def cut_off(path, **on):
    """Write an agent that has learned until within its third generation or so."""
    agent = MAKERS["ranks"](**on)
    learned(agent, (300, 41))
    assert agent.generations._collector.under_way
    agent.save(path)
    return agent


@pytest.mark.parametrize(("before", "after"), [(True, True), (True, False), (False, True)])
def test_a_generation_that_was_cut_off_goes_on_after_loading_wherever(tmp_path, before, after):
    path = tmp_path / "agent.pt"
    whole = MAKERS["ranks"]()
    learned(whole, (300, 41))
    cut_off(path, **({"executor": Backwards()} if before else {}))
    again = load(path, **({"executor": Backwards()} if after else {}))
    assert (again.executor is not None) == after
    again.save(tmp_path / "once more.pt")  # nor is it lost where nobody plays in between
    again = load(tmp_path / "once more.pt", executor=again.executor)
    assert learned(whole, (500,)) == learned(again, (500,))


def test_files_and_records_do_not_know_where(tmp_path):
    here, there = MAKERS["ranks"](), MAKERS["ranks"](executor=Backwards(), timeout=5.0, retries=3)
    assert described(here) == described(there)
    there.save(tmp_path / "agent.pt")
    assert [getattr(load(tmp_path / "agent.pt"), name) for name in there.unsaved] == [None, None, 1]
    again = load(tmp_path / "agent.pt", executor=there.executor, timeout=5.0, retries=3)
    assert all(getattr(again, f.name) == getattr(there, f.name) for f in fields(there) if f.name != "estimator")
    with pytest.raises(ValueError, match="it has no setting"):
        load(tmp_path / "agent.pt", executors=2)
    states = []
    for name, agent in (("here", here), ("there", there)):
        done = rllab.fit(agent, 400, folder=tmp_path / name, episodes=2, progress=False)
        states.append([done.returns.tolist(), [row["steps"] for row in done.rows], agent.weights.tolist()])
    assert states[0] == states[1]


class LosesSome:
    """Lose submissions by their number, after they were done."""

    def __init__(self, which):
        self.which, self.n = which, 0

    def submit(self, function, /, *inputs):
        future, answer = Future(), function(*inputs)
        self.n += 1
        if self.n in self.which:
            future.set_exception(OSError("a machine went away"))
        else:
            future.set_result(answer)
        return future


def test_lost_episodes_are_played_again_and_their_steps_counted_apart():
    here, there = MAKERS["ranks"](), MAKERS["ranks"](executor=LosesSome({3, 5, 14}))
    counted = []
    for agent in (here, there):
        LOG.clear()
        for _ in range(2):
            next(agent.train(10**5))
        counted.append(LOG.steps)
    assert torch.equal(here.weights, there.weights)
    assert there.spent.steps == here.spent.steps == counted[0]
    assert there.spent.lost_steps == counted[1] - counted[0] > 0  # they were lost when they were over


def test_steps_of_lost_episodes_stay_in_the_account(tmp_path):
    agent = MAKERS["ranks"](executor=LosesSome({3}))
    learned(agent, (400,))
    agent.save(tmp_path / "agent.pt")
    assert load(tmp_path / "agent.pt").spent.lost_steps == agent.spent.lost_steps > 0


def test_who_is_lost_too_often_is_named():
    agent = MAKERS["ranks"](executor=LosesSome({1, 17}), retries=0)
    with pytest.raises(EvaluationLost, match=r"Evolution: episode 0 of a generation, under seed \d+ was lost in"):
        agent.learn(400)


def breaking(at):
    class Breaking(Drift):
        def step(self, action):
            if self.t == at:
                raise ZeroDivisionError("broken")
            return super().step(action)

    return Breaking(fall=np.inf, cap=30 if at else 1)


def test_an_error_of_the_environment_names_the_episode_and_what_came_back_is_counted():
    agent = ARS(partial(breaking, 12), executor=LosesSome(()))
    with pytest.raises(ZeroDivisionError, match="broken") as caught:
        agent.learn(400)
    assert caught.value.__notes__[0].startswith("ARS: this came up at episode 0 of a generation, under seed ")
    assert agent.spent.steps == 0 and player._KEPT.held is None  # that environment is not used again
    with pytest.raises(ZeroDivisionError):  # and learning may be tried again
        agent.learn(400)


class Interrupts(LosesSome):
    """Ctrl-C comes at a submission."""

    def submit(self, function, /, *inputs):
        if self.n + 1 in self.which:
            self.n += 1
            raise KeyboardInterrupt
        return super().submit(function, *inputs)


def test_after_an_interrupt_the_generation_is_begun_anew():
    here, there = MAKERS["ranks"](), MAKERS["ranks"](executor=Interrupts({5}))
    with pytest.raises(KeyboardInterrupt):
        there.learn(2000)
    assert there.spent.updates == 0
    next(here.train(2000)), next(there.train(2000))
    assert torch.equal(here.weights, there.weights)


def test_a_run_that_was_interrupted_there_goes_on_here_bit_for_bit(tmp_path, monkeypatch):
    monkeypatch.setattr(states, "SECONDS_PER_STATE", 0.0)
    how = {"episodes": 2, "progress": False}
    whole = rllab.fit(MAKERS["ranks"](), 1200, folder=tmp_path / "whole", **how)
    with pytest.raises(KeyboardInterrupt):
        rllab.fit(MAKERS["ranks"](executor=Interrupts({12})), 1200, folder=tmp_path / "cut", **how)
    for again in (Interrupts({11}), None):
        with pytest.raises(KeyboardInterrupt) if again else nullcontext():
            done = rllab.fit(MAKERS["ranks"](executor=again), 1200, folder=tmp_path / "cut", resume=True, **how)
    assert torch.equal(done.agent.weights, whole.agent.weights) and done.returns.tolist() == whole.returns.tolist()
    times = ("seconds", "cpu_seconds")
    assert [{k: v for k, v in row.items() if k not in times} for row in done.rows] == [
        {k: v for k, v in row.items() if k not in times} for row in whole.rows
    ]


def test_what_is_less_travels():
    small, large = Weighing(), Weighing()
    agent = Evolution(DRIFT, hidden=(), population=40, executor=small)
    next(agent.train(10**5))
    assert small.recipes == 0  # three numbers each
    agent = Evolution(DRIFT, hidden=(100, 100), population=40, executor=large)
    next(agent.train(10**5))
    assert large.recipes > 0 and large.inputs < 40 * 200
    weights, points = agent.weights.nbytes, 40 * agent.weights.nbytes
    assert large.functions < large.count * (weights + 8_000) < points / 10


def test_a_worker_makes_an_environment_once(monkeypatch):
    made = []

    class Counting(player.Environment):
        def __init__(self, make):
            made.append(make)
            super().__init__(make)

    monkeypatch.setattr(player, "Environment", Counting)
    player.forget()
    learned(MAKERS["ars"](executor=Backwards()), (600,))
    assert len(made) == 1


class Hanging(Drift):
    """Hang in the first episode of all, whoever plays it."""

    def __init__(self, folder):
        super().__init__(cap=9)
        self.folder = Path(folder)

    def step(self, action):
        if self.t == 5 and len(list(self.folder.iterdir())) < 1:
            (self.folder / f"{os.getpid()}").touch()
            time.sleep(100)
        return super().step(action)


@linux
@pytest.mark.slow
def test_a_worker_that_hangs_changes_no_number(workers, tmp_path):
    # one that dies is to a population the same, a loss: how a worker is lost is looked at in the tests of workers
    expected = learned(ARS(DRIFT, environment_arguments={"cap": 9}, n_delta=8), (150,))
    (tmp_path / "marks").mkdir()
    agent = ARS(
        partial(Hanging, tmp_path / "marks"),
        n_delta=8,
        executor=workers,
        timeout=6.0,  # in which a new worker imports what it needs
    )
    assert learned(agent, (150,)) == expected
    assert 0 < agent.spent.lost_steps <= 16 * 9 and agent.spent.steps <= 150


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"timeout": 1.0}, ValueError, "timeout needs an executor"),
        ({"executor": 0}, ValueError, "executor must be an integer >= 1, got 0"),
        ({"executor": "ray"}, TypeError, "executor must be a number of workers"),
        ({"executor": Backwards, "retries": -1}, ValueError, "retries must be an integer >= 0"),
        ({"retries": 1.5}, ValueError, "retries must be"),
        ({"retries": 3}, ValueError, "retries needs an executor"),
        ({"executor": Backwards, "timeout": 0.0}, ValueError, "timeout must be positive"),
        ({"executor": Backwards, "vectorization": "process"}, ValueError, 'vectorization must be "auto" with an exec'),
    ],
)
@pytest.mark.parametrize("kind", [ARS, Evolution])
def test_wrong_arguments_are_refused_when_it_is_made(kind, options, error, match):
    with pytest.raises(error, match=f"{kind.__name__}: {match}"):
        kind(DRIFT, **options)


def test_an_environment_that_cannot_be_sent_is_named_at_once():
    lock = threading.Lock()
    with pytest.raises(NotSendable, match="ARS: environment, wrappers and actor must be such that they can be"):
        ARS(lambda: Drift(cap=9 + lock.locked()), executor=2)


def merged_by_member(self):
    """Moments of each episode, merged by its number: the same up to rounding."""
    merged = RunningMoments(self._o)
    for rows in self._rows:
        one = Seen(self._o)
        one.keep(rows)
        merged.merge(one.moments)
    return merged


def counts_what_is_repeated(self, members, returns, lengths, rows):
    RIGHT_TAKE(self, members, returns, lengths, rows)
    self.taken += int(self.lengths[members].sum()) - int(lengths.sum()) + (self.rounds > 0)


def takes_by_arrival(self, members, returns, lengths, rows):
    RIGHT_TAKE(self, members[::-1], returns, lengths, rows)


def ignores_the_limit(self, rounds):
    RIGHT_PLAY(self, None)


def one_seed_for_all(self, points, tangents, seeds):
    return RIGHT_CALL(self, points, tangents, torch.zeros_like(seeds))


def sees_without_normalising(self, points, tangents, seeds):
    return RIGHT_CALL(replace(self, normalizer=self.normalizer and RunningMoments(2)), points, tangents, seeds)


RIGHT_TAKE, RIGHT_PLAY, RIGHT_CALL = SpreadEpisodes._take, SpreadEpisodes._play_until, Player.__call__
WRONG = [
    (SpreadEpisodes, "seen", property(merged_by_member)),
    (SpreadEpisodes, "_take", counts_what_is_repeated),
    (SpreadEpisodes, "_take", takes_by_arrival),
    (SpreadEpisodes, "_play_until", ignores_the_limit),
    (Player, "__call__", one_seed_for_all),
    (Player, "__call__", sees_without_normalising),
]


@pytest.mark.parametrize(("where", "name", "wrong"), WRONG, ids=lambda x: getattr(x, "__name__", "seen"))
def test_wrong_ways_to_play_elsewhere_are_caught(where, name, wrong, monkeypatch):
    monkeypatch.setattr(where, name, wrong)
    with pytest.raises(AssertionError):
        prove_the_same_elsewhere(MAKERS["ranks"])
