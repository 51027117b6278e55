"""Losses: modules C(ȳ, y) of two states that return one number a sample, (n,); the average is taken by who trains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from rllab.backprop.module import Module, State, Weights, check_alike


@dataclass(frozen=True)
class SquaredDistance(Module):
    """Squared distance of two states of one shape, (n,).

        C = ‖ȳ − y‖²                       ∂C/∂ȳ = 2(ȳ − y) = −∂C/∂y                                               (L7)

    Source: LeCun (2020), NYU Deep Learning, week 2.

    Example:
        import torch
        from rllab import backprop as bp

        print(bp.SquaredDistance().forward((torch.ones(2, 3), torch.zeros(2, 3))))
    """

    inputs: ClassVar[int] = 2
    hidden: ClassVar[int] = 2  # e = ȳ − y, and its squares

    def _check(self, z: tuple[Tensor, ...]) -> None:
        check_alike(z)
        if not all(t.is_floating_point() for t in z):
            raise ValueError(f"states must be floating point, got {z[0].dtype} and {z[1].dtype}")

    def _forward(self, z: State, w: Weights, out: State | None = None) -> State:
        c, e, squares = out or (None, None, None)
        e = torch.sub(z[0], z[1], out=e)
        squares = torch.mul(e, e, out=squares)
        return torch.sum(squares.flatten(1), 1, out=c), e, squares

    def _vjp_state(self, v: Tensor, z: State, w: Weights, y: State, out: State | None = None) -> State:
        first, second = out or (None, None)
        # 2(ȳ − y) v, one v a sample
        g = torch.mul(y[1], v.view(-1, *[1] * (y[1].ndim - 1)), out=first).mul_(2)
        return g, torch.neg(g, out=second)


@dataclass(frozen=True)
class InnerProduct(Module):
    """Inner product of two states (n, k), (n,): at a given v, the cost whose gradient is v times the Jacobian of ȳ.

    C = v · ȳ                          ∂C/∂ȳ = v                          ∂C/∂v = ȳ

    Example:
        import torch
        from rllab import backprop as bp

        print(bp.InnerProduct().forward((torch.ones(2, 3), torch.ones(2, 3))))  # 3, twice
    """

    inputs: ClassVar[int] = 2
    hidden: ClassVar[int] = 1  # the products by components

    def _check(self, z: tuple[Tensor, ...]) -> None:
        check_alike(z)
        if z[0].ndim != 2:
            raise ValueError(f"states must be (n, k), got {tuple(z[0].shape)}")

    def _forward(self, z: State, w: Weights, out: State | None = None) -> State:
        c, products = out or (None, None)
        products = torch.mul(z[0], z[1], out=products)
        return torch.sum(products, 1, out=c), products

    def _vjp_state(self, v: Tensor, z: State, w: Weights, y: Tensor, out: State | None = None) -> State:
        first, second = out or (None, None)
        return torch.mul(v.unsqueeze(1), z[1], out=first), torch.mul(v.unsqueeze(1), z[0], out=second)


@dataclass(frozen=True)
class CrossEntropy(Module):
    """Cross-entropy −log softmax(ȳ)_y of scores ȳ (n, k) and true classes y (n,) int64, (n,).

        C = log Σ_j e^ȳ_j − ȳ_y            ∂C/∂ȳ = softmax(ȳ) − onehot(y)                                          (T7)

    Source: LeCun (2020), NYU Deep Learning, week 2.

    Example:
        import torch
        from rllab import backprop as bp

        print(bp.CrossEntropy().forward((torch.zeros(2, 3), torch.tensor([0, 2]))))  # log 3, twice
    """

    inputs: ClassVar[int] = 2
    hidden: ClassVar[int] = 2  # log softmax(ȳ), and −1 for each sample

    def _check(self, z: tuple[Tensor, ...]) -> None:
        scores, labels = z
        if scores.ndim != 2 or labels.shape != scores.shape[:1] or labels.dtype != torch.int64:
            got = f"{tuple(scores.shape)} and {tuple(labels.shape)} of {labels.dtype}"
            raise ValueError(f"scores must be (n, k) and classes (n,) of torch.int64, got {got}")

    def _forward(self, z: State, w: Weights, out: State | None = None) -> State:
        scores, labels = z
        if out is None:
            log_p = torch.log_softmax(scores, 1)
            return -log_p.gather(1, labels.unsqueeze(1))[:, 0], log_p, -torch.ones_like(log_p[:, :1])
        c, log_p, _ = out
        torch.log_softmax(scores, 1, out=log_p)
        torch.gather(log_p, 1, labels.unsqueeze(1), out=c.unsqueeze(1)).neg_()
        return out

    def _vjp_state(self, v: Tensor, z: State, w: Weights, y: State, out: State | None = None) -> State:
        _, log_p, minus = y
        g = torch.exp(log_p, out=None if out is None else out[0])
        g.scatter_add_(1, z[1].unsqueeze(1), minus).mul_(v.unsqueeze(1))
        return (g, None) if out is None else out


@dataclass(frozen=True)
class ZeroOne(Module):
    """1 where ȳ differs from y, both int64 (n,), else 0, float64: the error that is counted, without a gradient.

    Example:
        import torch
        from rllab import backprop as bp

        print(bp.ZeroOne().forward((torch.tensor([0, 1]), torch.tensor([0, 2]))))  # 0 and 1
    """

    inputs: ClassVar[int] = 2
    differentiable: ClassVar[bool] = False

    def _check(self, z: tuple[Tensor, ...]) -> None:
        check_alike(z)

    def _forward(self, z: State, w: Weights, out: Tensor | None = None) -> Tensor:
        return (z[0] != z[1]).double()

    def _vjp_state(self, v: Tensor, z: State, w: Weights, y: Tensor, out: State | None = None) -> State:
        raise ValueError("ZeroOne: has no gradient; estimate one instead")
