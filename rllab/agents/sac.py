"""SAC: a stochastic policy backpropagated through two critics, which entropy pays for what it costs."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from rllab.agents.adam import Adam
from rllab.agents.larger_cost import LargerCost
from rllab.agents.off_policy import OffPolicy
from rllab.agents.replay import Batch
from rllab.agents.schedules import now
from rllab.agents.stochastic_actor import StochasticActor
from rllab.agents.temperature import Temperature, as_target_entropy
from rllab.agents.twin_critics import TwinCritics
from rllab.checks import check_fraction


@dataclass(eq=False)
class SAC(OffPolicy[TwinCritics]):
    """Learn a squashed Gaussian policy that costs little and keeps its entropy.

        y = (1 − γ) c + γ (1 − terminated) [max_i Q̄_i(o', a') + (1 − γ) α log π(a'|o')],     a' ~ π_w(o')
        critics: minimise Σ_i (Q_i(o, a) − y)²
        actor: minimise (1 − γ) α log π_w(a|o) + max_i Q_i(o, a),     a = tanh(m_w(o) + σ_w(o) ξ),  ξ ~ N(0, I)
        temperature: log α moves so that the entropy comes to `target_entropy`, see `Temperature`
        target networks: w̄ ← w̄ + τ (w − w̄)

    A unit of entropy is worth α units of cost. Critics learn the discounted cost to go, entropy's included, so the
    *larger* of two is believed. An episode that ends in a fall costs nothing more; one that is cut off by a time limit
    goes on in Q̄. What is evaluated is the policy without noise, tanh m_w(o).

    Args:
        tau: τ in (0, 1], how fast target networks follow.
        ent_coef: α: a number; "auto" to learn it from 1 on; "auto_0.1" from 0.1.
        target_entropy: in nats, for "auto"; "auto" is −k, k being the components of an action.

    All other arguments are those of `OffPolicy` and `Agent`; a `Linear` for `lr` moves in stairs of 1,000 steps. The
    attribute `replay` holds the transitions, a `Replay`.

    Raises:
        TypeError, ValueError: an argument is out of its range, or actions are discrete.

    Source: Haarnoja et al. (2018), "Soft actor-critic algorithms and applications", algorithm 1. Differences: costs for
    rewards; all is scaled by 1 − γ so that Q keeps the size of one step's cost whatever γ is; critics begin at the mean
    cost of a step; with `n_steps` > 1 the entropy of the steps between is left out, as stable-baselines3 does.

    Example:
        from rllab.agents import SAC

        agent = SAC("Pendulum-v1", seed=0, learning_starts=100)
        rows = agent.learn(steps=200)
    """

    fixed: ClassVar[tuple[str, ...]] = (*OffPolicy.fixed, "ent_coef", "target_entropy")
    columns: ClassVar[tuple[str, ...]] = (*OffPolicy.columns, "ent_coef", "entropy")
    noises: ClassVar[int] = 2
    outputs_each: ClassVar[int] = 2
    parts: ClassVar[tuple[str, ...]] = ("learned_actor", "actor_optimizer", "critics", "temperature")

    _: KW_ONLY
    tau: float = 0.005
    ent_coef: float | str = "auto"
    target_entropy: float | str = "auto"

    def _check_own(self) -> None:
        check_fraction(self._name, tau=self.tau)
        Temperature.read(self._name, self.ent_coef)
        as_target_entropy(self._name, self.target_entropy, 1)

    def _critic_size(self) -> int:
        return TwinCritics.shape(*self._widths(), self.critic_hidden, self._critics).size

    def _make_networks(self) -> TwinCritics:
        lr = now(self.lr, self.spent)
        (o, k), longest = self._widths(), self.max_grad_norm
        self.learned_actor = StochasticActor(self.policy, self.weights, key=self.key.child("log_std"))
        self.actor_optimizer = Adam(self.learned_actor.weights, lr, max_grad_norm=longest)
        entropy = as_target_entropy(self._name, self.target_entropy, k)
        self.temperature = Temperature(self.ent_coef, entropy, lr)
        key = self.key.child("critics")
        critics = TwinCritics(o, k, self.critic_hidden, key=key, lr=lr, max_grad_norm=longest, networks=self._critics)
        self.larger = LargerCost(critics.network, o)
        return critics

    def _optimizers(self) -> tuple[Adam, ...]:
        return self.actor_optimizer, self.critics.optimizer, self.temperature.optimizer

    def _reads(self) -> tuple[object, ...]:
        optimizer = self.actor_optimizer, self.actor_optimizer.lr
        return (*self.learned_actor.reads, *optimizer, *self.critics.reads, *self.temperature.reads, self.gamma)

    def behave(self, observation: np.ndarray, normal: np.ndarray) -> np.ndarray:
        """Return a ~ π(o) at a scaled observation (…, o), drawn by N(0, 1), (…, k)."""
        return self.learned_actor.act(observation, normal)

    def _price(self) -> Tensor:
        """Return (1 − γ) α, ()."""
        return torch.mul(self.temperature.alpha, 1 - self.gamma, out=self._buffers("price"))

    def _descend_critics(self, batch: Batch, noise: Tensor, *read: Any) -> None:
        y = self.target(batch, noise, self._buffers("y", len(noise)))
        self.critics.regress(batch.observations, batch.actions, y)

    def target(self, batch: Batch, noise: Tensor, out: Tensor | None = None) -> Tensor:
        """Return y, (n,), of a batch and noise N(0, 1), (n, k or more), whose first k columns draw a'; in `out`."""
        y = torch.empty(len(noise), dtype=torch.float32) if out is None else out
        a, log_pi = self.learned_actor.sample(batch.next_observations, noise[:, : self._widths()[1]])
        # y = (1 − γ) c + γ (1 − terminated) [max_i Q̄_i(o', a') + (1 − γ) α log π(a'|o')]
        self.critics.larger(self.critics.targets, batch.next_observations, a, out=y)
        return batch.target(y.addcmul_(log_pi, self._price()), self.gamma)

    def _descend_actor(self, batch: Batch, noise: Tensor, *read: Any) -> None:
        xi = noise[:, self._widths()[1] :]
        _, log_pi, gradient = self._descent(batch.observations, xi)
        self.actor_optimizer.step(gradient)
        self.learned_actor.show()
        self.temperature.step(self._buffers("log_pi").copy_(log_pi))

    def _follow(self) -> None:
        self.critics.follow(self.tau)

    def _descent(self, observations: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.learned_actor.descent(self.larger, self.critics.weights, observations, noise, self._price())

    def descent(self, observations: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean of (1 − γ) α log π + max_i Q_i over scaled observations (n, o), and its gradient (d,).

        The gradient is that in the weights of m, which the evaluated policy consists of; those of log σ are left out,
        where the network is not a user's, whose outputs share all weights.
        """
        cost, _, gradient = self._descent(observations, noise)
        return cost, self.learned_actor.of_mean(gradient, torch.empty_like(self.weights))

    def _diagnose(self) -> tuple[Tensor, Tensor, Tensor, dict[str, Tensor]]:
        own = {"ent_coef": self.temperature.alpha, "entropy": -self._buffers("log_pi")}
        return self.critics.errors, self.critics.gradient, self.learned_actor.gradient, own

    def _stands_in(self) -> str:
        return "the larger critic of SAC with the price of entropy, soft cost to go times 1 − γ"
