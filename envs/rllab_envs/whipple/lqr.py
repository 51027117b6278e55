"""The best rider of the Whipple bicycle, exactly: the linear-quadratic regulator of its task near upright."""

from dataclasses import dataclass

import numpy as np

from .dynamics import transition
from .parameters import BENCHMARK, Parameters


@dataclass(frozen=True)
class Optimum:
    """The linear rider of least quadratic cost, and that cost.

    Attributes:
        gain: K, (4,): the action is −K x, in units of the largest steer torque.
        value: P, (4, 4): without noise the cost of all steps from x on is x' P x.
        noise_cost: tr(P W): what the noise adds to every step; for gamma = 1 the mean cost of a step of a long ride.
        gamma: the discount.
    """

    gain: np.ndarray
    value: np.ndarray
    noise_cost: float
    gamma: float

    def cost(self, state: np.ndarray) -> np.ndarray:
        """Return the expected discounted cost of all steps from states (…, 4) on, (…); for gamma < 1.

        Raises:
            ValueError: if gamma is 1: with noise the cost of endless riding is infinite.
        """
        if self.gamma == 1.0:
            raise ValueError("Optimum.cost: gamma must be < 1, got 1; see `value` and `noise_cost`")
        later = self.gamma / (1.0 - self.gamma) * self.noise_cost
        return np.einsum("...i,ij,...j->...", state, self.value, state) + later


def optimum(speed: float, parameters: Parameters | None = None, *, noise: bool = True, gamma: float = 1.0) -> Optimum:
    """Return the regulator of `rllab/WhippleBicycle-v0` with reward="quadratic", as long as nothing clips or falls.

        minimise E Σ_t γᵗ (x' Q x + R a²),    x_{t+1} = A x + b a + e w,    Var w = (half-width)² / 3
        P = Q + γ A' P (A − b K),    K = γ b' P A / (R + γ b' P b),    cost = x₀' P x₀ + γ / (1 − γ) tr(P W)

    where Q = 1 / (fall angle)² on the lean, R = `effort`, and W = e e' Var w.

    Args:
        speed: v in m/s.
        parameters: constants; None is the benchmark bicycle and the task's limits.
        noise: False: no roll torque; `noise_cost` is 0.
        gamma: discount, in (0, 1].

    Returns:
        The optimum, exact to 1e-9 above walking pace: the recursion is repeated until P changes by 1e-13.

    Raises:
        ValueError: if gamma is out of range.

    Example:
        from rllab_envs.whipple import optimum

        gain = optimum(speed=2.78).gain  # (4,); the action is -gain @ observation

    Source: the discrete-time Riccati recursion, as in D. P. Bertsekas (2017), "Dynamic Programming and Optimal
    Control", section 3.1.
    """
    if not 0.0 < gamma <= 1.0:
        raise ValueError(f"optimum: gamma must be in (0, 1], got {gamma!r}")
    p = parameters or BENCHMARK
    a, torques = transition(speed, p)
    e, b = torques[:, 0], torques[:, 1] * p.max_torque
    q = np.zeros((4, 4))
    q[0, 0] = 1.0 / p.fall_angle**2
    value = q
    for _ in range(100_000):
        before = value
        # K = γ b' P A / (R + γ b' P b)
        gain = gamma * (b @ value @ a) / (p.effort + gamma * (b @ value @ b))
        # P = Q + γ A' P (A − b K), symmetric but for rounding
        value = q + gamma * a.T @ value @ (a - np.outer(b, gain))
        value = 0.5 * (value + value.T)
        if np.abs(value - before).max() <= 1e-13 * np.abs(value).max():
            return Optimum(gain, value, float(e @ value @ e) * p.noise**2 / 3.0 * noise, gamma)
    raise ValueError(f"optimum: the recursion does not settle at {speed} m/s; can its torque steer this bicycle?")
