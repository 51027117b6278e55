"""Wrapped: any torch.nn.Module as a block, its products by autograd."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from rllab.backprop.module import Module, Weights
from rllab.keys import Key


@dataclass(frozen=True)
class Wrapped(Module):
    """A torch module of one state, sample first, that treats each row alone: no dropout, no batch statistics.

    Its own parameters are what `initial` returns, whatever the key; they are never changed.

    Raises:
        ValueError: if it has a dropout or a batch normalisation in training mode, which draws or mixes rows.
    """

    module: nn.Module

    def __post_init__(self) -> None:
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

    def _forward(self, z: Tensor, w: Weights, out: Tensor | None = None) -> Tensor:
        return functional_call(self.module, dict(zip(self.shapes, w, strict=True)), (z,))

    def _vjp_state(self, v: Tensor, z: Tensor, w: Weights, y: Tensor, out: Tensor | None = None) -> Tensor:
        product = torch.func.vjp(lambda t: self._forward(t, w), z)[1]
        return product(v)[0]

    def _vjp_weights(self, v: Tensor, z: Tensor, w: Weights, y: Tensor, out: Weights) -> None:
        product = torch.func.vjp(lambda *u: self._forward(z, u), *w)[1]
        for into, g in zip(out, product(v), strict=True):
            into.copy_(g)
