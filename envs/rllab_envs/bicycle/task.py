"""The balance task on the bicycle: scaled actions, rewards and ends, over batches."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from gymnasium import spaces

from ..arrays import namespace
from ..delay import Delayed
from ..task import State, Task
from .dynamics import balance_step
from .parameters import DEFAULT, Parameters, check_variant
from .render import Trail
from .single_precision import Constants32, constants32, single_precision_step

METADATA: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 100}
REWARDS = ("survival", "fall")


def torque_and_displacement(actions: np.ndarray, noise: np.ndarray, p: Parameters) -> np.ndarray:
    """Return torque in N·m and displacement with noise in m, (2, n), from actions (2, n), clipped to [−1, 1]."""
    xp = namespace(actions)
    if xp is np:
        scaled = np.empty(actions.shape, noise.dtype)  # in the precision of environments, whatever actions come in
        scaled[:] = actions  # side by side first: clip is slow at reading every second number
        np.clip(scaled, -1.0, 1.0, out=scaled)
        scaled[0] *= p.max_torque
        scaled[1] *= p.max_displacement
        scaled[1] += noise
        return scaled
    scaled = xp.clip(actions, -1.0, 1.0)
    return xp.stack((scaled[0] * p.max_torque, scaled[1] * p.max_displacement + noise))


class Rider(Task):
    """What a rider of this bicycle does, wherever the ride is to go; subclasses are frozen dataclasses."""

    noise: bool
    parameters: Parameters

    @property
    def metadata(self) -> dict[str, Any]:
        """Pictures, 100 a second."""
        return METADATA

    @property
    def action_space(self) -> spaces.Box:
        """Torque and displacement in units of their largest size."""
        return spaces.Box(-1.0, 1.0, (2,), np.float32)

    @property
    def noise_amplitude(self) -> float:
        """Half-width of the noise on the displacement, in m."""
        return self.parameters.noise if self.noise else 0.0

    def inputs(self, actions: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Return torque in N·m and displacement with noise in m, (2, n)."""
        return torque_and_displacement(actions, noise, self.parameters)


@dataclass(frozen=True)
class BicycleBalance(Rider):
    """What `BicycleBalanceEnv` and `BicycleBalanceVectorEnv` do; the arguments are explained at the former.

    Raises:
        ValueError: if an argument is unknown.
    """

    variant: str = "author"
    noise: bool = True
    cap: int | None = 1000
    reward: str = "survival"
    parameters: Parameters = DEFAULT
    single_precision: bool = False
    rates: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_variant("BicycleBalance", self.variant)
        if self.reward not in REWARDS:
            raise ValueError(f"BicycleBalance: reward must be 'survival' or 'fall', got {self.reward!r}")

    @property
    def size(self) -> int:
        """Four: ω, ω̇, θ, θ̇."""
        return 4

    def observation_space(self, dtype: np.dtype) -> spaces.Box:
        """Return the space: lean to twice the fall angle, handlebar to its stop, rates to float32's largest number."""
        most = float(np.finfo(np.float32).max)
        high = np.array([2.0 * self.parameters.fall_angle, most, self.parameters.stop(self.variant), most], dtype)
        high = high if self.rates else high[::2]
        return spaces.Box(-high, high, dtype=dtype)

    @property
    def state_dtype(self) -> np.dtype:
        """float64, or float32 in single precision."""
        return np.dtype(np.float32 if self.single_precision else np.float64)

    def step(self, state: State, inputs: np.ndarray) -> State:
        """Return (ω, ω̇, θ, θ̇) 0.01 s later."""
        if self.single_precision and namespace(inputs) is np:
            return single_precision_step(state, inputs[0], inputs[1], self._constants32)
        return balance_step(namespace(inputs), state, inputs[0], inputs[1], self.parameters, self.variant)

    def judge(self, before: State, inputs: np.ndarray, after: State) -> tuple[np.ndarray, np.ndarray]:
        """Return rewards and falls."""
        fallen = ~(np.abs(after[0]) <= self.parameters.fall_angle)  # a lean that is not a number is a fall
        return np.ones(fallen.shape) if self.reward == "survival" else 0.0 - fallen, fallen

    def observe(self, state: State) -> State:
        """Return the state, or its angles only."""
        return state if self.rates else state[::2]

    @cached_property
    def _constants32(self) -> Constants32:
        return constants32(self.parameters, self.variant)

    def picture(self) -> Trail:
        """Return the drawing of a ride from its start on."""
        return Trail(self.variant, self.parameters)


def balance_task(rates: bool, delay: int, *arguments: Any) -> Task:
    """Return the task with actions that act `delay` steps late; `arguments` are the others of `BicycleBalance`."""
    task = BicycleBalance(*arguments, rates=rates)
    return task if delay == 0 else Delayed(task, delay)
