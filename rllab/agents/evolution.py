"""Evolution: the gradient comes from perturbing the weights. The estimator asks, whole episodes answer, Adam steps."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np
import torch

from rllab.agents.base import Agent
from rllab.agents.collectors import EpisodeCollector
from rllab.agents.saved import check_names, take_adam
from rllab.agents.vectorization import make_environments
from rllab.checks import as_count, check_count, check_positive
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
        lr: learning rate of Adam.

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

    _: KW_ONLY
    estimator: Estimator = GaussianSmoothing(sigma=0.1)  # noqa: RUF009 - frozen
    population: int = 64
    lr: float = 0.05

    def _check_arguments(self) -> None:
        check_positive(self._name, lr=self.lr)
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
        self.optimizer = torch.optim.Adam([self.weights], lr=self.lr)
        self.collector = EpisodeCollector(make_environments(self.maker, evaluations, self.vectorization), self.spent)

    def _iterate(self, limit: int) -> list[float]:
        key = self.key.child("generation", self.spent.iterations)
        query = self.estimator.ask(self.weights, self.population, key, state=self.state)
        points = torch.empty(query.evaluations, self.policy.size, dtype=self.weights.dtype)
        seeds = torch.empty(query.evaluations, dtype=torch.int64)
        for block in query:
            points[block.rows], seeds[block.rows] = block.points, query.seeds(block)
        returns = self.collector.play(_Population(self, points), seeds.tolist(), limit)
        if returns is None:
            return []
        estimate = self.estimator.tell(query, torch.from_numpy(-returns), errors=False)
        assert isinstance(estimate.gradient, torch.Tensor)
        self.weights.grad = estimate.gradient
        self.optimizer.step()
        self.state = estimate.state
        self.spent.updates += 1
        return returns.tolist()

    def _state(self) -> dict[str, Any]:
        return {"optimizer": self.optimizer.state_dict(), "estimator": self.state}

    def _restore(self, state: dict[str, Any]) -> None:
        check_names("state", state, {"optimizer", "estimator"})
        take_adam(self.optimizer, state["optimizer"])
        self.state = state["estimator"]
        self.estimator.ask(self.weights, self.population, self.key, state=self.state)  # which refuses what is no state


class _Population:
    """Acts for n policies at once; weights of episodes that have ended are dropped when they are a quarter of all."""

    def __init__(self, agent: Agent, points: torch.Tensor):
        self.policy, self.points = agent.policy, points
        self.layers = agent.policy.layers(points)
        self.kept = np.arange(len(points))  # the episode each of `points` plays

    def __call__(self, observations: np.ndarray, live: np.ndarray) -> np.ndarray:
        if 4 * len(live) <= 3 * len(self.kept):
            self.points = self.points[np.searchsorted(self.kept, live)]
            self.layers, self.kept = self.policy.layers(self.points), live
        if len(live) == len(self.kept):
            inputs = self.policy.inputs(observations)
        else:
            where = np.searchsorted(self.kept, live)
            padded = np.zeros((len(self.kept), observations.shape[1]), observations.dtype)
            padded[where] = observations
            inputs = self.policy.inputs(padded)
        with torch.no_grad():
            outputs = self.policy.population(self.layers, inputs).numpy()
        if len(live) < len(self.kept):
            outputs = outputs[where]
        return self.policy.to_environment(outputs)
