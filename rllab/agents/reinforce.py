"""Reinforce: the gradient comes from drawing actions and scoring them by what they cost."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rllab.agents.actions import Choices
from rllab.agents.base import Agent
from rllab.agents.collectors import EpisodeCollector, episode_seeds
from rllab.agents.saved import check_names, take, take_adam
from rllab.agents.vectorization import make_environments
from rllab.backprop.network import Layers
from rllab.checks import as_count, check_fraction, check_positive
from rllab.estimators.score.baselines import Baseline, advantages, check_baseline


@dataclass(eq=False)
class Reinforce(Agent):
    """Learn a stochastic policy: Gaussian around the policy's output, or categorical over the logits of each choice.

        ĝ = 1/K Σ_i Σ_t ∇ log π_w(a_it | o_it) A_it,      A_it = G_it − b_it,      G_it = Σ_{t'≥t} γ^{t'−t} c_it'

    over K episodes i, with cost-to-go G and the baseline b_it the mean of G at the same time over the other episodes
    (an episode that has ended costs nothing more). b_it does not depend on episode i, so with γ = 1 the estimate is
    unbiased for the gradient of the expected cost of an episode; γ < 1 trades that for less variance.

    Args:
        episodes: episodes an update, K >= 2.
        lr: learning rate of Adam.
        gamma: γ in (0, 1], the discount.
        baseline: of the cost-to-go at each time over the episodes, as for `ScoreFunction`; "leave-one-out" is unbiased.
        std: standard deviation > 0 of the actions to begin with, in units of half the action box; it is learned.

    Raises:
        TypeError, ValueError: an argument is out of its range.

    Source: Williams (1992), "Simple statistical gradient-following algorithms for connectionist reinforcement
    learning"; reward-to-go: Sutton, McAllester, Singh & Mansour (2000), "Policy gradient methods for reinforcement
    learning with function approximation", theorem 1; baseline: `rllab.estimators.score.baselines`.

    Example:
        from rllab.agents import Reinforce

        agent = Reinforce("CartPole-v1", seed=0, hidden=(32,), lr=0.02, episodes=16)
        rows = agent.learn(steps=2000)
    """

    _: KW_ONLY
    episodes: int = 64
    lr: float = 0.01
    gamma: float = 1.0
    baseline: Baseline = "leave-one-out"
    std: float = 0.5

    def _check_arguments(self) -> None:
        check_positive(self._name, lr=self.lr, std=self.std)
        check_fraction(self._name, gamma=self.gamma)
        self.episodes = as_count(self._name, "episodes", self.episodes, 2)
        check_baseline(self._name, self.baseline)

    def _start(self) -> None:
        self.weights.requires_grad_()
        outputs = self.policy.network.sizes[-1]
        self.log_std = torch.full(
            (0 if self.policy.discrete else outputs,), math.log(self.std), dtype=torch.float32
        ).requires_grad_()
        self.optimizer = torch.optim.Adam([self.weights, self.log_std], lr=self.lr)
        self.collector = EpisodeCollector(make_environments(self.maker, self.episodes, self.vectorization), self.spent)

    def _iterate(self, limit: int) -> list[float]:
        key = self.key.child("iteration", self.spent.iterations)
        drawn = _Drawn(self, key.child("action").generator())
        seeds = episode_seeds(key.child("episode"), 0, self.episodes)
        returns = self.collector.play(drawn.act, seeds, limit, drawn.watch)
        if returns is None:
            return []
        to_go = cost_to_go(drawn.costs(self.episodes), self.gamma)
        a = advantages(to_go, self.baseline)[drawn.episode, drawn.time].float()
        # ĝ = ∇ 1/K Σ log π_w(a|o) A
        surrogate = (self.log_probability(drawn.inputs, drawn.actions) * a).sum() / self.episodes
        self.weights.grad, self.log_std.grad = torch.autograd.grad(
            surrogate, (self.weights, self.log_std), materialize_grads=True
        )
        self.optimizer.step()
        self.spent.updates += 1
        return returns.tolist()

    def log_probability(self, inputs: Tensor, actions: Tensor) -> Tensor:
        """Return log π_w(a | o), (n,), up to a constant, of scaled observations (n, o) and actions (n, k) as drawn."""
        outputs, law = self.policy(self.weights, inputs), self.policy.actions
        if isinstance(law, Choices):
            return law.log_probability(outputs, actions)
        z = (actions - outputs) * torch.exp(-self.log_std)
        return -(0.5 * z * z + self.log_std).sum(-1)

    def draw(self, weights: Tensor | Layers, inputs: Tensor, generator: torch.Generator) -> Tensor:
        """Draw actions (n, k), choices or numbers in units of half the box, at scaled observations (n, o)."""
        with torch.no_grad():
            outputs, law = self.policy(weights, inputs), self.policy.actions
            if isinstance(law, Choices):
                return law.draw(outputs, generator)
            noise = torch.empty_like(outputs).normal_(generator=generator)
            return outputs + noise * torch.exp(self.log_std)

    def _state(self) -> dict[str, Any]:
        return {"log_std": self.log_std.detach(), "optimizer": self.optimizer.state_dict()}

    def _restore(self, state: dict[str, Any]) -> None:
        check_names("state", state, {"log_std", "optimizer"})
        take("state", {"log_std": self.log_std}, {"log_std": state["log_std"]})
        take_adam(self.optimizer, state["optimizer"])


class _Drawn:
    """What the episodes saw, did and cost, one entry per step taken, in the order taken."""

    def __init__(self, agent: Reinforce, generator: torch.Generator):
        self.agent, self.generator = agent, generator
        self.layers = agent.policy.layers(agent.weights)
        self._inputs: list[Tensor] = []
        self._actions: list[Tensor] = []
        self._live: list[np.ndarray] = []
        self._rewards: list[np.ndarray] = []

    def act(self, observations: np.ndarray, live: np.ndarray) -> np.ndarray:
        inputs = self.agent.policy.inputs(observations)
        actions = self.agent.draw(self.layers, inputs, self.generator)
        self._inputs.append(inputs)
        self._actions.append(actions)
        # what is drawn may lie outside of the box; the score is of what was drawn, clipping is part of the environment
        return self.agent.policy.actions.to_environment(actions.numpy())

    def watch(self, live: np.ndarray, rewards: np.ndarray) -> None:
        self._live.append(live)
        self._rewards.append(rewards)

    @property
    def inputs(self) -> Tensor:
        return torch.cat(self._inputs)

    @property
    def actions(self) -> Tensor:
        return torch.cat(self._actions)

    @property
    def episode(self) -> Tensor:
        return torch.from_numpy(np.concatenate(self._live))

    @property
    def time(self) -> Tensor:
        return torch.from_numpy(np.repeat(np.arange(len(self._live)), [len(live) for live in self._live]))

    def costs(self, episodes: int) -> Tensor:
        """Return costs (K, T), 0 after the end of an episode."""
        table = torch.zeros(episodes, len(self._live), dtype=torch.float64)
        table[self.episode, self.time] = torch.from_numpy(-np.concatenate(self._rewards))
        return table


def cost_to_go(costs: Tensor, gamma: float) -> Tensor:
    """Return G_t = Σ_{t'≥t} γ^{t'−t} c_t' along the last dimension of costs (…, T)."""
    if gamma == 1.0:
        return costs.flip(-1).cumsum(-1).flip(-1)
    to_go = torch.empty_like(costs)
    g = torch.zeros_like(costs[..., 0])
    for t in range(costs.shape[-1] - 1, -1, -1):
        g = costs[..., t] + gamma * g
        to_go[..., t] = g
    return to_go
