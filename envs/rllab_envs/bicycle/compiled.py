"""CompiledBatch: the bicycles of `backend="numba"`, in blocks that one compiled call steps."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.utils import seeding

from ..batched import NONE, check_started, given_start
from ..noise import BLOCK
from ..streams import HI, INC_HI, INC_LO, LO, STREAM_ROWS, WIDTH, seed_streams, skip
from .kernels import LEAN, ROWS, Constants, advance, observe
from .task import BicycleBalance

VARIABLES = np.arange(LEAN, LEAN + 4 * WIDTH, WIDTH)  # the rows of ω, ω̇, θ, θ̇
MOST = np.iinfo(np.int64).max
HALF = 2**64 - 1


def constants_of(task: BicycleBalance) -> Constants:
    """Return what the compiled step is to know of a task."""
    p = task.parameters
    return Constants(
        ernst=task.variant == "ernst",
        tilt_outside=p.tilt_of(task.variant) == "outside",
        fall_reward=task.reward == "fall",
        cap=MOST if task.cap is None else int(task.cap),
        noise=float(task.noise_amplitude),
        max_torque=float(p.max_torque),
        max_displacement=float(p.max_displacement),
        fall_angle=float(p.fall_angle),
        stop=float(p.stop(task.variant)),
        time_step=float(p.time_step),
        mass_height=float(p.mass_height),
        gravity_moment=float(p.gravity_moment),
        gyro_lean=float(p.gyro_lean),
        gyro_steer=float(p.gyro_steer),
        lean_inertia=float(p.lean_inertia),
        inertia_dl=float(p.inertia_dl),
        tyre_centrifugal=float(p.tyre_centrifugal),
        mass_centrifugal=float(p.mass_centrifugal),
        back_to_mass=float(p.back_to_mass),
        wheelbase=float(p.wheelbase),
    )


class CompiledBatch:
    """States, step counts and noise of n bicycles, as `TaskBatch` has them, stepped by one compiled call.

    A bicycle draws the numbers that it draws without numba, so that it meets the same noise bit for bit: its stream is
    PCG64 under its seed, and an episode begins at a multiple of `BLOCK` numbers. What it does depends on its seed, the
    episode and its actions alone, not on the other bicycles; no result depends on the machine's mathematical library.

    Args:
        who: names the environment in errors.
        task: what the bicycles do.
        num_envs: n.
        dtype: of observations.
    """

    def __init__(self, who: str, task: BicycleBalance, num_envs: int, dtype: np.dtype) -> None:
        self.who, self.task, self.num_envs, self.dtype = who, task, num_envs, dtype
        self.started = False
        self.steps = np.zeros(num_envs, np.int64)
        blocks = -(-num_envs // WIDTH)
        self._states = np.zeros((blocks, ROWS))
        self._streams = np.zeros((blocks, STREAM_ROWS), np.uint64)
        self._seeded = np.zeros(num_envs, np.bool_)
        self._constants = constants_of(task)
        self._observed = VARIABLES if task.rates else VARIABLES[::2].copy()
        self._compile()

    def _compile(self) -> None:
        # so that the first step takes no longer than the others
        one, rewards, flags = np.zeros(1, np.int64), np.zeros(1), np.zeros(1, np.bool_)
        states, streams = np.zeros((1, ROWS)), np.zeros((1, STREAM_ROWS), np.uint64)
        seed_streams(streams, one, one.astype(np.uint64))
        skip(streams, one, one)
        advance(states, streams, one, np.zeros((1, 2)), NONE, self._constants, rewards, flags, flags)
        self.observe()

    def state(self) -> np.ndarray:
        """Return a copy of the states, float64 (n, 4)."""
        check_started(self.who, self.started, "asking for the state")
        return np.ascontiguousarray(self._table(VARIABLES, np.float64).T)

    def observe(self) -> np.ndarray:
        """Return the observations, (n, k): a new array."""
        return self._table(self._observed, self.dtype).T

    def given_start(self, options: dict[str, Any] | None) -> np.ndarray | None:
        """Return `options["state"]` as (4, n); None if there is none."""
        return given_start(self.who, self.task.size, self.num_envs, options)

    def seed(self, which: np.ndarray, seeds: Sequence[int | None]) -> None:
        """Give the bicycles of an index array their streams; None keeps the one a bicycle has, if any."""
        keep = np.array([seed is None for seed in seeds]) & self._seeded[which]
        fresh = which[~keep]
        self.steps[fresh] = 0  # nothing is drawn of a new stream
        self._seeded[fresh] = True
        wanted = [seed for seed, kept in zip(seeds, keep, strict=True) if not kept]
        try:
            seed_streams(self._streams, fresh, np.array(wanted, np.uint64))
        except (OverflowError, TypeError):  # None, negative or longer than 64 bits
            for i, seed in zip(fresh, wanted, strict=True):
                self._take_stream(i, seed)

    def _take_stream(self, i: int, seed: int | None) -> None:
        state: Any = seeding.np_random(seed)[0].bit_generator.state["state"]
        block, j = self._streams[i // WIDTH], i % WIDTH
        block[HI + j], block[LO + j] = state["state"] >> 64, state["state"] & HALF
        block[INC_HI + j], block[INC_LO + j] = state["inc"] >> 64, state["inc"] & HALF

    def start(self, which: np.ndarray, given: np.ndarray | None = None) -> None:
        """Start an episode in the bicycles of an index array, at given states (4, n) or upright at rest."""
        if not which.size:
            return
        if self.task.noise_amplitude > 0.0:
            skip(self._streams, which, -self.steps[which] % BLOCK)  # each episode draws whole blocks
        self.steps[which] = 0
        for k in range(4):
            self._states[which // WIDTH, LEAN + k * WIDTH + which % WIDTH] = 0.0 if given is None else given[k, which]
        self.started = True

    def pause(self, which: np.ndarray) -> None:
        """Do nothing: a frozen bicycle draws nothing."""

    def advance(self, actions: np.ndarray, frozen: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Take one step; return rewards, terminated and truncated, each (n,): see `TaskBatch.advance`."""
        check_started(self.who, self.started, "step()")
        actions = np.ascontiguousarray(actions, np.float64)
        n = self.num_envs
        if actions.shape != (n, 2):
            raise ValueError(f"{self.who}: actions must be {(n, 2)}, got {actions.shape}")
        rewards, terminated, truncated = np.zeros(n), np.zeros(n, np.bool_), np.zeros(n, np.bool_)
        to = self._states, self._streams, self.steps
        bad = advance(*to, actions, frozen, self._constants, rewards, terminated, truncated)
        if bad >= 0:
            raise ValueError(f"{self.who}: actions must be numbers, got NaN in environment {bad}")
        return rewards, terminated, truncated

    def draw(self) -> None:
        """Return None: there are no pictures."""

    def _table(self, rows: np.ndarray, dtype: Any) -> np.ndarray:
        table = np.empty((rows.size, self.num_envs), dtype)
        observe(self._states, rows, table)
        return table
