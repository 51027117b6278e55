"""Collectors: what steps environments to learn, and counts it: a step at a time, or whole episodes side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rllab.agents.environments import Environment, Environments
from rllab.agents.n_step import NStep
from rllab.agents.policy import Policy
from rllab.agents.replay import Replay
from rllab.agents.rollouts import Act, Episodes, Playable, Watch
from rllab.agents.saved import GIVEN_UP, check_names, check_tensor, check_whole
from rllab.agents.spent import Spent
from rllab.keys import Key, seeds_for
from rllab.warned import warn


class StepCollector:
    """Step one environment, an action at a time and episode after episode, and store the transitions.

    An environment cannot be saved, but what was done to it can: the episode under way is its seed and its actions,
    which are taken again after a checkpoint is loaded, uncounted, since they were paid for.

    Args:
        environment: where steps are taken.
        policy: scales observations and actions.
        replay: where transitions go; their cost is minus the reward.
        spent: where steps and episodes are counted.
        key: episode i, counted in `spent`, meets the i-th seed of it.
    """

    def __init__(self, environment: Environment, policy: Policy, replay: Replay | NStep, spent: Spent, key: Key):
        self.environment, self._policy, self._replay, self._spent, self._key = environment, policy, replay, spent, key
        self._restart()

    def observe(self) -> np.ndarray:
        """Return the scaled observation to act on, (o,); it begins an episode if none is under way."""
        if self._awaited is not None:
            self._repeat(self._awaited)
        if self._observation is None:
            self._observation = self._reset(self._spent.episodes)
            self._spent.episodes += 1
        return self._observation

    def step(self, action: np.ndarray) -> list[float]:
        """Take an action in [−1, 1]^k, float32; return the return of the episode if it ended there, else nothing."""
        o = self.observe()
        self._spent.steps += 1
        try:
            observation, reward, terminated, truncated = self.environment.step(self._policy.to_environment(action))
        except BaseException:
            self._restart()
            raise
        self._observation = next_observation = self._policy.scaled(observation)
        self._replay.add(o, action, -reward, next_observation, terminated, begun=not self._actions)
        self._return += reward
        if not (terminated or truncated):
            self._actions += action.tobytes()
            return []
        ended = self._return
        self._restart()
        return [ended]

    def close(self) -> None:
        """Let go of the environment."""
        self.environment.env.close()

    def state_dict(self) -> dict[str, Tensor]:
        """Return the episode under way, for a checkpoint: its actions (t, k) and where they led, scaled (o,)."""
        seen = self._observation if self._awaited is None else self._awaited
        if seen is None or not self._actions:
            seen = np.zeros(len(self._policy.scale), np.float32)
        return {"actions": torch.from_numpy(self._taken().copy()), "observation": torch.from_numpy(seen.copy())}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave; the actions are taken again when the next step is due."""
        check_names("the episode under way", state, {"actions", "observation"})
        actions = check_tensor("the episode's actions", state["actions"], (None, self._policy.actions.size))
        seen = check_tensor("the episode's observation", state["observation"], (len(self._policy.scale),))
        self._restart()
        self._actions[:] = actions.contiguous().numpy().tobytes()
        if self._actions:
            self._awaited = seen.numpy().copy()

    def _taken(self) -> np.ndarray:
        """Return the actions of the episode under way, (t, k)."""
        return np.frombuffer(bytes(self._actions), np.float32).reshape(-1, self._policy.actions.size)

    def _restart(self) -> None:
        """Forget the episode under way: the next observation is the first of a new one."""
        self._observation: np.ndarray | None = None
        self._awaited: np.ndarray | None = None  # after loading, where the saved episode was
        self._actions, self._return = bytearray(), 0.0

    def _reset(self, episode: int) -> np.ndarray:
        (seed,) = episode_seeds(self._key, episode, 1)
        return self._policy.scaled(self.environment.reset(seed))

    def _repeat(self, awaited: np.ndarray) -> None:
        """Go to where the saved episode was; where its actions lead elsewhere this time, it is given up."""
        self._awaited, over = None, False
        self._observation = self._reset(self._spent.episodes - 1)
        for action in self._taken():
            if over:
                break
            observation, reward, terminated, truncated = self.environment.step(self._policy.to_environment(action))
            self._observation, over = self._policy.scaled(observation), terminated or truncated
            self._return += reward
        if over or not np.array_equal(self._observation, awaited):
            self._restart()
            warn(GIVEN_UP)


class EpisodeCollector:
    """Play batches of whole episodes side by side; a batch that does not fit into the steps that are left is kept.

    What acts must be a function of the agent's weights and keys, so that a batch under way is saved as the number of
    its rounds: after loading it is played again up to there, uncounted, since it was paid for.

    Args:
        environments: where they are played, one episode in each.
        spent: where steps and episodes are counted.

    Attributes:
        under_way: whether a batch is begun and not yet over.
    """

    def __init__(self, environments: Environments, spent: Spent):
        self._environments, self._spent = environments, spent
        self._episodes: Playable | None = None
        self._returns: Tensor | None = None  # after loading, of the batch that was under way
        self._rounds = 0

    @property
    def under_way(self) -> bool:
        return self._episodes is not None

    def begin(self, act: Act, seeds: Sequence[int], watch: Watch | None = None) -> None:
        """Begin a batch; see `Episodes` for the arguments."""
        self.begin_with(Episodes(self._environments, act, seeds, watch))

    def begin_with(self, episodes: Playable) -> None:
        """Begin a batch of episodes, as many as there are environments, that were not played yet."""
        self._episodes = episodes
        if self._returns is None:
            self._spent.episodes += self._environments.num_envs
            return
        expected, self._returns = self._returns.numpy(), None
        played = self._episodes.play(longest=self._rounds).returns
        if not np.array_equal(played, expected):
            warn(
                "the environment does not repeat episodes from their seeds and actions, or is another one than the "
                "agent was saved with: those that were under way then go on otherwise than they began",
            )

    def play(self, limit: int) -> np.ndarray | None:
        """Play on for at most so many steps.

        Returns:
            The return of each episode, (n,); None if they are not over, and will go on with the next call.
        """
        assert self._episodes is not None
        episodes, self._episodes = self._episodes, None  # given up if the environment fails
        taken = episodes.taken
        try:
            played = episodes.play(limit=limit)
        finally:  # what was taken is paid for, even then
            self._spent.steps += episodes.taken - taken
        if played.complete:
            return played.returns
        self._episodes = episodes
        return None

    def state_dict(self) -> dict[str, Any]:
        """Return the batch under way, for a checkpoint: rounds, −1 if there is none, and returns so far, (n,)."""
        if self._episodes is None:
            rounds, returns = (-1, torch.zeros(0)) if self._returns is None else (self._rounds, self._returns)
        else:
            rounds = self._episodes.rounds
            returns = torch.from_numpy(self._episodes.play(limit=0).returns)
        return {"rounds": rounds, "returns": returns.double()}

    def load_state_dict(self, state: object) -> None:
        """Take over what `state_dict` gave; the rounds are played again when the batch is begun."""
        given = check_names("the episodes under way", state, {"rounds", "returns"})
        self._episodes, self._rounds = None, check_whole("the episodes' rounds", given["rounds"], -1)
        n = self._environments.num_envs if self._rounds >= 0 else 0
        returns = check_tensor("the episodes' returns", given["returns"], (n,), torch.float64)
        self._returns = returns if n else None


def episode_seeds(key: Key, first: int, n: int) -> list[int]:
    """Return the environment seeds of episodes first, …, first + n − 1."""
    return seeds_for(np.arange(first, first + n), key).tolist()
