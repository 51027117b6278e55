"""Networks as programs: joins, paths that depend on the data, log-softmax in one piece.     (L70, T4, T6, T7)"""

from __future__ import annotations

import math
from collections.abc import Callable

from experiments.common.acceptance import AtMost, Equals, largest, row
from experiments.lecture.draws import FLOAT64, apart, classes, judged, normal, relative
from experiments.lecture.wrong_rules import under, wrong

import torch
from torch import Tensor

from rllab import backprop as bp

N, WIDTH = 5, 4
Loss = Callable[[Tensor, Tensor], Tensor]


def split(flat: Tensor, *modules: bp.Module) -> list[Tensor]:
    """Return the weights of modules one after the other, as leaves of autograd's."""
    return [w.detach().clone().requires_grad_() for w in flat.split([module.size for module in modules])]


@row("L70", AtMost(1e-10), wrong=under("fan-out sum dropped", "factors not swapped"))
def residual_layer_with_a_gate(seed: int, fast: bool, mistake: str | None = None) -> float:
    """Networks need not be chains of layers: values are added past them and multiplied with each other.

    Measures: largest relative difference to torch code of a residual layer with a multiplicative gate.
    """
    square = bp.Linear(WIDTH, WIDTH)
    blocks = [
        bp.Block("W", square, ("x",), ("a",)),
        bp.Block("tanh", bp.Tanh(), ("a",), ("b",)),
        bp.Block("V", square, ("x",), ("c",)),
        bp.Block("gate", bp.Sigmoid(), ("c",), ("d",)),
        bp.Block("multiply", bp.Multiply(), ("b", "d"), ("e",)),
        bp.Block("add", bp.Add(), ("x", "e"), ("out",)),
    ]
    graph = judged(blocks, seed)
    x, y = normal(seed, "x", N, WIDTH), normal(seed, "y", N, WIDTH)
    with wrong(mistake):
        ours = graph.backward(x, y, variables="x")
    leaf, (w, v) = x.clone().requires_grad_(), split(graph.weights, square, square)
    (a, a0), (c, c0) = square.views(w), square.views(v)
    z = leaf + torch.sigmoid(leaf @ c.t() + c0) * torch.tanh(leaf @ a.t() + a0)
    (z - y).square().sum(1).mean().backward()
    truth = {"x": leaf.grad, "W": w.grad, "V": v.grad}
    return largest(*(relative(ours.by_variable[name], g) for name, g in truth.items() if g is not None))


@row("T4", AtMost(1e-12), wrong=under("copy drops a branch", "add to the first only", "max to all"))
def rules_of_joins(seed: int, fast: bool, mistake: str | None = None) -> float:
    """A copy adds its gradients, a sum copies its gradient, a maximum hands it to the largest alone.

    Measures: largest error of the three rules; what the loser of a maximum gets counts whole.
    """
    z, u, v = (normal(seed, name, N, WIDTH) for name in ("z", "u", "v"))
    with wrong(mistake):
        added = bp.Copy().vjp_state((u, v), z)
        first, second = bp.Add().vjp_state(v, (z, u))
        winner, loser = bp.Max().vjp_state(v, (torch.maximum(z, u) + 1, z))
    errors = (relative(added, u + v), relative(first, v), relative(second, v), relative(winner, v))
    return largest(*errors, float(loser.abs().max()))


def often(z: Tensor) -> Tensor:
    """How often a sample goes through the loop: once for each whole unit of its length, at most four times."""
    return z.norm(dim=1).floor().clamp(max=4).long()


def longer(z: Tensor) -> Tensor:
    """Which branch: 1 for samples longer than 2."""
    return (z.norm(dim=1) > 2).long()


@row("T6", AtMost(1e-10), wrong=under("one pass of a loop", "weights of the last pass of a loop only"))
def a_condition_and_a_loop(seed: int, fast: bool, mistake: str | None = None) -> float:
    """The graph may depend on the data, by conditions and loops.

    Measures: largest relative difference of gradients through an if and a loop to those of the program as torch code.
    """
    samples = 20
    once, one, other = bp.Linear(WIDTH, WIDTH), bp.Linear(WIDTH, WIDTH), bp.Linear(WIDTH, WIDTH)
    loop = bp.Block("loop", bp.Repeat(often, once), ("x",), ("r",))
    graph = judged([loop, bp.Block("if", bp.Switch(longer, (one, other)), ("r",), ("out",))], seed)
    graph.weights = 3 * graph.weights  # so that samples of either branch come out of the loop
    x, y = normal(seed, "x", samples, WIDTH), normal(seed, "y", samples, WIDTH)
    with wrong(mistake):
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


def naive_loss(scores: Tensor, y: Tensor) -> Tensor:
    """−log(softmax(scores)_y), in two pieces."""
    p = scores.exp() / scores.exp().sum(1, keepdim=True)
    return -p.gather(1, y[:, None])[:, 0].log()


def in_one_piece(scores: Tensor, y: Tensor) -> Tensor:
    return bp.CrossEntropy().forward((scores, y))


def in_two_modules(scores: Tensor, y: Tensor) -> Tensor:
    return -bp.LogSoftmax().forward(scores).gather(1, y[:, None])[:, 0]


@row("T7", Equals(0), wrong={"log(softmax)": {"losses": (naive_loss,)}})
def losses_at_large_scores(seed: int, fast: bool, losses: tuple[Loss, ...] = (in_one_piece, in_two_modules)) -> float:
    """The logarithm and the softmax in one module are stable where the two one after the other are not.

    Measures: losses that are not finite, of 1,000 samples with scores of ± 1,000.
    """
    scores, y = 1e3 * normal(seed, "scores", 1000, 10).sign(), classes(seed, "classes", 1000, 10)
    return largest(*(float((~loss(scores, y).isfinite()).sum()) for loss in losses))


@row("T7", AtMost(1e-12), wrong=under("softmax forgotten"))
def slopes_at_large_scores(seed: int, fast: bool, mistake: str | None = None) -> float:
    """Its gradient is softmax − onehot, at scores of any size.

    Measures: largest error of that for scores of ± 1,000.
    """
    y = classes(seed, "classes", 1000, 10)
    one = torch.nn.functional.one_hot(y, 10).double()
    best = classes(seed, "best", 1000, 10)
    scores = torch.full((1000, 10), -1e3, dtype=FLOAT64).scatter(1, best[:, None], 1e3)
    softmax = torch.nn.functional.one_hot(best, 10).double()  # e^−2000 is 0
    v = torch.ones(1000, dtype=FLOAT64)
    with wrong(mistake):
        whole, _ = bp.CrossEntropy().vjp_state(v, (scores, y))
        pieces = bp.LogSoftmax().vjp_state(-one, scores)
    return largest(*(apart(g, softmax - one) for g in (whole, pieces)))
