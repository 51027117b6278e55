"""Reinforce: the gradient comes from drawing actions and scoring them by what they cost."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from rllab.agents.actions import Choices
from rllab.agents.adam import Adam
from rllab.agents.base import Agent
from rllab.agents.collectors import EpisodeCollector, episode_seeds
from rllab.agents.saved import check_names, take
from rllab.agents.schedules import Linear, check_scheduled, now
from rllab.agents.spent import Spent
from rllab.agents.value_baseline import ValueBaseline
from rllab.agents.vectorization import DeferredEnvironments
from rllab.backprop.network import Layers
from rllab.checks import as_count, check_fraction, check_not_negative, check_positive
from rllab.estimate import Estimate, Target
from rllab.estimators.score.baselines import Baseline, advantages, check_baseline
from rllab.keys import Key, as_key


@dataclass(eq=False)
class Reinforce(Agent):
    """Learn a stochastic policy: Gaussian around the policy's output, or categorical over the logits of each choice.

        ĝ = 1/K Σ_i Σ_t ∇ log π_w(a_it | o_it) A_it,      A_it = G_it − b_it,      G_it = Σ_{t'≥t} γ^{t'−t} c_it'

    over K episodes i, with cost-to-go G and a baseline b_it: the mean of G at the same time over the other episodes (an
    episode that has ended costs nothing more), or, with "value", a network of o_it that was fitted to the batches
    before. Neither depends on the actions of episode i, so with γ = 1 the estimate is unbiased for the gradient of the
    expected cost of an episode; γ < 1 trades that for less variance. An episode that a time limit cuts off is over:
    nothing is bootstrapped, and what is minimised is the cost until then. Episodes that do not fit into the steps of a
    call go on in the next.

    Args:
        episodes: episodes an update, K >= 2.
        lr: learning rate of Adam; a number or `Linear`.
        gamma: γ in (0, 1], the discount.
        baseline: of the cost-to-go at each time over the episodes, as for `ScoreFunction`; "leave-one-out" is unbiased;
            or "value", see `ValueBaseline`.
        ent_coef: the mean entropy of a step, times this, is subtracted from the mean cost of an episode.
        max_grad_norm: a longer gradient is shortened to it; None never.
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

    fixed: ClassVar[tuple[str, ...]] = (*Agent.fixed, "episodes", "baseline", "std")
    update_takes: ClassVar[str] = "{episodes} whole episodes (episodes)"
    columns: ClassVar[tuple[str, ...]] = ("entropy", "grad_norm", "value_loss", "lr")

    _: KW_ONLY
    episodes: int = 8
    lr: float | Linear = 0.02
    gamma: float = 1.0
    baseline: Baseline | Literal["value"] = "leave-one-out"
    ent_coef: float = 0.0
    max_grad_norm: float | None = None
    std: float = 0.5

    def _check_arguments(self) -> None:
        check_scheduled(self._name, lr=self.lr)
        check_positive(self._name, std=self.std)
        check_fraction(self._name, gamma=self.gamma)
        check_not_negative(self._name, ent_coef=self.ent_coef)
        if self.max_grad_norm is not None:
            check_positive(self._name, max_grad_norm=self.max_grad_norm)
        self.episodes = as_count(self._name, "episodes", self.episodes, 2)
        if self.baseline != "value":
            check_baseline(self._name, self.baseline)
        else:
            self._encoder.check_flat('take another baseline than "value", whose network is its own')

    def _start(self) -> None:
        spreads = 0 if self.policy.discrete else self.policy.actions.size
        self.parameters = torch.cat((self.weights, torch.full((spreads,), math.log(self.std), dtype=torch.float32)))
        # leaves of autograd that share the memory of `parameters`
        self.weights, self.log_std = (
            part.detach().requires_grad_() for part in self.parameters.split((self.policy.size, spreads))
        )
        self.optimizer = Adam(self.parameters, now(self.lr, self.spent))
        self.value: ValueBaseline | None = None
        if self.baseline == "value":
            self.value = ValueBaseline(len(self.policy.scale), self.hidden, self.key.child("value"))
        self.collector = EpisodeCollector(
            DeferredEnvironments(self.maker, self.episodes, self.vectorization), self.spent
        )

    def _iterate(self, limit: int) -> list[float]:
        if not self.collector.under_way:
            self._drawn = self._begin(self.collector, self.key.child("iteration", self.spent.updates))
        returns = self.collector.play(limit)
        if returns is None:
            return []
        drawn = self._drawn
        a, to_go = self._advantages(drawn)
        # ĝ = ∇ 1/K Σ log π_w(a|o) A
        surrogate = (self.log_probability(drawn.inputs, drawn.actions) * a).sum() / self.episodes
        entropy = self.entropy(drawn.inputs).mean()
        parts = torch.autograd.grad(
            surrogate - self.ent_coef * entropy, (self.weights, self.log_std), materialize_grads=True
        )
        gradient = torch.cat(parts).detach()  # torch 2.6 makes zeros that require gradients
        norm = gradient.norm().item()
        if self.max_grad_norm is not None and norm > self.max_grad_norm:
            gradient *= self.max_grad_norm / norm
        self.optimizer.lr = now(self.lr, self.spent)
        self.optimizer.step(gradient)
        self.diagnostics.update(entropy=entropy.item(), grad_norm=norm, lr=self.optimizer.lr)
        if self.value is not None:  # only now: what it is subtracted from must not have been what it was fitted to
            key = self.key.child("fit", self.spent.updates)
            self.diagnostics["value_loss"] = self.value.fit(drawn.inputs, to_go, key)
        if self.normalizer is not None:
            self.normalizer.update(drawn.scaled)
        self.spent.updates += 1
        return returns.tolist()

    def _begin(self, collector: EpisodeCollector, key: Key) -> _Drawn:
        """Begin a batch of episodes."""
        drawn = _Drawn(self, key.child("action").generator())
        collector.begin(drawn.act, episode_seeds(key.child("episode"), 0, self.episodes), drawn.watch)
        return drawn

    def _advantages(self, drawn: _Drawn) -> tuple[Tensor, Tensor]:
        """Return A and G of every step taken, (N,) each, of a batch that is over."""
        table = cost_to_go(drawn.costs(self.episodes), self.gamma)
        to_go = table[drawn.episode, drawn.time]
        if self.value is not None:
            return to_go.float() - self.value(drawn.inputs), to_go.float()
        assert self.baseline != "value"
        return advantages(table, self.baseline)[drawn.episode, drawn.time].float(), to_go.float()

    @torch.inference_mode(False)  # a graph is made here, whatever surrounds this call
    @torch.enable_grad()
    def gradient(self, *, steps: int, key: Key | int) -> Estimate:
        """Estimate ĝ from fresh episodes, at frozen weights; the agent stays as it is.

        Args:
            steps: environment steps at most: batches of K episodes are played, one after the other, as many as fit; one
                that does not is paid for and not used. How many fit depends on how long they are, which biases the
                mean by the order of one part in their number, unless all episodes are equally long.
            key: of episodes and actions.
        Returns:
            Estimate of ∂/∂w, (d,), log σ held fixed, without entropy, of target EXPECTATION: the gradient of the
            expected cost of an episode; with γ < 1 or the baseline "mean" of target SURROGATE. `value` is the mean cost
            of an episode, `evaluations` are environment steps, which are not in `spent`; the standard error is over
            batches where there are several, else over the episodes of the one.
        Raises:
            TypeError, ValueError: `steps` is no whole number >= 1, or does not suffice for a batch.
        """
        steps, key = as_count(self._name, "steps", steps), as_key(key)
        spent, batches, costs = Spent(), [], []
        environments = DeferredEnvironments(self.maker, self.episodes)
        collector = EpisodeCollector(environments, spent)
        try:
            while spent.steps < steps:
                drawn = self._begin(collector, key.child("batch", len(batches)))
                returns = collector.play(steps - spent.steps)
                if returns is None:
                    break
                batches.append(drawn)
                costs.append(-returns.mean())
        finally:
            environments.close()
        if not batches:
            raise ValueError(
                f"{self._name}: steps must suffice for {self.episodes} episodes, got {steps}, of which {spent.steps} "
                "were taken"
            )
        units = [self._scores(drawn) for drawn in batches]
        whole = torch.stack([unit.sum(0) / self.episodes for unit in units])
        spread = whole if len(whole) > 1 else units[0]
        exact = self.gamma == 1.0 and self.baseline != "mean"
        target = Target.expectation() if exact else Target.surrogate("scores times discounted costs to go")
        return Estimate(
            whole.mean(0),
            torch.tensor(float(np.mean(costs)), dtype=torch.float32),
            spent.steps,
            target,
            spread.std(0) / len(spread) ** 0.5,
        )

    def _scores(self, drawn: _Drawn) -> Tensor:
        """Return Σ_t ∇ log π_w(a_it | o_it) A_it of each episode, (K, d)."""
        a, _ = self._advantages(drawn)
        scored = self.log_probability(drawn.inputs, drawn.actions) * a
        sums = torch.zeros(self.episodes, dtype=torch.float32).index_add(0, drawn.episode, scored)
        return torch.stack([torch.autograd.grad(one, self.weights, retain_graph=True)[0] for one in sums])

    def log_probability(self, inputs: Tensor, actions: Tensor) -> Tensor:
        """Return log π_w(a | o), (n,), up to a constant, of scaled observations (n, o) and actions (n, k) as drawn."""
        outputs, law = self.policy(self.weights, inputs), self.policy.actions
        if isinstance(law, Choices):
            return law.log_probability(outputs, actions)
        z = (actions - outputs) * torch.exp(-self.log_std)
        return -(0.5 * z * z + self.log_std).sum(-1)

    def entropy(self, inputs: Tensor) -> Tensor:
        """Return the entropy of π_w(· | o) in nats, (n,), at scaled observations (n, o)."""
        law = self.policy.actions
        if isinstance(law, Choices):
            return law.entropy(self.policy(self.weights, inputs))
        # H = Σ_j (log σ_j + (1 + log 2π)/2)
        return (self.log_std + 0.5 * (1 + math.log(2 * math.pi))).sum().expand(len(inputs))

    def draw(self, weights: Tensor | Layers, inputs: Tensor, generator: torch.Generator) -> Tensor:
        """Draw actions (n, k), choices or numbers in units of half the box, at scaled observations (n, o)."""
        with torch.no_grad():
            outputs, law = self.policy(weights, inputs), self.policy.actions
            if isinstance(law, Choices):
                return law.draw(outputs, generator)
            noise = torch.empty_like(outputs).normal_(generator=generator)
            return outputs + noise * torch.exp(self.log_std)

    def _state(self) -> dict[str, Any]:
        return {
            "log_std": self.log_std.detach(),
            "optimizer": self.optimizer.state_dict(),
            "value": None if self.value is None else self.value.state_dict(),
            "episodes": self.collector.state_dict(),
        }

    def _restore(self, state: dict[str, Any]) -> None:
        check_names("state", state, {"log_std", "optimizer", "value", "episodes"})
        take("state", {"log_std": self.log_std}, {"log_std": state["log_std"]})
        self.optimizer.load_state_dict(state["optimizer"])
        if self.value is not None:
            self.value.load_state_dict(state["value"])
        self.collector.load_state_dict(state["episodes"])


class _Drawn:
    """What the episodes saw, did and cost, one entry per step taken, in the order taken."""

    def __init__(self, agent: Reinforce, generator: torch.Generator):
        self.agent, self.generator = agent, generator
        self.layers = agent.policy.layers(agent.weights)
        self._scaled: list[np.ndarray] = []
        self._inputs: list[Tensor] = []
        self._actions: list[Tensor] = []
        self._live: list[np.ndarray] = []
        self._rewards: list[np.ndarray] = []

    def act(self, observations: np.ndarray, live: np.ndarray) -> np.ndarray:
        self._scaled.append(self.agent.policy.scaled(observations))
        inputs = torch.from_numpy(self.agent._normalized(self._scaled[-1]))
        actions = self.agent.draw(self.layers, inputs, self.generator)
        self._inputs.append(inputs)
        self._actions.append(actions)
        # what is drawn may lie outside of the box; the score is of what was drawn, clipping is part of the environment
        return self.agent.policy.actions.to_environment(actions.numpy())

    def watch(self, live: np.ndarray, rewards: np.ndarray) -> None:
        self._live.append(live)
        self._rewards.append(rewards)

    @property
    def scaled(self) -> Tensor:
        return torch.from_numpy(np.concatenate(self._scaled))

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
