"""Reinforce: unbiased over all outcomes of an update, scores and costs-to-go as their definitions say."""

import math
from functools import partial

import numpy as np
import pytest
import torch

from rllab import Key
from rllab.agents import Reinforce
from rllab.agents.reinforce import cost_to_go
from rllab.agents.value_baseline import ValueBaseline
from rllab.estimate import Kind
from tests.proofs.agents import (
    K,
    Watched,
    all_of,
    choice_agent,
    expected_cost,
    prove_learning_in_chunks_is_learning,
    prove_reinforce_discounts,
    prove_reinforce_is_unbiased,
)
from tests.proofs.toy_environments import CHOICE, DRIFT, HIGH, LOG, LOW


@pytest.mark.parametrize("baseline", (None, 0.7, "leave-one-out"))
def test_its_mean_over_all_outcomes_is_the_exact_gradient(baseline):
    prove_reinforce_is_unbiased(Reinforce, baseline=baseline)


def test_with_the_mean_of_all_episodes_as_baseline_it_is_short_by_one_part_in_their_number():
    prove_reinforce_is_unbiased(Reinforce, factor=1 - 1 / K, baseline="mean")


@pytest.mark.parametrize("gamma", (0.6, 1.0))
def test_one_outcome_is_scored_as_by_hand(gamma):
    prove_reinforce_discounts(Reinforce, gamma)


@pytest.mark.parametrize("gamma", (1.0, 0.9, 0.25))
def test_cost_to_go_is_its_definition(gamma):
    c = torch.randn(3, 6, dtype=torch.float64, generator=Key(0).generator())
    expected = torch.zeros_like(c)
    for t in range(6):
        for later in range(t, 6):
            expected[:, t] += gamma ** (later - t) * c[:, later]
    torch.testing.assert_close(cost_to_go(c, gamma), expected, rtol=1e-12, atol=1e-12)


def test_log_probabilities_of_discrete_actions_are_those_of_torch():
    agent = Reinforce(CHOICE, hidden=(4,), episodes=2)
    inputs, actions = torch.randn(8, 3, generator=Key(1).generator()), torch.arange(8) % 3
    expected = torch.distributions.Categorical(logits=agent.policy(agent.weights, inputs)).log_prob(actions)
    torch.testing.assert_close(agent.log_probability(inputs, actions[:, None]), expected, rtol=1e-5, atol=1e-6)


def test_log_probabilities_of_a_box_are_those_of_torch_up_to_a_constant():
    agent = Reinforce("rllab_envs:rllab/BicycleBalance-v0", hidden=(4,), episodes=2, std=0.3)
    with torch.no_grad():
        agent.log_std += torch.tensor([0.2, -0.5])
    inputs = torch.randn(8, 4, generator=Key(2).generator())
    actions = torch.randn(8, 2, generator=Key(3).generator())
    normal = torch.distributions.Normal(agent.policy(agent.weights, inputs), agent.log_std.exp())
    ours, theirs = agent.log_probability(inputs, actions), normal.log_prob(actions).sum(-1)
    torch.testing.assert_close(ours - ours[0], theirs - theirs[0], rtol=1e-4, atol=1e-4)
    for one, other in zip(
        torch.autograd.grad(ours.sum(), (agent.weights, agent.log_std)),
        torch.autograd.grad(theirs.sum(), (agent.weights, agent.log_std)),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_actions_are_drawn_from_the_probabilities_that_are_scored():
    n = 40_000
    agent = Reinforce(CHOICE, hidden=(4,), episodes=2)
    with torch.no_grad():
        agent.weights.copy_(torch.randn(agent.policy.size, generator=Key(4).generator()))
    inputs = torch.tensor([[0.0, 1.0, 0.0]])
    p = agent.log_probability(inputs.expand(3, -1), torch.arange(3)[:, None]).exp().detach()
    drawn = agent.draw(agent.weights, inputs.expand(n, -1), Key(5).generator())
    share = torch.bincount(drawn[:, 0], minlength=3) / n
    assert ((share - p).abs() < 6.5 * (p * (1 - p) / n).sqrt()).all()  # three two-sided tests at 8e-11

    agent = Reinforce(DRIFT, hidden=(4,), episodes=2, std=0.3)
    inputs = torch.tensor([[0.5, 1.0]])
    drawn = agent.draw(agent.weights, inputs.expand(n, -1), Key(6).generator())
    mean = agent.policy(agent.weights, inputs).item()
    assert abs(drawn.mean() - mean) < 6.5 * 0.3 / n**0.5
    assert abs(drawn.std() - 0.3) < 6.5 * 0.3 / (2 * n) ** 0.5


def test_what_reaches_the_environment_lies_in_its_box_and_the_score_is_of_what_was_drawn():
    agent = Reinforce(DRIFT, hidden=(), episodes=8, std=3.0)
    LOG.clear()
    agent.learn(500)
    taken = torch.tensor([float(a[0]) for a in LOG.actions])
    assert taken.min() == LOW and taken.max() == HIGH  # clipped: the environment takes actions of its box only
    assert agent.log_std.item() != np.float32(math.log(3.0))


def test_episodes_that_do_not_fit_go_on_in_the_next_call():
    prove_learning_in_chunks_is_learning(partial(Reinforce, DRIFT, hidden=(3,), episodes=8))


def with_values(kind, fitted=False):
    """Return a maker of agents whose value baseline is a random network; `fitted` lets it learn from each batch."""

    def make(*arguments, **options):
        agent = kind(*arguments, **options, baseline="value")
        agent.value.weights.normal_(generator=Key(9).generator())
        agent.value.scale.fill_(2.0)
        if not fitted:
            agent.value.fit = lambda *arguments: 0.0
        return agent

    return make


class FittedToTheSameBatch(Reinforce):
    def _advantages(self, drawn):
        _, to_go = super()._advantages(drawn)
        self.value.fit(drawn.inputs, to_go, Key(0))
        return super()._advantages(drawn)


def test_a_value_baseline_leaves_the_mean_over_all_outcomes_as_it_is():
    prove_reinforce_is_unbiased(with_values(Reinforce))


def test_a_value_baseline_that_saw_the_same_batch_is_caught():
    with pytest.raises(AssertionError):
        prove_reinforce_is_unbiased(with_values(FittedToTheSameBatch, fitted=True))


def test_a_value_baseline_learns_the_mean_of_what_it_is_shown():
    value, g = ValueBaseline(2, (8,), Key(0)), Key(1).generator()
    x = torch.randn(2_000, 2, generator=g)
    to_go = 50 + 20 * x[:, 0] + torch.randn(2_000, generator=g)
    assert not value(x).any()  # before the first fit
    first = value.fit(x, to_go, Key(2))
    assert first == pytest.approx(to_go.square().mean().item(), rel=1e-5)
    for i in range(4):
        value.fit(x, to_go, Key(3 + i))
    error = (value(x) - 50 - 20 * x[:, 0]).square().mean()
    assert error < 4.0  # of a variance of 400
    again = ValueBaseline(2, (8,), Key(5))
    again.load_state_dict(value.state_dict())
    for one in (value, again):
        one.fit(x, to_go, Key(9))
    assert torch.equal(value(x), again(x))


def test_an_update_with_no_gradient_moves_nothing():
    agent = Reinforce(CHOICE, hidden=(3,), episodes=2)
    agent.learn(20)
    kept, updates = agent.parameters.clone(), agent.spent.updates
    agent._advantages = lambda drawn: (torch.zeros(len(drawn.inputs)),) * 2  # all episodes cost the same
    agent.learn(20)
    assert torch.equal(agent.parameters, kept) and agent.spent.updates > updates


def test_entropy_is_that_of_torch_and_its_bonus_is_followed():
    agent = Reinforce(CHOICE, hidden=(4,), episodes=2, ent_coef=0.7)
    inputs = torch.randn(8, 3, generator=Key(1).generator())
    law = torch.distributions.Categorical(logits=agent.policy(agent.weights, inputs))
    torch.testing.assert_close(agent.entropy(inputs), law.entropy())
    box = Reinforce(DRIFT, hidden=(4,), episodes=2, std=0.3)
    expected = torch.distributions.Normal(0.0, torch.tensor(0.3)).entropy().expand(8)
    torch.testing.assert_close(box.entropy(inputs[:, :2]).detach(), expected)
    agent.optimizer, seen = Watched(), []
    agent._advantages = lambda drawn: seen.append(drawn.inputs) or (torch.zeros(len(drawn.inputs)),) * 2
    agent._iterate(10**6)
    (exact,) = torch.autograd.grad(-0.7 * agent.entropy(seen[0]).mean(), agent.weights)
    torch.testing.assert_close(agent.optimizer.gradient, exact)


def test_a_long_gradient_is_shortened():
    plain, short = (Reinforce(DRIFT, hidden=(), episodes=4, max_grad_norm=m) for m in (None, 1e-3))
    for agent in (plain, short):
        agent.optimizer = Watched()
        agent._iterate(10**6)
    long = plain.optimizer.gradient
    torch.testing.assert_close(short.optimizer.gradient, long * 1e-3 / long.norm())
    assert short.diagnostics["grad_norm"] == plain.diagnostics["grad_norm"] == long.norm().item()


@pytest.mark.parametrize("baseline", ("leave-one-out", "value"))
def test_a_gradient_changes_nothing_of_the_agent_and_follows_its_key(baseline):
    looked, other = (Reinforce(DRIFT, hidden=(3,), episodes=4, baseline=baseline, seed=3) for _ in range(2))
    for agent in (looked, other):
        agent.learn(150)
    one, same, another = (looked.gradient(steps=400, key=k) for k in (1, 1, 2))
    assert torch.equal(one.gradient, same.gradient) and not torch.equal(one.gradient, another.gradient)
    assert one.gradient.shape == one.standard_error.shape == (looked.policy.size,)
    assert 200 < one.evaluations <= 400 and one.target.kind is Kind.EXPECTATION
    for agent in (looked, other):
        agent.learn(150)
    assert all_of(looked) == all_of(other)
    with pytest.raises(ValueError, match="Reinforce: steps must suffice for 4 episodes, got 5, of which 4 were taken"):
        looked.gradient(steps=5, key=0)
    assert Reinforce(DRIFT, hidden=(3,), gamma=0.9).gradient(steps=2_000, key=0).target.kind is Kind.SURROGATE


@pytest.mark.slow
def test_gradients_scatter_around_the_exact_one_as_their_standard_error_says():
    agent = choice_agent(Reinforce)
    w = agent.weights.detach().double().requires_grad_()
    (exact,) = torch.autograd.grad(expected_cost(agent, w), w)
    estimates = [agent.gradient(steps=600, key=k) for k in range(12)]
    z = torch.stack([(e.gradient.double() - exact) / e.standard_error.double().clamp_min(1e-6) for e in estimates])
    assert z.abs().max() < 8.0  # some 170 batches each: 12 · 30 numbers beyond 8 deviations by less than 1e-12
    assert 0.2 < z.square().mean() < 3.0  # 12 draws of 1, each of several directions
    values = torch.stack([e.value for e in estimates]).double()
    assert abs(values.mean() - expected_cost(agent, w)) < 22.0 * values.std() / 12**0.5  # t, 11 degrees: 2e-10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"episodes": 1}, "episodes must be an integer >= 2, got 1"),
        ({"gamma": 1.1}, r"gamma must be in \(0, 1\], got 1.1"),
        ({"baseline": "median"}, "baseline must be None, a finite number or one of .* got 'median'"),
        ({"std": 0.0}, "std must be positive and finite, got 0.0"),
    ],
)
def test_its_errors_name_it_and_the_argument(arguments, message):
    with pytest.raises(ValueError, match=f"Reinforce: {message}"):
        Reinforce(DRIFT, **arguments)
