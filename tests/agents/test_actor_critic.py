"""ActorCritic: orthogonal first weights, passes of autograd, views of one vector."""

import math

import numpy as np
import torch

from rllab import Key
from rllab.agents.actions import BoxActions, Choices
from rllab.agents.actor_critic import ActorCritic
from rllab.agents.policy import Policy

BOX, CHOICE = BoxActions((-1.0,) * 2, (1.0,) * 2), Choices((3,))


def networks(actions, key=0, hidden=(8, 5)):
    return ActorCritic(Policy((1.0,) * 4, actions, hidden), Key(key), std=0.5)


def test_first_weights_are_orthogonal_with_the_published_gains():
    n = networks(BOX, hidden=(16, 6))
    for network, w, last in ((n.policy.network, n.weights, 0.01), (n.value_network, n.value_weights, 1.0)):
        for depth, (weight, bias) in enumerate(network.layers(w)):
            gain = last if depth == 2 else math.sqrt(2)
            small = weight if weight.shape[0] < weight.shape[1] else weight.T
            torch.testing.assert_close(small @ small.T, gain**2 * torch.eye(len(small)), rtol=1e-5, atol=1e-5 * gain**2)
            assert not bias.any()
    assert torch.equal(n.log_std, torch.full((2,), math.log(0.5)))
    assert torch.equal(n.parameters, networks(BOX, hidden=(16, 6)).parameters)
    assert not torch.equal(n.parameters, networks(BOX, key=1, hidden=(16, 6)).parameters)


def test_both_passes_are_those_of_autograd():
    for actions in (BOX, CHOICE):
        n, g = networks(actions), Key(3).generator()
        n.parameters.add_(0.3 * torch.randn(n.parameters.shape, generator=g))
        x, slope, spread, to_values = (
            torch.randn(shape, generator=g) for shape in ((9, 4), (9, actions.size), n.log_std.shape, (9,))
        )
        w = n.parameters.clone().requires_grad_()
        parts = w.split((len(n.weights), len(n.log_std), len(n.value_weights)))
        expected, values = n.policy(parts[0], x), n.value_network(parts[2], x)[:, 0]
        ours = n.forward(x)
        torch.testing.assert_close(ours[0], expected.detach(), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(ours[1], values.detach(), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(n.values(x.view(3, 3, 4)), values.detach().view(3, 3), rtol=1e-5, atol=1e-6)
        total = (expected * slope).sum() + (parts[1] * spread).sum() + (values * to_values).sum()
        (exact,) = torch.autograd.grad(total, w)
        torch.testing.assert_close(n.backward(slope, spread, to_values), exact, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(n.policy_gradient(x, slope), exact[: len(n.weights)], rtol=1e-4, atol=1e-5)


def test_it_acts_with_the_weights_it_has_now():
    n, x = networks(BOX), np.ones((3, 4), np.float32)
    with torch.no_grad():
        n.weights.add_(0.5)
        n.log_std.zero_()
        mean = n.policy(n.weights, torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(n.act(x, np.ones((3, 2), np.float32)), mean + 1, rtol=1e-5)
