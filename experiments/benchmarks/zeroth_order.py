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

import argparse
import importlib
import logging
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import experiments  # noqa: F401 - limits threads

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ["JAX_PLATFORMS"] = "cpu"

import numpy as np
import torch

from rllab import Cost
from rllab.estimators import SPSA, GaussianSmoothing
from rllab.files import write_atomically
from rllab.runs.versions import machine

Step = Callable[[], object]
SIZES = [(32, 10), (32, 1_000), (256, 10), (256, 1_000), (256, 100_000), (2048, 10), (2048, 1_000)]
SIGMA = 0.1
NOTES = "## Where the time goes"  # written by hand, and kept
SECONDS = 0.05  # of CPU time for each candidate and round, or two calls

# size, or "n d >= 2.5e5", and what it must cost
GOALS = [
    ("rllab", lambda n, d: n * d >= 2.5e5, 0.45),
    ("rllab ±1", lambda n, d: n * d >= 2.5e5, 0.20),
]
SMALL = ((32, 10), 60e-6)
MEMORY = ((2048, 100_000), 32)
PEERS = [
    ("evotorch PGPE", lambda n, d: True, 7.0),
    ("evotorch PGPE functional", lambda n, d: True, 2.2),
    ("evosax OpenES", lambda n, d: d >= 1000, 2.0),
]


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


def ours(estimator: Any, errors: bool) -> Callable[[int, int], Step]:
    def make(n: int, d: int) -> Step:
        mu, cost = torch.zeros(d), Cost(sphere)
        return lambda: estimator(cost, mu, evaluations=n, key=0, errors=errors)

    return make


def evotorch_class(n: int, d: int) -> Step:
    logging.disable(logging.CRITICAL)
    evotorch, algorithms = importlib.import_module("evotorch"), importlib.import_module("evotorch.algorithms")
    vectorized = importlib.import_module("evotorch.decorators").vectorized
    problem = evotorch.Problem(
        "min", vectorized(sphere), solution_length=d, initial_bounds=(-1, 1), device="cpu", seed=0
    )
    rates = dict(center_learning_rate=0.1, stdev_learning_rate=0.1, stdev_init=SIGMA)
    return algorithms.PGPE(problem, popsize=n, **rates).step


def evotorch_functional(n: int, d: int) -> Step:
    functional = importlib.import_module("evotorch.algorithms.functional")
    rates = dict(center_learning_rate=0.1, stdev_learning_rate=0.1, stdev_init=SIGMA)
    state = [functional.pgpe(center_init=torch.zeros(d), objective_sense="min", **rates)]

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
    "rllab": ours(GaussianSmoothing(SIGMA), errors=True),
    "rllab, no errors": ours(GaussianSmoothing(SIGMA), errors=False),
    "rllab ±1": ours(SPSA(SIGMA), errors=True),
    "rllab ±1, no errors": ours(SPSA(SIGMA), errors=False),
    "evotorch PGPE": evotorch_class,
    "evotorch PGPE functional": evotorch_functional,
    "evosax OpenES": evosax,
    "nevergrad TBPSA": nevergrad,
    "cma": pycma,
}


def cpu_seconds(step: Step) -> float:
    calls = 2
    while True:
        start = time.process_time()
        for _ in range(calls):  # without a look at the clock, which costs as much as a tenth of the smallest estimate
            step()
        spent = time.process_time() - start
        if spent > 0.8 * SECONDS:
            return spent / calls
        calls = math.ceil(calls * min(100, SECONDS / spent))


def measure(n: int, d: int, names: list[str], rounds: int) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Return CPU seconds by candidate and round, and why the others did not run."""
    steps, skipped = {}, {}
    for name in names:
        try:
            steps[name] = CANDIDATES[name](n, d)
            for _ in range(2):  # compile, allocate, fill caches
                steps[name]()
        except ModuleNotFoundError as error:
            skipped[name] = f"{error.name} is not installed"
        except NotImplementedError as error:
            skipped[name] = str(error)
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            times[name].append(cpu_seconds(step))
    return times, skipped


def ratio(times: dict[str, list[float]], name: str, to: str) -> float:
    return statistics.median(a / b for a, b in zip(times[name], times[to], strict=True))


def resident_mib(field: str) -> float:
    """Return VmRSS (now) or VmHWM (peak since the last reset) of this process; Linux only."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) / 1024


def peak_mib(n: int, d: int) -> float:
    """Run in a fresh process: the peak of resident memory during one estimate, above that just before it."""
    ours(GaussianSmoothing(SIGMA), errors=True)(4, 10)()
    step = ours(GaussianSmoothing(SIGMA), errors=True)(n, d)
    before = resident_mib("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    step()
    return resident_mib("VmHWM") - before


def verdict(met: bool) -> str:
    return "met" if met else "**missed**"


def report(rounds: int, only: list[str] | None) -> str:
    names = [name for name in CANDIDATES if not only or name == "floor" or any(name.startswith(o) for o in only)]
    lines, goals = ["| n × d | floor | " + " | ".join(names[1:]) + " |", "|" + " --- |" * (len(names) + 1)], []
    skipped_all: dict[str, set[str]] = {}
    for n, d in SIZES:
        times, skipped = measure(n, d, names, rounds)
        for name, why in skipped.items():
            skipped_all.setdefault(f"{name}: {why}", set()).add(f"{n} × {d}")
        cells = [f"{ratio(times, name, 'floor'):.3g}" if name in times else "" for name in names[1:]]
        microseconds = statistics.median(times["floor"]) * 1e6
        lines.append(f"| {n} × {d:,} | {microseconds:,.0f} µs | " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)
        for name, applies, limit in GOALS:
            for shown in (name, f"{name}, no errors"):
                if shown in times and applies(n, d):
                    got = ratio(times, shown, "floor")
                    goals.append(f"| {shown}, {n} × {d:,} | <= {limit} × floor | {got:.2f} | {verdict(got <= limit)} |")
        if (n, d) == SMALL[0]:
            for shown in ("rllab", "rllab, no errors"):
                if shown in times:
                    got = statistics.median(times[shown])
                    met = verdict(got <= SMALL[1])
                    goals.append(f"| {shown}, {n} × {d} | <= {SMALL[1] * 1e6:.0f} µs | {got * 1e6:.0f} µs | {met} |")
        for name, applies, least in PEERS:
            if name in times and "rllab" in times and applies(n, d):
                got = ratio(times, name, "rllab")
                goals.append(f"| {name} / rllab, {n} × {d:,} | >= {least} | {got:.1f} | {verdict(got >= least)} |")
    (n, d), limit = MEMORY
    command = [sys.executable, __file__, "--peak"]
    peak = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    goals.append(
        f"| peak memory above the parameters, {n} × {d:,} | <= {limit} MiB | {peak:.1f} | {verdict(peak <= limit)} |"
    )
    notes = [f"- {what} ({', '.join(sorted(where))})" for what, where in sorted(skipped_all.items())]
    return "\n".join(
        [
            "# Zeroth-order estimates: CPU time, in multiples of the floor",
            "",
            (__doc__ or "").split("\n\n")[1].replace("\n", " "),
            "",
            f"Written by `zeroth_order.py`: {machine()}{versions(names)}; {rounds} rounds.",
            "",
            *lines,
            "",
            "`rllab` is a plain call of `GaussianSmoothing`, antithetic, standard errors included; `±1` is `SPSA`.",
            "",
            "| goal | limit | got | |",
            "| --- | --- | --- | --- |",
            *goals,
            *(["", "Not run:", *notes] if notes else []),
            "",
        ]
    )


def kept(path: Path) -> str:
    _, heading, text = path.read_text().partition(NOTES) if path.exists() else ("", "", "")
    return f"\n{heading}{text}" if heading else ""


def versions(names: list[str]) -> str:
    found = ""
    for package in ("evotorch", "evosax", "jax", "nevergrad", "cma"):
        try:
            if package == "jax" or any(name.startswith(package) for name in names):
                found += f", {package} {metadata.version(package)}"
        except metadata.PackageNotFoundError:
            continue
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", nargs="*", help="beginnings of candidates' names; the floor is always kept")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".md"))
    parser.add_argument("--peak", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        print(peak_mib(*MEMORY[0]))
        return
    print(machine())
    text = report(options.rounds, options.only) + kept(options.out)
    write_atomically(options.out, text)
    print(text)


if __name__ == "__main__":
    main()
