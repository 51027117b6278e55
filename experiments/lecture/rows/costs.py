"""What a cost is, and the loss that is made of it: per sample, averaged, and nothing hidden.              (L14–L19)"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from experiments.common.acceptance import AtMost, Equals, row
from experiments.common.data import wine
from experiments.lecture.rows.draws import classes, normal, predict, relative
from experiments.lecture.rows.models import regression

import torch
from torch import Tensor

from rllab import backprop as bp

FLOAT64 = torch.float64


@dataclass(frozen=True)
class Difference(bp.Module):
    """A mistake: Σ (ȳ − y), which is no distance."""

    inputs: ClassVar[int] = 2

    def _forward(self, z: Any, w: Any, out: Tensor | None = None) -> Tensor:
        return (z[0] - z[1]).sum(1)

    def _vjp_state(self, v: Tensor, z: Any, w: Any, y: Tensor, out: Any = None) -> Any:
        g = v[:, None].expand_as(z[0])
        return g, -g


def _no_distance(seed: int, cost: bp.Module) -> float:
    a, b = normal(seed, "a", 1000, 3), normal(seed, "b", 1000, 3)
    return float((~(cost.forward((a, b)) >= 0)).sum() + (cost.forward((a, a)) != 0).sum())  # NaN is counted


@row(
    "L14",
    says="A cost measures how far ȳ is from y: nothing where they are equal, never negative",
    measures="of 1,000 random pairs, those with C(ȳ, y) < 0 or C(y, y) ≠ 0",
    criterion=Equals(0),
    wrong={"a difference": lambda seed, fast: _no_distance(seed, Difference())},
)
def a_cost_is_a_distance(seed: int, fast: bool) -> float:
    return _no_distance(seed, bp.SquaredDistance())


@row(
    "L14",
    says="Cross-entropy is no distance, but never negative, and 0 in the limit of certainty",
    measures="of 1,000 random scores, those with C < 0, and whether certainty costs anything",
    criterion=Equals(0),
)
def cross_entropy_is_not_negative(seed: int, fast: bool) -> float:
    scores, y = normal(seed, "scores", 1000, 4), classes(seed, "classes", 1000, 4)
    certain = 1e3 * torch.nn.functional.one_hot(y, 4).double()
    return float(
        (~(bp.CrossEntropy().forward((scores, y)) >= 0)).sum() + (bp.CrossEntropy().forward((certain, y)) != 0).sum()
    )


def _accepted(seed: int, tops: tuple[bp.Module, ...]) -> float:
    """Count the modules that a graph takes for a cost."""
    accepted = 0
    for top in tops:
        blocks = [bp.Block("linear", bp.Linear(4, 3), ("x",), ("s",))]
        blocks.append(bp.Block("top", top, ("s", "y")[: top.inputs], ("C",)))
        inputs = {"x": False} | ({"y": False} if top.inputs == 2 else {})
        observed = (normal(seed, "x", 5, 4), normal(seed, "y", 5, 3))[: len(inputs)]
        try:
            graph = bp.Graph(blocks, inputs, output="s", cost="C", key=seed, dtype=FLOAT64)
            graph.backward(*observed)
            accepted += 1
        except ValueError:
            continue
    return float(accepted)


@row(
    "L14",
    says="The output of a cost is a scalar; a graph refuses any other",
    measures="modules with several outputs a sample that a graph accepts as its cost",
    criterion=Equals(0),
    wrong={"a real cost among them": lambda seed, fast: _accepted(seed, (bp.Tanh(), bp.SquaredDistance()))},
)
def a_cost_is_a_scalar(seed: int, fast: bool) -> float:
    return _accepted(seed, (bp.Tanh(), bp.LogSoftmax(), bp.Linear(3, 2), bp.Add()))


def _learn(seed: int, rate: float) -> float:
    samples = wine().draw(120, seed).standardised()
    graph = bp.mlp((13, 8, 3), activation="tanh", key=seed, dtype=FLOAT64)
    losses = []
    for _ in range(60):
        g = graph.backward(samples.x, samples.y)
        losses.append(float(g.loss))
        graph.weights = graph.weights - rate * g.weights
    return losses[-1] / losses[0]


@row(
    "L15",
    says="The loss is what training makes small",
    measures="share of the training loss left after 60 steps (wine, a network 13–8–3)",
    criterion=AtMost(0.5),
    wrong={"uphill": lambda seed, fast: _learn(seed, -0.5)},
)
def training_lowers_the_loss(seed: int, fast: bool) -> float:
    return _learn(seed, 0.5)


def _composed(seed: int, cost: Callable[[Tensor, Tensor], Tensor]) -> float:
    graph, x, y = regression(seed)
    return float((graph.loss_per_sample(x, y) - cost(predict(graph, x), y)).abs().max())


@row(
    "L16",
    says="The loss of a sample is the composition L(x, y, w) = C(y, G(x, w))",
    measures="largest difference of loss_per_sample from ‖G(x, w) − y‖²",
    criterion=Equals(0),
    wrong={"the norm not squared": lambda seed, fast: _composed(seed, lambda a, b: (a - b).norm(dim=1))},
)
def loss_of_a_sample(seed: int, fast: bool) -> float:
    return _composed(seed, lambda a, b: (a - b).square().sum(1))


def _mean(seed: int, of: Callable[[Tensor], Tensor]) -> float:
    graph, x, y = regression(seed, samples=7)
    return relative(of(graph.loss_per_sample(x, y)), graph.backward(x, y).loss)


@row(
    "L17",
    says="The loss of a training set is the average over its samples",
    measures="relative difference of the graph's loss from the mean of its samples' losses",
    criterion=AtMost(1e-12),
    wrong={"their sum": lambda seed, fast: _mean(seed, torch.sum)},
)
def loss_of_a_set(seed: int, fast: bool) -> float:
    return _mean(seed, torch.mean)


def _two_parts(seed: int, sizes: tuple[int, int]) -> float:
    graph, x, y = regression(seed, samples=7)
    first, second = (graph.backward(x[s], y[s]).weights for s in (slice(0, 2), slice(2, 7)))
    share = sizes[0] / sum(sizes)
    return relative(share * first + (1 - share) * second, graph.backward(x, y).weights)


@row(
    "L17",
    says="Gradients average as losses do",
    measures="relative difference of a set's gradient from that of its parts of 2 and 5 samples, weighted by size",
    criterion=AtMost(1e-10),
    wrong={"sizes ignored": lambda seed, fast: _two_parts(seed, (1, 1))},
)
def gradient_of_a_set(seed: int, fast: bool) -> float:
    return _two_parts(seed, (2, 5))


def _hidden(seed: int, decay: float) -> float:
    graph, x, _ = regression(seed)
    g = graph.backward(x, predict(graph, x))
    return float(g.loss + (g.weights + decay * graph.weights).abs().max())


@row(
    "L19",
    says="In supervised learning the loss of a sample is the cost's output and nothing besides",
    measures="loss, and largest gradient of the weights, where the model fits exactly",
    criterion=Equals(0),
    wrong={"a hidden weight decay of 0.001": lambda seed, fast: _hidden(seed, 1e-3)},
)
def nothing_hidden(seed: int, fast: bool) -> float:
    return _hidden(seed, 0.0)
