"""When is a pathwise gradient worse than scores, and when is it wrong without a sign of it?

x ~ N(μ, 1), and a ramp that gets steeper: f = Φ(x/τ), a step 1[x > 0] at τ = 0. With q = 1 + τ²,

    ∂E f/∂μ = φ(μ/√q)/√q         pathwise: f'(x), mean square φ(μ√2/√(2 + τ²)) / (√(2π) τ √(2 + τ²))

so the pathwise variance grows as 1/τ: rare samples on the ramp, each of which counts for much. At τ = 0 none lies on
it: every sample is 0, the standard error is 0, and the bias is the whole gradient. Score function and measure-valued
gradients do not look at slopes: their variance hardly knows τ, and at τ = 0 they are unbiased.

A jump that falls while the slope rises, f = (x + 1)²/8 − 1[x > 0], shows that the pathwise sign can be wrong as well:
descent along it goes to μ = −1, the bottom of the bowl, away from the step it cannot see.

Sources: Mohamed, Rosca, Figurnov & Mnih (2020), "Monte Carlo gradient estimation in machine learning", section 5.3;
Glasserman (1991), "Gradient estimation via perturbation analysis".

    python experiments/score_function/jumps_in_outputs.py    some seconds
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from experiments.common.drawing import band, label_end
from experiments.common.estimates import only
from experiments.common.frame import Flags, Judge, by_seed, main, one_a_seed, slopes, values

import numpy as np
import torch
from scipy.optimize import root_scalar
from torch import Tensor

from rllab import Cost, Gaussian, Key, plots
from rllab import estimators as est
from rllab.runs import Job, Record

MEAN = 0.4
WIDTHS = (0.0, *np.geomspace(0.003, 3, 13).tolist())  # τ
BOTTOM = -1.0  # of the bowl whose step is not seen
ESTIMATORS: dict[str, est.Estimator] = {
    "pathwise": est.Pathwise(),
    "score": est.ScoreFunction(),
    "measure-valued": est.MeasureValued(),
}
NAMES = {"pathwise": "pathwise", "score": "score function, leave-one-out", "measure-valued": "measure-valued"}
STYLES = {
    "pathwise": plots.METHODS["pathwise"],
    "score": plots.METHODS["score-function"],
    "measure-valued": plots.MethodStyle(plots.GREEN, plots.DASHDOT, "P"),
}
STEPS, RATE, EVALUATIONS = 150, 0.02, 64


@dataclass(frozen=True)
class Config(Flags):
    evaluations: int = 40_000
    """Evaluations of each estimate."""
    quick: ClassVar[dict[str, Any]] = {"evaluations": 20_000}


def run(job: Job, record: Record) -> None:
    key, n = Key(job.seed), job.config["evaluations"]
    for tau in WIDTHS:
        for method, estimator in ESTIMATORS.items():
            e = estimator(ramp(tau), distribution(MEAN), evaluations=n, key=key.child(method, repr(tau)))
            g, error = only(e.gradient).item(), only(e.standard_error).item()
            shared = {"part": "ramp", "method": method, "tau": tau, "gradient": g, "error": error}
            # what one evaluation would have: the variance of the estimate times its evaluations
            record.append({**shared, "truth": slope_of_mean(tau), "variance": error**2 * e.evaluations})
    for method, estimator in ESTIMATORS.items():
        for row in descent(estimator, key.child("descent", method)):
            record.append({"part": "descent", "method": method, **row})


def distribution(mean: float) -> Gaussian:
    return Gaussian(torch.tensor([mean], dtype=torch.float64), 1.0)


def ramp(tau: float) -> Cost:
    """Φ(x/τ), or the step with the slope that it has wherever it has one: 0."""
    if tau == 0:
        return Cost(lambda x: (x[:, 0] > 0).to(x), gradient=torch.zeros_like)
    return Cost(lambda x: torch.special.ndtr(x[:, 0] / tau))


def density(x: float) -> float:
    return math.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def slope_of_mean(tau: float, mean: float = MEAN) -> float:
    q = math.sqrt(1 + tau * tau)
    return density(mean / q) / q


def pathwise_variance(tau: float, mean: float = MEAN) -> float:
    """E f'(x)² − (E f'(x))²,  f' = φ(x/τ)/τ,  φ(x/τ)² = φ(√2 x/τ)/√(2π)."""
    q = math.sqrt(2 + tau * tau)
    square = density(math.sqrt(2) * mean / q) / (math.sqrt(2 * math.pi) * tau * q)
    return square - slope_of_mean(tau, mean) ** 2


def bowl_with_step(x: Tensor) -> Tensor:
    return (x[:, 0] - BOTTOM).square() / 8 - (x[:, 0] > 0).to(x)


def bowl_mean(mean: float) -> float:
    """E f = ((μ + 1)² + 1)/8 − Φ(μ)."""
    return ((mean - BOTTOM) ** 2 + 1) / 8 - 0.5 * math.erfc(-mean / math.sqrt(2))


def best_mean() -> float:
    """Where E f is least: (μ + 1)/4 = φ(μ), which has a single solution."""
    return root_scalar(lambda mean: (mean - BOTTOM) / 4 - density(mean), bracket=(BOTTOM, 3)).root


def descent(estimator: est.Estimator, key: Key) -> Iterator[dict[str, Any]]:
    """Descend the bowl with a step by its mean alone, from 0, at equal evaluations."""
    at, cost = torch.zeros(1, dtype=torch.float64), Cost(bowl_with_step)
    optimizer = torch.optim.Adam([at], lr=RATE)
    for step in range(STEPS + 1):
        spent = cost.spent["value"] + cost.spent["gradient"]
        mean = at.item()
        if step % 10 == 0:
            yield {"evaluations": step * EVALUATIONS, "spent": spent, "mean": mean, "value": bowl_mean(mean)}
        e = estimator(cost, Gaussian(at, 1.0), evaluations=EVALUATIONS, key=key.child(step), errors=False)
        at.grad = only(e.gradient)
        optimizer.step()


def grid(records: list[Record], method: str, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return τ > 0 and one number for each seed and τ, (seeds, widths)."""
    return np.array(WIDTHS[1:]), by_seed(records, name, part="ramp", method=method)[:, 1:]


def claims(records: list[Record], config: Config, judge: Judge) -> None:
    seeds = len(records)
    # where a sample of the ramp is not a rare event, mean and variance of the pathwise gradient can be compared
    tau, variance = grid(records, "pathwise", "variance")
    exact = np.array([pathwise_variance(t) for t in tau])
    off = np.abs(variance.mean(0) / exact - 1).max()
    judge(off <= 0.25, f"pathwise variance over τ is that of the closed form within {off:.0%} (needs <= 25 %)")
    steep = slopes(tau[:5], variance.mean(0)[:5])
    judge(abs(steep + 1) <= 0.1, f"it grows as τ^{steep:.2f} towards the jump (needs −1 ± 0.1)")
    for method in ("score", "measure-valued"):
        _, other = grid(records, method, "variance")
        spread = other.mean(0).max() / other.mean(0)[0]
        worse = tau[variance.mean(0) > other.mean(0)].max()
        judge(
            worse > 0.01 and spread <= 1.5,
            f"{NAMES[method]}: variance {other.mean(0)[0]:.3f} per evaluation at τ = {tau[0]:g}, at most {spread:.2f} "
            f"times that at any other (needs <= 1.5); pathwise has more for τ <= {worse:.2g} (needs > 0.01)",
        )
    for method in ESTIMATORS:
        g, error, truth = (values(records, name, part="ramp", method=method, tau=0.0)
                           for name in ("gradient", "error", "truth"))  # fmt: skip
        if method == "pathwise":
            judge(
                bool((g == 0).all() and (error == 0).all()),
                f"at the jump the pathwise gradient is 0 ± 0 in all {seeds} seeds, where {truth[0]:.4f} is right "
                "(needs exactly that)",
            )
        else:
            z = abs((g - truth).sum()) / math.sqrt((error**2).sum())
            judge(z <= 6, f"at the jump {NAMES[method]} is off by {z:.1f} standard errors of all seeds (needs <= 6)")
    for method in ESTIMATORS:
        goal = BOTTOM if method == "pathwise" else best_mean()
        end, cost = (by_seed(records, name, part="descent", method=method)[:, -1] for name in ("mean", "value"))
        judge(
            np.abs(end - goal).max() < 0.25,
            f"descent by {NAMES[method]} ends at μ = {end.min():.2f} … {end.max():.2f}, E f = {cost.mean():.3f} (needs "
            f"{goal:.2f} ± 0.25{', the bottom of the bowl' if method == 'pathwise' else ', the best'})",
        )
    last = [(r["evaluations"], r["spent"]) for record in records for r in record.rows if r["part"] == "descent"]
    judge(all(a == b for a, b in last), "all descents spent the same evaluations (needs equality)")


def figure(records: list[Record], config: Config) -> Path:
    """Draw mean and variance against the width of the ramp, and descent on a sloped step."""
    drawing, axes = plots.panels(3, width=3.6, height=3.6)
    with plots.style():
        for method, how in STYLES.items():
            for ax, name in ((axes[0], "gradient"), (axes[1], "variance")):
                tau, found = grid(records, method, name)
                band(ax, tau, found, how, middle=np.mean, alpha=0.2)
            label_end(
                axes[1],
                tau[0],
                found[:, 0].mean(),
                NAMES[method].replace(", ", ",\n"),
                how.color,
                up={"measure-valued": -8, "pathwise": 8}.get(method, 13),
            )
            jump = values(records, "gradient", part="ramp", method=method, tau=0.0)
            axes[0].plot(np.full(len(jump), tau[0] / 2.5), jump, color=how.color, marker=how.marker, linestyle="")
            x = values(records[:1], "evaluations", part="descent", method=method)
            path = by_seed(records, "mean", part="descent", method=method)
            band(axes[2], x, path, how, alpha=0.2, markevery=4)
        tau = np.geomspace(WIDTHS[1], WIDTHS[-1], 100)
        axes[0].plot(tau, [slope_of_mean(t) for t in tau], color="#000000", linewidth=0.9)
        axes[1].plot(tau, [pathwise_variance(t) for t in tau], color="#000000", linewidth=0.9)
        axes[2].axhline(best_mean(), color="#000000", linewidth=0.9)
        axes[0].set(xscale="log", xlabel="width τ of the ramp; points at the left: τ = 0", ylabel="∂E f/∂μ",
                    title="At a jump (τ = 0)\nthe pathwise gradient is 0")  # fmt: skip
        axes[1].set(xscale="log", yscale="log", xlabel="width τ of the ramp", ylabel="variance × evaluations",
                    title="On steep ramps\nits variance grows as 1/τ")  # fmt: skip
        axes[2].set(xlabel=plots.AXES["evaluations"], ylabel="μ")
        axes[2].set_title("and descent by it ends\nat the wrong place")
        drawing.suptitle(
            "Scores beat the pathwise gradient on steep ramps; at a jump it is 0 without a sign of being wrong\n"
            f"A ramp of width τ at μ = {MEAN:g}, {config.evaluations:,} evaluations; at the right, descent of "
            f"(x + 1)²/8 − 1[x > 0]\nBands: ranges of {len(records)} seeds; black: exact",
            fontsize=11,
        )
    return plots.save(drawing, config.out / "jumps_in_outputs.png")


if __name__ == "__main__":
    main(Config, __doc__, one_a_seed, run, claims, figure)
