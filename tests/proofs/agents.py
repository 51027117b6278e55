"""What each agent claims to compute, computed again by other means. A proof takes the class it judges, so that
tests/mutants can hand it wrong ones."""

import itertools
import math
import tempfile
from copy import deepcopy
from dataclasses import is_dataclass

import gymnasium
import numpy as np
import pytest
import torch
from torch import nn

from rllab import Key
from rllab.agents import base, load
from rllab.agents.replay import Batch
from rllab.estimators import GaussianSmoothing
from tests.proofs.numpy_adam import NumpyAdam
from tests.proofs.toy_environments import CHOICE, DRIFT, HIGH, LOG, LOW, Choice


def kinds():
    """The agents of the lab, by name: final classes, whatever abstract ones stand between them and Agent."""
    found = [kind for kind in base._agents().values() if kind.__module__.startswith("rllab.")]
    return sorted(found, key=lambda kind: kind.__name__)


class Watched:
    """An optimiser that looks and does not move."""

    lr = 0.0

    def step(self, gradient):
        self.gradient = gradient.clone()


# ---- wrong agents


def mutant(parent, **replaced):
    """A subclass by another name only in what is replaced; `_name` stays, so that nothing else differs."""
    return type(parent.__name__, (parent,), replaced)


def mutants(parent, method, *functions):
    return [pytest.param(mutant(parent, **{method: f}), id=f"{parent.__name__}-{f.__name__}") for f in functions]


# ---- every agent


def flat(value):
    """All that learning goes on from, as one flat list of tensors, numbers and None."""
    if is_dataclass(value):
        value = vars(value)
    if isinstance(value, dict):
        return [part for key in sorted(value, key=str) for part in flat(value[key])]
    if isinstance(value, (list, tuple)):
        return [part for item in value for part in flat(item)]
    return [value.detach().flatten().tolist() if isinstance(value, torch.Tensor) else value]


def all_of(agent):
    counts = [value for name, value in vars(agent.spent).items() if not name.endswith("seconds")]
    seen = None if agent.normalizer is None else agent.normalizer.state_dict()
    return [agent.weights.tolist(), counts, *flat(seen), *flat(agent._state())]


def timeless(rows):
    return [{name: value for name, value in row.items() if not name.endswith("seconds")} for row in rows]


def prove_evaluation_changes_nothing_of_learning(plain, watched, steps):
    """Two agents made alike, one of them evaluated after every row."""
    rows, seen = plain.learn(steps), []
    for row in watched.train(steps):
        evaluated = watched.evaluate(3)
        watched.act(np.zeros(2))
        seen.append(row)
        assert evaluated.complete and len(evaluated.returns) == 3
    assert len(rows) > 1
    assert timeless(rows) == timeless(seen)
    assert all_of(plain) == all_of(watched)


def prove_it_goes_on_after_loading(agent, path, steps):
    """Learn, save, load, learn: rows and all that is kept are those of the agent that stayed in memory."""
    agent.learn(steps)
    agent.save(path)
    saved, again = all_of(agent), load(path)
    assert all_of(again) == saved and again.spent.seconds == agent.spent.seconds
    assert timeless(again.learn(steps)) == timeless(agent.learn(steps))
    assert all_of(again) == all_of(agent) != saved
    return again


def prove_learning_in_chunks_is_learning(make, updates=3):
    """Calls that do not suffice for a batch lose none of its steps: three updates are those of one long call."""
    whole, parts = make(), make()
    for row in whole.train(10**6):
        if row["updates"] == updates:
            break
    LOG.clear()
    calls = 0
    while parts.spent.updates < updates:
        before = parts.spent.steps
        if calls % 3 == 1:  # what is under way is saved with the agent
            with tempfile.TemporaryDirectory() as folder:
                parts.save(f"{folder}/agent.pt")
                parts = load(f"{folder}/agent.pt")
                assert parts.spent.steps == before
        rows = parts.learn(20)
        calls += 1
        assert calls < 100
        assert 12 < parts.spent.steps - before <= 20 and rows[-1]["steps"] == parts.spent.steps
    assert calls > 2 * updates and parts.spent.steps - whole.spent.steps < 20
    assert torch.equal(whole.weights, parts.weights)


# ---- Evolution


def play_linear(w, seed, arguments):
    """Return of one episode of Drift under the linear policy w = (W₁, W₂, b), by hand."""
    env = gymnasium.make(DRIFT, **arguments)
    (x, square), _ = env.reset(seed=int(seed))
    total, over = 0.0, False
    while not over:
        squashed = math.tanh(w[0] * x / 4 + w[1] * square + w[2])  # the space's bounds: 4, none
        action = np.array([(LOW + HIGH) / 2 + (HIGH - LOW) / 2 * squashed], np.float32)
        (x, square), reward, terminated, truncated, _ = env.step(action)
        total, over = total + reward, terminated or truncated
    return total


def prove_evolution_steps_along_the_estimate(kind, form="antithetic"):
    """Two iterations: points from the query, episodes and gradient by hand, Adam by hand."""
    arguments, sigma, lr = {"cap": 9, "fall": 1.1}, 0.3, 0.07
    population = 6 if form == "antithetic" else 7
    agent = kind(
        DRIFT,
        seed=3,
        hidden=(),
        estimator=GaussianSmoothing(sigma, form),
        population=population,
        lr=lr,
        normalize_observations=False,
        environment_arguments=arguments,
    )
    adam, steps = NumpyAdam(lr), 0
    for generation in range(2):
        w = agent.weights.double().numpy().copy()
        query = agent.estimator.ask(agent.weights.clone(), population, agent.key.child("generation", generation))
        (block,) = query
        points, seeds = block.points.double().numpy(), query.seeds(block).tolist()
        f = -np.array([play_linear(p, s, arguments) for p, s in zip(points, seeds, strict=True)])
        if form == "antithetic":
            m = 3
            assert seeds[:m] == seeds[m:] and len(set(seeds)) == m
            u = (points[:m] - w) / sigma
            g = ((f[:m] - f[m:])[:, None] * u).sum(0) / (2 * sigma * m)
        else:
            assert len(set(seeds)) == 1
            u = (points[1:] - w) / sigma
            g = ((f[1:] - f[0])[:, None] * u).sum(0) / (sigma * 6)
        LOG.clear()
        row = next(agent.train(10**6))
        assert LOG.seeds == seeds  # a pair meets the same noise
        np.testing.assert_allclose(row["return"], -f.mean(), rtol=1e-4)
        np.testing.assert_allclose(agent.weights.numpy(), adam.step(w, g), rtol=1e-3, atol=1e-4 * lr)
        steps += LOG.steps
        assert (agent.spent.steps, agent.spent.updates, agent.spent.episodes) == (
            steps,
            generation + 1,
            population * (generation + 1),
        )


# ---- Reinforce

K = 2  # episodes an update: 7² joint outcomes


def gradient_of_outcome(agent, outcome):
    """Let the K episodes take these actions; return the gradient the agent then steps along."""
    calls = iter((0, 1))

    def scripted(weights, inputs, generator):
        t = next(calls)
        return torch.tensor([[episode[t]] for episode in outcome if len(episode) > t])

    agent.draw = scripted
    agent.optimizer = Watched()
    agent._iterate(10**6)
    return agent.optimizer.gradient[: agent.policy.size].double()


def choice_agent(kind, **arguments):
    agent = kind(CHOICE, seed=1, hidden=(3,), episodes=K, **arguments)
    with torch.no_grad():
        agent.weights.copy_(torch.randn(agent.policy.size, generator=Key(5).generator()))
    return agent


def log_probabilities(agent, w):
    """log π (3 observations, 3 actions) in float64, by torch's distributions."""
    inputs = torch.eye(3, dtype=torch.float64)
    return torch.distributions.Categorical(logits=agent.policy.network(w, inputs)).logits


def log_p(table, episode):
    first = table[0, episode[0]]
    return first if len(episode) == 1 else first + table[1 + episode[0], episode[1]]


def expected_cost(agent, w):
    table = log_probabilities(agent, w)
    cost = 0.0
    for episode in Choice.OUTCOMES:
        reward = Choice.FIRST[episode[0]] + (Choice.SECOND[episode[0]][episode[1]] if len(episode) > 1 else 0)
        cost = cost - log_p(table, episode).exp() * reward
    return cost


def prove_reinforce_is_unbiased(kind, factor=1.0, **arguments):
    """The mean over all joint outcomes of an update is `factor` times the exact gradient of the expected cost."""
    agent = choice_agent(kind, **arguments)
    w = agent.weights.detach().double().requires_grad_()
    (exact,) = torch.autograd.grad(expected_cost(agent, w), w)
    table = log_probabilities(agent, w.detach())
    mean, total = torch.zeros_like(exact), 0.0
    for outcome in itertools.product(Choice.OUTCOMES, repeat=K):
        p = sum(log_p(table, episode) for episode in outcome).exp()
        mean += p * gradient_of_outcome(agent, outcome)
        total += float(p)
    assert abs(total - 1) < 1e-12
    assert exact.abs().max() > 0.1
    torch.testing.assert_close(mean, factor * exact, rtol=1e-5, atol=1e-6)  # the agent computes in float32


def prove_reinforce_discounts(kind, gamma=0.6):
    """One outcome, all of it by hand: G_t = Σ γ^{t'−t} c_t', the baseline of the other episode, the sum of scores."""
    agent = choice_agent(kind, gamma=gamma)
    outcome = ((0, 1), (1, 2))
    w = agent.weights.detach().double().requires_grad_()
    table = log_probabilities(agent, w)
    to_go = []
    for first, second in outcome:
        later = -Choice.SECOND[first][second]
        to_go.append((-Choice.FIRST[first] + gamma * later, later))
    surrogate = 0.0
    for i, (first, second) in enumerate(outcome):
        a0, a1 = (to_go[i][t] - to_go[1 - i][t] for t in range(2))
        surrogate = surrogate + table[0, first] * a0 + table[1 + first, second] * a1
    (expected,) = torch.autograd.grad(surrogate / K, w)
    torch.testing.assert_close(gradient_of_outcome(agent, outcome), expected, rtol=1e-5, atol=1e-6)


# ---- TD3


class Twin:
    """TD3 out of torch's modules and optimisers, in float64, weights copied from an agent. Costs and 1 − γ as there."""

    def __init__(self, agent):
        self.agent = agent
        self.actor = self._net(agent.policy.network.sizes, nn.Tanh, agent.weights, nn.Tanh())
        self.critics = [self._net(agent.critics.network.sizes, nn.ReLU, w) for w in agent.critics.weights]
        self.actor_target, self.critic_targets = deepcopy(self.actor), deepcopy(self.critics)
        self.actor_adam = torch.optim.Adam(self.actor.parameters(), lr=agent.lr)
        self.critic_adam = torch.optim.Adam([p for q in self.critics for p in q.parameters()], lr=agent.lr)
        self.count = 0

    @staticmethod
    def _net(sizes, activation, w, *last):
        parts, at, w = [], 0, w.detach().double()
        for i, o in itertools.pairwise(sizes):
            linear = nn.Linear(i, o, dtype=torch.float64)
            linear.weight.data = w[at : at + i * o].view(i, o).T.clone()
            linear.bias.data = w[at + i * o : at + i * o + o].clone()
            at += i * o + o
            parts += [linear, activation()]
        return nn.Sequential(*parts[:-1], *last)

    @staticmethod
    def flat(net):
        return torch.cat([(p.T if p.ndim == 2 else p).detach().flatten() for p in net.parameters()])

    def update(self, o, a, c, next_observations, terminated, noise):
        agent = self.agent
        with torch.no_grad():
            noise = (agent.target_policy_noise * noise).clip(-agent.target_noise_clip, agent.target_noise_clip)
            smooth = (self.actor_target(next_observations) + noise).clip(-1, 1)
            ahead = [q(torch.cat((next_observations, smooth), 1))[:, 0] for q in self.critic_targets]
            y = (1 - agent.gamma) * c + agent.gamma * (1 - terminated) * torch.maximum(*ahead)
        self.critic_adam.zero_grad()
        sum(nn.functional.mse_loss(q(torch.cat((o, a), 1))[:, 0], y) for q in self.critics).backward()
        self.critic_adam.step()
        self.count += 1
        if self.count % agent.policy_delay == 0:
            self.actor_adam.zero_grad()
            self.critics[0](torch.cat((o, self.actor(o)), 1)).mean().backward()
            self.actor_adam.step()
            with torch.no_grad():
                for slow, fast in zip(
                    (self.actor_target, *self.critic_targets), (self.actor, *self.critics), strict=True
                ):
                    for p, q in zip(slow.parameters(), fast.parameters(), strict=True):
                        p += agent.tau * (q - p)
        return y


def td3_agent(kind, **arguments):
    small = {
        "hidden": (5,),
        "critic_hidden": (7, 6),
        "batch_size": 12,
        "learning_starts": 20,
        "lr": 0.01,
        "tau": 0.1,
        "seed": 2,
    }
    return kind(DRIFT, **small | arguments)


def random_batch(n, key, o=2, k=1):
    generator = Key(key).generator()

    def normal(*shape):
        return torch.randn(shape, generator=generator)

    terminated = (torch.rand(n, generator=generator) < 0.3).float()
    assert 0 < terminated.sum() < n
    return Batch(normal(n, o), normal(n, k).tanh(), 3 * normal(n), normal(n, o), terminated), normal(n, k)


def prove_td3_updates_as_its_equations_say(kind, updates=13):
    """Critics, actor and targets after each of some updates, by another implementation in float64.

    The first batches are tensors of their own, the others are written into one, as in learning: there an update is
    first made, then recorded, then made again from the record, the actor's at the 6th, 9th and 12th.
    """
    agent = td3_agent(kind, policy_delay=3, target_policy_noise=0.4)
    twin = Twin(agent)
    for i in range(updates):
        batch, noise = random_batch(12, 120 + i)
        if i == 3:
            held = batch
        elif i > 3:
            for kept, part in zip(held[:5], batch[:5], strict=True):
                kept.copy_(part)
            batch = held
        y = agent.target(batch, noise)
        expected = twin.update(*(part.double() for part in batch[:5]), noise.double())
        torch.testing.assert_close(y.double(), expected, rtol=1e-4, atol=1e-5)
        agent.update(batch, noise)
        assert (agent.critic_updates, agent.spent.updates) == (i + 1, (i + 1) // 3)
        pairs = [
            (agent.weights, twin.actor),
            (agent.learned_actor.targets, twin.actor_target),
            *zip(agent.critics.weights, twin.critics, strict=True),
            *zip(agent.critics.targets, twin.critic_targets, strict=True),
        ]
        for ours, net in pairs:
            torch.testing.assert_close(ours.detach().double(), twin.flat(net), rtol=1e-3, atol=2e-5)


def prove_only_termination_stops_the_bootstrap(kind):
    """Play episodes that end either way; then read what was stored, and what it makes of y."""
    LOG.clear()
    agent = td3_agent(kind, environment_arguments={"cap": 6, "fall": 1.0}, learning_starts=150)
    agent.learn(150)
    table = agent.replay.batch((torch.arange(150) + 0.5) / 150)
    fell = np.zeros(150, bool)
    ends = np.flatnonzero(ends_of_episodes(table))
    assert len(ends) >= len(LOG.ends) - 1 >= 10
    for at, (terminated, _) in zip(ends, LOG.ends, strict=False):
        fell[at] = terminated
    cut = len(LOG.ends) - int(fell.sum())
    assert cut > 3 and fell.sum() > 3
    np.testing.assert_array_equal(table.terminated.numpy().astype(bool), fell)
    y = agent.target(table, torch.zeros(150, 1))
    only_cost = (1 - agent.gamma) * table.costs
    np.testing.assert_array_equal((y == only_cost).numpy(), fell)


def ends_of_episodes(table):
    """True where the next transition does not go on from this one, and at the last if its episode ended there."""
    broken = (table.next_observations[:-1] != table.observations[1:]).any(1)
    return torch.cat((broken, torch.tensor([bool(table.terminated[-1])])))
