"""Engines: the two independent ways to the same gradients, torch's autograd and central differences.

They share with the explicit pass only the modules' forward, and so can convict their products of a mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from rllab.backprop.explicit import check_costs, check_kinds, compute, forward

if TYPE_CHECKING:
    from rllab.backprop.graph import Graph

Answer = tuple[Tensor, dict[str, Tensor], Tensor]  # the loss, gradients by variable, that of the weights


def autograd(graph: Graph, observed: Sequence[Tensor], flat: Tensor) -> Answer:
    """Return loss and gradients by torch's own chain rule."""
    with torch.enable_grad():
        leaf = flat.detach().requires_grad_()
        values, w = {}, graph.split(leaf)
        for name, t in zip(graph.inputs, observed, strict=True):
            values[name] = t if graph.inputs[name] else t.detach().requires_grad_()
        for block in graph.blocks:
            for name, t in compute(block, values, w[block.name]).items():
                values[name] = t.view_as(t)  # a node of its own, where a module hands its input on
            check_kinds(block, values, graph.variables)
        loss = _loss(graph, values)
        names = [name for name, v in graph.variables.items() if not v.discrete and values[name].requires_grad]
        every = [leaf, *(values[name] for name in names)]
        if not loss.requires_grad:
            flat_g, *g = (torch.zeros_like(t) for t in every)
        else:
            flat_g, *g = torch.autograd.grad(loss, every, allow_unused=True, materialize_grads=True)
    by_variable = dict(zip(names, g, strict=True))
    for name, variable in graph.variables.items():
        if not variable.discrete and name not in by_variable:
            by_variable[name] = torch.zeros_like(values[name])
    return loss.detach(), by_variable, flat_g


def differences(graph: Graph, observed: Sequence[Tensor], flat: Tensor) -> Answer:
    """Return loss and gradients by central differences of the loss in each entry, two forward passes each."""
    with torch.no_grad():
        values, w = dict(zip(graph.inputs, observed, strict=True)), graph.split(flat)
        forward(graph.blocks, values, w)
        for block in graph.blocks:
            check_kinds(block, values, graph.variables)
        loss = _loss(graph, values)
        names = [name for name, v in graph.variables.items() if not v.discrete]
        by_variable = {name: central_difference(_rest(graph, values, flat, name), values[name]) for name in names}
        return loss, by_variable, central_difference(_rest_of_weights(graph, observed), flat)


def rest(graph: Graph, name: str, observed: Sequence[Tensor], flat: Tensor) -> Callable[[Tensor], Tensor]:
    """Return the loss as a function of one computed or observed variable alone, whatever lies below it held fixed."""
    values = dict(zip(graph.inputs, observed, strict=True))
    forward(graph.blocks, values, graph.split(flat))
    return _rest(graph, values, flat, name)


def central_difference(f: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    """Return (f(z + h e_i) − f(z − h e_i)) / 2h for each entry i, h = ∛ε of the dtype, shaped as z."""
    h, g = torch.finfo(at.dtype).eps ** (1 / 3), torch.empty(at.numel(), dtype=at.dtype, device=at.device)
    for i in range(at.numel()):
        ahead, behind = at.clone().contiguous(), at.clone().contiguous()
        ahead.view(-1)[i] += h
        behind.view(-1)[i] -= h
        g[i] = (f(ahead) - f(behind)) / (2 * h)
    return g.view(at.shape)


def _rest(graph: Graph, values: dict[str, Tensor], flat: Tensor, name: str) -> Callable[[Tensor], Tensor]:
    dirty, above, w = {name}, [], graph.split(flat)
    for block in graph.blocks:
        if dirty & set(block.reads):
            dirty |= set(block.computes)
            above.append(block)

    def loss(z: Tensor) -> Tensor:
        new = values | {name: z}
        forward(above, new, w)
        return _loss(graph, new)

    return loss


def _rest_of_weights(graph: Graph, observed: Sequence[Tensor]) -> Callable[[Tensor], Tensor]:
    def loss(flat: Tensor) -> Tensor:
        values = dict(zip(graph.inputs, observed, strict=True))
        forward(graph.blocks, values, graph.split(flat))
        return _loss(graph, values)

    return loss


def _loss(graph: Graph, values: dict[str, Tensor]) -> Tensor:
    costs = check_costs(graph, values, len(values[next(iter(graph.inputs))]))
    return torch.stack([c.mean() for c in costs]).sum()
