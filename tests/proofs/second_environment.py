"""A second environment on the lab's shared machinery, unlike the bicycle: discrete actions, a random start, no cap."""

from dataclasses import dataclass

import gymnasium
import numpy as np
from gymnasium import spaces

from rllab_envs.batched import TaskVectorEnv
from rllab_envs.single import TaskEnv
from rllab_envs.task import Task

ID = "rllab-tests/Cart-v0"


@dataclass(frozen=True)
class Cart(Task):
    cap: int | None = None
    size = 2

    @property
    def action_space(self):
        return spaces.Discrete(3)

    def observation_space(self, dtype):
        return spaces.Box(-20, 20, (3,), dtype)

    @property
    def noise_amplitude(self):
        return 0.1

    def start(self, generators):
        return np.array([[g.uniform(-0.5, 0.5), g.normal()] for g in generators]).T

    def inputs(self, actions, noise):
        return (actions - 1.0 + noise)[None]

    def step(self, state, inputs):
        x, v = state
        v = v + 0.1 * inputs[0]
        return x + 0.1 * v, v

    def judge(self, before, inputs, after):
        return np.abs(before[0]) - np.abs(after[0]) - 0.01 * np.square(inputs[0]), np.abs(after[0]) > 1

    def observe(self, state):
        return *state, np.cos(state[0])


class CartEnv(TaskEnv):
    """A cart on a line is pushed to the left or to the right, ten times a second, and is to stay near the middle.

    ## State (float64 inside)
    | # | symbol | meaning    | unit | sign                |
    |---|--------|------------|------|---------------------|
    | 0 | x      | its place  | m    | > 0: to the right   |
    | 1 | v      | its speed  | m/s  | > 0: to the right   |

    ## Action: Discrete(3)
    | # | meaning          | unit   | sign             |
    |---|------------------|--------|------------------|
    | 0 | push to the left | −1 N   |                  |
    | 1 | no push          | 0 N    |                  |
    | 2 | push to the right| +1 N   |                  |

    Noise w ~ U(−0.1, 0.1) N is added.

    ## Observation: Box, (3,), of `dtype`
    | # | symbol | unit | bounds |
    |---|--------|------|--------|
    | 0 | x      | m    | ±20    |
    | 1 | v      | m/s  | ±20    |
    | 2 | cos x  | 1    | ±20    |

    ## Reward
    How much nearer the middle it came, in m, less 0.01 times the squared push.

    ## Start and end
    x ~ U(−0.5, 0.5) m, v ~ N(0, 1) m/s. `terminated`: |x| > 1 m after the step. `truncated` after `cap` steps.

    ## Arguments
    cap (None), dtype (float32), render_mode (None).

    ## Version history
    v0: first version.
    """

    def __init__(self, cap=None, dtype=np.float32, render_mode=None):
        super().__init__(Cart(cap), dtype, render_mode)


class CartVectorEnv(TaskVectorEnv):
    """num_envs carts."""

    def __init__(self, num_envs=1, cap=None, dtype=np.float32, render_mode=None, autoreset_mode="NEXT_STEP"):
        super().__init__(Cart(cap), num_envs, dtype, render_mode, autoreset_mode)


gymnasium.register(ID, CartEnv, vector_entry_point=CartVectorEnv)
