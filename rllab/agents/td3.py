"""TD3: the gradient is backpropagated through a learned, differentiable cost (two critics) into the actor."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from rllab.agents.actor import Actor
from rllab.agents.base import Agent
from rllab.agents.buffers import Buffers
from rllab.agents.collectors import StepCollector
from rllab.agents.draws import Draws
from rllab.agents.environments import Environment, make_environments
from rllab.agents.replay import Batch, Replay
from rllab.agents.saved import check_names, check_tensor, check_whole
from rllab.agents.twin_critics import TwinCritics
from rllab.agents.vector_collector import VectorCollector
from rllab.backprop.replay import Recorded
from rllab.checks import as_count, as_widths, check_fraction, check_not_negative, check_positive
from rllab.estimate import Estimate, Target

BLOCK = 1000  # steps whose random numbers are drawn at once, and steps an iteration


@dataclass(eq=False)
class TD3(Agent):
    """Learn a deterministic policy by backpropagation through a critic.

        y = (1 − γ) c + γ (1 − terminated) max_i Q̄_i(o', ā'),     ā' = clip(π̄(o') + clip(ε, ±b)),  ε ~ N(0, σ²)
        critics: minimise Σ_i (Q_i(o, a) − y)²             actor: minimise Q_1(o, π_w(o)), every second step
        target networks: w̄ ← w̄ + τ (w − w̄)

    Critics learn discounted cost to go, so pessimism is the *larger* of two. An episode that ends in a fall costs
    nothing more; one that is cut off by a time limit goes on in Q̄ (`terminated`, never "done", is in y).

    Args:
        num_envs: environments side by side, n; a round of n steps is followed by n updates.
        critic_hidden: widths of the critics' hidden layers.
        lr: learning rate of Adam, for actor and critics.
        buffer_size: transitions kept.
        learning_starts: steps of uniformly random actions before learning begins; they count like any other.
        batch_size: transitions a minibatch.
        tau: τ in (0, 1], how fast target networks follow.
        gamma: γ in (0, 1), the discount.
        action_noise: standard deviation of the Gaussian noise on actions, in units of half the action box; where
            stable-baselines3's argument of this name takes an object, this is its number.
        policy_delay: critic steps for one of the actor.
        target_policy_noise, target_noise_clip: σ and b, in the same units.

    Raises:
        TypeError, ValueError: an argument is out of its range, or actions are no Box.

    Source: Fujimoto, van Hoof & Meger (2018), "Addressing function approximation error in actor-critic methods",
    algorithm 1. Differences: costs for rewards; c is scaled by 1 − γ so that Q keeps the size of one step's cost
    whatever γ is; critics begin at the mean cost of a step.

    Example:
        from rllab.agents import TD3

        agent = TD3("Pendulum-v1", seed=0, learning_starts=100)
        rows = agent.learn(steps=200)
    """

    takes_choices: ClassVar[bool] = False

    _: KW_ONLY
    num_envs: int = 1
    critic_hidden: tuple[int, ...] = (64, 64)
    lr: float = 1e-3
    buffer_size: int = 200_000
    learning_starts: int = 1000
    batch_size: int = 128
    tau: float = 0.005
    gamma: float = 0.99
    action_noise: float = 0.1
    policy_delay: int = 2
    target_policy_noise: float = 0.2
    target_noise_clip: float = 0.5

    def _check_arguments(self) -> None:
        who = self._name
        self.critic_hidden = as_widths(who, "critic_hidden", self.critic_hidden)
        for name in ("num_envs", "buffer_size", "learning_starts", "batch_size", "policy_delay"):
            setattr(self, name, as_count(who, name, getattr(self, name)))
        check_positive(who, lr=self.lr)
        check_fraction(who, tau=self.tau)
        check_fraction(who, below=True, gamma=self.gamma)
        check_not_negative(who, action_noise=self.action_noise)
        check_not_negative(who, target_policy_noise=self.target_policy_noise, target_noise_clip=self.target_noise_clip)

    def _widths(self) -> tuple[int, int]:
        """Return the numbers in an observation and in an action."""
        return self.policy.network.sizes[0], self.policy.network.sizes[-1]

    def _start(self) -> None:
        o, k = self._widths()
        self.actor = Actor(self.policy, self.weights, self.lr)
        self.critics = TwinCritics(o, k, self.critic_hidden, key=self.key.child("critics"), lr=self.lr)
        self.critic_updates = 0
        self.replay = Replay(self.buffer_size, o, k)
        key = self.key.child("episode")
        if self.num_envs == 1:
            self.collector = StepCollector(Environment(self.maker), self.policy, self.replay, self.spent, key)
        else:
            environments = make_environments(self.maker, self.num_envs)
            self.collector = VectorCollector(environments, self.policy, self.replay.add_round, self.spent, key)
        self._buffers = Buffers()
        self._step_critics, self._step_actor = Recorded(self._descend_critics), Recorded(self._descend_actor)

    def _iterate(self, limit: int) -> list[float]:
        actions = self.policy.network.sizes[-1]
        draws = Draws(self.key.child("block", self.spent.iterations), BLOCK, actions, self.batch_size)
        returns: list[float] = []
        n = self.num_envs
        for i in range(0, min(BLOCK, limit) - n + 1, n):
            before, at = self.spent.steps, i if n == 1 else slice(i, i + n)
            if before < self.learning_starts:
                action = draws.uniform[at]
            else:
                # a = clip(π(o) + ε)
                action = self.actor.act(self.collector.observe()) + self.action_noise * draws.normal[at]
                action = np.clip(action, -1.0, 1.0)
            returns += self.collector.step(action)
            if before < self.learning_starts <= self.spent.steps:
                # the cost to go, times 1 − γ, of an episode without end; from 0 it would take some 1/(τ (1 − γ)) steps
                self.critics.start_at(self.replay.costs().mean())
            if self.spent.steps > self.learning_starts:
                for k in range(i, i + n):
                    self.update(self.replay.batch(draws.picks[k]), draws.noise[k])
        return returns

    def update(self, batch: Batch, noise: Tensor) -> None:
        """Make one step of the critics, and of actor and targets every `policy_delay`-th.

        Args:
            batch: n transitions.
            noise: N(0, 1), (n, k).
        """
        noise = self._buffers("noise", *noise.shape).copy_(noise)
        # all that a step reads, so that none is made again as it was recorded with something else
        numbers = self.gamma, self.tau, self.target_policy_noise, self.target_noise_clip
        read = (batch, noise, *self.actor.reads, *self.critics.reads, *numbers)
        self._step_critics(*read)
        self.critic_updates += 1
        if self.critic_updates % self.policy_delay == 0:
            self._step_actor(*read)
            self.spent.updates += 1

    def _descend_critics(self, batch: Batch, noise: Tensor, *read: Any) -> None:
        y = self.target(batch, noise, self._buffers("y", len(noise)))
        self.critics.regress(batch.observations, batch.actions, y)

    def _descend_actor(self, batch: Batch, *read: Any) -> None:
        _, gradient = self.descent(batch.observations)
        self.actor.optimizer.step(gradient)
        self.actor.follow(self.tau)
        self.critics.follow(self.tau)

    def target(self, batch: Batch, noise: Tensor, out: Tensor | None = None) -> Tensor:
        """Return y, (n,), of a batch and noise N(0, 1), (n, k); in `out` if that is given."""
        sigma, b = self.target_policy_noise, self.target_noise_clip
        y = torch.empty(len(noise), dtype=torch.float32) if out is None else out
        # ā' = clip(π̄(o') + clip(σ ε, ±b))
        epsilon = torch.mul(noise, sigma, out=self._buffers("epsilon", *noise.shape)).clamp_(-b, b)
        a = epsilon.add_(self.actor.forward(self.actor.targets, batch.next_observations)).clamp_(-1.0, 1.0)
        # y = (1 − γ) c + γ (1 − terminated) max_i Q̄_i(o', ā')
        self.critics.larger(self.critics.targets, batch.next_observations, a, out=y)
        torch.addcmul(y, y, batch.terminated, value=-1.0, out=y)
        return y.mul_(self.gamma).add_(batch.costs, alpha=1 - self.gamma)

    def descent(self, observations: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean of Q_1(o, π_w(o)) over scaled observations (n, o), and its gradient (d,); written over."""
        # ∂Ĉ/∂w = ∂Ĉ/∂a ∂π/∂w
        cost, slope = self.critics.through(observations, self.actor.forward(self.actor.weights, observations))
        return cost, self.actor.backward(slope)

    @torch.inference_mode(False)  # buffers made here must be ordinary tensors
    def actor_gradient(self, observations: np.ndarray) -> Estimate:
        """Return the gradient the actor would follow, backpropagated through critic 1.

        Args:
            observations: n of them, as the environment gives them.

        Returns:
            Estimate of target SURROGATE: ∂/∂w of (1 − γ) times the learned cost to go, no evaluation made. How far it
            is from the true gradient is the critic's bias, which it cannot know: there is no standard error.

        Raises:
            ValueError: they are no observations of the environment, or no finite numbers.
        """
        cost, gradient = self.descent(self.policy.inputs(np.atleast_2d(self._rows(observations))))
        return Estimate(gradient.clone(), cost.clone(), 0, Target.surrogate("critic 1 of TD3, cost to go times 1 − γ"))

    def _state(self) -> dict[str, Any]:
        return {
            "actor": self.actor.state_dict(),
            "critics": self.critics.state_dict(),
            "critic_updates": self.critic_updates,
            "replay": self.replay.state_dict(),
            "episode": self.collector.state_dict(),
        }

    def _check_sizes(self, state: dict[str, Any]) -> None:
        check_names("state", state, {"actor", "critics", "critic_updates", "replay", "episode"})
        network = TwinCritics.shape(*self._widths(), self.critic_hidden)
        critics = check_names("the critics", state["critics"], {"weights", "targets", "optimizer"})
        check_tensor("the critics' weights", critics["weights"], (2, network.size))

    def _restore(self, state: dict[str, Any]) -> None:
        self.actor.load_state_dict(state["actor"])
        self.critics.load_state_dict(state["critics"])
        self.critic_updates = check_whole("critic_updates", state["critic_updates"])
        self.collector.load_state_dict(state["episode"])
        self.replay.load_state_dict(state["replay"])
