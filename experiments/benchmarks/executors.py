"""How much of two processes do evaluations elsewhere use, and what does it cost to send one, or to lose a worker?

Evaluations compute, which needs a core each, or wait, as for a simulator that runs somewhere else; two workers share
them, after all have started. "ideal" is half of what the evaluations take one after another; a fraction is the median
over rounds, in wall time, so it says something on a machine that does nothing else. A generation is of 40 policies, an
episode each of 20 steps that wait for 5 ms. Bytes are those of one estimate, as they are pickled for workers. A lost
worker is killed in the middle of each generation by what it evaluates; "same" says whether all costs are those of a
generation without losses. The page is written at each stage, so that an interrupted run leaves what it has measured.

    python experiments/benchmarks/executors.py             prints, and writes executors.md beside this file
    python experiments/benchmarks/executors.py --fast      a few short evaluations, to see that it runs
    unshare --map-root-user --net sh -c 'ip link set lo up && python experiments/benchmarks/executors.py'    with Ray
"""

import heapq
import os
import pickle
import signal
import socket
import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from experiments.benchmarks.timing import Flags, Page, goal, main

import gymnasium
import numpy as np
import torch
from torch import Tensor

from rllab import Cost, Key
from rllab import estimators as est
from rllab.agents import Evolution
from rllab.executors import RayExecutor, Workers
from rllab.executors.jobs import Executor

Executors = dict[str, Executor]

WORKERS = 2
LARGE = 10**6  # parameters


def compute(seconds: float, point: Tensor) -> float:
    """Compute for so long, in CPU time of this process."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
    return float(point.sum())


def wait(seconds: float, point: Tensor) -> float:
    """Wait for so long."""
    time.sleep(seconds)
    return float(point.sum())


def die_once(folder: Path, seconds: float, point: Tensor) -> float:
    """Wait; the first who comes to a point above 1 kills its own process."""
    if point[0] > 1:
        mark = folder / f"{point[0]:.0f}"
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    return wait(seconds, point)


def pool() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn"))


def wall(cost: Cost, points: Tensor) -> float:
    start = time.perf_counter()
    cost(points)
    return time.perf_counter() - start


class Waiting(gymnasium.Env):
    """Take so long for each of so many steps, as a simulator does that runs somewhere else."""

    observation_space = gymnasium.spaces.Box(-1, 1, (3,))
    action_space = gymnasium.spaces.Box(-1, 1, (1,))

    def __init__(self, steps: int, seconds: float):
        self.steps, self.seconds = steps, seconds

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.t = 0
        return np.zeros(3, np.float32), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        time.sleep(self.seconds)
        self.t += 1
        return (
            self.np_random.uniform(-1, 1, 3).astype(np.float32),
            -abs(float(action[0])),
            False,
            self.t >= self.steps,
            {},
        )


def generations(flags: Flags, page: Page, executors: Executors) -> Iterator[Page]:
    n, steps, seconds = (4, 4, 0.005) if flags.fast else (40, 20, 0.005)
    cells = []
    for name, executor in executors.items():
        agent = Evolution(partial(Waiting, steps, seconds), population=n, hidden=(16,), executor=executor)
        rows, times = agent.train((flags.rounds + 1) * n * steps), []
        for _ in range(flags.rounds + 1):
            start = time.perf_counter()
            next(rows)
            times.append(time.perf_counter() - start)
        cells.append(shown(name, f"{n * steps * seconds / WORKERS / statistics.median(times[1:]):.3f} × ideal"))
    page.row(f"a generation of {n} policies, {steps} × {seconds * 1000:.0f} ms each", *cells)
    yield page


def shown(name: str, cell: str) -> str:
    """Show a cell as soon as it is known."""
    print(f"{name}: {cell}", flush=True)
    return cell


def speed(flags: Flags, page: Page, executors: Executors) -> Iterator[Page]:
    n, seconds = (4, 0.02) if flags.fast else (200, 0.1)
    page.head(f"{n} evaluations of {seconds * 1000:.0f} ms", *executors)
    for how in (compute, wait):
        cells, ideal = [], n * seconds / WORKERS
        for name, executor in executors.items():
            cost = Cost(partial(how, seconds), batched=False, executor=executor)
            cost(torch.zeros(2 * WORKERS, 3))
            used = statistics.median(ideal / wall(cost, torch.zeros(n, 3)) for _ in range(flags.rounds))
            cells.append(shown(f"{name}, {how.__name__}", f"{used:.3f} × ideal"))
            page.goals.append(goal(f"{name}, {how.__name__}", ">= 0.90 × ideal", f"{used:.3f}", used >= 0.9))
        page.row(how.__name__, *cells)
        yield page


def overhead(flags: Flags, page: Page, executors: Executors) -> Iterator[Page]:
    n, seconds = 40 if flags.fast else 2000, 0.001
    alone = wall(Cost(partial(wait, seconds), batched=False), torch.zeros(n, 3)) / n
    for chunk in ("auto", 1):
        cells = []
        for name, executor in executors.items():
            cost = Cost(partial(wait, seconds), batched=False, executor=executor, chunk=chunk)
            cost(torch.zeros(2 * WORKERS, 3))
            each = statistics.median(wall(cost, torch.zeros(n, 3)) for _ in range(flags.rounds)) / n
            cells.append(shown(name, f"{(each - alone / WORKERS) * 1e6:.0f} µs"))
        page.row(f"overhead of an evaluation of 1 ms, chunk={chunk}", *cells)
        yield page


class Weighing(Workers):
    """Own workers that weigh what they are sent: a function once for each, inputs every time."""

    def __init__(self, count: int):
        super().__init__(count)
        self.sent, self._weighed = 0, None

    def submit(self, function: Any, /, *inputs: Any, timeout: float | None = None) -> Future[Any]:
        if function is not self._weighed:
            self._weighed = function
            self.sent += self.count * len(pickle.dumps(function))
        self.sent += len(pickle.dumps(inputs))
        return super().submit(function, *inputs, timeout=timeout)


def messages(flags: Flags, page: Page) -> None:
    d, m = (10**4, 8) if flags.fast else (LARGE, 2048)
    at = torch.zeros(d)
    pool = Weighing(WORKERS)
    with pool:
        cost = Cost(partial(wait, 0.0), batched=False, executor=pool)
        est.GaussianSmoothing()(cost, at, evaluations=2 * m, key=0, errors=False)
    beside = pool.sent - WORKERS * at.nbytes
    page.more.append(
        f"Bytes sent to own workers for {m} pairs of {d:,} float32: {pool.sent:,}, of which the parameters, once for "
        f"each of {WORKERS} workers, are {WORKERS * at.nbytes:,}, and all the rest {beside:,}; the points themselves "
        f"would be {2 * m * at.nbytes:,}."
    )


def stragglers(page: Page) -> None:
    """Simulate workers that take the next of n evaluations when they are done with one; times are lognormal."""
    page.more += ["", "Calculated, not measured: the share of W workers that is used by n evaluations, whose times are",
                  "lognormal with a standard deviation of their logarithm of 0.5, so that one in a hundred takes more",
                  "than 3.2 times the median:", "", "| W | n = W | n = 2 W | n = 4 W | n = 16 W |",
                  "| --- | --- | --- | --- | --- |"]  # fmt: skip
    for count in (100, 1_000, 10_000):
        cells = [f"{used_by(count, each):.2f}" for each in (1, 2, 4, 16)]
        page.more.append(f"| {count:,} | {' | '.join(cells)} |")


def used_by(count: int, each: int) -> float:
    """Return Σ times / (workers × the time until the last is done)."""
    rng = np.random.default_rng(Key(0).child("stragglers", count, each))  # type: ignore[arg-type] - a seed sequence
    times = rng.lognormal(0.0, 0.5, count * each)
    free = [0.0] * count
    for seconds in times.tolist():
        heapq.heapreplace(free, free[0] + seconds)
    return float(times.sum()) / (count * max(free))


def losses(flags: Flags, page: Page, executors: Executors) -> Iterator[Page]:
    n, seconds = (8, 0.01) if flags.fast else (200, 0.02)
    cells = []
    with tempfile.TemporaryDirectory() as folder:
        for i, (name, executor) in enumerate(executors.items()):
            cost = Cost(partial(die_once, Path(folder), seconds), batched=False, executor=executor)
            cost(torch.zeros(2 * WORKERS, 3))
            without, right, times = wall(cost, torch.zeros(n, 3)), True, []
            for generation in range(flags.rounds):
                points = torch.zeros(n, 3)
                points[n // 2, 0] = 2 + flags.rounds * i + generation
                start = time.perf_counter()
                right &= torch.equal(cost(points), points.sum(-1))
                times.append(time.perf_counter() - start)
            cost.close()
            more = statistics.median(times) - without
            cells.append(shown(name, f"{more:.2f} s, {'same' if right else '**other**'} costs"))
    page.row(f"a worker lost in each generation of {n} × {seconds * 1000:.0f} ms", *cells)
    yield page


def apart() -> bool:
    """Whether there is no network interface but loopback: Ray listens on all there are."""
    return {name for _, name in socket.if_nameindex()} == {"lo"}


def measure(flags: Flags) -> Iterator[Page]:
    page = Page(remark=f" {WORKERS} workers; load average at the start {os.getloadavg()[0]:.1f}.", packages=("ray",))
    with ExitStack() as stack:
        own, given = stack.enter_context(Workers(WORKERS)), stack.enter_context(pool())
        executors: Executors = {"own workers": own, "ProcessPoolExecutor": given}
        survivors: Executors = {"own workers": own, "ProcessPoolExecutor": pool}
        if apart():
            executors["Ray"] = survivors["Ray"] = stack.enter_context(RayExecutor("local"))
        else:
            page.skip({"Ray": "there are other network interfaces than loopback, and it listens on all"}, "everywhere")
        yield from speed(flags, page, executors)
        yield from generations(flags, page, executors)
        yield from overhead(flags, page, executors)
        yield from losses(flags, page, survivors)
    messages(flags, page)
    yield page
    stragglers(page)
    yield page


if __name__ == "__main__":
    main(__file__, __doc__, "Evaluations elsewhere: what is used of two workers", measure, rounds=5)
