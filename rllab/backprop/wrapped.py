"""Wrapped: any torch.nn.Module as a block, its products by autograd."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from rllab.backprop.module import Module, State, Weights
from rllab.keys import Key


@dataclass(frozen=True)
class Wrapped(Module):
    """A torch module of states, sample first, that treats each row alone: no dropout, no batch statistics.

    Its own parameters are what `initial` returns, whatever the key; they are never changed.

    Args:
        module: called with `inputs` tensors, it returns one, or a tuple of `outputs` tensors.

    Raises:
        ValueError: if it has a dropout or a batch normalisation in training mode, which draws or mixes rows.
    """

    module: nn.Module
    inputs: int = 1
    outputs: int = 1

    def __post_init__(self) -> None:
        if self.inputs < 1 or self.outputs < 1:
            raise ValueError(f"Wrapped: inputs and outputs must be >= 1, got {self.inputs} and {self.outputs}")
        for part in self.module.modules():
            unfit = isinstance(part, nn.modules.dropout._DropoutNd | nn.modules.batchnorm._BatchNorm)
            if unfit and part.training:
                raise ValueError(
                    f"Wrapped: {type(part).__name__} must be in evaluation mode; call .eval() on the module"
                )

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: tuple(p.shape) for name, p in self.module.named_parameters()}

    def initial(self, key: Key | int) -> Tensor:
        """Return the module's own parameters (d,)."""
        parts = [p.detach().reshape(-1).double() for p in self.module.parameters()]
        return torch.cat(parts) if parts else super().initial(key)

    def _forward(self, z: State, w: Weights, out: State | None = None) -> State:
        return functional_call(self.module, dict(zip(self.shapes, w, strict=True)), z if self.inputs > 1 else (z,))

    def _vjp_state(self, v: State, z: State, w: Weights, y: State, out: State | None = None) -> State:
        zs = z if self.inputs > 1 else (z,)
        continuous = [k for k, t in enumerate(zs) if t.is_floating_point()]

        def f(*chosen: Tensor) -> State:
            new = dict(zip(continuous, chosen, strict=True))
            every = tuple(new.get(k, t) for k, t in enumerate(zs))
            return self._forward(every if self.inputs > 1 else every[0], w)

        products = dict(zip(continuous, torch.func.vjp(f, *(zs[k] for k in continuous))[1](v), strict=True))
        return tuple(products.get(k) for k in range(self.inputs)) if self.inputs > 1 else products.get(0)

    def _vjp_weights(self, v: State, z: State, w: Weights, y: State, out: Weights) -> None:
        product = torch.func.vjp(lambda *u: self._forward(z, u), *w)[1]
        for into, g in zip(out, product(v), strict=True):
            into.copy_(g)
