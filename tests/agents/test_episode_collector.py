"""EpisodeCollector: a batch of episodes that does not fit is kept, saved, and played again up to where it was."""

import numpy as np
import pytest
import torch

from rllab.agents import Reinforce, reinforce
from rllab.agents.collectors import EpisodeCollector
from rllab.agents.making import Maker
from rllab.agents.spent import Spent
from rllab.agents.vectorization import make_environments
from tests.proofs.agents import prove_learning_in_chunks_is_learning
from tests.proofs.toy_environments import DRIFT, LOG

SEEDS = [3, 1, 4, 1, 5]


def collecting():
    spent = Spent()
    return EpisodeCollector(make_environments(Maker("Test", DRIFT), len(SEEDS)), spent), spent


def push(o, live):
    return np.sin(np.arange(len(live)) + o[:, :1]).astype(np.float32)


def whole():
    collector, spent = collecting()
    collector.begin(push, SEEDS)
    return collector.play(10**6), spent


@pytest.mark.parametrize("limit", (5, 7, 20, 33))
def test_parts_are_the_whole_and_no_step_is_taken_twice(limit):
    expected, account = whole()
    collector, spent = collecting()
    LOG.clear()
    collector.begin(push, SEEDS)
    returns, calls = None, 0
    while returns is None:
        assert collector.under_way
        before = spent.steps
        returns = collector.play(limit)
        assert spent.steps - before <= limit
        calls += 1
    assert not collector.under_way and calls > 1
    np.testing.assert_array_equal(returns, expected)
    assert spent.steps == account.steps == LOG.steps and spent.episodes == account.episodes == len(SEEDS)


@pytest.mark.parametrize("limit", (1, 12, 40))
def test_it_goes_on_after_loading_and_what_is_repeated_is_not_counted(limit):
    expected, account = whole()
    collector, spent = collecting()
    collector.begin(push, SEEDS)
    assert collector.play(limit) is None
    again, counts = collecting()
    counts.steps, counts.episodes = spent.steps, spent.episodes
    again.load_state_dict(collector.state_dict())
    again.load_state_dict(again.state_dict())  # nor is it lost where nobody plays in between
    assert not again.under_way
    again.begin(push, SEEDS)
    np.testing.assert_array_equal(again.play(10**6), expected)
    assert vars(counts) == vars(account)


def test_episodes_that_do_not_repeat_are_said_to():
    collector, _ = collecting()
    collector.begin(push, SEEDS)
    collector.play(20)
    again, _ = collecting()
    again.load_state_dict(collector.state_dict())
    with pytest.warns(UserWarning, match="the environment does not repeat episodes from their seeds and actions"):
        again.begin(push, SEEDS[::-1])
    assert again.play(10**6) is not None


def test_after_an_error_the_batch_is_given_up_and_its_steps_are_counted():
    collector, spent = collecting()
    calls = []

    def breaks(o, live):
        calls.append(len(live))
        if len(calls) == 3:
            raise RuntimeError("no action")
        return push(o, live)

    collector.begin(breaks, SEEDS)
    with pytest.raises(RuntimeError, match="no action"):
        collector.play(10**6)
    assert spent.steps == sum(calls[:2]) and not collector.under_way
    collector.begin(push, SEEDS)
    np.testing.assert_array_equal(collector.play(10**6), whole()[0])


class ThrowsAway(EpisodeCollector):
    """A batch that does not fit is paid for and lost."""

    def play(self, limit):
        returns = super().play(limit)
        self._episodes = None
        return returns


class CountsAgain(EpisodeCollector):
    """What is played again after loading is paid for a second time."""

    def begin(self, *arguments):
        taken = self._environments.taken
        super().begin(*arguments)
        self._spent.steps += self._environments.taken - taken


@pytest.mark.parametrize("wrong", (ThrowsAway, CountsAgain))
def test_wrong_collectors_are_caught(wrong, monkeypatch):
    monkeypatch.setattr(reinforce, "EpisodeCollector", wrong)
    with pytest.raises(AssertionError):
        prove_learning_in_chunks_is_learning(lambda: Reinforce(DRIFT, hidden=(3,), episodes=8))


def test_what_is_no_state_of_it_is_refused():
    collector, _ = collecting()
    collector.begin(push, SEEDS)
    collector.play(20)
    state = collector.state_dict()
    for name, value in (("rounds", 1.5), ("rounds", -2), ("returns", torch.zeros(3)), ("returns", None)):
        with pytest.raises(ValueError, match=f"the episodes' {name} must be"):
            collector.load_state_dict({**state, name: value})
