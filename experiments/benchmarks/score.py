"""What does one score-function estimate cost, beside the work no estimator can avoid, and beside other libraries?

Gaussian: mean and scale in d dimensions, sphere cost; the floor draws n × d normals into a buffer, places the points,
evaluates and takes two matrix-vector products. Categorical: one choice among d, whose cost is looked up in a table; the
floor draws n indices by bisection, gathers costs and takes a histogram. All subtract the mean cost or, as rllab does,
the mean of the others, in float32. CPU time of one thread; all take turns, and a ratio is the median over rounds of two
times of one round, so that the machine's other work cancels. torch.distributions stands for a surrogate loss, backward
included; its samples come from the global generator. Libraries that are not installed are skipped by name.

    python experiments/benchmarks/score.py                      prints, and writes score.md beside this file, keeping
                                                                what stands there under "Where the time goes"
    python experiments/benchmarks/score.py --only rllab --rounds 15 --out other.md
"""

import argparse
import importlib
import logging
import statistics
from collections.abc import Callable
from pathlib import Path

from experiments.benchmarks.zeroth_order import Step, cpu_seconds, kept, ratio, sphere, verdict

import torch

from rllab import Categorical, Cost, Gaussian
from rllab.estimators import ScoreFunction
from rllab.files import write_atomically
from rllab.runs.versions import machine

GAUSSIAN = [(32, 10), (1_000, 10), (1_000, 1_000), (10_000, 100)]
CATEGORICAL = [(32, 10), (1_000, 10), (1_000, 1_000), (100_000, 10), (10_000_000, 10)]
SCALE = 0.1
LARGE = 10**6  # samples; beyond, only the floor and counts are timed

Make = Callable[[int, int], Step]


def gaussian_floor(n: int, d: int) -> Step:
    mean, scale = torch.zeros(d), torch.full((d,), SCALE)
    u, x, f, g, h = (torch.empty(shape) for shape in ((n, d), (n, d), (n,), (d,), (d,)))
    generator = torch.Generator().manual_seed(0)

    def step() -> None:
        u.normal_(generator=generator)
        torch.addcmul(mean, u, scale, out=x)
        torch.linalg.vecdot(x, x, out=f)
        f.sub_(f.mean())
        torch.mv(u.t(), f, out=g)
        torch.square(u, out=x)
        torch.mv(x.t(), f, out=h)
        g.div_(scale)
        h.sub_(f.sum()).div_(scale)

    return step


def categorical_floor(n: int, d: int) -> Step:
    logits, table = tables(d)
    u, index = torch.empty(n), torch.empty(n, dtype=torch.int64)
    generator = torch.Generator().manual_seed(0)

    def step() -> None:
        p = torch.softmax(logits, 0)
        cdf = p.cumsum(0)
        u.uniform_(0, float(cdf[-1]), generator=generator)
        torch.searchsorted(cdf, u, right=True, out=index)
        f = table.index_select(0, index.clamp_(max=d - 1))
        f.sub_(f.mean())
        torch.bincount(index, f, d).sub_(p, alpha=float(f.sum())).div_(n)

    return step


def tables(d: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits and costs of d choices."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(d, generator=generator), torch.randn(d, generator=generator)


def our_gaussian(errors: bool) -> Make:
    def make(n: int, d: int) -> Step:
        at, cost = Gaussian(torch.zeros(d), torch.full((d,), SCALE)), Cost(sphere)
        return lambda: ScoreFunction()(cost, at, evaluations=n, key=0, errors=errors)

    return make


def our_categorical(errors: bool, counts: bool = False) -> Make:
    def make(n: int, d: int) -> Step:
        if n > LARGE and not counts:
            raise NotImplementedError("only the floor and counts are timed at so many samples")
        logits, table = tables(d)
        at, cost = Categorical(logits, "index"), Cost(lambda x: table.index_select(0, x[:, 0].int()))
        return lambda: ScoreFunction(counts=counts)(cost, at, evaluations=n, key=0, errors=errors)

    return make


def torch_gaussian(validate: bool) -> Make:
    def make(n: int, d: int) -> Step:
        td = torch.distributions
        mean, log_scale = torch.zeros(d, requires_grad=True), torch.full((d,), -2.3, requires_grad=True)

        def step() -> None:
            mean.grad = log_scale.grad = None
            normal = td.Normal(mean, log_scale.exp(), validate_args=validate)
            q = td.Independent(normal, 1, validate_args=validate)
            x = q.sample((n,))
            f = sphere(x)
            (q.log_prob(x) * (f - f.mean())).mean().backward()

        return step

    return make


def torch_categorical(validate: bool) -> Make:
    def make(n: int, d: int) -> Step:
        if n > LARGE:
            raise NotImplementedError("only the floor and counts are timed at so many samples")
        logits, table = tables(d)
        logits.requires_grad_()

        def step() -> None:
            logits.grad = None
            q = torch.distributions.Categorical(logits=logits, validate_args=validate)
            x = q.sample((n,))
            f = table.index_select(0, x)
            (q.log_prob(x) * (f - f.mean())).mean().backward()

        return step

    return make


def evotorch_gaussian(n: int, d: int) -> Step:
    logging.disable(logging.CRITICAL)
    distributions = importlib.import_module("evotorch.distributions")
    divide = dict(divide_mu_grad_by="num_solutions", divide_sigma_grad_by="num_solutions")
    parameters = dict(mu=torch.zeros(d), sigma=torch.full((d,), SCALE), **divide)
    q = distributions.SeparableGaussian(parameters, solution_length=d)

    def step() -> None:
        x = q.sample(n)
        q.compute_gradients(x, sphere(x), objective_sense="min", ranking_method="raw")

    return step


FAMILIES: dict[str, tuple[list[tuple[int, int]], dict[str, Make]]] = {
    "Gaussian": (
        GAUSSIAN,
        {
            "floor": gaussian_floor,
            "rllab": our_gaussian(errors=True),
            "rllab, no errors": our_gaussian(errors=False),
            "torch.distributions": torch_gaussian(validate=True),
            "torch.distributions, unchecked": torch_gaussian(validate=False),
            "evotorch SeparableGaussian": evotorch_gaussian,
        },
    ),
    "Categorical": (
        CATEGORICAL,
        {
            "floor": categorical_floor,
            "rllab": our_categorical(errors=True),
            "rllab, no errors": our_categorical(errors=False),
            "rllab counts": our_categorical(errors=True, counts=True),
            "torch.distributions": torch_categorical(validate=True),
            "torch.distributions, unchecked": torch_categorical(validate=False),
        },
    ),
}

# family, size, what is compared: a candidate's seconds, or how many times longer another takes, and the limit
AT_MOST_US = [("Gaussian", (32, 10), name, 100) for name in ("rllab", "rllab, no errors")]
AT_MOST_FLOORS = [("Gaussian", (1_000, 1_000), "rllab", 1.4)]
TORCH = "torch.distributions"
TIMES_AS_LONG = [
    ("Gaussian", (32, 10), TORCH, "rllab", 2.5),
    ("Gaussian", (32, 10), TORCH, "rllab, no errors", 2.5),
    ("Gaussian", (1_000, 1_000), TORCH, "rllab", 2.2),
    *[("Categorical", size, TORCH, "rllab, no errors", 4.0) for size in CATEGORICAL[:4]],
    ("Categorical", (100_000, 10), TORCH, "rllab counts", 4.0),
    ("Categorical", (10_000_000, 10), "floor", "rllab counts", 200.0),
]
FEWER, MORE = (("Categorical", (n, 10)) for n in (100_000, 10_000_000))  # counts: O(d), whatever n
Times = dict[str, list[float]]


def measure(family: str, n: int, d: int, names: list[str], rounds: int) -> tuple[Times, dict[str, str]]:
    """Return CPU seconds by candidate and round, and why the others did not run."""
    steps: dict[str, Step] = {}
    skipped: dict[str, str] = {}
    for name in names:
        try:
            steps[name] = FAMILIES[family][1][name](n, d)
            steps[name]()
        except ModuleNotFoundError as error:
            skipped[name] = f"{error.name} is not installed"
        except NotImplementedError as error:
            skipped[name] = str(error)
    times: Times = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            times[name].append(cpu_seconds(step))
    return times, skipped


def goals(all_times: dict[tuple[str, tuple[int, int]], Times]) -> list[str]:
    lines = []
    for family, size, name, limit in AT_MOST_US:
        if name in (times := all_times[family, size]):
            got = statistics.median(times[name]) * 1e6
            lines.append(f"| {name}, {shown(family, size)} | <= {limit} µs | {got:.0f} µs | {verdict(got <= limit)} |")
    for family, size, name, limit in AT_MOST_FLOORS:
        if name in (times := all_times[family, size]):
            got = ratio(times, name, "floor")
            lines.append(
                f"| {name}, {shown(family, size)} | <= {limit} × floor | {got:.2f} | {verdict(got <= limit)} |"
            )
    for family, size, other, name, least in TIMES_AS_LONG:
        times = all_times[family, size]
        if name in times and other in times:
            got = ratio(times, other, name)
            what = f"{other} / {name}, {shown(family, size)}"
            lines.append(f"| {what} | >= {least:g} | {got:.1f} | {verdict(got >= least)} |")
    if "rllab counts" in all_times[MORE]:
        got = statistics.median(all_times[MORE]["rllab counts"]) / statistics.median(all_times[FEWER]["rllab counts"])
        what = f"rllab counts, {shown(*MORE)} / {MORE[1][0] // FEWER[1][0]} times fewer samples"
        lines.append(f"| {what} | <= 1.2 | {got:.2f} | {verdict(got <= 1.2)} |")
    return lines


def shown(family: str, size: tuple[int, int]) -> str:
    return f"{family} {size[0]:,} × {size[1]:,}"


def report(rounds: int, only: list[str] | None) -> str:
    tables_: list[str] = []
    all_times: dict[tuple[str, tuple[int, int]], Times] = {}
    skipped_all: dict[str, list[str]] = {}
    for family, (sizes, candidates) in FAMILIES.items():
        names = [n for n in candidates if not only or n == "floor" or any(n.startswith(o) for o in only)]
        tables_ += ["", f"| {family} | " + " | ".join(names) + " |", "|" + " --- |" * (len(names) + 1)]
        for n, d in sizes:
            times, skipped = measure(family, n, d, names, rounds)
            all_times[family, (n, d)] = times
            for name, why in skipped.items():
                skipped_all.setdefault(f"- {name}: {why}", []).append(shown(family, (n, d)))
            cells = [f"{ratio(times, name, 'floor'):.3g}" if name in times else "" for name in names[1:]]
            microseconds = statistics.median(times["floor"]) * 1e6
            tables_.append(f"| {n:,} × {d:,} | {microseconds:,.0f} µs | " + " | ".join(cells) + " |")
            print(tables_[-1], flush=True)
    notes = [f"{what} ({', '.join(where)})" for what, where in sorted(skipped_all.items())]
    return "\n".join(
        [
            "# Score-function estimates: CPU time, in multiples of the floor",
            "",
            (__doc__ or "").split("\n\n")[1].replace("\n", " "),
            "",
            f"Written by `score.py`: {machine()}; {rounds} rounds. n samples × d dimensions, or choices.",
            *tables_,
            "",
            "`rllab` is a plain call of `ScoreFunction`, with leave-one-out and standard errors; "
            "`counts` draws how often each choice occurs.",
            "",
            "| goal | limit | got | |",
            "| --- | --- | --- | --- |",
            *goals(all_times),
            *(["", "Not run:", *notes] if notes else []),
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", nargs="*", help="beginnings of candidates' names; the floor is always kept")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".md"))
    options = parser.parse_args()
    print(machine())
    text = report(options.rounds, options.only) + kept(options.out)
    write_atomically(options.out, text)
    print(text)


if __name__ == "__main__":
    main()
