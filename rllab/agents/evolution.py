"""Evolution: the gradient comes from perturbing the weights. The estimator asks, whole episodes answer, Adam steps."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, fields, is_dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch

from rllab.agents.adam import Adam
from rllab.agents.base import Agent
from rllab.agents.collectors import EpisodeCollector
from rllab.agents.normalize import RunningMoments
from rllab.agents.saved import check_names
from rllab.agents.schedules import Linear, check_scheduled, now
from rllab.agents.vectorization import make_environments
from rllab.checks import as_count, check_count
from rllab.estimators import Estimator, GaussianSmoothing


@dataclass(eq=False)
class Evolution(Agent):
    """Learn a policy from the returns of whole episodes under perturbed weights.

        w ← Adam(ĝ),   ĝ = estimate of ∇_w f(w),   f(w) = E[cost of an episode],   by any estimator that perturbs w

    The two episodes of a ± pair meet the same noise (common random numbers). An estimator that keeps a state, a critic
    say, is given that of the generation before.

    Args:
        estimator: asks for the weights to try; anything that takes a tensor of parameters and needs values only.
        population: episodes an iteration.
        lr: learning rate of Adam; a number or `Linear`.

    Attributes:
        state: what the estimator wants to be given next time; None for most.

    Raises:
        TypeError, ValueError: an argument is out of its range, or the estimator perturbs no parameters.

    Source: Salimans et al. (2017), "Evolution strategies as a scalable alternative to reinforcement learning",
    algorithm 1 with mirrored sampling, if the estimator is `GaussianSmoothing`. Differences: their rank shaping is left
    out, for it makes of the gradient a direction; their weight decay is left out: the gradient with it is that of
    f + λ‖w‖²/2, another cost.

    Example:
        from rllab import estimators as est
        from rllab.agents import Evolution

        agent = Evolution("CartPole-v1", seed=0, hidden=(), estimator=est.GaussianSmoothing(0.2), population=16, lr=0.1)
        rows = agent.learn(steps=2000)
    """

    columns: ClassVar[tuple[str, ...]] = ("grad_norm",)

    _: KW_ONLY
    estimator: Estimator = GaussianSmoothing(sigma=0.1)  # noqa: RUF009 - frozen
    population: int = 64
    lr: float | Linear = 0.05

    def _check_arguments(self) -> None:
        check_scheduled(self._name, lr=self.lr)
        self.population = as_count(self._name, "population", self.population)
        if not isinstance(self.estimator, Estimator):
            raise ValueError(self._wrong())
        if is_dataclass(self.estimator):  # numpy's numbers compute otherwise than Python's, which a file holds
            given = {f.name: getattr(self.estimator, f.name) for f in fields(self.estimator) if f.init}
            numbers = {name: value.item() for name, value in given.items() if isinstance(value, np.generic)}
            self.estimator = replace(self.estimator, **numbers) if numbers else self.estimator

    def _wrong(self) -> str:
        return f"{self._name}: estimator must be an Estimator that perturbs parameters, got {self.estimator!r}"

    def _start(self) -> None:
        try:
            least = self.estimator.minimum(self.weights)
        except (AttributeError, TypeError) as error:
            raise ValueError(self._wrong()) from error
        check_count(self._name, least, population=self.population)
        self.state: Any = None
        evaluations = self.estimator.ask(self.weights, self.population, self.key).evaluations
        self.optimizer = Adam(self.weights, now(self.lr, self.spent))
        self.collector = EpisodeCollector(make_environments(self.maker, evaluations, self.vectorization), self.spent)

    def _iterate(self, limit: int) -> list[float]:
        if not self.collector.under_way:
            self._begin()
        returns = self.collector.play(limit)
        if returns is None:
            return []
        estimate = self.estimator.tell(self._query, torch.from_numpy(-returns), errors=False)
        assert isinstance(estimate.gradient, torch.Tensor)
        self.optimizer.lr = now(self.lr, self.spent)
        self.optimizer.step(estimate.gradient)
        self.diagnostics["grad_norm"] = estimate.gradient.norm().item()
        if self.normalizer is not None:
            self.normalizer.merge(self._acting.seen)
        self.state = estimate.state
        self.spent.updates += 1
        return returns.tolist()

    def _begin(self) -> None:
        """Ask for the weights of a generation, and begin their episodes."""
        key = self.key.child("generation", self.spent.updates)
        self._query = query = self.estimator.ask(self.weights, self.population, key, state=self.state)
        points = torch.empty(query.evaluations, self.policy.size, dtype=self.weights.dtype)
        seeds = torch.empty(query.evaluations, dtype=torch.int64)
        for block in query:
            points[block.rows], seeds[block.rows] = block.points, query.seeds(block)
        self._acting = _Population(self, points)
        self.collector.begin(self._acting, seeds.tolist())

    def _state(self) -> dict[str, Any]:
        episodes = self.collector.state_dict()
        return {"optimizer": self.optimizer.state_dict(), "estimator": self.state, "episodes": episodes}

    def _restore(self, state: dict[str, Any]) -> None:
        check_names("state", state, {"optimizer", "estimator", "episodes"})
        self.optimizer.load_state_dict(state["optimizer"])
        self.collector.load_state_dict(state["episodes"])
        self.state = state["estimator"]
        self.estimator.ask(self.weights, self.population, self.key, state=self.state)  # which refuses what is no state


class _Population:
    """Acts for n policies at once; weights of episodes that have ended are dropped when they are a quarter of all."""

    def __init__(self, agent: Agent, points: torch.Tensor):
        self.agent, self.policy, self.points = agent, agent.policy, points
        self.seen = RunningMoments(len(agent.policy.scale))
        self.layers = agent.policy.layers(points)
        self.kept = np.arange(len(points))  # the episode each of `points` plays

    def __call__(self, observations: np.ndarray, live: np.ndarray) -> np.ndarray:
        if 4 * len(live) <= 3 * len(self.kept):
            self.points = self.points[np.searchsorted(self.kept, live)]
            self.layers, self.kept = self.policy.layers(self.points), live
        scaled = self.policy.scaled(observations)
        if self.agent.normalizer is not None:
            self.seen.update(torch.from_numpy(scaled))
        inputs = self.agent._normalized(scaled)
        if len(live) < len(self.kept):
            where = np.searchsorted(self.kept, live)
            padded = np.zeros((len(self.kept), inputs.shape[1]), inputs.dtype)
            padded[where] = inputs
            inputs = padded
        with torch.no_grad():
            outputs = self.policy.population(self.layers, torch.from_numpy(inputs)).numpy()
        if len(live) < len(self.kept):
            outputs = outputs[where]
        return self.policy.to_environment(outputs)
