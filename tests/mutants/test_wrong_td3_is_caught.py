"""TD3 with one mistake each, as they have been published or shipped; the proof of the right one must fail them.

The proofs are those of tests/agents. Every mutant is a finished agent with one step changed.
"""

import pytest
import torch

from rllab.agents import TD3, off_policy
from rllab.agents.adam import Adam
from rllab.backprop import Tanh
from tests.proofs.agents import (
    mutant,
    mutants,
    prove_evaluation_changes_nothing_of_learning,
    prove_it_goes_on_after_loading,
    prove_only_termination_stops_the_bootstrap,
    prove_td3_updates_as_its_equations_say,
    td3_agent,
)


def truncation_is_termination(self, limit):
    step = self.collector.environment.env.step

    def done(action):
        o, reward, terminated, truncated, info = step(action)
        return o, reward, terminated or truncated, truncated, info

    self.collector.environment.env.step = done
    try:
        return TD3._iterate(self, limit)
    finally:
        self.collector.environment.env.step = step


def termination_is_truncation(self, limit):
    step = self.collector.environment.env.step

    def never_over(action):
        o, reward, terminated, truncated, info = step(action)
        return o, reward, False, truncated or terminated, info

    self.collector.environment.env.step = never_over
    try:
        return TD3._iterate(self, limit)
    finally:
        self.collector.environment.env.step = step


class Swapped:
    """An agent seen with some attributes exchanged."""

    def __init__(self, agent, **others):
        self.__dict__.update(agent.__dict__)
        self.__dict__.update(others)
        self._agent = agent

    def __getattr__(self, name):
        return getattr(self._agent, name)


def optimistic(self, batch, noise, out=None):
    """min for max: of costs, the optimism that twin critics are there to prevent."""
    negated = self.critics.targets.clone()
    *_, last = self.critics.network.layers(negated)
    for part in last:
        part.neg_()
    flipped = Swapped(self, critics=Swapped(self.critics, targets=negated))
    ahead = TD3.target(flipped, batch._replace(costs=torch.zeros_like(batch.costs)), noise)
    return (1 - self.gamma) * batch.costs - ahead


def undiscounted_costs(self, batch, noise, out=None):
    """c in place of (1 − γ) c."""
    return TD3.target(self, batch._replace(costs=batch.costs / (1 - self.gamma)), noise)


def unclipped_noise(self, batch, noise, out=None):
    return TD3.target(Swapped(self, target_noise_clip=1e9), batch, noise)


def no_noise(self, batch, noise, out=None):
    return TD3.target(self, batch, torch.zeros_like(noise))


def from_current_networks(self, batch, noise, out=None):
    critics = Swapped(self.critics, targets=self.critics.weights)
    return TD3.target(
        Swapped(self, learned_actor=Swapped(self.learned_actor, targets=self.weights), critics=critics), batch, noise
    )


def actor_every_step(self, batch, noise):
    delay, self.policy_delay = self.policy_delay, 1
    TD3.update(self, batch, noise)
    self.policy_delay = delay


def targets_of(agent):
    return agent.learned_actor.targets, agent.critics.targets


def targets_never_follow(self, batch, noise):
    before = [t.clone() for t in targets_of(self)]
    TD3.update(self, batch, noise)
    for target, old in zip(targets_of(self), before, strict=True):
        target.copy_(old)


def targets_follow_every_step(self, batch, noise):
    before = self.spent.updates
    TD3.update(self, batch, noise)
    if self.spent.updates == before:
        for target, current in zip(targets_of(self), (self.weights, self.critics.weights), strict=True):
            target.lerp_(current, self.tau)


def targets_jump(self, batch, noise):
    """τ and 1 − τ exchanged."""
    tau, self.tau = self.tau, 1 - self.tau
    TD3.update(self, batch, noise)
    self.tau = tau


def actor_climbs(self, observations, noise):
    cost, slope = TD3.descent(self, observations, noise)
    return cost, -slope


def actor_of_both_critics(self, observations, noise):
    w = self.weights.clone().requires_grad_()
    pairs = torch.cat((observations, self.policy(w, observations)), 1).expand(2, -1, -1)
    cost = self.critics.network(self.critics.weights, pairs).amax(0).mean()
    return cost, torch.autograd.grad(cost, w)[0]


def actor_through_the_second_critic(self, observations, noise):
    self.critics.weights.copy_(self.critics.weights.flip(0))
    answer = TD3.descent(self, observations, noise)
    self.critics.weights.copy_(self.critics.weights.flip(0))
    return answer


def actor_past_the_tanh(self, observations, noise):
    """∂Ĉ/∂a taken for the slope at what tanh squashes."""
    slope, Tanh._vjp_state = Tanh._vjp_state, lambda module, v, z, w, y, out=None: v
    try:
        return TD3.descent(self, observations, noise)
    finally:
        Tanh._vjp_state = slope


# ---- what every agent must do, shown by TD3

STATE = TD3._state


def forgets_the_optimiser(self):
    state = STATE(self)
    return state | {"learned_actor": state["learned_actor"] | {"optimizer": Adam(self.weights, self.lr).state_dict()}}


def forgets_the_replay(self):
    state = STATE(self)
    return state | {"replay": state["replay"] | {"table": torch.zeros_like(state["replay"]["table"])}}


def forgets_how_full_the_replay_is(self):
    state = STATE(self)
    return state | {"replay": state["replay"] | {"added": len(self.replay)}}


def forgets_where_the_delay_stood(self):
    return STATE(self) | {"critic_updates": 0}


def forgets_the_episode_under_way(self):
    episode = STATE(self)["episode"]
    return STATE(self) | {"episode": episode | {"actions": episode["actions"][:0]}}


def forgets_the_targets(self):
    state = STATE(self)
    return state | {
        "learned_actor": state["learned_actor"] | {"targets": self.weights},
        "critics": state["critics"] | {"targets": self.critics.weights},
    }


def plays_in_the_learners_environment(self, episodes=20):
    played = TD3.evaluate(self, episodes)
    self.collector.environment.env.reset(seed=0)
    return played


def draws_from_the_learners_stream(self, episodes=20):
    self.spent.iterations += 1
    return TD3.evaluate(self, episodes)


def counts_what_it_judges(self, episodes=20):
    played = TD3.evaluate(self, episodes)
    self.spent.steps += played.steps
    return played


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


def small(kind):
    return td3_agent(kind, hidden=(6,), buffer_size=60, environment_arguments={"cap": 25})


@pytest.mark.slow
@pytest.mark.parametrize(
    "wrong",
    [
        forgets_the_optimiser,
        forgets_the_replay,
        forgets_how_full_the_replay_is,
        forgets_where_the_delay_stood,
        forgets_the_targets,
        forgets_the_episode_under_way,
    ],
    ids=lambda f: f.__name__,
)
def test_what_a_checkpoint_forgets_is_caught(wrong, tmp_path, monkeypatch):
    monkeypatch.setattr(TD3, "_state", wrong)  # not in a subclass, which is not saved
    with pytest.raises((AssertionError, ValueError)):
        # an odd number of updates, the replay is full
        prove_it_goes_on_after_loading(small(TD3), tmp_path / "agent.pt", 81)


@pytest.mark.slow
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
    monkeypatch.setattr(off_policy, "BLOCK", 25)
    with pytest.raises(AssertionError):
        prove_evaluation_changes_nothing_of_learning(small(wrong), small(wrong), 100)


def test_the_right_agent_passes_the_same_proofs():
    prove_only_termination_stops_the_bootstrap(TD3)
    prove_td3_updates_as_its_equations_say(TD3)


def test_a_mutant_that_changes_nothing_passes_too(tmp_path, monkeypatch):
    prove_td3_updates_as_its_equations_say(mutant(TD3, target=lambda self, *given: TD3.target(Swapped(self), *given)))
    prove_only_termination_stops_the_bootstrap(mutant(TD3))
    prove_it_goes_on_after_loading(small(TD3), tmp_path / "agent.pt", 81)
    monkeypatch.setattr(off_policy, "BLOCK", 25)
    prove_evaluation_changes_nothing_of_learning(small(mutant(TD3)), small(mutant(TD3)), 100)
