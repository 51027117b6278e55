"""The balance task on the Whipple bicycle: torques, rewards and ends, over batches."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces

from ..arrays import namespace
from ..task import State, Task
from .dynamics import transition
from .parameters import BENCHMARK, Parameters
from .render import Track

METADATA: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 100}
REWARDS = ("survival", "quadratic")
SPEED = 10.0 / 3.6  # m/s, that of the bicycle of Randløv & Alstrøm


@dataclass(frozen=True)
class WhippleBicycle(Task):
    """What `WhippleBicycleEnv` and `WhippleBicycleVectorEnv` do; the arguments are explained at the former.

    Raises:
        ValueError: if the reward is unknown or the speed is not finite and >= 0.
    """

    speed: float = SPEED
    noise: bool = True
    cap: int | None = 1000
    reward: str = "survival"
    parameters: Parameters = BENCHMARK

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.reward not in REWARDS:
            raise ValueError(f"WhippleBicycle: reward must be 'survival' or 'quadratic', got {self.reward!r}")
        transition(self.speed, self.parameters)  # which checks the speed

    @property
    def size(self) -> int:
        """Four: φ, φ̇, δ, δ̇."""
        return 4

    @property
    def metadata(self) -> dict[str, Any]:
        """Pictures, 100 a second."""
        return METADATA

    @property
    def action_space(self) -> spaces.Box:
        """Steer torque in units of its largest size."""
        return spaces.Box(-1.0, 1.0, (1,), np.float32)

    def observation_space(self, dtype: np.dtype) -> spaces.Box:
        """Return the space: angles to twice those of a fall, rates to float32's largest number."""
        most, p = float(np.finfo(np.float32).max), self.parameters
        high = np.array([2.0 * p.fall_angle, most, 2.0 * p.stop, most], dtype)
        return spaces.Box(-high, high, dtype=dtype)

    @property
    def noise_amplitude(self) -> float:
        """Half-width of the roll torque, in N·m."""
        return self.parameters.noise if self.noise else 0.0

    def inputs(self, actions: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Return roll and steer torque in N·m, (2, n)."""
        xp = namespace(actions)
        actions = actions.astype(noise.dtype) if xp is np else actions
        return xp.stack((noise, xp.clip(actions[0], -1.0, 1.0) * self.parameters.max_torque))

    def step(self, state: State, inputs: np.ndarray) -> State:
        """Return (φ, φ̇, δ, δ̇) 0.01 s later."""
        a, b = transition(self.speed, self.parameters)
        driven = (*state, *inputs)
        after = []
        for row in np.concatenate((a, b), 1).tolist():
            # x_{t+1} = A_d x_t + B_d f_t, a sum for each variable: a matrix product's bits would vary with n
            total = driven[0] * row[0]
            for value, entry in zip(driven[1:], row[1:], strict=True):
                total = total + value * entry
            after.append(total)
        return tuple(after)

    def judge(self, before: State, inputs: np.ndarray, after: State) -> tuple[np.ndarray, np.ndarray]:
        """Return rewards and falls."""
        p = self.parameters
        # an angle that is not a number is a fall
        fallen = ~((np.abs(after[0]) <= p.fall_angle) & (np.abs(after[2]) <= p.stop))
        rewards = np.ones(fallen.shape)
        if self.reward == "quadratic":
            rewards -= np.square(before[0] / p.fall_angle) + p.effort * np.square(inputs[1] / p.max_torque)
        return rewards, fallen

    def picture(self) -> Track:
        """Return the drawing of a ride from its start on."""
        return Track(self.speed, self.parameters)
