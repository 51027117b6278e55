"""Ten costs that nobody had in mind when the laws of `rllab.recommendation` were written.

Each maps points (n, d) to costs (n,); those with noise take seeds too, and say what their mean is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from rllab import Cost, Key
from rllab.noise import standard_normal
from rllab.problems.stochastic import Noise


class Untuned(NamedTuple):
    """A cost of d parameters.

    Args:
        mean: the cost without its noise, which the truth is taken of.
        noisy: the cost as it is asked, if it has noise: a function of points and seeds.
    """

    name: str
    dimension: int
    mean: Callable[[Tensor], Tensor]
    noisy: Callable[[Tensor, Tensor], Tensor] | None = None

    def cost(self) -> Cost:
        if self.noisy is not None:
            return Cost(self.noisy, seeded=True, check_rows=False)
        return Cost(self.mean, check_rows=False)


def fixed(name: str, *shape: int) -> Tensor:
    """Return numbers ~ N(0, 1) that belong to a cost."""
    return standard_normal(shape, Key(0).child("untuned", name), torch.empty(0, dtype=torch.float64))


DATA, LABELS = fixed("data", 40, 6), fixed("labels", 40)
PLANES, OFFSETS = fixed("planes", 12, 10), fixed("offsets", 12)
MIX = fixed("mix", 25, 12)
RANKS = torch.triu(torch.ones(8, 8, dtype=torch.bool), 1)


def rosenbrock(x: Tensor) -> Tensor:
    """Σ 100 (x_{i+1} − x_i²)² + (1 − x_i)²"""
    return (100 * (x[:, 1:] - x[:, :-1].square()).square() + (1 - x[:, :-1]).square()).sum(-1)


def rastrigin(x: Tensor) -> Tensor:
    """Σ x_i² + 10 (1 − cos 2πx_i)"""
    return (x.square() + 10 * (1 - torch.cos(2 * math.pi * x))).sum(-1)


def ackley(x: Tensor) -> Tensor:
    """20 (1 − e^(−‖x‖/5√d)) + e − e^(mean cos 2πx)"""
    norm = x.square().mean(-1).sqrt()
    return 20 * (1 - torch.exp(-norm / 5)) + math.e - torch.exp(torch.cos(2 * math.pi * x).mean(-1))


def rounded_squares(x: Tensor) -> Tensor:
    """Least squares of outputs that are rounded to whole numbers."""
    return (torch.round(x @ MIX.to(x).T) - 2.0).square().mean(-1)


def inversions(x: Tensor) -> Tensor:
    """How many pairs of eight numbers are out of order."""
    return ((x[:, :, None] > x[:, None, :]) & RANKS).sum((1, 2)).to(x)


def hinge(x: Tensor) -> Tensor:
    """Mean hinge loss of a linear classifier, with a little weight decay."""
    margin = (x @ DATA.to(x).T) * LABELS.to(x).sign()
    return torch.relu(1 - margin).mean(-1) + 0.01 * x.square().sum(-1)


def misclassified(x: Tensor) -> Tensor:
    """Share of 40 points on the wrong side of a plane."""
    return ((x @ DATA.to(x).T) * LABELS.to(x) <= 0).to(x).mean(-1)


def largest_plane(x: Tensor) -> Tensor:
    """The largest of twelve linear functions."""
    return (x @ PLANES.to(x).T + OFFSETS.to(x)).amax(-1)


def ill_conditioned(x: Tensor) -> Tensor:
    """Σ 10^(4i/(d−1)) x_i²"""
    return (torch.logspace(0, 4, x.shape[-1], dtype=x.dtype) * x.square()).sum(-1)


def noisy_squares(x: Tensor, seeds: Tensor) -> Tensor:
    """‖x‖²/2 + noise of standard deviation 1, another one at each step of 10⁻⁶ of any parameter."""
    here = (x * 1e6).round().long().sum(-1)
    return x.square().sum(-1) / 2 + torch.from_numpy(Noise(seeds ^ here).normal(0, 1)).to(x)[:, 0]


COSTS = (
    Untuned("Rosenbrock", 10, rosenbrock),
    Untuned("Rastrigin", 8, rastrigin),
    Untuned("Ackley", 6, ackley),
    Untuned("rounded outputs", 12, rounded_squares),
    Untuned("inversions", 8, inversions),
    Untuned("hinge", 6, hinge),
    Untuned("misclassified", 6, misclassified),
    Untuned("largest plane", 10, largest_plane),
    Untuned("ill-conditioned", 10, ill_conditioned),
    Untuned("noisy squares", 10, lambda x: x.square().sum(-1) / 2, noisy_squares),
)
