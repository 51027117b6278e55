"""`rllab/BicycleBalance-v0`, many bicycles at once."""

from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode

from ..batched import TaskVectorEnv
from .backends import check_backend, task_and_batch
from .parameters import DEFAULT, Parameters
from .task import METADATA


class BicycleBalanceVectorEnv(TaskVectorEnv):
    """num_envs bicycles of `BicycleBalanceEnv`, where state, action, observation, reward and end are specified.

    Seeds, ends of episodes and `reset` are those of `TaskVectorEnv`, which also explains num_envs and autoreset_mode.

    `backend` says what steps them. In each, a bicycle meets the noise of its seed and episode, and no result depends on
    how many bicycles there are. With "numpy", the default, each is `BicycleBalanceEnv` bit for bit, in float64.

    "numpy32" is numpy in float32, 1.5 times as fast at 2,048 bicycles. The noise is the same, rounded; leans are within
    5e-3 of the default's until a fall, 1e-4 under a rider that lasts. It takes no delay.

    "numba" is compiled, in float64, 3 to 4 times as fast. The noise is the same bit for bit, states are within 1e-11 of
    the default's; compiling takes some seconds, when the first of a process is made. It needs the extra `numba`, and
    takes no delay and no render_mode.

    Raises:
        ValueError: if an argument is unknown, or not taken by the backend.
        ModuleNotFoundError: if numba is wanted and not installed.
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
        rates: bool = True,
        delay: int = 0,
        dtype: Any = np.float32,
        render_mode: str | None = None,
        backend: str = "numpy",
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
    ) -> None:
        check_backend(type(self).__name__, backend, delay, render_mode)
        arguments = rates, delay, variant, noise, cap, reward, parameters or DEFAULT
        task, batch = task_and_batch(backend, *arguments)
        super().__init__(task, num_envs, dtype, render_mode, autoreset_mode, batch)
