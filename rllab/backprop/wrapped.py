"""Wrapped: any torch.nn.Module as a block, its products by autograd."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from rllab.backprop.module import Module, State, Weights
from rllab.checks import check_count
from rllab.keys import Key


@dataclass(frozen=True)
class Wrapped(Module):
    """A torch module of states, sample first, that treats each row alone: no dropout, no batch statistics.

    Its own parameters are what `initial` returns, whatever the key; they and its buffers are never changed. Buffers are
    taken in the dtype of the states. A module of one's own that draws, or mixes rows, is not noticed.

    Args:
        module: called with `inputs` tensors, it returns one, or a tuple of `outputs` tensors.
        inputs, outputs: how many of each.

    Raises:
        ValueError: if it draws, or holds a dropout, a batch normalisation or the like in training mode, which draws,
            mixes rows or changes its buffers; also if it is put into training mode later.

    Example:
        import torch
        from rllab import backprop as bp

        f = bp.Wrapped(torch.nn.Softmax(-1))
        print(f.vjp_state(torch.eye(2), torch.zeros(2, 2)))
    """

    module: nn.Module
    inputs: int = 1
    outputs: int = 1

    def __post_init__(self) -> None:
        check_count("Wrapped", inputs=self.inputs, outputs=self.outputs)
        for part in self.module.modules():
            if isinstance(part, nn.FractionalMaxPool2d | nn.FractionalMaxPool3d) and part._random_samples is None:
                raise ValueError(f"Wrapped: {type(part).__name__} draws; give it _random_samples")
        self._check_mode()

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: tuple(p.shape) for name, p in self.module.named_parameters()}

    def initial(self, key: Key | int) -> Tensor:
        """Return the module's own parameters (d,)."""
        parts = [p.detach().reshape(-1).double() for p in self.module.parameters()]
        return torch.cat(parts) if parts else super().initial(key)

    def _forward(self, z: State, w: Weights, out: State | None = None) -> State:
        self._check_mode()
        zs = z if self.inputs > 1 else (z,)
        dtype = next((t.dtype for t in (*w, *zs) if t.is_floating_point()), None)
        buffers = {n: b.to(dtype) if b.is_floating_point() else b for n, b in self.module.named_buffers()}
        if any(getattr(part, "inplace", False) for part in self.module.modules()):
            zs = tuple(t.clone() for t in zs)  # it may write over what it is given
        return functional_call(self.module, buffers | dict(zip(self.shapes, w, strict=True)), zs)

    def _vjp_state(self, v: State, z: State, w: Weights, y: State, out: State | None = None) -> State:
        zs = z if self.inputs > 1 else (z,)
        continuous = [k for k, t in enumerate(zs) if t.is_floating_point()]

        def f(*chosen: Tensor) -> State:
            new = dict(zip(continuous, chosen, strict=True))
            every = tuple(new.get(k, t) for k, t in enumerate(zs))
            return self._forward(every if self.inputs > 1 else every[0], w)

        given = [zs[k] for k in continuous]
        products = dict(zip(continuous, torch.func.vjp(f, *given)[1](v) if given else (), strict=True))
        return tuple(products.get(k) for k in range(self.inputs)) if self.inputs > 1 else products.get(0)

    def _vjp_weights(self, v: State, z: State, w: Weights, y: State, out: Weights) -> None:
        product = torch.func.vjp(lambda *u: self._forward(z, u), *w)[1]
        for into, g in zip(out, product(v), strict=True):
            into.copy_(g)

    def _check_mode(self) -> None:
        """Raise a ValueError if a part is in training mode that then draws, mixes rows or changes its buffers."""
        for part in self.module.modules():
            if part.training and _acts_in_training(part):
                raise ValueError(
                    f"Wrapped: {type(part).__name__} must be in evaluation mode; call .eval() on the module"
                )


def _acts_in_training(part: nn.Module) -> bool:
    if isinstance(part, nn.modules.batchnorm._BatchNorm | nn.modules.dropout._DropoutNd | nn.RReLU):
        return True
    if isinstance(part, nn.modules.instancenorm._InstanceNorm):
        return part.track_running_stats
    return isinstance(part, nn.MultiheadAttention | nn.RNNBase) and part.dropout > 0
