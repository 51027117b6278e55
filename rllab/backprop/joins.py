"""Joins: where paths meet or part. Their gradients: an Add copies, a Copy adds, a Multiply swaps, a Max switches. (T4)

Source: LeCun (2020), NYU Deep Learning, week 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from rllab.backprop.module import Module, State, Weights


@dataclass(frozen=True)
class Add(Module):
    """z_1 + z_2; each gets the gradient of the sum."""

    inputs: ClassVar[int] = 2

    def _forward(self, z: State, w: Weights, out: Tensor | None = None) -> Tensor:
        return torch.add(*z, out=out)

    def _vjp_state(self, v: Tensor, z: State, w: Weights, y: Tensor, out: State | None = None) -> State:
        return v, v


@dataclass(frozen=True)
class Copy(Module):
    """(z, z); the gradients of both are added (L67)."""

    outputs: ClassVar[int] = 2

    def _forward(self, z: Tensor, w: Weights, out: State | None = None) -> State:
        return z, z

    def _vjp_state(self, v: State, z: Tensor, w: Weights, y: State, out: Tensor | None = None) -> Tensor:
        return torch.add(*v, out=out)


@dataclass(frozen=True)
class Multiply(Module):
    """z_1 z_2, by components; each gets the gradient times the other (L70)."""

    inputs: ClassVar[int] = 2

    def _forward(self, z: State, w: Weights, out: Tensor | None = None) -> Tensor:
        return torch.mul(*z, out=out)

    def _vjp_state(self, v: Tensor, z: State, w: Weights, y: Tensor, out: State | None = None) -> State:
        first, second = out or (None, None)
        return torch.mul(v, z[1], out=first), torch.mul(v, z[0], out=second)


@dataclass(frozen=True)
class Max(Module):
    """max(z_1, z_2), by components; the gradient goes to the larger, exactly 0 to the other, to z_1 if equal."""

    inputs: ClassVar[int] = 2

    def _forward(self, z: State, w: Weights, out: Tensor | None = None) -> Tensor:
        return torch.maximum(*z, out=out)

    def _vjp_state(self, v: Tensor, z: State, w: Weights, y: Tensor, out: State | None = None) -> State:
        first = v * (z[0] >= z[1])
        return first, v - first
