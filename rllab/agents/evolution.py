"""Evolution: the gradient comes from perturbing the weights. The estimator asks, whole episodes answer, Adam steps.

    w ← Adam(ĝ),   ĝ = estimate of ∇_w E[cost of an episode] by any estimator that perturbs parameters

With `GaussianSmoothing` this is Salimans et al. (2017), "Evolution strategies as a scalable alternative to
reinforcement learning", with mirrored sampling, but without their rank shaping and weight decay, which make it no
gradient. The two episodes of a ± pair meet the same noise (common random numbers).
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
import torch

from rllab.agents.base import Agent, require_positive
from rllab.agents.rollouts import make_rows, rollout
from rllab.estimators import Estimator, GaussianSmoothing


@dataclass(eq=False)
class Evolution(Agent):
    """Learn a policy from the returns of whole episodes under perturbed weights.

    Args:
        estimator: asks for the weights to try; anything that takes a tensor of parameters and needs values only.
        population: episodes an iteration.
        lr: learning rate of Adam.
    """

    _: KW_ONLY
    estimator: Estimator = GaussianSmoothing(sigma=0.1)  # noqa: RUF009 - frozen
    population: int = 64
    lr: float = 0.05

    def _start(self) -> None:
        require_positive(self._name, lr=self.lr)
        try:
            least = self.estimator.minimum(self.weights)
        except (AttributeError, TypeError) as error:
            raise ValueError(
                f"{self._name}: estimator must be an Estimator that perturbs parameters, got {self.estimator!r}"
            ) from error
        if self.population < least:
            raise ValueError(f"{self._name}: population must be at least {least}, got {self.population}")
        evaluations = self.estimator.ask(self.weights, self.population, self.key).evaluations
        self.optimizer = torch.optim.Adam([self.weights], lr=self.lr)
        self.rows = make_rows(self._name, self.environment, evaluations, self.environment_arguments)

    def _iterate(self, limit: int) -> list[float]:
        query = self.estimator.ask(self.weights, self.population, self.key.child("generation", self.iterations))
        points = torch.empty(query.evaluations, self.policy.size)
        seeds = torch.empty(query.evaluations, dtype=torch.int64)
        for block in query:
            points[block.rows], seeds[block.rows] = block.points, query.seeds(block)
        rolled = rollout(self.rows, _Population(self, points), seeds.tolist(), limit=limit)
        self.steps += rolled.steps
        self.episodes += query.evaluations
        if not rolled.complete:
            return []
        costs = torch.from_numpy(-rolled.returns).to(points)
        estimate = self.estimator.tell(query, costs, errors=False)
        assert isinstance(estimate.gradient, torch.Tensor)
        self.weights.grad = estimate.gradient
        self.optimizer.step()
        self.updates += 1
        return rolled.returns.tolist()

    def _state(self) -> dict[str, Any]:
        return {"optimizer": self.optimizer.state_dict()}

    def _restore(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state["optimizer"])


class _Population:
    """Acts for n policies at once; weights of episodes that have ended are dropped when they are a quarter of all."""

    def __init__(self, agent: Agent, points: torch.Tensor):
        self.policy, self.points = agent.policy, points
        self.layers = agent.policy.layers(points)
        self.held = np.arange(len(points))  # the row each of `points` belongs to

    def __call__(self, observations: np.ndarray, live: np.ndarray) -> np.ndarray:
        if 4 * len(live) <= 3 * len(self.held):
            self.points = self.points[np.searchsorted(self.held, live)]
            self.layers, self.held = self.policy.layers(self.points), live
        if len(live) == len(self.held):
            inputs = self.policy.inputs(observations)
        else:
            where = np.searchsorted(self.held, live)
            padded = np.zeros((len(self.held), observations.shape[1]), observations.dtype)
            padded[where] = observations
            inputs = self.policy.inputs(padded)
        with torch.no_grad():
            outputs = self.policy.population(self.layers, inputs).numpy()
        if len(live) < len(self.held):
            outputs = outputs[where]
        return self.policy.to_environment(outputs)
