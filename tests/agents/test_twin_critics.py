"""Actor and twin critics by themselves, as another off-policy learner uses them: torch's autograd says the same."""

import torch

from rllab import Key
from rllab.agents.actions import BoxActions
from rllab.agents.actor import Actor
from rllab.agents.policy import Policy
from rllab.agents.twin_critics import TwinCritics

WIDTH, K, N = 3, 2, 7


def normal(*shape, key):
    return torch.randn(shape, generator=Key(key).generator())


def make():
    critics = TwinCritics(WIDTH, K, (6, 5), key=Key(1), lr=0.01)
    critics.targets.copy_(normal(*critics.targets.shape, key=2))
    return critics, normal(N, WIDTH, key=3), normal(N, K, key=4).tanh()


def both(critics, weights, o, a):
    return critics.network(weights, torch.cat((o, a), 1).expand(2, -1, -1))[..., 0]


def test_the_larger_is_the_maximum_at_whichever_weights_are_given():
    critics, o, a = make()
    for weights in (critics.weights, critics.targets):
        expected = both(critics, weights, o, a).amax(0)
        torch.testing.assert_close(critics.larger(weights, o, a, torch.empty(N)), expected, rtol=1e-5, atol=1e-6)


def test_a_regression_is_a_step_of_adam_on_both_squared_errors():
    critics, o, a = make()
    y = normal(N, key=5)
    w = critics.weights.clone().requires_grad_()
    adam = torch.optim.Adam([w], lr=0.01)
    for _ in range(3):
        critics.regress(o, a, y)
        adam.zero_grad()
        (both(critics, w, o, a) - y).square().mean(1).sum().backward()
        adam.step()
    torch.testing.assert_close(critics.weights, w.detach(), rtol=1e-4, atol=1e-5)


def test_the_slope_is_that_of_the_first_critic_in_the_actions():
    critics, o, a = make()
    leaf = a.clone().requires_grad_()
    mean = both(critics, critics.weights, o, leaf)[0].mean()
    (expected,) = torch.autograd.grad(mean, leaf)
    cost, slope = critics.through(o, a)
    torch.testing.assert_close((cost, slope), (mean.detach(), expected), rtol=1e-5, atol=1e-6)


def test_targets_follow_by_a_fraction_and_a_start_moves_last_biases_alone():
    critics, *_ = make()
    before = critics.targets.clone()
    critics.follow(0.25)
    torch.testing.assert_close(critics.targets, 0.75 * before + 0.25 * critics.weights)
    weights, targets = critics.weights.clone(), critics.targets.clone()
    critics.start_at(torch.tensor(3.0))
    for now, old in ((critics.weights, weights), (critics.targets, targets)):
        assert torch.equal(now[:, :-1], old[:, :-1]) and (now[:, -1] == 3).all()


def test_an_actor_backpropagates_a_slope_to_its_weights():
    policy = Policy(scale=(1.0,) * WIDTH, actions=BoxActions((-1.0,) * K, (1.0,) * K), hidden=(6,))
    actor, o, slope = Actor(policy, policy.initial(0), lr=0.1), normal(N, WIDTH, key=6), normal(N, K, key=7)
    w = actor.weights.clone().requires_grad_()
    expected_actions = policy(w, o)
    (expected,) = torch.autograd.grad(expected_actions, w, slope)
    actions = actor.forward(actor.weights, o)
    torch.testing.assert_close(actions, expected_actions.detach(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(torch.from_numpy(actor.act(o[0].numpy())), actions[0], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(actor.backward(slope), expected, rtol=1e-4, atol=1e-6)
    before = actor.targets.clone()
    actor.optimizer.step(expected)
    actor.follow(0.5)
    torch.testing.assert_close(actor.targets, 0.5 * (before + actor.weights))
    assert not torch.equal(before, actor.weights)
