"""Joins: where paths meet or part. Their gradients: an Add copies, a Copy adds, a Multiply swaps, a Max switches. (T4)

Source: LeCun (2020), NYU Deep Learning, week 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from rllab.backprop.module import Module, State, Weights, check_alike, check_one_dtype


class _Join(Module):
    """Several states in, one out."""

    passes_on: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.inputs < 2:
            raise ValueError(f"{type(self).__name__}: inputs must be >= 2, got {self.inputs}")


@dataclass(frozen=True)
class Add(_Join):
    """z_1 + z_2 + …; each gets the gradient of the sum."""

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
    """(z, z, …); the gradients of all are added (L67)."""

    outputs: int = 2
    passes_on: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.outputs < 2:
            raise ValueError(f"Copy: outputs must be >= 2, got {self.outputs}")

    def _forward(self, z: Tensor, w: Weights, out: State | None = None) -> State:
        return (z,) * self.outputs

    def _vjp_state(self, v: State, z: Tensor, w: Weights, y: State, out: Tensor | None = None) -> Tensor:
        total = torch.add(v[0], v[1], out=out)
        for t in v[2:]:
            total.add_(t)
        return total


@dataclass(frozen=True)
class Multiply(_Join):
    """z_1 z_2 …, by components; each gets the gradient times the others (L70)."""

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
    """max(z_1, z_2, …), by components; the gradient goes to the largest, to the first of equals, else exactly 0."""

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
    """(z_1, z_2, …) side by side, (n, k_1 + k_2 + …, …); each gets its columns of the gradient."""

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
