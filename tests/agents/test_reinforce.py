"""Reinforce: unbiased over all outcomes of an update, scores and costs-to-go as their definitions say."""

import pytest
import torch

from rllab import Key
from rllab.agents import Reinforce
from rllab.agents.reinforce import cost_to_go
from tests.proofs.agents import K, prove_reinforce_discounts, prove_reinforce_is_unbiased
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
    assert agent.log_std.grad.abs() > 0


def test_an_iteration_that_does_not_fit_is_paid_for_and_not_used():
    agent = Reinforce(DRIFT, hidden=(), episodes=8)
    LOG.clear()
    before = agent.weights.clone()
    assert agent.learn(20)[-1]["return"] is None
    assert torch.equal(agent.weights, before) and agent.spent.updates == 0
    assert agent.spent.steps == LOG.steps == 16


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
