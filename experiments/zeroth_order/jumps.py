"""Where a contact makes the cost jump, does differentiating the simulator still give the policy's gradient?

Three examples of Suh, Simchowitz, Zhang & Tedrake (2022), "Do differentiable simulators give better policy gradients?",
with the settings of the authors' code: a ball thrown over a wall, a pivot that is hit or missed, AND and OR gates.
The policy is θ + σu, u ~ N(0, I), so its cost is f_σ(θ) = E f(θ + σu), whose gradient is known:

    ∇f_σ = E ∇f(θ + σu) + Σ_j Δ_j φ((a_j − θ)/σ)/σ          jumps Δ_j at a_j

"pathwise" averages ∇f over samples (first order) and misses the sum; antithetic smoothing and the score function use
values alone (zeroth order) and do not. Both means are known exactly, and so is where descent along them goes.

    python experiments/zeroth_order/jumps.py    about a minute on 2 cores
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from experiments.common.bounds import LARGEST, deviation, pooled
from experiments.common.drawing import GREY, REFERENCE, SMALL, label_end, say
from experiments.common.estimates import only
from experiments.common.frame import Flags, Judge, by_seed, main, plus_minus, select, values

import numpy as np
import torch
from scipy.interpolate import CubicSpline
from torch import Tensor

from rllab import Cost, Gaussian, Key, plots
from rllab import estimators as est
from rllab.problems import BallWithWall, Orthant, Pivot, Problem
from rllab.problems.stochastic import Noise
from rllab.runs import Job, Record

SIGMA = 0.1  # rad, or the gates' unit
SAMPLES = 50  # a step, and 0.1 the angle to start at: the authors' settings, as are 20 trials
CHUNK = 77  # steps between rows
PROBES = 16_384  # evaluations for a gradient at one angle
CURVES: dict[str, BallWithWall | Pivot] = {"ball": BallWithWall(), "pivot": Pivot()}
TITLES = {"ball": "Ball with wall", "pivot": "Pivot"}
GATES = {"and": Orthant(0.0, "and"), "or": Orthant(0.0, "or")}
PROBLEMS: dict[str, Problem] = {**CURVES, **GATES}
STARTS = {"ball": (0.1,), "pivot": (0.1,), "and": (-0.1, -0.15), "or": (-0.1, -0.15)}
RATES = {"ball": 0.1, "pivot": 0.01, "and": 0.005, "or": 0.005}  # the ball's is the authors'
STEPS = {"ball": 13 * CHUNK, "pivot": 7 * CHUNK, "and": 3 * CHUNK, "or": 3 * CHUNK}  # the ball's 1,001 are the authors'
# of f itself, and of its slope: (greatest − least)
SPANS = {"ball": (1 / 9.81**2, 4 / 9.81**2), "pivot": (0.5, 2.0)}
ANGLES = np.linspace(0.05, 1.49, 15)  # rad
METHODS = ("pathwise", "smoothing", "score")
STYLES = {
    "pathwise": plots.METHODS["pathwise"],
    "smoothing": plots.METHODS["gaussian"],
    "score": plots.METHODS["score-function"],
}
# where the figure names the ends of descents: on which side, and how many points higher
BESIDE: dict[tuple[str, str], tuple[Literal["left", "right"], float]] = {
    ("ball", "pathwise"): ("right", 9),
    ("ball", "smoothing"): ("right", -9),
    ("pivot", "pathwise"): ("right", -9),
    ("pivot", "smoothing"): ("left", -9),
}
# rad: nearer counts as there. Ends of the ball under seeds 100 to 104, never shown, lie within 0.011 of each other.
NEAR = 0.02


@dataclass(frozen=True)
class Config(Flags):
    seeds: int = 20
    """Seeds, 0, 1, …: the authors' 20 trials."""
    long: int = 8_008
    """Steps of the descents that go on, a multiple of 77 from 1,001 on."""
    quick: ClassVar[dict[str, Any]] = {"seeds": 2, "long": 1_540}

    def check(self) -> None:
        super().check()
        if self.long % CHUNK or self.long < STEPS["ball"]:
            raise ValueError(f"--long must be a multiple of {CHUNK} from {STEPS['ball']:,} on, got {self.long}")


def jobs_of(config: Config) -> Iterator[Job]:
    yield Job("exact", {"part": "exact", "steps": config.long}, seed=0)
    for seed in config.all_seeds:
        yield Job(f"sampled-{seed}", {"part": "sampled", "steps": config.long}, seed)


def run(job: Job, record: Record) -> None:
    """Tabulate what theory says, or measure it: gradients at fixed angles, then descents."""
    if job.config["part"] == "exact":
        for name in CURVES:
            tabulate(name, job.config["steps"], record)
        return
    root = Key(job.seed)
    for name in CURVES:
        for method in METHODS:
            for i, angle in enumerate(ANGLES):
                e = estimate(name, method, torch.tensor([angle]), PROBES, root.child("gradient", name, method, i))
                record.append({"what": "gradient", "problem": name, "method": method, "at": angle, **e})
    for name, start in STARTS.items():
        for method in METHODS:
            goes_on = name == "ball" and method == "pathwise"
            steps = job.config["steps"] if goes_on else STEPS[name]
            for row in descend(name, method, start, steps, root.child("descent", name, method)):
                record.append({"what": "descent", "problem": name, "method": method, **row})


def noisy_cost(problem: Problem) -> Cost:
    """Return f(θ + σu) as a cost with noise of its own, u named by the seed, and its pathwise gradient."""

    def moved(x: Tensor, seeds: Tensor) -> Tensor:
        return x + SIGMA * torch.from_numpy(Noise(seeds).normal(0, problem.dimension)).to(x)

    return Cost(
        lambda x, seeds: problem.value(moved(x, seeds)),
        seeded=True,
        gradient=lambda x, seeds: problem.gradient(moved(x, seeds)),
    )


def method_of(name: str, method: str, at: Tensor, middle: float = 0.0) -> tuple[Cost, est.Estimator, Any]:
    """Return what to ask, how, and at what; at equal numbers of samples."""
    problem = PROBLEMS[name]
    if method == "pathwise":
        return noisy_cost(problem), est.Backprop(repeat=True), at
    if method == "smoothing":
        return problem.cost(), est.GaussianSmoothing(SIGMA), at
    return problem.cost(), est.ScoreFunction(middle or "leave-one-out"), Gaussian(at, SIGMA)


def estimate(name: str, method: str, at: Tensor, samples: int, key: Key) -> dict[str, float]:
    """Return one estimate of ∇f_σ, its standard error and the number of independent contributions."""
    # a fixed baseline, half the cost's range, keeps the contributions of the score function independent
    cost, estimator, where = method_of(name, method, at.double(), -SPANS.get(name, (1.0, 0))[0] / 2)
    e = estimator(cost, where, evaluations=samples, key=key)
    units = samples // 2 if method == "smoothing" else samples
    return {"gradient": only(e.gradient).item(), "error": only(e.standard_error).item(), "units": units}


def descend(name: str, method: str, start: tuple[float, ...], steps: int, key: Key) -> Iterator[dict[str, float]]:
    """Yield where plain gradient descent is, every CHUNK steps: θ and the exact f_σ(θ)."""
    at = torch.tensor(start, dtype=torch.float64)
    for step in range(steps + 1):
        if step % CHUNK == 0:
            value = PROBLEMS[name].smoothed_value(at, SIGMA).item()
            yield {"step": step, "at": at[0].item(), "second": at[-1].item(), "value": value}
        if step == steps:
            return
        cost, estimator, where = method_of(name, method, at)
        g = estimator(cost, where, evaluations=SAMPLES, key=key.child("step", step), errors=False).gradient
        at = at - RATES[name] * only(g)


def tabulate(name: str, steps: int, record: Record) -> None:
    """Record the exact gradient, the mean of the pathwise estimator, the jumps, and descent along either mean."""
    problem, grid = CURVES[name], np.concatenate((np.linspace(0, 1.56, 79), ANGLES))
    grid.sort()
    at = torch.from_numpy(grid)[:, None]
    gradient, value = problem.smoothed_gradient(at, SIGMA)[:, 0].numpy(), problem.smoothed_value(at, SIGMA).numpy()
    pathwise = problem.pathwise_gradient(at, SIGMA)[:, 0].numpy()
    missed = jump_term(problem, grid)
    for row in zip(grid, value, gradient, pathwise, missed, strict=True):
        cells = dict(zip(("at", "value", "gradient", "pathwise", "missed"), row, strict=True))
        record.append({"what": "exact", "problem": name, **cells})
    fine = torch.linspace(0, 1.56, 781, dtype=torch.float64)
    for x, f in zip(fine.tolist(), problem.value(fine[:, None]).tolist(), strict=True):
        record.append({"what": "cost", "problem": name, "at": x, "cost": f})
    for what, slope in (("pathwise", pathwise), ("smoothing", gradient)):
        x, along = STARTS[name][0], CubicSpline(grid, slope)
        for k in range(steps + 1):
            if k % CHUNK == 0:
                record.append({"what": "flow", "problem": name, "method": what, "step": k, "at": x})
            x -= RATES[name] * float(along(x))


def jump_term(problem: BallWithWall | Pivot, theta: np.ndarray) -> np.ndarray:
    """Return Σ_j Δ_j φ((a_j − θ)/σ)/σ from jumps found in the cost itself: a fine scan, then bisection."""
    x = torch.linspace(-1.6, 3.2, 48_001, dtype=torch.float64)
    f = problem.value(x[:, None])
    steepest = problem.gradient(x[:, None]).abs().max() * (x[1] - x[0])
    low = x[:-1][(f[1:] - f[:-1]).abs() > 2 * steepest]
    high = low + (x[1] - x[0])
    left, right = problem.value(low[:, None]), problem.value(high[:, None])
    for _ in range(40):
        middle = (low + high) / 2
        f = problem.value(middle[:, None])
        is_left = (f - left).abs() < (f - right).abs()
        low, high = torch.where(is_left, middle, low), torch.where(is_left, high, middle)
        left, right = problem.value(low[:, None]), problem.value(high[:, None])
    z = (low.numpy() - theta[:, None]) / SIGMA
    return (np.exp(-z * z / 2) / math.sqrt(2 * math.pi) / SIGMA) @ (right - left).numpy()


def measured(runs: list[Record], name: str, method: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return for each angle the mean over seeds, the bound on its distance from the truth, and a sample's variance."""
    wanted: dict[str, Any] = {"what": "gradient", "problem": name, "method": method}
    g, se = (by_seed(runs, c, **wanted) for c in ("gradient", "error"))
    mean, variance, n = pooled(g, se, int(values(runs[:1], "units", **wanted)[0]))
    value, slope = SPANS[name]
    length = slope if method == "pathwise" else value * LARGEST / SIGMA
    return mean, deviation(variance, n, length, 2 * len(METHODS) * len(ANGLES)), variance


def ends(runs: list[Record], name: str, method: str, what: str = "at", step: int = 0) -> np.ndarray:
    """Return where each seed's descent is after so many steps, by default STEPS."""
    wanted: dict[str, Any] = {"what": "descent", "problem": name, "method": method, "step": step or STEPS[name]}
    return by_seed(runs, what, **wanted)[:, 0]


def flow_end(exact: Record, method: str, step: int) -> float:
    """Return where the ball's descent along the exact mean of a method is."""
    which = "pathwise" if method == "pathwise" else "smoothing"
    return float(values([exact], "at", what="flow", problem="ball", method=which, step=step)[0])


def root(exact: Record, name: str, slope: str) -> float:
    """Return the first angle past the start at which a tabulated slope turns from down to up; NaN if it never does."""
    x, g = values([exact], "at", what="exact", problem=name), values([exact], slope, what="exact", problem=name)
    curve = CubicSpline(x, g)
    turns = curve.roots(extrapolate=False)
    return float(min(turns[(turns > STARTS[name][0]) & (curve(turns, 1) > 0)], default=math.nan))


def claims(records: list[Record], config: Config, judge: Judge) -> None:
    (exact,), runs = select(records, part="exact"), select(records, part="sampled")
    for name in CURVES:
        t = {c: values([exact], c, what="exact", problem=name) for c in ("at", "gradient", "pathwise", "missed")}
        error = np.abs(t["gradient"] - t["pathwise"] - t["missed"]).max()
        judge(
            error <= 1e-8 * np.abs(t["gradient"]).max(),
            f"{name}: exact gradient − pathwise mean = jump term, jumps found by bisection of the cost; "
            f"largest difference {error:.1e} (needs <= 1e-8 of the gradient)",
        )
        here = np.searchsorted(t["at"], ANGLES)
        for method in METHODS:
            mean, bound, _ = measured(runs, name, method)
            target = t["pathwise" if method == "pathwise" else "gradient"][here]
            worst = np.abs(mean - target) / bound
            judge(
                worst.max() <= 1,
                f"{name}, {method}: mean of {len(runs)} estimates agrees with its exact mean at {len(here)} angles; "
                f"largest deviation {worst.max():.2f} of the Bernstein bound (needs <= 1; false alarm 1e-9 in all)",
            )
        mean, bound, _ = measured(runs, name, "pathwise")
        off = np.abs(mean - t["gradient"][here]) / bound
        i = int(off.argmax())
        judge(
            off[i] > 1,
            f"{name}, pathwise: wrong by {mean[i] - t['gradient'][here][i]:+.4f} at θ = {ANGLES[i]:.2f} where "
            f"the gradient is {t['gradient'][here][i]:+.4f}: {off[i]:.0f} times the bound (needs > 1); the jump "
            f"term there is {t['missed'][here][i]:+.4f}",
        )
    first, stop = root(exact, "ball", "pathwise"), root(exact, "ball", "gradient")
    rest = root(exact, "pivot", "gradient")
    for method, published in (("pathwise", "0.50"), ("smoothing", "0.83 to 0.86"), ("score", "0.83 to 0.86")):
        x = ends(runs, "ball", method)
        low, high = (0.5 - NEAR, 0.5 + NEAR) if method == "pathwise" else (0.83 - NEAR, 0.86 + NEAR)
        flow = flow_end(exact, method, STEPS["ball"])
        judge(
            ((x > low) & (x < high)).all() and abs(x.mean() - flow) < NEAR,
            f"ball, {method}: after the authors' 1,001 steps θ = {plus_minus(x, 4)} over seeds, all within {NEAR} of "
            f"the published {published}; descent along the exact mean gives {flow:.4f} (needs a mean within {NEAR})",
        )
    x = ends(runs, "ball", "pathwise", step=config.long)
    flow = flow_end(exact, "pathwise", config.long)
    judge(
        abs(x.mean() - flow) < NEAR and x.min() > 0.5 + NEAR,
        f"ball, pathwise: 0.50 is not where it stops: after {config.long:,} steps θ = {plus_minus(x, 4)} "
        f"(exact mean {flow:.4f}, needs all past {0.5 + NEAR}); it stops at {first:.4f}, where its mean is 0 "
        f"and the gradient is not; the minimum of f_σ is at {stop:.4f}",
    )
    x, v = ends(runs, "pivot", "pathwise"), ends(runs, "pivot", "pathwise", "value")
    judge(
        (x > math.pi / 4).all(),
        f"pivot, pathwise: every seed walks over the edge at 0.7854, to θ = {plus_minus(x, 4)}, cost "
        f"{plus_minus(v, 4)}",
    )
    for method in METHODS[1:]:
        x, v = ends(runs, "pivot", method), ends(runs, "pivot", method, "value")
        judge(
            (np.abs(x - rest) < (math.pi / 4 - rest) / 2).all(),
            f"pivot, {method}: every seed ends nearer to the minimum of f_σ at {rest:.4f} than half way to the edge: "
            f"θ = {plus_minus(x, 4)}, cost {plus_minus(v, 4)}",
        )
    for name in GATES:
        start = PROBLEMS[name].smoothed_value(torch.tensor(STARTS[name], dtype=torch.float64), SIGMA).item()
        still = [ends(runs, name, "pathwise", c) for c in ("at", "second")]
        judge(
            all((x == s).all() for x, s in zip(still, STARTS[name], strict=True)),
            f"{name} gate, pathwise: exactly 0 in all {len(runs)} × {STEPS[name] * SAMPLES:,} samples, θ stays, "
            f"cost {start:.4f}",
        )
        for method in METHODS[1:]:
            v = ends(runs, name, method, "value")
            judge(
                v.max() < 0.05,
                f"{name} gate, {method}: cost {start:.4f} → {plus_minus(v, 4)} (needs < 0.05 in all seeds)",
            )
    for name, angle in (("ball", 3), ("ball", 6)):
        _, _, a = measured(runs, name, "pathwise")
        _, _, b = measured(runs, name, "smoothing")
        x = ANGLES[angle]
        judge.note(
            f"{name} at θ = {x:.2f}: per sample the pathwise estimator has {a[angle] / (2 * b[angle]):.3f} times the "
            f"variance of smoothing: less noise, {'and no bias there' if angle == 3 else 'around the wrong mean'}"
        )
    judge.note(
        "caveats: minima of f_σ are local ones of a noisy policy, not of f; smoothing needs values on both sides"
    )


def figure(records: list[Record], config: Config) -> Path:
    """Draw costs, gradients and descents of the ball and the pivot; the gates are numbers alone."""
    (exact,), runs = select(records, part="exact"), select(records, part="sampled")
    drawing, axes = plots.panels(3, 2, width=3.6, height=3.5)
    with plots.style():
        for i, name in enumerate(CURVES):
            t = {c: values([exact], c, what="exact", problem=name) for c in ("at", "gradient", "pathwise", "value")}
            fine, cost = (values([exact], c, what="cost", problem=name) for c in ("at", "cost"))
            ax = axes[3 * i]
            ax.plot(fine, cost, color=GREY, linewidth=1)
            ax.plot(t["at"], t["value"], color="#000000")
            say(ax, (0.03, 0.24), [("thin: cost f", GREY), ("thick: exact f_σ,\nσ = 0.1 rad", "#000000")])
            for method in METHODS[:2]:
                x, v = ends(runs, name, method), ends(runs, name, method, "value")
                ax.plot(x, v, STYLES[method].marker, color=STYLES[method].color, markersize=7, markerfacecolor="none")
                side, up = BESIDE[name, method]
                label_end(ax, float(np.median(x)), float(np.median(v)), method, STYLES[method].color, side=side, up=up)
            ax.set(xlabel="angle θ, rad", ylabel="cost, m²" if name == "ball" else "cost",
                   title=f"{TITLES[name]}: after {STEPS[name]:,} steps\npathwise ends at a higher cost")  # fmt: skip
            ax = axes[3 * i + 1]
            ax.plot(t["at"], t["gradient"], color="#000000")
            ax.plot(t["at"], t["pathwise"], color="#000000", linestyle=plots.DASHED)
            for method in METHODS:
                mean, bound, _ = measured(runs, name, method)
                ax.errorbar(ANGLES, mean, bound, fmt=STYLES[method].marker, color=STYLES[method].color, capsize=2,
                            markerfacecolor="none")  # fmt: skip
            colors = {
                method: (f"{sign} {method}", STYLES[method].color) for method, sign in zip(METHODS, "◇○△", strict=True)
            }
            above, below = (0.03, 0.97), (0.6, 0.28)
            say(ax, below if name == "ball" else above,
                [("line: exact ∇f_σ", "#000000"), colors["smoothing"], colors["score"]])  # fmt: skip
            say(ax, above if name == "ball" else below,
                [("dashes: exact\nmean of ∇f", "#000000"), colors["pathwise"]])  # fmt: skip
            ax.set(xlabel="angle θ, rad", ylabel="gradient, m²/rad" if name == "ball" else "gradient, 1/rad",
                   title="It misses the slope\nthat the jump makes")  # fmt: skip
            ax = axes[3 * i + 2]
            for method in METHODS[:2]:
                for r in runs:
                    rows = {"what": "descent", "problem": name, "method": method}
                    k, x = values([r], "step", **rows), values([r], "at", **rows)
                    ax.plot(k, x, color=STYLES[method].color, linewidth=0.6, alpha=0.4)
                rows = {"what": "flow", "problem": name, "method": method}
                k = values([exact], "step", **rows)
                shown = k <= (config.long if name == "ball" else STEPS[name])
                ax.plot(k[shown], values([exact], "at", **rows)[shown], color=STYLES[method].color,
                        linestyle=STYLES[method].linestyle, marker=STYLES[method].marker, markevery=0.12,
                        label=method)  # fmt: skip
            if name == "ball":
                ax.axvline(STEPS[name], **REFERENCE)
                ax.annotate("1,001 steps,\nas published", (STEPS[name] + 100, 0.12), fontsize=SMALL)
                ax.set_title("so descent by it is slow\nand ends elsewhere\n(rate 0.1 rad²/m²; faint: every seed)")
            else:
                ax.axhline(math.pi / 4, **REFERENCE)
                ax.annotate("edge: beyond it a miss", (180, math.pi / 4 - 0.06), fontsize=SMALL)
                ax.set_title("and goes beyond the edge\n(rate 0.01 rad²; faint: every seed)")
            ax.set(xlabel="steps", ylabel="angle θ, rad")
            plots.name_lines(ax)
        drawing.suptitle(
            "A contact makes the cost jump: the derivative of the simulator does not see it, smoothing and scores do\n"
            f"Gradients: {len(runs)} × {PROBES:,} samples, bars: a bound that holds but for 1e-9 in all\n"
            "Descent: 50 samples a step, bold: along its exact mean",
            fontsize=11,
        )
    return plots.save(drawing, config.out / "jumps.png")


if __name__ == "__main__":
    main(Config, __doc__, jobs_of, run, claims, figure)
