"""Collectors: what steps environments to learn, and counts it: a step at a time, or whole episodes side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np

from rllab.agents.policy import Policy
from rllab.agents.replay import Replay
from rllab.agents.rollouts import Act, make_environments, rollout
from rllab.agents.spent import Spent
from rllab.keys import Key, seeds_for


class StepCollector:
    """Step one environment, an action at a time and episode after episode, and store the transitions.

    Args:
        env: the environment.
        policy: scales observations and actions.
        replay: where transitions go; their cost is minus the reward.
        spent: where steps and episodes are counted.
        key: episode i, counted in `spent`, meets the i-th seed of it.
    """

    def __init__(self, env: gymnasium.Env, policy: Policy, replay: Replay, spent: Spent, key: Key):
        self.env, self._policy, self._replay, self._spent, self._key = env, policy, replay, spent, key
        self.restart()

    def restart(self) -> None:
        """Forget an episode under way: the next observation is the first of a new one."""
        self._observation: np.ndarray | None = None
        self._return = 0.0

    def observe(self) -> np.ndarray:
        """Return the scaled observation to act on, (o,); it begins an episode if none is under way."""
        if self._observation is None:
            (seed,) = episode_seeds(self._key, self._spent.episodes, 1)
            self._observation = self._policy.scaled(self.env.reset(seed=seed)[0])
            self._spent.episodes += 1
        return self._observation

    def step(self, action: np.ndarray) -> list[float]:
        """Take an action in [−1, 1]^k; return the return of the episode if it ended there, else nothing."""
        o = self.observe()
        observation, reward, terminated, truncated, _ = self.env.step(self._policy.to_environment(action))
        self._observation = next_observation = self._policy.scaled(observation)
        self._replay.add(o, action, -float(reward), next_observation, terminated)
        self._spent.steps += 1
        self._return += float(reward)
        if not (terminated or truncated):
            return []
        ended = self._return
        self.restart()
        return [ended]


class EpisodeCollector:
    """Play whole episodes side by side.

    Args:
        who: the agent, for errors.
        environment: Gymnasium id.
        num_envs: episodes at once.
        arguments: keyword arguments for the environment.
        spent: where steps and episodes are counted.
    """

    def __init__(self, who: str, environment: str, num_envs: int, arguments: Mapping[str, Any], spent: Spent):
        self._environments, self._spent = make_environments(who, environment, num_envs, arguments), spent

    def play(
        self,
        act: Act,
        seeds: Sequence[int],
        limit: int,
        watch: Callable[[np.ndarray, np.ndarray], None] | None = None,
    ) -> np.ndarray | None:
        """Play one episode in every environment; see `rollout` for the arguments.

        Returns:
            The return of each episode, (n,); None if `limit` steps did not suffice, which are counted all the same.
        """
        played = rollout(self._environments, act, seeds, limit=limit, watch=watch)
        self._spent.steps += played.steps
        self._spent.episodes += len(seeds)
        return played.returns if played.complete else None


def episode_seeds(key: Key, first: int, n: int) -> list[int]:
    """Return the environment seeds of episodes first, …, first + n − 1."""
    return seeds_for(np.arange(first, first + n), key).tolist()
