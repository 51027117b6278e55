"""Agents with one mistake each, as they have been published or shipped; the proof of the right ones must fail them.

The proofs are those of tests/agents. Every mutant is a finished agent with one step changed, or one name of its module
replaced, so a proof that lets one pass proves nothing.
"""

from contextlib import contextmanager
from functools import partial

import pytest
import torch

from rllab.agents import TD3, Evolution, Reinforce, evolution, reinforce, td3
from tests.proofs.agents import (
    prove_evaluation_changes_nothing_of_learning,
    prove_evolution_steps_along_the_estimate,
    prove_it_goes_on_after_loading,
    prove_only_termination_stops_the_bootstrap,
    prove_reinforce_discounts,
    prove_reinforce_is_unbiased,
    prove_td3_updates_as_its_equations_say,
    td3_agent,
)


def mutant(parent, **replaced):
    """A subclass by another name only in what is replaced; `_name` stays, so that nothing else differs."""
    return type(parent.__name__, (parent,), replaced)


# ---- TD3


def truncation_is_termination(self, limit):
    step = self.env.step

    def done(action):
        o, reward, terminated, truncated, info = step(action)
        return o, reward, terminated or truncated, truncated, info

    self.env.step = done
    try:
        return TD3._iterate(self, limit)
    finally:
        self.env.step = step


def termination_is_truncation(self, limit):
    step = self.env.step

    def never_over(action):
        o, reward, terminated, truncated, info = step(action)
        return o, reward, False, truncated or terminated, info

    self.env.step = never_over
    try:
        return TD3._iterate(self, limit)
    finally:
        self.env.step = step


class Swapped:
    """An agent seen with some attributes exchanged."""

    def __init__(self, agent, **others):
        self.__dict__.update(agent.__dict__)
        self.__dict__.update(others)
        self._agent = agent

    def __getattr__(self, name):
        return getattr(self._agent, name)


def optimistic(self, batch, smoothing, out=None):
    """min for max: of costs, the optimism that twin critics are there to prevent."""
    actor, critics = self.targets
    negated = critics.clone()
    last = list(self.critic.layers(negated))[-1]
    for part in last:
        part.neg_()
    flipped = Swapped(self, targets=(actor, negated), discount=self.discount)
    ahead = TD3.target(flipped, batch._replace(costs=torch.zeros_like(batch.costs)), smoothing)
    return (1 - self.discount) * batch.costs - ahead


def undiscounted_costs(self, batch, smoothing, out=None):
    """c in place of (1 − γ) c."""
    return TD3.target(self, batch._replace(costs=batch.costs / (1 - self.discount)), smoothing)


def unclipped_noise(self, batch, smoothing, out=None):
    return TD3.target(Swapped(self, target_clip=1e9), batch, smoothing)


def no_noise(self, batch, smoothing, out=None):
    return TD3.target(self, batch, torch.zeros_like(smoothing))


def from_current_networks(self, batch, smoothing, out=None):
    current = (self.weights, self.critics)
    return TD3.target(Swapped(self, targets=current), batch, smoothing)


def actor_every_step(self, batch, smoothing):
    delay, self.delay = self.delay, 1
    TD3.update(self, batch, smoothing)
    self.delay = delay


def targets_never_follow(self, batch, smoothing):
    before = [t.clone() for t in self.targets]
    TD3.update(self, batch, smoothing)
    for target, old in zip(self.targets, before, strict=True):
        target.copy_(old)


def targets_follow_every_step(self, batch, smoothing):
    before = self.updates
    TD3.update(self, batch, smoothing)
    if self.updates == before:
        with torch.no_grad():
            for target, current in zip(self.targets, (self.weights, self.critics), strict=True):
                target.lerp_(current, self.tau)


def targets_jump(self, batch, smoothing):
    """τ and 1 − τ exchanged."""
    tau, self.tau = self.tau, 1 - self.tau
    TD3.update(self, batch, smoothing)
    self.tau = tau


def actor_climbs(self, observations):
    cost, slope = TD3.descent(self, observations)
    return cost, -slope


def actor_of_both_critics(self, observations):
    w = self.weights.clone().requires_grad_()
    pairs = torch.cat((observations, self.policy(w, observations)), 1).expand(2, -1, -1)
    cost = self.critic(self.critics, pairs).amax(0).mean()
    return cost, torch.autograd.grad(cost, w)[0]


def actor_through_the_second_critic(self, observations):
    self.critics.copy_(self.critics.flip(0))
    answer = TD3.descent(self, observations)
    self.critics.copy_(self.critics.flip(0))
    return answer


def actor_past_the_tanh(self, observations):
    """∂Ĉ/∂a taken for the slope at what tanh squashes."""
    slope, td3.Tanh._vjp_state = td3.Tanh._vjp_state, lambda module, v, z, w, y, out=None: v
    try:
        return TD3.descent(self, observations)
    finally:
        td3.Tanh._vjp_state = slope


# ---- Reinforce: names of its module replaced


def power_too_high(costs, discount):
    """G_t = Σ γ^{t'−t+1} c_t'."""
    return discount * reinforce_cost_to_go(costs, discount)


def discounted_from_the_start(costs, discount):
    """γ^{t'} for γ^{t'−t}."""
    powers = discount ** torch.arange(costs.shape[-1], dtype=costs.dtype)
    return reinforce_cost_to_go(costs * powers, 1.0)


def strictly_later(costs, discount):
    """G_t without c_t."""
    return reinforce_cost_to_go(costs, discount) - costs


def never_discounted(costs, discount):
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


# ---- Evolution


class Unpaired(evolution.GaussianSmoothing):
    """Every episode meets noise of its own."""

    def _units(self, query, block):
        return torch.arange(block.rows.start, block.rows.stop).numpy()


def unpaired(*arguments, **options):
    options["estimator"] = Unpaired(options["estimator"].sigma)
    return Evolution(*arguments, **options)


def same_directions_every_time(self, limit):
    iterations, self.iterations = self.iterations, 0
    try:
        return Evolution._iterate(self, limit)
    finally:
        self.iterations = iterations


def rewards_for_costs(self, limit):
    before, ask = self.weights.clone(), Evolution._iterate(self, limit)
    self.weights.copy_(2 * before - self.weights)
    return ask


def counts_pairs(self, limit):
    before = self.steps
    returns = Evolution._iterate(self, limit)
    self.steps = before + (self.steps - before) // 2
    return returns


# ---- every agent


def forgets_the_optimiser(self):
    fresh = td3.Adam(self.weights, self.lr).state_dict()
    return TD3._state(self) | {"actor_optimizer": fresh}


def forgets_the_replay(self):
    state = TD3._state(self)
    return state | {"replay": torch.zeros_like(state["replay"])}


def forgets_how_full_the_replay_is(self):
    return TD3._state(self) | {"added": len(self.replay)}


def forgets_where_the_delay_stood(self):
    return TD3._state(self) | {"critic_updates": 0}


def forgets_the_targets(self):
    return TD3._state(self) | {"targets": [self.weights, self.critics]}


def plays_in_the_learners_environment(self, episodes=20):
    played = TD3.evaluate(self, episodes)
    self.env.reset(seed=0)
    return played


def draws_from_the_learners_stream(self, episodes=20):
    self.iterations += 1
    return TD3.evaluate(self, episodes)


def counts_what_it_judges(self, episodes=20):
    played = TD3.evaluate(self, episodes)
    self.steps += played.steps
    return played


def mutants(parent, method, *functions):
    return [pytest.param(mutant(parent, **{method: f}), id=f"{parent.__name__}-{f.__name__}") for f in functions]


@pytest.mark.parametrize("wrong", mutants(TD3, "_iterate", truncation_is_termination, termination_is_truncation))
def test_a_wrong_mask_is_caught(wrong):
    with pytest.raises(AssertionError):
        prove_only_termination_stops_the_bootstrap(wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        *mutants(TD3, "target", optimistic, undiscounted_costs, unclipped_noise, no_noise, from_current_networks),
        *mutants(TD3, "update", actor_every_step, targets_never_follow, targets_follow_every_step, targets_jump),
        *mutants(TD3, "descent", actor_climbs, actor_of_both_critics),
        *mutants(TD3, "descent", actor_through_the_second_critic, actor_past_the_tanh),
    ],
)
def test_a_wrong_update_of_td3_is_caught(wrong):
    with pytest.raises(AssertionError):
        prove_td3_updates_as_its_equations_say(wrong)


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


def small(kind):
    return td3_agent(kind, hidden=(6,), capacity=150, environment_arguments={"cap": 25})


@pytest.mark.parametrize(
    "wrong",
    mutants(
        TD3,
        "_state",
        forgets_the_optimiser,
        forgets_the_replay,
        forgets_how_full_the_replay_is,
        forgets_where_the_delay_stood,
        forgets_the_targets,
    ),
)
def test_what_a_checkpoint_forgets_is_caught(wrong, tmp_path):
    with pytest.raises(AssertionError):
        prove_it_goes_on_after_loading(small(wrong), tmp_path / "agent.pt", 331)  # an odd number of updates


@pytest.mark.parametrize(
    "wrong",
    mutants(
        TD3,
        "evaluate",
        plays_in_the_learners_environment,
        draws_from_the_learners_stream,
        counts_what_it_judges,
    ),
)
def test_an_evaluation_that_disturbs_learning_is_caught(wrong, monkeypatch):
    monkeypatch.setattr(td3, "BLOCK", 70)
    with pytest.raises(AssertionError):
        prove_evaluation_changes_nothing_of_learning(small(wrong), small(wrong), 400)


@pytest.mark.parametrize(
    "proof",
    [
        partial(prove_only_termination_stops_the_bootstrap, TD3),
        partial(prove_td3_updates_as_its_equations_say, TD3),
        partial(prove_reinforce_is_unbiased, Reinforce),
        partial(prove_reinforce_discounts, Reinforce),
        partial(prove_evolution_steps_along_the_estimate, Evolution),
    ],
    ids=lambda proof: proof.func.__name__,
)
def test_the_right_agent_passes_the_same_proof(proof):
    proof()


def test_a_mutant_that_changes_nothing_passes_too(tmp_path, monkeypatch):
    prove_td3_updates_as_its_equations_say(mutant(TD3, target=lambda self, *given: TD3.target(Swapped(self), *given)))
    prove_reinforce_is_unbiased(mutant(Reinforce))
    prove_evolution_steps_along_the_estimate(mutant(Evolution))
    prove_only_termination_stops_the_bootstrap(mutant(TD3))
    prove_it_goes_on_after_loading(small(mutant(TD3)), tmp_path / "agent.pt", 331)
    monkeypatch.setattr(td3, "BLOCK", 70)
    prove_evaluation_changes_nothing_of_learning(small(mutant(TD3)), small(mutant(TD3)), 400)
