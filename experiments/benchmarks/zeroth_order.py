"""What does one zeroth-order estimate cost, beside the work no estimator can avoid, and beside other libraries?

The floor draws n × d normals into a buffer, places the points, evaluates the sphere and takes one matrix-vector
product. Every candidate spends n evaluations of the same cost in d dimensions, in float32. CPU time of one thread; all
take turns, and a ratio is the median over rounds of two times of one round, so that the machine's other work cancels. A
generation of PGPE, OpenES, CMA-ES or TBPSA also updates a distribution, which is O(d) beside O(n d) (O(d²) for CMA-ES);
nevergrad asks one point at a time. Libraries that are not installed are skipped by name. Memory is the peak above what
the process held before the call, in a process of its own.

    python experiments/benchmarks/zeroth_order.py               prints, and writes zeroth_order.md beside this file,
                                                                keeping what stands there under "Where the time goes"
    python experiments/benchmarks/zeroth_order.py --only rllab --rounds 15 --out other.md
"""

import importlib
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from experiments.benchmarks.timing import Flags, Page, Step, cell, goal, main, make, microseconds, ratio, take_turns

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ["JAX_PLATFORMS"] = "cpu"

import numpy as np
import torch

from rllab import Cost
from rllab.estimators import SPSA, GaussianSmoothing

SIZES = [(32, 10), (32, 1_000), (256, 10), (256, 1_000), (256, 100_000), (2048, 10), (2048, 1_000)]
SIGMA = 0.1
RATES = {"center_learning_rate": 0.1, "stdev_learning_rate": 0.1, "stdev_init": SIGMA}  # of evotorch's PGPE

# size, or "n d >= 2.5e5", and what it must cost
GOALS = [
    ("rllab", lambda n, d: n * d >= 2.5e5, 0.45),
    ("rllab ±1", lambda n, d: n * d >= 2.5e5, 0.20),
]
SMALL = ((32, 10), 60)  # µs
MEMORY = ((2048, 100_000), 32)  # MiB
PEERS = [
    ("evotorch PGPE", lambda n, d: True, 7.0),
    ("evotorch PGPE functional", lambda n, d: True, 2.2),
    ("evosax OpenES", lambda n, d: d >= 1000, 2.0),
]
PACKAGES = ("evotorch", "evosax", "jax", "nevergrad", "cma")


def sphere(x: torch.Tensor) -> torch.Tensor:
    return torch.linalg.vecdot(x, x)


def floor(n: int, d: int) -> Step:
    mu, eps, x, g, f = torch.zeros(d), torch.empty(n, d), torch.empty(n, d), torch.empty(d), torch.empty(n)
    generator = torch.Generator().manual_seed(0)

    def step() -> None:
        eps.normal_(generator=generator)
        torch.add(mu, eps, alpha=SIGMA, out=x)
        torch.linalg.vecdot(x, x, out=f)
        torch.mv(eps.t(), f, out=g)

    return step


def ours(n: int, d: int, estimator: Any, *, errors: bool = True) -> Step:
    mu, cost = torch.zeros(d), Cost(sphere)
    return lambda: estimator(cost, mu, evaluations=n, key=0, errors=errors)


def evotorch_class(n: int, d: int) -> Step:
    logging.disable(logging.CRITICAL)
    evotorch, algorithms = importlib.import_module("evotorch"), importlib.import_module("evotorch.algorithms")
    vectorized = importlib.import_module("evotorch.decorators").vectorized
    problem = evotorch.Problem(
        "min", vectorized(sphere), solution_length=d, initial_bounds=(-1, 1), device="cpu", seed=0
    )
    return algorithms.PGPE(problem, popsize=n, **RATES).step


def evotorch_functional(n: int, d: int) -> Step:
    functional = importlib.import_module("evotorch.algorithms.functional")
    state = [functional.pgpe(center_init=torch.zeros(d), objective_sense="min", **RATES)]

    def step() -> None:
        x = functional.pgpe_ask(state[0], popsize=n)
        state[0] = functional.pgpe_tell(state[0], x, sphere(x))

    return step


def evosax(n: int, d: int) -> Step:
    jax, algorithms = importlib.import_module("jax"), importlib.import_module("evosax.algorithms")
    zeros = jax.numpy.zeros(d)
    strategy = algorithms.Open_ES(population_size=n, solution=zeros)
    parameters, key = strategy.default_params, jax.random.key(0)

    @jax.jit
    def generation(key: Any, state: Any) -> tuple[Any, Any]:
        key, ask, tell = jax.random.split(key, 3)
        x, state = strategy.ask(ask, state, parameters)
        state, _ = strategy.tell(tell, x, (x * x).sum(-1), state, parameters)
        return key, state

    carry = [(key, strategy.init(key, zeros, parameters))]

    def step() -> None:
        carry[0] = jax.block_until_ready(generation(*carry[0]))

    return step


def nevergrad(n: int, d: int) -> Step:
    if n * d > 30_000:
        raise NotImplementedError("asks point by point")
    library = importlib.import_module("nevergrad")
    parameters = library.p.Array(shape=(d,))
    parameters.random_state.seed(0)
    optimizer = library.optimizers.registry["TBPSA"](parameters, budget=10**9, num_workers=n)

    def step() -> None:
        points = [optimizer.ask() for _ in range(n)]
        values = np.stack([point.value for point in points])
        for point, value in zip(points, (values * values).sum(-1), strict=True):
            optimizer.tell(point, float(value))

    return step


def pycma(n: int, d: int) -> Step:
    if d > 10:
        raise NotImplementedError("d × d covariance")
    library = importlib.import_module("cma")
    strategy = library.CMAEvolutionStrategy(np.zeros(d), SIGMA, {"popsize": n, "verbose": -9, "seed": 1})

    def step() -> None:
        points = strategy.ask()
        strategy.tell(points, np.square(points).sum(-1).tolist())

    return step


CANDIDATES: dict[str, Callable[[int, int], Step]] = {
    "floor": floor,
    "rllab": partial(ours, estimator=GaussianSmoothing(SIGMA)),
    "rllab, no errors": partial(ours, estimator=GaussianSmoothing(SIGMA), errors=False),
    "rllab ±1": partial(ours, estimator=SPSA(SIGMA)),
    "rllab ±1, no errors": partial(ours, estimator=SPSA(SIGMA), errors=False),
    "evotorch PGPE": evotorch_class,
    "evotorch PGPE functional": evotorch_functional,
    "evosax OpenES": evosax,
    "nevergrad TBPSA": nevergrad,
    "cma": pycma,
}


def resident_mib(field: str) -> float:
    """Return VmRSS (now) or VmHWM (peak since the last reset) of this process; Linux only."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) / 1024


def peak_mib(n: int, d: int) -> float:
    """Run in a fresh process: the peak of resident memory during one estimate, above that just before it."""
    ours(4, 10, GaussianSmoothing(SIGMA))()
    step = ours(n, d, GaussianSmoothing(SIGMA))
    before = resident_mib("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    step()
    return resident_mib("VmHWM") - before


def peak_in_a_process(n: int, d: int) -> float:
    """Return `peak_mib` of a process of its own."""
    code = f"from experiments.benchmarks.zeroth_order import peak_mib; print(peak_mib({n}, {d}))"
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def measure(flags: Flags) -> Page:
    names = flags.chosen(CANDIDATES)
    page = Page(packages=tuple(p for p in PACKAGES if p == "jax" or any(name.startswith(p) for name in names)))
    page.head("n × d", "floor", *names[1:])
    for n, d in SIZES[:1] if flags.fast else SIZES:
        steps, skipped = make({name: partial(CANDIDATES[name], n, d) for name in names})
        page.skip(skipped, f"{n} × {d}")
        times = take_turns(steps, flags)
        cells = [cell(times, name, "floor", ".3g") for name in names[1:]]
        page.row(f"{n} × {d:,}", f"{microseconds(times, 'floor'):,.0f} µs", *cells)
        page.goals += goals(times, n, d)
    page.tables += [
        "",
        "`rllab` is a plain call of `GaussianSmoothing`, antithetic, standard errors included; `±1` is `SPSA`.",
    ]
    (n, d), limit = MEMORY
    peak = peak_in_a_process(n, 1_000 if flags.fast else d)
    what = f"peak memory above the parameters, {n} × {d:,}"
    page.goals.append(goal(what, f"<= {limit} MiB", f"{peak:.1f}", peak <= limit))
    return page


def goals(times: dict[str, list[float]], n: int, d: int) -> list[str]:
    rows = []
    for name, applies, limit in GOALS:
        for shown in (name, f"{name}, no errors"):
            if shown in times and applies(n, d):
                got = ratio(times, shown, "floor")
                rows.append(goal(f"{shown}, {n} × {d:,}", f"<= {limit} × floor", f"{got:.2f}", got <= limit))
    if (n, d) == SMALL[0]:
        for shown in ("rllab", "rllab, no errors"):
            if shown in times:
                got = microseconds(times, shown)
                rows.append(goal(f"{shown}, {n} × {d}", f"<= {SMALL[1]} µs", f"{got:.0f} µs", got <= SMALL[1]))
    for name, applies, least in PEERS:
        if name in times and "rllab" in times and applies(n, d):
            got = ratio(times, name, "rllab")
            rows.append(goal(f"{name} / rllab, {n} × {d:,}", f">= {least}", f"{got:.1f}", got >= least))
    return rows


if __name__ == "__main__":
    main(__file__, __doc__, "Zeroth-order estimates: CPU time, in multiples of the floor", measure)
