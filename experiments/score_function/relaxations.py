"""What does it cost to treat a bit as if it were continuous: how much bias for how little variance?

One bit, P(b = 1) = p = σ(l), cost (b − t)², t = 0.499: E f has the gradient (1 − 2t) p(1 − p), and its least value is
at p = 0. With logistic noise e, y = σ((l + e)/λ), b = 1[y > ½], the gradients from one sample are

    Gumbel-softmax                      f'(y) y(1 − y)/λ               unbiased, for another cost: E f(y)
    straight-through Gumbel-softmax     f'(b) y(1 − y)/λ               biased for both
    Gumbel-Rao                          its mean over e given b        the same bias, less variance
    straight-through                    f'(b) p(1 − p)                 mean 2p(1 − p)(p − t): it has no temperature

Mean and variance of each over λ are integrals; samples check that the lab's estimators have them. Then descent: where
does each end up, if it follows its own exact mean, and where do the estimators themselves?

Sources: Jang, Gu & Poole (2017), "Categorical reparameterization with Gumbel-softmax"; Paulus, Maddison & Krause
(2021), "Rao-Blackwellizing the straight-through Gumbel-softmax gradient estimator"; Bengio, Léonard & Courville (2013),
"Estimating or propagating gradients through stochastic neurons"; the cost: Grathwohl, Choi, Wu, Roeder & Duvenaud
(2018), "Backpropagation through the void".

    python experiments/score_function/relaxations.py    half a minute
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from experiments.common.claims import judge_moments, judge_printed
from experiments.common.drawing import GREY, REFERENCE, label_end, line, look
from experiments.common.estimates import only
from experiments.common.frame import Flags, Judge, main, slopes, values

import numpy as np
import torch
from matplotlib.axes import Axes
from scipy.special import expit

from rllab import Bernoulli, Key, plots
from rllab import estimators as est
from rllab.problems import BooleanQuadratic
from rllab.runs import Job, Record

TARGET = 0.499
LOGITS = (0.0, 1.0)
TEMPERATURES = np.geomspace(0.05, 5, 13)
CHECKED = (0.1, 0.5, 1.0, 2.0)  # temperatures at which samples are drawn
INNER = 10  # of Gumbel-Rao
# The mean of Gumbel-softmax at logit 0 and 1, times 10⁴, and its variance at logit 0, computed apart
SOFT_MEANS = {0.1: ("4.96", "93"), 0.5: ("4.29", "302"), 1.0: ("3.33", "299"), 2.0: ("2.15", "175")}
SOFT_VARIANCES = {0.1: ".083", 0.5: ".0139", 1.0: ".0048", 2.0: ".0010"}
TARGETS = (0.2, 0.35, 0.45, 0.499)  # of the costs that are descended
WAY, SAMPLES = 12.0, 64  # steps times rate of the descent; evaluations a step
METHODS = ("soft", "hard", "rao", "straight")
NAMES = {
    "soft": "Gumbel-softmax",
    "hard": "straight-through Gumbel-softmax",
    "rao": f"Gumbel-Rao, {INNER} inner draws",
    "straight": "straight-through",
    "score": "score function, leave-one-out",
}
STYLES = {
    "soft": plots.MethodStyle(plots.BLUE, plots.SOLID, "o"),
    "hard": plots.MethodStyle(plots.PURPLE, plots.DOTTED, "D"),
    "rao": plots.MethodStyle(plots.GREEN, plots.DASHED, "P"),
    "straight": plots.MethodStyle(plots.VERMILLION, plots.DASHDOT, "s"),
    "score": plots.MethodStyle(plots.ORANGE, plots.DOTTED, "^"),
}


@dataclass(frozen=True)
class Config(Flags):
    samples: int = 100_000
    """Samples of each estimator and seed, to check the integrals with."""
    steps: int = 400
    """Steps of descent, the longer the fewer they are; the last half of them is averaged."""
    quick: ClassVar[dict[str, Any]] = {"seeds": 1, "samples": 10_000, "steps": 200}


def jobs_of(config: Config) -> Iterator[Job]:
    yield Job("integrals", {"samples": 0}, 0)
    for seed in config.all_seeds:
        yield Job(f"samples-{seed}", {"samples": config.samples, "steps": config.steps}, seed)


def run(job: Job, record: Record) -> None:
    parts = (integrals(), fixed_points()) if not job.config["samples"] else (
        sampled(job.config["samples"], Key(job.seed).child("samples")),
        descents(job.config["steps"], Key(job.seed).child("descent")),
    )  # fmt: skip
    for part in parts:
        for row in part:
            record.append(row)


def truth(logit: float, target: float) -> float:
    """d/dl E (b − t)² = (1 − 2t) p (1 − p)."""
    return (1 - 2 * target) * float(expit(logit) * expit(-logit))


def moments(method: str, logit: float, temperature: float, target: float) -> tuple[float, float, float]:
    """Return mean, variance and fourth central moment of the gradient from one sample; the last NaN for "rao"."""
    p = float(expit(logit))
    if method == "straight":
        g, w = np.array([-2 * target, 2 * (1 - target)]) * p * (1 - p), np.array([1 - p, p])
    else:
        g, w, b = _over_noise(method, logit, temperature, target)
    mean = w @ g
    if method != "rao":
        return float(mean), float(w @ (g - mean) ** 2), float(w @ (g - mean) ** 4)
    # Var ĝ = Var E[ĝ | b] + E Var[ĝ | b]/J
    variance = 0.0
    for outcome in (0, 1):
        mine = b == outcome
        mass = w[mine].sum()
        inside = w[mine] @ g[mine] / mass
        variance += mass * (inside - mean) ** 2 + w[mine] @ (g[mine] - inside) ** 2 / INNER
    return float(mean), float(variance), math.nan


def _over_noise(method: str, logit: float, temperature: float, target: float) -> tuple[np.ndarray, ...]:
    """Return gradients, weights and bits on a grid of z = (l + e)/λ, cut at 0 where b jumps.

    y(1 − y) is gone at |z| = 40, and e at 40: the grid ends where the first of them is.
    """
    z, w = _grid()
    e = temperature * z - logit
    w = w * temperature * expit(e) * expit(-e)  # the density of e, and de = λ dz
    bit = (z > 0).astype(float)
    at = expit(z) if method == "soft" else bit
    g = 2 * (at - target) * expit(z) * expit(-z) / temperature
    # what lies outside of the grid has g = 0: one more node on either side
    outside = np.array([expit(-40 * temperature - logit), expit(logit - 40 * temperature)])
    return np.append(g, [0.0, 0.0]), np.append(w, outside), np.append(bit, [0.0, 1.0])


@cache
def _grid() -> tuple[np.ndarray, np.ndarray]:
    """Return the Gauss–Legendre rule on panels of z, the narrower the nearer to 0."""
    nodes, weights = np.polynomial.legendre.leggauss(40)
    ends = 40 * np.array([-1.0, -0.5, -0.25, -0.1, -0.03, 0.0, 0.03, 0.1, 0.25, 0.5, 1.0])
    middle, half = (ends[1:] + ends[:-1]) / 2, np.diff(ends) / 2
    return (middle[:, None] + half[:, None] * nodes).ravel(), (half[:, None] * weights).ravel()


def integrals() -> Iterator[dict[str, Any]]:
    for logit in LOGITS:
        for temperature in sorted({*TEMPERATURES.tolist(), *CHECKED}):
            for method in METHODS:
                mean, variance, _ = moments(method, logit, temperature, TARGET)
                shared = {"part": "integral", "method": method, "logit": logit, "temperature": temperature}
                yield {**shared, "mean": mean, "variance": variance, "truth": truth(logit, TARGET)}


def fixed_points() -> Iterator[dict[str, Any]]:
    """Where the mean field of each method leads to from p = ½, for all targets and temperatures."""
    for target in TARGETS:
        straight = attractor("straight", 1.0, target)  # at any temperature
        for temperature in TEMPERATURES.tolist():
            for method in ("soft", "hard", "straight"):
                p = straight if method == "straight" else attractor(method, temperature, target)
                yield {"part": "end", "method": method, "target": target, "temperature": temperature, "p": p}


def attractor(method: str, temperature: float, target: float, farthest: float = 12.0) -> float:
    """Follow −E ĝ from l = 0 to its first zero, by bisection; return p there, 0 or 1 if there is none."""

    def field(logit: float) -> float:
        return moments(method, logit, temperature, target)[0]

    way = -np.sign(field(0.0))
    if way == 0:
        return 0.5
    grid = way * np.linspace(0, farthest, 25)
    turned = next((i for i, logit in enumerate(grid) if i and field(logit) * way > 0), None)
    if turned is None:
        return 0.0 if way < 0 else 1.0
    a, b = grid[turned - 1], grid[turned]
    for _ in range(35):
        middle = (a + b) / 2
        a, b = (a, middle) if field(middle) * way > 0 else (middle, b)
    return float(expit((a + b) / 2))


def estimator_of(method: str, temperature: float) -> est.Estimator:
    if method == "rao":
        return est.GumbelRao(temperature, inner=INNER)
    if method == "straight":
        return est.StraightThrough()
    return est.ScoreFunction() if method == "score" else est.GumbelSoftmax(temperature, hard=method == "hard")


def sampled(n: int, key: Key) -> Iterator[dict[str, Any]]:
    """Draw n samples of each of the lab's estimators; yield how far off mean and variance are, in standard errors."""
    cost = BooleanQuadratic(TARGET).cost()
    for logit in LOGITS:
        at = Bernoulli(torch.tensor([logit], dtype=torch.float64))
        for temperature in CHECKED:
            for method in METHODS:
                e = estimator_of(method, temperature)(
                    cost, at, evaluations=n, key=key.child(method, repr(logit), repr(temperature)), per_unit=True
                )
                g = only(e.per_unit)
                mean, variance, fourth = moments(method, logit, temperature, TARGET)
                if method == "rao":
                    fourth = (g - mean).pow(4).mean().item()
                shared = {"part": "sample", "method": method, "logit": logit, "temperature": temperature}
                yield {
                    **shared,
                    "mean": g.mean().item(),
                    "variance": g.var().item(),
                    "off": (g.mean().item() - mean) / math.sqrt(variance / n),
                    "off_variance": (g.var().item() - variance)
                    / math.sqrt((fourth - variance**2 * (n - 3) / (n - 1)) / n),
                }


def descents(steps: int, key: Key) -> Iterator[dict[str, Any]]:
    """Descend with the estimators themselves, from p = ½, at equal evaluations, λ = ½."""
    for target in TARGETS:
        for method in ("soft", "hard", "straight", "score"):
            cost = BooleanQuadratic(target).cost()
            logits = torch.zeros(1, dtype=torch.float64)
            optimizer = torch.optim.Adam([logits], lr=WAY / steps)
            path = []
            for step in range(steps):
                e = estimator_of(method, 0.5)(
                    cost,
                    Bernoulli(logits),
                    evaluations=SAMPLES,
                    key=key.child(method, repr(target), step),
                    errors=False,
                )
                logits.grad = only(e.gradient)
                optimizer.step()
                path.append(logits.sigmoid().item())
            spent = cost.spent["gradient"] + cost.spent["value"]
            p = float(np.mean(path[steps // 2 :]))
            yield {"part": "descent", "method": method, "target": target, "p": p, "evaluations": spent}


def pick(records: list[Record], name: str, **wanted: object) -> float:
    return float(values(records, name, **wanted)[0])


SOFT = {"part": "integral", "method": "soft"}


def printed(records: list[Record]) -> Iterator[tuple[str, float, str]]:
    """Yield means and variances of Gumbel-softmax: where they stand, as integrals, and as printed."""
    for temperature, texts in SOFT_MEANS.items():
        for at, text in zip(LOGITS, texts, strict=True):
            yield f"λ = {temperature}", pick(records, "mean", **SOFT, logit=at, temperature=temperature) * 1e4, text
        variance = pick(records, "variance", **SOFT, logit=0.0, temperature=temperature)
        yield f"λ = {temperature}", variance, SOFT_VARIANCES[temperature]


def claims(records: list[Record], config: Config, judge: Judge) -> None:
    judge_printed(
        judge, printed(records), "Gumbel-softmax has the means and variances computed apart, to their last digit"
    )
    seeds = [r for r in records if r.config["samples"]]
    judge_moments(judge, seeds, part="sample")
    ratio = max(pick(records, "mean", **SOFT, logit=1.0, temperature=t) / truth(1.0, TARGET) for t in CHECKED)
    judge(ratio > 70, f"at logit 1 Gumbel-softmax is up to {ratio:.0f} times the right gradient (needs > 70)")
    slopes = [_slope(records, at, quantity) for at in LOGITS for quantity in ("variance", "bias")]
    judge(
        all(-1.1 <= s <= -0.9 for s in slopes[::2]) and all(s > 0.9 for s in slopes[1::2]),
        f"as λ → 0 its variance grows as λ^({slopes[0]:.2f}, {slopes[2]:.2f}) (needs −1 ± 0.1) and its bias falls as "
        f"λ^({slopes[1]:.2f}, {slopes[3]:.2f}) (needs > 0.9), at logits 0 and 1",
    )
    hard, rao = (values(records, "variance", part="integral", method=m) for m in ("hard", "rao"))
    shares = rao / hard
    judge(
        shares.max() <= 1 + 1e-12,
        f"Gumbel-Rao has {shares.min():.2f} to {shares.max():.2f} times the variance of what it averages (needs <= 1)",
    )
    for target in TARGETS:
        p = pick(records, "p", part="end", method="straight", target=target)
        reached = values(seeds, "p", part="descent", method="straight", target=target)
        loss = p * (1 - target) ** 2 + (1 - p) * target**2
        judge(
            abs(p - target) < 1e-9 and np.abs(reached - target).max() < 0.03,
            f"t = {target:g}: straight-through leads to p = {p:.6f}, cost {loss:.6f} where {target**2:.6f} is least "
            f"(needs p = t); its estimates to {reached.min():.3f} … {reached.max():.3f} (needs t ± 0.03)",
        )
        reached = values(seeds, "p", part="descent", method="score", target=target)
        judge(reached.max() < 0.05, f"t = {target:g}: the score function to p <= {reached.max():.2g} (needs < 0.05)")
    for method in ("soft", "hard"):
        ends = {t: values(records, "p", part="end", method=method, target=t) for t in TARGETS}
        share = np.mean([e.max() < 0.01 for e in ends.values()])
        text = ", ".join(f"{e.min():.3f} … {e.max():.3f} for t = {t:g}" for t, e in ends.items())
        judge.note(f"{NAMES[method]} leads, over λ, to p = {text}; to the corner at every λ for {share:.0%} of them")


def _slope(records: list[Record], logit: float, quantity: str) -> float:
    """The slope of log variance or log |bias| against log λ at the smallest temperatures."""
    t = TEMPERATURES[:3]
    name = "variance" if quantity == "variance" else "mean"
    found = [pick(records, name, **SOFT, logit=logit, temperature=float(x)) for x in t]
    y = np.array(found) if quantity == "variance" else np.abs(np.array(found) - truth(logit, TARGET))
    return float(slopes(t, y))


def figure(records: list[Record], config: Config) -> Path:
    """Draw bias and variance against temperature, and where descent ends, by exact means and by the estimators."""
    seeds = len(records) - 1
    drawing, axes = plots.panels(2, 2, width=5.6, height=4.0)
    with plots.style():
        _draw_trade(axes[0], axes[1], records)
        _draw_exact_ends(axes[2], records)
        _draw_ends(axes[3], records)
        drawing.suptitle(
            "To treat a bit as continuous trades noise for bias, and the bias leads descent to the wrong end\n"
            f"One bit, P(b = 1) = p, cost (b − t)², best p = 0. Lines are exact; dashes and small markers: each of "
            f"{seeds} seeds"
        )
    return plots.save(drawing, config.out / "relaxations.png")


def _draw_trade(bias: Axes, noise: Axes, records: list[Record]) -> None:
    """Draw relative bias and variance at the second logit, where every method has a bias."""
    logit = LOGITS[1]
    right, p, found = truth(logit, TARGET), float(expit(logit)), []
    for method in METHODS:
        how = STYLES[method]
        wanted = {"part": "integral", "method": method, "logit": logit}
        t, mean, variance = (values(records, name, **wanted) for name in ("temperature", "mean", "variance"))
        found.append(np.abs(mean - right) / right)
        if method != "rao":  # its mean is that of "hard"
            bias.loglog(t, found[-1], **look(how, markevery=3))
            both = f"{NAMES[method]},\nGumbel-Rao" if method == "hard" else NAMES[method]
            label_end(bias, t[-1], found[-1][-1], both, how.color)
        noise.loglog(t, variance, **look(how, markevery=3))
        k = 1 if method == "hard" else -1  # where it is apart from the others
        label_end(noise, t[k], variance[k], NAMES[method], how.color, up=6 if method in ("hard", "straight") else 0)
        t, variance = (
            values(records, name, part="sample", method=method, logit=logit) for name in ("temperature", "variance")
        )
        noise.plot(t, variance, "_", color=how.color, markersize=9)
    how = STYLES["score"]
    noise.plot(TEMPERATURES[[0, -1]], [_score_variance(p)] * 2, **line(how))
    label_end(noise, TEMPERATURES[-1], _score_variance(p), "score function", how.color)
    bias.axhline(1, **REFERENCE)
    label_end(bias, TEMPERATURES[0], 1, "as large as the gradient", GREY, up=6)
    least, most = np.min(found), np.max(found)
    bias.set(ylabel="|bias|/|gradient|", title=f"Biased by {least:.0f} to {most:.0f} times the gradient")
    noise.set(ylabel="variance of one sample", title="Less noise than the score function for large λ only")
    for ax in (bias, noise):
        ax.set(xlabel=f"temperature λ; p = {p:.2f}, t = {TARGET}", xlim=(0.04, 120))


def _draw_exact_ends(ax: Axes, records: list[Record]) -> None:
    target = TARGETS[2]
    for method in ("straight", "hard", "soft"):
        how, wanted = STYLES[method], {"part": "end", "method": method, "target": target}
        t, p = (values(records, name, **wanted) for name in ("temperature", "p"))
        ax.semilogx(t, p, **look(how, markevery=3))
        label_end(ax, t[-1], p[-1], NAMES[method], how.color, up={"straight": 5, "hard": -6}.get(method, 0))
    ax.set(xlabel=f"temperature λ; t = {target}", ylabel="p where descent ends; best is 0", xlim=(0.04, 120),
           ylim=(-0.02, 0.55), title="Even without noise, descent ends wrong but for small λ")  # fmt: skip


def _draw_ends(ax: Axes, records: list[Record]) -> None:
    for method, up in {"straight": 11, "hard": 1, "soft": -9, "score": 0}.items():
        how = STYLES[method]
        each = [values(records, "p", part="descent", method=method, target=target) for target in TARGETS]
        for target, p in zip(TARGETS, each, strict=True):
            ax.plot(np.full(len(p), target), p, how.marker, color=how.color, alpha=0.5, markersize=4)
        ax.plot(TARGETS, [p.mean() for p in each], **line(how))
        label_end(ax, TARGETS[-1], each[-1].mean(), NAMES[method], how.color, up=up)
    ax.set(
        xlabel=f"target t of the cost; λ = ½, {SAMPLES} evaluations a step",
        ylabel="p, mean of the last steps; best is 0",
        xlim=(0.18, 0.69),
        ylim=(-0.02, 0.55),
        title="The score function alone arrives whatever t is",
    )
    ax.set_xticks(TARGETS, [f"{t:g}" for t in TARGETS])


def _score_variance(p: float) -> float:
    """Var f(b) (b − p) = p (1 − p) ((1 − p) f₁ + p f₀)²."""
    return p * (1 - p) * ((1 - p) * (1 - TARGET) ** 2 + p * TARGET**2) ** 2


if __name__ == "__main__":
    main(Config, __doc__, jobs_of, run, claims, figure)
