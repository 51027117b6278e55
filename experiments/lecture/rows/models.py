"""What a parametrised model is: a pure function of input and weights, which are arguments alike.      (L1–L13)"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import permutations
from typing import Any, ClassVar

from experiments.common.acceptance import AtLeast, AtMost, Equals, largest, row
from experiments.common.data import diabetes, digits
from experiments.lecture.draws import (
    FLOAT64,
    apart,
    classes,
    each_gradient,
    judged,
    normal,
    predict,
    regression,
    relative,
)

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from rllab import backprop as bp

NEAREST = bp.NearestRow(3, 2)


@row("L1", Equals(0), wrong={"biases left away": {"biases": 0.0}})
def function_of_input_and_weights(seed: int, fast: bool, biases: float = 1.0) -> float:
    """A model is a function of its input and its trainable parameters, and of nothing else.

    Measures: largest difference between graph.predict(x, weights=w) and torch's functional call with the same w.
    """
    graph, x = bp.mlp((6, 5, 4), key=seed, dtype=FLOAT64), normal(seed, "x", 7, 6)
    first, second = (nn.utils.skip_init(nn.Linear, *sizes, dtype=FLOAT64) for sizes in ((6, 5), (5, 4)))
    net = nn.Sequential(first, nn.ReLU(), second)
    shapes = {name: p.shape for name, p in net.named_parameters()}
    parts = graph.weights.split([shape.numel() for shape in shapes.values()])
    parameters = {
        name: part.view(shape) * (biases if name.endswith("bias") else 1.0)
        for (name, shape), part in zip(shapes.items(), parts, strict=True)
    }
    return apart(predict(graph, x), functional_call(net, parameters, x))


@row("L2", AtMost(1e-6), wrong={"w's gradient summed over samples": {"factor": 4.0}})
def one_sweep_for_both(seed: int, fast: bool, factor: float = 1.0) -> float:
    """There is no fundamental difference between x and w: the same sweep gives both gradients.

    Measures: largest relative error of the gradients with respect to x and to each layer's w, against differences.
    """
    graph, x, y = regression(seed)
    got, truth = (graph.backward(x, y, variables="x", engine=e).by_variable for e in ("explicit", "differences"))
    of_weights = [relative(factor * got[w], truth[w]) for w in ("linear1", "linear2")]
    return largest(relative(got["x"], truth["x"]), *of_weights)


@row("L2", AtMost(0.5), wrong={"uphill": {"rate": -0.1}})
def descent_on_the_input(seed: int, fast: bool, rate: float = 0.5) -> float:
    """Descending on the input with frozen weights works as descending on the weights does.

    Measures: share of the cost that is left after 100 steps on x alone.
    """
    graph, x, _ = regression(seed)
    y = predict(graph, normal(seed, "another x", *x.shape))  # within reach
    start = float(graph.loss_per_sample(x, y).mean())
    for _ in range(100):
        x = x - rate * len(x) * graph.backward(x, y, variables="x").by_variable["x"]
    return float(graph.loss_per_sample(x, y).mean()) / start


@row("L3", AtMost(1e-10), wrong={"their sum": {"combine": torch.sum}})
def shared_weights(seed: int, fast: bool, combine: Any = torch.mean) -> float:
    """w is shared by all samples, so its gradient is the average of theirs.

    Measures: relative error of the mean of the samples' gradients, against the batch's.
    """
    graph, x, y = regression(seed)
    return relative(combine(each_gradient(graph, x, y), 0), graph.backward(x, y).weights)


@row("L3", Equals(0), wrong={"inputs centred over the batch": {"prepare": lambda t: t - t.mean(0)}})
def samples_do_not_mix(seed: int, fast: bool, prepare: Any = lambda t: t) -> float:
    """x varies from sample to sample: no sample's loss depends on another's input.

    Measures: largest |∂L_p/∂x_q|, p ≠ q.
    """
    graph, x, y = regression(seed)
    jacobian = torch.autograd.functional.jacobian(lambda t: graph.loss_per_sample(prepare(t), y), x)
    assert isinstance(jacobian, Tensor)
    return largest(*(float(jacobian[p, q].abs().max()) for p, q in permutations(range(len(x)), 2)))


@row("L4", Equals(0), wrong={"the object's weights are not updated": {"keep": False}})
def implicit_weights(seed: int, fast: bool, keep: bool = True) -> float:
    """Weights kept inside an object change nothing: it is the same function with an argument hidden.

    Measures: largest difference of outputs with weights inside and given, after 10 updates of each.
    """
    graph, x, y = regression(seed)
    w = graph.weights
    for _ in range(10):
        w = w - 0.1 * graph.backward(x, y, weights=w).weights
        if keep:
            graph.weights = graph.weights - 0.1 * graph.backward(x, y).weights
    return apart(predict(graph, x), predict(graph, x, weights=w))


@row("L5", Equals(0), wrong={"y leaks into the model": {"leak": True}})
def prediction_without_y(seed: int, fast: bool, leak: bool = False) -> float:
    """The true y enters the cost in training only; a prediction never reads it.

    Measures: largest change of ȳ when y is swapped or left away.
    """
    graph, x, y = regression(seed, (5, 3))
    if leak:
        linear = bp.Block("linear", bp.Linear(5, 3), ("x",), ("s",))
        graph = judged([linear, bp.Block("leak", bp.Add(), ("s", "y"), ("out",))], seed)
    outputs = [predict(graph, x, y), predict(graph, x, y.flip(0)), *([] if leak else [predict(graph, x)])]
    return largest(*(apart(out, outputs[0]) for out in outputs))


@row("L7", AtMost(1e-10), wrong={"without the 2": {"factor": 1.0}})
def gradient_of_the_linear_model(seed: int, fast: bool, factor: float = 2.0) -> float:
    """Of the linear model Σ w_i x_i under squared distance the gradient is −2(y − ȳ)x.

    Measures: relative error of that formula, against the graph's gradient.
    """
    graph, x, y = regression(seed, (5, 1), samples=1)
    g = graph.backward(x, y).by_variable["linear1"][:5]
    return relative(factor * -(y - predict(graph, x))[0] * x[0], g)


@row("L7", AtMost(1e-6), wrong={"2.2 times the longest stable step": {"fast": True, "pace": 2.2}})
def descent_solves_least_squares(seed: int, fast: bool, pace: float = 1.0) -> float:
    """Gradient descent on it ends at the least-squares solution (diabetes, 400 patients).

    Measures: relative error of the weights against lstsq.
    """
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


@row("L8", Equals(1), wrong={"the last of equals": {"last_of_equals": True}})
def nearest_neighbour(seed: int, fast: bool, last_of_equals: bool = False) -> float:
    """Nearest neighbour is a model too: ȳ = argmin_k ‖x − w_k‖², an integer; the lowest k of equals.

    Measures: share of digits on which it is the same as brute force in integers, every row of w standing there twice.
    """
    images = digits().x[: 300 if fast else None]
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


@dataclass(frozen=True)
class SoftNearest(bp.NearestRow):
    """A mistake: the relaxed argmin, a mean of numbers of rows."""

    differentiable: ClassVar[bool] = True

    def _forward(self, z: Tensor, w: Any, out: Tensor | None = None) -> Tensor:
        k = torch.arange(self.rows, dtype=z.dtype)
        return torch.softmax(-(z[:, None] - w[0]).square().sum(-1), -1) @ k

    def _vjp_state(self, v: Tensor, z: Tensor, w: Any, y: Tensor, out: Tensor | None = None) -> Tensor:
        return torch.func.vjp(lambda t: self._forward(t, w), z)[1](v)[0]


@row("L8", Equals(0), wrong={"argmin relaxed": {"module": SoftNearest(3, 2)}})
def nearest_neighbour_has_no_gradient(seed: int, fast: bool, module: bp.NearestRow = NEAREST) -> float:
    """It has no gradient, and says so.

    Measures: ways in which a gradient gets through it: autograd, the module's own product.
    """
    z, w = normal(seed, "z", 4, module.width).requires_grad_(), module.initial(seed)
    torchs = module.forward(z, w).requires_grad
    try:
        module.vjp_state(torch.ones(4, dtype=FLOAT64), z.detach(), w)
    except ValueError:
        return float(torchs)
    return 1.0 + torchs


@dataclass(frozen=True)
class Continuous(bp.NearestRow):
    """A mistake: a choice taken for a number."""

    discrete: ClassVar[bool] = False


@row("L10", Equals(0), wrong={"a choice taken for a number": {"module": Continuous(3, 2)}})
def kinds_of_variables(seed: int, fast: bool, module: bp.NearestRow = NEAREST) -> float:
    """Variables are observed or computed, continuous or discrete; a gradient to a discrete one is refused by name.

    Measures: variables with a wrong kind, and refusals that do not come or name nothing.
    """
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


@dataclass(frozen=True)
class Square(bp.Module):
    """(a, b) to (a² − b², 2ab), by components: the square of a complex number, two inputs and two outputs."""

    inputs: ClassVar[int] = 2
    outputs: ClassVar[int] = 2

    def _forward(self, z: Any, w: Any, out: Any = None) -> tuple[Tensor, Tensor]:
        a, b = z
        return a * a - b * b, 2 * a * b

    def _vjp_state(self, v: Any, z: Any, w: Any, y: Any, out: Any = None) -> tuple[Tensor, Tensor]:
        a, b = z
        return 2 * (v[0] * a + v[1] * b), 2 * (v[1] * a - v[0] * b)


@dataclass(frozen=True)
class Swapped(Square):
    """A mistake: each input gets the other's gradient."""

    def _vjp_state(self, v: Any, z: Any, w: Any, y: Any, out: Any = None) -> tuple[Tensor, Tensor]:
        first, second = super()._vjp_state(v, z, w, y)
        return second, first


SQUARE = Square()


@row("L11", AtMost(1e-10), wrong={"gradients of the inputs swapped": {"module": Swapped()}})
def many_inputs_and_outputs(seed: int, fast: bool, module: bp.Module = SQUARE) -> float:
    """A block is a deterministic function that may have many inputs and many outputs.

    Measures: largest error in the four Jacobian blocks of two inputs and two outputs, against autograd.
    """
    z = (normal(seed, "a", 1, 3), normal(seed, "b", 1, 3))
    truth = torch.autograd.functional.jacobian(lambda *t: torch.cat(module.forward(t), 1)[0], z)
    pairs = zip(module.jacobian_state(z), truth, strict=True)
    return largest(*(apart(ours[0], theirs[:, 0]) for ours, theirs in pairs))


@row("L13", AtLeast(100))
def calls_to_invert(seed: int, fast: bool) -> float:
    """The rounded side of a block is the direction that is easy: backwards takes a search.

    Measures: forward calls to find, by gradient descent, an x whose output is given (64 → 10 numbers, within 1e-6).
    Note: by plain gradient descent; a method with Jacobians needs fewer, and never one.
    """
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


@row("L13", AtMost(1e-9), wrong={"along a random direction": {"along": "anywhere"}})
def no_unique_inverse(seed: int, fast: bool, along: str = "null space") -> float:
    """Nor is there one way back: inputs at distance 1 have the same output.

    Measures: difference of the outputs of two inputs at distance 1 along the null space of the first layer.
    """
    graph = bp.mlp((64, 30, 10), key=seed, dtype=FLOAT64)
    first = graph.weights[: 30 * 64].view(30, 64)
    x, step = normal(seed, "x", 1, 64), normal(seed, "step", 64)
    if along == "null space":
        step = step - torch.linalg.pinv(first) @ (first @ step)
    return apart(predict(graph, x + step / step.norm()), predict(graph, x))
