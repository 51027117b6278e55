"""What does a matrix for a step size change: does it still go downhill, and is the steepest way the wanted one?

    w ← w − η M g        f falls if η ≤ 1/(λ(M) λ(H)) and M is positive semidefinite: −g'Mg ≤ 0          (λ: largest)
    M = I                the steepest way, which in a bowl of condition κ is up to arccos 2√κ/(1 + κ) off the minimum
    M = H⁻¹              Newton: the minimum of a quadratic in one step

Random quadratics with random M of every rank; where the sentence needs more than "semidefinite": g in the null space of
M, which moves nothing, steps too large, and indefinite M. Then steps to a thousandth of the distance on bowls of
condition 100 in 20 dimensions for ways that use gradients but do not descend along them. Last, real data: logistic
regression on breast cancer as it was measured, scales apart by a million, and least squares on diabetes, of condition
470, where batch and the second derivative beat stochastic descent.

Source: LeCun (2020), NYU Deep Learning, week 2. The angle: Kantorovich (1948), "Functional analysis and applied
mathematics"; steps of heavy ball: Polyak (1964), "Some methods of speeding up the convergence of iteration methods",
theorem 9. The real data and their matrices are in `matrix_data.py`.

    python experiments/lecture/matrix_step.py          a minute on 2 cores; results/matrix_step holds every number
    python experiments/lecture/matrix_step.py --tune   the trials behind BEST, on seeds of their own
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from experiments.common.drawing import REFERENCE, dots
from experiments.common.frame import Judge, main, values
from experiments.lecture.matrix_data import (
    BEST,
    CANCER,
    CANCER_STEPS,
    DIABETES,
    TRIALS,
    TUNING_SEEDS,
    fit_cancer,
    fit_diabetes,
)
from experiments.lecture.quadratics import (
    ADAM,
    CLOSE,
    CONDITION,
    DIMENSION,
    FACTORS,
    bowl,
    descend,
    one_case,
    worst_start,
)
from experiments.lecture.trials import Trials, Tunable

import numpy as np
import torch
from matplotlib.axes import Axes
from torch.optim import SGD

from rllab import Key, plots
from rllab.runs import Job, Record

KINDS = {
    "positive": "positive definite",
    "deficient": "semidefinite",
    "indefinite": "indefinite",
    "null space": "semidefinite, g in its null space",
}
ADAM_TRIALS = (0.03, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 4.0)
ALL_TRIALS, ALL_BEST = {"adam": ADAM_TRIALS, **TRIALS}, {"adam": ADAM, **BEST}
NAMES = {
    "descent": "descent, best step",
    "momentum": "heavy ball",
    "adam": "Adam",
    "lbfgs": "L-BFGS",
    "newton": "Newton",
    "numbers": "one η for all",
    "diagonal": "an η for each weight",
    "matrix": "a matrix η",
    "stochastic": "stochastic, best constant η",
}
COLORS = {
    "descent": plots.BLACK,
    "momentum": plots.BLUE,
    "adam": plots.PURPLE,
    "lbfgs": plots.GREEN,
    "newton": plots.ORANGE,
    "numbers": plots.BLACK,
    "diagonal": plots.BLUE,
    "matrix": plots.ORANGE,
    "stochastic": plots.VERMILLION,
}
LIMITS = {"momentum": 0.5, "adam": 0.75, "lbfgs": 0.5, "newton": 0.5}  # gradients over descent's, set on seeds 0 to 9
QUADRATIC = ("descent", "momentum", "adam", "lbfgs", "newton")


@dataclass(frozen=True)
class Config(Tunable):
    cases: int = 200
    """Random quadratics a seed."""
    diabetes_budget: int = 40_000
    """Sample-gradients on diabetes; descent has five times as many."""
    quick: ClassVar[dict[str, Any]] = {"seeds": 2, "cases": 15, "diabetes_budget": 12_000}


def jobs_of(config: Config) -> list[Job]:
    return GRID.jobs(config, TUNING_SEEDS)


def run(job: Job, record: Record) -> None:
    if job.config["kind"] == "trials":
        GRID.run(job, record)
        return
    for i in range(job.config["cases"]):
        key = Key(job.seed).child("case", i)
        for kind in KINDS:
            for row in one_case(kind, 2 + i % 49, key):
                record.append({"part": "case", "kind": kind, **row})
    for method in QUADRATIC:
        for n, distance in enumerate(descend(method, *bowl(job.seed))):
            record.append({"part": "bowl", "method": method, "step": n, "distance": distance})
    for part, methods, fit in (
        ("cancer", CANCER, fit_cancer),
        ("diabetes", DIABETES, partial(fit_diabetes, budget=job.config["diabetes_budget"])),
    ):
        for method in methods:
            trace = fit(method, job.seed)
            for n, loss in zip(trace.counts, trace.losses, strict=True):
                record.append({"part": part, "method": method, "spent": n, "loss": loss})


def score(method: str, eta: float, job: Job) -> float:
    """Return what a step size is chosen by, the less the better."""
    if method == "adam":
        return float(len(descend("adam", *bowl(job.seed), eta=eta)))
    if method == "stochastic":
        return float(np.mean(fit_diabetes("stochastic", job.seed, job.config["diabetes_budget"], eta).losses[-100:]))
    return float(np.nanmin(fit_cancer(method, job.seed, eta).losses))


GRID = Trials(ALL_TRIALS, ALL_BEST, score, "score, less is better")


def risen(records: list[Record], kind: str) -> np.ndarray:
    """Return the share of steps that raised f, by factor."""
    return np.array([values(records, "rises", part="case", kind=kind, factor=f).mean() for f in FACTORS])


def gradients_of(records: list[Record], method: str) -> np.ndarray:
    """Return how many gradients each seed took on the bowl; one that was not close enough at the end is infinite."""
    last = [[numbers[-1] for numbers in way(record, method)] for record in records]
    return np.array([step if distance <= CLOSE else np.inf for step, distance in last])


def way(record: Record, method: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradients that were asked for on the bowl, and the distance from the minimum before each."""
    wanted = {"part": "bowl", "method": method}
    return values([record], "step", **wanted), values([record], "distance", **wanted)


def curve(record: Record, part: str, method: str) -> tuple[np.ndarray, np.ndarray]:
    """Return sample-gradients spent, and the least loss up to there."""
    wanted = {"part": part, "method": method}
    return values([record], "spent", **wanted), np.fmin.accumulate(values([record], "loss", **wanted))


def last_losses(records: list[Record], part: str, method: str) -> np.ndarray:
    return np.array([curve(record, part, method)[1][-1] for record in records])


def claims(records: list[Record], config: Config, judge: Judge) -> None:
    if config.tune:
        GRID.claims(records, judge)
        return
    small = [i for i, f in enumerate(FACTORS) if f <= 1]
    for kind in ("positive", "deficient"):
        down, share = values(records, "down", part="case", kind=kind), risen(records, kind)
        judge(
            share[small].max() == 0 and down.min() >= -1e-12,
            f"{kind}: of {len(down) // len(FACTORS):,} quadratics f rose in {share[small].max():.1%} at η up to 1/(λλ) "
            f"(needs 0), least g'Mg {down.min():.1g} (needs >= 0), and in {share[-1]:.0%} at ten times that",
        )
    judge.note(f"indefinite: f rose in {risen(records, 'indefinite')[0]:.0%} at a tenth of it")
    moved, share = values(records, "moved", part="case", kind="null space"), risen(records, "null space")
    judge(
        moved.max() <= 1e-12 and share.max() == 0,
        f"g in the null space of M: the step is at most {moved.max():.1g} of λ(M)|g| (needs <= 1e-12, rounding), and f "
        f"rose in {share.max():.0%} at any η",
    )
    off = np.median(values(records, "angle", part="case", kind="positive", factor=1.0))
    judge(off > 10, f"−Mg is {off:.0f}° off −g in the median (needs > 10°)")
    descent = gradients_of(records, "descent")
    for method, limit in LIMITS.items():
        share = gradients_of(records, method) / descent
        judge(
            (share <= limit).all(),
            f"condition {CONDITION:g}: {NAMES[method]} {np.median(gradients_of(records, method)):.0f} gradients, at "
            f"most {share.max():.2f} of {NAMES['descent']}'s {np.median(descent):.0f} (needs <= {limit}, all seeds)",
        )
    ends = {m: last_losses(records, "cancer", m) for m in CANCER}
    judge(
        (ends["diagonal"] < ends["numbers"] / 2).all() and (ends["matrix"] < ends["diagonal"]).all(),
        f"breast cancer, {CANCER_STEPS} batch steps: least loss {np.median(ends['numbers']):.3f} with one η, "
        f"{np.median(ends['diagonal']):.3f} with an η for each weight, {np.median(ends['matrix']):.3f} with a matrix, "
        f"{np.median(ends['lbfgs']):.3f} by L-BFGS (each η at least halves, the matrix is below, all seeds)",
    )
    least = {m: last_losses(records, "diabetes", m) for m in DIABETES}
    judge(
        (least["lbfgs"] < 0.1 * least["stochastic"]).all() and (least["newton"] < 1e-9).all(),
        f"diabetes, {config.diabetes_budget:,} sample-gradients: excess loss {np.median(least['stochastic']):.1g} by "
        f"stochastic descent, {np.median(least['lbfgs']):.1g} by L-BFGS, "
        f"{least['newton'].max():.1g} by one Newton step of 400 (L-BFGS needs a tenth, all seeds)",
    )


def figure(records: list[Record], config: Config) -> Path:
    """Draw where f rises, the angles, the bowls, and both sets of real data; or the trials."""
    if config.tune:
        return GRID.figure(records, config.out / "matrix_step-trials.png")
    drawing, axes = plots.panels(3, 2, width=5.0, height=3.6)
    bowls = {method: gradients_of(records, method) for method in QUADRATIC}
    with plots.style():
        rises(axes[0], records)
        angles(axes[1], records)
        paths(axes[2], records[0].seed)
        for ax, found, what, title in (
            (axes[3], bowls, f"gradients to {CLOSE:g} of the distance, condition {CONDITION:g}, {DIMENSION} dimensions",
             "The same gradients, used better: 2 to 300 times fewer"),
            (axes[4], {m: last_losses(records, "cancer", m) for m in CANCER},
             f"least loss in {CANCER_STEPS} batch steps, raw measurements of breast cancer",
             "Scales a million apart: one η fails, a matrix does not"),
            (axes[5], {m: np.maximum(last_losses(records, "diabetes", m), 1e-10) for m in DIABETES},
             f"excess loss left (start is 1, edge: 1e−10), diabetes, {config.diabetes_budget:,} sample-gradients",
             "Few samples, ill-conditioned: curvature beats sampling"),
        ):  # fmt: skip
            dots(ax, {NAMES[m]: numbers for m, numbers in found.items()}, [COLORS[m] for m in found])
            ax.set(xscale="log", title=title)
            ax.set_xlabel(what, fontsize=9)
        drawing.suptitle(f"{len(records)} seeds: a dot each, or (upper left and middle) all together", fontsize=9)
    return plots.save(drawing, config.out / "matrix_step.png")


def rises(ax: Axes, records: list[Record]) -> None:
    """Draw the share of steps that raise f against the step size."""
    for kind, color, at, said in (
        ("indefinite", plots.VERMILLION, (0.1, 54), "M indefinite"),
        ("positive", plots.BLACK, (1.15, 34), "M positive\ndefinite"),
        ("deficient", plots.BLUE, (1.15, 20), "semidefinite"),
        ("null space", plots.GREEN, (0.1, 4), "g in the null space: it stays"),
    ):
        ax.plot(FACTORS, 100 * risen(records, kind), color=color, marker="o", markersize=4)
        ax.text(*at, said, color=color, fontsize=9)
    ax.axvline(1, **REFERENCE)
    ax.set(xscale="log", xlabel="η over 1/(λ(M) λ(H))", ylabel="steps that raise f, %", ylim=(-4, 103))
    ax.set_title("Semidefinite M and a short step: never uphill")


def angles(ax: Axes, records: list[Record]) -> None:
    """Draw how the angles between −Mg and −g are distributed."""
    middle = 0.0
    for kind, color, at in (("indefinite", plots.VERMILLION, (105, 190)), ("positive", plots.BLACK, (58, 450))):
        degrees = values(records, "angle", part="case", kind=kind, factor=1.0)
        ax.hist(degrees, list(range(0, 181, 5)), histtype="step", linewidth=1.8, color=color)
        ax.annotate(f"M {KINDS[kind]}", at, color=color)
        middle = np.median(degrees)
    ax.axvline(90, **REFERENCE)
    ax.set(xlabel="angle between −Mg and −g, degrees", ylabel="quadratics of 2 to 50 dimensions")
    ax.set_title(f"but {middle:.0f}° off the steepest way in the median")


def paths(ax: Axes, seed: int) -> None:
    """Draw descent, heavy ball and Newton on the worst start of a bowl of condition 100, along its long axis."""
    h, w = worst_start(seed)
    axes = torch.linalg.eigh(h).eigenvectors
    for method, lr, momentum in (("momentum", 4 / 121, 81 / 121), ("descent", 2 / (1 + CONDITION), 0.0)):
        leaf = w.clone().requires_grad_()
        optimizer, path = SGD([leaf], lr=lr, momentum=momentum), [w]
        for _ in range(60):
            leaf.grad = h @ leaf.detach()
            optimizer.step()
            path.append(leaf.detach().clone())
        ax.plot(*(torch.stack(path) @ axes).T, "o-", markersize=2.5, linewidth=1, color=COLORS[method])
    start = w @ axes
    ax.plot(*torch.stack([start, start * 0]).T, color=COLORS["newton"], marker="*", linewidth=2, zorder=5)
    side = 1.15 * float(w.norm())
    x, y = np.meshgrid(np.linspace(-side, side, 200), np.linspace(-side / 2, side / 2, 200))
    f = 0.5 * (x**2 + CONDITION * y**2)
    ax.contour(x, y, f, levels=np.geomspace(1, float(f.max()), 8), colors="#AAAAAA", linewidths=0.8)
    for k, (method, steps) in enumerate((("descent", "60 steps"), ("momentum", "60 steps"), ("newton", "1 step"))):
        said = f"{NAMES[method]}: {steps}"
        ax.text(0.03, 0.93 - 0.08 * k, said, color=COLORS[method], transform=ax.transAxes, va="top")
    ax.set(xlabel="along the valley", ylabel="across it", title="and the steepest way leads past the minimum")
    ax.grid(False)


if __name__ == "__main__":
    main(Config, __doc__, jobs_of, run, claims, figure)
