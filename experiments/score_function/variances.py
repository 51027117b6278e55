"""Which gradient of an expected cost has the least variance: per sample, and per evaluation of the cost?

x ~ N(1, 1), f one of (x − k)², exp(−kx²), cos kx, and the gradient of E f by μ and by σ, one sample at a time:

    score function      (f(x) − b) ∇log p(x)      b = 0, E f, or the best for each parameter, E[f s²]/E[s²]
    pathwise            f'(x) ∂x/∂φ
    measure-valued      c (f(x⁺) − f(x⁻))         x⁺ and x⁻ of the same random numbers

None of it is sampled: each variance is an integral over the noise, by the rule of Gauss and Legendre. Samples only
check that the lab's estimators have these means and variances. Measure-valued gradients spend two evaluations for each
parameter, four here, where the others spend one for both; so variances are also given times evaluations.

Source: Mohamed, Rosca, Figurnov & Mnih (2020), "Monte Carlo gradient estimation in machine learning", figures 2 and 3,
which compare per sample. Their code prints no numbers; those in TABLE were computed apart, by adaptive quadrature.

    python experiments/score_function/variances.py    some seconds
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from experiments.common.claims import judge_moments, judge_printed
from experiments.common.drawing import look, shared_legend
from experiments.common.frame import Flags, Judge, main

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from rllab import Gaussian, Key, plots
from rllab import estimators as est
from rllab.problems import Bell, Cosine, Problem, Square
from rllab.runs import Job, Record

COSTS: dict[str, Any] = {"square": Square, "exp": Bell, "cos": Cosine}
TITLES = {"square": "(x − k)²", "exp": "exp(−kx²)", "cos": "cos kx"}
GRIDS = {
    "square": np.linspace(-3, 3, 25),
    "exp": np.geomspace(0.1, 10, 25),
    "cos": np.geomspace(0.5, 5, 25),
}
PARAMETERS = {"mean": "μ", "scale": "σ"}
# gradient; variances of the score function without, with the mean and with the best baseline, pathwise, measure-valued
METHODS = ("none", "mean", "optimal", "pathwise", "measure-valued")
TABLE = {
    ("square", -3.0): ("8 495 138 134 4 17.49", "2 1546 696 664 72 68"),
    ("square", 0.0): ("2 30 18 14 4 1.093", "2 136 96 64 12 8"),
    ("square", 3.0): ("-4 87 42 38 4 4.372", "2 346 216 184 24 20"),
    ("exp", 0.1): ("-.1400 .5635 .05407 .04047 .01629 .002509", "-.1167 .9354 .2289 .1410 .02777 .02197"),
    ("exp", 1.0): ("-.2758 .1758 .08067 .07222 .2117 .01257", "-.0919 .1767 .2232 .1128 .1757 .07066"),
    ("exp", 10.0): ("-.1291 .07694 .06023 .0602 .9416 .02066", "-.0061 .009035 .03919 .008739 .892 .1167"),
    ("cos", 0.5): ("-.2115 .4552 .1554 .1179 .03928 .008275", "-.1936 .7987 .7237 .4601 .08751 .06527"),
    ("cos", 1.0): ("-.5104 .3240 .4314 .3240 .2677 .0280", "-.3277 .8363 1.266 .7826 .3081 .2026"),
    ("cos", 5.0): ("0.0 .5 .5 .5 12.5 .2957", "0.0 1 1 1 12.5 1"),
}
NAMES = {
    "none": "score function",
    "mean": "…, baseline E f",
    "optimal": "…, best baseline",
    "pathwise": "pathwise",
    "measure-valued": "measure-valued",
}
STYLES = {
    "none": plots.MethodStyle(plots.ORANGE, plots.DOTTED, "^"),
    "mean": plots.MethodStyle(plots.SKY, plots.DASHED, "v"),
    "optimal": plots.MethodStyle(plots.BLUE, plots.SOLID, "o"),
    "pathwise": plots.METHODS["pathwise"],
    "measure-valued": plots.MethodStyle(plots.GREEN, plots.DASHDOT, "P"),
}


@dataclass(frozen=True)
class Config(Flags):
    samples: int = 100_000
    """Samples of each estimator and seed, to check the integrals with."""
    quick: ClassVar[dict[str, Any]] = {"samples": 10_000}


class Moments(NamedTuple):
    """Mean, variance and fourth central moment of a gradient from one sample."""

    mean: float
    variance: float
    fourth: float


def jobs_of(config: Config) -> Iterator[Job]:
    yield Job("integrals", {"samples": 0}, 0)
    for seed in config.all_seeds:
        yield Job(f"samples-{seed}", {"samples": config.samples}, seed)


def run(job: Job, record: Record) -> None:
    if job.config["samples"] == 0:
        at = distribution()
        for cost, grid in GRIDS.items():
            for k in sorted({*grid.tolist(), *(k for name, k in TABLE if name == cost)}):
                for parameter in PARAMETERS:
                    for method, m in integrals(COSTS[cost](float(k)), parameter).items():
                        evaluations = estimator_of(method).minimum(at)
                        shared = {"cost": cost, "k": k, "parameter": parameter, "method": method}
                        record.append({**shared, **m._asdict(), "evaluations": evaluations})
        return
    for cost, k in TABLE:
        for parameter in PARAMETERS:
            for row in sampled(COSTS[cost](k), parameter, job.config["samples"], Key(job.seed).child(cost, repr(k))):
                record.append({"cost": cost, "k": k, "parameter": parameter, **row})


def distribution() -> Gaussian:
    """N(1, 1)."""
    return Gaussian(torch.ones(1, dtype=torch.float64), 1.0)


def legendre(low: float, high: float, nodes: int) -> tuple[Tensor, Tensor]:
    x, w = (torch.from_numpy(t) for t in np.polynomial.legendre.leggauss(nodes))
    return (low + high) / 2 + (high - low) / 2 * x, (high - low) / 2 * w


def moments(g: Tensor, weights: Tensor) -> Moments:
    mean = (weights * g).sum()
    off = g - mean
    return Moments(mean.item(), (weights * off**2).sum().item(), (weights * off**4).sum().item())


def integrals(problem: Problem, parameter: str) -> dict[str, Moments]:
    """Return the exact moments of every method's gradient from one sample."""
    u, w = legendre(-11, 11, 320)
    w = w * torch.exp(-u * u / 2) / math.sqrt(2 * math.pi)
    at = distribution()
    x = (1 + u).unsqueeze(-1)
    f, slope = problem.value(x), problem.gradient(x).squeeze(-1)
    s = at.scores(x, u.unsqueeze(-1))[parameter].squeeze(-1)
    found = {name: moments((f - b) * s, w) for name, b in baselines(f, s, w).items()}
    found["pathwise"] = moments(slope if parameter == "mean" else slope * u, w)
    found["measure-valued"] = moments(*weak(problem, parameter))
    return found


def baselines(f: Tensor, s: Tensor, w: Tensor) -> dict[str, float]:
    best = (w * f * s * s).sum() / (w * s * s).sum()
    return {"none": 0.0, "mean": (w * f).sum().item(), "optimal": best.item()}


def weak(problem: Problem, parameter: str) -> tuple[Tensor, Tensor]:
    """Return measure-valued gradients on a grid of their own noise, and the grid's weights."""

    def f(x: Tensor) -> Tensor:
        return problem.value(x.reshape(-1, 1)).view_as(x)

    if parameter == "mean":  # c = 1/√(2π),  x± = μ ± W,  W Rayleigh
        r, w = legendre(0, 11, 240)
        return (f(1 + r) - f(1 - r)) / math.sqrt(2 * math.pi), w * r * torch.exp(-r * r / 2)
    m, w = legendre(-11, 11, 320)  # c = 1,  x⁺ = μ + M,  x⁻ = μ + MU,  M of density m² φ(m)
    u, v = legendre(0, 1, 96)
    w = w * m * m * torch.exp(-m * m / 2) / math.sqrt(2 * math.pi)
    return (f(1 + m)[:, None] - f(1 + m[:, None] * u)), w[:, None] * v


def estimator_of(method: str, baseline: float | None = None) -> est.Estimator:
    if method == "pathwise":
        return est.Pathwise()
    return est.MeasureValued() if method == "measure-valued" else est.ScoreFunction(baseline)


def sampled(problem: Problem, parameter: str, n: int, key: Key) -> Iterator[dict[str, Any]]:
    """Draw n samples of each of the lab's estimators; yield how far off their mean and variance are.

    In standard errors: √(Var/n), and √((fourth − Var²)/n) up to 1/n.
    """
    at = distribution()
    u, w = legendre(-11, 11, 320)
    w = w * torch.exp(-u * u / 2) / math.sqrt(2 * math.pi)
    x = (1 + u).unsqueeze(-1)
    constants = baselines(problem.value(x), at.scores(x, u.unsqueeze(-1))[parameter].squeeze(-1), w)
    for method, exact in integrals(problem, parameter).items():
        estimator = estimator_of(method, constants.get(method))
        e = estimator(problem.cost(), at, evaluations=n * estimator.minimum(at), key=key.child(method), per_unit=True)
        assert isinstance(e.per_unit, dict)
        g = e.per_unit[parameter].squeeze(-1)
        yield {
            "method": method,
            "evaluations": e.evaluations,
            "variance": g.var().item(),
            "off": (g.mean().item() - exact.mean) / math.sqrt(exact.variance / n),
            "off_variance": (g.var().item() - exact.variance) / math.sqrt((exact.fourth - exact.variance**2) / n),
        }


class Integrals:
    """The numbers on disk, by cost, k, parameter and method."""

    def __init__(self, records: list[Record]):
        rows = next(r for r in records if r.config["samples"] == 0).rows
        self._rows = {(r["cost"], r["k"], r["parameter"], r["method"]): r for r in rows}

    def __call__(self, cost: str, k: float, parameter: str, method: str) -> Any:
        return self._rows[cost, k, parameter, method]

    def variance(self, cost: str, k: float, parameter: str, method: str, *, per: str = "sample") -> float:
        row = self(cost, k, parameter, method)
        return row["variance"] * (row["evaluations"] if per == "evaluation" else 1)

    def best(self, cost: str, k: float, parameter: str, per: str) -> str:
        return min(METHODS, key=lambda m: self.variance(cost, k, parameter, m, per=per))

    def curve(self, cost: str, parameter: str, method: str) -> tuple[np.ndarray, np.ndarray, int]:
        rows = [r for (c, _, p, m), r in self._rows.items() if (c, p, m) == (cost, parameter, method)]
        return np.array([r["k"] for r in rows]), np.array([r["variance"] for r in rows]), rows[0]["evaluations"]


def printed(exact: Integrals) -> Iterator[tuple[str, float, str]]:
    """Yield all numbers of TABLE: where they stand, as integrals, and as printed."""
    for (cost, k), both in TABLE.items():
        for parameter, line in zip(PARAMETERS, both, strict=True):
            gradient, *variances = line.split()
            for method, text in zip(METHODS, variances, strict=True):
                row, where = exact(cost, k, parameter, method), f"{cost} {k:g} {parameter} {method}"
                yield where, row["mean"], gradient
                yield where, row["variance"], text


def claims(records: list[Record], config: Config, judge: Judge) -> None:
    exact = Integrals(records)
    judge_printed(judge, printed(exact), "{right} of {count} numbers are those of the table to its last digit")
    judge_moments(judge, [r for r in records if r.config["samples"]])
    for cost, k in (("exp", 10.0), ("cos", 5.0)):
        ratio = exact.variance(cost, k, "mean", "pathwise") / exact.variance(cost, k, "mean", "none")
        judge(
            ratio > 10,
            f"pathwise is not always best: {ratio:.1f} times the variance of the score function, {cost} {k:g}, by μ "
            "(needs > 10)",
        )
    for cost, k, parameter in (("cos", 1.0, "mean"), ("exp", 10.0, "scale")):
        ratio = exact.variance(cost, k, parameter, "mean") / exact.variance(cost, k, parameter, "none")
        judge(ratio > 1.3, f"the mean as a baseline can hurt: {ratio:.2f} times the variance without, {cost} {k:g}, by "
              f"{PARAMETERS[parameter]} (needs > 1.3)")  # fmt: skip
    everywhere = [(c, float(k), p) for c, grid in GRIDS.items() for k in grid for p in PARAMETERS]
    worst = max(
        exact.variance(*at, "optimal") / min(exact.variance(*at, m) for m in ("none", "mean")) for at in everywhere
    )
    judge(worst <= 1 + 1e-9, f"the best baseline never does: at most {worst:.9f} times the better of the others")
    for cost in ("exp", "cos"):
        slow, fast = float(GRIDS[cost][0]), float(GRIDS[cost][-1])
        first, last = ({exact.best(cost, k, p, "evaluation") for p in PARAMETERS} for k in (slow, fast))
        judge(
            first <= {"pathwise", "measure-valued"} and last == {"optimal"},
            f"{cost}: least variance per evaluation at k = {slow:g} is that of {' and '.join(sorted(first))} (needs "
            f"pathwise or measure-valued), at k = {fast:g} of {' and '.join(sorted(last))} (needs the score function, "
            "best baseline)",
        )
    spends = exact("square", 0.0, "mean", "measure-valued")["evaluations"]
    judge(spends == 4, f"measure-valued gradients spend {spends} evaluations a sample (needs 4), all others 1")
    for per, least, most in (("sample", 0.5, 1.0), ("evaluation", 0.0, 0.5)):
        share = np.mean([exact.best(*at, per) == "measure-valued" for at in everywhere])
        judge(
            least < share < most,
            f"measure-valued has the least variance per {per} at {share:.0%} of {len(everywhere)} settings (needs "
            f"{least:.0%} to {most:.0%})",
        )


def figure(records: list[Record], config: Config) -> Path:
    """Draw variance at equal evaluations against k: three costs, two parameters; thick where it is the least."""
    exact = Integrals(records)
    drawing, axes = plots.panels(3, 2, width=4.0, height=3.4)
    with plots.style():
        for ax, (parameter, cost) in zip(axes, ((p, c) for p in PARAMETERS for c in COSTS), strict=True):
            _draw_variances(ax, exact, cost, parameter)
            for record in records:
                for row in record.rows if record.config["samples"] else ():
                    if (row["cost"], row["parameter"]) == (cost, parameter):
                        each = estimator_of(row["method"]).minimum(distribution())
                        ax.plot(row["k"], row["variance"] * each, "_", color=STYLES[row["method"]].color, markersize=9)
            if (cost, parameter) == ("square", "mean"):
                ax.set_ylim(0.3, 1000)  # at k = μ the measure-valued variance is 0
            if cost != "square":
                ax.set_xscale("log")
                ax.set_xticks(ticks := [k for name, k in TABLE if name == cost], [f"{k:g}" for k in ticks])
                ax.minorticks_off()
        shared_legend(drawing, axes[0], 3)
        drawing.suptitle(
            "Least variance at equal evaluations: pathwise or measure-valued while f changes slowly, a score function "
            "where it changes within the noise\n∇E f, x ~ N(1, 1). Lines: exact, thick where least; dashes: samples of "
            f"{len(records) - 1} seeds"
        )
    return plots.save(drawing, config.out / "variances.png")


def _draw_variances(ax: Axes, exact: Integrals, cost: str, parameter: str) -> None:
    curves = {method: exact.curve(cost, parameter, method) for method in STYLES}
    least = np.min([variance * evaluations for _, variance, evaluations in curves.values()], 0)
    for method, how in STYLES.items():
        k, variance, evaluations = curves[method]
        each = variance * evaluations
        ax.semilogy(k, each, **look(how, markevery=4, label=NAMES[method], linewidth=1.3))
        ax.semilogy(k, np.where(each <= least, each, np.nan), color=how.color, linewidth=6, alpha=0.4)
        if evaluations > 1:
            ax.semilogy(k, variance, color=how.color, linewidth=0.8, label=f"{NAMES[method]}, per sample")
    ax.set(ylabel="variance × evaluations", xlabel="k", title=f"f = {TITLES[cost]}, by {PARAMETERS[parameter]}")


if __name__ == "__main__":
    main(Config, __doc__, jobs_of, run, claims, figure)
