"""Wrong ARS and Evolution: one step changed each, which the proofs of the right ones must fail."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from rllab.agents import ARS, Evolution, generations
from rllab.agents.generations import Generations
from rllab.estimators import GaussianSmoothing
from tests.proofs.agents import mutant
from tests.proofs.search_agents import (
    prove_ars_updates_by_hand,
    prove_cut_generations_go_on,
    prove_evolutions_gradient_by_hand,
    prove_nothing_moves_where_costs_are_equal,
    prove_the_gradient_is_of_fresh_steps,
    prove_weight_decay_minimises_what_it_says,
)
from tests.proofs.toy_environments import DRIFT


def ars(**replaced):
    """ARS with methods of its own, and its estimator where `_start` of the mutant changes it."""
    return mutant(ARS, **replaced)


def climbs_costs(self, played):
    return -ARS._costs(self, played)


def offset_is_taken_off(self, played):
    return -(played.returns - self.alive_bonus_offset * played.lengths)


def offset_once_an_episode(self, played):
    return -(played.returns + self.alive_bonus_offset)


def no_offset(self, played):
    return -played.returns


def reports_the_offset(self, limit):
    lengths, play = [], self.generations.play

    def watched(*arguments):
        played = play(*arguments)
        lengths.append(played.lengths)
        return played

    self.generations.play = watched
    returns = ARS._iterate(self, limit)
    self.generations.play = play
    return [r + self.alive_bonus_offset * n for r, n in zip(returns, lengths[0], strict=True)]


def never_normalises_anew(self, limit):
    state = {name: value.clone() for name, value in self.normalizer.state_dict().items()}
    returns = ARS._iterate(self, limit)
    self.normalizer.load_state_dict(state)
    return returns


def normalises_by_the_last_generation_alone(self, limit):
    self.generations.play, play = _forgetting(self), self.generations.play
    try:
        return ARS._iterate(self, limit)
    finally:
        self.generations.play = play


def _forgetting(agent):
    play = agent.generations.play

    def played(*arguments):
        result = play(*arguments)
        agent.normalizer.load_state_dict({n: torch.zeros_like(v) for n, v in agent.normalizer.state_dict().items()})
        return result

    return played


def normalises_while_it_plays(self, limit):
    """Statistics change from round to round, so that policies of a generation see differently."""
    array = self.normalizer.array

    def learning(scaled):
        self.normalizer.update(torch.from_numpy(scaled))
        return array(scaled)

    self.normalizer.array = learning
    try:
        return ARS._iterate(self, limit)
    finally:
        del self.normalizer.array


def the_same_directions_every_time(self, limit):
    updates, self.spent.updates = self.spent.updates, 0
    returns = ARS._iterate(self, limit)
    self.spent.updates = updates + 1
    return returns


def unpaired(self):
    class Unpaired(type(self.estimator)):
        def _units(self, query, block):
            return np.arange(block.rows.start, block.rows.stop)

    return Unpaired(self.delta_std, self.n_top)


def starts_unpaired(self):
    ARS._start(self)
    self.estimator = unpaired(self)
    self.generations.estimator = self.estimator


def keeps_them_all(self):
    ARS._start(self)
    self.estimator = self.generations.estimator = replace(self.estimator, top=None)


def divides_by_n_delta(self, limit):
    before = self.weights.clone()
    returns = ARS._iterate(self, limit)
    self.weights.copy_(before + (self.weights - before) * self.n_top / self.n_delta)
    return returns


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(ars(**{method: function}), id=function.__name__)
        for method, function in [
            ("_costs", climbs_costs),
            ("_costs", offset_is_taken_off),
            ("_costs", offset_once_an_episode),
            ("_costs", no_offset),
            ("_iterate", reports_the_offset),
            ("_iterate", never_normalises_anew),
            ("_iterate", normalises_by_the_last_generation_alone),
            ("_iterate", normalises_while_it_plays),
            ("_iterate", the_same_directions_every_time),
            ("_iterate", divides_by_n_delta),
            ("_start", starts_unpaired),
            ("_start", keeps_them_all),
        ]
    ],
)
def test_a_wrong_ars_is_caught(wrong):
    with pytest.raises(AssertionError):
        prove_ars_updates_by_hand(wrong, offset=0.7)


def test_a_mutant_of_ars_that_changes_nothing_passes():
    prove_ars_updates_by_hand(ars(), offset=0.7)


# ---- generations that are cut off

play = Generations.play


def thrown_away(self, *arguments):
    played = play(self, *arguments)
    self._collector._episodes = None
    return played


def another_one_after_a_cut(self, *arguments):
    played = play(self, *arguments)
    if played is None:
        self._key = self._key.child("cut")
    return played


def counts_no_step_of_a_cut(self, *arguments):
    steps = self.spent.steps
    played = play(self, *arguments)
    if played is None:
        self.spent.steps = steps
    return played


def make_small():
    return Evolution(DRIFT, hidden=(4,), population=6, environment_arguments={"cap": 10})


@pytest.mark.slow
@pytest.mark.parametrize("wrong", (thrown_away, another_one_after_a_cut, counts_no_step_of_a_cut))
@pytest.mark.filterwarnings("ignore:the environment does not repeat")
def test_losing_what_a_call_has_played_is_caught(wrong, monkeypatch, tmp_path):
    monkeypatch.setattr(Generations, "play", wrong)
    with pytest.raises((AssertionError, IndexError)):
        prove_cut_generations_go_on(make_small, tmp_path / "agent.pt")


@pytest.mark.filterwarnings("ignore:the environment does not repeat")
def test_a_file_that_forgets_the_generation_under_way_is_caught(monkeypatch, tmp_path):
    monkeypatch.setattr(Generations, "state_dict", lambda self: {"rounds": -1, "returns": torch.zeros(0).double()})
    with pytest.raises(AssertionError):
        prove_cut_generations_go_on(make_small, tmp_path / "agent.pt")


# ---- gradient

mean_of_generations = generations.mean_of_generations


def spoiled(change):
    """Evolution whose estimate is changed."""
    return mutant(Evolution, gradient=lambda self, **on: change(self, Evolution.gradient(self, **on)))


def of_episodes(agent, e):
    return replace(e, evaluations=18)


def of_steps_that_counted(agent, e):
    return replace(e, evaluations=162)


def of_the_sum(agent, e):
    return replace(e, gradient=3 * e.gradient)


def of_a_smaller_error(agent, e):
    return replace(e, standard_error=e.standard_error * (2 / 3) ** 0.5)


def of_returns(agent, e):
    return replace(e, value=-e.value)


@pytest.mark.parametrize("change", (of_episodes, of_steps_that_counted, of_the_sum, of_a_smaller_error, of_returns))
def test_a_wrong_gradient_is_caught(change):
    with pytest.raises(AssertionError):
        prove_evolutions_gradient_by_hand(spoiled(change))


def of_its_own_generations(self, *, steps, key):
    arguments = (self.weights, self.state, self.normalizer, lambda played: -played.returns, steps)
    return generations.mean_of_generations(self._name, self.generations, *arguments)


def that_learns_the_state(self, *, steps, key):
    e = Evolution.gradient(self, steps=steps, key=key)
    self.weights.sub_(e.gradient, alpha=1e-3)
    return e


def that_is_counted(self, *, steps, key):
    e = Evolution.gradient(self, steps=steps, key=key)
    self.spent.steps += e.evaluations
    return e


def of_one_key(self, *, steps, key):
    return Evolution.gradient(self, steps=steps, key=0)


@pytest.mark.parametrize("wrong", (of_its_own_generations, that_learns_the_state, that_is_counted, of_one_key))
def test_a_gradient_that_changes_the_agent_or_ignores_its_key_is_caught(wrong):
    kind = mutant(Evolution, gradient=wrong)
    with pytest.raises((AssertionError, ValueError)):
        prove_the_gradient_is_of_fresh_steps(
            lambda: kind(DRIFT, hidden=(4,), population=6, estimator=GaussianSmoothing(0.2))
        )


# ---- weight decay, and gradients that are zero


def decay_as(change):
    def start(self):
        Evolution._start(self)
        self.weight_decay = change(self.weight_decay)

    return mutant(Evolution, _start=start)


@pytest.mark.parametrize("change", (lambda c: 2 * c, lambda c: -c, lambda c: 0.0), ids=("2λ", "−λ", "0"))
def test_a_wrong_weight_decay_is_caught(change):
    prove_weight_decay_minimises_what_it_says(Evolution)
    with pytest.raises(AssertionError):
        prove_weight_decay_minimises_what_it_says(decay_as(change))


def walks_on(self, limit):
    updates = self.spent.updates
    returns = Evolution._iterate(self, limit)
    if self.spent.updates > updates:
        self.weights.sub_(self.optimizer.m, alpha=0.01)
    return returns


def test_momentum_that_walks_on_is_caught():
    with pytest.raises(AssertionError):
        prove_nothing_moves_where_costs_are_equal(mutant(Evolution, _iterate=walks_on), population=8)
