"""Layers with weights, and without: Linear, NearestRow, LogSoftmax, Flatten."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from rllab.backprop.module import Module, Weights
from rllab.checks import check_count
from rllab.keys import Key, as_key


@dataclass(frozen=True)
class Linear(Module):
    """Linear layer of states (n, fan_in).

        s = W z + b               ∂C/∂z = Wᵀ ∂C/∂s      ∂C/∂W = ∂C/∂s zᵀ      ∂C/∂b = ∂C/∂s                   (L54, L68)

    Args:
        fan_in, fan_out: numbers of a state z and of s, >= 1.
        bias: whether there is b (fan_out,) beside W (fan_out, fan_in), as torch.nn.Linear has them.

    Raises:
        TypeError, ValueError: a width is no integer, or below 1.

    Source: LeCun (2020), NYU Deep Learning, week 2.

    Example:
        import torch
        from rllab import backprop as bp

        layer = bp.Linear(3, 2)
        z, w = torch.ones(5, 3).double(), layer.initial(0)
        print(layer.forward(z, w).shape, layer.jacobian_weights(z, w).shape)
    """

    fan_in: int = 1
    fan_out: int = 1
    bias: bool = True
    reads_output: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_count("Linear", fan_in=self.fan_in, fan_out=self.fan_out)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        weight = {"weight": (self.fan_out, self.fan_in)}
        return weight | {"bias": (self.fan_out,)} if self.bias else weight

    def initial(self, key: Key | int) -> Tensor:
        """Draw W and b from U(±1/√fan_in), as torch does."""
        u = torch.rand(self.size, generator=as_key(key).generator(), dtype=torch.float64)
        return (2 * u - 1) / math.sqrt(self.fan_in)

    def _check(self, z: tuple[Tensor, ...]) -> None:
        if z[0].ndim != 2 or z[0].shape[1] != self.fan_in:
            raise ValueError(f"states must be (n, {self.fan_in}), got {tuple(z[0].shape)}")

    def _forward(self, z: Tensor, w: Weights, out: Tensor | None = None) -> Tensor:
        if not self.bias:
            return torch.mm(z, w[0].t(), out=out)
        return torch.addmm(w[1], z, w[0].t(), out=out)

    def _vjp_state(self, v: Tensor, z: Tensor, w: Weights, y: Tensor, out: Tensor | None = None) -> Tensor:
        return torch.mm(v, w[0], out=out)  # a row v, so v W: the weights used backwards

    def _vjp_weights(self, v: Tensor, z: Tensor, w: Weights, y: Tensor, out: Weights) -> None:
        if len(z) == 1:  # an outer product, not a sum of them: half the time
            torch.mul(v.t(), z, out=out[0])
        else:
            torch.mm(v.t(), z, out=out[0])
        if self.bias:
            torch.sum(v, 0, out=out[1])

    def jacobian_state(self, z: Tensor, w: Tensor | None = None) -> Tensor:
        """Return ∂s/∂z = W for each sample, (n, fan_out, fan_in)."""
        views = self.views(w)
        return views[0].expand(len(self._checked(z, views)), -1, -1)

    def jacobian_weights(self, z: Tensor, w: Tensor | None = None) -> Tensor:
        """Return ∂s/∂(W, b) = (I ⊗ zᵀ, I) for each sample, (n, fan_out, d)."""
        eye = torch.eye(self.fan_out, dtype=z.dtype, device=z.device)
        kron = torch.einsum("ij,pk->pijk", eye, self._checked(z, self.views(w))).flatten(2)
        return torch.cat([kron, eye.expand(len(z), -1, -1)], 2) if self.bias else kron


@dataclass(frozen=True)
class NearestRow(Module):
    """The number of the row nearest to each state (n, width), (n,) int64; the lowest of equals.

        k = argmin_k ‖z − w_k‖²               an integer: no gradient                                              (L8)

    Args:
        rows, width: shape of the weights, >= 1 each.

    Raises:
        TypeError, ValueError: a number is no integer, or below 1.

    Source: LeCun (2020), NYU Deep Learning, week 2.

    Example:
        import torch
        from rllab import backprop as bp

        bp.nearest_neighbour(2, 3).predict(torch.ones(5, 3))  # (5,), each 0 or 1
    """

    rows: int = 1
    width: int = 1
    differentiable: ClassVar[bool] = False
    discrete: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_count("NearestRow", rows=self.rows, width=self.width)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"rows": (self.rows, self.width)}

    def initial(self, key: Key | int) -> Tensor:
        """Draw rows from N(0, I)."""
        return torch.randn(self.size, generator=as_key(key).generator(), dtype=torch.float64)

    def _check(self, z: tuple[Tensor, ...]) -> None:
        if z[0].ndim != 2 or z[0].shape[1] != self.width:
            raise ValueError(f"states must be (n, {self.width}), got {tuple(z[0].shape)}")

    def _forward(self, z: Tensor, w: Weights, out: Tensor | None = None) -> Tensor:
        # differences, not ‖z‖² − 2 z·w + ‖w‖², which rounds ties apart
        return (z[:, None] - w[0]).square().sum(-1).argmin(-1)

    def _vjp_state(self, v: Tensor, z: Tensor, w: Weights, y: Tensor, out: Tensor | None = None) -> Tensor:
        raise ValueError("NearestRow: has no gradient; estimate one instead")


@dataclass(frozen=True)
class LogSoftmax(Module):
    """Logarithms of probabilities from scores (n, k), finite for scores of any size.

        y_i = z_i − log Σ_j e^z_j                 ∂C/∂z = ∂C/∂y − softmax(z) Σ_i ∂C/∂y_i                           (T7)

    Source: LeCun (2020), NYU Deep Learning, week 2.

    Example:
        import torch
        from rllab import backprop as bp

        print(bp.LogSoftmax().forward(torch.zeros(1, 3)))  # −log 3, three times
    """

    def _check(self, z: tuple[Tensor, ...]) -> None:
        if z[0].ndim < 2:
            raise ValueError(f"states must be (n, k), got {tuple(z[0].shape)}")

    def _forward(self, z: Tensor, w: Weights, out: Tensor | None = None) -> Tensor:
        return torch.log_softmax(z, -1) if out is None else torch.log_softmax(z, -1, out=out)

    def _vjp_state(self, v: Tensor, z: Tensor, w: Weights, y: Tensor, out: Tensor | None = None) -> Tensor:
        p = torch.exp(y, out=out)
        return torch.sub(v, p.mul_(v.sum(-1, keepdim=True)), out=out)


@dataclass(frozen=True)
class Flatten(Module):
    """Each sample as one row, (n, …) to (n, m); the batch stays (L75).

    Example:
        import torch
        from rllab import backprop as bp

        bp.Flatten().forward(torch.ones(5, 2, 3)).shape  # (5, 6)
    """

    passes_on: ClassVar[bool] = True

    def _forward(self, z: Tensor, w: Weights, out: Tensor | None = None) -> Tensor:
        return z.flatten(1)

    def _vjp_state(self, v: Tensor, z: Tensor, w: Weights, y: Tensor, out: Tensor | None = None) -> Tensor:
        return v.view(z.shape)
