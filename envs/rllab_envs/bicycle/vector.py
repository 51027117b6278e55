"""`rllab/BicycleBalance-v0`, many bicycles at once: one numpy call a step for the whole batch."""

import operator
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from .dynamics import balance_step
from .noise import RowNoise
from .parameters import DEFAULT, Parameters
from .render import Trail, draw
from .task import METADATA, check_arguments, judge, observation_box, scale_action, start_balance


class BicycleBalanceVectorEnv(VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """n bicycles of `BicycleBalanceEnv`, where state, action, observation, reward and end are specified.

    Row i is the single environment bit for bit: seeded alike and given the same actions it returns the same numbers,
    through any number of episodes. Observations are (n, 4), actions (n, 2), rewards float64 (n,), flags bool (n,), all
    of them the caller's to keep; `dtype=np.float64` gives observations without rounding.

    Seeds: `reset(seed=s)` gives row i the seed s + i, `reset(seed=[...])` one each; with None a row goes on in its
    stream. Rows with equal seeds meet equal noise, step by step, in the episode that this reset starts.

    Ends of episodes, `autoreset_mode`:
        NEXT_STEP (default): the next `step` ignores a finished row's action, starts its next episode, returns reward 0.
        SAME_STEP: the observation is that of the next episode already; the last one is in `info["final_obs"]`, marked
            by `info["_final_obs"]`.
        DISABLED: a finished row is frozen: state and flags stay, reward 0, no noise drawn, its action ignored.
    An action that is NaN is refused in every row. In every mode `reset(options={"reset_mask": mask})`, mask bool (n,),
    starts the marked rows and leaves the others as they are; `options={"state": ...}`, (4,) or (n, 4), gives the start.
    Automatic resets start upright.

    Args:
        num_envs: n.
        autoreset_mode: an `AutoresetMode`, or its name or value as a string ("DISABLED", "Disabled").
        The others: see `BicycleBalanceEnv`.
    """

    metadata = METADATA

    def __init__(
        self,
        num_envs: int = 1,
        variant: str = "author",
        noise: bool = True,
        cap: int | None = 1000,
        reward: str = "survival",
        parameters: Parameters | None = None,
        dtype: Any = np.float32,
        render_mode: str | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
    ) -> None:
        self.dtype = check_arguments("BicycleBalanceVectorEnv", variant, cap, reward, dtype, render_mode)
        if isinstance(num_envs, bool) or not isinstance(num_envs, int | np.integer) or num_envs < 1:
            raise ValueError(f"BicycleBalanceVectorEnv: num_envs must be an integer >= 1, got {num_envs!r}")
        modes = {name: mode for mode in AutoresetMode for name in (mode, mode.value, mode.name)}
        if autoreset_mode not in modes:
            need = "one of " + ", ".join(mode.name for mode in AutoresetMode)
            raise ValueError(f"BicycleBalanceVectorEnv: autoreset_mode must be {need}, got {autoreset_mode!r}")
        self.autoreset_mode = modes[autoreset_mode]
        self.metadata = METADATA | {"autoreset_mode": self.autoreset_mode}
        self.num_envs = int(num_envs)
        self.variant, self.cap, self.reward, self.render_mode = variant, cap, reward, render_mode
        self.parameters = DEFAULT if parameters is None else parameters
        self.single_observation_space = observation_box(self.parameters, variant, self.dtype)
        self.single_action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._noise = RowNoise(self.num_envs, self.parameters.noise if noise else 0.0)
        self._balance: tuple[np.ndarray, ...] | None = None  # ω, ω̇, θ, θ̇, each (n,) and contiguous
        self._steps = np.zeros(self.num_envs, np.int64)
        self._idle: np.ndarray | None = None  # mask of finished rows that nothing has restarted; None: there are none
        self._trails: list[Trail] | None = None

    @property
    def state(self) -> np.ndarray:
        """A copy of (ω, ω̇, θ, θ̇), float64 (n, 4)."""
        return self._observe(np.dtype(np.float64))

    @property
    def steps(self) -> np.ndarray:
        """A copy of the steps every row has taken in its episode, int64 (n,)."""
        return self._steps.copy()

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start an episode in every row, or in those of `options["reset_mask"]`.

        Raises:
            ValueError: the number of seeds, the mask or the start state is wrong.
            RuntimeError: a mask leaves out rows that were never started.
        """
        rows = self._masked(options)
        seeds = self._seeds(seed)
        start = start_balance("BicycleBalanceVectorEnv", self.num_envs, options)
        for i in rows:
            self._noise.seed(i, seeds[i])
        if self._balance is None:
            self._balance = tuple(start)
        for variable, value in zip(self._balance, start, strict=True):
            variable[rows] = value[rows]
        if self._idle is not None:
            self._idle[rows] = False
        self._begin(rows)
        return self._observe(self.dtype), {}

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Take one step of 0.01 s in every row that is not finished.

        Raises:
            ValueError: actions are not (n, 2) or hold a NaN.
            RuntimeError: reset() was never called.
        """
        if self._balance is None:
            raise RuntimeError("BicycleBalanceVectorEnv: call reset() before step()")
        actions = np.asarray(actions)
        if actions.shape != (self.num_envs, 2):
            raise ValueError(f"BicycleBalanceVectorEnv: actions must be ({self.num_envs}, 2), got {actions.shape}")
        scaled = scale_action(actions.T, self.parameters)
        if np.isnan(scaled.sum()):
            row = int(np.flatnonzero(np.isnan(scaled).any(0))[0])
            raise ValueError(f"BicycleBalanceVectorEnv: actions must be numbers, got NaN in row {row}")
        scaled[1] += self._noise.take()
        before, idle = self._balance, self._idle
        self._balance = balance_step(np, before, scaled[0], scaled[1], self.parameters, self.variant)
        self._steps += 1
        if self._trails is not None:
            self._follow(before[2], scaled)
        if idle is not None:
            self._hold(before, idle)
        rewards, terminated, truncated = judge(self._balance[0], self._steps, self.parameters, self.cap, self.reward)
        if idle is not None:
            rewards[idle] = 0.0
        info = self._end(terminated | truncated)
        return self._observe(self.dtype), rewards, terminated, truncated, info

    def render(self) -> tuple[np.ndarray, ...] | None:
        """Return one picture per row, (360, 960, 3) uint8 each; None if no render mode was chosen."""
        if self.render_mode is None:
            gymnasium.logger.warn('render() without a render mode: make the environment with render_mode="rgb_array"')
            return None
        if self._trails is None:
            raise RuntimeError("BicycleBalanceVectorEnv: call reset() before render()")
        return tuple(draw(trail, state) for trail, state in zip(self._trails, self.state, strict=True))

    def _masked(self, options: dict[str, Any] | None) -> np.ndarray:
        # the rows that reset() starts
        if options is None or "reset_mask" not in options:
            return np.arange(self.num_envs)
        mask = np.asarray(options["reset_mask"])
        if mask.shape != (self.num_envs,) or mask.dtype != np.bool_:
            need, got = f"bool of shape ({self.num_envs},)", f"{mask.dtype} of shape {mask.shape}"
            raise ValueError(f"BicycleBalanceVectorEnv: reset_mask must be {need}, got {got}")
        if self._balance is None and not mask.all():
            raise RuntimeError("BicycleBalanceVectorEnv: the first reset() must start every row, got a reset_mask")
        return np.flatnonzero(mask)

    def _seeds(self, seed: int | Sequence[int | None] | None) -> Sequence[int | None]:
        if seed is None:
            return [None] * self.num_envs
        if isinstance(seed, int | np.integer):
            return [int(seed) + i for i in range(self.num_envs)]
        if len(seed) != self.num_envs:
            raise ValueError(f"BicycleBalanceVectorEnv: seed must give {self.num_envs} seeds, got {len(seed)}")
        return [None if one is None else operator.index(one) for one in seed]

    def _begin(self, rows: np.ndarray) -> None:
        # what every start of an episode does, automatic or not
        self._steps[rows] = 0
        self._noise.begin(rows)
        if self.render_mode is not None:
            if self._trails is None:
                self._trails = [Trail(self.variant, self.parameters) for _ in range(self.num_envs)]
            for i in rows:
                self._trails[i] = Trail(self.variant, self.parameters)

    def _restart(self, rows: np.ndarray) -> None:
        # an automatic reset
        assert self._balance is not None
        for variable in self._balance:
            variable[rows] = 0.0
        self._begin(rows)

    def _hold(self, before: Sequence[np.ndarray], idle: np.ndarray) -> None:
        # finished rows took no step: restart them (NEXT_STEP) or put them back (DISABLED)
        assert self._balance is not None
        if self.autoreset_mode is AutoresetMode.NEXT_STEP:
            self._restart(np.flatnonzero(idle))
            return
        for variable, old in zip(self._balance, before, strict=True):
            variable[idle] = old[idle]
        self._steps[idle] -= 1

    def _end(self, over: np.ndarray) -> dict[str, Any]:
        # book the rows that are finished now; SAME_STEP starts them again
        self._idle = None
        if not over.any():
            return {}
        rows = np.flatnonzero(over)
        if self.autoreset_mode is not AutoresetMode.SAME_STEP:
            self._idle = over
            self._noise.pause(rows)
            return {}
        last, final = self._observe(self.dtype), np.full(self.num_envs, None, object)
        for i in rows:
            final[i] = last[i].copy()
        self._restart(rows)
        return {"final_obs": final, "_final_obs": over, "final_info": {}, "_final_info": over.copy()}

    def _follow(self, theta_old: np.ndarray, scaled: np.ndarray) -> None:
        assert self._trails is not None and self._balance is not None
        for i, trail in enumerate(self._trails):
            if self._idle is None or not self._idle[i]:
                row = slice(i, i + 1)
                trail.follow(theta_old[row], self._balance[2][row], scaled[:, i])

    def _observe(self, dtype: np.dtype) -> np.ndarray:
        # a fresh array every time: what the caller does to it never reaches the state
        if self._balance is None:
            raise RuntimeError("BicycleBalanceVectorEnv: call reset() first")
        table = np.empty((4, self.num_envs), dtype)
        for k, variable in enumerate(self._balance):
            table[k] = variable
        return table.T
