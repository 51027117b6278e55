"""Delayed: any task with actions that act some steps late."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from gymnasium import spaces

from .arrays import namespace
from .task import Picture, State, Task


@dataclass(frozen=True)
class Delayed(Task):
    """A task whose actions act `delay` steps late.

        s_{t+1} = f(s_t, a_{t−k}, w_t),   a_{−k} = … = a_{−1} = 0

    The pending actions, the oldest first, are the last variables of the state, (size + k m,), so that the motion stays
    a function of state, action and noise. They are not observed. Noise is that of the step on which it acts.

    Args:
        task: one whose actions are a Box of shape (m,).
        delay: k >= 1.

    Raises:
        ValueError: if `delay` is no integer >= 1.
    """

    task: Task
    delay: int
    cap: int | None = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "cap", self.task.cap)
        if isinstance(self.delay, bool) or not isinstance(self.delay, int | np.integer) or self.delay < 1:
            raise ValueError(f"{type(self.task).__name__}: delay must be an integer >= 0 (steps), got {self.delay!r}")

    @property
    def size(self) -> int:
        """Number of variables of the state, pending actions included."""
        return self.task.size + self.delay * self._width

    @property
    def metadata(self) -> dict[str, Any]:
        """As of the task."""
        return self.task.metadata

    @property
    def action_space(self) -> spaces.Space:
        """As of the task."""
        return self.task.action_space

    def observation_space(self, dtype: np.dtype) -> spaces.Box:
        """Return the task's."""
        return self.task.observation_space(dtype)

    @property
    def noise_amplitude(self) -> float:
        """As of the task."""
        return self.task.noise_amplitude

    def start(self, generators: Sequence[np.random.Generator]) -> np.ndarray:
        """Return the task's start states, followed by pending actions of 0."""
        pending = np.zeros((self.delay * self._width, len(generators)))
        return np.concatenate((self.task.start(generators), pending))

    def inputs(self, actions: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Return the action that is to be pending and the noise of this step, (m + 1, n)."""
        xp = namespace(actions)
        return xp.concatenate((actions, noise[None]))

    def step(self, state: State, inputs: np.ndarray) -> State:
        """Return the state after the oldest pending action has acted; the new one is the last in the queue."""
        size, queue = self.task.size, (*state[self.task.size :], *inputs[:-1])
        return (*self.task.step(state[:size], self._acting(state, inputs)), *queue[self._width :])

    def judge(self, before: State, inputs: np.ndarray, after: State) -> tuple[np.ndarray, np.ndarray]:
        """Return the task's rewards and ends of what has acted."""
        size = self.task.size
        return self.task.judge(before[:size], self._acting(before, inputs), after[:size])

    def observe(self, state: State) -> Sequence[np.ndarray]:
        """Return what the task observes."""
        return self.task.observe(state[: self.task.size])

    def picture(self) -> "DelayedPicture":
        """Return the task's drawing, which shows what has acted."""
        return DelayedPicture(self, self.task.picture())

    @property
    def _width(self) -> int:
        return int(np.prod(self.action_space.shape or ()))

    def _acting(self, state: State, inputs: np.ndarray) -> np.ndarray:
        size, xp = self.task.size, namespace(inputs)
        return self.task.inputs(xp.stack(state[size : size + self._width]), inputs[-1])


class DelayedPicture:
    """Draws a delayed task as the task itself is drawn."""

    def __init__(self, delayed: Delayed, inner: Picture) -> None:
        self.delayed, self.inner = delayed, inner

    def follow(self, before: np.ndarray, inputs: np.ndarray, after: np.ndarray) -> None:
        """Go one step on, with the action that acted."""
        size, acting = self.delayed.task.size, self.delayed._acting(tuple(before[:, None]), inputs[:, None])
        self.inner.follow(before[:size], acting[:, 0], after[:size])

    def draw(self, state: np.ndarray) -> np.ndarray:
        """Return the task's picture."""
        return self.inner.draw(state[: self.delayed.task.size])
