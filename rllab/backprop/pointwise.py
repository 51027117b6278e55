"""Pointwise functions: each component of a state for itself."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from rllab.backprop.module import Module, Weights

_ZERO, _ONE = torch.zeros(()), torch.ones(())  # numbers that take the dtype of the states they meet


class Pointwise(Module):
    """A function of each component; a subclass writes h as `_forward`, and its slope h′ as `_slope`, with no more.

        z = h(s)                           ∂C/∂s = ∂C/∂z h′(s)                                            (L55, L60–L63)

        _forward(self, z, w, out=None)     h of the state, which all modules call z; see `Module` for w and out
        _slope(self, s, z, out)            h′(s), a new tensor or `out`, for it is written over; z is h(s), if it helps

    The product with ∂C/∂z is made of the slope. It has no weights, as the slope is not told any: a function of each
    component that has some is a `Module`, with `shapes`.

    Raises:
        TypeError: a subclass names `shapes`.

    Source: LeCun (2020), NYU Deep Learning, week 2.

    Example:
        import torch
        from rllab import backprop as bp

        s = torch.tensor([[0.5, -1.0]])
        print(bp.Tanh().forward(s), bp.Tanh().vjp_state(torch.ones(1, 2), s), bp.Tanh().jacobian_state(s))

        class Cube(bp.Pointwise):
            def _forward(self, z, w, out=None):
                return z**3

            def _slope(self, s, z, out):
                return 3 * s**2

        print(Cube().vjp_state(torch.ones(1, 2), s))  # 3 s²
    """

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "shapes" in vars(cls):
            raise TypeError(
                f"{cls.__name__}: a Pointwise has no weights, as its slope is not told any, and got `shapes`; "
                "a function of each component that has weights is a Module"
            )

    @abstractmethod
    def _slope(self, s: Tensor, z: Tensor, out: Tensor | None) -> Tensor:
        """Return h′(s), given z = h(s) too, in a tensor that may be written over."""

    def _vjp_state(self, v: Tensor, z: Tensor, w: Weights, y: Tensor, out: Tensor | None = None) -> Tensor:
        return self._slope(z, y, out).mul_(v)

    def jacobian_state(self, z: Tensor, w: Tensor | None = None) -> Tensor:
        """Return diag h′(s) of each sample, (n, m, m)."""
        return torch.diag_embed(self._slope(z, self.forward(z), None).flatten(1))


@dataclass(frozen=True)
class Identity(Pointwise):
    """h(s) = s; h′ = 1.

    Example:
        import torch
        from rllab import backprop as bp

        print(bp.Identity().forward(torch.tensor([[-1.0, 2.0]])))
    """

    passes_on: ClassVar[bool] = True

    def _forward(self, z: Tensor, w: Weights, out: Tensor | None = None) -> Tensor:
        return z

    def _slope(self, s: Tensor, z: Tensor, out: Tensor | None) -> Tensor:
        return torch.ones_like(s)

    def _vjp_state(self, v: Tensor, z: Tensor, w: Weights, y: Tensor, out: Tensor | None = None) -> Tensor:
        return v


@dataclass(frozen=True)
class ReLU(Pointwise):
    """h(s) = max(s, 0).

    Args:
        slope_at_zero: h′(0), a matter of choice between the slopes of both sides, in [0, 1] (T5).

    Raises:
        ValueError: `slope_at_zero` is not in [0, 1].

    Example:
        import torch
        from rllab import backprop as bp

        print(bp.ReLU().forward(torch.tensor([[-1.0, 2.0]])))
    """

    slope_at_zero: float = 0.0
    passes_on: ClassVar[bool] = True

    @property
    def in_place(self) -> bool:  # type: ignore[override] - with another slope at 0 it must know s from max(s, 0)
        return not self.slope_at_zero

    def __post_init__(self) -> None:
        if not 0 <= self.slope_at_zero <= 1:
            raise ValueError(f"ReLU: slope_at_zero must be in [0, 1], got {self.slope_at_zero}")

    def _forward(self, z: Tensor, w: Weights, out: Tensor | None = None) -> Tensor:
        return torch.relu_(z) if z is out else torch.clamp_min(z, 0, out=out)

    def _slope(self, s: Tensor, z: Tensor, out: Tensor | None) -> Tensor:
        if not self.slope_at_zero:
            return torch.sign(z, out=out)  # z >= 0, so 1 where s > 0, else 0
        # −1, 0 or 1, moved so that what is below 0 or above 1 is cut to it
        return torch.sign(s, out=out).add_(self.slope_at_zero).clamp_(0, 1)


@dataclass(frozen=True)
class Tanh(Pointwise):
    """h(s) = tanh s; h′ = 1 − z².

    Example:
        import torch
        from rllab import backprop as bp

        print(bp.Tanh().forward(torch.tensor([[-1.0, 2.0]])))
    """

    in_place: ClassVar[bool] = True

    def _forward(self, z: Tensor, w: Weights, out: Tensor | None = None) -> Tensor:
        if z.dtype is not torch.float32:
            return torch.tanh(z, out=out)
        # tanh s = 1 − 2 σ(−2s): to 1e-7, in a fifth of the time that torch takes for tanh on a processor
        y = torch.mul(z, -2, out=out).sigmoid_()
        return torch.sub(_ONE, y, alpha=2, out=y)

    def _slope(self, s: Tensor, z: Tensor, out: Tensor | None) -> Tensor:
        return torch.mul(z, z, out=out).neg_().add_(1)

    def _vjp_state(self, v: Tensor, z: Tensor, w: Weights, y: Tensor, out: Tensor | None = None) -> Tensor:
        # v (1 − y²), in two passes over memory
        g = torch.mul(v, y, out=out)
        return torch.addcmul(v, g, y, value=-1, out=g)


@dataclass(frozen=True)
class Sigmoid(Pointwise):
    """h(s) = 1/(1 + e^−s); h′ = z (1 − z).

    Example:
        import torch
        from rllab import backprop as bp

        print(bp.Sigmoid().forward(torch.tensor([[-1.0, 2.0]])))
    """

    in_place: ClassVar[bool] = True

    def _forward(self, z: Tensor, w: Weights, out: Tensor | None = None) -> Tensor:
        return torch.sigmoid(z, out=out)

    def _slope(self, s: Tensor, z: Tensor, out: Tensor | None) -> Tensor:
        return torch.mul(z, z, out=out).neg_().add_(z)


@dataclass(frozen=True)
class Softplus(Pointwise):
    """h(s) = log(1 + e^s); h′ = 1/(1 + e^−s).

    Example:
        import torch
        from rllab import backprop as bp

        print(bp.Softplus().forward(torch.tensor([[-1.0, 2.0]])))
    """

    def _forward(self, z: Tensor, w: Weights, out: Tensor | None = None) -> Tensor:
        return torch.logaddexp(z, _ZERO, out=out)

    def _slope(self, s: Tensor, z: Tensor, out: Tensor | None) -> Tensor:
        return torch.sigmoid(s, out=out)
