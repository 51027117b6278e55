"""Networks as programs: joins, paths that depend on the data, log-softmax in one piece.     (L70, T4, T6, T7)"""

from __future__ import annotations

import math
from collections.abc import Callable

from experiments.common.acceptance import AtMost, Equals, largest, row
from experiments.lecture.rows.draws import classes, normal, relative
from experiments.lecture.wrong_rules import wrong

import torch
from torch import Tensor

from rllab import backprop as bp

FLOAT64 = torch.float64
N, WIDTH = 5, 4


def mistaken(measure: Callable[[int], float], mistake: str) -> Callable[[int, bool], float]:
    """Return a measure under a wrong rule."""

    def under(seed: int, fast: bool) -> float:
        with wrong(mistake):
            return measure(seed)

    return under


def split(flat: Tensor, *modules: bp.Module) -> list[Tensor]:
    """Return the weights of modules one after the other, as leaves of autograd's."""
    return [w.detach().clone().requires_grad_() for w in flat.split([module.size for module in modules])]


def gated(seed: int) -> float:
    """Return the difference of a residual layer with a gate, z + σ(Vz) tanh(Wz), as a graph and as torch code."""
    square = bp.Linear(WIDTH, WIDTH)
    blocks = [
        bp.Block("W", square, ("x",), ("a",)),
        bp.Block("tanh", bp.Tanh(), ("a",), ("b",)),
        bp.Block("V", square, ("x",), ("c",)),
        bp.Block("gate", bp.Sigmoid(), ("c",), ("d",)),
        bp.Block("multiply", bp.Multiply(), ("b", "d"), ("e",)),
        bp.Block("add", bp.Add(), ("x", "e"), ("out",)),
        bp.Block("cost", bp.SquaredDistance(), ("out", "y"), ("C",)),
    ]
    graph = bp.Graph(blocks, {"x": False, "y": False}, output="out", cost="C", key=seed, dtype=FLOAT64)
    x, y = normal(seed, "x", N, WIDTH), normal(seed, "y", N, WIDTH)
    ours = graph.backward(x, y, variables="x")
    leaf, (w, v) = x.clone().requires_grad_(), split(graph.weights, square, square)
    (a, a0), (c, c0) = square.views(w), square.views(v)
    z = leaf + torch.sigmoid(leaf @ c.t() + c0) * torch.tanh(leaf @ a.t() + a0)
    (z - y).square().sum(1).mean().backward()
    truth = {"x": leaf.grad, "W": w.grad, "V": v.grad}
    return largest(*(relative(ours.by_variable[name], g) for name, g in truth.items() if g is not None))


@row(
    "L70",
    says="Networks need not be chains of layers: values are added past them and multiplied with each other",
    measures="largest relative difference to torch code of a residual layer with a multiplicative gate",
    criterion=AtMost(1e-10),
    wrong={mistake: mistaken(gated, mistake) for mistake in ("fan-out sum dropped", "factors not swapped")},
)
def residual_layer_with_a_gate(seed: int, fast: bool) -> float:
    return gated(seed)


def joins(seed: int) -> float:
    """Return how far Copy, Add and Max are from: gradients add, the gradient copies, the gradient switches."""
    z, u, v = (normal(seed, name, N, WIDTH) for name in ("z", "u", "v"))
    added = bp.Copy().vjp_state((u, v), z)
    first, second = bp.Add().vjp_state(v, (z, u))
    winner, loser = bp.Max().vjp_state(v, (torch.maximum(z, u) + 1, z))
    return largest(
        relative(added, u + v), relative(first, v), relative(second, v), relative(winner, v), float(loser.abs().max())
    )


@row(
    "T4",
    says="A copy adds its gradients, a sum copies its gradient, a maximum hands it to the largest alone",
    measures="largest error of the three rules; what the loser of a maximum gets counts whole",
    criterion=AtMost(1e-12),
    wrong={
        mistake: mistaken(joins, mistake) for mistake in ("copy drops a branch", "add to the first only", "max to all")
    },
)
def rules_of_joins(seed: int, fast: bool) -> float:
    return joins(seed)


def often(z: Tensor) -> Tensor:
    """How often a sample goes through the loop: once for each whole unit of its length, at most four times."""
    return z.norm(dim=1).floor().clamp(max=4).long()


def longer(z: Tensor) -> Tensor:
    """Which branch: 1 for samples longer than 2."""
    return (z.norm(dim=1) > 2).long()


def program(seed: int) -> float:
    """Return the difference of a graph with an if and a loop to the program written out, sample by sample."""
    samples = 20
    once, one, other = bp.Linear(WIDTH, WIDTH), bp.Linear(WIDTH, WIDTH), bp.Linear(WIDTH, WIDTH)
    blocks = [
        bp.Block("loop", bp.Repeat(often, once), ("x",), ("r",)),
        bp.Block("if", bp.Switch(longer, (one, other)), ("r",), ("out",)),
        bp.Block("cost", bp.SquaredDistance(), ("out", "y"), ("C",)),
    ]
    graph = bp.Graph(blocks, {"x": False, "y": False}, output="out", cost="C", key=seed, dtype=FLOAT64)
    graph.weights = 3 * graph.weights  # so that samples of either branch come out of the loop
    x, y = normal(seed, "x", samples, WIDTH), normal(seed, "y", samples, WIDTH)
    ours = graph.backward(x, y, variables="x")
    leaf, (w, w0, w1) = x.clone().requires_grad_(), split(graph.weights, once, one, other)
    taken, costs = set(), []
    for p in range(samples):
        z = leaf[p]
        for _ in range(min(4, math.floor(z.norm().item()))):
            a, b = once.views(w)
            z = a @ z + b
        branch = int(z.norm().item() > 2)
        taken.add(branch)
        a, b = one.views((w0, w1)[branch])
        costs.append((a @ z + b - y[p]).square().sum())
    if len(taken) < 2:
        return math.nan  # nothing was said of one branch
    torch.stack(costs).mean().backward()
    truth = {"x": leaf.grad, "loop": w.grad}
    if w0.grad is not None and w1.grad is not None:
        truth["if"] = torch.cat((w0.grad, w1.grad))
    return largest(*(relative(ours.by_variable[name], g) for name, g in truth.items() if g is not None))


@row(
    "T6",
    says="The graph may depend on the data, by conditions and loops",
    measures="largest relative difference of gradients through an if and a loop to those of the program as torch code",
    criterion=AtMost(1e-10),
    wrong={
        mistake: mistaken(program, mistake)
        for mistake in ("one pass of a loop", "weights of the last pass of a loop only")
    },
)
def a_condition_and_a_loop(seed: int, fast: bool) -> float:
    return program(seed)


def naive_loss(scores: Tensor, y: Tensor) -> Tensor:
    """−log(softmax(scores)_y), in two pieces."""
    p = scores.exp() / scores.exp().sum(1, keepdim=True)
    return -p.gather(1, y[:, None])[:, 0].log()


def in_one_piece(scores: Tensor, y: Tensor) -> Tensor:
    return bp.CrossEntropy().forward((scores, y))


def in_two_modules(scores: Tensor, y: Tensor) -> Tensor:
    return -bp.LogSoftmax().forward(scores).gather(1, y[:, None])[:, 0]


def not_finite(seed: int, loss: Callable[[Tensor, Tensor], Tensor], size: float = 1e3) -> float:
    """Count losses that are infinite or NaN, of 1,000 samples with scores of ± size."""
    scores = size * normal(seed, "scores", 1000, 10).sign()
    return float((~loss(scores, classes(seed, "classes", 1000, 10)).isfinite()).sum())


@row(
    "T7",
    says="The logarithm and the softmax in one module are stable where the two one after the other are not",
    measures="losses that are not finite, of 1,000 samples with scores of ± 1,000",
    criterion=Equals(0),
    wrong={"log(softmax)": lambda seed, fast: not_finite(seed, naive_loss)},
)
def losses_at_large_scores(seed: int, fast: bool) -> float:
    return largest(*(not_finite(seed, loss) for loss in (in_one_piece, in_two_modules)))


def slope_of_scores(seed: int, size: float = 1e3) -> float:
    """Return the largest error of ∂C/∂scores = softmax − onehot, of scores whose softmax is known exactly."""
    y = classes(seed, "classes", 1000, 10)
    one = torch.nn.functional.one_hot(y, 10).double()
    best = classes(seed, "best", 1000, 10)
    scores = torch.full((1000, 10), -size, dtype=FLOAT64).scatter(1, best[:, None], size)
    softmax = torch.nn.functional.one_hot(best, 10).double()  # e^−2000 is 0
    v = torch.ones(1000, dtype=FLOAT64)
    whole, _ = bp.CrossEntropy().vjp_state(v, (scores, y))
    pieces = bp.LogSoftmax().vjp_state(-one, scores)
    return largest(*(float((g - (softmax - one)).abs().max()) for g in (whole, pieces)))


@row(
    "T7",
    says="Its gradient is softmax − onehot, at scores of any size",
    measures="largest error of that for scores of ± 1,000",
    criterion=AtMost(1e-12),
    wrong={"softmax forgotten": mistaken(slope_of_scores, "softmax forgotten")},
)
def slopes_at_large_scores(seed: int, fast: bool) -> float:
    return slope_of_scores(seed)
