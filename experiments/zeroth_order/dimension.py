"""How does the price of a gradient grow with the number of parameters d?

By backpropagation it does not: the gradient costs a few values, however many parameters there are. From values alone
it grows in proportion to d, and for smoothing the law is exact. With m directions on a linear cost of gradient g,

    ĝ = 1/m Σ (g·u) u,  u ~ N(0, I)       cos²(ĝ, g) ~ Beta(m/2, (d − 1)/2)       E cos² = m/(m + d − 1)
    ĝ = d/m Σ (g·q) q,  q orthonormal     cos²(ĝ, g) ~ Beta(m/2, (d − m)/2)       E cos² = m/d

In the first, S = Σ (ĝ's weights)² / |g|² is χ² with m degrees of freedom; given the weights, what ĝ has across g is
normal, of length² S·χ²(d − 1), and along g it has S: cos² = S/(S + χ²). In the second, ĝ is a multiple of g's
projection on m random dimensions. Often quoted is E cos ≈ √(m/(m + d + 1)), from E|ĝ|² = (1 + (d + 1)/m)|g|².

Descent pays the same: on f = |x|²/2 a step of length 1/(d + 2) along the estimate of one pair multiplies E f by
1 − 1/(d + 2), so f falls to a share ε of its start in 2 ln ε/ln(1 − 1/(d + 2)) evaluations.

No threshold is fitted: slopes are those of the laws with a tenth to spare; means of cosines are held to what their law
bears, with a false alarm in 1e9 of all comparisons together.

    python experiments/zeroth_order/dimension.py  runs, prints claims, draws; results/dimension holds every number
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from experiments.common.bounds import FALSE_ALARM
from experiments.common.drawing import label_end, log_log, say
from experiments.common.estimates import only
from experiments.common.frame import Flags, Judge, half_width, main, one_a_seed, slopes, values
from experiments.zeroth_order.cosines import chance, cosine_law, mean_cosine

import numpy as np
import torch
from torch import Tensor

from rllab import Cost, Key, plots
from rllab import estimators as est
from rllab.noise import standard_normal
from rllab.problems import Linear, Quadratic
from rllab.runs import Job, Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GOOD = 0.8  # the cosine asked for in "evaluations for a good direction"
END = 0.01  # share of its start to which descent brings the cost
REPEATS = 16  # estimates of each kind per seed, at most
WIDTHS = (4, 16, 64, 256, 1000)  # of the networks whose gradient is timed: 93 to 1,019,001 parameters
EXAMPLES = 256
LAWS = {
    "gaussian": est.GaussianSmoothing(sigma=0.1),
    "orthonormal": est.OrthogonalSmoothing(radius=0.1, law="haar"),
}
NAMES = {"gaussian": "independent normal directions", "orthonormal": "orthonormal directions"}
SHORT, UP = {"gaussian": "normal", "orthonormal": "orthonormal"}, {"gaussian": 4, "orthonormal": -4}


@dataclass(frozen=True)
class Config(Flags):
    largest: int = 1024
    """Costs are probed whose numbers of parameters are the powers of two from 8 up to this one, 64 or more."""
    quick: ClassVar[dict[str, Any]] = {"largest": 64}

    def check(self) -> None:
        super().check()
        if self.largest < 64 or self.largest & (self.largest - 1):
            raise ValueError(
                f"--largest must be 64, where laws of many parameters begin to hold, 128, 256, …, got {self.largest}"
            )

    @property
    def dimensions(self) -> list[int]:
        return dimensions_to(self.largest)


def dimensions_to(largest: int) -> list[int]:
    """Return 8, 16, … up to the largest number of parameters."""
    return [2**k for k in range(3, int(math.log2(largest)) + 1)]


def run(job: Job, record: Record) -> None:
    """Measure, for every number of parameters: cosines, evaluations for a good direction, descent; time gradients."""
    key = Key(job.seed)
    dimensions = dimensions_to(job.config["largest"])
    for d in dimensions[::3]:
        for law in LAWS:
            for m in directions_tried(law, d):
                record.append(cosines(law, d, m, key.child("cosine", law, d, m)))
    for d in dimensions:
        for law in LAWS:
            record.append(evaluations_for(law, d, key.child("needed", law, d)))
        record.append(differences(d, key.child("differences", d)))
        record.append(descent(d, 1.0, key.child("descent", d)))
    d = dimensions[-1]
    record.append(descent(d, 2.0, key.child("descent", d)))
    for width in [w for w in WIDTHS if w <= 4 * job.config["largest"]]:
        record.append(gradient_time(width, key.child("network", width)))


def directions_tried(law: str, d: int) -> list[int]:
    """Return m = 1, 4, 16, … up to 4d, or up to d where more directions would begin a second orthonormal set."""
    most = 4 * d if law == "gaussian" else d
    return sorted({4**k for k in range(12) if 4**k <= most} | {most, d})


def linear(d: int, key: Key) -> tuple[Linear, Tensor]:
    """Draw a linear cost of d parameters; return it and its gradient."""
    slope = standard_normal((d,), key.child("slope"), torch.empty(0, dtype=torch.float64))
    return Linear(tuple(slope.tolist()), dimension=d), slope


def cosines(law: str, d: int, m: int, key: Key) -> dict[str, object]:
    """Return means over REPEATS estimates of cos and cos² with the truth, and of cos with an unrelated vector."""
    problem, g = linear(d, key)
    e = LAWS[law](problem.cost(), torch.zeros(REPEATS, d).double(), evaluations=2 * m, key=key, errors=False)
    estimates = only(e.gradient)
    cos = torch.cosine_similarity(estimates, g, dim=-1)
    wrong = torch.cosine_similarity(estimates, standard_normal((REPEATS, d), key.child("unrelated"), g), dim=-1)
    row = {"cos": cos.mean(), "square": cos.square().mean(), "wrong": wrong.mean()}
    return {"part": "cosine", "law": law, "d": d, "m": m, **row}


def evaluations_for(law: str, d: int, key: Key) -> dict[str, object]:
    """Count the directions whose estimate falls short of the cosine GOOD, as one by one is added, and the next."""
    problem, g = linear(d, key)
    m = d if law == "orthonormal" else 2 * math.ceil(needed(law, d)) + 80
    at = torch.zeros(together(d), d).double()
    e = LAWS[law](problem.cost(), at, evaluations=2 * m, key=key, per_unit=True, errors=False)
    short = (torch.cosine_similarity(only(e.per_unit).cumsum(0), g, dim=-1) < GOOD).sum(0)
    if short.max() == m:
        raise RuntimeError(f"{m} directions {law} in {d} dimensions all fall short of a cosine of {GOOD}")
    return {"part": "needed", "law": law, "d": d, "evaluations": 2 * (short.double().mean() + 1)}


def together(d: int) -> int:
    """Return how many repetitions are made per seed: more where they vary more."""
    return max(1, min(REPEATS, 2048 // d))


def differences(d: int, key: Key) -> dict[str, object]:
    """Return what central differences cost, and the cosine that buys."""
    problem, g = linear(d, key)
    at = torch.zeros(d).double()
    estimator = est.CentralDifference()
    e = estimator(problem.cost(), at, evaluations=estimator.minimum(at), key=key)
    cosine = torch.cosine_similarity(only(e.gradient), g, dim=0)
    return {"part": "differences", "d": d, "evaluations": e.evaluations, "cos": cosine}


def descent(d: int, pace: float, key: Key) -> dict[str, object]:
    """Count evaluations until f = |x|²/2 is END of its start; step lengths are `pace` times the best, 1/(d + 2)."""
    x = standard_normal((together(d), d), key.child("start"), torch.empty(0, dtype=torch.float64))
    cost, estimator = Quadratic(dimension=d).cost(), LAWS["gaussian"]
    goal, limit, spent = END * x.square().sum(-1), 4 * descent_law(d), 0
    evaluations, reached = torch.zeros(len(x)), torch.zeros(len(x), dtype=torch.bool)
    while not reached.all() and spent < limit:
        e = estimator(cost, x, evaluations=2, key=key.child("step", spent), errors=False)
        x, spent = x - pace / (d + 2) * e.gradient, spent + e.evaluations
        evaluations[~reached] = spent
        reached |= x.square().sum(-1) <= goal
    row = {"evaluations": evaluations.mean(), "reached": reached.double().mean()}
    return {"part": "descent", "d": d, "pace": pace, **row}


def gradient_time(width: int, key: Key) -> dict[str, object]:
    """Return CPU time of value and gradient over that of a value, of a network's loss on EXAMPLES examples."""
    shapes = [(16, width), (width,), (width, width), (width,), (width, 1), (1,)]
    like = torch.empty(0)
    w = [0.1 * standard_normal(shape, key.child("w", i), like) for i, shape in enumerate(shapes)]
    inputs = standard_normal((EXAMPLES, 16), key.child("inputs"), like)
    sizes = [part.numel() for part in w]
    d = sum(sizes)

    def loss(points: Tensor) -> Tensor:
        parts = points[0].split(sizes)
        a, b, c, e, f, g = (part.view(shape) for part, shape in zip(parts, shapes, strict=True))
        return torch.tanh(torch.tanh(inputs @ a + b) @ c + e).matmul(f).add(g).square().mean().reshape(1)

    cost, at = Cost(loss), torch.cat([part.flatten() for part in w])[None]
    ratios, calls = [], min(25, max(2, 200_000 // d))
    for _ in range(8):  # one right after the other, so that both meet the same machine; the first round warms up
        spent = []
        for ask in (cost, cost.value_and_gradient):
            begin = time.process_time()
            for _ in range(calls):
                ask(at)
            spent.append(time.process_time() - begin)
        ratios.append(spent[1] / spent[0])
    return {"part": "time", "d": d, "ratio": np.median(ratios[1:])}


def needed(law: str, d: int) -> float:
    """Return the directions m with E cos² = GOOD²."""
    return GOOD**2 * d if law == "orthonormal" else (d - 1) * GOOD**2 / (1 - GOOD**2)


def descent_law(d: float) -> float:
    """Return 2 ln ε / ln(1 − 1/(d + 2)), ε = END."""
    return 2 * math.log(END) / math.log1p(-1 / (d + 2))


def claims(records: list[Record], config: Config, judge: Judge) -> None:
    """Hold every law to what was measured."""
    _judge_cosines(records, config.dimensions[::3], config.seeds * REPEATS, judge)
    _judge_needed(records, config.dimensions, judge)
    _judge_backpropagation(records, judge)
    _judge_descent(records, config.dimensions, judge)


def _judge_cosines(records: list[Record], dimensions: list[int], n: int, judge: Judge) -> None:
    cells = {law: [(d, m) for d in dimensions for m in directions_tried(law, d)] for law in LAWS}
    least = FALSE_ALARM / (2 * sum(map(len, cells.values())))  # so much probability is left to each comparison
    for law, pairs in cells.items():
        p, wrong = [], []
        for d, m in pairs:
            cell = {"part": "cosine", "law": law, "d": d, "m": m}
            p.append(chance(values(records, "square", **cell).mean(), cosine_law(law, d, m), n))
            # (1 + cos)/2 of a fixed and a random direction
            unrelated = ((d - 1) / 2, (d - 1) / 2)
            wrong.append(chance((1 + values(records, "wrong", **cell).mean()) / 2, unrelated, n))
        judge(
            min(p) > least,
            f"(a) {NAMES[law]}: E cos² as the law says: means of {n} estimates so far off have a probability of "
            f"{min(p):.1g} or more at all {len(p)} pairs of d and m (needs > {least:.0e})",
        )
        judge(
            min(wrong) > least,
            f"(a) control, {NAMES[law]}: mean cosines with unrelated vectors as far from 0 have {min(wrong):.1g} or "
            f"more (needs > {least:.0e})",
        )
    d = dimensions[-1]
    square = values(records, "square", part="cosine", law="orthonormal", d=d, m=d).mean()
    p = chance(square, cosine_law("gaussian", d, d), n)
    judge(
        p < least, f"(a) control: under the other law that of orthonormal ones, m = d = {d}, has {p:.0e} (needs less)"
    )
    pairs = [(d, m) for d, m in cells["gaussian"] if m >= 4 and d >= 64]
    worst = max(abs(mean_cosine(d, m) / math.sqrt(m / (m + d + 1)) - 1) for d, m in pairs)
    # E cos is below the root mean square by up to 1/4m, and that above the quoted law by 1/(m + d): 6 % and 1.5 %
    judge(worst < 0.08, f"(a) √(m/(m + d + 1)) is within {worst:.1%} of the law's E cos, m >= 4, d >= 64 (needs < 8 %)")


def _judge_needed(records: list[Record], dimensions: list[int], judge: Judge) -> None:
    last = dimensions[-1]
    for law in LAWS:
        counts = [values(records, "evaluations", part="needed", law=law, d=d).mean() for d in dimensions]
        power, ratio = float(slopes(dimensions, counts)), counts[-1] / (2 * needed(law, last))
        judge(
            0.9 < power < 1.1 and 0.9 < ratio < 1.1,
            f"(b) {NAMES[law]}: evaluations for a cosine of {GOOD} grow as d^{power:.3f} (needs 0.9 to 1.1), to "
            f"{counts[-1]:,.0f} at d = {last}: {ratio:.3f} of the law's (needs 0.9 to 1.1)",
        )
    spent = [values(records, "evaluations", part="differences", d=d) for d in dimensions]
    cos = min(values(records, "cos", part="differences", d=d).min() for d in dimensions)
    judge(
        all((s == 2 * d).all() for s, d in zip(spent, dimensions, strict=True)) and cos > 1 - 1e-9,
        f"(b) central differences: 2d evaluations, and a cosine of 1 to {1 - cos:.0e}, for every d (needs 1e-9)",
    )


def _judge_backpropagation(records: list[Record], judge: Judge) -> None:
    sizes = sizes_timed(records)
    ratios = [float(np.median(values(records, "ratio", part="time", d=d))) for d in sizes]
    power, shown = float(slopes(sizes, ratios)), ", ".join(f"{r:.1f}" for r in ratios)
    # 5: Baur & Strassen (1983), "The complexity of partial derivatives", in operations
    judge(
        np.median(ratios) <= 5 and power <= 0.1,
        f"(c) value and gradient by backpropagation take the CPU time of {shown} values for d = {sizes[0]} to "
        f"{sizes[-1]:,} (needs a median <= 5), growing as d^{power:.2f} (needs <= 0.1)",
    )


def _judge_descent(records: list[Record], dimensions: list[int], judge: Judge) -> None:
    counts = [values(records, "evaluations", part="descent", d=d, pace=1.0).mean() for d in dimensions]
    power, ratios = (
        float(slopes(dimensions, counts)),
        [c / descent_law(d) for c, d in zip(counts, dimensions, strict=True)],
    )
    judge(
        0.9 < power < 1.1 and all(0.85 < r < 1.15 for r in ratios),
        f"(d) evaluations of descent grow as d^{power:.3f}, d = {dimensions[0]} to {dimensions[-1]} (needs 0.9 to "
        f"1.1), {min(ratios):.2f} to {max(ratios):.2f} of the law's (needs 0.85 to 1.15)",
    )
    reached = values(records, "reached", part="descent", d=dimensions[-1], pace=2.0)
    judge(
        not reached.any(),
        f"(d) control: steps twice as long, which leave E f as it is, get to {END:.0%} in {reached.mean():.0%} "
        "of all runs with 4 times the evaluations (needs 0 %)",
    )


def sizes_timed(records: list[Record]) -> list[int]:
    """Return the numbers of parameters of the networks that were timed."""
    return sorted({int(row["d"]) for row in records[0].rows if row["part"] == "time"})  # type: ignore[arg-type]


def figure(records: list[Record], config: Config) -> Path:
    """Draw cosines over directions, evaluations for a good direction, and evaluations of descent."""
    drawing, (left, middle, right) = plots.panels(3, 1, width=3.6, height=3.7)
    with plots.style():
        _draw_cosines(left, records, config.dimensions[::3])
        _draw_needed(middle, records, config.dimensions)
        _draw_descent(right, records, config.dimensions)
        said = (
            f"Lines: laws. Left, bars: 95 % intervals (Student's t) over {config.seeds} seeds; else faint: every seed"
        )
        drawing.suptitle(said, fontsize=10)
    return plots.save(drawing, config.out / "dimension.png")


def _draw_cosines(ax: Axes, records: list[Record], dimensions: list[int]) -> None:
    styles = plots.method_styles(LAWS)
    for law, how in styles.items():
        for d, marker in zip(dimensions, ("s", "^", "o"), strict=False):
            m = directions_tried(law, d)
            x = np.geomspace(1 / d, m[-1] / d, 100)
            y = np.sqrt(x / (x + 1 - 1 / d)) if law == "gaussian" else np.sqrt(x)
            ax.plot(x, y, color=how.color, linestyle=how.linestyle)
            cells = [values(records, "square", part="cosine", law=law, d=d, m=k) for k in m]
            # of √(mean cos²), by the delta method
            root = np.array([math.sqrt(c.mean()) for c in cells])
            error = half_width(np.array(cells).T) / (2 * root)
            ax.errorbar(
                np.array(m) / d, root, error, color=how.color, marker=marker, linestyle="none", capsize=2,
                markerfacecolor="white" if law == "orthonormal" else how.color,
            )  # fmt: skip
    ax.set(
        xscale="log",
        ylim=(0, 1.05),
        xlabel="directions per parameter, m/d",
        ylabel="root mean square cosine with the gradient",
    )
    ax.set_title("Few directions a parameter:\na poor direction")
    signs = ", ".join(f"{sign} {d}" for sign, d in zip("■▲●", dimensions, strict=False))
    said = [(f"{NAMES['orthonormal']},\n√(m/d), hollow", styles["orthonormal"].color)]
    said += [(f"{SHORT['gaussian']} directions,\n√(m/(m + d − 1)), filled", styles["gaussian"].color)]
    say(ax, (0.02, 0.98), [*said, (f"d = {signs}", "black")])


def _draw_needed(ax: Axes, records: list[Record], dimensions: list[int]) -> None:
    styles = plots.method_styles([*LAWS, "central-difference", "backprop"])
    for law in LAWS:
        how = styles[law]
        ax.plot(dimensions, [2 * needed(law, d) for d in dimensions], color=how.color, linestyle=how.linestyle)
        counts = [values(records, "evaluations", part="needed", law=law, d=d) for d in dimensions]
        _points(ax, dimensions, counts, how)
        label_end(ax, dimensions[-1], counts[-1].mean(), f"{SHORT[law]}, cosine {GOOD:g}", how.color, up=UP[law])
    how = styles["central-difference"]
    counts = [values(records, "evaluations", part="differences", d=d) for d in dimensions]
    ax.plot(dimensions, [2 * d for d in dimensions], color=how.color, linestyle=how.linestyle)
    _points(ax, dimensions, counts, how)
    label_end(ax, dimensions[-1], 2 * dimensions[-1], "central differences, cosine 1: 2d", how.color)
    how = styles["backprop"]
    sizes = sizes_timed(records)
    ratios = [values(records, "ratio", part="time", d=d) for d in sizes]
    ax.plot(sizes, [np.median(r) for r in ratios], color=how.color, linestyle=how.linestyle)
    _points(ax, sizes, ratios, how)
    said = "backpropagation, cosine 1: CPU time\nof network loss and gradient, in losses"
    label_end(ax, sizes[-1], np.max(ratios), said, how.color, side="left", up=14)
    log_log(ax)
    ax.set(ylim=(1, None), xlabel="number of parameters, d", ylabel="evaluations of the cost")
    ax.set_title("A gradient's price grows with d;\nbackprop's does not")


def _draw_descent(ax: Axes, records: list[Record], dimensions: list[int]) -> None:
    how = plots.method_styles(["gaussian"])["gaussian"]
    counts = [values(records, "evaluations", part="descent", d=d, pace=1.0) for d in dimensions]
    ax.plot(dimensions, [descent_law(d) for d in dimensions], color="black")
    _points(ax, dimensions, counts, how)
    say(ax, (0.03, 0.97), [("line: 2 ln ε/ln(1 − 1/(d + 2))", "black"), ("● pairs of normal directions", how.color)])
    log_log(ax)
    ax.set(xlabel="number of parameters, d", ylabel="evaluations of the cost")
    ax.set_title(f"So does that of descent\n(|x|²/2, to {END:g} of its start)")


def _points(ax: Axes, x: list[int], counts: list[np.ndarray], how: plots.MethodStyle) -> None:
    """Draw every seed faintly, and the mean."""
    for i in range(len(counts[0])):
        ax.plot(
            x, [c[i] for c in counts], color=how.color, marker=how.marker, linestyle="none", alpha=0.25, markersize=3
        )
    mean = [c.mean() for c in counts]
    ax.plot(x, mean, color=how.color, marker=how.marker, linestyle="none")


if __name__ == "__main__":
    main(Config, __doc__, one_a_seed, run, claims, figure)
