"""Losses: modules C(ȳ, y) of two states that return one number a sample, (n,); the average is taken by who trains.

    SquaredDistance   C = ‖ȳ − y‖²                       ∂C/∂ȳ = 2(ȳ − y) = −∂C/∂y                            (L7)
    CrossEntropy      C = log Σ_j e^ȳ_j − ȳ_y            ∂C/∂ȳ = softmax(ȳ) − onehot(y)                       (T7)

Source: LeCun (2020), NYU Deep Learning, week 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from rllab.backprop.module import Module, State, Weights


@dataclass(frozen=True)
class SquaredDistance(Module):
    """‖ȳ − y‖² of two states of one shape."""

    inputs: ClassVar[int] = 2

    def _forward(self, z: State, w: Weights, out: Tensor | None = None) -> Tensor:
        return torch.sum((z[0] - z[1]).square().flatten(1), 1, out=out)

    def _vjp_state(self, v: Tensor, z: State, w: Weights, y: Tensor, out: State | None = None) -> State:
        first, second = out or (None, None)
        g = torch.sub(*z, out=first).mul_(2 * v.view(-1, *[1] * (z[0].ndim - 1)))
        return g, torch.neg(g, out=second)


@dataclass(frozen=True)
class CrossEntropy(Module):
    """−log softmax(ȳ)_y of scores ȳ (n, k) and true classes y (n,), int64."""

    inputs: ClassVar[int] = 2

    def _forward(self, z: State, w: Weights, out: Tensor | None = None) -> Tensor:
        scores, labels = z
        chosen = scores.gather(1, labels[:, None])[:, 0]
        return torch.sub(torch.logsumexp(scores, 1), chosen, out=out)

    def _vjp_state(self, v: Tensor, z: State, w: Weights, y: Tensor, out: State | None = None) -> State:
        scores, labels = z
        g = torch.softmax(scores, 1) if out is None else torch.softmax(scores, 1, out=out[0])
        g.scatter_add_(1, labels[:, None], torch.full_like(labels[:, None], -1, dtype=g.dtype))
        return g.mul_(v[:, None]), None


@dataclass(frozen=True)
class ZeroOne(Module):
    """1 where ȳ differs from y, both int64 (n,), else 0, float64: the error that is counted, without a gradient."""

    inputs: ClassVar[int] = 2
    differentiable: ClassVar[bool] = False

    def _forward(self, z: State, w: Weights, out: Tensor | None = None) -> Tensor:
        return (z[0] != z[1]).double()

    def _vjp_state(self, v: Tensor, z: State, w: Weights, y: Tensor, out: State | None = None) -> State:
        raise ValueError("ZeroOne: has no gradient; estimate one instead")
