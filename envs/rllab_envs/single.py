"""Gymnasium's form of a task with one environment: a batch of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np

from .batched import NONE, TaskBatch
from .task import Task

if TYPE_CHECKING:
    from .arrays import Array

_FIRST = np.arange(1)


class TaskEnv(gymnasium.Env[np.ndarray, np.ndarray]):
    """One environment of a task. Environment i of `TaskVectorEnv`, seeded alike, gives the same numbers bit for bit.

    `reset(seed=s)` seeds the noise and the start; `reset()` goes on in the same stream, with a fresh block of
    `noise.BLOCK` numbers. `reset(options={"state": ...})`, (size,), starts elsewhere.

    Args:
        task: what the environment does.
        dtype: of observations: float32 or float64.
        render_mode: None, or one of the task's.

    Raises:
        ValueError: if dtype or render mode is another.
    """

    def __init__(self, task: Task, dtype: Any, render_mode: str | None) -> None:
        self.task, self.render_mode = task, render_mode
        self._batch = TaskBatch(type(self).__name__, task, 1, dtype, render_mode)
        self.observation_space = task.observation_space(self._batch.dtype)
        self.action_space = task.action_space
        self._over = True

    @property
    def state(self) -> np.ndarray:
        """A copy of the state, float64 (size,)."""
        return self._batch.state()[0]

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start an episode; see the class for `options`."""
        given = self._batch.given_start(options)
        super().reset(seed=seed)
        self._batch.noise.generators[0] = self.np_random
        self._batch.start(_FIRST, given)
        self._over = False
        return self._batch.observe()[0], {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Take one step.

        Raises:
            ValueError: if the action has not the shape of the action space, or holds a NaN.
            RuntimeError: if no episode is under way.
        """
        if self._over:
            raise RuntimeError(f"{self._batch.who}: no episode is under way, call reset() before step()")
        rewards, terminated, truncated = self._batch.advance(np.asarray(action)[None], NONE)
        self._over = bool(terminated[0] or truncated[0])
        return self._batch.observe()[0], rewards.item(), terminated.item(), truncated.item(), {}

    def dynamics(self, state: Array, action: Array, noise: Array | None = None) -> Array:
        """Return the state one step later without taking the step: `Task.dynamics`, numpy or torch."""
        return self.task.dynamics(state, action, noise)

    def render(self) -> np.ndarray | None:
        """Return the picture of the state reached; None if no render mode was chosen."""
        pictures = self._batch.draw()
        return None if pictures is None else pictures[0]
