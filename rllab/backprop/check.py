"""Three-way check of a graph: its explicit gradients against autograd's and against differences, for every variable."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from rllab.backprop.evaluation import forward
from rllab.backprop.graph import Graph
from rllab.backprop.module import Weights
from rllab.backprop.order import Block
from rllab.backprop.writing import check_writing
from rllab.keys import Key
from rllab.noise import standard_normal


@dataclass(frozen=True)
class Check:
    """Relative errors by variable, (against autograd, against differences); `str` is the table.

    Args:
        errors: by variable, and by block for weights: (against autograd, against differences).
        tolerances: the largest errors allowed, in the same order.
        blocks: names of the blocks whose own products are not autograd's, if it failed.

    Example:
        import torch
        from rllab import backprop as bp

        net = bp.mlp((3, 4, 2), activation="tanh", dtype=torch.float64)
        print(bp.check_graph(net, torch.ones(5, 3).double(), torch.zeros(5).long()))
    """

    errors: dict[str, tuple[float, float]]
    tolerances: tuple[float, float]
    blocks: tuple[str, ...] = ()

    @property
    def worst(self) -> str:
        """Name of the variable that is furthest beyond, or nearest to, its tolerance."""
        return max(self.errors, key=lambda name: self._excess(name))

    @property
    def passed(self) -> bool:
        return self._excess(self.worst) <= 1.0

    def _excess(self, name: str) -> float:
        return max(e / t for e, t in zip(self.errors[name], self.tolerances, strict=True))

    def __str__(self) -> str:
        lines = [f"{'variable':<16} {'autograd':>10} {'differences':>12}"]
        lines += [f"{name:<16} {a:>10.1e} {d:>12.1e}" for name, (a, d) in self.errors.items()]
        lines.append(f"worst: {self.worst}, {'passed' if self.passed else 'FAILED'}")
        if not self.passed:
            found = f"wrong products of block {', '.join(self.blocks)}"
            lines.append(found if self.blocks else "each block's own products are autograd's")
        return "\n".join(lines)


def check_graph(
    graph: Graph, *observed: Tensor, weights: Tensor | None = None, tolerances: tuple[float, float] = (1e-9, 1e-5)
) -> Check:
    """Compare the three engines at these inputs, all in float64: explicit against autograd, and against differences.

    An error is relative to the variable's largest entry of gradient, which counts as at least 1e-5 of the loss where
    differences are concerned: they resolve no less. It is infinite where an entry is not a number.

    Args:
        graph: what is checked; its weights stay as they are.
        observed: the graph's inputs.
        weights: where it is checked, (d,); by default the graph's own, each moved by a normal number of standard
            deviation 0.1, always the same one: a wrong product may be right where a weight is 0 or 1.
        tolerances: the largest relative errors allowed, against autograd and against differences.

    Returns:
        Errors of every continuous variable and of every block's weights; `passed` if all are within their tolerances,
        else the blocks to blame: those whose products with a random vector are not autograd's.

    Raises:
        ValueError: a module's `_forward` or product writes into its arguments, or adds to `out` where it should write
            over it, with which `Graph.backward` would be wrong without a word; a product has another shape than its
            state or weights, or is returned where it should be written; and what `Graph.backward` refuses. The message
            names the block.

    Cost: two forward passes an entry of every variable.

    Example:
        import torch
        from rllab import backprop as bp

        print(bp.check_graph(bp.mlp((3, 4, 2)), torch.ones(5, 3), torch.tensor([0, 1, 1, 0, 1])))
    """
    inputs, w = [t.double() if t.is_floating_point() else t for t in observed], graph.weights.double()
    w = w + 0.1 * standard_normal(tuple(w.shape), Key(0).child("weights"), w) if weights is None else weights.double()
    check_writing(graph.wiring, inputs, w)
    explicit, *others = (
        graph.backward(*inputs, weights=w, variables=graph.continuous, engine=engine)
        for engine in ("explicit", "autograd", "differences")
    )
    floors = (1e-12, 1e-5 * max(1.0, abs(float(explicit.loss))))
    errors = {}
    for name, g in explicit.by_variable.items():
        pairs = [(other.by_variable[name], floor) for other, floor in zip(others, floors, strict=True)]
        errors[name] = tuple(_error(g, truth, floor) for truth, floor in pairs)
    check = Check(errors, tolerances)
    return check if check.passed else replace(check, blocks=_wrong_blocks(graph, inputs, w, tolerances[0]))


def _wrong_blocks(graph: Graph, inputs: list[Tensor], w: Tensor, tolerance: float) -> tuple[str, ...]:
    """Return the blocks whose products, at what they read here, differ from autograd's by more than a tolerance."""
    values, weights = graph.wiring.observe(inputs), graph.split(w)
    forward(graph.blocks, values, weights)
    blocks = [block for block in graph.blocks if block.module.differentiable]
    return tuple(b.name for b in blocks if not _products_error(b, values, weights[b.name]) <= tolerance)


def _products_error(block: Block, values: Mapping[str, Tensor], weights: Weights) -> float:
    """Return the largest relative error of a block's products with one random vector, by its states and its weights."""
    module = block.module
    w = torch.cat([t.detach().flatten() for t in weights]).requires_grad_() if module.size else None
    zs = [values[name].detach().clone() for name in block.reads]
    wanted = [t.requires_grad_() for t in zs if t.is_floating_point()] + ([] if w is None else [w])
    z = tuple(zs) if module.inputs > 1 else zs[0]
    with torch.enable_grad():
        y = module.forward(z, w)
    ys = y if isinstance(y, tuple) else (y,)
    vs = [standard_normal(tuple(t.shape), Key(0).child(block.name, k), t.detach()) for k, t in enumerate(ys)]
    truth = torch.autograd.grad(ys, wanted, vs, allow_unused=True)
    with torch.no_grad():
        v = tuple(vs) if module.outputs > 1 else vs[0]
        by_state = module.vjp_state(v, z, w)
        products = [g for g in (by_state if module.inputs > 1 else (by_state,)) if g is not None]
        products += [] if w is None else [module.vjp_weights(v, z, w)]
    pairs = zip(products, wanted, truth, strict=True)
    return max((_error(g, torch.zeros_like(at) if t is None else t, 1e-12) for g, at, t in pairs), default=0.0)


def _error(g: Tensor, truth: Tensor, floor: float) -> float:
    """Return the relative error, infinite if it is not a number, with which no comparison fails."""
    if not g.numel():
        return 0.0
    error = float((g - truth).abs().max() / truth.abs().max().clamp(min=floor))
    return math.inf if math.isnan(error) else error
