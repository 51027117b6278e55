"""Task: what an environment writes itself; `single` and `batched` make Gymnasium's two forms of it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

import numpy as np
from gymnasium import spaces

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
    of the arguments alone; then both forms give the same bits. Results must be new arrays.

    Attributes:
        size: number of state variables.
        metadata: as Gymnasium's `Env.metadata`: "render_modes" and "render_fps".
        cap: steps after which an episode is truncated; None: never.

    Raises:
        ValueError: if `cap` is neither None nor an integer >= 1.
    """

    size: ClassVar[int]
    metadata: ClassVar[dict[str, Any]] = {"render_modes": []}
    cap: int | None

    def __post_init__(self) -> None:
        cap = self.cap
        if cap is not None and (isinstance(cap, bool) or not isinstance(cap, int | np.integer) or cap < 1):
            raise ValueError(f"{type(self).__name__}: cap must be None or an integer >= 1 (steps), got {cap!r}")

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

    def picture(self) -> Picture:
        """Return what draws an episode from its start on; asked for only with a render mode of `metadata`."""
        raise NotImplementedError(f"{type(self).__name__}: metadata names render modes, picture() must draw them")
