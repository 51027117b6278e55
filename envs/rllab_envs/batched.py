"""Many environments of one task at once: one numpy call a step for all of them, and Gymnasium's vector form."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from .noise import UniformNoise
from .task import Picture, State, Task

if TYPE_CHECKING:
    from .arrays import Array

NONE = np.arange(0)  # indices of no environment


class TaskBatch:
    """States, step counts, noise and pictures of n environments of a task: what its single and vector form share.

    Args:
        who: names the environment in errors.
        task: what the environments do.
        num_envs: n.
        dtype: of observations: float32 or float64.
        render_mode: None, or one of the task's.

    Raises:
        ValueError: if dtype or render mode is another.
    """

    def __init__(self, who: str, task: Task, num_envs: int, dtype: Any, render_mode: str | None) -> None:
        self.who, self.task, self.num_envs, self.dtype = who, task, num_envs, np.dtype(dtype)
        if self.dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
            raise ValueError(f"{who}: dtype must be float32 or float64, got {self.dtype}")
        modes = (None, *task.metadata["render_modes"])
        if render_mode not in modes:
            raise ValueError(f"{who}: render_mode must be {' or '.join(map(repr, modes))}, got {render_mode!r}")
        self.started = False
        self.steps = np.zeros(num_envs, np.int64)
        self.noise = UniformNoise(num_envs, task.noise_amplitude, task.state_dtype)
        self._state: State = tuple(np.zeros((task.size, num_envs), task.state_dtype))
        self._action_shape = (num_envs, *(task.action_space.shape or ()))
        self._pictures: list[Picture] | None = None
        if render_mode is not None:
            self._pictures = [task.picture() for _ in range(num_envs)]

    def state(self) -> np.ndarray:
        """Return a copy of the states, float64 (n, size)."""
        check_started(self.who, self.started, "asking for the state")
        return np.stack(self._state, 1, dtype=np.float64)

    def observe(self) -> np.ndarray:
        """Return the observations, (n, k): a new array, so that nothing done to it reaches the state."""
        columns = self.task.observe(self._state)
        table = np.empty((len(columns), self.num_envs), self.dtype)
        for k, column in enumerate(columns):
            table[k] = column
        return table.T

    def given_start(self, options: dict[str, Any] | None) -> np.ndarray | None:
        """Return `options["state"]` as (size, n); None if there is none: see `given_start`."""
        return given_start(self.who, self.task.size, self.num_envs, options)

    def seed(self, which: np.ndarray, seeds: Sequence[int | None]) -> None:
        """Give the environments of an index array their streams; None keeps the one an environment has, if any."""
        for i, seed in zip(which, seeds, strict=True):
            self.noise.seed(i, seed)

    def pause(self, which: np.ndarray) -> None:
        """Let the environments of an index array draw nothing until `start`."""
        self.noise.pause(which)

    def start(self, which: np.ndarray, given: np.ndarray | None = None) -> None:
        """Start an episode in the environments of an index array, at given states (size, n) or where the task does."""
        if not which.size:
            return
        columns = self.task.start(self.noise.streams(which)) if given is None else given[:, which]
        for variable, value in zip(self._state, columns, strict=True):
            variable[which] = value
        self.steps[which] = 0
        self.noise.begin(which)
        if self._pictures is not None:
            for i in which:
                self._pictures[i] = self.task.picture()
        self.started = True

    def advance(self, actions: np.ndarray, frozen: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Take one step; return rewards, terminated and truncated, each (n,).

        Args:
            actions: (n, ...).
            frozen: indices of environments that take no step: their state and step count stay, and what is returned
                for them means nothing.

        Raises:
            ValueError: if actions have another shape or hold a NaN.
        """
        check_started(self.who, self.started, "step()")
        actions = np.asarray(actions)
        if actions.shape != self._action_shape:
            raise ValueError(f"{self.who}: actions must be {self._action_shape}, got {actions.shape}")
        if np.isnan(actions.min()):
            bad = np.argwhere(np.isnan(actions))[0, 0]
            raise ValueError(f"{self.who}: actions must be numbers, got NaN in environment {bad}")
        before = self._state
        inputs = self.task.inputs(actions.T, self.noise.take())
        self._state = after = self.task.step(before, inputs)
        self.steps += 1
        rewards, terminated = self.task.judge(before, inputs, after)
        cap = self.task.cap
        truncated = ~terminated & (self.steps >= cap) if cap is not None else np.zeros_like(terminated)
        if self._pictures is not None:
            self._follow(self._pictures, before, inputs, frozen)
        if frozen.size:
            for variable, old in zip(after, before, strict=True):
                variable[frozen] = old[frozen]
            self.steps[frozen] -= 1
        return rewards, terminated, truncated

    def draw(self) -> tuple[np.ndarray, ...] | None:
        """Return one picture per environment; None, with a warning, if no render mode was chosen."""
        if self._pictures is None:
            gymnasium.logger.warn('render() without a render mode: make the environment with render_mode="rgb_array"')
            return None
        check_started(self.who, self.started, "render()")
        return tuple(picture.draw(state) for picture, state in zip(self._pictures, self.state(), strict=True))

    def _follow(self, pictures: Sequence[Picture], before: State, inputs: np.ndarray, frozen: np.ndarray) -> None:
        old, new = np.stack(before, 1), np.stack(self._state, 1)
        for i in np.setdiff1d(np.arange(self.num_envs), frozen):
            pictures[i].follow(old[i], inputs[:, i], new[i])


def given_start(who: str, size: int, n: int, options: dict[str, Any] | None) -> np.ndarray | None:
    """Return `options["state"]`, (size,) or (n, size), as (size, n); None if there is none.

    Raises:
        ValueError: if it has another shape or a number that is not finite.
    """
    if options is None or "state" not in options:
        return None
    state = np.asarray(options["state"], np.float64)
    shapes = (size,), (n, size)
    if state.shape not in shapes or not np.isfinite(state).all():
        need = f"finite numbers of shape {shapes[0]} or {shapes[1]}"
        raise ValueError(f"{who}: options['state'] must be {need}, got {state!r}")
    return np.broadcast_to(state, shapes[1]).T


def check_started(who: str, started: bool, what: str) -> None:
    """Raise a RuntimeError if no episode was ever started."""
    if not started:
        raise RuntimeError(f"{who}: call reset() before {what}")


class Batch(Protocol):
    """What `TaskVectorEnv` asks of n environments: `TaskBatch`, or one that steps them in another way."""

    who: str
    dtype: np.dtype
    started: bool
    steps: np.ndarray

    def state(self) -> np.ndarray: ...

    def observe(self) -> np.ndarray: ...

    def given_start(self, options: dict[str, Any] | None) -> np.ndarray | None: ...

    def seed(self, which: np.ndarray, seeds: Sequence[int | None]) -> None: ...

    def start(self, which: np.ndarray, given: np.ndarray | None = None) -> None: ...

    def pause(self, which: np.ndarray) -> None: ...

    def advance(self, actions: np.ndarray, frozen: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]: ...

    def draw(self) -> tuple[np.ndarray, ...] | None: ...


class TaskVectorEnv(VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """n environments of a task; each is the single environment bit for bit.

    Seeded alike and given the same actions, environment i returns the same numbers as the single form, through any
    number of episodes. Observations are (n, k), actions (n, ...), rewards float64 (n,), flags bool (n,): new arrays,
    the caller's to keep. `dtype=np.float64` gives observations without rounding.

    Seeds: `reset(seed=s)` gives environment i the seed s + i, `reset(seed=[...])` one each; with None an environment
    goes on in its stream. Environments with equal seeds meet equal noise, step by step, in the episode that this reset
    starts.

    Ends of episodes, `autoreset_mode`:
        NEXT_STEP (default): the next `step` ignores a finished environment's action, starts its next episode, returns
            reward 0.
        SAME_STEP: the observation is that of the next episode already; the last one is in `info["final_obs"]`, marked
            by `info["_final_obs"]`.
        DISABLED: a finished environment is frozen: state and flags stay, reward 0, no noise drawn, its action ignored.
    An action that is NaN is refused in every environment. In every mode `reset(options={"reset_mask": mask})`, mask
    bool (n,), starts the marked environments and leaves the others as they are; `options={"state": ...}`, (size,) or
    (n, size), gives the start. Automatic resets start where the task does.

    Args:
        task: what the environments do.
        num_envs: n.
        dtype: of observations: float32 or float64.
        render_mode: None, or one of the task's.
        autoreset_mode: an `AutoresetMode`, or its name or value as a string ("DISABLED", "Disabled").
        batch: makes what steps the environments, from the arguments of `TaskBatch`.

    Raises:
        ValueError: if an argument is none of these.
    """

    def __init__(
        self,
        task: Task,
        num_envs: int,
        dtype: Any,
        render_mode: str | None,
        autoreset_mode: AutoresetMode | str,
        batch: Callable[[str, Any, int, Any, str | None], Batch] = TaskBatch,
    ) -> None:
        who = type(self).__name__
        if isinstance(num_envs, bool) or not isinstance(num_envs, int | np.integer) or num_envs < 1:
            raise ValueError(f"{who}: num_envs must be an integer >= 1, got {num_envs!r}")
        modes = {name: mode for mode in AutoresetMode for name in (mode, mode.value, mode.name)}
        if autoreset_mode not in modes:
            need = "one of " + ", ".join(mode.name for mode in AutoresetMode)
            raise ValueError(f"{who}: autoreset_mode must be {need}, got {autoreset_mode!r}")
        self.task, self.num_envs, self.render_mode = task, int(num_envs), render_mode
        self.autoreset_mode = modes[autoreset_mode]
        self.metadata = task.metadata | {"autoreset_mode": self.autoreset_mode}
        self._batch = batch(who, task, self.num_envs, dtype, render_mode)
        self.single_observation_space = task.observation_space(self._batch.dtype)
        self.single_action_space = task.action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._idle = NONE  # indices of finished environments that nothing has restarted
        self._idle_terminated = np.zeros(0, np.bool_)  # how each of them ended; the others were truncated

    @property
    def state(self) -> np.ndarray:
        """A copy of the states, float64 (n, size)."""
        return self._batch.state()

    @property
    def steps(self) -> np.ndarray:
        """A copy of the steps every environment has taken in its episode, int64 (n,)."""
        return self._batch.steps.copy()

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start an episode in every environment, or in those of `options["reset_mask"]`.

        Raises:
            ValueError: if the number of seeds, the mask or the start state is wrong.
            RuntimeError: if a mask leaves out environments that were never started.
        """
        which = self._masked(options)
        seeds = self._seeds(seed)
        given = self._batch.given_start(options)
        self._batch.seed(which, [seeds[i] for i in which])
        self._batch.start(which, given)
        if self._idle.size:
            left = ~np.isin(self._idle, which)
            self._idle, self._idle_terminated = self._idle[left], self._idle_terminated[left]
        return self._batch.observe(), {}

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Take one step in every environment that is not finished.

        Raises:
            ValueError: if actions have not the shape of the action space, or hold a NaN.
            RuntimeError: if reset() was never called.
        """
        batch, idle = self._batch, self._idle
        rewards, terminated, truncated = batch.advance(actions, idle)
        if idle.size and self.autoreset_mode is AutoresetMode.DISABLED:
            rewards[idle], terminated[idle], truncated[idle] = 0.0, self._idle_terminated, ~self._idle_terminated
        elif idle.size:
            batch.start(idle)
            rewards[idle], terminated[idle], truncated[idle] = 0.0, False, False
        info = self._end(terminated, truncated)
        return batch.observe(), rewards, terminated, truncated, info

    def dynamics(self, state: Array, action: Array, noise: Array | None = None) -> Array:
        """Return the state one step later without taking the step: `Task.dynamics`, numpy or torch."""
        return self.task.dynamics(state, action, noise)

    def render(self) -> tuple[np.ndarray, ...] | None:
        """Return one picture per environment; None if no render mode was chosen."""
        return self._batch.draw()

    def _masked(self, options: dict[str, Any] | None) -> np.ndarray:
        # the environments that reset() starts
        who, n = self._batch.who, self.num_envs
        if options is None or "reset_mask" not in options:
            return np.arange(n)
        mask = np.asarray(options["reset_mask"])
        if mask.shape != (n,) or mask.dtype != np.bool_:
            need, got = f"bool of shape ({n},)", f"{mask.dtype} of shape {mask.shape}"
            raise ValueError(f"{who}: reset_mask must be {need}, got {got}")
        if not self._batch.started and not mask.all():
            raise RuntimeError(f"{who}: the first reset() must start every environment, got a reset_mask")
        return np.flatnonzero(mask)

    def _seeds(self, seed: int | Sequence[int | None] | None) -> Sequence[int | None]:
        if seed is None:
            return [None] * self.num_envs
        if isinstance(seed, int | np.integer):
            return [int(seed) + i for i in range(self.num_envs)]
        if len(seed) != self.num_envs:
            raise ValueError(f"{self._batch.who}: seed must give {self.num_envs} seeds, got {len(seed)}")
        return [None if one is None else operator.index(one) for one in seed]

    def _end(self, terminated: np.ndarray, truncated: np.ndarray) -> dict[str, Any]:
        # book the environments that are finished now; SAME_STEP starts them again
        over = terminated | truncated
        which = np.flatnonzero(over)
        if not which.size:
            self._idle = NONE
            return {}
        if self.autoreset_mode is not AutoresetMode.SAME_STEP:
            self._idle, self._idle_terminated = which, terminated[which]
            self._batch.pause(which)
            return {}
        last, final = self._batch.observe(), np.full(self.num_envs, None, object)
        for i in which:
            final[i] = last[i].copy()
        self._batch.start(which)
        return {"final_obs": final, "_final_obs": over, "final_info": {}, "_final_info": over.copy()}
