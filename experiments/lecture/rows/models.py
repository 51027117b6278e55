"""What a parametrised model is: a pure function of input and weights, which are arguments alike.      (L1–L13)"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

from experiments.common.acceptance import AtLeast, AtMost, Equals, largest, row
from experiments.common.data import diabetes, digits
from experiments.lecture.rows.draws import classes, normal, predict, relative

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from rllab import backprop as bp

FLOAT64 = torch.float64


def twin(sizes: tuple[int, ...]) -> nn.Sequential:
    """Return a torch network of linear layers with ReLU between, its parameters not set."""
    parts: list[nn.Module] = []
    for fan_in, fan_out in pairwise(sizes):
        parts += [nn.utils.skip_init(nn.Linear, fan_in, fan_out, dtype=FLOAT64), nn.ReLU()]
    return nn.Sequential(*parts[:-1])


def named(net: nn.Module, weights: Tensor) -> dict[str, Tensor]:
    """Return a flat vector of weights as parameters of a torch network by name."""
    shapes = {name: p.shape for name, p in net.named_parameters()}
    parts = weights.split([shape.numel() for shape in shapes.values()])
    return {name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}


def regression(seed: int, sizes: tuple[int, ...] = (5, 6, 3), samples: int = 4) -> tuple[bp.Graph, Tensor, Tensor]:
    """Return a network with a squared distance on top, and samples for it."""
    graph = bp.mlp(sizes, "squared_distance", activation="tanh", key=seed, dtype=FLOAT64)
    return graph, normal(seed, "x", samples, sizes[0]), normal(seed, "y", samples, sizes[-1])


def _against_torch(seed: int, biases: float) -> float:
    sizes = (6, 5, 4)
    graph = bp.mlp(sizes, key=seed, dtype=FLOAT64)
    x, net = normal(seed, "x", 7, 6), twin(sizes)
    parameters = {n: p * (biases if n.endswith("bias") else 1.0) for n, p in named(net, graph.weights).items()}
    return float((predict(graph, x) - functional_call(net, parameters, x)).abs().max())


@row(
    "L1",
    says="A model is a function of its input and its trainable parameters, and of nothing else",
    measures="largest difference between graph.predict(x, weights=w) and torch's functional call with the same w",
    criterion=Equals(0),
    wrong={"biases left away": lambda seed, fast: _against_torch(seed, 0.0)},
)
def function_of_input_and_weights(seed: int, fast: bool) -> float:
    return _against_torch(seed, 1.0)


def _slots(seed: int, factor: float) -> float:
    graph, x, y = regression(seed)
    got, truth = (graph.backward(x, y, variables="x", engine=e).by_variable for e in ("explicit", "differences"))
    return largest(
        relative(got["x"], truth["x"]), *(relative(factor * got[w], truth[w]) for w in ("linear1", "linear2"))
    )


@row(
    "L2",
    says="There is no fundamental difference between x and w: the same sweep gives both gradients",
    measures="largest relative error of the gradients with respect to x and to each layer's w, against differences",
    criterion=AtMost(1e-6),
    wrong={"w's gradient summed over samples": lambda seed, fast: _slots(seed, 4.0)},
)
def one_sweep_for_both(seed: int, fast: bool) -> float:
    return _slots(seed, 1.0)


def _descend_on_x(seed: int, rate: float) -> float:
    graph, x, _ = regression(seed)
    y = predict(graph, normal(seed, "another x", *x.shape))  # within reach
    start = float(graph.loss_per_sample(x, y).mean())
    for _ in range(100):
        x = x - rate * len(x) * graph.backward(x, y, variables="x").by_variable["x"]
    return float(graph.loss_per_sample(x, y).mean()) / start


@row(
    "L2",
    says="Descending on the input with frozen weights works as descending on the weights does",
    measures="share of the cost that is left after 100 steps on x alone",
    criterion=AtMost(0.5),
    wrong={"uphill": lambda seed, fast: _descend_on_x(seed, -0.1)},
)
def descent_on_the_input(seed: int, fast: bool) -> float:
    return _descend_on_x(seed, 0.5)


def _mean_of_samples(seed: int, combine: Any) -> float:
    graph, x, y = regression(seed)
    each = torch.stack([graph.backward(x[p : p + 1], y[p : p + 1]).weights for p in range(len(x))])
    return relative(combine(each, 0), graph.backward(x, y).weights)


@row(
    "L3",
    says="w is shared by all samples, so its gradient is the average of theirs",
    measures="relative error of the mean of the samples' gradients, against the batch's",
    criterion=AtMost(1e-10),
    wrong={"their sum": lambda seed, fast: _mean_of_samples(seed, torch.sum)},
)
def shared_weights(seed: int, fast: bool) -> float:
    return _mean_of_samples(seed, torch.mean)


def _cross_terms(seed: int, prepare: Any) -> float:
    graph, x, y = regression(seed)
    jacobian = torch.autograd.functional.jacobian(lambda t: graph.loss_per_sample(prepare(t), y), x)
    assert isinstance(jacobian, Tensor)
    return largest(*(float(jacobian[p, q].abs().max()) for p in range(len(x)) for q in range(len(x)) if p != q))


@row(
    "L3",
    says="x varies from sample to sample: no sample's loss depends on another's input",
    measures="largest |∂L_p/∂x_q|, p ≠ q",
    criterion=Equals(0),
    wrong={"inputs centred over the batch": lambda seed, fast: _cross_terms(seed, lambda t: t - t.mean(0))},
)
def samples_do_not_mix(seed: int, fast: bool) -> float:
    return _cross_terms(seed, lambda t: t)


def _inside_or_given(seed: int, keep: bool) -> float:
    graph, x, y = regression(seed)
    w = graph.weights
    for _ in range(10):
        w = w - 0.1 * graph.backward(x, y, weights=w).weights
        if keep:
            graph.weights = graph.weights - 0.1 * graph.backward(x, y).weights
    return float((predict(graph, x) - predict(graph, x, weights=w)).abs().max())


@row(
    "L4",
    says="Weights kept inside an object change nothing: it is the same function with an argument hidden",
    measures="largest difference of outputs with weights inside and given, after 10 updates of each",
    criterion=Equals(0),
    wrong={"the object's weights are not updated": lambda seed, fast: _inside_or_given(seed, False)},
)
def implicit_weights(seed: int, fast: bool) -> float:
    return _inside_or_given(seed, True)


def _depends_on_y(seed: int, leak: bool) -> float:
    graph, x, y = regression(seed, (5, 3))
    if leak:
        blocks = [
            bp.Block("linear", bp.Linear(5, 3), ("x",), ("s",)),
            bp.Block("leak", bp.Add(), ("s", "y"), ("out",)),
            bp.Block("cost", bp.SquaredDistance(), ("out", "y"), ("C",)),
        ]
        graph = bp.Graph(blocks, {"x": False, "y": False}, output="out", cost="C", key=seed, dtype=FLOAT64)
    outputs = [predict(graph, x, y), predict(graph, x, y.flip(0)), *([] if leak else [predict(graph, x)])]
    return largest(*(float((out - outputs[0]).abs().max()) for out in outputs))


@row(
    "L5",
    says="The true y enters the cost in training only; a prediction never reads it",
    measures="largest change of ȳ when y is swapped or left away",
    criterion=Equals(0),
    wrong={"y leaks into the model": lambda seed, fast: _depends_on_y(seed, True)},
)
def prediction_without_y(seed: int, fast: bool) -> float:
    return _depends_on_y(seed, False)


def _linear_gradient(seed: int, factor: float) -> float:
    graph, x, y = regression(seed, (5, 1), samples=1)
    g = graph.backward(x, y).by_variable["linear1"][:5]
    return relative(factor * -(y - predict(graph, x))[0] * x[0], g)


@row(
    "L7",
    says="Of the linear model Σ w_i x_i under squared distance the gradient is −2(y − ȳ)x",
    measures="relative error of that formula, against the graph's gradient",
    criterion=AtMost(1e-10),
    wrong={"without the 2": lambda seed, fast: _linear_gradient(seed, 1.0)},
)
def gradient_of_the_linear_model(seed: int, fast: bool) -> float:
    return _linear_gradient(seed, 2.0)


def _regress(seed: int, fast: bool, pace: float) -> float:
    sample = diabetes().draw(400, seed)
    x, y = sample.x[:, : 4 if fast else 10] * math.sqrt(len(sample)), sample.y  # columns of length √n
    x, y = x - x.mean(0), y - y.mean()  # the graph's layer has a bias; now it is 0
    graph = bp.mlp((x.shape[1], 1), "squared_distance", key=seed, dtype=FLOAT64)
    curvature = torch.linalg.eigvalsh(2 * x.T @ x / len(x))
    # the bias has the curvature 2
    eta = pace * 2 / (max(2.0, float(curvature[-1])) + float(curvature[0]))
    w = graph.weights
    for _ in range(120 if fast else 5_000):
        w = w - eta * graph.backward(x, y, weights=w).weights
    return relative(w[:-1], torch.linalg.lstsq(x, y).solution[:, 0])


@row(
    "L7",
    says="Gradient descent on it ends at the least-squares solution (diabetes, 400 patients)",
    measures="relative error of the weights against lstsq",
    criterion=AtMost(1e-6),
    wrong={"2.2 times the longest stable step": lambda seed, fast: _regress(seed, True, 2.2)},
)
def descent_solves_least_squares(seed: int, fast: bool) -> float:
    return _regress(seed, fast, 1.0)


def _nearest(seed: int, fast: bool, last_of_equals: bool) -> float:
    images = digits().x
    if fast:
        images = images[:300]
    rows = digits().draw(10, seed).x
    rows = torch.cat((rows, rows.flip(0)))  # each twice, so that there are ties everywhere
    module = bp.NearestRow(len(rows), 64)
    got = module.forward(images, (rows.flip(0) if last_of_equals else rows).flatten())
    if got.dtype.is_floating_point:
        return math.nan
    if last_of_equals:
        got = len(rows) - 1 - got
    a, b = ((t * 16).numpy().astype(np.int64) for t in (images, rows))  # grey levels: exact in integers
    truth = np.array([np.argmin([((x - w) ** 2).sum() for w in b]) for x in a])
    return float((got.numpy() == truth).mean())


@row(
    "L8",
    says="Nearest neighbour is a model too: ȳ = argmin_k ‖x − w_k‖², an integer; the lowest k of equals",
    measures="share of digits on which it is the same as brute force in integers, every row of w standing there twice",
    criterion=Equals(1),
    wrong={"the last of equals": lambda seed, fast: _nearest(seed, fast, True)},
)
def nearest_neighbour(seed: int, fast: bool) -> float:
    return _nearest(seed, fast, False)


@dataclass(frozen=True)
class SoftNearest(bp.NearestRow):
    """A mistake: the relaxed argmin, a mean of numbers of rows."""

    differentiable: ClassVar[bool] = True

    def _forward(self, z: Tensor, w: Any, out: Tensor | None = None) -> Tensor:
        k = torch.arange(self.rows, dtype=z.dtype)
        return torch.softmax(-(z[:, None] - w[0]).square().sum(-1), -1) @ k

    def _vjp_state(self, v: Tensor, z: Tensor, w: Any, y: Tensor, out: Tensor | None = None) -> Tensor:
        return torch.func.vjp(lambda t: self._forward(t, w), z)[1](v)[0]


def _ways_through(seed: int, module: bp.NearestRow) -> float:
    """Count the ways in which a gradient gets through: torch's, the module's product."""
    z = normal(seed, "z", 4, module.width).requires_grad_()
    w = module.initial(seed)
    torchs = module.forward(z, w).requires_grad
    try:
        module.vjp_state(torch.ones(4, dtype=FLOAT64), z.detach(), w)
    except ValueError:
        return float(torchs)
    return 1.0 + torchs


@row(
    "L8",
    says="It has no gradient, and says so",
    measures="ways in which a gradient gets through it: autograd, the module's own product",
    criterion=Equals(0),
    wrong={"argmin relaxed": lambda seed, fast: _ways_through(seed, SoftNearest(3, 2))},
)
def nearest_neighbour_has_no_gradient(seed: int, fast: bool) -> float:
    return _ways_through(seed, bp.NearestRow(3, 2))


def _kinds(seed: int, module: bp.NearestRow) -> float:
    """Count what is wrong about the variables of x → module → k → cost ← y, and the refusal of a gradient."""
    blocks = [bp.Block("choose", module, ("x",), ("k",)), bp.Block("error", bp.ZeroOne(), ("k", "y"), ("C",))]
    graph = bp.Graph(blocks, {"x": False, "y": True}, output="k", cost="C", key=seed, dtype=FLOAT64)
    found = {name: (v.observed, v.discrete) for name, v in graph.variables.items()}
    wanted = {"x": (True, False), "y": (True, True), "k": (False, True), "C": (False, False)}
    mistakes = sum(found[name] != wanted[name] for name in wanted)
    try:
        graph.backward(normal(seed, "x", 4, 2), classes(seed, "y", 4, 3), variables="x")
    except ValueError as error:
        return float(mistakes + (not all(f"'{name}'" in str(error) for name in ("choose", "x"))))
    return mistakes + 1.0


@row(
    "L10",
    says="Variables are observed or computed, continuous or discrete; a gradient to a discrete one is refused by name",
    measures="variables with a wrong kind, and refusals that do not come or name nothing",
    criterion=Equals(0),
    wrong={"a choice taken for a number": lambda seed, fast: _kinds(seed, _Continuous(3, 2))},
)
def kinds_of_variables(seed: int, fast: bool) -> float:
    return _kinds(seed, bp.NearestRow(3, 2))


@dataclass(frozen=True)
class _Continuous(bp.NearestRow):
    discrete: ClassVar[bool] = False


@dataclass(frozen=True)
class Square(bp.Module):
    """(a, b) to (a² − b², 2ab), by components: the square of a complex number, two inputs and two outputs."""

    swapped: bool = False  # a mistake
    inputs: ClassVar[int] = 2
    outputs: ClassVar[int] = 2

    def _forward(self, z: Any, w: Any, out: Any = None) -> tuple[Tensor, Tensor]:
        a, b = z
        return a * a - b * b, 2 * a * b

    def _vjp_state(self, v: Any, z: Any, w: Any, y: Any, out: Any = None) -> tuple[Tensor, Tensor]:
        a, b = z
        first, second = 2 * (v[0] * a + v[1] * b), 2 * (v[1] * a - v[0] * b)
        return (second, first) if self.swapped else (first, second)


def _four_blocks(seed: int, module: Square) -> float:
    z = (normal(seed, "a", 1, 3), normal(seed, "b", 1, 3))
    truth = torch.autograd.functional.jacobian(lambda *t: torch.cat(module.forward(t), 1)[0], z)
    pairs = zip(module.jacobian_state(z), truth, strict=True)
    return largest(*(float((ours[0] - theirs[:, 0]).abs().max()) for ours, theirs in pairs))


@row(
    "L11",
    says="A block is a deterministic function that may have many inputs and many outputs",
    measures="largest error in the four Jacobian blocks of two inputs and two outputs, against autograd",
    criterion=AtMost(1e-10),
    wrong={"gradients of the inputs swapped": lambda seed, fast: _four_blocks(seed, Square(swapped=True))},
)
def many_inputs_and_outputs(seed: int, fast: bool) -> float:
    return _four_blocks(seed, Square())


@row(
    "L13",
    says="The rounded side of a block is the direction that is easy: backwards takes a search",
    measures="forward calls to find, by gradient descent, an x whose output is given (64 → 10 numbers, within 1e-6)",
    criterion=AtLeast(100),
    note="by plain gradient descent; a method with Jacobians needs fewer, and never one",
)
def calls_to_invert(seed: int, fast: bool) -> float:
    graph = bp.mlp((64, 30, 10), "squared_distance", activation="tanh", key=seed, dtype=FLOAT64)
    wanted, x = predict(graph, 0.5 * normal(seed, "x", 1, 64)), torch.zeros(1, 64, dtype=FLOAT64)
    for calls in range(1, 20_000):
        g = graph.backward(x, wanted, variables="x")
        if float(g.loss) <= 1e-12:
            return float(calls)
        if not g.loss.isfinite():
            break
        x = x - 0.5 * g.by_variable["x"]
    return math.nan


def _far_with_the_same_output(seed: int, along: str) -> float:
    graph = bp.mlp((64, 30, 10), key=seed, dtype=FLOAT64)
    first = graph.weights[: 30 * 64].view(30, 64)
    x, step = normal(seed, "x", 1, 64), normal(seed, "step", 64)
    if along == "null space":
        step = step - torch.linalg.pinv(first) @ (first @ step)
    return float((predict(graph, x + step / step.norm()) - predict(graph, x)).abs().max())


@row(
    "L13",
    says="Nor is there one way back: inputs at distance 1 have the same output",
    measures="difference of the outputs of two inputs at distance 1 along the null space of the first layer",
    criterion=AtMost(1e-9),
    wrong={"along a random direction": lambda seed, fast: _far_with_the_same_output(seed, "anywhere")},
)
def no_unique_inverse(seed: int, fast: bool) -> float:
    return _far_with_the_same_output(seed, "null space")
