"""The chain rule: of one function, of many in a row, of a sum, and in general, with Jacobians.

(L60–L62, L65, L68, L76–L78)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from experiments.common.acceptance import AtLeast, AtMost, Equals, largest, row
from experiments.common.random_graphs import random_graph, values_of
from experiments.lecture.draws import FLOAT64, apart, judged, normal, regression, relative

import torch
from torch import Tensor

from rllab import backprop as bp

STEP = 6e-6  # of central differences: the cube root of the rounding unit of float64
ACTIVATIONS: dict[str, tuple[bp.Pointwise, Callable[[Tensor], Tensor]]] = {
    "relu": (bp.ReLU(), torch.relu),
    "tanh": (bp.Tanh(), torch.tanh),
    "sigmoid": (bp.Sigmoid(), torch.sigmoid),
    "softplus": (bp.Softplus(), torch.nn.functional.softplus),
    "identity": (bp.Identity(), lambda s: s),
}


def differences(f: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    """Return central differences of a function (…) → () in every entry of `at`."""
    steps = STEP * torch.eye(at.numel(), dtype=at.dtype).view(-1, *at.shape)
    return torch.stack([(f(at + e) - f(at - e)) / (2 * STEP) for e in steps]).view(at.shape)


@row("L60", AtMost(1e-6), wrong={"h' forgotten": {"slope": False}})
def one_function_in_a_black_box(seed: int, fast: bool, slope: bool = True) -> float:
    """Isolate one h: with the rest a black box, ∂c/∂s is ∂c/∂z times h'(s); ∂c/∂x and ∂c/∂y come out too.

    Measures: worst relative error of ∂c/∂s by that rule, the rest by differences, and of ∂c/∂x, ∂c/∂y.
    """
    graph, x, y = regression(seed, (4, 5, 3), samples=2)
    values, g = values_of(graph, (x, y)), graph.backward(x, y, variables=("x", "y", "s1")).by_variable
    above = differences(graph.rest("z1", x, y), values["z1"])
    # ∂c/∂s = ∂c/∂z h'(s)
    rule = bp.Tanh().vjp_state(above, values["s1"]) if slope else above
    whole = [relative(differences(graph.rest(name, x, y), values[name]), g[name]) for name in ("x", "y")]
    return largest(relative(rule, g["s1"]), *whole)


@row("L61", AtMost(1e-10), wrong={"g' taken at s": {"at_s": True}})
def chain_of_two(seed: int, fast: bool, at_s: bool = False) -> float:
    """The derivative of g(h(s)) is g'(h(s)) h'(s).

    Measures: worst relative error against autograd, of 25 pairs of five functions.
    """
    s, worst = normal(seed, "s", 1, 9), 0.0
    for h, h_torch in ACTIVATIONS.values():
        for g, g_torch in ACTIVATIONS.values():
            leaf = s.clone().requires_grad_()
            (truth,) = torch.autograd.grad(g_torch(h_torch(leaf)).sum(), leaf)
            # (g ∘ h)'(s) = g'(h(s)) h'(s)
            outer = g.vjp_state(torch.ones_like(s), s if at_s else h.forward(s))
            worst = largest(worst, relative(h.vjp_state(outer, s), truth))
    return worst


@row("L62", AtMost(1e-10), wrong={"the last one forgotten": {"fast": True, "forgotten": 1}})
def chain_of_many(seed: int, fast: bool, forgotten: int = 0) -> float:
    """Through a chain of functions all slopes multiply, down to the bottom.

    Measures: worst relative error of the product against autograd, chains of 1 to 50 functions.
    """
    worst, s = 0.0, normal(seed, "s", 1, 6)
    for depth in (1, 2, 50) if fast else range(1, 51):
        chain = [list(ACTIVATIONS.values())[1 + (seed + k) % 3] for k in range(depth)]
        leaf, below = s.clone().requires_grad_(), [s]
        top = leaf
        for h, h_torch in chain:
            top = h_torch(top)
            below.append(h.forward(below[-1]))
        (truth,) = torch.autograd.grad(top.sum(), leaf)
        product = torch.ones_like(s)
        for (h, _), z in zip(chain[::-1][: depth - forgotten], below[-2::-1], strict=False):
            product = h.vjp_state(product, z)
        worst = largest(worst, relative(product, truth))
    return worst


@row("L62", AtLeast(1.0), wrong={"identities, whose slope is 1": {"h": ACTIVATIONS["identity"][0]}})
def gradients_fade(seed: int, fast: bool, h: bp.Module = ACTIVATIONS["tanh"][0]) -> float:
    """So a gradient fades through many functions of slope below 1.

    Measures: powers of ten by which it shrinks through 50 tanh, the median of 101 starts drawn from N(0, 1).
    Note: the number is of the seed where it shrinks least; in the median over seeds it is 1.83, a factor of 67.
    """
    s = normal(seed, "s", 1, 101)
    below, product = [s], torch.ones_like(s)
    for _ in range(50):
        below.append(h.forward(below[-1]))
    for z in below[-2::-1]:
        product = h.vjp_state(product, z)
    return -math.log10(float(product.abs().median()))


@dataclass(frozen=True)
class WithoutSlope(bp.Tanh):
    """A mistake: h' forgotten."""

    def _vjp_state(self, v: Tensor, z: Tensor, w: Any, y: Tensor, out: Tensor | None = None) -> Tensor:
        return v


@row("L65", AtMost(1e-6), wrong={"h' forgotten": {"h": WithoutSlope()}})
def perturbation_and_chain_rule(seed: int, fast: bool, h: bp.Module = ACTIVATIONS["tanh"][0]) -> float:
    """Wiggling a variable and seeing what the cost does, and the chain rule, agree.

    Measures: worst relative difference, over every variable of a network.
    """
    first = bp.Block("first", bp.Linear(4, 5), ("x",), ("s",))
    second = bp.Block("second", bp.Linear(5, 2), ("z",), ("out",))
    graph = judged([first, bp.Block("h", h, ("s",), ("z",)), second], seed)
    x, y = normal(seed, "x", 3, 4), normal(seed, "y", 3, 2)
    explicit, moved = (
        graph.backward(x, y, variables=graph.continuous, engine=engine).by_variable
        for engine in ("explicit", "differences")
    )
    return largest(*(relative(explicit[name], moved[name]) for name in explicit))


@row("L68", AtMost(1e-12), wrong={"the weights used forwards": {"transposed": True}})
def weights_used_backwards(seed: int, fast: bool, transposed: bool = False) -> float:
    """∂C/∂z = Σ_k ∂C/∂s_k w_k: the same weights, used backwards.

    Measures: relative difference of that sum from the backward product of a linear layer.
    """
    module = bp.Linear(4, 4)
    w, z, v = module.initial(seed), normal(seed, "z", 1, 4), normal(seed, "v", 1, 4)
    matrix = module.views(w)[0]
    # ∂C/∂z_j = Σ_k ∂C/∂s_k w_kj
    sums = [sum(float(v[0, k] * (matrix[j, k] if transposed else matrix[k, j])) for k in range(4)) for j in range(4)]
    return relative(torch.tensor(sums, dtype=FLOAT64), module.vjp_state(v, z, w)[0])


@row("L68", AtMost(1e-12), wrong={"one branch left out": {"summed": 2}})
def branches_add_up(seed: int, fast: bool, summed: int = 3) -> float:
    """A value that is read three times gets the sum of three gradients.

    Measures: relative difference of the sum over branches from the graph's gradient.
    """
    blocks = [bp.Block("tanh", bp.Tanh(), ("x",), ("z",))]
    blocks += [bp.Block(f"branch{k}", bp.Linear(3, 3), ("z",), (f"s{k}",)) for k in range(3)]
    blocks.append(bp.Block("sum", bp.Add(3), ("s0", "s1", "s2"), ("out",)))
    graph = judged(blocks, seed)
    x, y = normal(seed, "x", 2, 3), normal(seed, "y", 2, 3)
    g = graph.backward(x, y, variables=graph.continuous).by_variable
    parts = [g[f"s{k}"] @ graph.weights_of(f"branch{k}")["weight"] for k in range(summed)]
    return relative(torch.stack(parts).sum(0), g["z"])


@row("L76", AtMost(1e-10), wrong={"Jacobians transposed": {"transposed": True}})
def row_vector_times_jacobian(seed: int, fast: bool, transposed: bool = False) -> float:
    """Row vectors on the left, Jacobians on the right: [1 × d_f] = [1 × d_g] [d_g × d_f].

    Measures: worst relative error of that product, block by block, against torch's gradients laid down as rows.
    """
    graph, x, y = regression(seed, (4, 6, 3), samples=1)
    g, values, worst = graph.backward(x, y, variables=graph.continuous), values_of(graph, (x, y)), 0.0
    truth = graph.backward(x, y, variables=graph.continuous, engine="autograd").by_variable
    for block in graph.blocks[:-1]:
        below, above = block.reads[0], block.computes[0]
        w = torch.cat([t.flatten() for t in graph.weights_of(block.name).values()]) if block.module.size else None
        jacobian, v = block.module.jacobian_state(values[below], w)[0], g.row_grad(above)
        jacobian = jacobian.T if transposed else jacobian
        if v.shape[1] != jacobian.shape[0] or jacobian.shape[1] != values[below].numel():
            return math.inf
        worst = largest(worst, relative(v @ jacobian, truth[below].reshape(1, -1)))
    return worst


@row("L77", Equals(0), wrong={"all laid down as rows": {"rows": True}})
def size_of_a_gradient(seed: int, fast: bool, rows: bool = False) -> float:
    """The gradient has the size of what it is the gradient of.

    Measures: variables of 20 random graphs whose gradient has another shape.
    """
    count = 0
    for k in range(3 if fast else 20):
        graph, observed = random_graph(100 * seed + k)
        g, values = graph.backward(*observed, variables=graph.continuous), values_of(graph, observed)
        shapes = {name: t.shape for name, t in values.items() if not graph.variables[name].discrete}
        count += sum((g.row_grad(name) if rows else g.by_variable[name]).shape != shapes[name] for name in shapes)
        count += g.weights.shape != graph.weights.shape
    return float(count)


@row("L78", AtMost(1e-6), wrong={"input i and output j, as printed": {"transposed": True}})
def entries_by_column(seed: int, fast: bool, transposed: bool = False) -> float:
    """Entry (i, j) of a Jacobian is the derivative of output i with respect to input j.

    Measures: relative error of a linear layer's Jacobian against one made of differences, column by column.
    """
    module = bp.Linear(4, 4)
    w, z = module.initial(seed), normal(seed, "z", 1, 4)
    jacobian = module.jacobian_state(z, w)[0]
    steps = STEP * torch.eye(4, dtype=FLOAT64)
    columns = [(module.forward(z + e, w) - module.forward(z - e, w))[0] / (2 * STEP) for e in steps]
    return relative(jacobian.T if transposed else jacobian, torch.stack(columns, 1))


@row("L78", AtMost(1e-10), wrong={"transposed": {"transposed": True}})
def entries_by_torch(seed: int, fast: bool, transposed: bool = False) -> float:
    """and so it is for every module.

    Measures: largest error of the Jacobians of seven modules against jacrev.
    """
    z, worst = normal(seed, "z", 1, 4), 0.0
    for module in (bp.Linear(4, 4), *(h for h, _ in ACTIVATIONS.values()), bp.LogSoftmax()):
        w = module.initial(seed) if module.size else None
        truth = torch.func.jacrev(lambda t, module=module, w=w: module.forward(t[None], w)[0])(z[0])
        ours = module.jacobian_state(z, w)[0]
        worst = largest(worst, apart(ours.T if transposed else ours, truth))
    return worst
