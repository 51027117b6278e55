"""`rllab/BicycleBalance-v0`, many bicycles at once."""

from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode

from ..batched import TaskVectorEnv
from .parameters import DEFAULT, Parameters
from .task import METADATA, balance_task


class BicycleBalanceVectorEnv(TaskVectorEnv):
    """num_envs bicycles of `BicycleBalanceEnv`, where state, action, observation, reward and end are specified.

    Seeds, ends of episodes and `reset` are those of `TaskVectorEnv`, which also explains num_envs and autoreset_mode.
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
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
    ) -> None:
        task = balance_task(rates, delay, variant, noise, cap, reward, parameters or DEFAULT)
        super().__init__(task, num_envs, dtype, render_mode, autoreset_mode)
