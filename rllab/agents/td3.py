"""TD3: the gradient is backpropagated through a learned, differentiable cost (two critics) into the actor."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rllab.agents.actor import Actor
from rllab.agents.adam import Adam
from rllab.agents.off_policy import OffPolicy
from rllab.agents.replay import Batch
from rllab.agents.schedules import now
from rllab.agents.twin_critics import TwinCritics
from rllab.checks import check_fraction, check_not_negative


@dataclass(eq=False)
class TD3(OffPolicy[TwinCritics]):
    """Learn a deterministic policy by backpropagation through a critic.

        y = (1 − γ) c + γ (1 − terminated) max_i Q̄_i(o', ā'),     ā' = clip(π̄(o') + clip(ε, ±b)),  ε ~ N(0, σ²)
        critics: minimise Σ_i (Q_i(o, a) − y)²             actor: minimise Q_1(o, π_w(o)), every second step
        target networks: w̄ ← w̄ + τ (w − w̄)

    Critics learn discounted cost to go, so pessimism is the *larger* of two. An episode that ends in a fall costs
    nothing more; one that is cut off by a time limit goes on in Q̄ (`terminated`, never "done", is in y).

    Args:
        tau: τ in (0, 1], how fast target networks follow, with every step of the actor.
        action_noise: standard deviation of the Gaussian noise on actions, in units of half the action box; where
            stable-baselines3's argument of this name takes an object, this is its number.
        policy_delay: critic steps for one of the actor.
        target_policy_noise, target_noise_clip: σ and b, in the same units.

    All other arguments are those of `OffPolicy` and `Agent`; a `Linear` for `lr` moves in stairs of 1,000 steps. The
    attribute `replay` holds the transitions, a `Replay`.

    Raises:
        TypeError, ValueError: an argument is out of its range, or actions are discrete.

    Source: Fujimoto, van Hoof & Meger (2018), "Addressing function approximation error in actor-critic methods",
    algorithm 1. Differences: costs for rewards; c is scaled by 1 − γ so that Q keeps the size of one step's cost
    whatever γ is; critics begin at the mean cost of a step.

    Example:
        from rllab.agents import TD3

        agent = TD3("Pendulum-v1", seed=0, learning_starts=100)
        rows = agent.learn(steps=200)
    """

    _: KW_ONLY
    tau: float = 0.005
    action_noise: float = 0.1
    policy_delay: int = 2
    target_policy_noise: float = 0.2
    target_noise_clip: float = 0.5

    def _check_own(self) -> None:
        check_fraction(self._name, tau=self.tau)
        check_not_negative(self._name, action_noise=self.action_noise, target_policy_noise=self.target_policy_noise)
        check_not_negative(self._name, target_noise_clip=self.target_noise_clip)

    def _critic_size(self) -> int:
        return TwinCritics.shape(*self._widths(), self.critic_hidden, self._critics).size

    def _make_networks(self) -> TwinCritics:
        lr, longest = now(self.lr, self.spent), self.max_grad_norm
        self.learned_actor = Actor(self.policy, self.weights, lr, longest)
        return TwinCritics(
            *self._widths(),
            self.critic_hidden,
            key=self.key.child("critics"),
            lr=lr,
            max_grad_norm=longest,
            networks=self._critics,
        )

    def _optimizers(self) -> tuple[Adam, ...]:
        return self.learned_actor.optimizer, self.critics.optimizer

    def _reads(self) -> tuple[object, ...]:
        numbers = self.gamma, self.tau, self.target_policy_noise, self.target_noise_clip
        return (*self.learned_actor.reads, *self.critics.reads, *numbers)

    def behave(self, observation: np.ndarray, normal: np.ndarray) -> np.ndarray:
        """Return a = clip(π(o) + ε) at a scaled observation (…, o), ε from N(0, 1), (…, k)."""
        return np.clip(self.learned_actor.act(observation) + self.action_noise * normal, -1.0, 1.0)

    def _descend_critics(self, batch: Batch, noise: Tensor, *read: Any) -> None:
        y = self.target(batch, noise, self._buffers("y", len(noise)))
        self.critics.regress(batch.observations, batch.actions, y)

    def _descend_actor(self, batch: Batch, noise: Tensor, *read: Any) -> None:
        _, gradient = self.descent(batch.observations, noise)
        self.learned_actor.optimizer.step(gradient)

    def _follow(self) -> None:
        self.learned_actor.follow(self.tau)
        self.critics.follow(self.tau)

    def target(self, batch: Batch, noise: Tensor, out: Tensor | None = None) -> Tensor:
        """Return y, (n,), of a batch and noise N(0, 1), (n, k); in `out` if that is given."""
        sigma, b = self.target_policy_noise, self.target_noise_clip
        y = torch.empty(len(noise), dtype=torch.float32) if out is None else out
        # ā' = clip(π̄(o') + clip(σ ε, ±b))
        epsilon = torch.mul(noise, sigma, out=self._buffers("epsilon", *noise.shape)).clamp_(-b, b)
        a = self.learned_actor.forward(self.learned_actor.targets, batch.next_observations)
        a = epsilon.add_(a).clamp_(-1.0, 1.0)
        # y = (1 − γ) c + γ (1 − terminated) max_i Q̄_i(o', ā')
        return batch.target(self.critics.larger(self.critics.targets, batch.next_observations, a, out=y), self.gamma)

    def descent(self, observations: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean of Q_1(o, π_w(o)) over scaled observations (n, o), and its gradient (d,); written over."""
        # ∂Ĉ/∂w = ∂Ĉ/∂a ∂π/∂w
        actions = self.learned_actor.forward(self.learned_actor.weights, observations)
        cost, slope = self.critics.through(observations, actions)
        return cost, self.learned_actor.backward(slope)

    def _diagnose(self) -> tuple[Tensor, Tensor, Tensor, dict[str, Tensor]]:
        return self.critics.errors, self.critics.gradient, self.learned_actor.gradient, {}

    def _stands_in(self) -> str:
        return "critic 1 of TD3, cost to go times 1 − γ"
