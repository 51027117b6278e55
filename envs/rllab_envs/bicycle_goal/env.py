"""`rllab/BicycleGoal-v0`: ride the bicycle of Randløv & Alstrøm (ICML 1998) to a goal, one bicycle at a time."""

from typing import Any

import numpy as np

from ..bicycle.parameters import DEFAULT, Parameters
from ..bicycle.task import METADATA
from ..single import TaskEnv
from .task import BicycleGoal


class BicycleGoalEnv(TaskEnv):
    """A rider keeps a bicycle upright and rides it to a goal 1 km away, whatever heading it starts with.

    Source: J. Randløv and P. Alstrøm, "Learning to Drive a Bicycle using Reinforcement Learning and Shaping",
    ICML 1998, second task, and their published simulator. Equations: `rllab_envs.bicycle.step`, variant "author", on
    all nine variables; constants: `rllab_envs.bicycle.Parameters`. Differences: actions are continuous, the heading at
    the start is drawn, distance and bearing are observed as numbers instead of cells of a table.

    ## State (float64 inside)
    | # | symbol | meaning                                    | unit  | sign                                    |
    |---|--------|--------------------------------------------|-------|-----------------------------------------|
    | 0 | ω      | lean of the bicycle from vertical          | rad   | > 0 leans left                          |
    | 1 | ω̇      | its rate                                   | rad/s |                                         |
    | 2 | θ      | handlebar angle                            | rad   | > 0 steers left                         |
    | 3 | θ̇      | its rate                                   | rad/s |                                         |
    | 4 | x_f    | where the front tyre touches the ground    | m     | > 0: on the goal's side of the origin   |
    | 5 | y_f    | the same                                   | m     |                                         |
    | 6 | x_b    | where the back tyre touches the ground     | m     | as of x_f                               |
    | 7 | y_b    | the same                                   | m     |                                         |
    | 8 | ψ      | heading, from the y axis                   | rad   | > 0: counter-clockwise; (−sin ψ, cos ψ) |

    The goal is the disc of radius 10 m about (1000, 0) m.

    ## Action: Box(−1, 1, (2,), float32)
    | # | meaning                                | unit    | sign                      |
    |---|----------------------------------------|---------|---------------------------|
    | 0 | torque T on the handlebar              | 2 N·m   | > 0 turns it left         |
    | 1 | sideways displacement d of the rider   | 0.02 m  | > 0 moves the rider left  |

    Actions are clipped to [−1, 1] and multiplied by their unit; then noise w ~ U(−0.02, 0.02) m is added to d, drawn
    afresh every step.

    ## Observation: Box, (6,), of `dtype`
    | # | symbol | meaning                                     | unit  | bounds                            |
    |---|--------|---------------------------------------------|-------|-----------------------------------|
    | 0 | ω      | lean                                        | rad   | ±0.419: twice the fall angle      |
    | 1 | ω̇      | its rate                                    | rad/s | ± float32's largest number        |
    | 2 | θ      | handlebar angle                             | rad   | ±1.3963: the handlebar's stop     |
    | 3 | θ̇      | its rate                                    | rad/s | ± float32's largest number        |
    | 4 | α      | bearing: the goal seen from the frame       | rad   | ±π; > 0: it lies to the left      |
    | 5 | d      | distance of the front tyre from its centre  | m     | from 0 to float32's largest       |

    Unscaled: a learner divides d by some hundred metres.

    ## Reward
    −1 on a step that ends in a fall, +0.01 on one that reaches the goal. On every other step
    `reward="shaped"`, the paper's: 4e-5 (4 − α²), with α after the step;
    `reward="sparse"`: 0;
    `reward="progress"`, that of Ernst, Geurts & Wehenkel (JMLR 6, 2005), there with the heading for α:
    0.1 (|α_t| − |α_{t+1}|), which adds up to 0.1 (|α_0| − |α_end|), however long the ride.

    With the paper's shaping, riding straight at the goal for ever is worth 1.6e-4 / (1 − gamma): at a discount of 0.99
    0.016, more than the 0.01 of arriving; so who maximises it need not arrive, who is measured by arriving may.

    ## Start and end
    Upright at rest: ω = ω̇ = θ = θ̇ = 0, back tyre at the origin, heading ψ ~ U(−π, π). `terminated`: |ω| > π/15 (12°)
    after the step, or d <= 10 m after it; on a step that does both it is a fall. The last reward tells which: it is −1
    for a fall and only for a fall. `truncated`: `cap` steps taken without either (100,000 steps are 1,000 s; riding
    straight there takes 35,640). The limit is the environment's own: the registered id adds no TimeLimit wrapper.

    ## Arguments
    | name        | default   | meaning                                                                               |
    |-------------|-----------|---------------------------------------------------------------------------------------|
    | noise       | True      | False: no noise on the displacement                                                   |
    | cap         | 100,000   | steps after which an episode is truncated; None: never                                |
    | reward      | "shaped"  | see above                                                                             |
    | distance    | 1000.0    | m from the origin to the goal's centre, > 10                                          |
    | parameters  | None      | `Parameters`; None: the published constants, those named above                        |
    | dtype       | float32   | of observations: float32 or float64                                                   |
    | render_mode | None      | "rgb_array": a picture of the lean and of the way, seen from above                    |

    `reset(seed=s)` seeds start and noise; `reset()` goes on in the same stream. `reset(options={"state": (9 numbers)})`
    starts elsewhere. Environment i of `BicycleGoalVectorEnv`, seeded with s, gives the same numbers bit for bit.

    ## Version history
    v0: first version.
    """

    metadata = METADATA

    def __init__(
        self,
        noise: bool = True,
        cap: int | None = 100_000,
        reward: str = "shaped",
        distance: float = 1000.0,
        parameters: Parameters | None = None,
        dtype: Any = np.float32,
        render_mode: str | None = None,
    ) -> None:
        super().__init__(BicycleGoal(noise, cap, reward, distance, parameters or DEFAULT), dtype, render_mode)
