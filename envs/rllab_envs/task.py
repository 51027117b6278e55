"""Task: what an environment writes itself; `single` and `batched` make Gymnasium's two forms of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from gymnasium import spaces

from .arrays import columns_of, in_one_kind

if TYPE_CHECKING:
    from .arrays import Array

State = tuple[np.ndarray, ...]  # one array (n,) for each variable: contiguous, so that numpy's bits do not vary with n


class Picture(Protocol):
    """Draws the episode that one environment is in."""

    def follow(self, before: np.ndarray, inputs: np.ndarray, after: np.ndarray) -> None:
        """Go one step on: the states (size,) before and after it, and what `Task.inputs` made of action and noise."""
        ...

    def draw(self, state: np.ndarray) -> np.ndarray:
        """Return the picture of the state reached, (size,), as (height, width, 3) uint8."""
        ...


class Task(ABC):
    """Pure functions of state, action and noise for a batch of n environments; subclasses are frozen dataclasses.

        state_{t+1} = step(state_t, inputs(action_t, noise_t)),    noise_t ~ U(−a, a) per environment

    What is drawn is drawn elsewhere: `single.TaskEnv` and `batched.TaskVectorEnv` keep states, streams and counts, and
    call these functions with arrays of 1 and of `num_envs` numbers. An element of a result may depend on that element
    of the arguments alone; then both forms give the same bits. Results must be new arrays. `inputs` and `step` also
    take torch tensors: `dynamics` is the two in a row, for whoever wants the motion without an environment.

    Attributes:
        cap: steps after which an episode is truncated; None: never.

    Raises:
        ValueError: if `cap` is neither None nor an integer >= 1.
    """

    cap: int | None

    def __post_init__(self) -> None:
        cap = self.cap
        if cap is not None and (isinstance(cap, bool) or not isinstance(cap, int | np.integer) or cap < 1):
            raise ValueError(f"{type(self).__name__}: cap must be None or an integer >= 1 (steps), got {cap!r}")

    @property
    @abstractmethod
    def size(self) -> int:
        """Number of state variables."""

    @property
    def metadata(self) -> dict[str, Any]:
        """Gymnasium's `Env.metadata`: "render_modes" and "render_fps"; no pictures by default."""
        return {"render_modes": []}

    @property
    @abstractmethod
    def action_space(self) -> spaces.Space:
        """The actions of one environment: numbers of one shape."""

    @abstractmethod
    def observation_space(self, dtype: np.dtype) -> spaces.Box:
        """Return the observations of one environment, (k,)."""

    @property
    def noise_amplitude(self) -> float:
        """a of the noise; 0 by default: nothing is drawn."""
        return 0.0

    @property
    def state_dtype(self) -> np.dtype:
        """Of the state and noise that environments keep; float64 by default."""
        return np.dtype(np.float64)

    def start(self, generators: Sequence[np.random.Generator]) -> np.ndarray:
        """Return start states, float64 (size, n), one for each random stream; zeros by default, nothing drawn."""
        return np.zeros((self.size, len(generators)))

    @abstractmethod
    def inputs(self, actions: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Return what drives `step`, (m, n), from actions (..., n), the batch last, and noise (n,)."""

    @abstractmethod
    def step(self, state: State, inputs: np.ndarray) -> State:
        """Return the state one step later."""

    @abstractmethod
    def judge(self, before: State, inputs: np.ndarray, after: State) -> tuple[np.ndarray, np.ndarray]:
        """Return the rewards, float64 (n,), and whether each episode has terminated, bool (n,), of a step taken."""

    def observe(self, state: State) -> Sequence[np.ndarray]:
        """Return the k observed numbers, each (n,); the state itself by default."""
        return state

    def dynamics(self, state: Array, action: Array, noise: Array | None = None) -> Array:
        """Return the state one step later: pure, for numpy arrays, and for torch tensors differentiably.

        Args:
            state: (n, size), or (size,) of one environment.
            action: (n, ...), or of one environment, as the action space has it.
            noise: (n,), or one number, in the unit of `noise_amplitude`; None is 0.

        Returns:
            A new array like `state`; of float64 numbers it is bit for bit what `step` of an environment makes of them.
            Nothing is said of falls and goals, which stop no motion.

        Raises:
            ValueError: if a shape is wrong.
            TypeError: if `state` is a numpy array while `action` or `noise` is a tensor.

        Example:
            import gymnasium, numpy as np

            env = gymnasium.make("rllab_envs:rllab/BicycleBalance-v0").unwrapped
            after = env.dynamics(np.zeros((5, 4)), np.ones((5, 2)), np.zeros(5))  # (5, 4)
        """
        who = f"{type(self).__name__}.dynamics"
        xp, state, action, noise = in_one_kind(who, state, action, noise)
        batch, one = tuple(state.shape[:-1]), self.action_space.shape or ()
        if len(batch) > 1 or state.shape[-1:] != (self.size,):
            raise ValueError(f"{who}: state must be (n, {self.size}) or ({self.size},), got {tuple(state.shape)}")
        if tuple(action.shape) != batch + one:
            raise ValueError(f"{who}: action must be {batch + one}, got {tuple(action.shape)}")
        if noise is not None and tuple(noise.shape) != batch:
            raise ValueError(f"{who}: noise must be {batch}, got {tuple(noise.shape)}")
        rows = state.reshape(-1, self.size)
        actions = xp.moveaxis(action.reshape(len(rows), *one), 0, -1)
        drawn: Any = xp.zeros_like(rows[:, 0]) if noise is None else noise.reshape(-1)
        inputs = self.inputs(actions, drawn)
        return xp.stack(self.step(columns_of(rows), inputs), 1).reshape(state.shape)

    def picture(self) -> Picture:
        """Return what draws an episode from its start on; asked for only with a render mode of `metadata`."""
        raise NotImplementedError(f"{type(self).__name__}: metadata names render modes, picture() must draw them")
