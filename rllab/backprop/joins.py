"""Joins: where paths meet or part. Gradients: an Add copies, a Copy adds, a Multiply swaps, a Max switches (T4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from rllab.backprop.module import Module, State, Weights, check_alike, check_one_dtype
from rllab.checks import check_count


class _Join(Module):
    """Several states in, one out."""

    passes_on: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_count(type(self).__name__, least=2, inputs=self.inputs)


@dataclass(frozen=True)
class Add(_Join):
    """The sum of states of one shape.

        y = z_1 + z_2 + …                  ∂C/∂z_k = ∂C/∂y                                                         (T4)

    Args:
        inputs: number of states, >= 2.

    Source: LeCun (2020), NYU Deep Learning, week 2.

    Example:
        import torch
        from rllab import backprop as bp

        print(bp.Add(3).forward((torch.ones(2, 1), torch.ones(2, 1), torch.zeros(2, 1))))
    """

    inputs: int = 2

    def _check(self, z: tuple[Tensor, ...]) -> None:
        check_alike(z)

    def _forward(self, z: State, w: Weights, out: Tensor | None = None) -> Tensor:
        y = torch.add(z[0], z[1], out=out)
        for t in z[2:]:
            y.add_(t)
        return y

    def _vjp_state(self, v: Tensor, z: State, w: Weights, y: Tensor, out: State | None = None) -> State:
        return (v,) * self.inputs


@dataclass(frozen=True)
class Copy(Module):
    """A state handed on several times.

        y_k = z                            ∂C/∂z = Σ_k ∂C/∂y_k                                                    (L67)

    Args:
        outputs: how many copies, >= 2.

    Raises:
        TypeError, ValueError: `outputs` is no integer, or below 2.

    Source: LeCun (2020), NYU Deep Learning, week 2.

    Example:
        import torch
        from rllab import backprop as bp

        print(bp.Copy(3).forward(torch.ones(1, 2)))
    """

    outputs: int = 2
    passes_on: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_count("Copy", least=2, outputs=self.outputs)

    def _forward(self, z: Tensor, w: Weights, out: State | None = None) -> State:
        return (z,) * self.outputs

    def _vjp_state(self, v: State, z: Tensor, w: Weights, y: State, out: Tensor | None = None) -> Tensor:
        total = torch.add(v[0], v[1], out=out)
        for t in v[2:]:
            total.add_(t)
        return total


@dataclass(frozen=True)
class Multiply(_Join):
    """The product of states of one shape, by components.

        y = z_1 z_2 …                      ∂C/∂z_k = ∂C/∂y Π_j≠k z_j                                              (L70)

    Args:
        inputs: number of states, >= 2.

    Source: LeCun (2020), NYU Deep Learning, week 2.

    Example:
        import torch
        from rllab import backprop as bp

        print(bp.Multiply(2).forward((torch.full((1, 3), 2.0), torch.ones(1, 3))))
    """

    inputs: int = 2

    def _check(self, z: tuple[Tensor, ...]) -> None:
        check_alike(z)

    def _forward(self, z: State, w: Weights, out: Tensor | None = None) -> Tensor:
        y = torch.mul(z[0], z[1], out=out)
        for t in z[2:]:
            y.mul_(t)
        return y

    def _vjp_state(self, v: Tensor, z: State, w: Weights, y: Tensor, out: State | None = None) -> State:
        products = []
        for k in range(self.inputs):
            first, *others = [t for j, t in enumerate(z) if j != k]
            g = torch.mul(v, first, out=None if out is None else out[k])
            for t in others:
                g.mul_(t)
            products.append(g)
        return tuple(products)


@dataclass(frozen=True)
class Max(_Join):
    """The largest of states of one shape, by components.

        y = max(z_1, z_2, …)               ∂C/∂z_k = ∂C/∂y where z_k is the largest, the first of equals, else 0   (T4)

    Args:
        inputs: number of states, >= 2.

    Source: LeCun (2020), NYU Deep Learning, week 2.

    Example:
        import torch
        from rllab import backprop as bp

        print(bp.Max(2).forward((torch.full((1, 3), 2.0), torch.ones(1, 3))))
    """

    inputs: int = 2

    def _check(self, z: tuple[Tensor, ...]) -> None:
        check_alike(z)

    def _forward(self, z: State, w: Weights, out: Tensor | None = None) -> Tensor:
        y = torch.maximum(z[0], z[1], out=out)
        for t in z[2:]:
            y = torch.maximum(y, t, out=out)
        return y

    def _vjp_state(self, v: Tensor, z: State, w: Weights, y: Tensor, out: State | None = None) -> State:
        products, left = out or tuple(torch.empty_like(v) for _ in z), v
        *others, last = products
        for t, g in zip(z, others, strict=False):
            # the gradient that no earlier state took, where this one is the largest
            torch.eq(t, y, out=g).mul_(left)
            left = torch.sub(left, g, out=last)
        return products


@dataclass(frozen=True)
class Concatenate(_Join):
    """States (n, k_j, …) side by side, (n, k_1 + k_2 + …, …); each gets its columns of the gradient.

    Args:
        inputs: number of states, >= 2.

    Example:
        import torch
        from rllab import backprop as bp

        print(bp.Concatenate(2).forward((torch.zeros(1, 3), torch.ones(1, 2))))
    """

    inputs: int = 2

    def _check(self, z: tuple[Tensor, ...]) -> None:
        rest = {(t.shape[0], *t.shape[2:]) for t in z if t.ndim > 1}
        if len(rest) != 1 or any(t.ndim < 2 for t in z):
            got = ", ".join(str(tuple(t.shape)) for t in z)
            raise ValueError(f"states must be (n, k, …), alike but for k, got {got}")
        check_one_dtype(z)

    def _forward(self, z: State, w: Weights, out: Tensor | None = None) -> Tensor:
        return torch.cat(z, 1) if out is None else torch.cat(z, 1, out=out)

    def _vjp_state(self, v: Tensor, z: State, w: Weights, y: Tensor, out: State | None = None) -> State:
        return v.split([t.shape[1] for t in z], 1)
