"""Explicit: the engine that goes once through the graph and back, by the modules' own products."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from rllab.backprop.evaluation import FAILURES, blamed, check_costs, check_kinds, gather
from rllab.backprop.module import State, Weights, outputs
from rllab.backprop.order import Block
from rllab.backprop.replay import InputBuffers, Tape
from rllab.backprop.wiring import PassPlan, Wiring


class Pass:
    """A forward and backward pass over a graph, and all that it writes: made again, it writes the same tensors.

        z_out = f(z, w)                g_z = Σ_k g_k ∂f_k/∂z  over the blocks k that read z             (L67, L68, L83)
        g_C = 1/n                      g_w = g_out ∂f/∂w, added up over the blocks that share w         (L17, L18)

    Args:
        plan: what it does.
        observed: the inputs; when it is made again they must have their shapes, dtypes and devices.
        flat: the weights (d,); likewise.
        out: where the loss () and the weights' gradient (d,) are written, by default tensors of its own.

    Source: LeCun (2020), NYU Deep Learning, week 2.
    """

    def __init__(
        self,
        wiring: Wiring,
        plan: PassPlan,
        observed: Sequence[Tensor],
        flat: Tensor,
        out: tuple[Tensor, Tensor] | None = None,
    ):
        self.wiring, self.plan, self.tape = wiring, plan, Tape()
        loss, gradient = out or (None, torch.empty_like(flat, memory_format=torch.contiguous_format))
        self._loss, self.gradient = loss, gradient.zero_()  # it stays 0 for weights on which no cost depends
        self.parts = wiring.split(self.gradient)
        self.values: dict[str, Tensor] = {}
        self.gradients: dict[str, Tensor] = {}
        self.ys: dict[str, State] = {}
        self._inputs, self._flat = InputBuffers(observed), InputBuffers((flat,))
        self._w, self._first = wiring.split(self._flat.tensors[0]), True
        self(observed, flat)

    def __call__(self, observed: Sequence[Tensor], flat: Tensor) -> None:
        """Write loss, gradients and weights' gradient for these inputs and weights."""
        same_inputs, same_weights = self._inputs.take(observed), self._flat.take((flat,))
        same = same_inputs and same_weights
        try:
            if same and self.tape.ready and self.tape.replay():
                return
        except FAILURES:
            pass  # the pass below names the block that cannot compute
        self.tape.begin(record=same)
        if not same_weights:
            self._w = self.wiring.split(self._flat.tensors[0])
        self._backward(self._forward())
        self._first = False
        self.tape.end()

    def _forward(self) -> Tensor:
        """Compute all variables; return the loss per sample (n,)."""
        wiring, tape, values = self.wiring, self.tape, self.values
        values.clear()
        values.update(zip(wiring.inputs, self._inputs.tensors, strict=True))
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
            except FAILURES as error:
                raise blamed(block, values, error) from error
            if self._first:
                check_kinds(block, values, wiring.variables)
        c, *others = check_costs(wiring, values)
        for other in others:
            c = tape(_add, c, other)
        return c

    def _backward(self, c: Tensor) -> None:
        tape, values, g, wanted = self.tape, self.values, self.gradients, self.plan.wanted
        g.clear()
        seed = tape.constant(_average, c)
        # L = (1/n) Σ_p C_p
        self.loss = tape.constant(torch.empty_like, c[0]) if self._loss is None else self._loss
        tape.write(_dot, c, seed, self.loss)
        for name in self.wiring.costs:
            same = values[name].dtype == c.dtype
            self._accumulate(name, seed if same else tape.constant(_average, values[name]))
        first: set[str] = set()  # the owners of weights whose gradient has begun
        for block in reversed(self.plan.path):
            if g.keys().isdisjoint(block.computes):
                continue  # nothing that is wanted lies below it
            for name in block.computes:
                if name not in g:
                    g[name] = tape.constant(torch.zeros_like, values[name])
            v, z = gather(g, block.computes), gather(values, block.reads)
            y, w = self.ys[block.name], self._w[block.name]
            try:
                if w:
                    self._weigh(block, v, z, w, y, first)
                if wanted.isdisjoint(block.reads):
                    continue
                products = tape(block.module._vjp_state, v, z, w, y)
                if self._first:
                    block.module._check_products(products, z)
                for name, product in zip(block.reads, products if len(block.reads) > 1 else (products,), strict=True):
                    if product is not None and name in wanted:
                        self._accumulate(name, product)
            except FAILURES as error:
                raise blamed(block, values, error, back=True) from error
        for name in self.plan.asked:
            if name not in g:
                g[name] = tape.constant(torch.zeros_like, values[name])  # the cost does not depend on it

    def _weigh(self, block: Block, v: State, z: State, w: Weights, y: State, first: set[str]) -> None:
        """Write the gradient of a block's weights; add it, if a block that shares them came first."""
        owner, into = block.shares or block.name, self.parts[block.name]
        begun = owner in first
        out = self.tape.constant(_like, into) if begun else into
        returned = self.tape.write(block.module._vjp_weights, v, z, w, y, out)
        if self._first:
            block.module._check_written(returned, out)
        first.add(owner)
        for total, part in zip(into, out, strict=True) if begun else ():
            self.tape.write(total.add_, part)

    def _accumulate(self, name: str, product: Tensor) -> None:
        so_far = self.gradients.get(name)  # the fan-out sum, L67
        self.gradients[name] = product if so_far is None else self.tape(_add, so_far, product)


def _average(c: Tensor) -> Tensor:
    return torch.full_like(c, 1 / len(c))


def _like(parts: Weights) -> Weights:
    return [torch.empty_like(part) for part in parts]


def _add(a: Tensor, b: Tensor, out: Tensor | None) -> Tensor:
    return torch.add(a, b, out=out)


def _dot(a: Tensor, b: Tensor, out: Tensor) -> Tensor:
    return torch.dot(a, b, out=out)
