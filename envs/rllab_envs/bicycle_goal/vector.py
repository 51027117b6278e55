"""`rllab/BicycleGoal-v0`, many bicycles at once."""

from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode

from ..batched import TaskVectorEnv
from ..bicycle.parameters import DEFAULT, Parameters
from ..bicycle.task import METADATA
from .task import BicycleGoal


class BicycleGoalVectorEnv(TaskVectorEnv):
    """num_envs bicycles of `BicycleGoalEnv`, where state, action, observation, reward and end are specified.

    Seeds, ends of episodes and `reset` are those of `TaskVectorEnv`, which also explains num_envs and autoreset_mode.
    """

    metadata = METADATA

    def __init__(
        self,
        num_envs: int = 1,
        noise: bool = True,
        cap: int | None = 100_000,
        reward: str = "shaped",
        distance: float = 1000.0,
        parameters: Parameters | None = None,
        dtype: Any = np.float32,
        render_mode: str | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
    ) -> None:
        task = BicycleGoal(noise, cap, reward, distance, parameters or DEFAULT)
        super().__init__(task, num_envs, dtype, render_mode, autoreset_mode)
