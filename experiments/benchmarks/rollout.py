"""How many bicycle steps does one core take in a second of CPU time, ridden by a policy?

Rows all ride, by the linear policy that never falls, computed by numpy within the time; noise is drawn within it too.
Steps in float64, CPU time of one thread, the best of several rounds taken in turn. A step of a row that has fallen
would cost as much and count for nothing, so the script fails if one falls. Seeding the rows is timed on its own: it is
paid once an episode.

    python experiments/benchmarks/rollout.py
"""

import time
from collections.abc import Callable

import experiments  # noqa: F401 - limits threads

import gymnasium
import numpy as np

from rllab.runs.versions import machine

ID = "rllab_envs:rllab/BicycleBalance-v0"
ROWS = (64, 256, 2048)
GOALS = {2048: ">= 10 M"}
STEPS, ROUNDS = 2_000, 7
GAIN = np.array([71.04, 29.97, -21.60, -2.29]) / 2.0  # of ω, ω̇, θ, θ̇; 2 N·m is the action 1


def many(n: int) -> tuple[Callable[[], object], Callable[[int], None]]:
    """Return calls that seed n rows and that take steps in all of them; none may fall."""
    env = gymnasium.make_vec(ID, num_envs=n, cap=None, dtype=np.float64, autoreset_mode="DISABLED")
    actions, seen = np.zeros((n, 2)), np.zeros((n, 4))

    def seed() -> None:
        seen[:] = env.reset(seed=0)[0]  # row i: seed i

    def ride(steps: int) -> None:
        observations, terminated = seen, np.zeros(n, np.bool_)
        for _ in range(steps):
            np.matmul(observations, GAIN, out=actions[:, 0])
            observations, _, terminated, _, _ = env.step(actions)
        seen[:] = observations
        if terminated.any():  # fallen rows stay so
            raise RuntimeError(f"{terminated.sum()} of {n} rows fell: not every step was ridden")

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


def cpu_seconds(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def main() -> None:
    print(machine())
    riders = {"single": (1, *single())} | {f"{n} rows": (n, *many(n)) for n in ROWS}
    seeding, riding = ({name: [] for name in riders} for _ in range(2))
    for _ in range(ROUNDS):
        for name, (_, seed, ride) in riders.items():
            seeding[name].append(cpu_seconds(seed))
            ride(100)
            riding[name].append(cpu_seconds(lambda ride=ride: ride(STEPS)))
    print(f"{'':>10}  {'steps / CPU s':>14}  {'µs a call':>9}  {'seeding a row':>13}  goal")
    for name, (n, _, _) in riders.items():
        call = min(riding[name]) / STEPS
        print(
            f"{name:>10}  {n / call / 1e6:>12.3f} M  {call * 1e6:>9.1f}  {min(seeding[name]) / n * 1e6:>10.1f} µs"
            f"  {GOALS.get(n, '')}"
        )


if __name__ == "__main__":
    main()
