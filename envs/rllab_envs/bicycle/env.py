"""`rllab/BicycleBalance-v0`: keep the bicycle of Randløv & Alstrøm (ICML 1998) upright, one bicycle at a time."""

from typing import Any

import numpy as np

from ..single import TaskEnv
from .backends import check_backend
from .parameters import DEFAULT, Parameters
from .task import METADATA, balance_task


class BicycleBalanceEnv(TaskEnv):
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
    | # | meaning                                | unit    | sign                      |
    |---|----------------------------------------|---------|---------------------------|
    | 0 | torque T on the handlebar              | 2 N·m   | > 0 turns it left         |
    | 1 | sideways displacement d of the rider   | 0.02 m  | > 0 moves the rider left  |

    Actions are clipped to [−1, 1] and multiplied by their unit; then noise w ~ U(−0.02, 0.02) m is added to d, drawn
    afresh every step.

    ## Observation: Box, (4,), of `dtype`
    | # | symbol | unit  | bounds                                              |
    |---|--------|-------|-----------------------------------------------------|
    | 0 | ω      | rad   | ±0.419: twice the fall angle                        |
    | 1 | ω̇      | rad/s | ± float32's largest number: it has no limit         |
    | 2 | θ      | rad   | ±1.3963: the handlebar's stop; 80° for `ernst`      |
    | 3 | θ̇      | rad/s | ± float32's largest number: it has no limit         |

    The state, unscaled. `rates=False`: ω and θ alone, (2,); one observation does not tell the state then, two do: an
    `author` rate is the difference of the last two angles over 0.01 s.

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
    | rates       | True       | False: ω̇ and θ̇ are not observed                                                      |
    | delay       | 0          | k: an action acts k steps late, the first k steps have action 0                      |
    | dtype       | float32    | of observations: float32 or float64                                                  |
    | render_mode | None       | "rgb_array": a picture of lean, handlebar and track                                  |
    | backend     | "numpy"    | what steps many at once, see `BicycleBalanceVectorEnv`; one bicycle is always numpy's |

    With a delay the k pending actions, the oldest first, end the state, (4 + 2 k,); they are not observed.

    `reset(seed=s)` seeds the noise; `reset()` goes on in the same stream, with a fresh block of `noise.BLOCK` numbers.
    `reset(options={"state": (ω, ω̇, θ, θ̇)})` starts elsewhere. Environment i of `BicycleBalanceVectorEnv`, seeded with
    s, gives the same numbers bit for bit.

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
        rates: bool = True,
        delay: int = 0,
        dtype: Any = np.float32,
        render_mode: str | None = None,
        backend: str = "numpy",
    ) -> None:
        check_backend(type(self).__name__, backend)
        task = balance_task(rates, delay, variant, noise, cap, reward, parameters or DEFAULT)
        super().__init__(task, dtype, render_mode)
