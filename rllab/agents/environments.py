"""Environments: the one place where agents make, reset and step them, and where all that they answer is checked."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import gymnasium
import numpy as np
from gymnasium.envs.registration import load_env_creator
from gymnasium.vector import AutoresetMode

LARGEST = float(np.finfo(np.float32).max)  # learners compute in float32, where anything larger is infinite


def make_environment(who: str, environment: str, arguments: Mapping[str, Any]) -> gymnasium.Env:
    """Make a Gymnasium environment by id.

    Raises:
        TypeError: the id is no text, or the arguments are no mapping of names; in the name of `who`.
        ValueError: there is none of that id, or it does not take these arguments; in the name of `who`.
    """
    if not isinstance(environment, str):
        raise TypeError(f"{who}: environment must be the id of a Gymnasium environment, got {environment!r}")
    if not isinstance(arguments, Mapping) or not all(isinstance(name, str) for name in arguments):
        raise TypeError(f"{who}: environment_arguments must map names to values, got {arguments!r}")
    try:
        return gymnasium.make(environment, **arguments)
    except (gymnasium.error.Error, ImportError, TypeError, ValueError) as error:
        reason, *_ = [*str(error).splitlines(), type(error).__name__]
        raise ValueError(
            f"{who}: environment must be the id of a Gymnasium environment, got {environment!r}: {reason}"
        ) from error


class _Door:
    """Turn what an environment answers into arrays of the caller's own, or refuse it.

    Args:
        who: the agent, for errors.
        environment: its id, for errors.
        space: of one observation.
    """

    def __init__(self, who: str, environment: str, space: gymnasium.Space):
        self._must, self._shape = f"{who}: environment {environment!r} must give", tuple(space.shape or ())

    def observations(self, answer: object, n: tuple[int, ...], live: np.ndarray | None, t: int) -> np.ndarray:
        """Return observations (*n, o) of the environments `live`, or of all, at step t: finite numbers."""
        o, wanted = _as_array(answer), (*n, *self._shape)
        if o.dtype.kind not in "fiu" or o.shape != wanted:
            raise ValueError(f"{self._must} observations of numbers {wanted}, got {_short(answer)} at step {t}")
        o = o if live is None else o[live]
        self._check_finite("observations", o, t)
        return o

    def rewards(self, answer: object, n: int, live: np.ndarray | None, t: int) -> np.ndarray:
        """Return a finite reward, float64, for each environment of `live`, or of all n."""
        r = self._one_each("rewards", "numbers", "fiub", answer, n, live, t).astype(np.float64)
        self._check_finite("rewards", r, t)
        return r

    def flags(self, name: str, answer: object, n: int, live: np.ndarray | None, t: int) -> np.ndarray:
        """Return a truth value for each environment of `live`, or of all n, given as such or as 0 and 1."""
        flags = self._one_each(f"{name} flags", "True or False", "biu", answer, n, live, t)
        if flags.dtype.kind != "b" and not ((flags == 0) | (flags == 1)).all():
            raise ValueError(f"{self._must} {name} flags that are True or False, got {_short(answer)} at step {t}")
        return flags.astype(bool)

    def _one_each(
        self, name: str, kind: str, kinds: str, answer: object, n: int, live: np.ndarray | None, t: int
    ) -> np.ndarray:
        given = _as_array(answer)
        if given.dtype.kind not in kinds or given.size != n:
            each = "" if n == 1 else f", {n} of them"
            raise ValueError(f"{self._must} {name} that are {kind}{each}, got {_short(answer)} at step {t}")
        given = given.reshape(n)
        return given if live is None else given[live]

    def _check_finite(self, name: str, values: np.ndarray, t: int) -> None:
        if not float(np.abs(values).max()) <= LARGEST:
            bad = values[~(np.abs(values) <= LARGEST)][0]
            raise ValueError(f"{self._must} {name} that are finite in single precision, got {bad} at step {t}")


class _Seeds:
    """Reset under 63-bit seeds, or, where an environment's generator has refused one, under their last 31 bits."""

    def __init__(self) -> None:
        self._modulus = 2**63

    def reset(self, environment: Environment | _VectorEnvironments, seeds: list[int]) -> tuple[object, object]:
        seeds = [int(seed) % self._modulus for seed in seeds]
        try:
            return environment.reset_raw(seeds)
        except (ValueError, OverflowError):  # numpy's RandomState takes 32 bits, generators in C often 31
            if max(seeds) < 2**31:
                raise
            self._modulus = 2**31
            environment.make_again()  # Gymnasium's own checks do not survive a reset that failed
            return environment.reset_raw([seed % self._modulus for seed in seeds])


class Environment:
    """Reset and step one environment, whose answers are checked.

    Attributes:
        env: the Gymnasium environment.
        taken: steps so far, those with an answer that was refused included.

    Raises:
        ValueError: on `reset` and `step`, an observation or reward is no finite number, or a flag no truth value.
    """

    def __init__(self, who: str, environment: str, arguments: Mapping[str, Any]):
        self._make = partial(make_environment, who, environment, arguments)
        self.env = self._make()
        self._seeds = _Seeds()
        self._door = _Door(who, environment, self.env.observation_space)
        self.taken = self._t = 0

    def reset(self, seed: int) -> np.ndarray:
        """Begin an episode; return its first observation, (o,)."""
        self._t = 0
        observation, _ = self._seeds.reset(self, [seed])
        return self._door.observations(observation, (), None, 0)

    def reset_raw(self, seeds: list[int]) -> tuple[object, object]:
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
        door, t = self._door, self._t
        o = door.observations(o, (), None, t)
        # what most environments give is no array, and is not made one
        if type(reward) is not float or not -LARGEST <= reward <= LARGEST:
            reward = door.rewards(reward, 1, None, t).item()
        if type(terminated) is not bool:
            terminated = door.flags("terminated", terminated, 1, None, t).item()
        if type(truncated) is not bool:
            truncated = door.flags("truncated", truncated, 1, None, t).item()
        return o, reward, terminated, truncated


class Environments(Protocol):
    """Step n environments in lockstep; those whose episode has ended are left alone until the next reset.

    Attributes:
        taken: steps so far, all environments together.
    """

    @property
    def taken(self) -> int: ...

    def reset(self, seeds: Sequence[int]) -> np.ndarray: ...

    def step(self, actions: np.ndarray, live: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Take actions (m, …) in environments `live` (m,); return observations, rewards, terminated and truncated."""
        ...


class _VectorEnvironments:
    """A vector environment of the environment's own, all of them in one call."""

    def __init__(self, who: str, environment: str, n: int, arguments: Mapping[str, Any]):
        self._make = partial(
            gymnasium.make_vec,
            environment,
            num_envs=n,
            vectorization_mode="vector_entry_point",
            autoreset_mode=AutoresetMode.DISABLED,
            **arguments,
        )
        self.vector = self._make()
        self._seeds = _Seeds()
        space = self.vector.action_space
        self.actions = np.zeros(space.shape or (n,), space.dtype)
        self._door = _Door(who, environment, self.vector.single_observation_space)
        self.taken = self._t = 0

    def reset(self, seeds: Sequence[int]) -> np.ndarray:
        self._t = 0
        observations, _ = self._seeds.reset(self, list(seeds))
        return self._door.observations(observations, (len(self.actions),), None, 0)

    def reset_raw(self, seeds: list[int]) -> tuple[object, object]:
        return self.vector.reset(seed=seeds)  # pyright: ignore[reportArgumentType] - a list is promised too

    def make_again(self) -> None:
        self.vector.close()
        self.vector = self._make()

    def step(self, actions: np.ndarray, live: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        self._t += 1
        self.taken += len(live)
        n, t, door = len(self.actions), self._t, self._door
        some = None if len(live) == n else live
        if some is None:
            answer = self.vector.step(np.array(actions))  # a copy: the environment may keep or change it
        else:
            self.actions[live] = actions
            answer = self.vector.step(self.actions.copy())
        observations, rewards, terminated, truncated, _ = answer
        return (
            door.observations(observations, (n,), some, t),
            door.rewards(rewards, n, some, t),
            door.flags("terminated", terminated, n, some, t),
            door.flags("truncated", truncated, n, some, t),
        )


class _SingleEnvironments:
    """Single environments in a list, for ids without a vector form that takes one seed for each."""

    def __init__(self, who: str, environment: str, n: int, arguments: Mapping[str, Any]):
        self.single = [Environment(who, environment, arguments) for _ in range(n)]

    @property
    def taken(self) -> int:
        return sum(env.taken for env in self.single)

    def reset(self, seeds: Sequence[int]) -> np.ndarray:
        return np.stack([env.reset(int(seed)) for env, seed in zip(self.single, seeds, strict=True)])

    def step(self, actions: np.ndarray, live: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        taken = [self.single[i].step(action) for i, action in zip(live, actions, strict=True)]
        observations, rewards, terminated, truncated = (np.array(column) for column in zip(*taken, strict=True))
        return observations, rewards, terminated, truncated


def make_environments(who: str, environment: str, n: int, arguments: Mapping[str, Any]) -> Environments:
    """Make n environments of one id: its own vector form if that leaves ended episodes alone, else n single ones."""
    one = make_environment(who, environment, arguments)  # an unknown id or argument is named here
    entry = one.spec.vector_entry_point if one.spec is not None else None
    one.close()
    if entry is not None:
        creator = load_env_creator(entry) if isinstance(entry, str) else entry
        if "autoreset_mode" in inspect.signature(creator).parameters:
            return _VectorEnvironments(who, environment, n, arguments)
    return _SingleEnvironments(who, environment, n, arguments)


def _as_array(answer: object) -> np.ndarray:
    try:
        return np.asarray(answer)
    except (TypeError, ValueError, RuntimeError):  # a ragged list, a tensor with a gradient
        return np.array(None)


def _short(answer: object) -> str:
    shape = f" of shape {answer.shape}" if isinstance(answer, np.ndarray) and answer.size > 1 else ""
    return f"{answer!r:.60}{shape}"
