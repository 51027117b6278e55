"""What ARS and Evolution claim beyond one update, computed again by other means; each proof takes what it judges."""

import math
import warnings

import gymnasium
import numpy as np
import torch
from gymnasium import spaces

from rllab import Key
from rllab.agents import load
from rllab.estimators import GaussianSmoothing
from tests.proofs.agents import all_of
from tests.proofs.numpy_adam import NumpyAdam
from tests.proofs.toy_environments import DRIFT, HIGH, LOG, LOW, Drift

SCALE = np.array([4.0, 1.0])  # the bounds of Drift's observations: 4, none
ARGUMENTS = {"cap": 9, "fall": 1.1}
STILL, RESTLESS = "rllab-tests/Still-v0", "rllab-tests/Fickle-v0"


class Still(gymnasium.Env):
    """Pay 1 for each of 5 steps, whatever is done."""

    observation_space = spaces.Box(-1, 1, (2,))
    action_space = spaces.Box(-1, 1, (1,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return self.np_random.uniform(-1, 1, 2).astype(np.float32), {}

    def step(self, action):
        self.t += 1
        return self.np_random.uniform(-1, 1, 2).astype(np.float32), 1.0, False, self.t == 5, {}


class Fickle(Drift):
    """No episode is the same twice, whatever its seed."""

    made = 0

    def reset(self, *, seed=None, options=None):
        Fickle.made += 1
        return super().reset(seed=seed + Fickle.made)


gymnasium.register(STILL, Still)
gymnasium.register(RESTLESS, Fickle)


def play(w, seed, mean=0.0, std=1.0, arguments=ARGUMENTS):
    """Return, length and scaled observations of an episode of Drift under a linear policy w = (W₁, W₂, b)."""
    env = gymnasium.make(DRIFT, **arguments)
    o, _ = env.reset(seed=int(seed))
    total, seen, over = 0.0, [], False
    while not over:
        seen.append(o / SCALE)
        x = (seen[-1] - mean) / std
        squashed = math.tanh(w[0] * x[0] + w[1] * x[1] + w[2])
        o, reward, terminated, truncated, _ = env.step(np.array([(LOW + HIGH) / 2 + 2 * squashed], np.float32))
        total, over = total + reward, terminated or truncated
    return total, len(seen), seen


def prove_ars_updates_by_hand(kind, *, n_top=2, offset=0.0, normalize=True):
    """Three updates: pairs from the key, episodes, the best of them, whitening between generations, all in float64."""
    n, std, lr = 4, 0.4, 0.3
    agent = kind(
        DRIFT,
        seed=3,
        n_delta=n,
        n_top=n_top,
        lr=lr,
        delta_std=std,
        alive_bonus_offset=offset,
        normalize_observations=normalize,
        environment_arguments=ARGUMENTS,
    )
    w, b = np.zeros(3), n_top or n
    np.testing.assert_array_equal(agent.weights.numpy(), w)
    all_seen, mean, spread = [], 0.0, 1.0
    for generation in range(3):
        query = agent.estimator.ask(agent.weights.clone(), 2 * n, agent.key.child("generation", generation))
        points, seeds = query[0].points.double().numpy(), query.seeds(query[0]).tolist()
        assert seeds[:n] == seeds[n:] and len(set(seeds)) == n
        delta = (points[:n] - agent.weights.double().numpy()) / std
        played = [play(p, s, mean, spread) for p, s in zip(points, seeds, strict=True)]
        returns = np.array([p[0] for p in played])
        shifted = returns + offset * np.array([p[1] for p in played])
        plus, minus = shifted[:n], shifted[n:]
        best = np.argsort(-np.maximum(plus, minus))[:b]
        sigma = np.concatenate([plus[best], minus[best]]).std()
        w = w + lr / (b * sigma) * ((plus - minus)[best, None] * delta[best]).sum(0)  # the source: rewards ascend
        row = next(agent.train(10**6))
        np.testing.assert_allclose(agent.weights.numpy(), w, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(row["return"], returns.mean(), rtol=1e-4)
        w = agent.weights.double().numpy().copy()
        all_seen += [o for p in played for o in p[2]]
        if normalize:
            mean, spread = np.mean(all_seen, 0), np.sqrt(np.var(all_seen, 0) + 1e-8)
    assert agent.spent.updates == 3 and agent.spent.steps == len(all_seen) and agent.spent.episodes == 6 * n


def weights_by_update(agent, chunk, calls, path=None):
    """Learn in calls of so many steps, through a file after each if there is one; weights after each update."""
    found = {0: agent.weights.tolist()}
    for _ in range(calls):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*did not suffice for an update")
            for row in agent.train(chunk):
                found[row["updates"]] = agent.weights.tolist()
        if path is not None:
            agent.save(path)
            agent = load(path)
    return found, agent


def prove_cut_generations_go_on(make, path):
    """Calls that each end within a generation lose no step, and learn what one long call learns, bit for bit."""
    whole, _ = weights_by_update(make(), 390, 1)
    LOG.clear()
    cut, agent = weights_by_update(make(), 20, 20)
    assert agent.spent.steps == LOG.steps and agent.spent.episodes == len(LOG.seeds)
    through_files, saved = weights_by_update(make(), 20, 20, path)
    assert len(whole) >= len(cut) > 5, (len(whole), len(cut))
    for updates, weights in whole.items():
        assert weights == cut.get(updates, weights) == through_files.get(updates, weights)
    assert all_of(agent) == all_of(saved)


def prove_the_gradient_is_of_fresh_steps(make, steps=300):
    """It is priced in steps, follows its key, and leaves the agent bit for bit as it was."""
    agent, twin = make(), make()
    agent.learn(150)
    twin.learn(150)
    before = all_of(agent)
    LOG.clear()
    e = agent.gradient(steps=steps, key=4)
    assert e.evaluations == LOG.steps <= steps
    assert all_of(agent) == before == all_of(twin)
    again = agent.gradient(steps=steps, key=4)
    assert torch.equal(again.gradient, e.gradient) and torch.equal(again.standard_error, e.standard_error)
    assert not torch.equal(agent.gradient(steps=steps, key=5).gradient, e.gradient)
    agent.learn(200)
    twin.learn(200)
    assert all_of(agent) == all_of(twin)
    return e


def prove_evolutions_gradient_by_hand(kind):
    """Episodes of 9 steps, 6 a generation: 200 steps pay for 3, and 38 of them for what is left out."""
    arguments = {"cap": 9, "fall": 1e9}
    agent = kind(DRIFT, 1, hidden=(), estimator=GaussianSmoothing(0.3), population=6, environment_arguments=arguments)
    e = agent.gradient(steps=200, key=8)
    w, found, costs = agent.weights.double().numpy(), [], []
    for generation in range(3):
        query = agent.estimator.ask(agent.weights, 6, Key(8).child("generation", generation))
        points, seeds = query[0].points.double().numpy(), query.seeds(query[0]).tolist()
        f = -np.array([play(p, s, arguments=arguments)[0] for p, s in zip(points, seeds, strict=True)])
        found.append(((f[:3] - f[3:])[:, None] * (points[:3] - w) / 0.3).sum(0) / (2 * 0.3 * 3))
        costs += f.tolist()
    np.testing.assert_allclose(e.gradient.numpy(), np.mean(found, 0), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(e.standard_error.numpy(), np.std(found, 0, ddof=1) / 3**0.5, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(float(e.value), np.mean(costs), rtol=1e-5)
    assert e.evaluations == 198 and e.target == agent.estimator.target  # 162 for three, 36 for the one cut off
    assert agent.spent.steps == agent.spent.episodes == 0


def prove_weight_decay_minimises_what_it_says(kind, decay=0.7):
    """Two of Adam's steps along the estimate of ∇f plus λw."""
    agent = kind(
        DRIFT,
        seed=3,
        hidden=(),
        estimator=GaussianSmoothing(0.3),
        population=6,
        lr=0.07,
        weight_decay=decay,
        normalize_observations=False,
        environment_arguments=ARGUMENTS,
    )
    adam = NumpyAdam(0.07)
    for generation in range(2):
        w = agent.weights.double().numpy().copy()
        query = agent.estimator.ask(agent.weights.clone(), 6, agent.key.child("generation", generation))
        points, seeds = query[0].points.double().numpy(), query.seeds(query[0]).tolist()
        f = -np.array([play(p, s)[0] for p, s in zip(points, seeds, strict=True)])
        g = ((f[:3] - f[3:])[:, None] * (points[:3] - w) / 0.3).sum(0) / (2 * 0.3 * 3)
        row = next(agent.train(10**6))
        np.testing.assert_allclose(row["grad_norm"], np.linalg.norm(g + decay * w), rtol=1e-3)
        np.testing.assert_allclose(agent.weights.numpy(), adam.step(w, g + decay * w), rtol=1e-3, atol=7e-6)


def prove_nothing_moves_where_costs_are_equal(kind, **arguments):
    """Adam's momentum is there from gradients before; then every episode costs the same."""
    agent = kind(STILL, hidden=(), **arguments)
    before = agent.weights.clone()
    if kind.__name__ == "Evolution":
        agent.optimizer.step(torch.ones_like(agent.weights))
        assert not torch.equal(agent.weights, before)
        before = agent.weights.clone()
    agent.learn(400)
    assert agent.spent.updates >= 3 and torch.equal(agent.weights, before)
