"""The goal task on the bicycle: its bearing and distance, rewards and ends, over batches."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces

from ..arrays import namespace
from ..bicycle.dynamics import balance_step, contact_step
from ..bicycle.parameters import DEFAULT, Parameters
from ..bicycle.task import Rider
from ..task import State
from .render import Map

REWARDS = ("shaped", "sparse", "progress")
FALL = -1.0  # reward; the authors'
REACHED = 0.01  # reward; the authors'
SHAPING = 4e-5  # reward per rad², the authors'
PROGRESS = 0.1  # reward per rad, Ernst et al.
RADIUS = 10.0  # m, of the goal; authors' simulator


@dataclass(frozen=True)
class BicycleGoal(Rider):
    """What `BicycleGoalEnv` and `BicycleGoalVectorEnv` do; the arguments are explained at the former.

    Raises:
        ValueError: if the reward is unknown or the distance is not larger than the goal's radius and finite.
    """

    noise: bool = True
    cap: int | None = 100_000
    reward: str = "shaped"
    distance: float = 1000.0
    parameters: Parameters = DEFAULT

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.reward not in REWARDS:
            raise ValueError(f"BicycleGoal: reward must be one of {', '.join(map(repr, REWARDS))}, got {self.reward!r}")
        if not RADIUS < self.distance < math.inf:
            raise ValueError(f"BicycleGoal: distance must be finite and > {RADIUS:g} (m), got {self.distance!r}")

    @property
    def size(self) -> int:
        """Nine: ω, ω̇, θ, θ̇, x_f, y_f, x_b, y_b, ψ."""
        return 9

    def observation_space(self, dtype: np.dtype) -> spaces.Box:
        """Return the space: balance as in the balance task, the bearing to ±π, the distance from 0 on."""
        most = float(np.finfo(np.float32).max)
        p = self.parameters
        high = np.array([2.0 * p.fall_angle, most, p.stop_author, most, np.pi, most], np.float64).astype(dtype)
        high[4] = np.nextafter(high[4], dtype.type(4.0))  # a bearing of ±π, rounded, lies inside
        low = -high
        low[5] = 0.0
        return spaces.Box(low, high, dtype=dtype)

    def start(self, generators: Sequence[np.random.Generator]) -> np.ndarray:
        """Return bicycles at rest upright, the back contact at the origin, headings drawn from U(−π, π)."""
        state = np.zeros((self.size, len(generators)))
        state[8] = [g.uniform(-math.pi, math.pi) for g in generators]
        state[4] = -self.parameters.wheelbase * np.sin(state[8])
        state[5] = self.parameters.wheelbase * np.cos(state[8])
        return state

    def step(self, state: State, inputs: np.ndarray) -> State:
        """Return the nine variables 0.01 s later."""
        xp, p = namespace(inputs), self.parameters
        balance = balance_step(xp, state[:4], inputs[0], inputs[1], p, "author")
        return *balance, *contact_step(xp, state[2], balance[2], state[4:], p)

    def judge(self, before: State, inputs: np.ndarray, after: State) -> tuple[np.ndarray, np.ndarray]:
        """Return rewards, and falls or arrivals."""
        fallen = ~(np.abs(after[0]) <= self.parameters.fall_angle)  # a lean that is not a number is a fall
        alpha, far = self.bearing(after)
        reached = far <= RADIUS
        if self.reward == "shaped":
            rewards = SHAPING * (4.0 - alpha * alpha)
        elif self.reward == "progress":
            rewards = PROGRESS * (np.abs(self.bearing(before)[0]) - np.abs(alpha))
        else:
            rewards = np.zeros(far.shape)
        rewards = np.where(fallen, FALL, np.where(reached, REACHED, rewards))
        return rewards, fallen | reached

    def observe(self, state: State) -> State:
        """Return ω, ω̇, θ, θ̇, α and d."""
        return *state[:4], *self.bearing(state)

    def bearing(self, state: State) -> tuple[Any, Any]:
        """Return α, the angle from the frame to the goal in rad, (n,), > 0 to the left, and d, its distance in m, (n,).

        α = atan2(f × g, f · g),   d = |g|,   f = front − back contact,   g = goal − front contact
        """
        xp = namespace(state[4])
        x_f, y_f, x_b, y_b = state[4:8]
        f_x, f_y, g_x, g_y = x_f - x_b, y_f - y_b, self.distance - x_f, -y_f
        return xp.arctan2(f_x * g_y - f_y * g_x, f_x * g_x + f_y * g_y), xp.sqrt(g_x * g_x + g_y * g_y)

    def picture(self) -> Map:
        """Return the drawing of a ride from its start on."""
        return Map(self.distance, RADIUS, self.parameters, lambda state: self.bearing(tuple(state)))
