"""Engines: the two independent ways to the same gradients, torch's autograd and central differences.

They share with the explicit pass only the modules' forward, and so can convict their products of a mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from rllab.backprop.evaluation import check_costs, check_kinds, compute, forward
from rllab.backprop.wiring import Wiring

Answer = tuple[Tensor, Tensor, dict[str, Tensor]]  # the loss, the gradient of weights, those of variables


def autograd(wiring: Wiring, observed: Sequence[Tensor], flat: Tensor, asked: Sequence[str]) -> Answer:
    """Return loss and gradients by torch's own chain rule."""
    with torch.enable_grad():
        leaf = flat.detach().requires_grad_()
        values, w = {}, wiring.split(leaf)
        for name, t in zip(wiring.inputs, observed, strict=True):
            values[name] = t if wiring.inputs[name] else t.detach().requires_grad_()
        for block in wiring.blocks:
            for name, t in compute(block, values, w[block.name]).items():
                values[name] = t.view_as(t)  # a node of its own, where a module hands its input on
            check_kinds(block, values, wiring.variables)
        loss = _loss(wiring, values)
        reached = [name for name in asked if values[name].requires_grad]
        every = [leaf, *(values[name] for name in reached)]
        if not loss.requires_grad:
            flat_g, *g = (torch.zeros_like(t) for t in every)
        else:
            found = torch.autograd.grad(loss, every, allow_unused=True, materialize_grads=True)
            flat_g, *g = (each.detach() for each in found)
    of_reached = dict(zip(reached, g, strict=True))
    of_variables = {name: of_reached[name] if name in of_reached else torch.zeros_like(values[name]) for name in asked}
    return loss.detach(), flat_g, of_variables


def differences(wiring: Wiring, observed: Sequence[Tensor], flat: Tensor, asked: Sequence[str]) -> Answer:
    """Return loss and gradients by central differences of the loss in each entry, two forward passes each."""
    with torch.no_grad():
        values, w = dict(zip(wiring.inputs, observed, strict=True)), wiring.split(flat)
        forward(wiring.blocks, values, w)
        for block in wiring.blocks:
            check_kinds(block, values, wiring.variables)
        loss = _loss(wiring, values)
        of_variables = {name: central_difference(_rest(wiring, values, flat, name), values[name]) for name in asked}
        return loss, central_difference(_rest_of_weights(wiring, observed), flat), of_variables


def rest(wiring: Wiring, name: str, observed: Sequence[Tensor], flat: Tensor) -> Callable[[Tensor], Tensor]:
    """Return the loss as a function of one computed or observed variable alone, whatever lies below it held fixed."""
    values = dict(zip(wiring.inputs, observed, strict=True))
    forward(wiring.blocks, values, wiring.split(flat))
    return _rest(wiring, values, flat, name)


def central_difference(f: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    """Return (f(z + h e_i) − f(z − h e_i)) / 2h for each entry i, h = ∛ε of the dtype, shaped as z."""
    h, g = torch.finfo(at.dtype).eps ** (1 / 3), torch.empty(at.numel(), dtype=at.dtype, device=at.device)
    for i in range(at.numel()):
        ahead, behind = at.clone().contiguous(), at.clone().contiguous()
        ahead.view(-1)[i] += h
        behind.view(-1)[i] -= h
        g[i] = (f(ahead) - f(behind)) / (2 * h)
    return g.view(at.shape)


def _rest(wiring: Wiring, values: dict[str, Tensor], flat: Tensor, name: str) -> Callable[[Tensor], Tensor]:
    dirty, above, w = {name}, [], wiring.split(flat)
    for block in wiring.blocks:
        if dirty & set(block.reads):
            dirty |= set(block.computes)
            above.append(block)

    def loss(z: Tensor) -> Tensor:
        new = values | {name: z}
        forward(above, new, w)
        return _loss(wiring, new)

    return loss


def _rest_of_weights(wiring: Wiring, observed: Sequence[Tensor]) -> Callable[[Tensor], Tensor]:
    def loss(flat: Tensor) -> Tensor:
        values = dict(zip(wiring.inputs, observed, strict=True))
        forward(wiring.blocks, values, wiring.split(flat))
        return _loss(wiring, values)

    return loss


def _loss(wiring: Wiring, values: dict[str, Tensor]) -> Tensor:
    return torch.stack([c.mean() for c in check_costs(wiring, values)]).sum()
