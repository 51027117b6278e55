"""How large should a difference's step be, with rounding, with noise, and with the same noise on both sides?

A small step divides errors of the values, a large one leaves out more of the Taylor series: error against step is a V,
and where it turns is known beforehand (Gill, Murray & Wright 1981, section 8.6; Moré & Wild 2012):

    forward      rounding u|f|:  h* = 2√(u|f|/|f''|)        noise τ:  h* = 8^¼ √(τ/|f''|)
    central                      h* = (3u|f|/|f'''|)^⅓                h* = (3τ/|f'''|)^⅓
    smoothing    σ* where bias² + (sampling + τ²/2σ²)/m, known in closed form, is least (d = 1, m pairs)
    complex step                 none: nothing is subtracted

f = exp, whose derivatives are all alike, so that each prediction is one number. Steps of a simulated cost under common
random numbers turn no V at all if the cost is smooth for each noise, and half of one if it jumps.

    python experiments/zeroth_order/noise.py    about half a minute on 2 cores
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from experiments.common.drawing import REFERENCE, SMALL, band, label_end, say
from experiments.common.estimates import only
from experiments.common.frame import Flags, Judge, by_seed, main, mean_slope, one_a_seed, values

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from rllab import Cost, Key, plots
from rllab import estimators as est
from rllab.keys import seeds_for
from rllab.problems import LQR, Bell, Cosine, Exponential, Problem, RandomWalk
from rllab.problems.stochastic import Stochastic
from rllab.runs import Job, Record

TYPES = {"float64": torch.float64, "float32": torch.float32}
DIFFERENCES = {"forward": est.ForwardDifference, "central": est.CentralDifference, "complex": est.ComplexStep}
POINTS, REPEATS = 200, 500  # of each seed: points, and draws of the noise
NOISES = (1e-8, 1e-4, 1e-2)  # τ, where f = f' = f'' = f''' = 1
SMOOTHED_NOISES, PAIRS = (0.0, 0.1, 1.0), 64
STEPS = np.geomspace(1e-6, 2.0, 40)
SIGMAS = np.geomspace(0.01, 3.0, 18)
SIMULATED: dict[str, tuple[Stochastic, float]] = {"smooth": (LQR(horizon=3), 0.3), "jumps": (RandomWalk(), 0.2)}
SIMULATED_STEPS = np.geomspace(1e-3, 0.3, 6)
# Automatic steps assume that f changes by about 1 over max(|θ|, 1); the last of these does not.
COSTS = {"exp(x)": Exponential(1.0), "exp(−1.3x)": Exponential(-1.3), "exp(−1.7x²)": Bell(1.7), "cos 2.1x": Cosine(2.1),
         "cos 100x": Cosine(100.0)}  # fmt: skip
STYLES = {
    "forward": plots.METHODS["forward-difference"],
    "central": plots.METHODS["central-difference"],
    "complex": plots.METHODS["complex-step"],
    "smoothing": plots.METHODS["gaussian"],
}
# The V's turn may be this many times off: rounding is at most u|f| in the prediction, about 0.4 u|f| in the root mean
# square, which moves h* by 0.6, and neighbouring steps differ by 1.4.
FACTOR = 3.0
# An automatic step errs (√c + 1/√c)/2 times as much as the best where |f''| s²/|f| is c or 1/c, a central one at most
# (c^⅔ + 2c^−⅓)/3 times; with c = 40, and rounding at 0.4 u|f| again, that is 5.1 and 7.6 times.
AUTOMATIC = 10.0
RING = "○ predicted best step"


@dataclass(frozen=True)
class Config(Flags):
    quick: ClassVar[dict[str, Any]] = {"seeds": 2}


def run(job: Job, record: Record) -> None:
    """Measure the root mean square error of every method at every step, over the points or draws of one seed."""
    key = Key(job.seed)
    parts = {"rounding": rounding, "noise": under_noise, "smoothing": smoothing, "simulated": simulated}
    for name, part in parts.items():
        for row in part(key.child(name)):
            record.append({"part": name, **row})


def rms(x: Tensor) -> float:
    return x.double().square().mean().sqrt().item()


def points(key: Key, low: float, high: float) -> Tensor:
    return torch.from_numpy(np.random.default_rng(key.integer()).uniform(low, high, (POINTS, 1)))


def rounding(key: Key) -> Iterator[dict[str, Any]]:
    """Relative error of differences of exp without noise, and absolute error of the automatic steps on all COSTS."""
    for name, dtype in TYPES.items():
        u = torch.finfo(dtype).eps / 2
        steps = np.geomspace(16 * u, 0.5, 60)
        at = points(key.child(name), 0.5, 1.0).to(dtype)
        for method in DIFFERENCES:
            for h in steps:
                yield {
                    "setting": name,
                    "method": method,
                    "h": h,
                    "error": difference(COSTS["exp(x)"], at, method, h, True),
                }
        at = points(key.child("automatic", name), 0.5, 1.5).to(dtype)
        for cost, problem in COSTS.items():
            for method in ("forward", "central"):
                best = min(difference(problem, at, method, h) for h in steps)
                error = difference(problem, at, method, None)
                yield {"setting": name, "method": method, "cost": cost, "error": error, "best": best}


def difference(problem: Problem, at: Tensor, method: str, h: float | None, relative: bool = False) -> float:
    """Return the error of a difference over all points; the truth is that of the points as rounded."""
    estimator = DIFFERENCES[method](step=h)
    g = only(estimator(problem.cost(), at, evaluations=2, key=0).gradient)
    truth = problem.gradient(at.double())
    return rms((g.double() - truth) / (truth if relative else 1.0))


def noisy(problem: Problem, tau: float, key: Key) -> Cost:
    """Return a cost with independent noise of standard deviation τ in every value."""
    draw = np.random.default_rng(key.integer())
    return Cost(lambda x: problem.value(x) + tau * torch.from_numpy(draw.standard_normal(len(x))), noisy=True)


def under_noise(key: Key) -> Iterator[dict[str, Any]]:
    """Error of differences of exp at 0, where every derivative is 1, under independent noise."""
    at = torch.zeros(REPEATS, 1, dtype=torch.float64)
    for tau in NOISES:
        cost = noisy(Exponential(1.0), tau, key.child(repr(tau)))
        for method in ("forward", "central"):
            for h in STEPS:
                g = only(DIFFERENCES[method](step=h)(cost, at, evaluations=2, key=0).gradient)
                yield {"setting": repr(tau), "method": method, "h": h, "error": rms(g - 1)}


def smoothing(key: Key) -> Iterator[dict[str, Any]]:
    """Error of Gaussian smoothing of exp at 0 against its slope: bias, sampling and noise together."""
    at = torch.zeros(REPEATS, 1, dtype=torch.float64)
    for tau in SMOOTHED_NOISES:
        cost = noisy(Exponential(1.0), tau, key.child(repr(tau)))
        for i, sigma in enumerate(SIGMAS):
            estimator = est.GaussianSmoothing(float(sigma))
            g = only(estimator(cost, at, evaluations=2 * PAIRS, key=key.child("direction", i), errors=False).gradient)
            yield {"setting": repr(tau), "method": "smoothing", "h": sigma, "error": rms(g - 1)}


def smoothing_error(sigma: np.ndarray, tau: float) -> np.ndarray:
    """Return the exact root mean square error that `smoothing` measures.

    bias² + Var/m,  bias = e^{σ²/2} − 1,  Var = E[(sinh(σu) u/σ)²] − e^{σ²} + τ²/(2σ²)
    """
    s2 = sigma**2
    square = ((1 + 4 * s2) * np.exp(2 * s2) - 1) / (2 * s2)
    return np.sqrt(np.expm1(s2 / 2) ** 2 + (square - np.exp(s2) + tau**2 / (2 * s2)) / PAIRS)


def unrelated(problem: Stochastic, key: Key) -> Cost:
    """Return a simulated cost in which every run has noise of its own."""
    calls = itertools.count()
    return Cost(lambda x: problem.sample(x, seeds_for(np.arange(len(x)), key.child(next(calls)))), noisy=True)


def simulated(key: Key) -> Iterator[dict[str, Any]]:
    """Standard deviation of central differences of one simulated run a side, relative to the gradient's length."""
    for name, (problem, start) in SIMULATED.items():
        at = torch.full((REPEATS, problem.dimension), start, dtype=torch.float64)
        length = problem.gradient(at[:1]).norm()
        for i, h in enumerate(SIMULATED_STEPS):
            for method, cost in (("common", problem.cost()), ("independent", unrelated(problem, key.child("seed", i)))):
                estimator = est.CentralDifference(step=float(h))
                e = estimator(cost, at, evaluations=2 * problem.dimension, key=key.child(method, i))
                g = only(e.gradient)
                scatter = (g - g.mean(0)).square().sum(-1).sum() / (REPEATS - 1)
                yield {"setting": name, "method": method, "h": h, "error": (scatter.sqrt() / length).item()}


def curve(records: list[Record], **wanted: object) -> tuple[np.ndarray, np.ndarray]:
    """Return steps (steps,) and the errors of each seed (seeds, steps)."""
    wanted["cost"] = None  # automatic steps are recorded by their cost
    return values(records[:1], "h", **wanted), by_seed(records, "error", **wanted)


def pooled(errors: np.ndarray, axis: int = 0) -> np.ndarray:
    return np.sqrt((errors**2).mean(axis))


def predictions(part: str, setting: str) -> dict[str, float]:
    """Return where theory has each method's V turn."""
    if part == "rounding":
        u = torch.finfo(TYPES[setting]).eps / 2
        return {"forward": 2 * math.sqrt(u), "central": (3 * u) ** (1 / 3)}
    tau = float(setting)
    if part == "smoothing":
        sigma = np.geomspace(SIGMAS[0], SIGMAS[-1], 2000)
        return {"smoothing": float(sigma[smoothing_error(sigma, tau).argmin()])} if tau else {}
    return {"forward": 8**0.25 * math.sqrt(tau), "central": (3 * tau) ** (1 / 3)}


def automatic(records: list[Record], setting: str, method: str, cost: str) -> np.ndarray:
    """Return each seed's error of the automatic step over that of the best step."""
    wanted = {"setting": setting, "method": method, "cost": cost}
    return (by_seed(records, "error", **wanted) / by_seed(records, "best", **wanted))[:, 0]


def slope(records: list[Record], setting: str, method: str) -> tuple[float, float]:
    """Return the mean over seeds of d log error/d log h over all steps but the largest, and half its 95 % interval."""
    h, errors = curve(records, part="simulated", setting=setting, method=method)
    return mean_slope(h[:-1], errors[:, :-1])


def claims(records: list[Record], config: Config, judge: Judge) -> None:
    for part, settings in (
        ("rounding", TYPES),
        ("noise", map(repr, NOISES)),
        ("smoothing", map(repr, SMOOTHED_NOISES)),
    ):
        for setting in settings:
            for method, expected in predictions(part, setting).items():
                h, errors = curve(records, part=part, setting=setting, method=method)
                best, each = h[pooled(errors).argmin()], h[errors.argmin(1)]
                judge(
                    1 / FACTOR <= best / expected <= FACTOR,
                    f"{part} {setting}, {method}: least error {pooled(errors).min():.2g} at {best:.2g}, predicted "
                    f"{expected:.2g}, ratio {best / expected:.2f} (needs 1/3 to 3; single seeds "
                    f"{each.min() / expected:.2f} to {each.max() / expected:.2f})",
                )
    for setting, dtype in TYPES.items():
        u = torch.finfo(dtype).eps / 2
        h, errors = curve(records, part="rounding", setting=setting, method="complex")
        worst = errors[:, h <= math.sqrt(u)].max() / u
        judge(
            worst <= 4,
            f"complex step, {setting}: error at most {worst:.2f} u for every step from {h[0]:.0e} to √u (needs <= 4: "
            "one rounding each of value, step and quotient, and the h²/6 of the series)",
        )
    for tau in SMOOTHED_NOISES:
        sigma, errors = curve(records, part="smoothing", setting=repr(tau))
        off = np.abs(pooled(errors) / smoothing_error(sigma, tau) - 1)[sigma <= 0.5].max()
        allowed = 10 / math.sqrt(2 * len(records) * REPEATS)
        judge(
            off <= allowed,
            f"smoothing {tau}: error as predicted by the exact law for σ <= 0.5, within {off:.1%} (needs "
            f"{allowed:.1%}: 10 standard errors of a root mean square of normal numbers)",
        )
    for setting in TYPES:
        for method in ("forward", "central"):
            ratios = {cost: automatic(records, setting, method, cost) for cost in COSTS}
            *usual, odd = ratios
            worst = max(usual, key=lambda cost: ratios[cost].max())
            judge(
                ratios[worst].max() <= AUTOMATIC,
                f"automatic step, {setting}, {method}: at worst {ratios[worst].max():.2f} times the best step's error, "
                f"for {worst} (needs <= {AUTOMATIC:g} on {len(usual)} costs, all seeds)",
            )
            judge.note(f"but {np.median(ratios[odd]):.0f} times for {odd}, which changes on a scale it does not know")
    # Bands set on seeds 100 to 109, never shown: single seeds were within 0.02, 0.02, 0.03 and 0.12 of the predictions.
    for setting, method, expected, most, why in (
        ("smooth", "independent", -1.0, 0.1, "τ/h"),
        ("smooth", "common", 0.0, 0.1, "the noise cancels"),
        ("jumps", "independent", -1.0, 0.1, "τ/h"),
        ("jumps", "common", -0.5, 0.15, "runs part with probability ∝ h"),
    ):
        value, half = slope(records, setting, method)
        judge(
            abs(value - expected) <= most,
            f"simulated, {setting}, {method} noise: scatter ∝ h^({value:.3f} ± {half:.3f}), predicted {expected:g}: "
            f"{why} (needs within {most})",
        )
    for setting in SIMULATED:
        h, a = curve(records, part="simulated", setting=setting, method="independent")
        _, b = curve(records, part="simulated", setting=setting, method="common")
        gain = (pooled(a) / pooled(b)) ** 2
        judge.note(
            f"{setting}: common noise saves {gain[0]:,.0f} times the runs at h = {h[0]:g}, {gain[-1]:.2g} at {h[-1]:g}"
        )


def figure(records: list[Record], config: Config) -> Path:
    """Draw error against step: rounding in two precisions, noise, smoothing, common noise; and automatic steps."""
    drawing, axes = plots.panels(3, 2, width=3.7, height=3.4)
    with plots.style():
        for ax, setting in zip(axes, TYPES, strict=False):
            for method in DIFFERENCES:
                h, errors = curve(records, part="rounding", setting=setting, method=method)
                draw(ax, h, errors, STYLES[method], method)
                mark(ax, h, errors, predictions("rounding", setting).get(method))
            say(ax, (0.03, 0.2), [(RING, plots.BLACK)])
            ax.set(xlabel="step h, unit of θ", ylabel="relative error of the slope")
            ax.set_title(f"{setting}: only the complex step\nhas no rounding error")
        for tau, line in zip(NOISES, plots.LINES, strict=False):
            for method in ("forward", "central"):
                h, errors = curve(records, part="noise", setting=repr(tau), method=method)
                style = replace(STYLES[method], linestyle=line)
                draw(axes[2], h, errors, style)
                mark(axes[2], h, errors, predictions("noise", repr(tau))[method])
        axes[2].set(
            xlabel="step h, unit of θ",
            ylabel="error of the slope, which is 1",
            title="The noisier the cost,\nthe larger the best step",
        )
        for tau, line in zip(SMOOTHED_NOISES, plots.LINES, strict=False):
            sigma, errors = curve(records, part="smoothing", setting=repr(tau))
            style = replace(STYLES["smoothing"], linestyle="", marker="o^s"[SMOOTHED_NOISES.index(tau)])
            draw(axes[3], sigma, errors, style, every=1)
            axes[3].plot(sigma, smoothing_error(sigma, tau), color="#000000", linestyle=line)
            label_end(axes[3], sigma[1], pooled(errors)[1], f"τ = {tau:g}", plots.BLACK, up=8 if tau else -9)
            mark(axes[3], sigma, errors, predictions("smoothing", repr(tau)).get("smoothing"))
        axes[3].set(xlabel="σ of the smoothing, unit of θ", ylabel="error of the slope, which is 1",
                    title=f"Smoothing, {PAIRS} pairs: the more\nnoise, the larger the best σ",
                    ylim=(0.05, 30))  # fmt: skip
        looks = plots.MethodStyle(plots.BLUE, plots.SOLID, "o"), plots.MethodStyle(plots.VERMILLION, plots.DASHED, "s")
        for (setting, label), look in zip((("smooth", "LQR"), ("jumps", "walk")), looks, strict=True):
            for method, fill in (("independent", "none"), ("common", look.color)):
                h, errors = curve(records, part="simulated", setting=setting, method=method)
                draw(axes[4], h, errors, look, every=1, markerfacecolor=fill)
                i, up = (1, 8) if setting == "smooth" else (0, 10 if method == "independent" else -22)
                broken = (setting, method) == ("jumps", "independent")  # there is a line above it
                name = f"{label},\n{method}" if broken else f"{label}, {method}"
                label_end(axes[4], h[i], pooled(errors)[i], name, look.color, up=up)
        axes[4].set(
            xlabel="step h, unit of θ (LQR; a walk until it falls)",
            ylabel="standard deviation/|gradient|",
            title="Common noise helps,\nless where runs jump",
        )
        for i, (setting, method) in enumerate((s, m) for s in TYPES for m in ("forward", "central")):
            ratios = np.array([automatic(records, setting, method, cost) for cost in COSTS])
            middle = np.median(ratios, 1)
            spread = np.abs(np.stack((ratios.min(1), ratios.max(1))) - middle)
            x, fill = np.arange(len(COSTS)) + 0.12 * (i - 1.5), "none" if setting == "float32" else STYLES[method].color
            axes[5].errorbar(x, middle, spread, color=STYLES[method].color, fmt=STYLES[method].marker, capsize=2,
                             markerfacecolor=fill)  # fmt: skip
        axes[5].axhline(1, color="#000000", linewidth=0.9)
        axes[5].axhline(AUTOMATIC, **REFERENCE)
        axes[5].set(yscale="log", ylabel="error/error of the best step", title="Automatic steps\nmiss a fast cost")
        axes[5].set_xticks(
            range(len(COSTS)), [name.replace("(", "\n(").replace(" ", "\n") for name in COSTS], fontsize=SMALL
        )
        for ax in axes:
            ax.minorticks_off()
        for ax in axes[:2]:
            plots.name_lines(ax)
        both = [(f"{sign} {m}", STYLES[m].color) for sign, m in zip("▲■", ("forward", "central"), strict=True)]
        lines = zip(("solid", "dashes", "dots"), NOISES, strict=True)
        say(axes[2], (0.5, 0.98), [(f"{line}: τ = {tau:g}", plots.BLACK) for line, tau in lines])
        say(axes[2], (0.03, 0.21), [*both, (RING, plots.BLACK)])
        axes[2].set_ylim(1e-8, None)
        say(axes[3], (0.28, 0.97), [("markers: measured", STYLES["smoothing"].color), ("lines: exact", plots.BLACK)])
        say(axes[3], (0.28, 0.8), [(RING, plots.BLACK)])
        say(axes[5], (0.03, 0.97), [*both, ("filled: float64, hollow: float32", plots.BLACK)])
        drawing.suptitle(
            "Too small a step magnifies rounding and noise, too large a one sees curvature: the best lies between\n"
            "Slope of eˣ, in the last two panels of other costs; root mean square errors over "
            f"{len(records)} seeds; bands and bars: ranges",
            fontsize=11,
        )
    return plots.save(drawing, config.out / "noise.png")


def draw(
    ax: Axes, h: np.ndarray, errors: np.ndarray, how: plots.MethodStyle, label: str = "", every: int = 0, **more: Any
) -> None:
    every = every or max(1, len(h) // 8)
    band(ax, h, errors, how, middle=pooled, alpha=0.25, label=label, markevery=every, **more)
    ax.set(xscale="log", yscale="log")


def mark(ax: Axes, h: np.ndarray, errors: np.ndarray, predicted: float | None) -> None:
    """Put a ring on a curve where the best step is predicted."""
    if predicted is None:
        return
    height = math.exp(np.interp(math.log(predicted), np.log(h), np.log(pooled(errors))))
    ax.plot(predicted, height, "o", color=plots.BLACK, markersize=10, markerfacecolor="none", zorder=4)


if __name__ == "__main__":
    main(Config, __doc__, one_a_seed, run, claims, figure)
