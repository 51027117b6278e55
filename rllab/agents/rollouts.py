"""Rollouts: n episodes side by side, each under its own seed, until every one of them has ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from rllab.agents.environments import Environments

Act = Callable[[np.ndarray, np.ndarray], np.ndarray]
Watch = Callable[[np.ndarray, np.ndarray], None]


@dataclass(frozen=True)
class Rollout:
    """Say what n episodes gave.

    Attributes:
        returns: sum of rewards by episode, (n,).
        lengths: steps by episode, the last one included, (n,).
        steps: environment steps in all; this is what was paid.
        complete: whether every episode came to its end; if not, a limit of steps came first, and `returns` and
            `lengths` of those under way are of the steps until then.

    Example:
        from rllab.agents import Evolution

        rollout = Evolution("CartPole-v1", seed=0).evaluate(episodes=3)
        rollout.returns.mean(), rollout.steps
    """

    returns: np.ndarray
    lengths: np.ndarray
    steps: int
    complete: bool


class Playable(Protocol):
    """Episodes that are played for some steps at a time: `Episodes`, and those that an executor plays."""

    @property
    def rounds(self) -> int: ...

    @property
    def taken(self) -> int: ...

    def play(self, *, limit: int | None = None, longest: int | None = None) -> Rollout: ...


class Episodes:
    """Play one episode in each of n environments, for some steps at a time.

    Args:
        environments: where they are played; they are reset here.
        act: maps observations (m, o) and the numbers (m,) of the environments they come from to actions (m, …).
        seeds: one for each environment; equal seeds meet equal noise.
        watch: is given the numbers (m,) of the environments and the rewards (m,) of every round, after the step.

    Attributes:
        rounds: rounds of steps taken so far.
    """

    def __init__(
        self,
        environments: Environments,
        act: Act,
        seeds: Sequence[int],
        watch: Watch | None = None,
    ):
        self._environments, self._act, self._watch = environments, act, watch
        self._observations = environments.reset(seeds)
        n = len(self._observations)
        self._returns, self._lengths, self._live = np.zeros(n), np.zeros(n, np.int64), np.arange(n)
        self.rounds = 0

    @property
    def taken(self) -> int:
        """Environment steps that these environments have taken."""
        return self._environments.taken

    def play(self, *, limit: int | None = None, longest: int | None = None) -> Rollout:
        """Play on; say what the episodes gave from their beginning.

        Args:
            limit: environment steps that may be taken by this call; a round that would exceed it is not begun.
            longest: steps that may be taken in one environment, from its beginning.
        """
        steps, returns, lengths = 0, self._returns, self._lengths
        while self._live.size and self.rounds != longest:
            live = self._live
            if limit is not None and steps + live.size > limit:
                break
            answer = self._environments.step(self._act(self._observations, live), live)
            self._observations, rewards, terminated, truncated = answer
            steps += live.size
            self.rounds += 1
            if live.size == len(returns):
                returns += rewards
                lengths += 1
            else:
                returns[live] += rewards
                lengths[live] += 1
            if self._watch is not None:
                self._watch(live, rewards)
            over = terminated | truncated
            if over.any():
                going = ~over
                self._live, self._observations = live[going], self._observations[going]
        return Rollout(returns.copy(), lengths.copy(), int(lengths.sum()), not self._live.size)


def rollout(
    environments: Environments,
    act: Act,
    seeds: Sequence[int],
    *,
    limit: int | None = None,
    longest: int | None = None,
    watch: Watch | None = None,
) -> Rollout:
    """Play one episode in every environment; see `Episodes` for the arguments."""
    return Episodes(environments, act, seeds, watch).play(limit=limit, longest=longest)
