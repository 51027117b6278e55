"""Generations: an estimator asks for weights, and each plays an episode; one that is cut off is gone on with."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rllab.agents.environments import Environments
from rllab.agents.policy import Policy
from rllab.agents.population import Population
from rllab.agents.saved import check_names, check_whole
from rllab.agents.spent import Spent
from rllab.checks import as_count
from rllab.estimate import Estimate
from rllab.estimators import Estimator, Query
from rllab.keys import Key

Normalize = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Generation:
    """What a generation of n policies gave.

    Attributes:
        query: whose points were their weights.
        returns: of their episodes, (n,).
        lengths: of their episodes, (n,).
        observations: all that they saw, scaled and not normalised, float32 (steps, o), if asked for; else (0, o).
    """

    query: Query
    returns: np.ndarray
    lengths: np.ndarray
    observations: np.ndarray


class Generations:
    """Play generations: n policies, whose weights an estimator asks for, an episode each, side by side.

    The policies are deterministic, so that a generation follows from its number, the weights, and the seeds of its
    episodes. A checkpoint therefore holds of one that is under way how many rounds it has played; they are played
    again, uncounted, when it is gone on with.

    Args:
        policy: what the weights are of.
        estimator: asks for weights.
        evaluations: how many a generation may ask for; it plays as many episodes as the estimator makes of them.
        environments: one for each episode.
        spent: where steps and episodes are counted.
        key: generation i draws from its child ("generation", i).
        keep: whether observations are kept, 4 o bytes a step.

    Attributes:
        over: how many generations have ended.
    """

    def __init__(
        self,
        policy: Policy,
        estimator: Estimator,
        evaluations: int,
        environments: Environments,
        spent: Spent,
        key: Key,
        *,
        keep: bool = False,
    ):
        self.policy, self.estimator, self.evaluations, self.key = policy, estimator, evaluations, key
        self.environments, self.spent, self.over = environments, spent, 0
        self._keep = keep
        self._under_way: _UnderWay | None = None
        self._saved: tuple[int, np.ndarray] | None = None  # rounds and returns of one to be gone on with

    def play(self, weights: Tensor, state: Any, normalize: Normalize, limit: int) -> Generation | None:
        """Go on with the generation under way, or begin one, and take at most `limit` steps, in whole rounds.

        Args:
            weights: (d,), those that the generation under way began with.
            state: of the estimator, likewise.
            normalize: what is done to scaled observations, likewise.
        Returns:
            The generation, if it has ended; None if `limit` steps did not suffice, which are counted all the same.
        """
        if self._under_way is None:
            if self._saved is None and limit < self.environments.num_envs:
                return None  # not even its first round
            self._under_way = self._begun(weights, state, normalize)
        taken = self.environments.taken
        try:
            ended = self._under_way.play(limit)
        except BaseException:  # what is left of it cannot be gone on with
            self._under_way = None
            raise
        finally:  # what was taken is paid for, even if the environment fails
            self.spent.steps += self.environments.taken - taken
        if not ended:
            return None
        over, self._under_way = self._under_way, None
        self.over += 1
        seen = np.concatenate(over.seen) if over.seen else np.zeros((0, len(self.policy.scale)), np.float32)
        return Generation(over.query, over.returns, over.lengths, seen)

    def _begun(self, weights: Tensor, state: Any, normalize: Normalize) -> _UnderWay:
        """Return a generation at its beginning, or, of one that was saved, as far as it was."""
        query = self.estimator.ask(weights, self.evaluations, self.key.child("generation", self.over), state=state)
        points = torch.empty(query.evaluations, self.policy.size, dtype=weights.dtype)
        seeds = torch.empty(query.evaluations, dtype=torch.int64)
        for block in query:
            points[block.rows], seeds[block.rows] = block.points, query.seeds(block)

        def start() -> _UnderWay:
            act = Population(self.policy, points)
            return _UnderWay(query, self.environments, act, normalize, seeds.tolist(), self._keep)

        begun, saved, self._saved = start(), self._saved, None
        if saved is not None:
            rounds, returns = saved
            while begun.rounds < rounds and begun.live.size:
                begun.round()
            if begun.rounds == rounds and np.array_equal(begun.returns, returns):
                return begun
            warnings.warn(
                "the environment does not repeat an episode from its seed and actions: the generation that was under "
                "way when the agent was saved is given up, and begins again",
                stacklevel=2,
            )
            begun = start()
        self.spent.episodes += query.evaluations
        return begun

    def state_dict(self) -> dict[str, Any]:
        """Return which generation is due and how far it is, for a checkpoint."""
        rounds, returns = self._saved or (0, np.zeros(0))
        if self._under_way is not None:
            rounds, returns = self._under_way.rounds, self._under_way.returns
        return {"over": self.over, "rounds": rounds, "returns": returns.tolist()}

    def load_state_dict(self, state: object) -> None:
        """Take over what `state_dict` gave.

        Raises:
            ValueError: it is of other kinds or shapes.
        """
        given = check_names("the generations", state, {"over", "rounds", "returns"})
        over = check_whole("the generations over", given["over"])
        rounds = check_whole("the generation's rounds", given["rounds"])
        n = self.environments.num_envs if rounds else 0
        returns = given["returns"]
        if not isinstance(returns, list) or len(returns) != n or not all(type(r) is float for r in returns):
            raise ValueError(f"the generation's returns must be {n} numbers, got {returns!r:.60}")
        self.over, self._under_way = over, None
        self._saved = (rounds, np.array(returns)) if rounds else None


def mean_of_generations(
    who: str,
    generations: Generations,
    weights: Tensor,
    state: Any,
    normalize: Normalize,
    costs: Callable[[Generation], np.ndarray],
    steps: object,
) -> Estimate:
    """Return the mean of the estimates from as many generations at the same weights as end within `steps`.

        ĝ = 1/G Σ_i ĝ_i,    standard error = √( Σ_i (ĝ_i − ĝ)² / (G (G − 1)) ), that of ĝ_1 itself if G = 1

    Args:
        who: the agent, for errors.
        generations: fresh ones.
        costs: of the episodes of a generation, (n,).
    Raises:
        TypeError, ValueError: `steps` is no whole number >= 1, or they do not suffice for one.
    """
    allowed, spent, n = as_count(who, "steps", steps), generations.spent, generations.environments.num_envs
    estimates: list[Estimate] = []
    try:
        while (played := generations.play(weights, state, normalize, allowed - spent.steps)) is not None:
            estimates.append(generations.estimator.tell(played.query, torch.from_numpy(costs(played))))
    finally:
        generations.environments.close()
    if not estimates:
        raise ValueError(f"{who}: steps must suffice for {n} episodes side by side, got {allowed}, which did not")
    first, each = estimates[0], torch.stack([e.gradient for e in estimates if isinstance(e.gradient, Tensor)])
    se = first.standard_error if len(each) == 1 else each.std(0) / len(each) ** 0.5
    values = [e.value for e in estimates if e.value is not None]
    return Estimate(each.mean(0), torch.stack(values).mean() if values else None, spent.steps, first.target, se)


class _UnderWay:
    """A generation some of whose episodes go on."""

    def __init__(
        self,
        query: Query,
        environments: Environments,
        act: Population,
        normalize: Normalize,
        seeds: list[int],
        keep: bool,
    ):
        self.query, self.seen, self.rounds = query, [], 0
        self.returns, self.lengths = np.zeros(len(seeds)), np.zeros(len(seeds), np.int64)
        self.live = np.arange(len(seeds))
        self._environments, self._act, self._normalize, self._keep = environments, act, normalize, keep
        self._observations = environments.reset(seeds)

    def play(self, limit: int) -> bool:
        """Take at most `limit` steps, in whole rounds; return whether all episodes have ended."""
        while self.live.size and self.live.size <= limit:
            limit -= self.live.size
            self.round()
        return not self.live.size

    def round(self) -> None:
        """Take a step in every environment whose episode goes on."""
        scaled, live = self._act.policy.scaled(self._observations), self.live
        if self._keep:
            self.seen.append(scaled)
        actions = self._act(self._normalize(scaled), live)
        self._observations, rewards, terminated, truncated = self._environments.step(actions, live)
        self.returns[live] += rewards
        self.lengths[live] += 1
        self.rounds += 1
        over = terminated | truncated
        if over.any():
            self.live, self._observations = live[~over], self._observations[~over]
