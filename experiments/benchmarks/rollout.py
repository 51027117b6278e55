"""How many bicycle steps does one core take in a second of CPU time, ridden by a policy?

All bicycles are ridden by the linear policy that never falls, computed by numpy within the time; noise is drawn within
it too. Steps in float64, CPU time of one thread, the best of several rounds taken in turn. A step of a bicycle that
has fallen would cost as much and count for nothing, so the script fails if one falls. Seeding is timed on its own: it
is paid once an episode.

    python experiments/benchmarks/rollout.py                   prints, and writes rollout.md beside this file
"""

from collections.abc import Callable

from experiments.benchmarks.timing import Flags, Page, Step, goal, main, take_turns

import gymnasium
import numpy as np

ID = "rllab_envs:rllab/BicycleBalance-v0"
SIZES = (1, 64, 256, 2048)
GOALS = {2048: 10.0}  # million steps in a second of CPU time, at least
STEPS = 2_000
GAIN = np.array([71.04, 29.97, -21.60, -2.29]) / 2.0  # of ω, ω̇, θ, θ̇; 2 N·m is the action 1


def many(n: int) -> tuple[Callable[[], object], Callable[[int], None]]:
    """Return calls that seed n bicycles and that take steps with all of them; none may fall."""
    env = gymnasium.make_vec(ID, num_envs=n, cap=None, dtype=np.float64, autoreset_mode="DISABLED")
    actions, seen = np.zeros((n, 2)), np.zeros((n, 4))

    def seed() -> None:
        seen[:] = env.reset(seed=0)[0]  # bicycle i: seed i

    def ride(steps: int) -> None:
        observations, terminated = seen, np.zeros(n, np.bool_)
        for _ in range(steps):
            np.matmul(observations, GAIN, out=actions[:, 0])
            observations, _, terminated, _, _ = env.step(actions)
        seen[:] = observations
        if terminated.any():  # who has fallen stays so
            raise RuntimeError(f"{terminated.sum()} of {n} bicycles fell: not every step was ridden")

    return seed, ride


def single() -> tuple[Callable[[], object], Callable[[int], None]]:
    """Return the same calls for the environment of one bicycle."""
    env = gymnasium.make(ID, cap=None, dtype=np.float64, disable_env_checker=True).unwrapped
    action, seen = np.zeros(2), np.zeros(4)

    def seed() -> None:
        seen[:] = env.reset(seed=0)[0]

    def ride(steps: int) -> None:
        observation = seen
        for _ in range(steps):
            action[0] = observation @ GAIN
            observation, _, terminated, _, _ = env.step(action)
            if terminated:
                raise RuntimeError("the rider fell")
        seen[:] = observation

    return seed, ride


def measure(flags: Flags) -> Page:
    page, steps = Page(), 20 if flags.fast else STEPS
    sizes = {("single" if n == 1 else f"{n} bicycles"): n for n in (SIZES[:2] if flags.fast else SIZES)}
    calls: dict[str, Step] = {}
    for name in flags.chosen(sizes):
        seed, ride = single() if name == "single" else many(sizes[name])
        seed()
        ride(100)  # so that caches are filled
        calls |= {f"{name}, seeding": seed, name: lambda ride=ride: ride(steps)}
    times = take_turns(calls, flags)
    page.head("environments", "steps / CPU s", "µs a call", "seeding one")
    for name, n in sizes.items():
        if name in times:
            call, seeding = min(times[name]) / steps * 1e6, min(times[f"{name}, seeding"]) / n * 1e6
            page.row(name, f"{n / call:.3f} M", f"{call:.1f}", f"{seeding:.1f} µs")
            if n in GOALS:
                page.goals.append(goal(name, f">= {GOALS[n]:g} M", f"{n / call:.1f} M", n / call >= GOALS[n]))
    return page


if __name__ == "__main__":
    main(__file__, __doc__, "Rollouts: steps of the bicycle in a second of CPU time", measure, rounds=7)
