"""How many bicycle steps does one core take in a second of CPU time, ridden step by step, and whole rides at a time?

CPU time of one thread, the best of several rounds taken in turn; a ratio is the median over rounds of two times of one
round, so that the machine's other work cancels. Step by step, all bicycles are ridden by the linear policy that never
falls, computed by numpy within the time, as noise is; a step of a bicycle that has fallen would count for nothing, so
the script fails if one falls. Seeding is timed on its own there: it is paid once an episode. Whole rides are of 2,048
riders, each with gains of its own, from seeding to the end, 1,000 steps or a fall: riders that last, and riders drawn
at random, of which most soon fall; only steps ridden count. Backends: numpy in float64, numpy32 in float32, numba
compiled in float64, skipped by name if it is not installed; compiling is not in the times.

    python experiments/benchmarks/rollout.py                   prints, and writes rollout.md beside this file
    python experiments/benchmarks/rollout.py --fast            a few steps of few bicycles, to see that it runs
"""

import time
from collections.abc import Callable
from functools import partial

from experiments.benchmarks.timing import Flags, Page, Step, Times, cell, goal, main, make, ratio, take_turns

import gymnasium
import numpy as np

from rllab_envs.bicycle import ride_population

ID = "rllab_envs:rllab/BicycleBalance-v0"
BACKENDS = ("numpy", "numpy32", "numba")
SIZES = (64, 256, 2048)
RIDERS = 2048
STEPS, CAP = 1_000, 1_000
GAIN = np.array([71.04, 29.97, -21.60, -2.29]) / 2.0  # of ω, ω̇, θ, θ̇; 2 N·m is the action 1
LEAST = {"numpy32": 25.0, "numba": 75.0}  # million steps in a second of CPU time
LEAST_RATIO = 3.0  # of numba over numpy32


class Many:
    """n bicycles of a backend, stepped by calls, of which none may fall."""

    def __init__(self, n: int, backend: str, steps: int):
        dtype = np.float32 if backend == "numpy32" else np.float64
        self.env = gymnasium.make_vec(ID, num_envs=n, cap=None, dtype=dtype, autoreset_mode="DISABLED", backend=backend)
        self.actions, self.gain, self.steps = np.zeros((n, 2), dtype), GAIN.astype(dtype), steps
        self.seed()

    def seed(self) -> None:
        self.observations = self.env.reset(seed=0)[0]  # bicycle i: seed i

    def __call__(self) -> None:
        observations, terminated = self.observations, np.zeros(1, np.bool_)
        for _ in range(self.steps):
            np.matmul(observations, self.gain, out=self.actions[:, 0])
            observations, _, terminated, _, _ = self.env.step(self.actions)
        self.observations = observations
        if terminated.any():  # who has fallen stays so
            raise RuntimeError(f"{terminated.sum()} of {len(terminated)} bicycles fell: not every step was ridden")


class Single:
    """The environment of one bicycle, in the same way."""

    def __init__(self, steps: int):
        self.env = gymnasium.make(ID, cap=None, dtype=np.float64, disable_env_checker=True).unwrapped
        self.action, self.steps = np.zeros(2), steps
        self.seed()

    def seed(self) -> None:
        self.observation = self.env.reset(seed=0)[0]

    def __call__(self) -> None:
        observation = self.observation
        for _ in range(self.steps):
            self.action[0] = observation @ GAIN
            observation, _, terminated, _, _ = self.env.step(self.action)
            if terminated:
                raise RuntimeError("the rider fell")
        self.observation = observation


def gains_of(riders: str, n: int) -> np.ndarray:
    """Return the gains of n riders, (n, 2, 4)."""
    rng = np.random.default_rng(0)
    if riders == "random":
        return rng.normal(0.0, 5.0, (n, 2, 4))
    gains = np.zeros((n, 2, 4))
    gains[:, 0] = GAIN * rng.uniform(0.9, 1.1, (n, 4))
    return gains


def step_by_step(page: Page, flags: Flags, steps: int) -> None:
    sizes = SIZES[:1] if flags.fast else SIZES
    makers: dict[str, Callable[[], Many | Single]] = {"single": partial(Single, steps)}
    makers |= {f"{n} bicycles, {backend}": partial(Many, n, backend, steps) for n in sizes for backend in BACKENDS}
    made, skipped = make({name: makers[name] for name in flags.chosen(makers)})
    calls: dict[str, Step] = {}
    for name, ride in made.items():
        calls |= {f"{name}, seeding": ride.seed, name: ride}
    page.skip(skipped, "step by step")
    times = take_turns(calls, flags)
    page.head("step by step", "steps / CPU s", "µs a call", "seeding one", "numpy / this")
    for name in made:
        n = 1 if name == "single" else int(name.split()[0])
        call, seeding = min(times[name]) / steps * 1e6, min(times[f"{name}, seeding"]) / n * 1e6
        faster = cell(times, f"{n} bicycles, numpy", name)
        page.row(name, f"{n / call:.3f} M", f"{call:.1f}", f"{seeding:.2f} µs", faster)
    name = "2048 bicycles, numpy32"
    if name in times:
        rate = 2048 / (min(times[name]) / steps * 1e6)
        page.goals.append(goal(name, f">= {LEAST['numpy32']:g} M", f"{rate:.1f} M", rate >= LEAST["numpy32"]))


def whole_rides(page: Page, flags: Flags, cap: int) -> None:
    n = 64 if flags.fast else RIDERS
    seeds = np.arange(n)
    made: dict[str, Step] = {}
    for backend in BACKENDS:
        _, skipped = make({backend: partial(ride_small, backend)})
        page.skip(skipped, "whole rides")
        for riders in () if skipped else ("lasting", "random"):
            gains = gains_of(riders, n)
            made[f"{riders}, {backend}"] = partial(ride_population, gains, seeds, cap=cap, backend=backend)
    times: Times = take_turns(made, flags)
    page.tables.append("")
    page.head(f"whole rides of {n} riders", "steps / CPU s", "ms a call", "numpy / this", "numpy32 / this")
    for name in made:
        riders, backend = name.split(", ")
        steps = ride_population(gains_of(riders, n), seeds, cap=cap).lengths.sum()
        rate = steps / min(times[name]) / 1e6
        to = [ratio(times, f"{riders}, {other}", name) for other in ("numpy", "numpy32")]
        page.row(name, f"{rate:.2f} M", f"{min(times[name]) * 1e3:.1f}", *(f"{r:.2f}" for r in to))
        if name == "lasting, numba":
            least, what = LEAST["numba"], "whole rides, lasting, numba"
            page.goals.append(goal(what, f">= {least:g} M", f"{rate:.1f} M", rate >= least))
            page.goals.append(
                goal(f"{what}, over numpy32", f">= {LEAST_RATIO:g}", f"{to[1]:.2f}", to[1] >= LEAST_RATIO)
            )


def ride_small(backend: str) -> Step:
    """Return a short call, which compiles what there is to compile."""
    return partial(ride_population, gains_of("lasting", 2), np.arange(2), cap=2, backend=backend)


def compile_all() -> Step:
    """Compile all that numba compiles here; return a call."""
    Many(1, "numba", 1)()
    return ride_small("numba")


def measure(flags: Flags) -> Page:
    page, start = Page(packages=("numba",)), time.process_time()
    if make({"numba": compile_all})[0]:
        page.more.append(f"Importing and compiling with numba: {time.process_time() - start:.1f} s, once a process.")
    step_by_step(page, flags, 20 if flags.fast else STEPS)
    if not flags.only or any(name.startswith("whole") for name in flags.only):
        whole_rides(page, flags, 20 if flags.fast else CAP)
    return page


if __name__ == "__main__":
    main(__file__, __doc__, "Rollouts: steps of the bicycle in a second of CPU time", measure, rounds=7)
