"""Generations: an estimator asks for weights, and each plays an episode; one that is cut off is gone on with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rllab.agents.collectors import EpisodeCollector
from rllab.agents.environments import Environments
from rllab.agents.normalize import RunningMoments
from rllab.agents.policy import Policy
from rllab.agents.population import Population
from rllab.agents.spent import Spent
from rllab.agents.spread_episodes import SpreadEpisodes, Spreading
from rllab.checks import as_count
from rllab.estimate import Estimate
from rllab.estimators import Estimator, Query
from rllab.keys import Key


@dataclass(frozen=True)
class Generation:
    """What a generation of n policies gave.

    Attributes:
        query: whose points were their weights.
        returns: of their episodes, (n,).
        lengths: of their episodes, (n,).
        seen: moments of the scaled observations, not normalised, if there is a normaliser.
    """

    query: Query
    returns: np.ndarray
    lengths: np.ndarray
    seen: RunningMoments


class Generations:
    """Play generations: n policies, whose weights an estimator asks for, an episode each, side by side.

    The policies are deterministic, so that a generation follows from its number and what it begins with: a checkpoint
    holds of one that is under way how many rounds it has played, see `EpisodeCollector`.

    Args:
        policy: what the weights are of.
        estimator: asks for weights.
        evaluations: how many a generation may ask for.
        environments: one for each episode that the estimator makes of them.
        spent: where steps and episodes are counted.
        key: generation i draws from its child ("generation", i).
        spreading: where episodes are played, if not in `environments`.
    """

    def __init__(
        self,
        policy: Policy,
        estimator: Estimator,
        evaluations: int,
        environments: Environments,
        spent: Spent,
        key: Key,
        spreading: Spreading | None = None,
    ):
        self.estimator, self.environments, self.spent = estimator, environments, spent
        self._policy, self._evaluations, self._key = policy, evaluations, key
        self._collector, self._spreading = EpisodeCollector(environments, spent), spreading

    def play(
        self, number: int, weights: Tensor, state: Any, normalizer: RunningMoments | None, limit: int
    ) -> Generation | None:
        """Begin a generation, or go on with the one under way, and take at most `limit` steps, in whole rounds.

        Args:
            number: of the generation.
            weights: (d,); these, and all after them, are the same as long as a generation is under way.
            state: of the estimator.
            normalizer: of scaled observations, which is left as it is.
        Returns:
            The generation, if it has ended; None if `limit` steps did not suffice, which are counted all the same.
        """
        if not self._collector.under_way:
            self._begin(number, weights, state, normalizer)
        returns = self._collector.play(limit)
        return None if returns is None else Generation(self._query, returns, self._lengths, self._acting.seen)

    def _begin(self, number: int, weights: Tensor, state: Any, normalizer: RunningMoments | None) -> None:
        key = self._key.child("generation", number)
        self._query = query = self.estimator.ask(weights, self._evaluations, key, state=state)
        if self._spreading is not None:
            self._acting = elsewhere = SpreadEpisodes(self._spreading, query, normalizer, self.spent)
            self._lengths = elsewhere.lengths
            self._collector.begin_with(elsewhere)
            return
        points = torch.empty(query.evaluations, self._policy.size, dtype=weights.dtype)
        seeds = torch.empty(query.evaluations, dtype=torch.int64)
        for block in query:
            points[block.rows], seeds[block.rows] = block.points, query.seeds(block)
        self._acting = Population(self._policy, points, normalizer)
        self._lengths = np.zeros(query.evaluations, np.int64)
        self._collector.begin(self._acting, seeds.tolist(), self._count)

    def _count(self, live: np.ndarray, rewards: np.ndarray) -> None:
        self._lengths[live] += 1

    def state_dict(self) -> dict[str, Any]:
        """Return how far the generation under way is, for a checkpoint."""
        return self._collector.state_dict()

    def load_state_dict(self, state: object) -> None:
        """Take over what `state_dict` gave."""
        self._collector.load_state_dict(state)


def mean_of_generations(
    who: str,
    generations: Generations,
    weights: Tensor,
    state: Any,
    normalizer: RunningMoments | None,
    costs: Callable[[Generation], np.ndarray],
    steps: object,
) -> Estimate:
    """Return the mean of the estimates from as many generations at the same weights as end within `steps`.

        ĝ = 1/G Σ_i ĝ_i,    standard error = √( Σ_i (ĝ_i − ĝ)² / (G (G − 1)) ), that of ĝ_1 itself if G = 1

    Args:
        who: the agent, for errors.
        generations: fresh ones, whose environments are closed.
        costs: of the episodes of a generation, (n,).
    Raises:
        TypeError, ValueError: `steps` is no whole number >= 1, or they do not suffice for one.
    """
    allowed, spent, n = as_count(who, "steps", steps), generations.spent, generations.environments.num_envs
    estimates: list[Estimate] = []
    try:
        while True:
            played = generations.play(len(estimates), weights, state, normalizer, allowed - spent.steps)
            if played is None:
                break
            estimates.append(generations.estimator.tell(played.query, torch.from_numpy(costs(played))))
    finally:
        generations.environments.close()
    if not estimates:
        raise ValueError(
            f"{who}: steps must suffice for {n} episodes, got {allowed}, of which {spent.steps} were taken"
        )
    first, each = estimates[0], torch.stack([e.gradient for e in estimates if isinstance(e.gradient, Tensor)])
    se = first.standard_error if len(each) == 1 else each.std(0) / len(each) ** 0.5
    values = [e.value for e in estimates if e.value is not None]
    return Estimate(each.mean(0), torch.stack(values).mean() if values else None, spent.steps, first.target, se)
