"""`rllab/BicycleBalance-v0`: keep the bicycle of Randløv & Alstrøm (ICML 1998) upright, one bicycle at a time."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from .dynamics import balance_step
from .noise import RowNoise
from .parameters import DEFAULT, Parameters
from .render import Trail, draw
from .task import METADATA, check_arguments, judge, observation_box, scale_action, start_balance


class BicycleBalanceEnv(gymnasium.Env[np.ndarray, np.ndarray]):
    """A rider keeps a bicycle upright by turning the handlebar and shifting sideways, 100 times a second, at 10 km/h.

    Source: J. Randløv and P. Alstrøm, "Learning to Drive a Bicycle using Reinforcement Learning and Shaping",
    ICML 1998, and their published simulator. Equations: `rllab_envs.bicycle.step`; constants: `Parameters`.

    ## State (float64 inside)
    | # | symbol | meaning                             | unit  | sign             |
    |---|--------|-------------------------------------|-------|------------------|
    | 0 | ω      | lean of the bicycle from vertical   | rad   | > 0 leans left   |
    | 1 | ω̇      | its rate                            | rad/s |                  |
    | 2 | θ      | handlebar angle                     | rad   | > 0 steers left  |
    | 3 | θ̇      | its rate                            | rad/s |                  |

    Where the bicycle is never feeds back into these four; contacts and heading are followed only when rendering.

    ## Action: Box(−1, 1, (2,), float32)
    | # | scaled to              | meaning                             | sign                      |
    |---|------------------------|-------------------------------------|---------------------------|
    | 0 | T = 2 N·m × action[0]  | torque on the handlebar             | > 0 turns it left         |
    | 1 | d = 0.02 m × action[1] | sideways displacement of the rider  | > 0 moves the rider left  |

    Actions are clipped to [−1, 1]; then noise w ~ U(−0.02, 0.02) m is added to d, drawn afresh every step.

    ## Observation: Box, (4,)
    (ω, ω̇, θ, θ̇) unscaled, as `dtype`. Bounds: twice the fall angle (0.419 rad), the handlebar stop (1.3963 rad; 80° for
    `ernst`), and float32's largest number for the rates, which have no limit.

    ## Reward
    `reward="survival"`: +1 for every step taken, the fatal one included: the return is the number of steps.
    `reward="fall"`, the authors': −1 on the step that ends in a fall, 0 otherwise.

    ## Start and end
    Every episode starts upright and straight on: state (0, 0, 0, 0). `terminated`: |ω| > π/15 (12°) after the step.
    `truncated`: `cap` steps taken without a fall (1,000 steps are 10 s). A fall on the very step that reaches the cap
    is `terminated`, not `truncated`. The limit is the environment's own: the registered id adds no TimeLimit wrapper.

    ## Arguments
    | name        | default    | meaning                                                                              |
    |-------------|------------|--------------------------------------------------------------------------------------|
    | variant     | "author"   | "author": the published simulator; "ernst": explicit Euler, as in JMLR 6 (2005)      |
    | noise       | True       | False: no noise on the displacement                                                  |
    | cap         | 1000       | steps after which an episode is truncated; None: never                               |
    | reward      | "survival" | see above                                                                            |
    | parameters  | None       | `Parameters`; None: the published constants, those named above                       |
    | dtype       | float32    | of observations: float32 or float64                                                  |
    | render_mode | None       | "rgb_array": a picture of lean, handlebar and track                                  |

    `reset(seed=s)` seeds the noise; `reset()` goes on in the same stream, with a fresh block of `noise.BLOCK` numbers.
    `reset(options={"state": (ω, ω̇, θ, θ̇)})` starts elsewhere. Row i of `BicycleBalanceVectorEnv`, seeded with s, gives
    the same numbers bit for bit.

    ## Version history
    v0: first version.
    """

    metadata = METADATA

    def __init__(
        self,
        variant: str = "author",
        noise: bool = True,
        cap: int | None = 1000,
        reward: str = "survival",
        parameters: Parameters | None = None,
        dtype: Any = np.float32,
        render_mode: str | None = None,
    ) -> None:
        self.dtype = check_arguments("BicycleBalanceEnv", variant, cap, reward, dtype, render_mode)
        self.variant, self.cap, self.reward, self.render_mode = variant, cap, reward, render_mode
        self.parameters = DEFAULT if parameters is None else parameters
        self.observation_space = observation_box(self.parameters, variant, self.dtype)
        self.action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
        self._noise = RowNoise(1, self.parameters.noise if noise else 0.0)
        self._balance: tuple[np.ndarray, ...] | None = None  # ω, ω̇, θ, θ̇, each (1,)
        self._steps = np.zeros(1, np.int64)
        self._over = True
        self._trail: Trail | None = None

    @property
    def state(self) -> np.ndarray:
        """A copy of (ω, ω̇, θ, θ̇), float64 (4,)."""
        if self._balance is None:
            raise RuntimeError("BicycleBalanceEnv: call reset() before asking for the state")
        return np.concatenate(self._balance)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start an episode; see the class for `options`."""
        start = start_balance("BicycleBalanceEnv", 1, options)
        super().reset(seed=seed)
        self._noise.generators[0] = self.np_random
        self._noise.begin(np.array([0]))
        self._balance, self._over = tuple(start), False
        self._steps[0] = 0
        self._trail = Trail(self.variant, self.parameters) if self.render_mode is not None else None
        return self.state.astype(self.dtype), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Take one step of 0.01 s.

        Raises:
            ValueError: the action has not two numbers, or one is NaN.
            RuntimeError: no episode is under way.
        """
        if self._balance is None or self._over:
            raise RuntimeError("BicycleBalanceEnv: no episode is under way, call reset() before step()")
        action = np.asarray(action, np.float64)
        if action.shape != (2,) or np.isnan(action).any():
            raise ValueError(f"BicycleBalanceEnv: action must be two numbers in [-1, 1], got {action!r}")
        scaled = scale_action(action[:, None], self.parameters)
        scaled[1] += self._noise.take()
        before = self._balance
        self._balance = balance_step(np, before, scaled[0], scaled[1], self.parameters, self.variant)
        self._steps += 1
        if self._trail is not None:
            self._trail.follow(before[2], self._balance[2], scaled[:, 0])
        verdict = judge(self._balance[0], self._steps, self.parameters, self.cap, self.reward)
        reward, terminated, truncated = (one.item() for one in verdict)
        self._over = terminated or truncated
        return self.state.astype(self.dtype), reward, terminated, truncated, {}

    def render(self) -> np.ndarray | None:
        """Return the picture, (360, 960, 3) uint8, of the state reached; None if no render mode was chosen."""
        if self.render_mode is None:
            gymnasium.logger.warn('render() without a render mode: make the environment with render_mode="rgb_array"')
            return None
        if self._trail is None:
            raise RuntimeError("BicycleBalanceEnv: call reset() before render()")
        return draw(self._trail, self.state)
