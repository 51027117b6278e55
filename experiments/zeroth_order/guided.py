"""Does a biased surrogate gradient help when evaluations are scarce, and is it more than a larger step?

    f(x) = |Ax − b|²/2m, A of m = 2000 rows and n = 1000 columns, A and b standard normal, x₀ = 0
    surrogate of ∇f:  g + |g| (v + 1.5 w),  v a unit vector that never changes, w a new unit vector at each step

Three ways to use it, one pair of evaluations a step for those that evaluate f:
    surrogate   x ← x − 0.005 · surrogate                  no evaluation at all
    gaussian    x ← x − 0.2 · ĝ,  Σ = I/n                  does not look at the surrogate
    guided      x ← x − 0.2 · ĝ,  Σ = I/2n + ss'/2         s the direction of the surrogate

Source: Maheswaranathan, Metz, Tucker, Choi & Sohl-Dickstein (2019), "Guided evolutionary strategies: augmenting random
search with surrogate gradients", section 4.1, figure 1: f, bias, noise and these learning rates. Here every seed draws
its own A, b, v. Beyond the source: both searches again, each with the learning rate that suits it best, the same for
both being fair to neither; and a surrogate that says nothing of g, as a control.

All are run in the coordinates z = V'x of the eigenvectors V of A'A/m, where f = Σ λ_i (z_i − z*_i)²/2 + f(x*) costs
O(n). Turning the coordinates changes nothing else: noise, bias and surrogates have no preferred direction.

    python experiments/zeroth_order/guided.py  runs, prints claims, draws; results/guided holds every number
    python experiments/zeroth_order/guided.py --tune        the trials behind BEST, on seeds of their own
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

from experiments.common.frame import Flags, Judge, Switch, column, main, select

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from rllab import Cost, Key, plots
from rllab import estimators as est
from rllab.noise import standard_normal
from rllab.runs import Job, Record
from rllab.runs.comparisons import area_under_curve, paired_difference
from rllab.runs.statistics import curve_of, median_curve

PUBLISHED = {"surrogate": 0.005, "gaussian": 0.2, "guided": 0.2}
BEST = {"gaussian": 1.5, "guided": 0.6}  # least excess at the end among TRIALS, seeds TUNING_SEEDS
TRIALS = {"gaussian": (0.5, 1.0, 1.5, 2.0), "guided": (0.2, 0.4, 0.6, 0.8, 1.2)}
TUNING_SEEDS = (100, 101, 102)
NOISE = 1.5
NAMES = {
    "surrogate": "descent on the surrogate",
    "gaussian": "smoothing, Σ = I/n",
    "guided": "guided smoothing",
    "uninformed": "guided by what says nothing",
}
ESTIMATOR = est.GuidedSmoothing(sigma=0.1, alpha=0.5, beta=1.0, memory=1)


@dataclass(frozen=True)
class Config(Flags):
    first_seed: ClassVar[int] = 200  # thresholds were moved after a look at seeds 0 to 2, see `claims`
    parameters: int = 1000
    """Number of parameters n; there are 2n rows, and 10 n steps."""
    tune: Switch = False
    """Run the trials of learning rates instead, on seeds that are never reported."""
    quick: ClassVar[dict[str, Any]] = {"parameters": 100}

    def check(self) -> None:
        super().check()
        if self.parameters < 10:
            raise ValueError(f"--parameters must be >= 10, as a row is kept of every n/10 steps, got {self.parameters}")


def jobs_of(config: Config) -> Iterator[Job]:
    """Yield a job for each seed, method and learning rate; those of a seed together, as they share the problem."""

    def job(method: str, rates: str, lr: float, seed: int) -> Job:
        name = f"{method}-{rates}-{seed}" if rates != "trial" else f"{method}-{lr:g}-{seed}"
        return Job(name, {"method": method, "rates": rates, "lr": lr, "parameters": config.parameters}, seed)

    if config.tune:
        for seed in TUNING_SEEDS:
            for method, rates in TRIALS.items():
                yield from (job(method, "trial", lr, seed) for lr in rates)
        return
    for seed in config.all_seeds:
        yield from (job(method, "published", lr, seed) for method, lr in PUBLISHED.items())
        yield from (job(method, "best", lr, seed) for method, lr in BEST.items())
        yield job("uninformed", "published", PUBLISHED["guided"], seed)


class LeastSquares:
    """f(x) = |Ax − b|²/2m as given, and in the coordinates of its eigenvectors."""

    def __init__(self, n: int, key: Key):
        like = torch.empty(0, dtype=torch.float64)
        self.a = standard_normal((2 * n, n), key.child("A"), like)
        self.b = standard_normal((2 * n,), key.child("b"), like)
        self.eigenvalues, self.vectors = torch.linalg.eigh(self.a.T @ self.a / (2 * n))
        # ∇f = 0: λ_i z*_i = (V'A'b)_i / m
        self.solution = self.vectors.T @ (self.a.T @ self.b) / (2 * n) / self.eigenvalues
        self.least = self.plain(self.vectors @ self.solution[:, None])[0]

    def plain(self, x: Tensor) -> Tensor:
        """Return f at columns x, (n, points), by its definition."""
        return (self.a @ x - self.b[:, None]).square().sum(0) / (2 * len(self.a))

    def value(self, z: Tensor) -> Tensor:
        """Return f at rows z, (points, n)."""
        return self.excess(z) + self.least

    def excess(self, z: Tensor) -> Tensor:
        """Return f(z) − f(z*)."""
        return 0.5 * (z - self.solution).square() @ self.eigenvalues

    def gradient(self, z: Tensor) -> Tensor:
        return self.eigenvalues * (z - self.solution)


@lru_cache(maxsize=1)
def problem_of(n: int, seed: int) -> LeastSquares:
    return LeastSquares(n, Key(seed).child("problem"))


def run(job: Job, record: Record) -> dict[str, object]:
    """Descend for 10 n steps; a row every n/10 of them."""
    method, lr, n = (job.config[name] for name in ("method", "lr", "parameters"))
    problem, key = problem_of(n, job.seed), Key(job.seed)
    cost, x = Cost(problem.value), torch.zeros(n).double()
    bias, steps, every = unit(n, key.child("bias")), 10 * n, n // 10
    for step in range(steps + 1):
        g = problem.gradient(x)
        if step % every == 0:
            record.append({"step": step, "evaluations": cost.evaluations, "excess": problem.excess(x)})
        if step == steps:
            break
        surrogate = g.norm() * (bias + NOISE * unit(n, key.child("noise", step)))
        if method != "uninformed":
            surrogate += g
        if method == "surrogate":
            x = x - lr * surrogate
            continue
        state = None if method == "gaussian" else ESTIMATOR.remember(None, surrogate)  # None: Σ = I/n
        e = ESTIMATOR(cost, x, evaluations=2, key=key.child("direction", step), state=state, errors=False)
        x = x - lr * e.gradient
    return {
        "excess": problem.excess(x),
        "towards_bias": torch.cosine_similarity(problem.gradient(x), -bias, dim=0),
        **check(problem, key.child("check")),
    }


def unit(n: int, key: Key) -> Tensor:
    """Draw a unit vector of uniform direction."""
    return normalize(standard_normal((n,), key, torch.empty(0, dtype=torch.float64)), dim=0)


def check(problem: LeastSquares, key: Key) -> dict[str, Tensor]:
    """Return the largest relative errors of value and gradient, against f by definition and its autograd gradient."""
    z = standard_normal((4, len(problem.solution)), key, problem.solution)
    x = (problem.vectors @ z.T).requires_grad_()
    f = problem.plain(x)
    (gradient,) = torch.autograd.grad(f.sum(), x)
    mine = (problem.vectors @ problem.gradient(z).T).sub(gradient).norm(dim=0) / gradient.norm(dim=0)
    return {"value_error": (problem.value(z) / f - 1).abs().max().detach(), "gradient_error": mine.max()}


def end(records: list[Record], method: str, rates: str = "published") -> np.ndarray:
    """Return the excess at the end, seed by seed."""
    return column(select(records, method=method, rates=rates), "excess")


def at(records: list[Record], method: str, share: float, rates: str = "published") -> np.ndarray:
    """Return the excess after a share of the steps, seed by seed."""
    runs = select(records, method=method, rates=rates)
    return np.array([run.column("excess")[round(share * (len(run.rows) - 1))] for run in runs])


def claims(records: list[Record], config: Config, judge: Judge) -> None:
    """Hold the ordering of the source, its reason and a control to what was measured."""
    if config.tune:
        _judge_trials(records, judge)
        return
    value, gradient = (column(records, name).max() for name in ("value_error", "gradient_error"))
    rounding = config.parameters * np.finfo(float).eps  # of a sum of n terms
    judge(
        value < rounding and gradient < rounding,
        f"(a) f in turned coordinates is |Ax − b|²/2m to {value:.0e}, its gradient to {gradient:.0e} (needs "
        f"{rounding:.0e}, n times the rounding of one number)",
    )
    stalled = end(records, "surrogate") / at(records, "surrogate", 0.8)
    falls = end(records, "guided") / at(records, "guided", 0.8)
    # Seed 100 had 1.03 and 0.71 in a trial, and the thresholds were set between; after a first pass of --fast, with
    # fewer steps and on seeds 0 to 2, they were moved apart to what they are. Hence they are judged on seeds from 200
    # on, which had not been looked at when the thresholds were last moved.
    judge(
        stalled.min() > 0.9 and falls.max() < 0.85,
        f"(b) descent on the surrogate stalls: in the last fifth its excess is multiplied by {stalled.min():.2f} or "
        f"more (needs > 0.9), guided smoothing's by {falls.max():.2f} or less (needs < 0.85; both moved after a look "
        "at seeds 0 to 2)",
    )
    towards = column(select(records, method="surrogate", rates="published"), "towards_bias")
    judge(
        towards.min() > 0.95,
        f"(b) because the gradient left over cancels the bias: its cosine with −v is {towards.min():.3f} or more "
        "(needs > 0.95)",
    )
    ends = {method: end(records, method) for method in [*PUBLISHED, "uninformed"]}
    shown = ", ".join(f"{NAMES[m]} {np.median(ends[m]):.4f}" for m in PUBLISHED)
    ordered = (ends["guided"] < ends["gaussian"]) & (ends["gaussian"] < ends["surrogate"])
    judge(
        ordered.all(),
        f"(c) published rates: excess at the end, medians: {shown}; guided < smoothing < surrogate in {ordered.sum()} "
        f"of {len(ordered)} seeds (needs all)",
    )
    ratio = ends["uninformed"] / ends["gaussian"]
    judge(
        np.median(ratio) > 1,
        f"(c) control: {NAMES['uninformed']} is no better than smoothing: {np.median(ratio):.2f} times its excess, "
        f"median (needs > 1; the guide helps by a factor of {np.median(ends['gaussian'] / ends['guided']):.1f})",
    )
    early = at(records, "guided", 0.1) / at(records, "gaussian", 0.1, "best")
    judge(
        early.max() < 1,
        f"(d) after a tenth of the steps guided smoothing at its published rate is ahead even of smoothing at its best "
        f"rate, {BEST['gaussian']:g}: {early.max():.2f} times its excess or less (needs < 1)",
    )
    both = {method: end(records, method, "best") for method in BEST}
    ratio = both["guided"] / both["gaussian"]
    judge.note(
        f"(d) at the end, each at its best rate ({BEST['gaussian']:g} and {BEST['guided']:g}): smoothing "
        f"{np.median(both['gaussian']):.4f}, guided {np.median(both['guided']):.4f}; guided has less in "
        f"{(ratio < 1).sum()} of {len(ratio)} seeds, median ratio {np.median(ratio):.2f}"
    )
    best = {method: select(records, method=method, rates="best") for method in BEST}
    areas = {m: {run.seed: area_under_curve(*curve_of(run, "step", "excess")) for run in best[m]} for m in BEST}
    d = paired_difference(areas["guided"], areas["gaussian"])
    curves = {method: median_curve(best[method], "step", "excess", key=0) for method in BEST}
    behind = curves["guided"].grid[curves["guided"].median > curves["gaussian"].median]
    judge.note(
        f"(d) over all steps, each at its best rate: guided's mean excess less smoothing's, seed by seed, "
        f"{d.mean:.4f}, 95 % interval {d.low:.4f} to {d.high:.4f}; its median is the lower one "
        + (f"until step {behind[0]:,.0f}" if behind.size else "all along")
    )


def _judge_trials(records: list[Record], judge: Judge) -> None:
    for method, rates in TRIALS.items():
        ends = [np.mean(column(select(records, method=method, lr=lr), "excess")) for lr in rates]
        shown = ", ".join(f"{lr:g}: {e:.5f}" for lr, e in zip(rates, ends, strict=True))
        i = int(np.argmin(ends))
        judge(
            0 < i < len(rates) - 1 and rates[i] == BEST[method],
            f"{NAMES[method]}: mean excess at the end of {shown} (needs the least to be {BEST[method]:g}, not an edge)",
        )


def figure(records: list[Record], config: Config) -> Path:
    """Draw the excess over steps: at the published learning rates, and at the best ones."""
    titles = (
        {"trial": "Trials"}
        if config.tune
        else {
            "published": "At published rates the guide wins",
            "best": "Each at its best rate, it leads early, loses late",
        }
    )
    drawing, axes = plots.panels(len(titles), 1, width=5.6, height=4.2)
    every = np.concatenate([record.column("excess") for record in records])
    for ax, (rates, title) in zip(axes, titles.items(), strict=True):
        ax.set(yscale="log", ylim=(every.min() / 1.2, every.max() * 1.2))  # the same, before lines are named
        plots.curves(ax, select(records, rates=rates), "step", "excess", label="f − least f", names=NAMES)
        ax.set(title=title, xlabel="steps of descent")
    drawing.suptitle(
        "A biased surrogate gradient helps at first; in the end a larger step of plain smoothing helps more\n"
        f"Least squares of {config.parameters:,} parameters; a step: a biased, noisy surrogate gradient, and 2 "
        "evaluations by either smoothing",
        fontsize=11,
    )
    return plots.save(drawing, config.out / "guided.png")


if __name__ == "__main__":
    main(Config, __doc__, jobs_of, run, claims, figure)
