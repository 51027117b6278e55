"""What a cost is, and the loss that is made of it: per sample, averaged, and nothing hidden.              (L14–L19)"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar

from experiments.common.acceptance import AtLeast, AtMost, Equals, row
from experiments.common.data import wine
from experiments.lecture.draws import FLOAT64, apart, classes, normal, predict, regression, relative

import torch
from torch import Tensor

from rllab import backprop as bp

DISTANCE = bp.SquaredDistance()
NO_COSTS = (bp.Tanh(), bp.LogSoftmax(), bp.Linear(3, 2), bp.Add())


@dataclass(frozen=True)
class Difference(bp.Module):
    """A mistake: Σ (ȳ − y), which is no distance."""

    inputs: ClassVar[int] = 2

    def _forward(self, z: Any, w: Any, out: Tensor | None = None) -> Tensor:
        return (z[0] - z[1]).sum(1)

    def _vjp_state(self, v: Tensor, z: Any, w: Any, y: Tensor, out: Any = None) -> Any:
        g = v[:, None].expand_as(z[0])
        return g, -g


@row("L14", Equals(0), wrong={"a difference": {"cost": Difference()}})
def a_cost_is_a_distance(seed: int, fast: bool, cost: bp.Module = DISTANCE) -> float:
    """A cost measures how far ȳ is from y: nothing where they are equal, never negative.

    Measures: of 1,000 random pairs, those with C(ȳ, y) < 0 or C(y, y) ≠ 0.
    """
    a, b = normal(seed, "a", 1000, 3), normal(seed, "b", 1000, 3)
    return float((~(cost.forward((a, b)) >= 0)).sum() + (cost.forward((a, a)) != 0).sum())  # NaN is counted


@row("L14", Equals(0))
def cross_entropy_is_not_negative(seed: int, fast: bool) -> float:
    """Cross-entropy is no distance, but never negative, and 0 in the limit of certainty.

    Measures: of 1,000 random scores, those with C < 0, and whether certainty costs anything.
    """
    scores, y = normal(seed, "scores", 1000, 4), classes(seed, "classes", 1000, 4)
    certain = 1e3 * torch.nn.functional.one_hot(y, 4).double()
    cost = bp.CrossEntropy()
    return float((~(cost.forward((scores, y)) >= 0)).sum() + (cost.forward((certain, y)) != 0).sum())


@row("L14", Equals(0), wrong={"a real cost among them": {"tops": (bp.Tanh(), DISTANCE)}})
def a_cost_is_a_scalar(seed: int, fast: bool, tops: tuple[bp.Module, ...] = NO_COSTS) -> float:
    """The output of a cost is a scalar; a graph refuses any other.

    Measures: modules with several outputs a sample that a graph accepts as its cost.
    """
    accepted = 0
    for top in tops:
        blocks = [bp.Block("linear", bp.Linear(4, 3), ("x",), ("s",))]
        blocks.append(bp.Block("top", top, ("s", "y")[: top.inputs], ("C",)))
        inputs = {"x": False} | ({"y": False} if top.inputs == 2 else {})
        observed = (normal(seed, "x", 5, 4), normal(seed, "y", 5, 3))[: len(inputs)]
        with suppress(ValueError):
            bp.Graph(blocks, inputs, output="s", cost="C", key=seed, dtype=FLOAT64).backward(*observed)
            accepted += 1
    return float(accepted)


@row("L15", AtLeast(0.95), wrong={"uphill": {"rate": -0.5}, "a tenth of the step": {"rate": 0.05}}, fresh=30)
def training_lowers_the_loss(seed: int, fast: bool, rate: float = 0.5) -> float:
    """The loss is what training makes small.

    Measures: e^−L after 60 steps on wine, the geometric mean of the probabilities given to the true classes.
    Note: 0.95 are odds of 19 to 1; guessing gives a third. Half the loss was asked at first.
    """
    samples = wine().draw(120, seed).standardised()
    graph = bp.mlp((13, 8, 3), activation="tanh", key=seed, dtype=FLOAT64)
    for _ in range(60):
        graph.weights = graph.weights - rate * graph.backward(samples.x, samples.y).weights
    return math.exp(-float(graph.backward(samples.x, samples.y).loss))


@row("L16", Equals(0), wrong={"the norm not squared": {"power": 1}})
def loss_of_a_sample(seed: int, fast: bool, power: int = 2) -> float:
    """The loss of a sample is the composition L(x, y, w) = C(y, G(x, w)).

    Measures: largest difference of loss_per_sample from ‖G(x, w) − y‖².
    """
    graph, x, y = regression(seed)
    difference = predict(graph, x) - y
    return apart(graph.loss_per_sample(x, y), difference.square().sum(1) if power == 2 else difference.norm(dim=1))


@row("L17", AtMost(1e-12), wrong={"their sum": {"of": torch.sum}})
def loss_of_a_set(seed: int, fast: bool, of: Callable[[Tensor], Tensor] = torch.mean) -> float:
    """The loss of a training set is the average over its samples.

    Measures: relative difference of the graph's loss from the mean of its samples' losses.
    """
    graph, x, y = regression(seed, samples=7)
    return relative(of(graph.loss_per_sample(x, y)), graph.backward(x, y).loss)


@row("L17", AtMost(1e-10), wrong={"sizes ignored": {"sizes": (1, 1)}})
def gradient_of_a_set(seed: int, fast: bool, sizes: tuple[int, int] = (2, 5)) -> float:
    """Gradients average as losses do.

    Measures: relative difference of a set's gradient from that of its parts of 2 and 5 samples, weighted by size.
    """
    graph, x, y = regression(seed, samples=7)
    first, second = (graph.backward(x[s], y[s]).weights for s in (slice(0, 2), slice(2, 7)))
    share = sizes[0] / sum(sizes)
    return relative(share * first + (1 - share) * second, graph.backward(x, y).weights)


@row("L19", Equals(0), wrong={"a hidden weight decay of 0.001": {"decay": 1e-3}})
def nothing_hidden(seed: int, fast: bool, decay: float = 0.0) -> float:
    """In supervised learning the loss of a sample is the cost's output and nothing besides.

    Measures: loss, and largest gradient of the weights, where the model fits exactly.
    """
    graph, x, _ = regression(seed)
    g = graph.backward(x, predict(graph, x))
    return float(g.loss + (g.weights + decay * graph.weights).abs().max())
