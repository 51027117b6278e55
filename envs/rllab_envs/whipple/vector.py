"""`rllab/WhippleBicycle-v0`, many bicycles at once."""

from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode

from ..batched import TaskVectorEnv
from .parameters import BENCHMARK, Parameters
from .task import METADATA, SPEED, WhippleBicycle


class WhippleBicycleVectorEnv(TaskVectorEnv):
    """num_envs bicycles of `WhippleBicycleEnv`, where state, action, observation, reward and end are specified.

    Seeds, ends of episodes and `reset` are those of `TaskVectorEnv`, which also explains num_envs and autoreset_mode.
    """

    metadata = METADATA

    def __init__(
        self,
        num_envs: int = 1,
        speed: float = SPEED,
        noise: bool = True,
        cap: int | None = 1000,
        reward: str = "survival",
        parameters: Parameters | None = None,
        dtype: Any = np.float32,
        render_mode: str | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
    ) -> None:
        task = WhippleBicycle(speed, noise, cap, reward, parameters or BENCHMARK)
        super().__init__(task, num_envs, dtype, render_mode, autoreset_mode)
