"""Does a rider that nobody trained find its way to a goal, whatever direction it starts in?

The rider by hand of `riders.py` leans towards the goal and balances about that lean, in `rllab/BicycleGoal-v0` with the
goal at 100 m. Written down before the run: it arrives from at least 90 of 100 starts, and one that does not look where
the goal lies, its bearing set to 0, from at most 10.

    python experiments/agents/goal_ride.py    some seconds; results/goal_ride holds numbers and pictures
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar

from experiments.agents.learners import TASKS
from experiments.agents.ride import write_gif
from experiments.agents.riders import GoalRider, LinearRider, balance_rider, ride
from experiments.common.frame import Flags, Judge, column, main, select

import gymnasium
import numpy as np
from PIL import Image

from rllab.files import write_atomically
from rllab.runs import Job, Record

TASK = TASKS["goal"]
RIDES = 100
LIMIT = 5_000  # steps; straight at the goal there are 3,240
EVERY = 120  # steps from one picture to the next: 1.2 s
PICTURES = "pictures.npz"
RIDERS = {
    "looks": GoalRider(),
    "does not look": LinearRider(tuple((*row, 0.0, 0.0) for row in balance_rider().gain)),  # 0 on bearing and distance
}


@dataclass(frozen=True)
class Config(Flags):
    seeds: int = 1
    """Sets of 100 starts."""
    quick: ClassVar[dict[str, Any]] = {"seeds": 1}


def jobs_of(config: Config) -> Iterator[Job]:
    """Yield the rides of either rider."""
    for seed in config.all_seeds:
        for name in RIDERS:
            yield Job(
                f"{name.replace(' ', '-')}-{seed}", {"rider": name, "pictures": seed == 0 and name == "looks"}, seed
            )


def run(job: Job, record: Record) -> dict[str, Any]:
    """Ride from every start, and once more for the pictures."""
    rider, arguments = RIDERS[job.config["rider"]], {**TASK.arguments, **TASK.judged, "cap": LIMIT}
    ridden = ride(rider, TASK.environment, rides=RIDES, key=job.seed, environment_arguments=arguments)
    if job.config["pictures"]:
        file = BytesIO()
        np.savez_compressed(file, shown=pictures(rider, job.seed))
        write_atomically(record.folder / PICTURES, file.getvalue())
    arrived = ridden.returns >= TASK.goal
    return {"arrived": arrived.sum(), "steps": float(np.median(ridden.lengths[arrived])) if arrived.any() else None}


def pictures(rider: GoalRider | LinearRider, seed: int) -> np.ndarray:
    """Ride once and return every EVERY-th picture and the last, (pictures, height, width, 3)."""
    env = gymnasium.make(TASK.environment, **TASK.arguments, render_mode="rgb_array")
    o, _ = env.reset(seed=seed)
    shown, over, steps = [], False, 0
    while not over and steps < LIMIT:
        o, _, terminated, truncated, _ = env.step(rider(o[None])[0].astype(np.float32))
        over, steps = terminated or truncated, steps + 1
        if over or steps % EVERY == 0:
            shown.append(np.asarray(env.render()))
    env.close()
    return np.stack(shown)


def claims(records: list[Record], config: Config, judge: Judge) -> None:
    """Judge who arrives."""
    looks, blind = (select(records, rider=name) for name in RIDERS)
    share, steps = column(looks, "arrived").min(), np.median(column(looks, "steps"))
    judge(share >= 90, f"it arrives from {share:.0f} of {RIDES} starts, after {steps:,.0f} steps (needs >= 90)")
    share = column(blind, "arrived").max()
    judge(share <= 10, f"without looking at the goal it arrives from {share:.0f} of {RIDES} (needs <= 10)")


def figure(records: list[Record], config: Config) -> Path:
    """Write the GIF of one ride to the goal."""
    with np.load(select(records, rider="looks")[0].folder / PICTURES) as stored:
        frames = [Image.fromarray(picture) for picture in stored["shown"]]
    return write_gif(frames, config.out / "goal_ride.gif", [120] * (len(frames) - 1) + [1500])


if __name__ == "__main__":
    main(Config, __doc__, jobs_of, run, claims, figure)
