"""Rollouts: n episodes side by side, each under its own seed, until every one of them has ended."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import gymnasium
import numpy as np
from gymnasium.envs.registration import load_env_creator
from gymnasium.vector import AutoresetMode

Act = Callable[[np.ndarray, np.ndarray], np.ndarray]


def make_environment(who: str, environment: str, arguments: Mapping[str, Any]) -> gymnasium.Env:
    """Make a Gymnasium environment by id.

    Raises:
        ValueError: there is none of that id, or it does not take these arguments; in the name of `who`.
    """
    try:
        return gymnasium.make(environment, **arguments)
    except (gymnasium.error.Error, ImportError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"{who}: environment must be the id of a Gymnasium environment, got {environment!r}: {reason}"
        ) from error


class Environments(Protocol):
    """Step n environments in lockstep; those whose episode has ended are left alone until the next reset."""

    def reset(self, seeds: Sequence[int]) -> np.ndarray: ...

    def step(self, actions: np.ndarray, live: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Take actions (m, …) in environments `live` (m,); return observations, rewards, terminated and truncated."""
        ...


class _VectorEnvironments:
    """A vector environment of the environment's own, all of them in one call."""

    def __init__(self, environment: str, n: int, arguments: Mapping[str, Any]):
        self.vector = gymnasium.make_vec(
            environment,
            num_envs=n,
            vectorization_mode="vector_entry_point",
            autoreset_mode=AutoresetMode.DISABLED,
            **arguments,
        )
        space = self.vector.action_space
        self.actions = np.zeros(space.shape or (n,), space.dtype)

    def reset(self, seeds: Sequence[int]) -> np.ndarray:
        return self.vector.reset(seed=list(seeds))[0]  # pyright: ignore[reportArgumentType] - a list is promised too

    def step(self, actions: np.ndarray, live: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        if len(live) == len(self.actions):
            return self.vector.step(actions)[:4]
        self.actions[live] = actions
        observations, rewards, terminated, truncated, _ = self.vector.step(self.actions)
        return observations[live], rewards[live], terminated[live], truncated[live]


class _SingleEnvironments:
    """Single environments in a list, for ids without a vector form that takes one seed for each."""

    def __init__(self, who: str, environment: str, n: int, arguments: Mapping[str, Any]):
        self.single = [make_environment(who, environment, arguments) for _ in range(n)]

    def reset(self, seeds: Sequence[int]) -> np.ndarray:
        return np.stack([env.reset(seed=int(seed))[0] for env, seed in zip(self.single, seeds, strict=True)])

    def step(self, actions: np.ndarray, live: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        taken = [self.single[i].step(action)[:4] for i, action in zip(live, actions, strict=True)]
        observations, rewards, terminated, truncated = (np.array(column) for column in zip(*taken, strict=True))
        return observations, rewards.astype(np.float64), terminated, truncated


def make_environments(who: str, environment: str, n: int, arguments: Mapping[str, Any]) -> Environments:
    """Make n environments of one id: its own vector form if that leaves ended episodes alone, else n single ones."""
    one = make_environment(who, environment, arguments)  # an unknown id or argument is named here
    entry = one.spec.vector_entry_point if one.spec is not None else None
    one.close()
    if entry is not None:
        creator = load_env_creator(entry) if isinstance(entry, str) else entry
        if "autoreset_mode" in inspect.signature(creator).parameters:
            return _VectorEnvironments(environment, n, arguments)
    return _SingleEnvironments(who, environment, n, arguments)


@dataclass(frozen=True)
class Rollout:
    """Say what n episodes gave.

    Attributes:
        returns: sum of rewards by episode, (n,).
        lengths: steps by episode, the last one included, (n,).
        steps: environment steps in all; this is what was paid.
        complete: whether every episode came to its end; if not, the step limit came first.
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
    watch: Callable[[np.ndarray, np.ndarray], None] | None = None,
) -> Rollout:
    """Play one episode in every environment.

    Args:
        act: maps observations (m, o) and the numbers (m,) of the environments they come from to actions (m, …).
        seeds: one for each environment; equal seeds meet equal noise.
        limit: environment steps that may be taken in all; a round of steps that would exceed it is not begun.
        watch: is given the numbers (m,) of the environments and the rewards (m,) of every round, after the step.
    """
    observations = environments.reset(seeds)
    n = len(observations)
    returns, lengths, live = np.zeros(n), np.zeros(n, np.int64), np.arange(n)
    steps = 0
    while live.size:
        if limit is not None and steps + live.size > limit:
            return Rollout(returns, lengths, steps, False)
        observations, rewards, terminated, truncated = environments.step(act(observations, live), live)
        steps += live.size
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
