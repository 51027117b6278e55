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
they are standard errors of laws, or orders of magnitude of rounding.

    python experiments/zeroth_order/approximations.py  prints claims and draws; results/approximations holds all numbers
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Self

from experiments.common.bounds import FALSE_ALARM
from experiments.common.drawing import GREY, look, shared_legend
from experiments.common.frame import Flags, Judge, main, values

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from rllab import Cost, Key, plots
from rllab import estimators as est
from rllab.runs import Job, Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

N, M, L = 20, 1.0, 2.0
NORM = M * math.sqrt(N / 2)  # |g|
THETA, MISSES = 0.5, 0.1  # within θ|g|, but for a share δ of the estimates
NOISES = (0.0, 1e-3, 1e-1)
ROUNDOFF = torch.finfo(torch.float64).eps / 2
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

    def faster(self) -> Self:
        return replace(super().faster(), repeats=32)


def jobs_of(config: Config) -> Iterator[Job]:
    """Yield one job per seed; each makes all estimates."""
    for seed in config.all_seeds:
        yield Job(f"seed-{seed}", {"repeats": config.repeats}, seed)


def value(x: Tensor) -> Tensor:
    """Return f at points (k, n), (k,)."""
    waves = M * x[:, 0::2].sin().sum(-1) + x[:, 1::2].cos().sum(-1)
    return waves + (L - M) / (2 * N) * x.sum(-1).square()


def gradient_at_zero() -> Tensor:
    return torch.tensor([M, 0.0] * (N // 2)).double()


def hessian_at_zero() -> np.ndarray:
    return np.diag([0.0, -1.0] * (N // 2)) + (L - M) / N


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
    assert isinstance(e.gradient, Tensor)
    error = (e.gradient - gradient_at_zero()).square().sum(-1) / NORM**2
    cell = {"method": method, "noise": noise, "budget": budget, "evaluations": e.evaluations}
    return {**cell, "square": error.mean(), "within": (error <= THETA**2).double().mean()}


@cache
def share_within(law: str, m: int) -> float:
    """Return the share of estimates from m directions that are within θ|g|, by the laws above."""
    p = (np.arange(2000) + 0.5) / 2000
    if law == "gaussian":
        s = stats.chi2.ppf(p, m)
        room = np.clip(m**2 * (THETA**2 - (s / m - 1) ** 2) / s, 0, None)
        return float(stats.chi2.cdf(room, N - 1).mean())
    if m >= N:
        return 1.0
    c = stats.beta.ppf(p, m / 2, (N - m) / 2)
    return float((N / m * (N / m - 2) * c + 1 <= THETA**2).mean())


@cache
def directions_needed(law: str) -> int:
    """Return the least number of directions of which a share 1 − δ of the estimates is within θ|g|."""
    return next(m for m in range(1, 10_000) if share_within(law, m) >= 1 - MISSES)


def likely_shares(p: float, n: int, comparisons: int) -> tuple[float, float]:
    """Return the shares of n that leave no more than FALSE_ALARM to the others, in all comparisons together."""
    tail = FALSE_ALARM / (2 * comparisons)
    return float(stats.binom.ppf(tail, n, p)) / n, float(stats.binom.isf(tail, n, p)) / n


@dataclass(frozen=True)
class Stencil:
    """What differences along all axes err by: a bias, and normal noise, all relative to |g|.

    Args:
        bias: squares of its part across (1, …, 1)/√N, and along it.
        variance: of the noise in one direction across, and along; what the differences share makes the latter larger.
    """

    bias: tuple[float, float]
    variance: tuple[float, float]

    @property
    def square(self) -> float:
        """The mean square error."""
        return sum(self.bias) + (N - 1) * self.variance[0] + self.variance[1]

    def deviation(self, n: int, comparisons: int) -> float:
        """Return how far the mean of n squares may be off, all comparisons erring with probability FALSE_ALARM.

        A noncentral χ² of D degrees of freedom and noncentrality B is within 2√((D + 2B)t) + 2t of D + B but for 2e^−t:
        Birgé (2001), "An alternative point of view on Lepski's method", lemma 8.1. Here there are two.
        """
        t = math.log(4 * comparisons / FALSE_ALARM)
        freedom = (n * (N - 1), n)
        parts = zip(freedom, self.bias, self.variance, strict=True)
        return sum(v * (2 * math.sqrt((d + 2 * n * b / v) * t) + 2 * t) for d, b, v in parts) / n


def stencil(method: str, noise: float) -> Stencil:
    """Return what one stencil errs by: the bias computed, the noise by its variance."""
    x, eye = torch.zeros(N).double(), torch.eye(N).double()
    rounded = noise + ROUNDOFF
    if method == "forward-difference":
        h = 2 * math.sqrt(rounded)
        slope, variance = (value(h * eye) - value(x[None])) / h, noise**2 / h**2
        along = (1 + N) * variance  # as all differences share the noise at the centre
    else:
        h = (3 * rounded) ** (1 / 3)
        slope, variance = (value(h * eye) - value(-h * eye)) / (2 * h), noise**2 / (2 * h**2)
        along = variance
    bias = slope - gradient_at_zero()
    shared = float(bias.sum() ** 2) / N
    squares = (float(bias.square().sum()) - shared, shared)
    return Stencil((squares[0] / NORM**2, squares[1] / NORM**2), (variance / NORM**2, along / NORM**2))


def claims(records: list[Record], config: Config, judge: Judge) -> None:
    """Hold numbers of evaluations and errors to what they should be."""
    n = config.seeds * config.repeats
    shares = [
        (law, per, budget)
        for law, per in (("gaussian", 2), ("gaussian-forward", 1), ("orthonormal", 2))
        for budget in budgets(law)
        if law != "orthonormal" or budget <= 2 * N
    ]
    compared = 2 + len(shares) + 2 * len(NOISES[1:])  # all of them together err with probability FALSE_ALARM

    def cell(name: str, method: str, noise: float, budget: int) -> np.ndarray:
        return values(records, name, method=method, noise=noise, budget=budget)

    # rounding: ε/h of h = 2√u, 2 (f(0) = 10) · 10⁻¹⁶/2·10⁻⁸, and of h = (3u)^⅓, f(0) · 10⁻¹⁶/7·10⁻⁶
    for method, budget, limit in (
        ("forward-difference", N + 1, 1e-6),
        ("linear-interpolation", N + 1, 1e-6),
        ("central-difference", 2 * N, 1e-8),
    ):
        within, error = cell("within", method, 0.0, budget), math.sqrt(cell("square", method, 0.0, budget).max())
        judge(
            bool((within == 1).all()) and error < limit,
            f"(a) {NAMES[method]}, {budget} evaluations, no noise: all {n} within θ = {THETA}; relative error "
            f"{error:.0e} (needs < {limit:.0e})",
        )
    share, law = cell("within", "gaussian-forward", 0.0, N + 1).mean(), share_within("gaussian", N)
    judge(
        share < 0.02,
        f"(a) control: of normal directions, forward, with the same {N + 1} evaluations {share:.1%} are "
        f"(needs < 2 %; law {law:.2%})",
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
    error = math.sqrt(cell("square", "careless", NOISES[1], N + 1).mean())
    judge(
        error > 100,
        f"(c) control: forward differences of a step that ignores a noise of {NOISES[1]:g}: relative error "
        f"{error:,.0f} (needs > 100)",
    )
    for noise in NOISES:
        errors = {method: math.sqrt(cell("square", method, noise, 1280).mean()) for method in NAMES}
        ranked = ", ".join(f"{NAMES[method]} {errors[method]:.2g}" for method in sorted(errors, key=errors.__getitem__))
        judge.note(f"(d) noise {noise:g}, 1,280 evaluations, relative error: {ranked}")


def figure(records: list[Record], config: Config) -> Path:
    """Draw relative errors over evaluations for each noise, and shares of estimates within θ."""
    drawing, axes = plots.panels(2, 2, width=6.2, height=4.4)
    for ax, noise in zip(axes, NOISES, strict=False):
        _draw_errors(ax, records, noise)
    _draw_shares(axes[-1], records)
    with plots.style():
        shared_legend(drawing, axes[0], 4)
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


def _draw_errors(ax: Axes, records: list[Record], noise: float) -> None:
    for method, how in _styles().items():
        tried = budgets_tried(records, method)
        cells = [{"method": method, "noise": noise, "budget": budget} for budget in tried]
        spent = [values(records, "evaluations", **cell)[0] for cell in cells]
        squares = np.array([values(records, "square", **cell) for cell in cells])
        root = np.sqrt(squares.mean(-1))
        # of the root mean square, by the delta method
        half = 1.96 * squares.std(-1, ddof=1) / math.sqrt(squares.shape[1]) / (2 * root)
        ax.errorbar(spent, root, half, capsize=2, **look(how, label=NAMES[method]))
    x = np.geomspace(N + 1, 1280, 50)
    ax.plot(x, np.sqrt((N + 1) / (x / 2)), color="#888888", linewidth=4, alpha=0.4, zorder=0, label="√((n + 1)/m)")
    ax.axhline(THETA, color=GREY, linewidth=0.9, linestyle=plots.DOTTED, label=f"θ = {THETA}")
    ax.set(xscale="log", yscale="log", xlabel="evaluations of the cost", ylabel="relative error, root mean square")
    ax.set_title(f"Noise {noise:g}; bars: 95 % over seeds" if noise else "No noise; bars: 95 % over seeds")


def _draw_shares(ax: Axes, records: list[Record]) -> None:
    for method, how in _styles().items():
        tried = budgets_tried(records, method)
        shares = [values(records, "within", method=method, noise=0.0, budget=budget) for budget in tried]
        mean = [s.mean() for s in shares]
        half = [1.96 * s.std(ddof=1) / math.sqrt(len(s)) for s in shares]
        ax.errorbar(tried, mean, half, color=how.color, linestyle="none", marker=how.marker, capsize=2)
    for law, most in (("gaussian", 640), ("orthonormal", N)):
        how = _styles()[law]
        m = np.unique(np.geomspace(N // 2, most, 60).astype(int))
        ax.plot(2 * m, [share_within(law, k) for k in m], color=how.color, linestyle=how.linestyle)
    ax.set(xscale="log", xlabel="evaluations of the cost", ylabel=f"share of estimates within θ = {THETA}")
    ax.set_title("No noise; lines: laws of antithetic directions")


if __name__ == "__main__":
    main(Config, __doc__, jobs_of, run, claims, figure)
