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

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Self

from experiments.common.frame import Flags, Judge, main, values
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

import numpy as np
import torch
import tyro
from matplotlib.axes import Axes
from torch import Tensor
from torch.optim import LBFGS, SGD, Adam

from rllab import Key, plots
from rllab import backprop as bp
from rllab.noise import standard_normal
from rllab.runs import Job, Record

LIKE = torch.empty(0, dtype=torch.float64)
CONDITION, DIMENSION, CLOSE = 100.0, 20, 1e-3
FACTORS = (0.1, 0.3, 1.0, 1.9, 2.1, 3.0, 10.0)  # η over 1/(λ(M) λ(H))
KINDS = {
    "positive": "positive definite",
    "deficient": "semidefinite",
    "indefinite": "indefinite",
    "null space": "semidefinite, g in its null space",
}
ADAM_TRIALS = (0.03, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 4.0)
ADAM = 0.5  # fewest gradients in the median of ADAM_TRIALS, seeds TUNING_SEEDS
ALL_TRIALS, ALL_BEST = {"adam": ADAM_TRIALS, **TRIALS}, {"adam": ADAM, **BEST}
NAMES = {"descent": "descent, best step", "momentum": "heavy ball", "adam": "Adam", "lbfgs": "L-BFGS",
         "newton": "Newton",
         "numbers": "one η for all", "diagonal": "an η for each weight", "matrix": "a matrix η",
         "stochastic": "stochastic, best constant η"}  # fmt: skip
STYLES = {
    "descent": plots.MethodStyle(plots.BLACK, plots.SOLID, "s"),
    "momentum": plots.MethodStyle(plots.BLUE, plots.DASHED, "^"),
    "adam": plots.MethodStyle(plots.PURPLE, plots.DOTTED, "D"),
    "lbfgs": plots.MethodStyle(plots.GREEN, plots.DASHDOT, "P"),
    "newton": plots.MethodStyle(plots.ORANGE, plots.SOLID, "*"),
    "numbers": plots.MethodStyle(plots.BLACK, plots.SOLID, "s"),
    "diagonal": plots.MethodStyle(plots.BLUE, plots.DASHED, "o"),
    "matrix": plots.MethodStyle(plots.ORANGE, plots.SOLID, "*"),
    "stochastic": plots.MethodStyle(plots.VERMILLION, plots.DASHED, "o"),
}
LIMITS = {"momentum": 0.5, "adam": 0.75, "lbfgs": 0.5, "newton": 0.5}  # gradients over descent's, set on seeds 0 to 9
QUADRATIC = ("descent", "momentum", "adam", "lbfgs", "newton")


@dataclass(frozen=True)
class Config(Flags):
    out: Path = Path("results/matrix_step")
    """Folder of records and figures."""
    cases: int = 200
    """Random quadratics a seed."""
    diabetes_budget: int = 40_000
    """Sample-gradients on diabetes; descent has five times as many."""
    tune: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Run the trials of step sizes instead, on seeds that are never reported."""

    def faster(self) -> Self:
        return replace(super().faster(), seeds=2, cases=15, diabetes_budget=12_000)


def jobs_of(config: Config) -> Iterator[Job]:
    for seed in TUNING_SEEDS if config.tune else config.all_seeds:
        kind = "trials" if config.tune else "matrix"
        yield Job(f"{kind}-{seed}", {"kind": kind, "cases": config.cases, "budget": config.diabetes_budget}, seed)


def run(job: Job, record: Record) -> None:
    if job.config["kind"] == "trials":
        for method, etas in ALL_TRIALS.items():
            for eta in etas:
                made = score(method, eta, job.seed, job.config["budget"])
                record.append({"method": method, "eta": eta, "score": made})
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
        ("diabetes", DIABETES, partial(fit_diabetes, budget=job.config["budget"])),
    ):
        for method in methods:
            trace = fit(method, job.seed)
            for n, loss in zip(trace.counts, trace.losses, strict=True):
                record.append({"part": part, "method": method, "spent": n, "loss": loss})


def score(method: str, eta: float, seed: int, budget: int) -> float:
    """Return what a step size is chosen by, the less the better."""
    if method == "adam":
        return float(len(descend("adam", *bowl(seed), eta=eta)))
    if method == "stochastic":
        return float(np.mean(fit_diabetes("stochastic", seed, budget, eta).losses[-100:]))
    return float(np.nanmin(fit_cancer(method, seed, eta).losses))


# ---- quadratics f(w) = w'Hw/2


def orthogonal(n: int, key: Key) -> Tensor:
    return torch.linalg.qr(standard_normal((n, n), key, LIKE)).Q


def spd(eigenvalues: Tensor, key: Key) -> Tensor:
    """Return a symmetric matrix with these eigenvalues in a random basis."""
    q = orthogonal(len(eigenvalues), key)
    return (q * eigenvalues) @ q.T


def matrix_of(kind: str, n: int, key: Key) -> Tensor:
    """Return a random symmetric matrix (n, n): positive definite, semidefinite of a rank below n, or indefinite."""
    generator = key.child("eigenvalues").generator()
    sizes = 10 ** (2 * torch.rand(n, generator=generator, dtype=torch.float64))
    if kind == "deficient":
        sizes[int(torch.randint(1, n, (), generator=generator)) :] = 0
    if kind == "indefinite":
        sizes[: max(1, n // 2)] *= -1
    return spd(sizes, key.child("basis"))


def value(h: Tensor, w: Tensor) -> float:
    return 0.5 * float(w @ h @ w)


def in_null_space(m: Tensor) -> Tensor:
    """Return the vector of length 1 that a symmetric matrix shrinks most: to nothing, if it has a null space."""
    values, vectors = torch.linalg.eigh(m)
    return vectors[:, values.abs().argmin()]


def degrees_between(a: Tensor, b: Tensor) -> float:
    """Return the angle of two vectors in degrees; NaN if a number of theirs is."""
    cosine = a @ b / (a.norm() * b.norm())
    return math.degrees(cosine.clamp(-1, 1).acos().item())


def one_case(kind: str, n: int, key: Key) -> Iterator[dict[str, float | bool]]:
    """Yield for each factor whether the step raised f; and of every step the same, with λ for λ(M):

    down = g'Mg/(λ|g|²), moved = |Mg|/(λ|g|), and angle, that of −Mg to −g in degrees.
    """
    h = matrix_of("positive", n, key.child("H"))
    m = matrix_of("deficient" if kind == "null space" else kind, n, key.child("M"))
    w = standard_normal((n,), key.child("w"), LIKE)
    if kind == "null space":
        w = torch.linalg.solve(h, w.norm() * in_null_space(m))
    g = h @ w
    size = float(torch.linalg.matrix_norm(m, 2))
    down, moved = float(g @ m @ g / (size * g @ g)), float((m @ g).norm() / (size * g.norm()))
    angle = degrees_between(m @ g, g)
    for factor in FACTORS:
        eta = factor / (size * float(torch.linalg.matrix_norm(h, 2)))
        rises = value(h, bp.step(w, g, eta * m)) > value(h, w) * (1 + 1e-12)
        yield {"factor": factor, "rises": rises, "down": down, "moved": moved, "angle": angle, "n": n}


def bowl(seed: int) -> tuple[Tensor, Tensor]:
    """Return H of condition 100, its eigenvalues spread evenly in the logarithm, and where to start."""
    key = Key(seed).child("bowl")
    sizes = torch.logspace(0, math.log10(CONDITION), DIMENSION, dtype=torch.float64)
    return spd(sizes, key.child("H")), standard_normal((DIMENSION,), key.child("w"), LIKE)


def worst_start(seed: int) -> tuple[Tensor, Tensor]:
    """Return H of two dimensions and condition 100, and where the steepest way is furthest off the minimum.

    In the basis of H it is (√κ, 1): then g = (√κ, κ), and cos = 2√κ/(1 + κ).
    """
    q = orthogonal(2, Key(seed).child("turn"))
    h = (q * torch.tensor([1.0, CONDITION], dtype=torch.float64)) @ q.T
    return h, q @ torch.tensor([math.sqrt(CONDITION), 1.0], dtype=torch.float64)


def descend(method: str, h: Tensor, w: Tensor, *, eta: float | None = None, most: int = 3000) -> list[float]:
    """Return the distance from the minimum, relative to the start, before each gradient until it is at most CLOSE.

    Descent and heavy ball have the step sizes that are best for the worst case, from the eigenvalues: 2/(1 + κ), and
    Polyak's 4/(1 + √κ)² with momentum ((√κ − 1)/(√κ + 1))². L-BFGS has a line search, which is charged its gradients.
    """
    root = math.sqrt(CONDITION)
    optimizers: dict[str, Callable[[list[Tensor]], torch.optim.Optimizer]] = {
        "descent": partial(SGD, lr=2 / (1 + CONDITION)),
        "momentum": partial(SGD, lr=4 / (1 + root) ** 2, momentum=((root - 1) / (root + 1)) ** 2),
        "adam": partial(Adam, lr=ADAM if eta is None else eta),
        "lbfgs": partial(LBFGS, line_search_fn="strong_wolfe"),
    }
    start, distances = float(w.norm()), []
    w = w.clone().requires_grad_()
    stepper = optimizers[method]([w]) if method in optimizers else None

    def closure() -> float:
        distances.append(float(w.detach().norm()) / start)
        w.grad = h @ w.detach()
        if distances[-1] <= CLOSE or len(distances) > most:
            raise StopIteration
        return value(h, w.detach())

    try:
        while True:
            if stepper is None:  # Newton
                closure()
                w = bp.step(w.detach(), h @ w.detach(), torch.linalg.inv(h))
            else:
                stepper.step(closure)
    except StopIteration:
        return distances


# ---- what was measured


def risen(records: list[Record], kind: str) -> np.ndarray:
    """Return the share of steps that raised f, by factor."""
    return np.array([values(records, "rises", part="case", kind=kind, factor=f).mean() for f in FACTORS])


def gradients_of(records: list[Record], method: str) -> np.ndarray:
    """Return how many gradients each seed took on the bowl; one that was not close enough at the end is infinite."""
    last = [[r for r in record.rows if r["part"] == "bowl" and r["method"] == method][-1] for record in records]
    return np.array([r["step"] if r["distance"] <= CLOSE else np.inf for r in last])


def curve(record: Record, part: str, method: str) -> tuple[np.ndarray, np.ndarray]:
    """Return sample-gradients spent, and the least loss up to there."""
    rows = [r for r in record.rows if r["part"] == part and r["method"] == method]
    return np.array([r["spent"] for r in rows]), np.fmin.accumulate(np.array([r["loss"] for r in rows], float))


def claims(records: list[Record], config: Config, judge: Judge) -> None:
    if config.tune:
        for method, etas in ALL_TRIALS.items():
            each = {eta: float(np.median(values(records, "score", method=method, eta=eta))) for eta in etas}
            eta = min(etas, key=lambda eta: each[eta])
            judge(eta == ALL_BEST[method] and etas[0] < eta < etas[-1], f"{NAMES[method]}: best of {each} at {eta:g}")
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
    angles = values(records, "angle", part="case", kind="positive", factor=1.0)
    judge(np.median(angles) > 10, f"−Mg is {np.median(angles):.0f}° off −g in the median (needs > 10°)")
    descent = gradients_of(records, "descent")
    for method, limit in LIMITS.items():
        share = gradients_of(records, method) / descent
        judge(
            (share <= limit).all(),
            f"condition {CONDITION:g}: {NAMES[method]} {np.median(gradients_of(records, method)):.0f} gradients, at "
            f"most {share.max():.2f} of {NAMES['descent']}'s {np.median(descent):.0f} (needs <= {limit}, all seeds)",
        )
    ends = {m: np.array([curve(record, "cancer", m)[1][-1] for record in records]) for m in CANCER}
    judge(
        (ends["diagonal"] < ends["numbers"] / 2).all() and (ends["matrix"] < ends["diagonal"]).all(),
        f"breast cancer, {CANCER_STEPS} batch steps: least loss {np.median(ends['numbers']):.3f} with one η, "
        f"{np.median(ends['diagonal']):.3f} with an η for each weight, {np.median(ends['matrix']):.3f} with a matrix, "
        f"{np.median(ends['lbfgs']):.3f} by L-BFGS (each η at least halves, the matrix is below, all seeds)",
    )
    least = {m: np.array([curve(record, "diabetes", m)[1][-1] for record in records]) for m in DIABETES}
    judge(
        (least["lbfgs"] < 0.1 * least["stochastic"]).all() and (least["newton"] < 1e-9).all(),
        f"diabetes, {config.diabetes_budget:,} sample-gradients: excess loss {np.median(least['stochastic']):.1g} by "
        f"stochastic descent, {np.median(least['lbfgs']):.1g} by L-BFGS, "
        f"{least['newton'].max():.1g} by one Newton step of 400 (L-BFGS needs a tenth, all seeds)",
    )


def figure(records: list[Record], config: Config) -> Path:
    """Draw where f rises, the angles, the bowls, and both sets of real data; or the trials."""
    if config.tune:
        drawing, axes = plots.panels(3, 2, width=4, height=3)
        with plots.style():
            for ax, (method, etas) in zip(axes, ALL_TRIALS.items(), strict=False):
                for record in records:
                    ax.loglog(etas, values([record], "score", method=method), "o-", color=plots.BLUE, markersize=3)
                ax.set(xlabel="step size η", ylabel="score, less is better", title=NAMES[method])
        return plots.save(drawing, config.out / "matrix_step-trials.png")
    drawing, axes = plots.panels(3, 2, width=4.7, height=4.2)
    with plots.style():
        for kind, method in zip(KINDS, ("numbers", "diagonal", "stochastic", "lbfgs"), strict=True):
            how, still = STYLES[method], ": it stays" * (kind == "null space")
            axes[0].plot(FACTORS, 100 * risen(records, kind), color=how.color, linestyle=how.linestyle,
                         marker=how.marker, markerfacecolor="none" if still else None, markersize=9 if still else None,
                         label=KINDS[kind] + still)  # fmt: skip
        axes[0].axvline(1, color="#666666", linewidth=0.9, linestyle=(0, (2, 2)))
        axes[0].set(
            xscale="log", xlabel="η over 1/(λ(M) λ(H))", ylabel="steps that raise f, %", title="Is it downhill?"
        )
        bins = list(range(0, 181, 5))
        for kind, method in (("positive", "numbers"), ("indefinite", "stochastic")):
            angles, how = values(records, "angle", part="case", kind=kind, factor=1.0), STYLES[method]
            axes[1].hist(angles, bins, histtype="step", color=how.color, linestyle=how.linestyle, linewidth=1.8,
                         label=KINDS[kind])  # fmt: skip
        axes[1].axvline(90, color="#666666", linewidth=0.9, linestyle=(0, (2, 2)))
        axes[1].set(xlabel="angle between −Mg and −g, degrees", ylabel="quadratics of 2 to 50 dimensions",
                    title="Is it the steepest way?")  # fmt: skip
        paths(axes[2], records[0].seed)
        for method in QUADRATIC:
            for i, record in enumerate(records):
                rows = [r for r in record.rows if r["part"] == "bowl" and r["method"] == method]
                how, x = STYLES[method], [r["step"] for r in rows]
                axes[3].loglog(np.add(x, 1), [r["distance"] for r in rows], color=how.color, linestyle=how.linestyle,
                               linewidth=1, label=None if i else NAMES[method])  # fmt: skip
        axes[3].set(ylim=(CLOSE / 2, 2), xlabel="gradients", ylabel="distance from the minimum, start is 1",
                    title=f"Bowls of condition {CONDITION:g}, {DIMENSION} dimensions")  # fmt: skip
        for ax, part, methods in ((axes[4], "cancer", CANCER), (axes[5], "diabetes", DIABETES)):
            for method in methods:
                for i, record in enumerate(records):
                    how, (x, y) = STYLES[method], curve(record, part, method)
                    kept = slice(None, None, max(1, len(x) // 150))
                    ax.loglog(x[kept] + 1, np.maximum(y[kept], 1e-10), drawstyle="steps-post", color=how.color,
                              linestyle=how.linestyle, linewidth=1, marker="*" if method == "newton" else None,
                              label=None if i else NAMES[method])  # fmt: skip
            ax.set_xlabel("1 + sample-gradients")
        axes[4].set(
            ylabel="least loss so far", title="Breast cancer as measured, batch", xlim=(300, None), ylim=(0.003, 1)
        )
        axes[5].set(ylabel="least excess loss so far, start is 1", title="Diabetes, condition 470", ylim=(5e-11, 3))
        for ax in axes:
            ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, fontsize=8)
        drawing.suptitle(f"{len(records)} seeds, each a line; histograms and shares over all of them")
    return plots.save(drawing, config.out / "matrix_step.png")


def paths(ax: Axes, seed: int) -> None:
    """Draw descent, heavy ball and Newton on the worst start of a bowl of condition 100, turned as it is."""
    h, w = worst_start(seed)
    for method, lr, momentum in (("descent", 2 / (1 + CONDITION), 0.0), ("momentum", 4 / 121, 81 / 121)):
        leaf = w.clone().requires_grad_()
        optimizer, path = SGD([leaf], lr=lr, momentum=momentum), [w]
        for _ in range(60):
            leaf.grad = h @ leaf.detach()
            optimizer.step()
            path.append(leaf.detach().clone())
        how = STYLES[method]
        ax.plot(*torch.stack(path).T, color=how.color, linestyle=how.linestyle, marker=how.marker, markersize=2.5,
                linewidth=1, label=f"{NAMES[method]}, 60 steps")  # fmt: skip
    ax.plot(*torch.stack([w, w * 0]).T, color=STYLES["newton"].color, marker="*", label="Newton, 1 step")
    side = 1.15 * float(w.abs().max())
    x, y = np.meshgrid(np.linspace(-side, side, 200), np.linspace(-side, side, 200))
    (a, b), (_, c) = h.tolist()
    f = 0.5 * (a * x**2 + 2 * b * x * y + c * y**2)
    ax.contour(x, y, f, levels=np.geomspace(1, float(f.max()), 8), colors="#AAAAAA", linewidths=0.8)
    ax.set(xlabel="w₁", ylabel="w₂", aspect="equal", title="Is the steepest way the wanted one?")
    ax.grid(False)


if __name__ == "__main__":
    main(Config, __doc__, jobs_of, run, claims, figure)
