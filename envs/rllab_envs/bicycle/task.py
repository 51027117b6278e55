"""What the single and the vector form of the balance task share: arguments, spaces, scaling, starts, rewards, ends."""

from typing import Any

import numpy as np
from gymnasium import spaces

from .parameters import Parameters, check_variant

REWARDS = ("survival", "fall")
METADATA: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 100}


def check_arguments(
    who: str, variant: str, cap: int | None, reward: str, dtype: Any, render_mode: str | None
) -> np.dtype:
    """Return the dtype of observations.

    Raises:
        ValueError: `who` was given something it does not know.
    """
    check_variant(who, variant)
    if cap is not None and (isinstance(cap, bool) or not isinstance(cap, int | np.integer) or cap < 1):
        raise ValueError(f"{who}: cap must be None or an integer >= 1 (steps), got {cap!r}")
    if reward not in REWARDS:
        raise ValueError(f"{who}: reward must be 'survival' or 'fall', got {reward!r}")
    if np.dtype(dtype) not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise ValueError(f"{who}: dtype must be float32 or float64, got {np.dtype(dtype)}")
    if render_mode not in (None, "rgb_array"):
        raise ValueError(f"{who}: render_mode must be None or 'rgb_array', got {render_mode!r}")
    return np.dtype(dtype)


def observation_box(parameters: Parameters, variant: str, dtype: np.dtype) -> spaces.Box:
    """Return the space: lean to twice the fall angle, handlebar to its stop, rates to float32's largest number."""
    most = float(np.finfo(np.float32).max)
    high = np.array([2.0 * parameters.fall_angle, most, parameters.stop(variant), most], dtype)
    return spaces.Box(-high, high, dtype=dtype)


def scale_action(actions: np.ndarray, parameters: Parameters) -> np.ndarray:
    """Return torque in N·m and displacement in m, (2, n), from actions (2, n), clipped to [−1, 1]. NaN stays NaN."""
    scaled = np.empty(actions.shape)
    np.clip(actions, -1.0, 1.0, out=scaled)
    scaled[0] *= parameters.max_torque
    scaled[1] *= parameters.max_displacement
    return scaled


def start_balance(who: str, rows: int, options: dict[str, Any] | None) -> np.ndarray:
    """Return the balance part of the start, float64 (4, rows): zeros, or `options["state"]`, (4,) or (rows, 4).

    Raises:
        ValueError: that state has another shape or a number that is not finite.
    """
    start = np.zeros((4, rows))
    if options is not None and "state" in options:
        state = np.asarray(options["state"], np.float64)
        if state.shape not in ((4,), (rows, 4)) or not np.isfinite(state).all():
            need = f"finite numbers of shape (4,) or ({rows}, 4)"
            raise ValueError(f"{who}: options['state'] must be {need}, got {state!r}")
        start[:] = state[:, None] if state.ndim == 1 else state.T
    return start


def judge(
    omega: np.ndarray, steps: np.ndarray, parameters: Parameters, cap: int | None, reward: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (rewards, terminated, truncated), each (n,), of a step that led to the lean ω, (n,), as the `steps`-th."""
    terminated = ~(np.abs(omega) <= parameters.fall_angle)  # a lean that is not a number is a fall
    truncated = ~terminated & (steps >= cap) if cap is not None else np.zeros_like(terminated)
    rewards = np.ones(omega.shape) if reward == "survival" else 0.0 - terminated
    return rewards, terminated, truncated
