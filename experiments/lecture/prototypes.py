"""Can a model be trained whose answer has no gradient: the number of the nearest prototype?

    ȳ = argmin_k ‖x − w_k‖²          C = 1 if ȳ ≠ y, else 0          ten prototypes w_k of handwritten digits, d = 640

The share of wrong answers is flat almost everywhere. Two ways to learn the prototypes all the same, by one loop and one
optimiser, every evaluation on all training images counted:

    values only    Gaussian smoothing of the share of errors itself: E C(w + σu), in pairs w ± σu
    relaxed        softmin for argmin, p_k ∝ e^(−β ‖x − w_k‖²), its log-loss by backpropagation: another cost

The mean image of each class, which nobody has to search for, is the reference; the first image of each is the start.
Step sizes and σ were chosen on seeds 100 to 107.

    python experiments/lecture/prototypes.py    half a minute on 2 cores
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

from experiments.common.acceptance import AtLeast, least, row
from experiments.common.claims import judge_row
from experiments.common.data import Data, digits
from experiments.common.drawing import GREY, every_seed, label_end, look
from experiments.common.frame import Flags, Judge, by_seed, main, one_a_seed, values

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from rllab import Cost, Key, minimize, plots
from rllab import backprop as bp
from rllab import estimators as est
from rllab.estimators.base import Estimator
from rllab.runs import Job, Record

CLASSES, PIXELS, TESTS = 10, 64, 597
SIGMA, EVALUATIONS, RATE = 0.1, 40, 0.03  # of the smoothing, of a step of it, of Adam
BETA, SOFT_RATE = 1.0, 0.01  # of the softmin, of Adam
GAIN = 0.20  # of accuracy over the start that is asked for
LOOKS = 40  # places of a descent at which test images are asked
METHODS = {"values only": plots.METHODS["gaussian"], "relaxed": plots.METHODS["backprop"]}


@dataclass(frozen=True)
class Config(Flags):
    budget: int = 20_000
    """Evaluations of the share of errors."""
    gradients: int = 300
    """Evaluations of the relaxed cost, each with its gradient."""
    quick: ClassVar[dict[str, Any]] = {"budget": 6000, "gradients": 100}


def closeness(points: Tensor, x: Tensor) -> Tensor:
    """Return ‖x‖² − ‖x − w_k‖² of points (m, 640), for images (n, 64): (n, m, CLASSES)."""
    w = points.view(-1, CLASSES, PIXELS)
    return 2 * (x @ w.reshape(-1, PIXELS).t()).view(len(x), len(w), CLASSES) - w.square().sum(-1)


def errors(data: Data) -> Callable[[Tensor], Tensor]:
    """Return the share of images whose nearest prototype is another class's, as a function of points (m, 640)."""
    return lambda points: (closeness(points, data.x).argmax(-1) != data.y[:, None]).double().mean(0)


def relaxed(data: Data) -> Callable[[Tensor], Tensor]:
    """Return the log-loss of softmin, mean over images, as a function of points (m, 640)."""

    def loss(points: Tensor) -> Tensor:
        log_p = torch.log_softmax(BETA * closeness(points, data.x), -1)
        return -log_p.gather(-1, data.y[:, None, None].expand(-1, len(points), 1)).mean((0, 2))

    return loss


def first_of_each(data: Data) -> Tensor:
    """Return the first image of each class, (640,)."""
    return torch.cat([data.x[data.y == k][0] for k in range(CLASSES)])


def mean_of_each(data: Data) -> Tensor:
    """Return the mean image of each class, (640,)."""
    return torch.cat([data.x[data.y == k].mean(0) for k in range(CLASSES)])


def accuracy(w: Tensor, test: Data) -> float:
    """Return the share of right answers of the nearest-neighbour graph itself."""
    graph = bp.nearest_neighbour(CLASSES, PIXELS, dtype=torch.float64)
    return 1 - graph.loss_per_sample(test.x, test.y, weights=w).mean().item()


def descend(
    cost: Cost, start: Tensor, how: Estimator, evaluations: int, budget: int, lr: float, key: Key
) -> list[Tensor]:
    """Return the prototypes before the first step and after every one."""
    path = [start]

    def adam(parameters: list[Tensor], lr: float) -> torch.optim.Optimizer:
        optimizer = torch.optim.Adam(parameters, lr=lr)
        optimizer.register_step_post_hook(lambda *_: path.append(parameters[0].detach().clone()))
        return optimizer

    minimize(cost, start, how, evaluations=evaluations, budget=budget, lr=lr, optimizer=adam, key=key)
    return path


def by_values(data: Data, budget: int, key: Key, sigma: float = SIGMA, lr: float = RATE) -> tuple[list[Tensor], Cost]:
    cost = Cost(errors(data))
    smoothing = est.GaussianSmoothing(sigma)
    return descend(cost, first_of_each(data), smoothing, EVALUATIONS, budget, lr, key), cost


def by_relaxation(data: Data, gradients: int, key: Key, lr: float = SOFT_RATE) -> tuple[list[Tensor], Cost]:
    cost = Cost(relaxed(data))
    return descend(cost, first_of_each(data), est.Backprop(), 1, gradients, lr, key), cost


def run(job: Job, record: Record) -> None:
    """Train both ways under one seed; ask test images along the way."""
    key = Key(job.seed)
    train, test = digits().split(TESTS, key)
    start, means = first_of_each(train), mean_of_each(train)
    for who, w in (("start", start), ("means", means)):
        record.append({"part": "reference", "who": who, "accuracy": accuracy(w, test)})
    learnt = {"start": start, "means": means}
    for method, (path, cost) in {
        "values only": by_values(train, job.config["budget"], key),
        "relaxed": by_relaxation(train, job.config["gradients"], key),
    }.items():
        spent = cost.spent["value"] + cost.spent["gradient"]
        for step in sorted({round(s) for s in np.geomspace(1, len(path), LOOKS)}):
            w = path[step - 1]
            made = {"evaluations": spent * (step - 1) // (len(path) - 1), "accuracy": accuracy(w, test)}
            record.append({"part": "path", "method": method, **made})
        learnt[method] = path[-1]
        record.append({"part": "spent", "method": method, **cost.spent})
    if job.seed == Config.first_seed:
        for who, w in learnt.items():
            for place, value in enumerate(w.tolist()):
                record.append({"part": "pixels", "who": who, "place": place, "value": value})


def shuffled(data: Data, key: Key) -> Data:
    """Return the images with each other's labels, but those that the start is made of."""
    kept = torch.stack([(data.y == k).nonzero()[0, 0] for k in range(CLASSES)])
    free = torch.ones(len(data), dtype=torch.bool).index_fill(0, kept, False).nonzero()[:, 0]
    y = data.y.clone()
    y[free] = data.y[free[torch.randperm(len(free), generator=key.generator())]]
    return Data(data.x, y)


@lru_cache(maxsize=64)
def accuracies(seed: int, fast: bool, wrong_labels: bool = False, sigma: float = SIGMA) -> dict[str, float]:
    """Return the accuracies of the start, the class means and both methods; fewer images and evaluations if fast."""
    key = Key(seed)
    train, test = digits().split(TESTS, key)
    data = train.take(slice(500)) if fast else train
    data = shuffled(data, key) if wrong_labels else data
    ends = {
        "start": first_of_each(train),
        "means": mean_of_each(train),
        "values only": by_values(data, 10_000 if fast else 20_000, key, sigma)[0][-1],
        "relaxed": by_relaxation(data, 60 if fast else 300, key)[0][-1],
    }
    return {who: accuracy(w, test) for who, w in ends.items()}


def gain(seed: int, fast: bool, over: str, wrong_labels: bool = False, sigma: float = SIGMA) -> float:
    """Return by how many points of accuracy the worse of both methods exceeds the start or the class means."""
    found = accuracies(seed, fast, wrong_labels, sigma)
    return 100 * (least(*(found[method] for method in METHODS)) - found[over])


SHUFFLED = {"labels shuffled": {"wrong_labels": True}}


@row("L9", AtLeast(100 * GAIN), wrong={**SHUFFLED, "σ = 0.00001, which sees no edge": {"sigma": 1e-5}}, seeds="median")
def gain_on_the_start(seed: int, fast: bool, wrong_labels: bool = False, sigma: float = SIGMA) -> float:
    """A model whose answer is a minimisation, with no gradient, can be trained with values only, or relaxed.

    Measures: points of accuracy on digits that either way of learning ten prototypes gains on the start, at least.
    """
    return gain(seed, fast, "start", wrong_labels, sigma)


@row("L9", AtLeast(0), wrong=SHUFFLED, seeds="median")
def gain_on_the_means(seed: int, fast: bool, wrong_labels: bool = False) -> float:
    """Either way learns better prototypes than the mean image of each class.

    Measures: points of accuracy that either gains on the class means, at least.
    Note: With values only single seeds may stay below: a prototype that wins no image has nothing to follow.
    """
    return gain(seed, fast, "means", wrong_labels)


def reference(records: list[Record], who: str) -> np.ndarray:
    return values(records, "accuracy", part="reference", who=who)


def paths(records: list[Record], method: str) -> tuple[np.ndarray, np.ndarray]:
    """Return evaluations (looks,) and accuracies (seeds, looks)."""
    wanted = {"part": "path", "method": method}
    return values(records[:1], "evaluations", **wanted), by_seed(records, "accuracy", **wanted)


def first_reach(records: list[Record], method: str) -> np.ndarray:
    """Return the evaluations after which each seed is first seen at its class means' accuracy, infinite if never."""
    at, accuracy = paths(records, method)
    there = accuracy >= reference(records, "means")[:, None]
    return np.where(there.any(1), at[there.argmax(1)], np.inf)


def price(records: list[Record]) -> float:
    """Return how many times the evaluations of gradients values alone take to the class means, by medians."""
    return float(np.median(first_reach(records, "values only")) / np.median(first_reach(records, "relaxed")))


def claims(records: list[Record], config: Config, judge: Judge) -> None:
    start, means = (reference(records, who) for who in ("start", "means"))
    judge.note(
        f"start {np.median(start):.1%}, class means {np.median(means):.1%} right on {TESTS} test images (medians)"
    )
    for method in METHODS:
        end = paths(records, method)[1][:, -1]
        judge.note(f"{method}: {np.median(end):.1%} right; not below the class means in {(end >= means).sum()} seeds")
        judge_row(judge, gain_on_the_start, 100 * (end - start))
        judge_row(judge, gain_on_the_means, 100 * (end - means))
        reach = first_reach(records, method)
        kind = "value" if method == "values only" else "gradient"
        spent = values(records, kind, part="spent", method=method).max()
        judge.note(
            f"{method}: {spent:,.0f} {kind}s spent; the class means' accuracy after {np.median(reach):,.0f} in the "
            f"median, {reach.min():,.0f} to {reach.max():,.0f}"
        )
    ratio = price(records)
    judge(
        ratio >= 10,
        f"values alone take {ratio:.0f} times the evaluations of gradients to the class means, by medians (needs 10)",
    )


def figure(records: list[Record], config: Config) -> Path:
    """Draw accuracy against evaluations, and what the prototypes of the first seed look like."""
    drawing, (left, right) = plots.panels(2, 1, width=5.6, height=4.2)
    named = {"values only": ("values only,\nshare of errors", 8), "relaxed": ("relaxed,\nby backpropagation", 0)}
    lines = {"means": ("class means", plots.DASHDOT), "start": ("first images", plots.DOTTED)}
    with plots.style():
        for method, how in METHODS.items():
            at, accuracy = paths(records, method)
            pairs = [(at + 1, 100 * y) for y in accuracy]
            every_seed(left, pairs, "", color=how.color, linewidth=0.7, alpha=0.35)
            middle, (name, up) = 100 * np.median(accuracy, 0), named[method]
            left.semilogx(at + 1, middle, markevery=6, **look(how))
            label_end(left, at[-1] + 1, middle[-1], name, how.color, up=up)
        for who, (name, line) in lines.items():
            level = 100 * np.median(reference(records, who))
            left.axhline(level, color=GREY, linestyle=line)
            label_end(left, 4e5, level, name, GREY, side="left", up=-8)
        left.set(xlabel="1 + evaluations on all training images (relaxed: with gradient)", ylim=(40, 100))
        left.set(ylabel="right on test images, %", xlim=(0.8, 4e5))
        left.set(title=f"Both pass the class means (medians of {len(records)} seeds; faint: every seed)")
        gallery(right, records[0])
        drawing.suptitle(
            f"Prototypes are learned from values alone, at {price(records):.0f} times the evaluations of a relaxed "
            "cost's gradient"
        )
    return plots.save(drawing, config.out / "prototypes.png")


def gallery(ax: Axes, record: Record) -> None:
    """Draw the prototypes of one seed, one row for each way of getting them."""
    shown = ("start", "means", "values only", "relaxed")
    tiles = np.full((9 * len(shown) - 1, 9 * CLASSES - 1), np.nan)
    for i, who in enumerate(shown):
        images = values([record], "value", part="pixels", who=who).reshape(CLASSES, 8, 8)
        for k, image in enumerate(images):
            tiles[9 * i : 9 * i + 8, 9 * k : 9 * k + 8] = image
    ax.imshow(tiles, cmap="gray_r", vmin=-0.3, vmax=1.3)
    ax.set_yticks(9 * np.arange(len(shown)) + 3.5, ["first image", "class mean", "values only", "relaxed"])
    ax.set_xticks(9 * np.arange(CLASSES) + 3.5, [str(k) for k in range(CLASSES)])
    ax.set_title("Prototypes of the first seed")
    ax.grid(False)
    ax.tick_params(length=0)
    for side in ax.spines.values():
        side.set_visible(False)


if __name__ == "__main__":
    main(Config, __doc__, one_a_seed, run, claims, figure)
