"""Agents with one mistake each, as they have been published or shipped; the proof of the right ones must fail them.

The proofs are those of tests/agents. Every mutant is a finished agent with one step changed, or one name of its module
replaced, so a proof that lets one pass proves nothing.
"""

from contextlib import contextmanager
from functools import partial

import pytest
import torch

from rllab import Key
from rllab.agents import TD3, Evolution, Reinforce, off_policy, reinforce
from rllab.estimators import GaussianSmoothing
from tests.proofs.agent_draws import (
    prove_reinforce_meets_other_episodes_every_time,
    prove_reinforce_scores_what_it_drew,
    prove_td3_draws_anew_in_every_block,
)
from tests.proofs.agents import (
    mutant,
    mutants,
    prove_evolution_steps_along_the_estimate,
    prove_reinforce_discounts,
    prove_reinforce_is_unbiased,
)

# ---- Reinforce: names of its module replaced


def power_too_high(costs, gamma):
    """G_t = Σ γ^{t'−t+1} c_t'."""
    return gamma * reinforce_cost_to_go(costs, gamma)


def discounted_from_the_start(costs, gamma):
    """γ^{t'} for γ^{t'−t}."""
    powers = gamma ** torch.arange(costs.shape[-1], dtype=costs.dtype)
    return reinforce_cost_to_go(costs * powers, 1.0)


def strictly_later(costs, gamma):
    """G_t without c_t."""
    return reinforce_cost_to_go(costs, gamma) - costs


def never_discounted(costs, gamma):
    return reinforce_cost_to_go(costs, 1.0)


reinforce_cost_to_go, reinforce_advantages = reinforce.cost_to_go, reinforce.advantages


def in_sample(values, baseline):
    return reinforce_advantages(values, "mean")


def first_action_only(values, baseline):
    a = reinforce_advantages(values, baseline).clone()
    a[:, 1:] = 0
    return a


def standardised(values, baseline):
    a = reinforce_advantages(values, baseline)
    return a / (a.std() + 1e-8)


def probability_for_its_logarithm(self, inputs, actions):
    return Reinforce.log_probability(self, inputs, actions).exp()


def clipped_action(self, inputs, actions):
    """The score of the action that reached the environment."""
    return Reinforce.log_probability(self, inputs, actions if self.policy.discrete else actions.clip(-1.0, 1.0))


def same_episodes(key, first, n):
    return reinforce_seeds(Key(0), first, n)


reinforce_seeds = reinforce.episode_seeds


# ---- any agent


def same_draws_every_time(parent):
    def iterate(self, limit):
        before = self.spent.iterations, self.spent.updates
        self.spent.iterations = self.spent.updates = 0
        try:
            return parent._iterate(self, limit)
        finally:
            self.spent.iterations, self.spent.updates = before[0], before[1] + self.spent.updates

    return mutant(parent, _iterate=iterate)


# ---- Evolution


class Unpaired(GaussianSmoothing):
    """Every episode meets noise of its own."""

    def _units(self, query, block):
        return torch.arange(block.rows.start, block.rows.stop).numpy()


def unpaired(*arguments, **options):
    options["estimator"] = Unpaired(options["estimator"].sigma)
    return Evolution(*arguments, **options)


def same_directions_every_time(self, limit):
    return same_draws_every_time(Evolution)._iterate(self, limit)


def rewards_for_costs(self, limit):
    before, ask = self.weights.clone(), Evolution._iterate(self, limit)
    self.weights.copy_(2 * before - self.weights)
    return ask


def counts_pairs(self, limit):
    before = self.spent.steps
    returns = Evolution._iterate(self, limit)
    self.spent.steps = before + (self.spent.steps - before) // 2
    return returns


@contextmanager
def replaced(name, function):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reinforce, name, function)
        yield


@pytest.mark.parametrize("wrong", [in_sample, first_action_only, standardised], ids=lambda f: f.__name__)
def test_a_wrong_baseline_of_reinforce_is_caught(wrong):
    with replaced("advantages", wrong), pytest.raises(AssertionError):
        prove_reinforce_is_unbiased(Reinforce)


@pytest.mark.parametrize(
    "wrong",
    [power_too_high, discounted_from_the_start, strictly_later, never_discounted],
    ids=lambda f: f.__name__,
)
def test_a_wrong_cost_to_go_is_caught(wrong):
    with replaced("cost_to_go", wrong), pytest.raises(AssertionError):
        prove_reinforce_discounts(Reinforce)


def test_a_wrong_score_is_caught():
    (wrong,) = mutants(Reinforce, "log_probability", probability_for_its_logarithm)
    with pytest.raises(AssertionError):
        prove_reinforce_is_unbiased(*wrong.values)


def test_scoring_the_clipped_action_is_caught():
    with pytest.raises(AssertionError):
        prove_reinforce_scores_what_it_drew(mutant(Reinforce, log_probability=clipped_action))


def test_meeting_the_same_episodes_or_noise_in_every_iteration_is_caught():
    with replaced("episode_seeds", same_episodes), pytest.raises(AssertionError):
        prove_reinforce_meets_other_episodes_every_time(Reinforce)
    with pytest.raises(AssertionError):
        prove_reinforce_meets_other_episodes_every_time(same_draws_every_time(Reinforce))


def test_drawing_the_same_in_every_block_is_caught(monkeypatch):
    monkeypatch.setattr(off_policy, "BLOCK", 70)
    with pytest.raises(AssertionError):
        prove_td3_draws_anew_in_every_block(mutant(TD3, _drawn=lambda self, block: TD3._drawn(self, 0)), 70)
    prove_td3_draws_anew_in_every_block(TD3, 70)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(unpaired, id="Evolution-unpaired_seeds"),
        *mutants(Evolution, "_iterate", same_directions_every_time, rewards_for_costs, counts_pairs),
    ],
)
def test_a_wrong_evolution_is_caught(wrong):
    with pytest.raises(AssertionError):
        prove_evolution_steps_along_the_estimate(wrong)


@pytest.mark.parametrize(
    "proof",
    [
        partial(prove_reinforce_is_unbiased, Reinforce),
        partial(prove_reinforce_discounts, Reinforce),
        partial(prove_reinforce_scores_what_it_drew, Reinforce),
        partial(prove_reinforce_meets_other_episodes_every_time, Reinforce),
        partial(prove_evolution_steps_along_the_estimate, Evolution),
    ],
    ids=lambda proof: proof.func.__name__,
)
def test_the_right_agent_passes_the_same_proof(proof):
    proof()


def test_a_mutant_that_changes_nothing_passes_too():
    prove_reinforce_is_unbiased(mutant(Reinforce))
    prove_evolution_steps_along_the_estimate(mutant(Evolution))
