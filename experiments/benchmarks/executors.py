"""How much of two processes do evaluations elsewhere use, and what does it cost to send one, or to lose a worker?

Evaluations compute, which needs a core each, or wait, as for a simulator that runs somewhere else; two workers share
them, after all have started. "ideal" is half of what the evaluations take one after another; a fraction is the median
over rounds, in wall time, so it says something on a machine that does nothing else. Bytes are those of a generation's
points, as they are pickled for workers. A lost worker is killed in the middle of each generation by what it evaluates;
"same" says whether all costs are those of a generation without losses.

    python experiments/benchmarks/executors.py             prints, and writes executors.md beside this file
    python experiments/benchmarks/executors.py --fast      a few short evaluations, to see that it runs
"""

import os
import pickle
import signal
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from experiments.benchmarks.timing import Flags, Page, goal, main

import torch
from torch import Tensor

from rllab import Cost
from rllab.executors import Workers
from rllab.executors.calls import pack
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


def speed(flags: Flags, page: Page, executors: Executors) -> None:
    n, seconds = (4, 0.02) if flags.fast else (200, 0.1)
    page.head(f"{n} evaluations of {seconds * 1000:.0f} ms", *executors)
    for how in (compute, wait):
        cells, ideal = [], n * seconds / WORKERS
        for name, executor in executors.items():
            cost = Cost(partial(how, seconds), batched=False, executor=executor)
            cost(torch.zeros(2 * WORKERS, 3))
            used = statistics.median(ideal / wall(cost, torch.zeros(n, 3)) for _ in range(flags.rounds))
            cells.append(f"{used:.3f} × ideal")
            page.goals.append(goal(f"{name}, {how.__name__}", ">= 0.90 × ideal", f"{used:.3f}", used >= 0.9))
        page.row(how.__name__, *cells)


def overhead(flags: Flags, page: Page, executors: Executors) -> None:
    n, seconds = 40 if flags.fast else 2000, 0.001
    alone = wall(Cost(partial(wait, seconds), batched=False), torch.zeros(n, 3)) / n
    for chunk in ("auto", 1):
        cells = []
        for executor in executors.values():
            cost = Cost(partial(wait, seconds), batched=False, executor=executor, chunk=chunk)
            cost(torch.zeros(2 * WORKERS, 3))
            each = statistics.median(wall(cost, torch.zeros(n, 3)) for _ in range(flags.rounds)) / n
            cells.append(f"{(each - alone / WORKERS) * 1e6:.0f} µs")
        page.row(f"overhead of an evaluation of 1 ms, chunk={chunk}", *cells)


def messages(page: Page, executors: Executors) -> None:
    points, cost = torch.zeros(16, LARGE), partial(wait, 0.0)
    sent = sum(len(pickle.dumps(pack(point[None]))) for point in points)
    cells = [f"{sent / 1e6:.1f} MB of points and {len(pickle.dumps(cost))} B of function"] * len(executors)
    page.row(f"sent for {len(points)} points of 10⁶ float32", *cells)


def losses(flags: Flags, page: Page, executors: Executors) -> None:
    n, seconds = (8, 0.01) if flags.fast else (200, 0.02)
    cells = []
    with tempfile.TemporaryDirectory() as folder:
        for i, executor in enumerate(executors.values()):
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
            cells.append(f"{statistics.median(times) - without:.2f} s, {'same' if right else '**other**'} costs")
    page.row(f"a worker lost in each generation of {n} × {seconds * 1000:.0f} ms", *cells)


def measure(flags: Flags) -> Page:
    page = Page(remark=f" {WORKERS} workers; load average at the start {os.getloadavg()[0]:.1f}.")
    with Workers(WORKERS) as own, pool() as given:
        executors = {"own workers": own, "ProcessPoolExecutor": given}
        speed(flags, page, executors)
        overhead(flags, page, executors)
        losses(flags, page, {"own workers": own, "ProcessPoolExecutor": pool})
        messages(page, executors)
    return page


if __name__ == "__main__":
    main(__file__, __doc__, "Evaluations elsewhere: what is used of two workers", measure, rounds=5)
