"""Explicit: the gradient of the average loss by the modules' own products, once through the graph and back.

    z_out = f(z, w)                    g_z = Σ_k g_k ∂f_k/∂z  over the blocks k that read z             (L67, L68, L83)
    g_C = 1/n                          g_w = g_out ∂f/∂w, added up over the blocks that share w         (L17, L18)

Source: LeCun (2020), NYU Deep Learning, week 2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from rllab.backprop.module import State, Weights, outputs
from rllab.backprop.order import Block, Variable
from rllab.backprop.replay.given import Given
from rllab.backprop.replay.tape import Tape

if TYPE_CHECKING:
    from rllab.backprop.graph import Graph

_FAILURES = (ValueError, TypeError, RuntimeError, IndexError)  # what torch and modules raise


class Pass:
    """A forward and backward pass over a graph, and all that it writes: made again, it writes the same tensors.

    Args:
        observed: the inputs; later ones must have their shapes, dtypes and devices.
        weights_only: leave out the products that no gradient of weights needs.
    """

    def __init__(self, graph: Graph, observed: Sequence[Tensor], flat: Tensor, weights_only: bool):
        self.graph, self.weights_only, self.plan = graph, weights_only, graph.plan(weights_only)
        self.tape = Tape()
        self.gradient = torch.zeros_like(flat, memory_format=torch.contiguous_format)
        self.parts = graph.split(self.gradient)
        self.values: dict[str, Tensor] = {}
        self.gradients: dict[str, Tensor] = {}
        self._inputs, self._flat = Given(observed), Given((flat,))
        self._w, self._first = graph.split(self._flat.tensors[0]), True
        self(observed, flat)

    def fits(self, graph: Graph, observed: Sequence[Tensor], flat: Tensor, weights_only: bool) -> bool:
        """Whether this pass can be made again with these arguments."""
        if graph is not self.graph or weights_only is not self.weights_only or graph.estimated:
            return False  # estimates draw anew
        return self._inputs.fit(observed) and self._flat.fit((flat,))

    def __call__(self, observed: Sequence[Tensor], flat: Tensor) -> None:
        """Write loss, gradients and weights' gradient for these inputs and weights."""
        same_inputs, same_weights = self._inputs.take(observed), self._flat.take((flat,))
        same = same_inputs and same_weights
        try:
            if same and self.tape.ready and self.tape.replay():
                return
        except _FAILURES:
            pass  # the pass below names the block that cannot compute
        self.tape.begin(record=same)
        if not same_weights:
            self._w = self.graph.split(self._flat.tensors[0])
        self._backward(self._forward())
        self.tape.end()

    def _forward(self) -> Tensor:
        """Compute all variables; return the loss per sample (n,)."""
        graph, tape, values = self.graph, self.tape, self.values
        values.clear()
        values.update(zip(graph.inputs, self._inputs.tensors, strict=True))
        self.ys: dict[str, State] = {}
        for block in self.plan.run:
            z = gather(values, block.reads)
            try:
                if self._first:
                    block.module._check_call(z, self._w[block.name])
                if block.name in self.plan.over:
                    y = z
                    tape.write(block.module._forward, z, self._w[block.name], z)
                else:
                    y = tape(block.module._forward, z, self._w[block.name])
                self.ys[block.name] = y
                values.update(zip(block.computes, outputs(block.module, y), strict=True))
            except _FAILURES as error:
                raise blamed(block, values, error) from error
            if self._first:
                check_kinds(block, values, graph.variables)
        self._first = False
        c, *others = check_costs(graph, values, len(self._inputs.tensors[0]))
        for other in others:
            c = tape(_add, c, other)
        return c

    def _backward(self, c: Tensor) -> None:
        tape, values, g = self.tape, self.values, self.gradients
        g.clear()
        seed = tape.constant(_average, c)
        # L = (1/n) Σ_p C_p
        self.loss = tape(_dot, c, seed)
        for name in self.graph.costs:
            same = values[name].dtype == c.dtype
            self._accumulate(name, seed if same else tape.constant(_average, values[name]))
        first: set[str] = set()  # the owners of weights whose gradient has begun
        for block in reversed(self.plan.path):
            estimated = self.graph.estimated.get(block.name)
            if estimated is not None and (wanted := [name for name in block.reads if name in self.plan.wanted]):
                v = g.get(block.computes[0]) if estimated.scope == "local" else None
                if v is not None or estimated.scope == "to_cost":
                    for name, product in estimated.pull(
                        self.graph, block, values, wanted, v, self._flat.tensors[0]
                    ).items():
                        self._accumulate(name, product)
                if not block.module.differentiable:
                    continue
            if g.keys().isdisjoint(block.computes):
                continue  # nothing that is wanted lies below it
            for name in block.computes:
                if name not in g:
                    g[name] = tape.constant(torch.zeros_like, values[name])
            v, z, y, w = (
                gather(g, block.computes),
                gather(values, block.reads),
                self.ys[block.name],
                self._w[block.name],
            )
            try:
                if w:
                    self._weigh(block, v, z, w, y, first)
                if estimated is not None or self.plan.wanted.isdisjoint(block.reads):
                    continue
                products = tape(block.module._vjp_state, v, z, w, y)
                for name, product in zip(block.reads, products if len(block.reads) > 1 else (products,), strict=True):
                    if product is not None and name in self.plan.wanted:
                        self._accumulate(name, product)
            except _FAILURES as error:
                raise blamed(block, values, error, back=True) from error
        if not self.weights_only:
            for name, variable in self.graph.variables.items():
                if not variable.discrete and name not in g:
                    g[name] = tape.constant(torch.zeros_like, values[name])  # the cost does not depend on it

    def _weigh(self, block: Block, v: State, z: State, w: Weights, y: State, first: set[str]) -> None:
        """Write the gradient of a block's weights; add it, if a block that shares them came first."""
        owner, into = block.shares or block.name, self.parts[block.name]
        if owner not in first:
            first.add(owner)
            self.tape.write(block.module._vjp_weights, v, z, w, y, into)
            return
        own = self.tape.constant(_like, into)
        self.tape.write(block.module._vjp_weights, v, z, w, y, own)
        for total, part in zip(into, own, strict=True):
            self.tape.write(total.add_, part)

    def _accumulate(self, name: str, product: Tensor) -> None:
        so_far = self.gradients.get(name)  # the fan-out sum, L67
        self.gradients[name] = product if so_far is None else self.tape(_add, so_far, product)


def forward(blocks: Sequence[Block], values: dict[str, Tensor], w: Mapping[str, Weights]) -> None:
    """Compute, from the values that are there, those of these blocks."""
    for block in blocks:
        values.update(compute(block, values, w[block.name]))


def compute(block: Block, values: Mapping[str, Tensor], w: Weights) -> dict[str, Tensor]:
    """Return the variables that a block computes from the values that are there."""
    z = gather(values, block.reads)
    try:
        block.module._check_call(z, w)
        return dict(zip(block.computes, outputs(block.module, block.module._forward(z, w)), strict=True))
    except _FAILURES as error:
        raise blamed(block, values, error) from error


def gather(values: Mapping[str, Tensor], names: tuple[str, ...]) -> State:
    """Return a block's state: one tensor, or a tuple of several."""
    return values[names[0]] if len(names) == 1 else tuple([values[name] for name in names])


def check_costs(graph: Graph, values: Mapping[str, Tensor], n: int) -> list[Tensor]:
    """Return the costs.

    Raises:
        ValueError: one is not a number for each of the n samples, or there are none.
    """
    if n == 0:
        raise ValueError(f"Graph: input {next(iter(graph.inputs))!r} must hold at least one sample, got none")
    for name in graph.costs:
        if values[name].shape != (n,):
            got = tuple(values[name].shape)
            raise ValueError(f"Graph: cost, {graph.variables[name]}, must be ({n},), one number a sample, got {got}")
    return [values[name] for name in graph.costs]


def check_kinds(block: Block, values: Mapping[str, Tensor], variables: Mapping[str, Variable]) -> None:
    """Raise a ValueError if a continuous variable that a block computed is integers, or the other way round."""
    for name in block.computes:
        if values[name].is_floating_point() is variables[name].discrete:
            kind = "discrete" if variables[name].discrete else "continuous"
            raise ValueError(f"Graph: {variables[name]} is {kind}, yet {block.module} returned {values[name].dtype}")


def blamed(block: Block, values: Mapping[str, Tensor], error: Exception, *, back: bool = False) -> ValueError:
    """Return an error that says which block could not compute, or not go back, from which variables."""
    read, computed = (_shown(values, names) for names in (block.reads, block.computes))
    does = f"pass the gradient of {computed} back to {read}" if back else f"compute {list(block.computes)} from {read}"
    return ValueError(f"Graph: block {block.name!r} ({type(block.module).__name__}) cannot {does}: {error}")


def _shown(values: Mapping[str, Tensor], names: Sequence[str]) -> str:
    return ", ".join(f"{n!r} {tuple(values[n].shape)} {values[n].dtype}" for n in names if n in values)


def _average(c: Tensor) -> Tensor:
    return torch.full_like(c, 1 / len(c))


def _like(parts: Weights) -> Weights:
    return [torch.empty_like(part) for part in parts]


def _add(a: Tensor, b: Tensor, out: Tensor | None) -> Tensor:
    return torch.add(a, b, out=out)


def _dot(a: Tensor, b: Tensor, out: Tensor | None) -> Tensor:
    return torch.dot(a, b, out=out)
