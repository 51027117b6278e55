"""TD3: the gradient is backpropagated through a learned, differentiable cost (two critics) into the actor.

    y = c + γ (1 − terminated) max_i Q̄_i(o', ā'),     ā' = clip(π̄(o') + clip(ε, ±b)),  ε ~ N(0, σ²)
    critics: minimise Σ_i (Q_i(o, a) − y)²             actor: minimise Q_1(o, π_w(o)), every second step
    target networks: w̄ ← w̄ + τ (w − w̄)

Critics learn discounted cost to go, so pessimism is the *larger* of two. An episode that ends in a fall costs nothing
more; one that is cut off by a time limit goes on in Q̄ (`terminated`, never "done", is in y).

Source: Fujimoto, van Hoof & Meger (2018), "Addressing function approximation error in actor-critic methods",
algorithm 1. Differences: costs for rewards; both critics are one batched network; c is scaled by 1 − γ so that Q keeps
the size of one step's cost whatever γ is.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rllab.agents.base import Agent, episode_seeds, require_positive
from rllab.agents.mlp import MLP
from rllab.agents.replay import Batch, Replay
from rllab.agents.rollouts import make_environment
from rllab.estimate import Estimate, Target
from rllab.keys import Key

BLOCK = 1000  # steps whose random numbers are drawn at once, and steps an iteration


@dataclass(eq=False)
class TD3(Agent):
    """Learn a deterministic policy by backpropagation through a critic.

    Args:
        critic_hidden: widths of the critics' hidden layers.
        lr: learning rate of Adam, for actor and critics.
        batch: transitions a minibatch.
        discount: γ in (0, 1).
        tau: τ, how fast target networks follow.
        warmup: steps of uniformly random actions before learning begins; they count like any other.
        exploration: standard deviation of the noise on actions, in units of half the action box.
        target_noise, target_clip: σ and b, in the same units.
        delay: critic steps for one of the actor.
        capacity: transitions kept.
    """

    _: KW_ONLY
    critic_hidden: tuple[int, ...] = (64, 64)
    lr: float = 1e-3
    batch: int = 128
    discount: float = 0.99
    tau: float = 0.005
    warmup: int = 1000
    exploration: float = 0.1
    target_noise: float = 0.2
    target_clip: float = 0.5
    delay: int = 2
    capacity: int = 200_000

    def _start(self) -> None:
        require_positive(self._name, lr=self.lr, tau=self.tau, discount=self.discount)
        require_positive(self._name, batch=self.batch, delay=self.delay, capacity=self.capacity, warmup=self.warmup)
        if self.discount >= 1 or self.tau > 1:
            raise ValueError(
                f"{self._name}: discount must be in (0, 1) and tau in (0, 1], got {self.discount} and {self.tau}"
            )
        if self.policy.low is None:
            raise ValueError(f"{self._name}: actions must be a Box, got {self.policy.choices} discrete ones")
        self.critic_hidden = tuple(self.critic_hidden)
        o, k = len(self.policy.scale), len(self.policy.low)
        self.critic = MLP((o + k, *self.critic_hidden, 1), "relu")
        self.critics = self.critic.initial(self.key.child("critics"), copies=2)
        self.targets = self.weights.clone(), self.critics.clone()
        self.weights.requires_grad_()
        self.critics.requires_grad_()
        self.actor_optimizer = torch.optim.Adam([self.weights], lr=self.lr, fused=True)
        self.critic_optimizer = torch.optim.Adam([self.critics], lr=self.lr, fused=True)
        self.replay = Replay(self.capacity, o, k)
        self.env = make_environment(self._name, self.environment, self.environment_arguments)
        self.critic_updates = 0
        self._layers = self.policy.network.on_arrays(self.weights)  # shares memory: always the current weights
        self._begin()

    def _begin(self) -> None:
        self._seen: np.ndarray | None = None  # the scaled observation to act on; None: start an episode
        self._return = 0.0

    def _iterate(self, limit: int) -> list[float]:
        returns: list[float] = []
        draws = _Draws(self, self.key.child("block", self.iterations))
        for i in range(min(BLOCK, limit)):
            if self._seen is None:
                (seed,) = episode_seeds(self.key.child("episode"), self.episodes, 1)
                self._seen, self._return = self.policy.scaled(self.env.reset(seed=seed)[0]), 0.0
                self.episodes += 1
            o = self._seen
            a = draws.uniform[i] if self.steps < self.warmup else self._explore(o, draws.normal[i])
            following, reward, terminated, truncated, _ = self.env.step(self.policy.to_environment(a))
            following = self.policy.scaled(following)
            self.replay.add(o, a, -float(reward), following, terminated)
            self.steps += 1
            self._seen, self._return = following, self._return + float(reward)
            if terminated or truncated:
                returns.append(self._return)
                self._seen = None
            if self.steps > self.warmup:
                self.update(self.replay.batch(draws.picks[i]), draws.smoothing[i])
        return returns

    def _explore(self, o: np.ndarray, noise: np.ndarray) -> np.ndarray:
        a = np.tanh(self.policy.network.forward_array(self._layers, o))
        return np.clip(a + self.exploration * noise, -1.0, 1.0)

    def update(self, batch: Batch, smoothing: Tensor) -> None:
        """Make one step of the critics, and of actor and targets every `delay`-th; smoothing is N(0, 1), (n, k)."""
        y = self.target(batch, smoothing)
        pairs = torch.cat((batch.observations, batch.actions), 1).expand(2, -1, -1)
        q = self.critic(self.critics, pairs).squeeze(-1)
        # Σ_i mean (Q_i(o, a) − y)²
        loss = (q - y).square().mean(1).sum()
        (self.critics.grad,) = torch.autograd.grad(loss, self.critics)
        self.critic_optimizer.step()
        self.critic_updates += 1
        if self.critic_updates % self.delay == 0:
            (self.weights.grad,) = torch.autograd.grad(self.actor_cost(batch.observations), self.weights)
            self.actor_optimizer.step()
            self.updates += 1
            with torch.no_grad():
                for target, current in zip(self.targets, (self.weights, self.critics), strict=True):
                    target.lerp_(current, self.tau)

    @torch.no_grad()
    def target(self, batch: Batch, smoothing: Tensor) -> Tensor:
        """Return y, (n,)."""
        actor, critics = self.targets
        # ā' = clip(π̄(o') + clip(σ ε, ±b))
        noise = (self.target_noise * smoothing).clamp_(-self.target_clip, self.target_clip)
        a = (self.policy(actor, batch.following) + noise).clamp_(-1.0, 1.0)
        q = self.critic(critics, torch.cat((batch.following, a), 1).expand(2, -1, -1)).squeeze(-1)
        # y = (1 − γ) c + γ (1 − terminated) max_i Q̄_i
        return (1 - self.discount) * batch.costs + self.discount * (1 - batch.terminated) * q.amax(0)

    def actor_cost(self, observations: Tensor) -> Tensor:
        """Return the mean of Q_1(o, π_w(o)) over scaled observations (n, o): what the actor descends."""
        a = self.policy(self.weights, observations)
        return self.critic(self.critics[0], torch.cat((observations, a), 1)).mean()

    def actor_gradient(self, observations: np.ndarray) -> Estimate:
        """Return the gradient the actor would follow, backpropagated through critic 1.

        Args:
            observations: (n, o), as the environment gives them.
        Returns:
            Estimate of target SURROGATE: ∂/∂w of (1 − γ) times the learned cost to go, no evaluation made. How far it
            is from the true gradient is the critic's bias, which it cannot know: there is no standard error.
        """
        observations = np.atleast_2d(observations)
        if observations.shape[1:] != (len(self.policy.scale),):
            raise ValueError(
                f"{self._name}: observations must be (n, {len(self.policy.scale)}), got {observations.shape}"
            )
        cost = self.actor_cost(self.policy.inputs(observations))
        (gradient,) = torch.autograd.grad(cost, self.weights)
        return Estimate(gradient, cost.detach(), 0, Target.surrogate("critic 1 of TD3, cost to go times 1 − γ"))

    def _state(self) -> dict[str, Any]:
        stored = len(self.replay)
        return {
            "critics": self.critics.detach(),
            "targets": list(self.targets),
            "actor_optimizer": self.actor_optimizer.state_dict(),
            "critic_optimizer": self.critic_optimizer.state_dict(),
            "critic_updates": self.critic_updates,
            "replay": self.replay.table[:stored].clone(),
            "added": self.replay.added,
        }

    def _restore(self, state: dict[str, Any]) -> None:
        with torch.no_grad():
            self.critics.copy_(state["critics"])
        for target, stored in zip(self.targets, state["targets"], strict=True):
            target.copy_(stored)
        self.actor_optimizer.load_state_dict(state["actor_optimizer"])
        self.critic_optimizer.load_state_dict(state["critic_optimizer"])
        self.critic_updates = state["critic_updates"]
        self.replay.table[: len(state["replay"])] = state["replay"]
        self.replay.added = state["added"]


class _Draws:
    """All random numbers of a block of steps, each stream from a key of its own."""

    def __init__(self, agent: TD3, key: Key):
        k, n = len(agent.policy.low or ()), agent.batch

        def draw(stream: str, *shape: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, torch.Generator]:
            return torch.empty(shape, dtype=dtype), key.child(stream).generator()

        empty, generator = draw("warmup", BLOCK, k)
        self.uniform = empty.uniform_(-1.0, 1.0, generator=generator).numpy()
        empty, generator = draw("exploration", BLOCK, k)
        self.normal = empty.normal_(generator=generator).numpy()
        empty, generator = draw("minibatch", BLOCK, n, dtype=torch.float64)
        self.picks = empty.uniform_(generator=generator)
        empty, generator = draw("smoothing", BLOCK, n, k)
        self.smoothing = empty.normal_(generator=generator)
