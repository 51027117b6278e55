"""Perturb the policy once an episode or the action at every step: how does variance grow with horizon and dimension?

LQR of k double integrators side by side, d = 2k² gains (each action sees all states), k actions, T steps, started in
the stationary state of the policy. Variances are traces of covariances of one unit, over ‖∇J‖², times the environment
steps the unit takes: what one step buys, whatever the size of the gradient.

    smoothing   (c(K + σu, ω) − c(K − σu, ω)) u/2σ                    2T steps; for σ → 0 exactly (d + 2) E‖∇c‖² − ‖∇J‖²
    score       Σ_t (C_t − b_t(x_t)) ∇log π(u_t | x_t)                T steps;  C_t: cost from t on; b = 0, or V_t

Theory for long horizons: ‖∇J‖ ∝ T. Without a baseline C_t ∝ T, T terms of it squared make T³: relative variance ∝ T,
and T² a step. With V_t only the noise of C_t is left, √T: T a step. Smoothing's relative variance does not grow: T a
step. In k: ‖∇J‖² ∝ k, E‖score‖² ∝ k², and C_t² ∝ k² or, less V_t, k: k³ or k² relative. Smoothing: d + 2 times a
relative second moment of ∇c that is between 1 and k, for gains between systems have gradients of mean 0: k² to k³.

Sources: Salimans et al. (2017), "Evolution strategies as a scalable alternative to reinforcement learning", section
3.1; Sutton, McAllester, Singh & Mansour (2000), "Policy gradient methods for reinforcement learning with function
approximation", for the score with costs to go.

    python experiments/agents/horizon.py             about a minute on 2 cores
    python experiments/agents/horizon.py --replot    claims and figure from disk
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from experiments.common.drawing import band, shared_legend
from experiments.common.frame import Flags, Judge, by_seed, half_width, main, slopes

import numpy as np
import torch
from scipy.linalg import solve_discrete_lyapunov
from torch import Tensor

from rllab import Key, plots
from rllab import estimators as est
from rllab.keys import seeds_for
from rllab.noise import standard_normal
from rllab.problems import LQR
from rllab.runs import Job, Record

HORIZONS, SYSTEMS = (5, 10, 20, 40, 80), (1, 2, 4, 8)
FIXED_HORIZON = 20  # while k grows; k = 1 while T grows
GAINS = (16.0, 8.0)  # of one integrator: critically damped, 2.5 steps, and stiffer than the optimum
SIGMA = 1e-3
METHODS = {
    "smoothing": plots.METHODS["gaussian"],
    "score": plots.MethodStyle(plots.ORANGE, plots.DOTTED, "^"),
    "score, V": plots.MethodStyle(plots.GREEN, plots.SOLID, "P"),
}
NAMES = {
    "smoothing": "smoothing of the gains, once an episode",
    "score": "score function of every action, by cost to go",
    "score, V": "score function of every action, by cost to go less V_t",
}
EXACT = "smoothing, σ → 0: (d + 2) E‖∇c‖² − ‖∇J‖²"
LETTERS = (
    "c: cost of an episode; J = E c; V_t: exact expected cost from step t on; an estimate ĝ is that of one episode, "
    "by smoothing of a pair"
)


@dataclass(frozen=True)
class Config(Flags):
    units: int = 4000
    """Pairs or episodes in each setting, for each seed."""

    def faster(self) -> Self:
        return replace(super().faster(), units=1500)


def jobs_of(config: Config) -> Iterator[Job]:
    for seed in config.all_seeds:
        yield Job(f"horizon-{seed}", {"units": config.units}, seed)


def run(job: Job, record: Record) -> None:
    for sweep, settings in {
        "horizon": [(1, horizon) for horizon in HORIZONS],
        "systems": [(k, FIXED_HORIZON) for k in SYSTEMS],
    }.items():
        for k, horizon in settings:
            for row in measure(k, horizon, job.config["units"], Key(job.seed).child(sweep, k, horizon)):
                record.append({"sweep": sweep, "k": k, "T": horizon, **row})


def problem_of(k: int, horizon: int) -> tuple[LQR, Tensor]:
    """Return k integrators without discount, started as they would be found after a long time; and gains (d,)."""
    one = LQR()
    a, b, w = (np.array(m) for m in (one.a, one.b, one.process_noise))
    gains = np.array([GAINS])
    closed = a - b @ gains
    stationary = solve_discrete_lyapunov(closed, w + b @ np.array(one.action_noise) @ b.T)

    def side_by_side(matrix: Any) -> Any:
        return tuple(map(tuple, np.kron(np.eye(k), np.array(matrix)).tolist()))

    names = "a", "b", "q", "r", "q_final", "process_noise", "action_noise"
    blocks = {name: side_by_side(getattr(one, name)) for name in names}
    start = side_by_side((stationary + stationary.T) / 2)
    problem = LQR(**blocks, start_noise=start, start_mean=(0.0,) * (2 * k), horizon=horizon, discount=1.0)
    return problem, torch.from_numpy(np.kron(np.eye(k), gains)).flatten()


def scores(problem: LQR, at: Tensor, n: int, key: Key) -> dict[str, Tensor]:
    """Return gradients (n, d) from n episodes, by cost to go alone, and less the exact V_t."""
    states, actions, horizon = len(problem.start_mean), len(problem.r), problem.horizon
    z = standard_normal((n, states + horizon * (states + actions)), key, at)
    steps = z[:, states:].view(n, horizon, states + actions)
    runs = problem.simulate(at.expand(n, -1), z[:, :states], steps[..., :states], steps[..., states:])
    togo = costs_to_go(problem, runs.states, runs.actions)
    critic = problem.critic(at)
    values = torch.stack([critic.value(t, runs.states[:, t]) for t in range(horizon)], 1)
    # ∇_K log π(u_t | x_t) = −Σ⁻¹ e_t x_tᵀ
    scaled = -runs.action_noise @ torch.linalg.inv(torch.tensor(problem.action_noise, dtype=at.dtype))

    def weighted(c: Tensor) -> Tensor:
        return torch.einsum("nt,nti,ntj->nij", c, scaled, runs.states[:, :-1]).flatten(1)

    return {"score": weighted(togo), "score, V": weighted(togo - values)}


def costs_to_go(problem: LQR, states: Tensor, actions: Tensor) -> Tensor:
    """Return C_t = Σ_{s>=t} of the costs of steps and end, (N, T), without discount."""
    q, r, final = (torch.tensor(m, dtype=states.dtype) for m in (problem.q, problem.r, problem.q_final))
    each = ((states[:, :-1] @ q) * states[:, :-1]).sum(-1) + ((actions @ r) * actions).sum(-1)
    end = ((states[:, -1] @ final) * states[:, -1]).sum(-1)
    return each.flip(1).cumsum(1).flip(1) + end[:, None]


def measure(k: int, horizon: int, n: int, key: Key) -> Iterator[dict[str, Any]]:
    """Yield each method's variance times steps over ‖∇J‖², and how many standard errors it is off along ∇J."""
    problem, at = problem_of(k, horizon)
    truth = problem.gradient(at[None])[0]
    e = est.GaussianSmoothing(SIGMA)(problem.cost(), at, evaluations=2 * n, key=key.child("smoothing"), per_unit=True)
    assert isinstance(e.per_unit, Tensor)
    slopes = problem.sample_gradient(at.expand(n, -1), seeds_for(np.arange(n), key.child("slopes")))
    square = (truth @ truth).item()
    predicted = (problem.dimension + 2) * slopes.square().sum(-1).mean().item() / square - 1
    for method, g in {"smoothing": e.per_unit, **scores(problem, at, n, key.child("score"))}.items():
        along = g @ truth
        steps = (2 if method == "smoothing" else 1) * horizon
        yield {
            "method": method,
            "d": problem.dimension,
            "variance": g.var(0).sum().item() / square * steps,
            "predicted": predicted * steps if method == "smoothing" else None,
            "off": ((along.mean() - square) / (along.std() / math.sqrt(n))).item(),
        }


def table(records: list[Record], sweep: str, method: str, name: str = "variance") -> np.ndarray:
    """Return a number of each seed and setting, (seeds, settings)."""
    return by_seed(records, name, sweep=sweep, method=method)


def slope(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Return the mean over seeds of d log y/d log x, and half its 95 % interval; y (seeds, settings)."""
    each = slopes(x, y)
    return float(each.mean()), float(half_width(each))


def crossing(x: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    """Return where log a − log b, linear between settings in log x, first turns from + to − or back; NaN if nowhere."""
    difference = np.log(a / b)
    for i in range(len(x) - 1):
        if difference[i] * difference[i + 1] <= 0 and difference[i] != difference[i + 1]:
            part = difference[i] / (difference[i] - difference[i + 1])
            return float(np.exp(np.log(x[i]) + part * np.log(x[i + 1] / x[i])))
    return math.nan


# Sweep, method: the least and the largest slope that pass, and the one of long horizons. Bands were set on seeds 100 to
# 102, never shown. T = 20 to 80 is some mixing times only: the first two slopes in T are still short of theory there.
LONG = 20
SLOPES: dict[tuple[str, str], tuple[float, float, str]] = {
    ("horizon", "smoothing"): (0.6, 1.1, "1"),
    ("horizon", "score"): (1.55, 2.1, "2"),
    ("horizon", "score, V"): (0.75, 1.25, "1"),
    ("systems", "smoothing"): (2.0, 3.0, "2 to 3"),
    ("systems", "score"): (2.6, 3.1, "3"),
    ("systems", "score, V"): (1.75, 2.25, "2"),
}


def claims(records: list[Record], config: Config, judge: Judge) -> None:
    settings = {"horizon": np.array(HORIZONS), "systems": np.array(SYSTEMS)}
    off = np.array([[row["off"] for row in record.rows] for record in records])
    pooled = np.abs(off.sum(0)).max() / math.sqrt(len(records))
    judge(pooled <= 6, f"bias along ∇J: at most {pooled:.1f} standard errors in {off.shape[1]} settings (needs <= 6)")
    for sweep in settings:
        ratio = table(records, sweep, "smoothing").mean(0) / table(records, sweep, "smoothing", "predicted").mean(0)
        judge(
            np.abs(ratio - 1).max() <= 0.15,
            f"{sweep}: smoothing has the variance (d + 2) E‖∇c‖² − ‖∇J‖², ratios {ratio.min():.3f} to "
            f"{ratio.max():.3f} (needs within 0.15)",
        )
    for (sweep, method), (least, most, theory) in SLOPES.items():
        x, y = settings[sweep], table(records, sweep, method)
        if sweep == "horizon":
            x, y = x[x >= LONG], y[:, x >= LONG]
        value, half = slope(x, y)
        letter = "T" if sweep == "horizon" else "k"
        judge(
            least <= value <= most,
            f"{NAMES[method]}: variance per step ∝ {letter}^({value:.2f} ± {half:.2f}), theory {theory} "
            f"(needs {least:g} to {most:g})",
        )
        last, spread = slope(x[-2:], y[:, -2:])
        judge.note(f"between the last two {letter}: {last:.2f} ± {spread:.2f}; at {letter} = {x[0]} and {x[-1]}: "
                   f"{y.mean(0)[0]:.3g} and {y.mean(0)[-1]:.3g}")  # fmt: skip
    for sweep, x in settings.items():
        for method in ("score", "score, V"):
            a, b = table(records, sweep, "smoothing").mean(0), table(records, sweep, method).mean(0)
            where = crossing(x, a, b)
            crosses = "never crossing" if math.isnan(where) else f"crossing at {where:.1f}"
            judge.note(f"{sweep}: smoothing has {a[0] / b[0]:.2f} times the variance of {NAMES[method]} first, "
                       f"{a[-1] / b[-1]:.2f} last, {crosses}")  # fmt: skip


def figure(records: list[Record], config: Config) -> Path:
    """Draw variance per environment step against horizon and number of systems."""
    drawing, axes = plots.panels(2, 1, width=5.2, height=5.2)
    axes[1].sharey(axes[0])
    with plots.style():
        for ax, sweep, x in zip(axes, ("horizon", "systems"), (HORIZONS, SYSTEMS), strict=True):
            ax.set(xscale="log", yscale="log")
            for method, how in METHODS.items():
                band(ax, x, table(records, sweep, method), how, middle=np.mean, alpha=0.25, label=NAMES[method])
            predicted = table(records, sweep, "smoothing", "predicted").mean(0)
            ax.loglog(x, predicted, "k+", markersize=11, label=EXACT)
            ax.set_xticks(x, [str(i) for i in x])
            ax.minorticks_off()
            ax.set(ylabel="variance of ĝ/‖∇J‖² × environment steps")
        axes[0].set(xlabel="horizon T, steps of an episode", title="Longer episodes: 1 integrator, d = 2 gains")
        axes[1].set(xlabel="double integrators k, d = 2k² gains", title=f"More gains: T = {FIXED_HORIZON} steps")
        shared_legend(drawing, axes[0], 2, title=LETTERS, alignment="left")
        drawing.suptitle(
            "Linear-quadratic control by u = −Kx + noise: how noisy is a policy gradient, for the steps it takes?\n"
            f"Variance: trace of the covariance of ĝ, an estimate of ∇J(K). Means of {len(records)} seeds; bands: all"
        )
    return plots.save(drawing, config.out / "horizon.png")


if __name__ == "__main__":
    main(Config, __doc__, jobs_of, run, claims, figure)
