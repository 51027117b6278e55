"""Environments: the one place where agents reset and step them, one at a time or n in lockstep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from gymnasium.vector import VectorEnv

from rllab.agents.answers import LARGEST, Answers
from rllab.agents.making import Maker


class _Seeds:
    """Reset under 63-bit seeds, or, where an environment's generator has refused one, under their last 31 bits."""

    def __init__(self) -> None:
        self._modulus = 2**63

    def reset(
        self, environment: Environment | VectorEnvironments, seeds: list[int], which: np.ndarray | None = None
    ) -> tuple[object, object]:
        seeds = [int(seed) % self._modulus for seed in seeds]
        try:
            return environment.reset_raw(seeds, which)
        except (ValueError, OverflowError):  # numpy's RandomState takes 32 bits, generators in C often 31
            if max(seeds) < 2**31 or which is not None:
                raise
            self._modulus = 2**31
            environment.make_again()  # Gymnasium's own checks do not survive a reset that failed
            return environment.reset_raw([seed % self._modulus for seed in seeds], which)


class Environment:
    """Reset and step one environment, whose answers are checked and encoded.

    Attributes:
        env: the Gymnasium environment.
        taken: steps so far, those with an answer that was refused included.

    Raises:
        ValueError: on `reset` and `step`, an observation is not of its space, an observation or reward is no finite
            number, or a flag no truth value.
    """

    def __init__(self, make: Maker):
        self._make = make
        self.env = make()
        self._seeds = _Seeds()
        self._answers = Answers(make.who, make.describe(self.env), self.env.observation_space)
        self.taken = self._t = 0

    def reset(self, seed: int) -> np.ndarray:
        """Begin an episode; return its first observation, (o,)."""
        self._t = 0
        observation, _ = self._seeds.reset(self, [seed])
        return self._answers.observations(observation, (), None, 0)

    def reset_raw(self, seeds: list[int], which: np.ndarray | None = None) -> tuple[object, object]:
        """Reset under one seed, unchecked."""
        return self.env.reset(seed=seeds[0])

    def make_again(self) -> None:
        """Replace the environment by a new one."""
        self.env.close()
        self.env = self._make()

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool]:
        """Take an action; return observation (o,), reward, terminated and truncated."""
        self._t += 1
        self.taken += 1
        o, reward, terminated, truncated, _ = self.env.step(action)
        checked, t = self._answers, self._t
        o = checked.observations(o, (), None, t)
        # what most environments give is no array, and is not made one
        if type(reward) is not float or not -LARGEST <= reward <= LARGEST:
            reward = checked.rewards(reward, 1, None, t).item()
        if type(terminated) is not bool:
            terminated = checked.flags("terminated", terminated, 1, None, t).item()
        if type(truncated) is not bool:
            truncated = checked.flags("truncated", truncated, 1, None, t).item()
        return o, reward, terminated, truncated


class Environments(Protocol):
    """Step n environments in lockstep; those whose episode has ended are left alone until they are reset.

    Attributes:
        num_envs: n.
        taken: steps so far, all environments together.
    """

    @property
    def num_envs(self) -> int: ...

    @property
    def taken(self) -> int: ...

    def reset(self, seeds: Sequence[int], which: np.ndarray | None = None) -> np.ndarray:
        """Begin an episode in environments `which` (m,), or in all, under a seed each; return observations (m, o)."""
        ...

    def step(self, actions: np.ndarray, live: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Take actions (m, …) in environments `live` (m,); return observations, rewards, terminated and truncated."""
        ...

    def close(self) -> None:
        """Let go of them."""
        ...


class VectorEnvironments:
    """A vector environment of the environment's own, all of them in one call."""

    def __init__(self, make: Maker, vector: VectorEnv):
        self._make, self.vector, self.num_envs = make, vector, vector.num_envs
        self._seeds = _Seeds()
        space = vector.action_space
        self.actions = np.zeros(space.shape or (self.num_envs,), space.dtype)
        self._answers = Answers(make.who, repr(make.environment), vector.single_observation_space)
        self.taken = self._t = 0

    def reset(self, seeds: Sequence[int], which: np.ndarray | None = None) -> np.ndarray:
        if which is None:
            self._t = 0
        observations, _ = self._seeds.reset(self, list(seeds), which)
        return self._answers.observations(observations, (self.num_envs,), which, 0)

    def reset_raw(self, seeds: list[int], which: np.ndarray | None = None) -> tuple[object, object]:
        if which is None:
            return self.vector.reset(seed=seeds)  # pyright: ignore[reportArgumentType] - a list is promised too
        mask, each = np.zeros(self.num_envs, bool), [0] * self.num_envs
        mask[which] = True
        for i, seed in zip(which, seeds, strict=True):
            each[i] = seed
        return self.vector.reset(seed=each, options={"reset_mask": mask})  # pyright: ignore[reportArgumentType]

    def make_again(self) -> None:
        self.vector.close()
        vector = self._make.vector(self.num_envs)
        assert vector is not None
        self.vector = vector

    def step(self, actions: np.ndarray, live: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        self._t += 1
        self.taken += len(live)
        n, t, checked = self.num_envs, self._t, self._answers
        some = None if len(live) == n else live
        if some is None:
            answer = self.vector.step(np.array(actions))  # a copy: the environment may keep or change it
        else:
            self.actions[live] = actions
            answer = self.vector.step(self.actions.copy())
        observations, rewards, terminated, truncated, _ = answer
        return (
            checked.observations(observations, (n,), some, t),
            checked.rewards(rewards, n, some, t),
            checked.flags("terminated", terminated, n, some, t),
            checked.flags("truncated", truncated, n, some, t),
        )

    def close(self) -> None:
        self.vector.close()


class SingleEnvironments:
    """Single environments in a list, for all that have no vector form that takes one seed for each."""

    def __init__(self, make: Maker, n: int):
        self.single = [Environment(make) for _ in range(n)]

    @property
    def num_envs(self) -> int:
        return len(self.single)

    @property
    def taken(self) -> int:
        return sum(env.taken for env in self.single)

    def reset(self, seeds: Sequence[int], which: np.ndarray | None = None) -> np.ndarray:
        some = self.single if which is None else [self.single[i] for i in which]
        return np.stack([env.reset(int(seed)) for env, seed in zip(some, seeds, strict=True)])

    def step(self, actions: np.ndarray, live: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        taken = [self.single[i].step(action) for i, action in zip(live, actions, strict=True)]
        observations, rewards, terminated, truncated = (np.array(column) for column in zip(*taken, strict=True))
        return observations, rewards, terminated, truncated

    def close(self) -> None:
        for env in self.single:
            env.env.close()
