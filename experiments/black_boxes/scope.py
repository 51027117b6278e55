"""Why must a jump be estimated together with what follows it?

A step f(x) = 1[x > 0] and then a cost (f − t)². Backpropagation hands the block v = 2(f(x) − t), the slope of the cost
where f is. A *local* estimate multiplies it by the slope of the smoothed step, φ(x/σ)/σ, as if the cost were linear up
to where the jump leads. What is wanted is the slope of the smoothed cost of the two together:

    local      2(f(x) − t) φ(x/σ)/σ
    to cost    ∂/∂x E (f(x + σu) − t)² = ((1 − t)² − t²) φ(x/σ)/σ = (1 − 2t) φ(x/σ)/σ

Before the step the local form is −2t/(1 − 2t) times the other at every radius, and has the wrong sign wherever t lies
between f and the middle of the jump. For a smooth block in place of the step both come to the same as σ falls.

    python experiments/black_boxes/scope.py    seconds
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from experiments.common.drawing import GREY, label_end
from experiments.common.frame import Flags, Judge, by_seed, main, one_a_seed

import numpy as np
import torch
from torch import Tensor

from rllab import BlackBox, Key, plots
from rllab import estimators as est
from rllab.runs import Job, Record

POINTS = np.linspace(-1.45, 1.45, 30)  # of x, none on the jump
TARGETS = (1.0, 0.3)
SIGMAS = (0.1, 0.2, 0.5, 1.0)
AT = -0.1  # where radii are compared
SMOOTH_SIGMAS = (0.05, 0.1, 0.2, 0.4)
WORDS = {"local": "alone", "to cost": "with what follows"}
WRONG = {1.0: "is doubled before the step, 0 after it", 0.3: "has the wrong sign before the step"}
SAID = {"step": "step", "slope": "smooth block"}


@dataclass(frozen=True)
class Config(Flags):
    first_seed: ClassVar[int] = 1000
    pairs: int = 4_000
    """Antithetic pairs at each point, for each seed."""
    quick: ClassVar[dict[str, Any]] = {"seeds": 2, "pairs": 2_000}


def run(job: Job, record: Record) -> None:
    """Estimate both ways: along x, over radii, and for a smooth block."""
    key, pairs = Key(job.seed), job.config["pairs"]
    points = [("place", step, float(x), 0.5) for x in POINTS]
    points += [("radius", step, AT, sigma) for sigma in SIGMAS] + [("radius", slope, AT, s) for s in SMOOTH_SIGMAS]
    for t in TARGETS:
        for i, (part, block, x, sigma) in enumerate(points):
            made = both(block, x, t, sigma, pairs, key.child(repr(t), i))
            record.append({"part": part, "block": block.__name__, "x": x, "t": t, "sigma": sigma, **made})


def step(x: Tensor) -> Tensor:
    return (x > 0).to(x)


def slope(x: Tensor) -> Tensor:
    """Return σ(2x), a step that is smooth."""
    return torch.sigmoid(2 * x)


def both(f: Callable[[Tensor], Tensor], x: float, t: float, sigma: float, pairs: int, key: Key) -> dict[str, float]:
    """Return the means of both kinds of estimates, and their standard errors."""
    made = {}
    for name in ("local", "to cost"):
        at = torch.full((pairs, 1), x, dtype=torch.float64, requires_grad=True)
        smoothing = est.GaussianSmoothing(sigma)
        if name == "local":  # a step is declared smooth, which it is not
            box = BlackBox(f, smoothing, 2, smooth=True, check_rows=False, key=key)
            ((box(at) - t) ** 2).sum().backward()
        else:
            box = BlackBox(f, smoothing, 2, downstream=lambda y: (y[:, 0] - t) ** 2, check_rows=False, key=key)
            box(at).sum().backward()
        assert at.grad is not None
        made |= {name: at.grad.mean().item(), f"{name} error": at.grad.std().item() / pairs**0.5}
    return made


def exact(x: np.ndarray | float, t: float, sigma: np.ndarray | float) -> np.ndarray:
    return (1 - 2 * t) * np.exp(-((np.asarray(x) / sigma) ** 2) / 2) / (2 * np.pi) ** 0.5 / sigma


def exact_slope(x: float, t: float) -> float:
    """Return the derivative of (σ(2x) − t)²."""
    f = 1 / (1 + np.exp(-2 * x))
    return float(2 * (f - t) * 2 * f * (1 - f))


def mean(records: list[Record], name: str, **wanted: object) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean over seeds of a kind of estimate, row by row, and its standard error."""
    each, errors = (by_seed(records, what, **wanted) for what in (name, f"{name} error"))
    return each.mean(0), np.sqrt((errors**2).sum(0)) / len(records)


def claims(records: list[Record], config: Config, judge: Judge) -> None:
    for t in TARGETS:
        got, error = mean(records, "to cost", part="place", t=t)
        worst = (np.abs(got - exact(POINTS, t, 0.5)) / np.maximum(error, 1e-9)).max()
        judge(
            worst <= 6.5, f"t = {t}: to the cost, at most {worst:.1f} standard errors off the exact slope (needs 6.5)"
        )
        got, error = mean(records, "local", part="radius", block="step", t=t)
        truth, factor = exact(AT, t, np.array(SIGMAS)), -2 * t / (1 - 2 * t)  # f = 0 before the step
        worst = np.abs((got - factor * truth) / error).max()
        judge(
            worst <= 6.5,
            f"t = {t}: the local form is {', '.join(f'{r:.2f}' for r in got / truth)} times the truth at σ = "
            f"{', '.join(map(str, SIGMAS))}, at most {worst:.1f} standard errors off −2t/(1 − 2t) = {factor:.2f} of it "
            "(needs 6.5)",
        )
        got, _ = mean(records, "local", part="radius", block="slope", t=t)
        off = abs(got[0] / exact_slope(AT, t) - 1)
        judge(off <= 0.1, f"t = {t}: for a smooth block it is off by {off:.1%} at σ = {SMOOTH_SIGMAS[0]} (needs 10 %)")
    got, _ = mean(records, "local", part="place", t=0.3)
    near = (POINTS < 0) & (POINTS > -0.6)
    opposite = (got[near] * exact(POINTS[near], 0.3, 0.5) < 0).mean()
    judge(opposite == 1, f"t = 0.3: just before the jump the local form has the wrong sign at {opposite:.0%} of points")


def figure(records: list[Record], config: Config) -> Path:
    """Draw both kinds of estimates along x, and over radii."""
    drawing, axes = plots.panels(3, 1, width=3.6, height=3.7)
    looks = {"local": (plots.VERMILLION, "X"), "to cost": (plots.BLUE, "o")}
    with plots.style():
        fine = np.linspace(-1.5, 1.5, 301)
        for ax, t in zip(axes, TARGETS, strict=False):
            for name, (colour, marker) in looks.items():
                got, error = mean(records, name, part="place", t=t)
                ax.errorbar(POINTS, got, 2 * error, color=colour, marker=marker, linestyle="")
                if name == "to cost":  # where no mark is: beside the curve, or above its top
                    k, side, up = (18, "right", 0) if t == TARGETS[0] else (14, "left", 10)
                else:
                    k, side, up = 12, "left", -3
                label_end(ax, POINTS[k], got[k], WORDS[name], colour, side=side, up=up)
            ax.plot(fine, exact(fine, t, 0.5), color="#000000")
            ax.axhline(0, color=GREY, linewidth=0.8)
            ax.set(xlabel="x; the step is at 0", ylabel="slope of the cost (line: exact)")
            ax.set_title(f"Step, cost (f − {t:g})²: alone the slope\n{WRONG[t]}")
        for block, sigmas, fill in (("step", SIGMAS, True), ("slope", SMOOTH_SIGMAS, False)):
            for name, (colour, marker) in looks.items():
                got, error = mean(records, name, part="radius", block=block, t=0.3)
                truth = (
                    exact(AT, 0.3, np.array(sigmas)) if block == "step" else np.full(len(sigmas), exact_slope(AT, 0.3))
                )
                axes[2].errorbar(sigmas, got / truth, 2 * error / np.abs(truth), color=colour, marker=marker,
                                 linestyle=plots.SOLID if fill else plots.DASHED,
                                 markerfacecolor=colour if fill else "white")  # fmt: skip
                if name == "local":
                    label_end(axes[2], sigmas[0], (got / truth)[0], f"{SAID[block]}, {WORDS[name]}", colour, up=-14)
                elif block == "step":
                    label_end(axes[2], sigmas[0], (got / truth)[0], f"{WORDS[name]}: both", colour, up=12)
        axes[2].axhline(1, color="#000000", linewidth=0.9)
        axes[2].axhline(0, color=GREY, linewidth=0.8)
        axes[2].set(xscale="log", xlabel="σ of the smoothing", ylabel="estimate/exact slope", ylim=(-2, 1.5))
        axes[2].set_title(f"A step alone is wrong at every radius,\na smooth block right (x = {AT:g}, t = 0.3)")
        drawing.suptitle(
            f"A block that jumps must be estimated together with what follows it; means of {config.seeds} seeds, "
            "bars: 2 standard errors",
            fontsize=11,
        )
    return plots.save(drawing, config.out / "scope.png")


if __name__ == "__main__":
    main(Config, __doc__, one_a_seed, run, claims, figure)
