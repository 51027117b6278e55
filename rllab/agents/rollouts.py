"""Rollouts: n episodes side by side, each under its own seed, until every one of them has ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rllab.agents.environments import Environments

Act = Callable[[np.ndarray, np.ndarray], np.ndarray]


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


def rollout(
    environments: Environments,
    act: Act,
    seeds: Sequence[int],
    *,
    limit: int | None = None,
    longest: int | None = None,
    watch: Callable[[np.ndarray, np.ndarray], None] | None = None,
) -> Rollout:
    """Play one episode in every environment.

    Args:
        act: maps observations (m, o) and the numbers (m,) of the environments they come from to actions (m, …).
        seeds: one for each environment; equal seeds meet equal noise.
        limit: environment steps that may be taken in all; a round of steps that would exceed it is not begun.
        longest: steps that may be taken in one environment.
        watch: is given the numbers (m,) of the environments and the rewards (m,) of every round, after the step.
    """
    observations = environments.reset(seeds)
    n = len(observations)
    returns, lengths, live = np.zeros(n), np.zeros(n, np.int64), np.arange(n)
    steps = rounds = 0
    while live.size:
        if (limit is not None and steps + live.size > limit) or rounds == longest:
            return Rollout(returns, lengths, steps, False)
        observations, rewards, terminated, truncated = environments.step(act(observations, live), live)
        steps += live.size
        rounds += 1
        if live.size == n:
            returns += rewards
            lengths += 1
        else:
            returns[live] += rewards
            lengths[live] += 1
        if watch is not None:
            watch(live, rewards)
        over = terminated | truncated
        if over.any():
            going = ~over
            live, observations = live[going], observations[going]
    return Rollout(returns, lengths, steps, True)
