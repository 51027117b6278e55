"""VectorCollector: no transition crosses a reset, every episode has its seed, and a partial rollout is never lost."""

import numpy as np
import pytest
import torch

from rllab import Key
from rllab.agents.environments import SingleEnvironments, VectorEnvironments
from rllab.agents.making import Maker
from rllab.agents.policy import Policy
from rllab.agents.rounds import RoundTable
from rllab.agents.spent import Spent
from rllab.agents.vector_collector import VectorCollector
from rllab.agents.vectorization import make_environments
from rllab.keys import seeds_for
from tests.proofs.marked_environments import MARKED, MARKED_VECTOR, OBSERVATIONS, SEED, Marked, length

T, N = 11, 5
BICYCLE = "rllab_envs:rllab/BicycleBalance-v0"
both = pytest.mark.parametrize("environment", (MARKED, MARKED_VECTOR), ids=("single", "vector"))


def policy():
    return Policy.for_spaces("Test", OBSERVATIONS, Marked.action_space, (), None)


def collecting(environment, n=N, collector=VectorCollector):
    """Return a collector, the rounds it stores in a list, and its account."""
    rounds, spent = [], Spent()
    environments = make_environments(Maker("Test", environment), n)
    return collector(environments, policy(), rounds.append, spent, Key(3)), rounds, spent


def acts(t, n=N):
    return np.random.default_rng([7, t]).uniform(-1, 1, (n, 1)).astype(np.float32)


def prove_no_transition_crosses_a_reset(collector, environment, steps=60):
    """Every transition is the one that its marks say; flags are those of the episode; every episode has its seed."""
    collector, rounds, spent = collecting(environment, collector=collector)
    returns = [r for t in range(steps) for r in collector.step(acts(t))]
    expected, lengths = [], []
    for t, taken in enumerate(rounds):
        for i in range(N):
            (seed, step, _), (seed_after, step_after, action) = taken.observations[i], taken.next_observations[i]
            assert seed == seed_after and step_after == step + 1 == taken.rewards[i]
            assert np.float32(action) == taken.actions[i, 0] == acts(t)[i, 0]
            assert taken.begun[i] == (step == 0)
            last, odd = step_after == length(int(seed)), length(int(seed)) % 2 == 1
            assert (taken.terminated[i], taken.truncated[i]) == (last and odd, last and not odd)
            if last:
                expected.append(step_after * (step_after + 1) / 2)
                lengths.append(step_after)
    assert returns == expected and len(set(lengths)) == 7
    seen = {int(o[0]) for taken in rounds for o in taken.observations}
    assert seen == {s % SEED for s in seeds_for(np.arange(spent.episodes), Key(3)).tolist()}
    assert len(seen) == spent.episodes > 60 and spent.steps == steps * N


@both
def test_no_transition_crosses_a_reset(environment):
    kind = SingleEnvironments if environment == MARKED else VectorEnvironments
    assert isinstance(make_environments(Maker("Test", environment), 2), kind)
    prove_no_transition_crosses_a_reset(VectorCollector, environment)


class ShowsTheNextEpisode(VectorCollector):
    """As with resets in the same step, whose last observation is left in the info."""

    def step(self, actions):
        store, late = self._store, []
        self._store = late.append
        returns = super().step(actions)
        self._store = store
        store(late[0]._replace(next_observations=self.observe()))
        return returns


class StepsIntoTheNextEpisode(VectorCollector):
    """As with resets in the next step, whose round is taken for a transition."""

    def observe(self):
        if (self._episodes < 0).any() and self._spent.steps:
            before = self._observations
            super().observe()
            return before
        return super().observe()


class ForgetsWhatEnded(VectorCollector):
    """Returns go on from episode to episode."""

    def _begin(self, which):
        returns = self._returns.copy()
        super()._begin(which)
        self._returns = returns


class OneSeed(VectorCollector):
    def _reset(self, which, numbers):
        super()._reset(which, np.zeros_like(numbers))


@pytest.mark.parametrize("wrong", (ShowsTheNextEpisode, StepsIntoTheNextEpisode, ForgetsWhatEnded, OneSeed))
def test_wrong_collectors_are_caught(wrong):
    with pytest.raises(AssertionError):
        prove_no_transition_crosses_a_reset(wrong, MARKED)


@pytest.mark.parametrize("n", (1, 4))
def test_bicycles_side_by_side_in_one_call_are_single_ones(n):
    segments = []
    for made in (make_environments, SingleEnvironments):
        make = Maker("Test", BICYCLE, {"cap": 40})
        env = make()
        rider = Policy.for_spaces("Test", env.observation_space, env.action_space, (), None)
        table = RoundTable(150, n, rider)
        collector = VectorCollector(made(make, n), rider, table.add, Spent(), Key(1))
        for t in range(150):
            collector.step(np.random.default_rng(t).uniform(-1, 1, (n, 2)).astype(np.float32))
        segments.append(table.take())
    for one, other in zip(*segments, strict=True):
        assert torch.equal(one, other)
    assert segments[0].truncated.any()


def saved_at(at, environment, rounds=40):
    """Return what is stored in the rounds after the one at which a collector is saved, loaded and goes on."""
    collector, before, spent = collecting(environment)
    for t in range(at):
        collector.step(acts(t))
    again, after, account = collecting(environment)
    vars(account).update(vars(spent))
    again.load_state_dict(collector.state_dict())
    again.load_state_dict(again.state_dict())  # nor is it lost where nobody steps in between
    returns = [again.step(acts(t)) for t in range(at, rounds)]
    return [*before, *after], returns, vars(account)


@both
@pytest.mark.parametrize("at", (0, 1, 2, 5, 13))
def test_it_goes_on_after_loading_bit_for_bit(environment, at):
    whole, returns, spent = saved_at(0, environment)
    cut, later, account = saved_at(at, environment)
    assert later == returns[at:] and account == spent
    for one, other in zip(whole, cut, strict=True):
        for x, y in zip(one, other, strict=True):
            np.testing.assert_array_equal(x, y)


def test_an_episode_that_leads_elsewhere_is_given_up_and_the_others_go_on():
    collector, _, spent = collecting(MARKED)
    for t in range(6):
        collector.step(acts(t))
    state = collector.state_dict()
    under_way = state["episodes"] >= 0
    lost = int(under_way.nonzero()[0])
    state["observations"][lost, 2] += 1
    again, rounds, account = collecting(MARKED)
    vars(account).update(vars(spent))
    again.load_state_dict(state)
    with pytest.warns(UserWarning, match="the environment does not repeat an episode from its seed and actions"):
        again.step(acts(6))
    assert rounds[0].begun[lost] and rounds[0].observations[lost, 1] == 0
    assert rounds[0].begun.sum() == (~under_way).sum() + 1
    assert account.episodes == spent.episodes + rounds[0].begun.sum()


def test_after_an_error_every_environment_begins_another_episode_and_steps_taken_are_counted():
    collector, rounds, spent = collecting(MARKED)
    for t in range(3):
        collector.step(acts(t))
    Marked.sound = 2
    with pytest.raises(RuntimeError, match="the motor is broken"):
        collector.step(acts(3))
    assert len(rounds) == 3 and spent.steps == 3 * N + 3  # the third of them fails
    collector.step(acts(4))
    assert rounds[-1].begun.all() and (rounds[-1].observations[:, 1] == 0).all()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("episodes", torch.full((N,), 10**6), "numbers must be below"),
        ("episodes", torch.full((N,), -2), "numbers must be below"),
        ("episodes", torch.zeros(N), "numbers must be a tensor"),
        ("lengths", torch.full((N,), -1), "lengths must be >= 0"),
        ("lengths", torch.full((N,), 3), "actions must be a tensor"),
        ("actions", torch.zeros(2, 2), "actions must be a tensor"),
        ("observations", torch.zeros(N, 2), "observations must be a tensor"),
    ],
)
def test_what_is_no_state_of_it_is_refused(name, value, message):
    collector, _, _ = collecting(MARKED)
    collector.step(acts(0))
    state = collector.state_dict()
    if name == "lengths" and value[0] > 0:
        state["episodes"] = torch.zeros(N, dtype=torch.int64)
    with pytest.raises(ValueError, match=f"the episodes' {message}"):
        collector.load_state_dict({**state, name: value})


# ---- the table


def fill(table, collector, rounds, first=0):
    for t in range(first, first + rounds):
        collector.step(acts(t))


def test_a_full_table_says_where_episodes_end_and_what_follows():
    table = RoundTable(T, N, policy())
    collector, rounds, _ = collecting(MARKED)
    collector._store = lambda taken: (table.add(taken), rounds.append(taken))
    fill(table, collector, T)
    with pytest.raises(ValueError, match="RoundTable: rounds must be taken when there are 11, got one more"):
        fill(table, collector, 1)
    segment = table.take()
    over = segment.terminated | segment.truncated
    same = (segment.next_observations[:-1] == segment.observations[1:]).all(-1)
    assert torch.equal(same, ~over[:-1]) and over.any() and same.any()
    for t in range(T):
        np.testing.assert_array_equal(segment.rewards[t], rounds[t].rewards)
        np.testing.assert_array_equal(segment.actions[t], rounds[t].actions)
    with pytest.raises(ValueError, match="RoundTable: rounds must be 11 to be taken, got 0"):
        table.take()


def test_an_episode_that_was_given_up_is_cut_off_in_the_table():
    table = RoundTable(8, N, policy())
    collector, _, _ = collecting(MARKED)
    collector._store = table.add
    fill(table, collector, 3)
    over = (table._arrays["terminated"] | table._arrays["truncated"])[2].copy()
    assert not over.all()
    Marked.sound = 2
    with pytest.raises(RuntimeError):
        fill(table, collector, 1)
    fill(table, collector, 5)
    segment = table.take()
    assert (segment.terminated | segment.truncated)[2].all()
    assert not (segment.terminated & segment.truncated).any()
    same = (segment.next_observations[:-1] == segment.observations[1:]).all(-1)
    assert torch.equal(same, ~(segment.terminated | segment.truncated)[:-1])


def test_a_table_that_is_not_full_is_kept_and_goes_on_after_loading():
    whole, cut = RoundTable(T, N, policy()), RoundTable(T, N, policy())
    collector, _, _ = collecting(MARKED)
    both = lambda taken: (whole.add(taken), cut.add(taken))  # noqa: E731
    collector._store = both
    fill(whole, collector, 4)
    again = RoundTable(T, N, policy())
    again.load_state_dict(cut.state_dict())
    assert again.filled == 4
    collector._store = lambda taken: (whole.add(taken), again.add(taken))
    fill(whole, collector, T - 4, 4)
    for one, other in zip(whole.take(), again.take(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("rewards", torch.zeros(T, N), "the rollout must be of fewer than 11 steps, got 11"),
        ("rewards", torch.zeros(2, 3), "the rollout's rewards must be a tensor"),
        ("actions", torch.zeros(4, N, 2), "the rollout's actions must be a tensor"),
        ("terminated", torch.zeros(4, N), "the rollout's terminated must be a tensor"),
    ],
)
def test_what_is_no_table_is_refused(name, value, message):
    table = RoundTable(T, N, policy())
    collector, _, _ = collecting(MARKED)
    collector._store = table.add
    fill(table, collector, 4)
    state = table.state_dict()
    with pytest.raises(ValueError, match=message):
        table.load_state_dict({**state, name: value})
