"""PPO's loss in numpy, its gradient by differences, Adam by hand: what an update must be."""

import itertools

import gymnasium
import numpy as np
import torch
from gymnasium import spaces

from rllab import Key
from rllab.agents.ppo import Minibatch
from tests.proofs.numpy_adam import NumpyAdam
from tests.proofs.toy_environments import DRIFT

COUNTS = (2, 3)


class Lights(gymnasium.Env):
    """Several choices at once, MultiDiscrete: the reward is how many of them are the digits that are shown."""

    observation_space = spaces.Box(0.0, 1.0, (2,))
    action_space = spaces.MultiDiscrete(COUNTS)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return self._shown(), {}

    def step(self, action):
        assert self.action_space.contains(action)
        reward = float((action == (self.shown * (np.array(COUNTS) - 1)).round()).sum())
        self.t += 1
        return self._shown(), reward, False, self.t == 10, {}

    def _shown(self):
        self.shown = self.np_random.integers(0, 2, 2).astype(np.float32)
        return self.shown


def ppo_agent(kind, environment=DRIFT, **arguments):
    small = {"hidden": (4,), "num_envs": 4, "n_steps": 6, "batch_size": 12, "lr": 0.01, "seed": 2, "clip_range": 0.1}
    plain = {"normalize_observations": False, "normalize_costs": False}
    return kind(environment, **small | plain | arguments)


def minibatch(agent, key, n=12, far=0.2):
    """A minibatch of n steps whose ratios lie on both sides of the clipping, for both signs of A."""
    g = Key(key).generator()
    inputs = torch.randn(n, len(agent.policy.scale), generator=g)
    law = agent.networks.distribution
    noise = law.noise((n,), g)
    actions = agent.networks.act(inputs.numpy(), noise)
    encoded = law.encode(torch.from_numpy(actions))
    log_p = agent.networks.log_probability(inputs, encoded)
    old = log_p + far * torch.randn(n, generator=g)
    return Minibatch(inputs, encoded, old, torch.randn(n, generator=g) + 0.5, 3 * torch.randn(n, generator=g))


def network(sizes, w, x):
    """An MLP with tanh in numpy; w as `MLP` with inputs first."""
    at = 0
    for depth, (i, o) in enumerate(itertools.pairwise(sizes)):
        x = np.tanh(x) if depth else x
        x = x @ w[at : at + i * o].reshape(i, o) + w[at + i * o : at + (i + 1) * o]
        at += (i + 1) * o
    assert at == len(w)
    return x


def loss(agent, parameters, batch):
    """L, and by name what rows report of it, in float64."""
    o, encoded, old, a, returns = (part.double().numpy() for part in batch)
    sizes = agent.policy.network.sizes
    d, k = agent.policy.size, 0 if agent.policy.discrete else sizes[-1]
    w, log_std, value = parameters[:d], parameters[d : d + k], parameters[d + k :]
    y, v = network(sizes, w, o), network((*sizes[:-1], 1), value, o)[:, 0]
    if agent.policy.discrete:
        log_p, entropy, at = 0.0, 0.0, 0
        for n in agent.policy.actions.counts:
            z = y[:, at : at + n]
            logs = z - np.log(np.exp(z).sum(1, keepdims=True))
            log_p = log_p + (logs * encoded[:, at : at + n]).sum(1)
            entropy = entropy - (np.exp(logs) * logs).sum(1)
            at += n
    else:
        sigma = np.exp(log_std)
        log_p = (-0.5 * ((encoded - np.tanh(y)) / sigma) ** 2 - np.log(sigma * np.sqrt(2 * np.pi))).sum(1)
        entropy = np.full(len(y), (0.5 * np.log(2 * np.pi * np.e * sigma**2)).sum())
    if agent.normalize_advantage:
        a = (a - a.mean()) / (a.std(ddof=1) + 1e-8)
    ratio, eps = np.exp(log_p - old), agent.clip_range
    policy = np.where(a > 0, np.maximum(ratio, 1 - eps), np.minimum(ratio, 1 + eps)) * a  # a bad action, a good one
    parts = {
        "policy_loss": policy.mean(),
        "value_loss": ((v - returns) ** 2).mean(),
        "entropy": entropy.mean(),
        "approx_kl": (ratio - 1 - np.log(ratio)).mean(),
        "clip_fraction": (abs(ratio - 1) > eps).mean(),
    }
    total = parts["policy_loss"] + agent.vf_coef * parts["value_loss"] - agent.ent_coef * parts["entropy"]
    return total, parts


def slope(function, x, h=1e-6):
    """Central differences."""
    gradient = np.zeros_like(x)
    for i in range(len(x)):
        e = np.zeros_like(x)
        e[i] = h
        gradient[i] = (function(x + e) - function(x - e)) / (2 * h)
    return gradient


def prove_ppo_updates_as_its_equations_say(kind, environment=DRIFT, updates=5, **arguments):
    """Parameters after each of some updates, those of rows as well; the later ones are made from a record."""
    agent = ppo_agent(kind, environment, **arguments)
    generator = Key(8).generator()
    agent.networks.parameters.add_(0.3 * torch.randn(agent.networks.parameters.shape, generator=generator))
    adam, held = NumpyAdam(agent.lr), None
    for i in range(updates):
        batch = minibatch(agent, 40 + i)
        w = agent.networks.parameters.double().numpy().copy()
        g = slope(lambda p, batch=batch: loss(agent, p, batch)[0], w)
        norm = np.linalg.norm(g)
        if agent.max_grad_norm is not None:
            assert norm > 1.1 * agent.max_grad_norm
            g = g * agent.max_grad_norm / norm
        if held is None:
            held = batch
        for kept, part in zip(held, batch, strict=True):
            kept.copy_(part)
        agent.sums.zero_()
        agent.update(held)
        expected = {**loss(agent, w, batch)[1], "grad_norm": norm}
        assert expected["clip_fraction"] > 0.2
        for name, total in zip(agent.columns, agent.sums.tolist(), strict=False):
            np.testing.assert_allclose(total, expected[name], rtol=2e-4, atol=2e-5, err_msg=name)
        ours = agent.networks.parameters.numpy()
        np.testing.assert_allclose(ours, adam.step(w, g), rtol=1e-3, atol=2e-3 * agent.lr)
