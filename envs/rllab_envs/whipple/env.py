"""`rllab/WhippleBicycle-v0`: keep the bicycle of Meijaard et al. (2007) upright, one bicycle at a time."""

from typing import Any

import numpy as np

from ..single import TaskEnv
from .parameters import BENCHMARK, Parameters
from .task import METADATA, SPEED, WhippleBicycle


class WhippleBicycleEnv(TaskEnv):
    """A rider steers a bicycle with trail, a tilted steer axis and spinning wheels, 100 times a second.

    The bicycle of the published benchmark, linear near upright, so that the best rider is known: `optimum`. Its speed
    is the difficulty. Below the weave speed, 4.29238 m/s, it falls in growing swings; from there to the capsize speed,
    6.02426 m/s, it rides by itself, and whatever is near doing nothing survives; above, it tips over slowly.

    Source: J. P. Meijaard, J. M. Papadopoulos, A. Ruina and A. L. Schwab (2007), "Linearized dynamics equations for the
    balance and steer of a bicycle: a benchmark and review", Proc. R. Soc. A 463. Equations:
    `rllab_envs.whipple.matrices`; constants: `rllab_envs.whipple.Parameters`. Torques are held over a step and the step
    is exact (`transition`); the task around the bicycle is the lab's.

    ## State (float64 inside)
    | # | symbol | meaning                             | unit  | sign               |
    |---|--------|-------------------------------------|-------|--------------------|
    | 0 | φ      | lean of the rear frame              | rad   | > 0 leans right    |
    | 1 | φ̇      | its rate                            | rad/s |                    |
    | 2 | δ      | steer angle                         | rad   | > 0 steers right   |
    | 3 | δ̇      | its rate                            | rad/s |                    |

    Where the bicycle is never feeds back into these four; it is followed only when rendering. The signs are those of
    the paper and opposite to those of `BicycleBalanceEnv`.

    ## Action: Box(−1, 1, (1,), float32)
    | # | meaning           | unit    | sign                     |
    |---|-------------------|---------|--------------------------|
    | 0 | steer torque      | 2 N·m   | > 0 turns it right       |

    Actions are clipped to [−1, 1] and multiplied by their unit. Noise is a roll torque w ~ U(−15, 15) N·m on the rear
    frame, drawn afresh every step: about what the noise of `BicycleBalanceEnv` on the rider's displacement does.

    ## Observation: Box, (4,), of `dtype`
    | # | symbol | unit  | bounds                                              |
    |---|--------|-------|-----------------------------------------------------|
    | 0 | φ      | rad   | ±0.419: twice the fall angle                        |
    | 1 | φ̇      | rad/s | ± float32's largest number: it has no limit         |
    | 2 | δ      | rad   | ±2.793: twice the angle that ends the ride          |
    | 3 | δ̇      | rad/s | ± float32's largest number: it has no limit         |

    The state, unscaled.

    ## Reward
    `reward="survival"`: +1 for every step taken, the fatal one included: the return is the number of steps.
    `reward="quadratic"`: 1 − (φ / 0.2094)² − 0.1 a², with φ before the step and a the clipped action: what `optimum`
    minimises, subtracted from the reward of survival.

    ## Start and end
    Every episode starts upright, straight on: state (0, 0, 0, 0). `terminated`: |φ| > π/15 (12°) or |δ| > 80° after the
    step. `truncated`: `cap` steps taken without a fall (1,000 steps are 10 s). A fall on the very step that reaches the
    cap is `terminated`, not `truncated`. The limit is the environment's own: the registered id adds no TimeLimit.

    ## Arguments
    | name        | default    | meaning                                                                              |
    |-------------|------------|--------------------------------------------------------------------------------------|
    | speed       | 10 / 3.6   | forward speed in m/s, >= 0                                                           |
    | noise       | True       | False: no roll torque                                                                |
    | cap         | 1000       | steps after which an episode is truncated; None: never                               |
    | reward      | "survival" | see above                                                                            |
    | parameters  | None       | `Parameters`; None: the benchmark's, and the limits named above                      |
    | dtype       | float32    | of observations: float32 or float64                                                  |
    | render_mode | None       | "rgb_array": a picture of lean, handlebar and track                                  |

    `reset(seed=s)` seeds the noise; `reset()` goes on in the same stream, with a fresh block of `noise.BLOCK` numbers.
    `reset(options={"state": (φ, φ̇, δ, δ̇)})` starts elsewhere. Environment i of `WhippleBicycleVectorEnv`, seeded with
    s, gives the same numbers bit for bit.

    ## Version history
    v0: first version.
    """

    metadata = METADATA

    def __init__(
        self,
        speed: float = SPEED,
        noise: bool = True,
        cap: int | None = 1000,
        reward: str = "survival",
        parameters: Parameters | None = None,
        dtype: Any = np.float32,
        render_mode: str | None = None,
    ) -> None:
        super().__init__(WhippleBicycle(speed, noise, cap, reward, parameters or BENCHMARK), dtype, render_mode)
