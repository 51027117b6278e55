"""PPO: a rollout is learned from for some epochs, as long as the policy stays near the one that collected it."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from rllab.agents.actor_critic import ActorCritic
from rllab.agents.adam import Adam
from rllab.agents.advantages import generalized_advantages
from rllab.agents.base import Agent
from rllab.agents.buffers import Buffers
from rllab.agents.making import Factory
from rllab.agents.normalize import CostScale
from rllab.agents.rounds import RoundTable, Segment
from rllab.agents.saved import check_names, check_tensor, check_whole, take
from rllab.agents.schedules import Linear, check_scheduled, now
from rllab.agents.spent import Spent
from rllab.agents.user_network import ModuleNetwork
from rllab.agents.vector_collector import VectorCollector
from rllab.agents.vectorization import Vectorization, make_environments
from rllab.backprop.replay import Recorded
from rllab.checks import as_count, check_fraction, check_not_negative, check_positive
from rllab.estimate import Estimate, Target
from rllab.keys import Key, as_key


class Minibatch(NamedTuple):
    """Hold n steps of a rollout.

    Attributes:
        inputs: what the networks see, (n, o).
        actions: as the distribution encodes them, (n, s).
        log_probability: log π_old(a | o), (n,), of the policy that drew them.
        advantages: A > 0 is bad, (n,).
        returns: what V is fitted to, (n,): costs to go.
    """

    inputs: Tensor
    actions: Tensor
    log_probability: Tensor
    advantages: Tensor
    returns: Tensor


@dataclass(eq=False)
class PPO(Agent):
    """Learn a stochastic policy by a clipped surrogate of its cost, with a learned value function.

        L = mean max(ρ A, clip(ρ, 1 − ε, 1 + ε) A) + c_v mean (V − R)² − c_e mean H
        ρ = π_w(a | o)/π_old(a | o),      A by `generalized_advantages`, in costs,      R = A + V_old

    What is minimised is a surrogate: at ρ = 1 its gradient is that of the policy-gradient theorem, with A in place of
    the true advantage; away from it the maximum takes away what would be won by going further than ε, and keeps all
    that would be lost. Actions of a box are Gaussian around the policy's output, those of choices categorical in each
    component.

    Args:
        num_envs: environments side by side, n.
        n_steps: T, steps in each of them that make up a rollout.
        batch_size: steps a minibatch; must divide n · T.
        n_epochs: passes over a rollout.
        lr: learning rate of Adam; a number or `Linear`.
        gamma: γ in (0, 1], the discount.
        gae_lambda: λ in [0, 1].
        clip_range: ε; a number or `Linear`.
        ent_coef, vf_coef: c_e and c_v.
        max_grad_norm: a longer gradient is shortened to it; None never.
        normalize_advantage: A of each minibatch to mean 0 and standard deviation 1.
        normalize_observations, normalize_costs: by what learning has seen so far, see `RunningMoments` and `CostScale`.
        target_kl: no further epoch is begun after one of mean approximate KL > 1.5 · target_kl; None never.
        std: standard deviation > 0 of the actions of a box to begin with, in units of half the box; it is learned.
        critic: a network of your own in the place of V's, differentiated by autograd: observations in the form of their
            space to (n,) or (n, 1). V is of costs to go, divided by their scale.

    Attributes:
        networks: policy and value function, see `ActorCritic`.
        sums: of what the first columns report, over the minibatches of a rollout, (6,).

    Raises:
        TypeError, ValueError: an argument is out of its range.

    Source: Schulman, Wolski, Dhariwal, Radford & Klimov (2017), "Proximal policy optimization algorithms", eqs. 7, 9
    and 11; details as in Engstrom et al. (2020), "Implementation matters in deep policy gradients". Differences: costs
    for rewards; V is not clipped; the mean action is tanh of the network's output, so that it lies in the box; the same
    statistics normalise all observations of a rollout, and π_old is the policy that acted; KL is looked at once an
    epoch; Adam's ε is 1e-8, where stable-baselines3 has 1e-5.

    Example:
        from rllab.agents import PPO

        agent = PPO("CartPole-v1", seed=0, num_envs=4, n_steps=64)
        rows = agent.learn(steps=512)
    """

    fixed: ClassVar[tuple[str, ...]] = (
        *Agent.fixed,
        *"num_envs n_steps batch_size gamma std critic normalize_costs".split(),
    )
    update_takes: ClassVar[str] = "{num_envs} · {n_steps} steps (num_envs · n_steps)"
    columns: ClassVar[tuple[str, ...]] = tuple(
        "policy_loss value_loss entropy grad_norm approx_kl clip_fraction value lr".split()
    )

    _: KW_ONLY
    num_envs: int = 8
    n_steps: int = 256
    batch_size: int = 64
    n_epochs: int = 10
    lr: float | Linear = 3e-4
    gamma: float = 0.99
    gae_lambda: float = 0.95
    clip_range: float | Linear = 0.2
    ent_coef: float = 0.0
    vf_coef: float = 0.5
    max_grad_norm: float | None = 0.5
    normalize_advantage: bool = True
    normalize_observations: bool = True
    normalize_costs: bool = True
    target_kl: float | None = None
    std: float = 1.0
    critic: nn.Module | None = None

    def _check_arguments(self) -> None:
        who = self._name
        for name in ("num_envs", "n_steps", "n_epochs"):
            setattr(self, name, as_count(who, name, getattr(self, name)))
        self.batch_size = as_count(who, "batch_size", self.batch_size, 2 if self.normalize_advantage else 1)
        if self.num_envs * self.n_steps % self.batch_size:
            steps = f"num_envs · n_steps = {self.num_envs * self.n_steps}"
            raise ValueError(f"{who}: batch_size must divide {steps}, got {self.batch_size}")
        check_scheduled(who, lr=self.lr, clip_range=self.clip_range)
        check_fraction(who, gamma=self.gamma)
        check_not_negative(who, gae_lambda=self.gae_lambda, ent_coef=self.ent_coef, vf_coef=self.vf_coef)
        if self.gae_lambda > 1:
            raise ValueError(f"{who}: gae_lambda must be in [0, 1], got {self.gae_lambda}")
        check_positive(who, std=self.std)
        for name in ("max_grad_norm", "target_kl"):
            if getattr(self, name) is not None:
                check_positive(who, **{name: getattr(self, name)})
        self._value: ModuleNetwork | None = None
        if self.critic is None:
            self._encoder.check_flat("give a network of your own, critic=…")
        else:
            self._value = ModuleNetwork(who, "critic", self.critic, self._encoder.space, outputs=1)

    def _modules(self) -> dict[str, ModuleNetwork]:
        return super()._modules() | ({} if self._value is None else {"critic": self._value})

    def _learned(self) -> dict[str, Tensor]:
        return super()._learned() | {"critic": self.networks.value_weights}

    def _start(self) -> None:
        self.networks = ActorCritic(self.policy, self.key.child("networks"), self.std, self._value)
        self.weights = self.networks.weights
        self.optimizer = Adam(self.networks.parameters, now(self.lr, self.spent))
        self._clip = now(self.clip_range, self.spent)
        self.cost_scale = CostScale(self.num_envs, self.gamma) if self.normalize_costs else None
        self.table = RoundTable(self.n_steps, self.num_envs, self.policy)
        self.collector = self._collector(self.table, self.spent, self.key.child("episode"), self.vectorization)
        self.rollouts = 0
        self._noise: np.ndarray | None = None  # of the rollout under way
        self._buffers, self._step = Buffers(), self._descend if self._modules() else Recorded(self._descend)
        widths = (len(self.policy.scale), self.networks.distribution.outputs, 1, 1, 1)
        self._gathered = torch.empty(self.batch_size, sum(widths), dtype=torch.float32)
        inputs, actions, *numbers = self._gathered.split(widths, 1)
        self._batch = Minibatch(inputs, actions, *(column.squeeze(1) for column in numbers))  # views of it
        self.sums = torch.zeros(6, dtype=torch.float32)  # of losses and the like over the minibatches of a rollout

    def _collector(
        self, table: RoundTable, spent: Spent, key: Key, vectorization: Vectorization = "auto"
    ) -> VectorCollector:
        environments = make_environments(self.maker, self.num_envs, vectorization)
        return VectorCollector(environments, self.policy, table.add, spent, key)

    def _iterate(self, limit: int) -> list[float]:
        if self._noise is None:
            self._noise = self._draw(self.key.child("rollout", self.rollouts), self.n_steps)
        returns: list[float] = []
        for _ in range(limit // self.num_envs):
            returns += self._round(self.collector, self._noise[self.table.filled])
            if self.table.full:
                self.learn_from(self.table.take())
                self.rollouts, self._noise = self.rollouts + 1, None
                break
        return returns

    def _draw(self, key: Key, rounds: int) -> np.ndarray:
        """Draw the noise of so many rounds of actions, (rounds, n, s)."""
        return self.networks.distribution.noise((rounds, self.num_envs), key.generator())

    def _round(self, collector: VectorCollector, noise: np.ndarray) -> list[float]:
        # a ~ π_w(· | o)
        return collector.step(self.networks.act(self._normalized(collector.observe()), noise))

    @torch.no_grad()
    def learn_from(self, segment: Segment) -> None:
        """Learn from a rollout: `n_epochs` passes over its steps in minibatches."""
        actions = self.networks.distribution.encode(segment.actions).flatten(0, 1)
        # π_old is the policy that acted, with the statistics it had; then they take in the rollout
        log_p = self.networks.log_probability(self._seen(segment.observations).flatten(0, 1), actions)
        if self.normalizer is not None:
            self.normalizer.update(segment.observations)
        if self.cost_scale is not None:
            self.cost_scale.update(-segment.rewards, segment.terminated | segment.truncated)
        inputs, values, advantages = self._judged(segment)
        # R = A + V_old
        columns = (log_p, advantages.flatten(), (advantages + values).flatten())
        rows = torch.cat((inputs.flatten(0, 1), actions, torch.stack(columns, 1)), 1)
        self._clip, self.optimizer.lr = now(self.clip_range, self.spent), now(self.lr, self.spent)
        generator = self.key.child("minibatch", self.rollouts).generator()
        self.sums.zero_()
        steps = 0
        for _ in range(self.n_epochs):
            kl_before, before = self.sums[4].item(), steps
            for indices in torch.randperm(len(rows), generator=generator).split(self.batch_size):
                torch.index_select(rows, 0, indices, out=self._gathered)
                self.update(self._batch)
                steps += 1
            if self.target_kl and (self.sums[4].item() - kl_before) / (steps - before) > 1.5 * self.target_kl:
                break
        self.spent.updates += steps
        means = (*(self.sums / steps).tolist(), values.mean().item(), self.optimizer.lr)
        self.diagnostics.update(zip(self.columns, means, strict=True))

    def update(self, batch: Minibatch) -> None:
        """Make one step of Adam along the gradient of L on a minibatch; add what rows report of it to `sums`."""
        read = self.normalize_advantage, self.ent_coef, self.vf_coef, self.max_grad_norm
        self._step(batch, self._clip, self.optimizer.lr, *read)  # a step is recorded for these values

    def _descend(self, batch: Minibatch, clip: float, *read: object) -> None:
        networks, b, n = self.networks, self._buffers, len(batch.returns)
        a, law = batch.advantages, networks.distribution
        if self.normalize_advantage:
            # A ← (A − mean A)/(std A + 1e-8)
            a = torch.sub(a, torch.mean(a, 0, out=b("mean")), out=b("a", n))
            a.div_(torch.std(a, 0, out=b("std")).add_(1e-8))
        outputs, values = networks.forward(batch.inputs)
        log_p, entropy = law.forward(outputs, networks.log_std, batch.actions)
        # ρ = π_w(a | o)/π_old(a | o)
        log_ratio = torch.sub(log_p, batch.log_probability, out=b("log_ratio", n))
        ratio = torch.exp(log_ratio, out=b("ratio", n))
        plain = torch.mul(ratio, a, out=b("plain", n))
        clipped = torch.clamp(ratio, 1 - clip, 1 + clip, out=b("clipped", n)).mul_(a)
        # ∂/∂log π of mean max(ρ A, clip(ρ) A) = ρ A/n where ρ A is the larger, else 0
        u = torch.ge(plain, clipped, out=b("u", n)).mul_(plain).div_(n)
        # ∂/∂V of c_v mean (V − R)² = 2 c_v (V − R)/n
        error = torch.sub(values, batch.returns, out=b("error", n))
        slope = torch.mul(error, 2 * self.vf_coef / n, out=b("slope", n))
        gradient = networks.backward(*law.backward(u, -self.ent_coef / n), slope)
        norm = torch.linalg.vector_norm(gradient, out=b("norm"))
        self._note(torch.maximum(plain, clipped, out=clipped), error.mul_(error), entropy, norm, log_ratio, ratio, clip)
        if self.max_grad_norm is not None:
            # g ← g min(1, max_grad_norm/‖g‖)
            gradient.mul_(norm.add_(1e-6).reciprocal_().mul_(self.max_grad_norm).clamp_(max=1.0))
        self.optimizer.step(gradient)

    def _note(
        self,
        losses: Tensor,
        errors: Tensor,
        entropy: Tensor,
        norm: Tensor,
        log_ratio: Tensor,
        ratio: Tensor,
        clip: float,
    ) -> None:
        """Add what rows report of a minibatch to the sums; `log_ratio` and `ratio` are written over."""
        # KL(π_old, π_w) ≈ mean (ρ − 1 − log ρ), Schulman (2020), "Approximating KL divergence"
        ratio.sub_(1.0)
        kl = torch.sub(ratio, log_ratio, out=log_ratio)
        outside = torch.gt(ratio.abs_(), clip, out=ratio)
        parts = (losses, errors, entropy, norm, kl, outside)
        for total, part in zip(self.sums.split(1), parts, strict=True):
            total.add_(torch.mean(part, 0, keepdim=True, out=self._buffers("part", 1)) if part.ndim else part)

    def _seen(self, observations: Tensor) -> Tensor:
        """Return scaled observations as the networks see them."""
        return observations if self.normalizer is None else self.normalizer(observations)

    def _judged(self, segment: Segment) -> tuple[Tensor, Tensor, Tensor]:
        """Return what the networks see, V(o) and A of a rollout, (T, n, …)."""
        costs = -segment.rewards
        if self.cost_scale is not None:
            costs = self.cost_scale(costs)
        inputs, following = self._seen(segment.observations), self._seen(segment.next_observations)
        values, next_values = self.networks.values(inputs), self.networks.values(following)
        over = segment.terminated, segment.truncated
        a = generalized_advantages(costs, values, next_values, *over, gamma=self.gamma, gae_lambda=self.gae_lambda)
        return inputs, values, a

    @torch.inference_mode(False)  # buffers made here must be ordinary tensors
    @torch.no_grad()
    def gradient(self, *, steps: int, key: Key | int) -> Estimate:
        """Estimate the gradient of the surrogate at ρ = 1 from fresh steps; the agent stays as it is.

            ĝ = 1/(n T) Σ_i Σ_t ∇_w log π_w(a_it | o_it) A_it

        Args:
            steps: environment steps; n · T of them are taken, T = steps // n >= 2, from the first step of new episodes.
            key: of episodes and actions.
        Returns:
            Estimate of ∂/∂w, (d,), log σ held fixed, of target SURROGATE: of the policy-gradient theorem with A, not
            normalised, in place of the true advantage; biased by the errors of V, by λ < 1 and by the states of T steps
            standing for all states. Costs in their own unit, cut as in learning. `value` is the mean cost of a step,
            `evaluations` are environment steps, which are not in `spent`; the standard error is over the n
            environments.
        Raises:
            TypeError, ValueError: `steps` is no whole number >= 2 n.
        """
        n, key = self.num_envs, as_key(key)
        rounds = as_count(self._name, "steps", steps, 2 * n) // n
        table = RoundTable(rounds, n, self.policy)
        collector, noise = self._collector(table, Spent(), key.child("episode")), self._draw(key.child("noise"), rounds)
        try:
            for t in range(rounds):
                self._round(collector, noise[t])
        finally:
            collector.close()
        segment = table.take()
        inputs, _, a = self._judged(segment)
        units = torch.stack([self._scores(inputs[:, i], segment.actions[:, i], a[:, i] / rounds) for i in range(n)])
        if self.cost_scale is not None:
            units *= self.cost_scale.scale
        error = units.std(0) / n**0.5 if n > 1 else None
        target = Target.surrogate("the policy-gradient theorem with generalised advantages")
        return Estimate(units.mean(0), -segment.rewards.mean(), rounds * n, target, error)

    def _scores(self, inputs: Tensor, actions: Tensor, a: Tensor) -> Tensor:
        """Return Σ_t ∇_w log π_w(a_t | o_t) A_t, (d,), of T steps."""
        networks = self.networks
        law = networks.distribution
        law.forward(self.policy(networks.weights, inputs), networks.log_std, law.encode(actions))
        slope, _ = law.backward(a, 0.0)
        return networks.policy_gradient(inputs, slope)

    def _state(self) -> dict[str, Any]:
        return {
            "parameters": self.networks.parameters,
            "optimizer": self.optimizer.state_dict(),
            "cost_scale": self.cost_scale.state_dict() if self.cost_scale is not None else None,
            "rollouts": self.rollouts,
            "rollout": self.table.state_dict(),
            "episodes": self.collector.state_dict(),
        }

    def _check_sizes(self, state: dict[str, Any]) -> None:
        check_names("state", state, {"parameters", "optimizer", "cost_scale", "rollouts", "rollout", "episodes"})
        check_tensor("the episodes' numbers", state["episodes"]["episodes"], (self.num_envs,), torch.int64)

    def _restore(self, state: dict[str, Any]) -> None:
        take("state", {"parameters": self.networks.parameters}, {"parameters": state["parameters"]})
        self.optimizer.load_state_dict(state["optimizer"])
        if self.cost_scale is not None:
            self.cost_scale.load_state_dict(state["cost_scale"])
        self.rollouts = check_whole("rollouts", state["rollouts"])
        self.table.load_state_dict(state["rollout"])
        self.collector.load_state_dict(state["episodes"])


def a2c(environment: str | Factory, seed: int = 0, **settings: Any) -> PPO:
    """Return advantage actor-critic (A2C), PPO's plain case: one step of Adam along the policy gradient per rollout.

        L = mean log π_w(a | o) A + c_v mean (V − R)² − c_e mean H

    With one epoch and one minibatch the ratio is 1 where the gradient is taken, so that nothing is ever clipped; with
    `normalize_observations` it is 1 but for what the rollout moved the statistics by.

    Args:
        environment, seed: as for every agent.
        **settings: of `PPO`, in place of A2C's: `n_steps` 5, `lr` 7e-4, `gae_lambda` 1, `normalize_advantage` False.
            `n_epochs` is 1 and `batch_size` is a rollout.

    Returns:
        A PPO with these settings.

    Raises:
        TypeError, ValueError: an argument is out of its range, or `n_epochs` or `batch_size` is given.

    Source: Mnih et al. (2016), "Asynchronous methods for deep reinforcement learning", algorithm S3, without the
    threads; Huang, Kanervisto, Raffin, Wang, Ontañón & Dossa (2022), "A2C is a special case of PPO". Difference: Adam
    for RMSProp.

    Example:
        from rllab.agents import a2c

        agent = a2c("CartPole-v1", seed=0, num_envs=4)
        rows = agent.learn(steps=400)
    """
    if {"n_epochs", "batch_size"} & set(settings):
        raise ValueError(f"a2c: n_epochs and batch_size must be left out, got {sorted(settings)}")
    plain = {"n_steps": 5, "lr": 7e-4, "gae_lambda": 1.0, "normalize_advantage": False} | settings
    num_envs = as_count("a2c", "num_envs", plain.setdefault("num_envs", 8))
    batch_size = num_envs * as_count("a2c", "n_steps", plain["n_steps"])
    return PPO(environment, seed, n_epochs=1, batch_size=batch_size, **plain)
