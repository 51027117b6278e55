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

import importlib
import logging
from collections.abc import Callable
from functools import partial

from experiments.benchmarks.timing import (
    Flags,
    Page,
    Step,
    Times,
    cell,
    goal,
    main,
    make,
    microseconds,
    ratio,
    take_turns,
)
from experiments.benchmarks.zeroth_order import sphere

import torch

from rllab import Categorical, Cost, Gaussian
from rllab.estimators import ScoreFunction

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


def our_gaussian(n: int, d: int, *, errors: bool = True) -> Step:
    at, cost = Gaussian(torch.zeros(d), torch.full((d,), SCALE)), Cost(sphere)
    return lambda: ScoreFunction()(cost, at, evaluations=n, key=0, errors=errors)


def our_categorical(n: int, d: int, *, errors: bool = True, counts: bool = False) -> Step:
    if n > LARGE and not counts:
        raise NotImplementedError("only the floor and counts are timed at so many samples")
    logits, table = tables(d)
    at, cost = Categorical(logits, "index"), Cost(lambda x: table.index_select(0, x[:, 0].int()))
    return lambda: ScoreFunction(counts=counts)(cost, at, evaluations=n, key=0, errors=errors)


def torch_gaussian(n: int, d: int, *, validate: bool = True) -> Step:
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


def torch_categorical(n: int, d: int, *, validate: bool = True) -> Step:
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
            "rllab": our_gaussian,
            "rllab, no errors": partial(our_gaussian, errors=False),
            "torch.distributions": torch_gaussian,
            "torch.distributions, unchecked": partial(torch_gaussian, validate=False),
            "evotorch SeparableGaussian": evotorch_gaussian,
        },
    ),
    "Categorical": (
        CATEGORICAL,
        {
            "floor": categorical_floor,
            "rllab": our_categorical,
            "rllab, no errors": partial(our_categorical, errors=False),
            "rllab counts": partial(our_categorical, counts=True),
            "torch.distributions": torch_categorical,
            "torch.distributions, unchecked": partial(torch_categorical, validate=False),
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


def goals(all_times: dict[tuple[str, tuple[int, int]], Times]) -> list[str]:
    rows = []
    for family, size, name, limit in AT_MOST_US:
        if name in (times := all_times[family, size]):
            got = microseconds(times, name)
            rows.append(goal(f"{name}, {shown(family, size)}", f"<= {limit} µs", f"{got:.0f} µs", got <= limit))
    for family, size, name, limit in AT_MOST_FLOORS:
        if name in (times := all_times[family, size]):
            got = ratio(times, name, "floor")
            rows.append(goal(f"{name}, {shown(family, size)}", f"<= {limit} × floor", f"{got:.2f}", got <= limit))
    for family, size, other, name, least in TIMES_AS_LONG:
        times = all_times[family, size]
        if name in times and other in times:
            got = ratio(times, other, name)
            rows.append(goal(f"{other} / {name}, {shown(family, size)}", f">= {least:g}", f"{got:.1f}", got >= least))
    if "rllab counts" in all_times[MORE]:
        got = microseconds(all_times[MORE], "rllab counts") / microseconds(all_times[FEWER], "rllab counts")
        what = f"rllab counts, {shown(*MORE)} / {MORE[1][0] // FEWER[1][0]} times fewer samples"
        rows.append(goal(what, "<= 1.2", f"{got:.2f}", got <= 1.2))
    return rows


def shown(family: str, size: tuple[int, int]) -> str:
    return f"{family} {size[0]:,} × {size[1]:,}"


def measure(flags: Flags) -> Page:
    page = Page(remark=" n samples × d dimensions, or choices.")
    all_times: dict[tuple[str, tuple[int, int]], Times] = {}
    for family, (sizes, candidates) in FAMILIES.items():
        names = flags.chosen(candidates)
        page.tables += [""] if page.tables else []
        page.head(family, *names)
        for n, d in sizes[:1] if flags.fast else sizes:
            steps, skipped = make({name: partial(candidates[name], n, d) for name in names})
            page.skip(skipped, shown(family, (n, d)))
            times = all_times[family, (n, d)] = take_turns(steps, flags)
            cells = [cell(times, name, "floor", ".3g") for name in names[1:]]
            page.row(f"{n:,} × {d:,}", f"{microseconds(times, 'floor'):,.0f} µs", *cells)
    page.tables += [
        "",
        "`rllab` is a plain call of `ScoreFunction`, with leave-one-out and standard errors; "
        "`counts` draws how often each choice occurs.",
    ]
    if not flags.fast:
        page.goals += goals(all_times)
    return page


if __name__ == "__main__":
    main(__file__, __doc__, "Score-function estimates: CPU time, in multiples of the floor", measure)
