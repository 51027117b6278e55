"""Bits: which gradient is best where all spend the same number of evaluations?

Six estimators of the gradient of E f(b), b independent bits, none of which needs f between the bits:

    REINFORCE        the score function without a baseline       leave-one-out    with the mean of the others
    ARM, DisARM      antithetic pairs, 2 evaluations each        measure-valued   f(b_i = 1) − f(b_i = 0), 2 a bit
    sum and sample   the most probable outcomes exactly, then one or more of the rest

    one bit        f = (b − t)², t = 0.499 or 0.45, 2 evaluations: gradient (1 − 2t) p(1 − p), best at p = 0
    three bits     f = Σ (b_i − t_i)², t = (0.6, 0.51, 0.48), one logit for all three, 6 evaluations

With 2 evaluations of one bit everything is known, and measure-valued and sum-and-sample know it; so does measure-valued
with 6 of three bits, whose costs add up. Variances are closed
forms or sums over everything that can be drawn; samples check that the estimators have them. Then descent by Adam.

Sources: Grathwohl, Choi, Wu, Roeder & Duvenaud (2018), "Backpropagation through the void" (one bit); Dong, Mnih &
Tucker (2020), "DisARM"; Kool, van Hoof & Welling (2020), "Estimating gradients for discrete random variables by
sampling without replacement" (three bits).

    python experiments/score_function/discrete_toys.py    a minute
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from experiments.common.claims import judge_moments, judge_printed
from experiments.common.drawing import band, label_end, look, shared_legend
from experiments.common.estimates import only
from experiments.common.frame import Flags, Judge, by_seed, main, one_a_seed, values

import numpy as np
import torch
from matplotlib.axes import Axes
from scipy.special import expit

from rllab import Bernoulli, Cost, Key, plots
from rllab import estimators as est
from rllab.problems import BooleanQuadratic
from rllab.runs import Job, Record

ONE = {"0.499": BooleanQuadratic(0.499), "0.45": BooleanQuadratic(0.45)}
THREE = BooleanQuadratic((0.6, 0.51, 0.48), dimension=3)
PROBABILITIES = np.linspace(0.02, 0.98, 25)
LOGITS = (0.0, -4.0)  # of three bits
ESTIMATORS: dict[str, est.Estimator] = {
    "reinforce": est.ScoreFunction(baseline=None),
    "leave-one-out": est.ScoreFunction(),
    "arm": est.ARM(),
    "disarm": est.DisARM(),
    "measure-valued": est.MeasureValued(),
    "sum and sample": est.SumAndSample(),
}
# One bit with t = 0.499, two evaluations (REINFORCE: one), computed apart. ARM at p = 0.1 is also found as 1.305e-7;
# its closed form, and an integral over u, give 1.3027e-7.
TABLE = {
    0.5: {"reinforce": ".015625", "leave-one-out": "2.5e-7", "arm": "8.33e-8"},
    0.3: {"reinforce": ".01317", "leave-one-out": "2.436e-7", "arm": "1.356e-7", "disarm": "1.176e-7"},
    0.1: {"reinforce": ".00566", "leave-one-out": "1.476e-7", "arm": "1.303e-7", "disarm": "1.296e-7"},
}
# Three bits, one evaluation: gradient, and variance of REINFORCE
KOOL = {0.0: ("-.045", ".43842"), -4.0: ("-.0031793", ".033557")}
NAMES = {"reinforce": "REINFORCE", "arm": "ARM", "disarm": "DisARM"}
STYLES = {
    "reinforce": plots.METHODS["reinforce"],
    "leave-one-out": plots.MethodStyle(plots.SKY, plots.DOTTED, "v"),
    "arm": plots.MethodStyle(plots.PURPLE, plots.DOTTED, "D"),
    "disarm": plots.MethodStyle(plots.BLUE, plots.SOLID, "o"),
    "measure-valued": plots.MethodStyle(plots.GREEN, plots.DASHDOT, "P"),
    "sum and sample": plots.MethodStyle(plots.BLACK, plots.DASHED, "X"),
}
WAY = 10.0  # steps times rate of the descent


@dataclass(frozen=True)
class Config(Flags):
    steps: int = 1000
    """Steps of descent, two evaluations each, the longer the fewer they are."""
    samples: int = 20_000
    """Estimates of each kind and seed, to check the variances with."""
    quick: ClassVar[dict[str, Any]] = {"seeds": 1, "samples": 5000, "steps": 500}


def run(job: Job, record: Record) -> None:
    key = Key(job.seed)
    for row in sampled(job.config["samples"], key.child("samples")):
        record.append({"part": "sample", **row})
    for target, problem in ONE.items():
        for method, estimator in ESTIMATORS.items():
            path = descent(problem.cost(), estimator, job.config["steps"], key.child(target, method))
            for row in path:
                record.append({"part": "descent", "target": target, "method": method, **row})


def one_bit(method: str, p: float, target: float) -> float:
    """Return the exact variance of an estimate by the logit from 2 evaluations of one bit."""
    f0, f1, q = target**2, (1 - target) ** 2, 1 - p
    delta, least = f1 - f0, min(p, q)
    return {
        "reinforce": p * q * (q * f1 + p * f0) ** 2 / 2,
        "leave-one-out": delta**2 * p * q * (0.5 - p * q),
        # (u − ½)² where the two bits differ, minus the squared gradient
        "arm": delta**2 * (0.25 - 2 * (0.5 - least) ** 3) / 3 - (p * q * delta) ** 2,
        "disarm": delta**2 * (1 - least) ** 2 * least * (0.5 - least),
        "measure-valued": 0.0,
        "sum and sample": 0.0,
    }[method]


def three_bits(method: str, logit: float) -> tuple[float, float]:
    """Return exact mean and variance by the shared logit of an estimate from 6 evaluations, summed over all draws."""
    at = Bernoulli(torch.full((3,), logit, dtype=torch.float64))
    x, log_p = at.support()
    w, f, s = log_p.exp().numpy(), THREE.value(x).numpy(), at.scores(x, None)["logits"].sum(-1).numpy()
    mean = float(w @ (f * s))
    if method in ("reinforce", "leave-one-out"):
        k = 6
        if method == "reinforce":
            return mean, float(w @ (f * s) ** 2 - mean**2) / k
        # ĝ averages h(x, y) = ½ (f(x) − f(y)) (s(x) − s(y)) over all pairs; Hoeffding (1948), eq. 5.13
        h = 0.5 * (f[:, None] - f) * (s[:, None] - s)
        first, second = w @ (h @ w) ** 2 - mean**2, w @ (h**2 @ w) - mean**2
        return mean, float(4 * (k - 2) * first + 2 * second) / (k * (k - 1))
    if method == "measure-valued":
        # Σ_i σ(l) σ(−l) (f(x with b_i = 1) − f(x with b_i = 0)), all i of the same x
        g = sum(_with_bit(x, i, 1.0) - _with_bit(x, i, 0.0) for i in range(3)) * expit(logit) * expit(-logit)
        return float(w @ g), float(w @ (g - w @ g) ** 2)
    if method == "sum and sample":
        # one outcome exactly, five of the rest: variance of the rest's contribution, squared share of the rest
        top = w.argmax()
        rest = np.arange(len(w)) != top
        left = 1 - w[top]
        r, g = w[rest] / left, left * (f[rest] - f[top]) * s[rest]
        return float(r @ g), float(r @ (g - r @ g) ** 2) / 5
    return _pairs(method, logit)


def _with_bit(x: torch.Tensor, i: int, bit: float) -> np.ndarray:
    x = x.clone()
    x[:, i] = bit
    return THREE.value(x).numpy()


def _pairs(method: str, logit: float) -> tuple[float, float]:
    """Sum over what the antithetic pair can be, bit by bit: u below, between or above 1 − max(p, q) and max(p, q)."""
    p = float(expit(logit))
    low, high = min(p, 1 - p), max(p, 1 - p)
    same = 1.0 if p > 0.5 else 0.0
    # the bits b and b̃, probability, and mean and variance of u − ½ there
    parts = [(0.0, 1.0, low, (low - 1) / 2, low**2 / 12), (same, same, high - low, 0.0, (high - low) ** 2 / 12),
             (1.0, 0.0, low, (1 - low) / 2, low**2 / 12)]  # fmt: skip
    mean = square = 0.0
    for i in np.ndindex(3, 3, 3):
        b, other, mass, middle, spread = zip(*(parts[j] for j in i), strict=True)
        f = THREE.value(torch.tensor([b, other], dtype=torch.float64))
        difference, weight = (f[0] - f[1]).item(), math.prod(mass)
        g = difference * sum(middle)
        mean += weight * g
        square += weight * (g**2 + (difference**2 * sum(spread) if method == "arm" else 0.0))
    return mean, (square - mean**2) / 3  # three pairs


def sampled(n: int, key: Key) -> Iterator[dict[str, Any]]:
    """Draw n estimates of each kind at once, as a batch; yield exact and measured variances."""
    for p in (0.5, 0.3, 0.1):
        at = Bernoulli(torch.full((n, 1), math.log(p / (1 - p)), dtype=torch.float64))
        exact = {m: ((1 - 2 * 0.499) * p * (1 - p), one_bit(m, p, 0.499)) for m in ESTIMATORS}
        yield from _compare(ONE["0.499"].cost(), at, 2, exact, {"bits": 1, "at": p}, key.child(repr(p)))
    for logit in LOGITS:
        at = Bernoulli(torch.full((n, 3), logit, dtype=torch.float64))
        exact = {m: three_bits(m, logit) for m in ESTIMATORS}
        yield from _compare(THREE.cost(), at, 6, exact, {"bits": 3, "at": logit}, key.child("three", repr(logit)))


def _compare(
    cost: Cost, at: Bernoulli, evaluations: int, exact: dict[str, tuple[float, float]], where: dict[str, Any], key: Key
) -> Iterator[dict[str, Any]]:
    for method, estimator in ESTIMATORS.items():
        e = estimator(cost, at, evaluations=evaluations, key=key.child(method), errors=False)
        assert e.evaluations == evaluations
        g, (mean, variance) = only(e.gradient).sum(-1), exact[method]
        # squares about the exact mean vary by (fourth moment − Var²)/n: not at all where all are the same, as those of
        # leave-one-out at p = ½, of which the sample variance is χ² and has no normal law
        n, square = len(g), (g - mean) ** 2
        spread = (square.square().mean().item() - variance**2) / n
        yield {
            **where, "method": method, "mean": mean, "variance": variance, "measured": g.var().item(),
            "off": _in_errors(g.mean().item() - mean, variance / n, mean),
            "off_variance": _in_errors(square.mean().item() - variance, spread, mean**2),
        }  # fmt: skip


def _in_errors(off: float, square: float, scale: float) -> float:
    """Return `off` in standard errors, of which rounding is the least."""
    return off / math.sqrt(max(square, 0.0) + (1e-12 * scale) ** 2)


def descent(cost: Cost, estimator: est.Estimator, steps: int, key: Key) -> Iterator[dict[str, Any]]:
    logits = torch.zeros(1, dtype=torch.float64)
    optimizer = torch.optim.Adam([logits], lr=WAY / steps)
    for step in range(steps + 1):
        if step % 50 == 0:
            yield {"evaluations": cost.spent["value"], "p": logits.sigmoid().item()}
        e = estimator(cost, Bernoulli(logits), evaluations=2, key=key.child(step), errors=False)
        logits.grad = only(e.gradient)
        optimizer.step()


def printed() -> Iterator[tuple[str, float, str]]:
    """Yield all numbers of TABLE and KOOL: where they stand, as computed here, and as printed."""
    for p, row in TABLE.items():
        for method, text in row.items():
            yield f"p = {p} {method}", one_bit(method, p, 0.499) * (2 if method == "reinforce" else 1), text
    for logit, (mean, variance) in KOOL.items():
        found = three_bits("reinforce", logit)
        yield f"three bits, logit {logit}", found[0], mean
        yield f"three bits, logit {logit}", 6 * found[1], variance


def claims(records: list[Record], config: Config, judge: Judge) -> None:
    says = "variances, and the gradient of three bits, are those computed apart, to their last digit"
    judge_printed(judge, printed(), says)
    judge_moments(judge, records, part="sample")
    ratios = [one_bit("reinforce", p, 0.499) / one_bit("leave-one-out", p, 0.499) for p in PROBABILITIES]
    # of mean²/2δ²(½ − pq) the mean is at least f(0), the least cost, and ½ − pq at most ½
    least = (0.499**2 / (1 - 2 * 0.499)) ** 2
    judge(min(ratios) >= least, f"one bit: leaving one out divides the variance by {min(ratios):,.0f} at least, "
          f"of {len(PROBABILITIES)} p from {PROBABILITIES[0]:g} to {PROBABILITIES[-1]:g} "
          f"(needs >= {least:,.0f}, the square of least cost over difference)")  # fmt: skip
    order = [max(one_bit(a, p, 0.499) / one_bit(b, p, 0.499) for p in PROBABILITIES)
             for a, b in (("disarm", "arm"), ("arm", "leave-one-out"))]  # fmt: skip
    judge(max(order) <= 1, f"one bit: DisARM has at most {order[0]:.2f} of ARM's variance, ARM {order[1]:.2f} of "
          "leave-one-out's (needs <= 1)")  # fmt: skip
    for logit in LOGITS:
        found = {m: three_bits(m, logit)[1] for m in ESTIMATORS}
        worst, text = (
            max(found, key=found.__getitem__),
            ", ".join(f"{NAMES.get(m, m)} {v:.3g}" for m, v in found.items()),
        )
        judge(
            worst == "reinforce",
            f"three bits, logit {logit:g}, 6 evaluations: {text} (needs REINFORCE to be worst)",
        )
    for target in ONE:
        ends = {m: by_seed(records, "p", part="descent", target=target, method=m)[:, -1] for m in ESTIMATORS}
        for method, end in ends.items():
            if method == "reinforce":
                judge.note(f"t = {target}: REINFORCE ends at p = {end.min():.3f} … {end.max():.3f}")
            else:
                judge(end.max() < 0.05, f"t = {target}: {NAMES.get(method, method)} ends at p <= {end.max():.2g} in "
                      f"{len(end)} seeds (needs < 0.05)")  # fmt: skip
        middle = {m: float(np.median(end)) for m, end in ends.items()}
        judge(
            middle["reinforce"] > 2 * max(v for m, v in middle.items() if m != "reinforce"),
            f"t = {target}: REINFORCE is behind all of them, median p = {middle['reinforce']:.3f} (needs twice theirs)",
        )
    runs = [(r, m, t) for r in records for m in ESTIMATORS for t in ONE]
    spent = [values([r], "evaluations", part="descent", method=m, target=t) for r, m, t in runs]
    judge(all((s == spent[0]).all() for s in spent), f"all spent {spent[0][-1]:,.0f} evaluations (needs equality)")


ZERO_ONE, ZERO_THREE = 1e-9, 1e-8  # where an axis of decades has a variance of 0


def figure(records: list[Record], config: Config) -> Path:
    """Draw exact variances of one bit and of three, and descent on both one-bit toys."""
    drawing, axes = plots.panels(2, 2, width=5.8, height=3.9)
    with plots.style():
        _draw_one_bit(axes[0])
        _draw_three_bits(axes[1], records)
        for ax, target in zip(axes[2:], ONE, strict=True):
            for method, how in STYLES.items():
                paths = by_seed(records, "p", part="descent", target=target, method=method)
                x = values(records[:1], "evaluations", part="descent", target=target, method=method)
                band(ax, x, paths, how, markevery=4, label=NAMES.get(method, method))
            ax.set(xlabel=plots.AXES["evaluations"], ylabel="p; best is 0", ylim=(-0.02, 0.6))
        axes[2].set_title("t = 0.499: REINFORCE stays at p = ½, all others arrive")
        axes[3].set_title("t = 0.45: REINFORCE arrives last")
        shared_legend(drawing, axes[2], 6)
        drawing.suptitle(
            "Bits at equal evaluations: any baseline, pair or exact sum is far better than REINFORCE\n"
            f"Variances are exact, black dashes measured; descents: medians and ranges of {len(records)} seeds"
        )
    return plots.save(drawing, config.out / "discrete_toys.png")


def _draw_one_bit(ax: Axes) -> None:
    for method, how in STYLES.items():
        y = np.array([one_bit(method, p, 0.499) for p in PROBABILITIES])
        ax.semilogy(PROBABILITIES, np.where(y > ZERO_ONE, y, ZERO_ONE), **look(how, markevery=4))
    both = ", ".join(method for method in STYLES if all(one_bit(method, p, 0.499) == 0 for p in PROBABILITIES))
    label_end(ax, PROBABILITIES[14], ZERO_ONE, f"{both}: 0", STYLES["measure-valued"].color, up=8)
    _show_zero(ax, ZERO_ONE, 1e-1)
    gain = min(one_bit("reinforce", p, 0.499) / one_bit("leave-one-out", p, 0.499) for p in PROBABILITIES)
    ax.set(xlabel="p, probability of a 1", ylabel="variance, 2 evaluations",
           title=f"One bit, t = 0.499: leaving one out divides by {gain:,.0f}")  # fmt: skip


def _draw_three_bits(ax: Axes, records: list[Record]) -> None:
    for i, (method, how) in enumerate(STYLES.items()):
        for j, logit in enumerate(LOGITS):
            x, exact = i + 0.25 * (j - 0.5), three_bits(method, logit)[1]
            ax.semilogy(x, max(exact, ZERO_THREE), color=how.color, marker=how.marker, linestyle="",
                        fillstyle="none" if j else "full", markersize=8)  # fmt: skip
            measured = values(records, "measured", part="sample", bits=3, at=logit, method=method)
            ax.plot(np.full(len(measured), x), np.maximum(measured, ZERO_THREE), "_", color="#000000", markersize=9)
    _show_zero(ax, ZERO_THREE, 1.0)
    ax.set_xticks(range(len(STYLES)), [NAMES.get(m, m).replace(" ", "\n", 1) for m in STYLES], fontsize=8)
    ax.set(ylabel="variance, 6 evaluations", title="Three bits: REINFORCE is last; logit 0 (full), −4 (hollow)")


def _show_zero(ax: Axes, zero: float, highest: float) -> None:
    """Mark where 0 is drawn on an axis of decades, apart from the others by a line."""
    ticks = [10.0**i for i in range(round(math.log10(zero)) + 2, round(math.log10(highest)) + 1, 2)]
    ax.set_ylim(zero / 3, highest)
    ax.set_yticks([zero, *ticks], ["0", *(f"$10^{{{round(math.log10(t))}}}$" for t in ticks)])
    ax.minorticks_off()
    ax.axhline(zero * 5, color="#000000", linewidth=0.8)


if __name__ == "__main__":
    main(Config, __doc__, one_a_seed, run, claims, figure)
