"""SAC and CrossQ by torch's autograd, distributions and optimisers, in float64; a proof takes the class it judges."""

import itertools

import torch

from rllab.agents.batch_norm import EPSILON
from tests.proofs.agents import random_batch
from tests.proofs.toy_environments import DRIFT

MOMENTUM = 0.01


def soft_agent(kind, **arguments):
    small = {"hidden": (5,), "critic_hidden": (7, 6), "batch_size": 12, "learning_starts": 20, "lr": 0.01, "seed": 2}
    return kind(DRIFT, **small | arguments)


def leaf(tensor):
    return tensor.detach().double().clone().requires_grad_()


def mlp(network, w, x, normalise=lambda k, x: x):
    """An MLP on its flat weights, each layer's inputs normalised first."""
    activation, at = {"relu": torch.relu, "tanh": torch.tanh}[network.activation], 0
    for k, (i, o) in enumerate(itertools.pairwise(network.sizes)):
        x = normalise(k, x if k == 0 else activation(x)) @ w[at : at + i * o].view(i, o) + w[at + i * o :][:o]
        at += i * o + o
    return x


class Normalised:
    """Batch renormalisation before every layer, on flat weights (P,) = (MLP, s, t) and statistics (2, H)."""

    def __init__(self, network, running):
        self.network, self.running, self.steps = network, running.double().clone(), 0

    def __call__(self, w, x, training, renormalise=False):
        network, h = self.network, sum(self.network.sizes[:-1])
        starts = [0, *itertools.accumulate(network.sizes[:-1])]
        before = self.running.clone()

        def normalise(k, z):
            columns = slice(starts[k], starts[k + 1])
            s, t = w[network.size :][:h][columns], w[network.size + h :][columns]
            mean, std = before[0, columns], (before[1, columns] + EPSILON).sqrt()
            if not training:
                return (z - mean) / std * s + t
            mu, var = z.mean(0), z.var(0, unbiased=False)
            self.running[:, columns] += MOMENTUM * (torch.stack((mu, var)).detach() - before[:, columns])
            r, d = torch.ones_like(mu), torch.zeros_like(mu)
            if renormalise:
                r = ((var + EPSILON).sqrt() / std).detach().clamp(1 / 3, 3)
                d = ((mu - mean) / std).detach().clamp(-5, 5)
            return ((z - mu) / (var + EPSILON).sqrt() * r + d) * s + t

        return mlp(network, w, x, normalise)


class Soft:
    """What both have: a Gaussian, squashed, and a temperature."""

    def __init__(self, agent, actor, critics, beta1):
        self.agent, self.actor, self.critics = agent, leaf(actor), leaf(critics)
        self.log_alpha = leaf(agent.temperature.log_alpha)
        self.adams = {
            "actor": torch.optim.Adam([self.actor], lr=agent.lr, betas=(beta1, 0.999)),
            "critics": torch.optim.Adam([self.critics], lr=agent.lr, betas=(beta1, 0.999)),
            "alpha": torch.optim.Adam([self.log_alpha], lr=agent.lr),
        }
        self.count = 0

    @property
    def price(self):
        return (1 - self.agent.gamma) * self.log_alpha.exp().detach()

    @staticmethod
    def draw(outputs, xi):
        m, log_std = outputs.chunk(2, 1)
        normal = torch.distributions.Normal(m, log_std.clamp(-5, 2).exp())
        u = m + normal.stddev * xi
        a = torch.tanh(u)
        return a, (normal.log_prob(u) - torch.log(1 - a**2)).sum(1)

    def step(self, name, loss):
        self.adams[name].zero_grad()
        loss.backward()
        self.adams[name].step()

    def descend_temperature(self, log_pi):
        self.step("alpha", -(self.log_alpha * (log_pi.detach() + self.agent.temperature.target_entropy)).mean())

    def y(self, c, terminated, following, log_pi):
        gamma = self.agent.gamma
        return (1 - gamma) * c + gamma * (1 - terminated) * (following.amax(0) + self.price * log_pi)


class SoftReference(Soft):
    """SAC."""

    def __init__(self, agent):
        super().__init__(agent, agent.learned_actor.weights, agent.critics.weights, 0.9)
        self.targets = agent.critics.targets.double().clone()

    def both(self, weights, o, a):
        return torch.stack([mlp(self.agent.critics.network, w, torch.cat((o, a), 1))[:, 0] for w in weights])

    def update(self, o, a, c, following, terminated, noise):
        agent, k = self.agent, a.shape[1]
        network = agent.learned_actor.network
        with torch.no_grad():
            a2, log_pi2 = self.draw(mlp(network, self.actor, following), noise[:, :k])
            y = self.y(c, terminated, self.both(self.targets, following, a2), log_pi2)
        self.step("critics", ((self.both(self.critics, o, a) - y) ** 2).mean(1).sum())
        self.count += 1
        if self.count % agent.policy_delay == 0:
            drawn, log_pi = self.draw(mlp(network, self.actor, o), noise[:, k:])
            price = self.price
            self.step("actor", (price * log_pi + self.both(self.critics.detach(), o, drawn).amax(0)).mean())
            self.descend_temperature(log_pi)
            self.targets += agent.tau * (self.critics.detach() - self.targets)

    def pairs(self):
        agent = self.agent
        yield agent.learned_actor.weights, self.actor
        yield agent.critics.weights, self.critics
        yield agent.critics.targets, self.targets
        yield agent.temperature.log_alpha, self.log_alpha


class CrossReference(Soft):
    """CrossQ, with normalisation where it stands, folded into no layer."""

    def __init__(self, agent):
        own = agent.normalized_actor.state_dict()
        super().__init__(agent, own["weights"], agent.critics.weights, 0.5)
        self.actor_net = Normalised(agent.learned_actor.network, own["running"])
        self.critic_nets = [Normalised(agent.critics.network, running) for running in agent.critics.running]
        self.actor_steps = 0

    def both(self, weights, o, a, **mode):
        pairs = torch.cat((o, a), 1)
        return torch.stack([net(w, pairs, **mode)[:, 0] for net, w in zip(self.critic_nets, weights, strict=True)])

    def update(self, o, a, c, following, terminated, noise):
        agent, (n, k) = self.agent, a.shape
        with torch.no_grad():
            a2, log_pi2 = self.draw(self.actor_net(self.actor, following, training=False), noise[:, :k])
        mode = {"training": True, "renormalise": self.count >= agent.renorm_warmup}
        q = self.both(self.critics, torch.cat((o, following)), torch.cat((a, a2)), **mode)
        y = self.y(c, terminated, q[:, n:].detach(), log_pi2)
        self.step("critics", ((q[:, :n] - y) ** 2).mean(1).sum())
        self.count += 1
        if self.count % agent.policy_delay == 0:
            mode = {"training": True, "renormalise": self.actor_steps >= agent.renorm_warmup}
            drawn, log_pi = self.draw(self.actor_net(self.actor, o, **mode), noise[:, k:])
            q = self.both(self.critics.detach(), o, drawn, training=False)
            price = self.price
            self.step("actor", (price * log_pi + q.amax(0)).mean())
            self.descend_temperature(log_pi)
            self.actor_steps += 1

    def pairs(self):
        agent, own = self.agent, self.agent.normalized_actor.state_dict()
        yield own["weights"], self.actor
        yield own["running"], self.actor_net.running
        yield agent.critics.weights, self.critics
        yield agent.critics.running, torch.stack([net.running for net in self.critic_nets])
        yield agent.temperature.log_alpha, self.log_alpha


def prove_updates_are_those_of(reference, agent, updates):
    """All that is learned, after each of some updates: made once, recorded, and made again from the record.

    The first batches are tensors of their own, the others are written into one, as in learning.
    """
    twin = reference(agent)
    for i in range(updates):
        batch, _ = random_batch(12, 120 + i)
        noise = torch.randn(12, 2, generator=torch.Generator().manual_seed(i))
        if i == 2:
            held = batch
        elif i > 2:
            for kept, part in zip(held[:5], batch[:5], strict=True):
                kept.copy_(part)
            batch = held
        twin.update(*(part.double() for part in batch[:5]), noise.double())
        agent.update(batch, noise)
        for ours, exact in twin.pairs():
            torch.testing.assert_close(ours.double(), exact.detach(), rtol=1e-3, atol=3e-5)
    assert (agent.critic_updates, agent.spent.updates) == (updates, updates // agent.policy_delay)


def prove_sac_updates_as_its_equations_say(kind):
    prove_updates_are_those_of(
        SoftReference, soft_agent(kind, tau=0.1, policy_delay=2, ent_coef="auto_0.7", target_entropy=0.7), 9
    )


def prove_crossq_updates_as_its_equations_say(kind):
    """Through the end of the warm-up, of critics and actor both."""
    prove_updates_are_those_of(CrossReference, soft_agent(kind, policy_delay=2, renorm_warmup=3), 12)


def prove_the_actors_step_leaves_the_critics_alone(kind):
    """Neither weights nor statistics of the critics move in the actor's step, nor the actor's in theirs."""
    agent = soft_agent(kind, policy_delay=1)
    batch, noise = random_batch(12, 5)[0], torch.randn(12, 2, generator=torch.Generator().manual_seed(0))
    actor = agent.normalized_actor.state_dict()
    before = [t.clone() for t in actor.values()]
    agent._descend_critics(batch, noise)
    for t, old in zip(actor.values(), before, strict=True):
        assert torch.equal(t, old)
    critics = [agent.critics.weights.clone(), agent.critics.running.clone()]
    agent._descend_actor(batch, noise)
    for t, old in zip((agent.critics.weights, agent.critics.running), critics, strict=True):
        assert torch.equal(t, old)
    for t, old in zip(actor.values(), before, strict=True):
        assert not torch.equal(t, old)
