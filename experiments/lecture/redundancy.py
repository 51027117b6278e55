"""Why is stochastic descent faster than batch descent when samples repeat each other, and when is it not?

    R copies of 200 digits, softmax regression, until the mean loss over the 200 is at most 0.35
    batch        every step costs 200 R sample-gradients, and says the same whatever R
    stochastic   every step costs 1

Counted are sample-gradients; looking at the loss is counted apart and not charged to either. Controls: R = 1, where
what is left is the redundancy of digits themselves; labels of which a tenth is wrong, drawn anew for every copy; and
samples in the order of their classes instead of picked at random. Last, where the claim ends: least squares on
diabetes, whose loss stays above zero, to ever closer to the minimum. There a constant step leaves stochastic descent in
a cloud around it, of a size ∝ η, so that it pays about 1/ε where batch pays log 1/ε.

Source: LeCun (2020), NYU Deep Learning, week 2; copies: LeCun, Bottou, Orr & Müller (1998), "Efficient BackProp",
section 4.1; the law in ε: Bottou, Curtis & Nocedal (2018), "Optimization methods for large-scale machine learning",
section 3.3. Here every sample is picked with replacement, and both have their best constant step.

    python experiments/lecture/redundancy.py           a minute on 2 cores; results/redundancy holds every number
    python experiments/lecture/redundancy.py --tune    the trials behind BEST, on seeds of their own
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from experiments.common import data
from experiments.common.acceptance import Within, row
from experiments.common.claims import judge_row
from experiments.common.data import Data
from experiments.common.drawing import GREY, REFERENCE, label_end, look
from experiments.common.frame import Judge, main, slopes, values
from experiments.lecture.draws import least_squares, with_ones
from experiments.lecture.trials import Trials, Tunable

import numpy as np
import torch
from matplotlib.axes import Axes

from rllab import Key, plots
from rllab import backprop as bp
from rllab.runs import Job, Record

SAMPLES, LOSS, WRONG_LABELS = 200, 0.35, 0.1
COPIES, SORTED_COPIES = (1, 2, 5, 10, 30, 100), (1, 3, 10)
METHODS = ("batch", "stochastic")
TRIALS = {"batch": (1.0, 2.0, 4.0, 6.0, 8.0, 12.0, 24.0), "stochastic": (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0),
          "sorted": (0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 1.0)}  # fmt: skip
# Least median of the sample-gradients at R = 1 among TRIALS, seeds TUNING_SEEDS; none is at the edge of its grid.
BEST = {"batch": 4.0, "stochastic": 0.5, "sorted": 0.1}
TUNING_SEEDS = range(100, 110)
MOST = {"batch": 400, "stochastic": 20_000, "sorted": 20_000}  # steps after which a run counts as not arrived
COLUMNS = (2, 3, 8)  # of diabetes: body mass index, blood pressure, s5; their Hessian's condition is 3.3
CLOSE = (0.1, 0.01, 1e-3, 1e-4, 1e-5, 1e-6)  # ε, excess loss over that at the start
CLOSE_ETAS = {"batch": (0.1, 0.2, 0.3, 0.4, 0.5), "stochastic": (0.1, 0.03, 0.01, 0.003, 0.001)}
CLOSE_BUDGET = 8000
PROPORTIONAL: dict[str, Any] = {"color": GREY, "linewidth": 0.9, "linestyle": plots.DOTTED}
STYLES = {
    "batch": plots.MethodStyle(plots.BLACK, plots.SOLID, "s"),
    "stochastic": plots.MethodStyle(plots.VERMILLION, plots.DASHED, "o"),
    "sorted": plots.MethodStyle(plots.ORANGE, plots.DOTTED, "^"),
    "mini-batch": plots.MethodStyle(plots.BLUE, plots.DASHDOT, "D"),
}


@dataclass(frozen=True)
class Config(Tunable):
    most_copies: int = 100
    """Copies of the samples, at most."""
    quick: ClassVar[dict[str, Any]] = {"seeds": 2, "most_copies": 10}

    @property
    def copies(self) -> list[int]:
        return [r for r in COPIES if r <= self.most_copies]

    @property
    def sorted_copies(self) -> list[int]:
        return [r for r in SORTED_COPIES if 10 * r <= self.most_copies]

    @property
    def wrong_labels(self) -> list[float]:
        return [0.0] if self.fast else [0.0, WRONG_LABELS]

    @property
    def close_etas(self) -> dict[str, tuple[float, ...]]:
        return {method: etas[3:4] if self.fast else etas for method, etas in CLOSE_ETAS.items()}


def jobs_of(config: Config) -> Iterator[Job]:
    for seed in TUNING_SEEDS if config.tune else config.all_seeds:
        kind = "trials" if config.tune else "redundancy"
        plan = {"kind": kind, "copies": config.copies, "sorted": config.sorted_copies, "close": config.close_etas}
        plan["wrong"] = config.wrong_labels
        yield Job(f"{kind}-{seed}", plan, seed)


def run(job: Job, record: Record) -> None:
    if job.config["kind"] == "trials":
        GRID.run(job, record)
        return
    for r in job.config["copies"]:
        for method in METHODS:
            for noise in job.config["wrong"]:
                count = until_learned(method, r, job.seed, noise=noise)
                record.append({"part": "copies", "method": method, "copies": r, "noise": noise, "count": count})
    for r in job.config["sorted"]:
        record.append({"part": "sorted", "copies": r, "count": until_learned("sorted", r, job.seed)})
    for method, etas in job.config["close"].items():
        for eta in etas:
            for epsilon, count in until_close(method, eta, job.seed).items():
                record.append({"part": "close", "method": method, "eta": eta, "epsilon": epsilon, "count": count})


def until_learned(
    method: str, copies: int, seed: int, *, eta: float | None = None, noise: float = 0.0, count_steps: bool = False
) -> float:
    """Return the sample-gradients until the loss over the distinct samples is at most LOSS; infinite if it never is."""
    key = Key(seed)
    distinct = data.digits().draw(SAMPLES, key)
    if method == "sorted":
        distinct = distinct.take(distinct.y.argsort(stable=True))
        samples = Data(distinct.x.repeat_interleave(copies, 0), distinct.y.repeat_interleave(copies))
    else:
        samples = Data(distinct.x.repeat(copies, 1), distinct.y.repeat(copies))
        samples = samples.draw(len(samples), key.child("copies", copies))
    samples = mislabelled(samples, noise, key.child("noise", copies))
    batch = method == "batch"
    trace = bp.fit(
        bp.mlp((64, 10), key=key.child("weights"), dtype=torch.float64),
        samples.x,
        samples.y,
        batch=None if batch else 1,
        eta=BEST[method] if eta is None else eta,
        order="sequential" if method == "sorted" else "independent",
        sample_gradients=MOST[method] * (len(samples) if batch else 1),
        look=1 if batch else 10,
        on=(distinct.x, distinct.y),
        stop=LOSS,
        key=key,
    )
    reached = trace.reached(LOSS)
    return math.inf if reached is None else trace.steps if count_steps else reached


def score(method: str, eta: float, job: Job) -> float:
    return until_learned(method, 1, job.seed, eta=eta)


GRID = Trials(TRIALS, BEST, score, f"sample-gradients to loss {LOSS}")


def mislabelled(samples: Data, rate: float, key: Key) -> Data:
    """Return the samples with so large a part of the labels, on average, replaced by one of the others."""
    generator = key.generator()
    hit = torch.rand(len(samples), generator=generator) < rate
    other = (samples.y + torch.randint(1, 10, (len(samples),), generator=generator)) % 10
    return Data(samples.x, torch.where(hit, other, samples.y))


def until_close(method: str, eta: float, seed: int) -> dict[float, float]:
    """Return the sample-gradients until the excess loss is at most ε times that at the start, for each ε in CLOSE."""
    whole = data.diabetes()
    samples = Data(whole.x[:, COLUMNS], whole.y).standardised()
    left = with_ones(samples.x) @ least_squares(samples.x, samples.y) - samples.y
    least = left.square().mean().item()
    graph = bp.mlp((len(COLUMNS), 1), "squared_distance", key=Key(seed).child("weights"), dtype=torch.float64)
    batch = None if method == "batch" else 1
    counted: dict[str, Any] = {"sample_gradients": CLOSE_BUDGET, "look": 10}
    trace = bp.fit(graph, samples.x, samples.y, batch=batch, eta=eta, key=seed, **counted)
    start = trace.losses[0] - least
    reached = {epsilon: trace.reached(least + epsilon * start) for epsilon in CLOSE}
    return {epsilon: math.inf if n is None else n for epsilon, n in reached.items()}


def counts(records: list[Record], method: str, copies: int, noise: float = 0.0) -> np.ndarray:
    """Return the sample-gradients of each seed."""
    return values(records, "count", part="copies", method=method, copies=copies, noise=noise)


def gains(records: list[Record], config: Config, noise: float = 0.0) -> np.ndarray:
    """Return batch over stochastic, (seeds, copies)."""
    pairs = [[counts(records, m, r, noise) for m in METHODS] for r in config.copies]
    return np.stack([a / b for a, b in pairs], 1)


def close(records: list[Record], config: Config, method: str, epsilon: float) -> tuple[np.ndarray, float]:
    """Return each seed's sample-gradients at the η whose median is least, a choice that flatters either, and this η."""
    etas = config.close_etas[method]
    each = {eta: values(records, "count", part="close", method=method, eta=eta, epsilon=epsilon) for eta in etas}
    best = min(etas, key=lambda eta: np.median(each[eta]))
    return each[best], best


def claims(records: list[Record], config: Config, judge: Judge) -> None:
    if config.tune:
        GRID.claims(records, judge)
        return
    r = np.array(config.copies)
    for noise in config.wrong_labels:
        gain, labels = gains(records, config, noise), f"{noise:.0%} of the labels wrong" if noise else "clean labels"
        judge.note(f"{labels}:")
        judge_row(judge, gain_of_copies, slopes(r, gain))
        spent = np.stack([counts(records, "stochastic", n, noise) for n in r], 1)
        judge_row(judge, stochastic_and_copies, slopes(r, spent))
    gain = gains(records, config)
    judge(
        (gain[:, -1] >= r[-1]).all(),
        f"R = {r[-1]}: batch costs {np.median(gain[:, -1]):,.0f} times as much, at least {gain[:, -1].min():,.0f} "
        f"(needs >= {r[-1]}, all seeds)",
    )
    judge.note(f"of which {np.median(gain[:, 0]):.1f} times at R = 1, where no sample stands twice")
    shuffled, in_order = counts(records, "stochastic", 1), values(records, "count", part="sorted", copies=1)
    judge(
        (in_order >= 3 * shuffled).all(),
        f"in the order of the classes, R = 1: {np.median(in_order / shuffled):.1f} times the sample-gradients, at "
        f"least {(in_order / shuffled).min():.1f} (needs >= 3, all seeds)",
    )
    (loose, _), (loose_batch, _) = (close(records, config, method, CLOSE[0]) for method in ("stochastic", "batch"))
    judge(
        (loose < loose_batch).all(),
        f"diabetes, ε = {CLOSE[0]:g}: stochastic {np.median(loose):,.0f}, batch {np.median(loose_batch):,.0f} "
        "(stochastic less, all seeds)",
    )
    (tight, _), (tight_batch, best) = (close(records, config, method, CLOSE[-1]) for method in ("stochastic", "batch"))
    judge(
        (tight_batch < tight).all() and np.isfinite(tight_batch).all(),
        f"diabetes, ε = {CLOSE[-1]:g}: batch {np.median(tight_batch):,.0f} (η = {best:g}); stochastic, any constant η, "
        f"arrived in {np.isfinite(tight).sum()} of {len(tight)} seeds within {CLOSE_BUDGET:,} (batch less, all seeds)",
    )


def figure(records: list[Record], config: Config) -> Path:
    """Draw the price against the copies, the gain, and the price of coming closer; or the trials."""
    if config.tune:
        return GRID.figure(records, config.out / "redundancy-trials.png")
    drawing, axes = plots.panels(3, width=4.0, height=4.6)
    r = config.copies
    with plots.style():
        for method in METHODS:
            label = "stochastic,\nrandom picks" if method == "stochastic" else method
            draw(axes[0], r, np.stack([counts(records, method, n) for n in r]), method, label)
        each = np.stack([values(records, "count", part="sorted", copies=n) for n in config.sorted_copies])
        draw(axes[0], config.sorted_copies, each, "sorted", "", MOST["sorted"])
        text = "stochastic, class by class\n(hollow: most seeds did not arrive)"
        label_end(axes[0], config.sorted_copies[-1], 2000, text, STYLES["sorted"].color)  # between two lines
        axes[0].set(xlabel="copies R of 200 digits", ylabel=f"sample-gradients to loss {LOSS}")
        axes[0].set(title="Batch pays for every copy,\nstochastic for none")
        for noise in config.wrong_labels:
            method, label = ("mini-batch", "a tenth wrong") if noise else ("batch", "clean labels")
            gain = gains(records, config, noise).T
            draw(axes[1], r, gain, method, label, up=8 if noise else -8)
            axes[1].plot(r, np.median(gain[0]) * np.array(r), **PROPORTIONAL)
        axes[1].annotate("dotted: gain at R = 1, times R", (0.03, 0.95), xycoords="axes fraction", fontsize=8)
        axes[1].set(xlabel="copies R of 200 digits", ylabel="batch/stochastic sample-gradients")
        axes[1].set(title="so the gain is that\nat one copy, times R")
        for method in METHODS:
            each = np.stack([close(records, config, method, epsilon)[0] for epsilon in CLOSE])
            draw(axes[2], CLOSE, each, method, method, CLOSE_BUDGET, up=-10)
        axes[2].axhline(CLOSE_BUDGET, **REFERENCE)
        axes[2].text(CLOSE[0], CLOSE_BUDGET, "not arrived", va="bottom", fontsize=8)
        axes[2].set(xlabel="ε: excess loss/excess loss at the start,\nbest η for each", ylabel="sample-gradients to ε")
        axes[2].set(title="No copies, diabetes:\nnear the minimum batch wins")
        for ax in axes[:2]:
            ax.set_xlim(0.8, 6 * r[-1])  # with room for the names
        axes[2].set_xlim(2 * CLOSE[0], CLOSE[-1] / 60)
        drawing.suptitle(
            "Samples that repeat each other cost batch descent, not stochastic descent, which loses near the minimum\n"
            f"Lines: medians of {len(records)} seeds; bands: their ranges"
        )
    return plots.save(drawing, config.out / "redundancy.png")


def draw(
    ax: Axes, x: object, each: np.ndarray, method: str, label: str, censored: float = math.nan, up: float = 0
) -> None:
    """Draw median and range over seeds of (x, seeds); where most seeds did not arrive, a hollow mark at the limit."""
    x, middle, how = np.asarray(x, float), np.median(each, 1), STYLES[method]
    arrived = np.isfinite(middle)
    low, high = each.min(1), np.where(np.isfinite(each.max(1)), each.max(1), censored)
    ax.fill_between(x[arrived], low[arrived], high[arrived], color=how.color, alpha=0.2, lw=0)
    ax.loglog(x[arrived], middle[arrived], **look(how))
    label_end(ax, x[arrived][-1], middle[arrived][-1], label, how.color, up=up)
    ax.plot(x[~arrived], np.full((~arrived).sum(), censored), how.marker, color=how.color, markerfacecolor="none")


def spent(seed: int, fast: bool, method: str, count_steps: bool = False) -> tuple[tuple[int, ...], np.ndarray]:
    """Return numbers of copies, and the sample-gradients, or steps, that they take."""
    copies = (1, 10, 100) if fast else COPIES
    return copies, np.array([until_learned(method, r, seed, count_steps=count_steps) for r in copies])


@row("L49", Within(0.9, 1.1), wrong={"steps counted instead": {"count_steps": True}}, seeds="median")
def gain_of_copies(seed: int, fast: bool, count_steps: bool = False) -> float:
    """With redundant samples stochastic descent is much faster than batch: the more copies, the more so.

    Measures: log-log slope of batch/stochastic sample-gradients in the number of copies.
    """
    (copies, batch), (_, stochastic) = (spent(seed, fast, method, count_steps) for method in METHODS)
    return float(slopes(copies, batch / stochastic))


@row("L49", Within(-0.1, 0.1), wrong={"batch": {"method": "batch"}}, seeds="median")
def stochastic_and_copies(seed: int, fast: bool, method: str = "stochastic") -> float:
    """Stochastic descent does not notice copies.

    Measures: log-log slope of its sample-gradients in the number of copies.
    """
    copies, counted = spent(seed, fast, method)
    return -float(slopes(copies, 1 / counted))


@row("T1", Within(60, 170), wrong={"no copies": {"copies": 1}, "ten": {"copies": 10}}, seeds="median", fresh=30)
def gain_of_a_hundred_copies(seed: int, fast: bool, copies: int = 100) -> float:
    """With every sample there 100 times, stochastic descent is 100 times cheaper than with each there once.

    Measures: batch/stochastic sample-gradients at 100 copies over the same at one.
    Note: 100 by theory, as a batch step costs 100 times as much and a stochastic one the same. A count of stochastic
        steps scatters by a quarter, the median of ten ratios by e^0.14: allowed is four times that. At least 100 was
        asked at first of the gain alone, about 1,000: digits resemble each other, so it is ten at a single copy.
    """

    def gain(copies: int) -> float:
        return until_learned("batch", copies, seed) / until_learned("stochastic", copies, seed)

    return gain(copies) / gain(1)


if __name__ == "__main__":
    main(Config, __doc__, jobs_of, run, claims, figure)
