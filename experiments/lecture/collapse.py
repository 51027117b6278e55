"""Does a stack of linear layers say more than one layer?

No: without a function between them, layers s_k = W_k s_k−1 + b_k are one affine map, and so are their gradients:

    A = W_K … W_1        ∂L/∂W_k = (W_K … W_k+1)ᵀ (G A_k−1ᵀ + g b_k−1ᵀ)        G = ∂L/∂A, g = ∂L/∂b

where A_k−1, b_k−1 are the map of the layers below. With ReLU between them no affine map fits the same stack. What one
layer cannot stand in for: a narrow layer bounds the rank of A, and descent takes another way (Saxe, McClelland &
Ganguli 2014, "Exact solutions to the nonlinear dynamics of learning in deep linear neural networks"): at W = 0 a stack
of two or more stands still.

    python experiments/lecture/collapse.py    a minute on 2 cores
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from experiments.common.acceptance import AtLeast, AtMost, largest, least, row
from experiments.common.claims import judge_row
from experiments.common.drawing import REFERENCE, every_seed, label_end, line, look
from experiments.common.frame import Flags, Judge, by_seed, half_width, main, one_a_seed, values
from experiments.lecture.draws import least_squares, normal, predict, relative, with_ones
from experiments.lecture.stacks import Layer, compose, layers_of, stack

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from rllab import Key, plots
from rllab import backprop as bp
from rllab.runs import Job, Record

DEPTHS = tuple(range(1, 7))
WIDTH, INPUTS, OUTPUTS = 16, 16, 16
POINTS = 2000  # at which a stack is compared with an affine map
SAMPLES, TESTS, NOISE = 400, 2000, 0.2  # of the two moons
DESCENTS = (1, 2, 3, 6)  # depths whose descent on one regression is compared
SIDE = 8  # of that regression: 8 numbers in, 8 out
GRID = np.stack(np.meshgrid(np.linspace(-2, 3, 51), np.linspace(-1.5, 2, 51)), -1)
SHOWN = {"linear": 6, "relu": 3}  # depths whose border between the moons is drawn
ETA, DOWN = 0.02, 0.01  # step size, and the share of the loss of W = 0 that counts as learnt
LINEAR, RELU = plots.MethodStyle(plots.BLUE, plots.SOLID, "o"), plots.MethodStyle(plots.VERMILLION, plots.DASHED, "s")
KINDS = {"linear": LINEAR, "relu": RELU}
Compose = Callable[[list[Layer], Tensor], Layer]
NAMES = {"linear": "linear layers", "relu": "layers, ReLU between"}
NAMED = {"linear": (-1.95, -0.45), "relu": (0.2, 1.75)}  # places beside the borders


@dataclass(frozen=True)
class Config(Flags):
    steps: int = 300
    """Steps of Adam on the two moons, all samples each."""
    descent: int = 2000
    """Steps of gradient descent of the linear stacks."""
    quick: ClassVar[dict[str, Any]] = {"seeds": 2, "steps": 150, "descent": 300}


def drawn_stack(depth: int, key: Key, *, relu: bool = False) -> tuple[bp.Graph, Tensor]:
    """Return a stack, with ReLU between its layers or with nothing, and points for it."""
    sizes = (INPUTS, *(WIDTH,) * (depth - 1), OUTPUTS)
    graph = stack(sizes, bp.ReLU() if relu else None, bp.SquaredDistance(), key.child("weights"))
    return graph, normal(key, "x", POINTS, INPUTS)


def difference(depth: int, key: Key, *, relu: bool = False, compose: Compose = compose) -> float:
    """Return the largest difference between a stack and the product of its layers, relative to its largest output."""
    graph, x = drawn_stack(depth, key, relu=relu)
    a, b = compose(layers_of(graph, graph.weights), x)
    return relative(x @ a.t() + b, predict(graph, x))


def gradient_difference(depth: int, key: Key) -> float:
    """Return the largest difference of a stack's gradients from those that the product's gradient implies."""
    graph, x = drawn_stack(depth, key)
    y = normal(key, "y", len(x), OUTPUTS)
    layers = layers_of(graph, graph.weights)
    one = stack((INPUTS, OUTPUTS), None, bp.SquaredDistance(), key)
    a, b = compose(layers, x)
    ((big, small),) = layers_of(one, one.backward(x, y, weights=torch.cat([a.flatten(), b])).weights)
    worst = 0.0
    for k, (dw, db) in enumerate(layers_of(graph, graph.backward(x, y).weights)):
        below, offset = compose(layers[:k], x)
        above, _ = compose(layers[k + 1 :], dw.t())
        # ∂L/∂W_k = (W_K … W_k+1)ᵀ (G A_k−1ᵀ + g b_k−1ᵀ),   ∂L/∂b_k = (W_K … W_k+1)ᵀ g
        of_weights = relative(dw, above.t() @ (big @ below.t() + small[:, None] * offset))
        worst = largest(worst, of_weights, relative(db, above.t() @ small))
    return worst


def unexplained(depth: int, key: Key, *, relu: bool = True) -> float:
    """Return what the best affine fit leaves of a stack."""
    graph, x = drawn_stack(depth, key, relu=relu)
    return share_left(x, predict(graph, x))


def share_left(x: Tensor, y: Tensor) -> float:
    """Return what the best affine fit leaves of the spread of y: √(1 − R²)."""
    left = y - with_ones(x) @ least_squares(x, y)
    return (left.norm() / (y - y.mean(0)).norm()).item()


def rank(bottleneck: int, key: Key) -> int:
    """Return the rank of the product of two layers that meet in so few numbers."""
    graph = stack((SIDE, bottleneck, SIDE), None, bp.SquaredDistance(), key)
    a, _ = compose(layers_of(graph, graph.weights), graph.weights.new_zeros(1, SIDE))
    s = torch.linalg.svdvals(a)
    return int((s > 1e-12 * s[0]).sum())


def moons(count: int, key: Key) -> tuple[Tensor, Tensor]:
    """Return points on two half circles that interlock, with noise, and which of both each belongs to."""
    draw = np.random.default_rng(key.integer())
    y = np.arange(count) % 2
    angle = draw.uniform(0, np.pi, count)
    x = np.stack([np.cos(angle), np.sin(angle)], 1)
    x = np.where(y[:, None] == 0, x, [1.0, 0.5] - x) + NOISE * draw.standard_normal((count, 2))
    return torch.from_numpy(x), torch.from_numpy(y)


def train(depth: int, relu: bool, steps: int, key: Key) -> tuple[float, np.ndarray]:
    """Learn the two moons; return the accuracy on new points, and on GRID by how much one moon is preferred."""
    sizes = (2, *(WIDTH,) * (depth - 1), 2)
    graph = stack(sizes, bp.ReLU() if relu else None, bp.CrossEntropy(), key.child("weights"))
    x, y = moons(SAMPLES, key.child("samples"))
    adam = partial(torch.optim.Adam, lr=0.05)
    trace = bp.fit(graph, x, y, sample_gradients=steps * len(x), batch=None, optimizer=adam, key=key)
    scores = predict(graph, torch.from_numpy(GRID.reshape(-1, 2)), weights=trace.weights)
    x, y = moons(TESTS, key.child("tests"))
    right = (predict(graph, x, weights=trace.weights).argmax(1) == y).double().mean().item()
    return right, (scores[:, 1] - scores[:, 0]).numpy()


def descend(depth: int, steps: int, key: Key) -> list[dict[str, Any]]:
    """Learn one linear map by gradient descent in a stack; return the loss along the way, in units of that of W = 0."""
    graph = stack((SIDE,) * (depth + 1), None, bp.SquaredDistance(), key.child("weights", depth))
    x = normal(key, "x", 200, SIDE)
    y = x @ normal(key, "map", SIDE, SIDE) / math.sqrt(SIDE)
    zero = y.square().sum(1).mean().item()
    counted: dict[str, Any] = {"sample_gradients": steps * len(x), "look": 20 * len(x), "stop": DOWN * zero / 10}
    trace = bp.fit(graph, x, y, batch=None, eta=ETA, key=0, **counted)
    still = graph.backward(x, y, weights=torch.zeros_like(graph.weights)).weights
    moved = largest(*(dw.abs().max().item() for dw, _ in layers_of(graph, still)))
    rows = zip(trace.counts, trace.losses, strict=True)
    first = {"part": "zero", "depth": depth, "gradient": moved}
    return [first, *({"part": "descent", "depth": depth, "step": n // len(x), "loss": c / zero} for n, c in rows)]


def run(job: Job, record: Record) -> None:
    """Compare stacks with one layer, as they are drawn and as they learn, under one seed."""
    key = Key(job.seed)
    for depth in DEPTHS:
        mine = key.child("stack", depth)
        measured = {"difference": difference(depth, mine), "gradients": gradient_difference(depth, mine)}
        record.append({"part": "stack", "depth": depth, **measured, "unexplained": unexplained(depth, mine)})
        for kind in KINDS:
            if depth > 1 or kind == "linear":
                right, margin = train(depth, kind == "relu", job.config["steps"], key.child("moons"))
                record.append({"part": "moons", "kind": kind, "depth": depth, "accuracy": right})
                if SHOWN.get(kind) == depth and job.seed == Config.first_seed:
                    for place, value in enumerate(margin.tolist()):
                        record.append({"part": "border", "kind": kind, "place": place, "margin": value})
    for bottleneck in range(1, SIDE + 1):
        record.append({"part": "rank", "bottleneck": bottleneck, "rank": rank(bottleneck, key.child(bottleneck))})
    for depth in DESCENTS:
        for made in descend(depth, job.config["descent"], key.child("descent")):
            record.append(made)


def reversed_product(layers: list[Layer], like: Tensor) -> Layer:
    """Compose layers in the other order, a mistake."""
    return compose(layers[::-1], like)


def added_biases(layers: list[Layer], like: Tensor) -> Layer:
    """Compose layers with their biases not multiplied, a mistake."""
    return compose(layers, like)[0], torch.stack([b for _, b in layers]).sum(0)


@row(
    "L57",
    AtMost(1e-12),
    wrong={
        "ReLU between the layers": {"depths": (3,), "relu": True},
        "the product in the other order": {"depths": (3,), "compose": reversed_product},
        "the biases not multiplied": {"depths": (3,), "compose": added_biases},
    },
)
def stack_against_product(
    seed: int, fast: bool, depths: tuple[int, ...] = DEPTHS[1:], relu: bool = False, compose: Compose = compose
) -> float:
    """Without a function between them, several linear layers are one.

    Measures: largest relative difference of 2 to 6 linear layers to the product of their matrices.
    Note: A narrow layer still bounds the rank of the product, and descent takes another way.
    """
    return largest(*(difference(depth, Key(seed), relu=relu, compose=compose) for depth in depths))


@row("L57", AtLeast(0.2), wrong={"no function between the layers": {"depths": (3,), "relu": False}})
def left_by_an_affine_fit(seed: int, fast: bool, depths: tuple[int, ...] = DEPTHS[1:], relu: bool = True) -> float:
    """With ReLU between them no single layer does the same.

    Measures: share of the spread of 2 to 6 layers with ReLU that the best affine fit leaves, at least.
    """
    return least(*(unexplained(depth, Key(seed), relu=relu) for depth in depths))


def descents(records: list[Record], depth: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return steps and losses of every seed."""
    wanted = {"part": "descent", "depth": depth}
    return [(values([record], "step", **wanted), values([record], "loss", **wanted)) for record in records]


def steps_down(records: list[Record], depth: int) -> np.ndarray:
    """Return the steps each seed takes until DOWN of the loss is left; infinite if it never is."""
    return np.array([step[loss <= DOWN].min(initial=np.inf) for step, loss in descents(records, depth)])


def claims(records: list[Record], config: Config, judge: Judge) -> None:
    judge_row(judge, stack_against_product, by_seed(records, "difference", part="stack").max(1))
    worst = by_seed(records, "gradients", part="stack").max()
    judge(worst <= 1e-12, f"gradients of linear layers are those of their product within {worst:.1e} (needs 1e-12)")
    left = by_seed(records, "unexplained", part="stack")
    judge_row(judge, left_by_an_affine_fit, left[:, 1:].min(1))
    linear, relu = (by_seed(records, "accuracy", part="moons", kind=kind) for kind in KINDS)
    off = np.abs(linear.mean(0) - linear[:, 0].mean()).max()
    judge(
        off <= 0.01,
        f"two moons: linear stacks of every depth are right on {linear[:, 0].mean():.1%} of new points like one layer, "
        f"within {100 * off:.2f} points in the mean over seeds (needs 1)",
    )
    gain = (relu - linear[:, :1]).mean(0)
    judge(
        gain.min() >= 0.08,
        f"two moons: with ReLU {relu.mean():.1%}, at least {100 * gain.min():.1f} points more at every depth "
        "(needs 8, mean over seeds)",
    )
    ranks, expected = by_seed(records, "rank", part="rank"), np.arange(1, SIDE + 1)
    judge(
        bool((ranks == expected).all()),
        f"caveat: two layers that meet in k numbers have a product of rank k, k = 1 to {SIDE} (needs all {ranks.size})",
    )
    still = by_seed(records, "gradient", part="zero")
    judge(
        bool((still[:, 1:] == 0).all()) and still[:, 0].min() > 0,
        f"caveat: at W = 0 one layer has a slope, at least {still[:, 0].min():.2g}, deeper stacks exactly "
        f"{still[:, 1:].max():g} (needs > 0 and 0)",
    )
    taken = {depth: steps_down(records, depth) for depth in DESCENTS}
    slower = (taken[6] / taken[1]).min()
    shown = ", ".join(f"{np.median(n):,.0f} (depth {depth})" for depth, n in taken.items())
    judge(
        slower >= 2 and np.isfinite(taken[1]).all(),
        f"caveat: one linear map, one step size: median steps until {DOWN:.0%} of the loss is left {shown}; depth 6 "
        f"takes at least {slower:.1f} times those of one layer in every seed (needs 2)",
    )


def figure(records: list[Record], config: Config) -> Path:
    """Draw stacks against one layer; two moons, their borders and accuracies; and descent in linear stacks."""
    drawing, axes = plots.panels(2, 2, width=5.4, height=4.0)
    with plots.style():
        left = by_seed(records, "unexplained", part="stack")[:, 1:]
        for y, how, name in (
            (by_seed(records, "difference", part="stack"), LINEAR, "linear layers, against their product"),
            (left, RELU, "ReLU between, against the best affine map"),
        ):
            x, y = DEPTHS[-y.shape[1] :], np.maximum(y, 1e-17)
            axes[0].semilogy(np.tile(x, len(y)), y.ravel(), how.marker, color=how.color, alpha=0.25)
            axes[0].semilogy(x, np.median(y, 0), **line(how))
            label_end(
                axes[0], x[-1], np.median(y[:, -1]), name, how.color, side="left", up=10 if how is LINEAR else -12
            )
        axes[0].set(ylim=(1e-17, 30), ylabel="relative difference", title="Without ReLU a stack is one affine map")
        for kind, how in KINDS.items():
            y = 100 * by_seed(records, "accuracy", part="moons", kind=kind)
            x = DEPTHS[-y.shape[1] :]
            axes[1].errorbar(x, y.mean(0), half_width(y), capsize=3, **look(how))
            label_end(
                axes[1], x[-1], y[:, -1].mean(), NAMES[kind], how.color, side="left", up=20 if how is LINEAR else -30
            )
        axes[1].set(ylabel="right on new points, %", title="Two moons: so more of them learn no more")
        for ax in axes[:2]:
            ax.set(xlabel="layers", xticks=DEPTHS)
        borders(axes[2], records[0])
        colors = (plots.BLACK, plots.BLUE, plots.GREEN, plots.ORANGE)
        for depth, dashes, color in zip(DESCENTS, plots.LINES, colors, strict=True):
            label = f"{depth} layer{'s' * (depth > 1)}"
            paths = list(descents(records, depth))
            every_seed(axes[3], paths, label, color=color, linestyle=dashes, alpha=0.6)
            last = max((x[-1], y[-1]) for x, y in paths)  # named where the slowest seed ends
            side, up = ("left", 8) if last[0] == config.descent else ("right", -5)
            label_end(axes[3], *last, label, color, side=side, up=up)
        axes[3].axhline(DOWN, **REFERENCE)
        axes[3].set(xlabel=f"steps of gradient descent, η = {ETA}", ylabel="loss/loss of W = 0", yscale="log")
        axes[3].set(title="but learn the same map more slowly (every seed)")
        drawing.suptitle(
            "Linear layers say no more than one, however many; with ReLU between them they do\n"
            f"{len(records)} seeds; bars: 95 % intervals of Student's t; above left medians and every seed"
        )
    return plots.save(drawing, config.out / "collapse.png")


def borders(ax: Axes, record: Record) -> None:
    """Draw the points of one seed and where six linear and three ReLU layers draw the line."""
    x, y = moons(SAMPLES, Key(record.seed).child("moons").child("samples"))
    for k, (marker, color) in enumerate((("o", plots.SKY), ("^", plots.ORANGE))):
        ax.scatter(*x[y == k].T, s=12, marker=marker, color=color, edgecolors="#00000055", linewidths=0.4)
    for kind, depth in SHOWN.items():
        how = KINDS[kind]
        margin = values([record], "margin", part="border", kind=kind).reshape(GRID.shape[:2])
        ax.contour(GRID[..., 0], GRID[..., 1], margin, [0.0], colors=how.color, linestyles=[how.linestyle])
        ax.text(*NAMED[kind], f"{depth} {NAMES[kind]}", color=how.color, fontsize=8)
    ax.set(xlabel="x₁", ylabel="x₂", title="and their border stays straight (first seed)")
    ax.grid(False)


if __name__ == "__main__":
    main(Config, __doc__, one_a_seed, run, claims, figure)
