"""How many evaluations does each gradient approximation need to be within θ|g| of the gradient g, noise or none?

    f(x) = Σ_{i <= n/2} (M sin x_{2i−1} + cos x_{2i}) + (L − M)/2n (Σ_j x_j)²        n = 20, M = 1, L = 2, at x = 0

Finite differences and linear interpolation need n + 1 (central ones 2n), and are then done. Smoothing has a law. For m
directions and steps so small that f is linear along them, with S ~ χ²(m), Q ~ χ²(n − 1), C ~ Beta(m/2, (n − m)/2),

    independent normal   |ĝ − g|²/|g|² = (S/m − 1)² + SQ/m²              mean (n + 1)/m
    orthonormal          |ĝ − g|²/|g|² = (n/m)(n/m − 2) C + 1            mean n/m − 1

from which the share of estimates within θ follows by a sum over quantiles. With noise of standard deviation τ in every
value, finite differences of step h are wrong by their bias, which is computed, and by 2nτ²/h² or nτ²/2h² on average.

Source of the function and the question: Berahas, Cao, Choromanski & Scheinberg (2022), "A theoretical and empirical
comparison of gradient approximations in derivative-free optimization", sections 2 and 3.1. They bound the numbers of
evaluations; here they are exact. Steps are not tuned but derived, see `approximations_for`; no threshold is fitted:
they are bounds that laws leave with a stated probability, or what rounding of the last place makes.

    python experiments/zeroth_order/approximations.py  prints claims and draws; results/approximations holds all numbers
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from experiments.common.bounds import FALSE_ALARM
from experiments.common.drawing import GREY, REFERENCE, label_end, look
from experiments.common.estimates import only
from experiments.common.frame import Flags, Judge, half_width, main, one_a_seed, values
from experiments.zeroth_order.approximation_laws import (
    CENTRAL_STEP,
    FORWARD_STEP,
    MISSES,
    NORM,
    ROUNDOFF,
    THETA,
    N,
    careless_stencil,
    directions_needed,
    gradient_at_zero,
    hessian_at_zero,
    likely_shares,
    rounding,
    share_within,
    stencil,
    value,
)

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from rllab import Cost, Key, plots
from rllab import estimators as est
from rllab.runs import Job, Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NOISES = (0.0, 1e-3, 1e-1)
NAMES = {
    "forward-difference": "forward differences",
    "central-difference": "central differences",
    "linear-interpolation": "linear interpolation",
    "gaussian-one-point": "normal, one-point",
    "gaussian-forward": "normal, forward",
    "gaussian": "normal, antithetic",
    "sphere": "sphere, antithetic",
    "spsa": "signs (SPSA), antithetic",
    "orthonormal": "orthonormal, antithetic",
}


@dataclass(frozen=True)
class Config(Flags):
    repeats: int = 64
    """Estimates of each kind per seed."""
    quick: ClassVar[dict[str, Any]] = {"repeats": 32}


class Noisy:
    """f with noise of its own at every evaluation: no two points can be made to share it."""

    def __init__(self, noise: float, key: Key):
        self.noise, self.generator = noise, np.random.default_rng(key.integer())

    def __call__(self, x: Tensor) -> Tensor:
        return value(x) + self.noise * torch.from_numpy(self.generator.standard_normal(len(x)))


def approximations_for(noise: float) -> dict[str, est.Estimator]:
    """Return every approximation with steps that suit noise of this standard deviation, and rounding.

    Differences and interpolation use the automatic steps of `rllab.estimators.differences.steps`. The others balance
    bias and noise of m = n directions, in squares: antithetic σ⁴|g|²/4 (as E cos σu = e^{−σ²/2}) and nτ²/(2σ²m), hence
    σ⁶ = τ²/|g|²;
    forward σ²(n + 4)((tr A)² + 2|A|²)/4m, of the curvature A, and 2nτ²/(σ²m). All antithetic ones reach as far. The
    one-point form drowns in f(0) = 10 unless it smooths much: 0.5, which is wrong by 12 %.
    """
    tau, a = noise + ROUNDOFF * N / 2, hessian_at_zero()
    sigma = (tau / NORM) ** (1 / 3)
    curvature = (N + 4) * (np.trace(a) ** 2 + 2 * (a * a).sum()) / 4
    return {
        "forward-difference": est.ForwardDifference(noise=noise, repeat=True),
        "central-difference": est.CentralDifference(noise=noise, repeat=True),
        "linear-interpolation": est.LinearInterpolation(noise=noise),
        "gaussian-one-point": est.GaussianSmoothing(0.5, "one-point"),
        "gaussian-forward": est.GaussianSmoothing((2 * N * tau**2 / curvature) ** 0.25, "forward"),
        "gaussian": est.GaussianSmoothing(sigma),
        "sphere": est.SphereSmoothing(sigma * math.sqrt(N)),
        "spsa": est.SPSA(sigma),
        "orthonormal": est.OrthogonalSmoothing(sigma * math.sqrt(N)),
    }


def budgets(method: str) -> list[int]:
    """Return the evaluations offered; where the number needed is predicted, it is among them."""
    predicted = {2 * directions_needed(method)} if method in ("gaussian", "orthonormal") else set()
    return sorted({N + 1, 2 * N, 80, 160, 320, 640, 1280} | predicted)


def run(job: Job, record: Record) -> None:
    """Make estimates of every kind, at every budget and noise, and one series with a step that ignores the noise."""
    for noise in NOISES:
        for method, estimator in approximations_for(noise).items():
            for budget in budgets(method):
                if budget >= estimator.minimum(torch.zeros(N).double()):
                    record.append(estimates(method, estimator, noise, budget, job))
    careless = est.ForwardDifference()
    record.append(estimates("careless", careless, NOISES[1], N + 1, job))


def estimates(method: str, estimator: est.Estimator, noise: float, budget: int, job: Job) -> dict[str, object]:
    """Return mean square of the error relative to |g|, over repeats, and the share of errors within θ."""
    key = Key(job.seed).child(method, repr(noise), budget)
    at = torch.zeros(job.config["repeats"], N).double()
    e = estimator(Cost(Noisy(noise, key.child("noise")), noisy=True), at, evaluations=budget, key=key, errors=False)
    error = (only(e.gradient) - gradient_at_zero()).square().sum(-1) / NORM**2
    cell = {"method": method, "noise": noise, "budget": budget, "evaluations": e.evaluations}
    return {**cell, "square": error.mean(), "within": (error <= THETA**2).double().mean()}


def claims(records: list[Record], config: Config, judge: Judge) -> None:
    """Hold numbers of evaluations and errors to what they should be."""
    n = config.seeds * config.repeats
    shares = [
        (law, per, budget)
        for law, per in (("gaussian", 2), ("gaussian-forward", 1), ("orthonormal", 2))
        for budget in budgets(law)
        if law != "orthonormal" or budget <= 2 * N
    ]
    compared = 4 + len(shares) + 2 * len(NOISES[1:])  # all of them together err with probability FALSE_ALARM

    def cell(name: str, method: str, noise: float, budget: int) -> np.ndarray:
        return values(records, name, method=method, noise=noise, budget=budget)

    for method, budget, apart in (
        ("forward-difference", N + 1, FORWARD_STEP),
        ("linear-interpolation", N + 1, FORWARD_STEP),
        ("central-difference", 2 * N, 2 * CENTRAL_STEP),
    ):
        limit = rounding(apart)
        within, error = cell("within", method, 0.0, budget), math.sqrt(cell("square", method, 0.0, budget).max())
        judge(
            bool((within == 1).all()) and error < limit,
            f"(a) {NAMES[method]}, {budget} evaluations, no noise: all {n} within θ = {THETA}; relative error "
            f"{error:.1e} (needs < {limit:.1e}, what one unit in the last place of f(0) makes)",
        )
    share, law = cell("within", "gaussian-forward", 0.0, N + 1).mean(), share_within("gaussian", N)
    most = likely_shares(law, n, compared)[1]
    judge(
        share <= most,
        f"(a) control: of normal directions, forward, with the same {N + 1} evaluations {share:.1%} are "
        f"(needs <= {most:.1%} for {law:.2%} by the law)",
    )
    for law in ("gaussian", "orthonormal"):
        m = directions_needed(law)
        share, expected = cell("within", law, 0.0, 2 * m).mean(), share_within(law, m)
        low, high = likely_shares(expected, n, compared)
        judge(
            low <= share <= high,
            f"(b) {NAMES[law]}: with the {2 * m} evaluations predicted for {1 - MISSES:.0%}, {share:.1%} are within θ "
            f"(needs {low:.1%} to {high:.1%} for {expected:.1%})",
        )
    held = []
    for method, per, budget in shares:
        p = share_within("orthonormal" if method == "orthonormal" else "gaussian", (budget - (per == 1)) // per)
        low, high = likely_shares(p, n, compared)
        held.append(low <= cell("within", method, 0.0, budget).mean() <= high)
    judge(
        all(held),
        f"(b) at {sum(held)} of {len(held)} budgets of these and of the forward form the share is one that the law "
        f"makes with probability 1 − {FALSE_ALARM / compared:.0e} (needs all)",
    )
    markov = math.ceil((N + 1) / (MISSES * THETA**2))
    judge.note(
        f"(b) what a bound by the mean square guarantees, (n + 1)/(δθ²) = {markov} directions, is "
        f"{markov / directions_needed('gaussian'):.1f} times what is needed"
    )
    for noise in NOISES[1:]:
        for method, budget in (("forward-difference", N + 1), ("central-difference", 2 * N)):
            square, law = cell("square", method, noise, budget).mean(), stencil(method, noise)
            expected, most = law.square, law.deviation(n, compared)
            within = cell("within", method, noise, budget).mean()
            judge(
                abs(square - expected) <= most,
                f"(c) {NAMES[method]}, noise {noise:g}: mean square relative error {square:.3g}, expected "
                f"{expected:.3g} (needs ± {most:.2g}); {within:.0%} within θ",
            )
    square, law = cell("square", "careless", NOISES[1], N + 1).mean(), careless_stencil(NOISES[1])
    most = law.deviation(n, compared)
    judge(
        abs(square - law.square) <= most,
        f"(c) control: forward differences of a step that ignores a noise of {NOISES[1]:g}: relative error "
        f"{math.sqrt(square):,.0f} (needs {math.sqrt(law.square - most):,.0f} to {math.sqrt(law.square + most):,.0f})",
    )
    for noise in NOISES:
        errors = {method: math.sqrt(cell("square", method, noise, 1280).mean()) for method in NAMES}
        ranked = ", ".join(f"{NAMES[method]} {errors[method]:.2g}" for method in sorted(errors, key=errors.__getitem__))
        judge.note(f"(d) noise {noise:g}, 1,280 evaluations, relative error: {ranked}")


def figure(records: list[Record], config: Config) -> Path:
    """Draw relative errors over evaluations for each noise, and shares of estimates within θ."""
    drawing, axes = plots.panels(2, 2, width=6.0, height=4.0)
    with plots.style():
        for ax, noise in zip(axes, NOISES, strict=False):
            _draw_errors(ax, records, noise)
        _draw_shares(axes[-1], records)
        orthonormal, normal = (2 * directions_needed(law) for law in ("orthonormal", "gaussian"))
        drawing.suptitle(
            f"Within half of |g|: differences after n + 1 = {N + 1} or 2n = {2 * N} evaluations, orthonormal pairs "
            f"after {orthonormal}, normal ones {normal}\nf of {N} variables, sines and cosines, at x = 0; root mean "
            f"squares, bars: 95 % intervals of Student's t over {len(records)} seeds"
        )
    return plots.save(drawing, config.out / "approximations.png")


def budgets_tried(records: list[Record], method: str) -> list[int]:
    """Return the budgets a method could make use of."""
    return sorted({int(row["budget"]) for row in records[0].rows if row["method"] == method})  # type: ignore[arg-type]


def _styles() -> dict[str, plots.MethodStyle]:
    styles = plots.method_styles(["gaussian", *(m for m in NAMES if not m.startswith("gaussian-"))])
    dashed = styles["gaussian"]
    styles["gaussian-forward"] = replace(dashed, linestyle=plots.DOTTED, marker=">")
    styles["gaussian-one-point"] = replace(dashed, linestyle=plots.DASHDOT, marker="X")
    return styles


LOWEST = 1e-3  # of relative errors drawn; what is below is told
UPS = {  # points by which a label is higher than the end of its line, where lines end near each other
    0.0: {"gaussian": 4, "gaussian-forward": -4},
    1e-3: {"gaussian": 4, "gaussian-forward": -4, "central-difference": 4, "orthonormal": -5},
    1e-1: {"gaussian": 12, "forward-difference": 4, "gaussian-forward": -5, "central-difference": 8, "orthonormal": -8},
}


def _draw_errors(ax: Axes, records: list[Record], noise: float) -> None:
    """Draw root mean squares down to `LOWEST`; normal, sphere and signs are one line, as they have one law."""
    told: list[str] = []
    for method, how in _styles().items():
        tried = budgets_tried(records, method)
        cells = [{"method": method, "noise": noise, "budget": budget} for budget in tried]
        spent = [values(records, "evaluations", **cell)[0] for cell in cells]
        squares = np.array([values(records, "square", **cell) for cell in cells])
        root = np.sqrt(squares.mean(-1))
        half = half_width(squares.T) / (2 * root)  # of the root mean square, by the delta method
        if method in ("sphere", "spsa"):
            ax.plot(spent, root, how.marker, color=how.color, markersize=4, zorder=3)
            continue
        ax.errorbar(spent, root, half, capsize=2, **look(how))
        if root[-1] > LOWEST:
            name = "normal, sphere, signs: antithetic" if method == "gaussian" else NAMES[method]
            label_end(ax, spent[-1], root[-1], name, how.color, up=UPS[noise].get(method, 0))
        else:
            first = next(i for i, error in enumerate(root) if error < LOWEST)
            told.append(f"{NAMES[method]}, from {spent[first]:.0f} evaluations on: {root[-1]:.0e}")
    if told:
        ax.annotate("Below, by rounding alone:\n" + "\n".join(told), (0.2, 0.04), xycoords="axes fraction", fontsize=8)
    ax.axhline(THETA, **REFERENCE)
    label_end(ax, 6500, THETA, f"θ = {THETA}", GREY, up=6)
    ax.set(xscale="log", yscale="log", xlabel="evaluations of the cost", ylabel="relative error, root mean square",
           xlim=(17, 15000), ylim=(LOWEST, 10), title=f"Noise {noise:g} a value" if noise else "No noise")  # fmt: skip
    _ticks(ax)


def _ticks(ax: Axes) -> None:
    ax.set_xticks([20, 40, 100, 300, 1000], ["20", "40", "100", "300", "1,000"])
    ax.minorticks_off()


def _draw_shares(ax: Axes, records: list[Record]) -> None:
    """Draw the shares of those that have a law, and the law as a line."""
    for law, most, x in (("gaussian", 640, 190), ("orthonormal", N, 36)):
        how, tried = _styles()[law], budgets_tried(records, law)
        shares = np.array([values(records, "within", method=law, noise=0.0, budget=budget) for budget in tried]).T
        low, high = binomial_interval(shares.mean(0), len(shares) * records[0].config["repeats"])
        mean = shares.mean(0)
        ax.errorbar(tried, mean, (mean - low, high - mean), linestyle="none", color=how.color, marker=how.marker,
                    capsize=2)  # fmt: skip
        m = np.unique(np.geomspace(N // 2, most, 60).astype(int))
        ax.plot(2 * m, [share_within(law, k) for k in m], color=how.color, linestyle=how.linestyle)
        needed = 2 * directions_needed(law)
        label_end(ax, x, 0.55, f"{NAMES[law].partition(',')[0]} pairs:\n{needed} for {1 - MISSES:.0%}", how.color)
    ax.axhline(1 - MISSES, **REFERENCE)
    ax.set(xscale="log", xlabel="evaluations of the cost", ylabel=f"share of estimates within θ = {THETA}",
           xlim=(17, 15000), title="No noise; lines: laws; bars: 95 %, Clopper and Pearson")  # fmt: skip
    _ticks(ax)


def binomial_interval(share: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the 95 % interval of Clopper and Pearson of a share of n: it stays within [0, 1]."""
    k = np.round(share * n)
    return np.nan_to_num(stats.beta.ppf(0.025, k, n - k + 1), nan=0.0), np.nan_to_num(
        stats.beta.ppf(0.975, k + 1, n - k), nan=1.0
    )


if __name__ == "__main__":
    main(Config, __doc__, one_a_seed, run, claims, figure)
