"""Pilot: what a few hundred evaluations say of a cost: slopes at several sigmas, then more at one, noise, autograd."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import gammaincinv
from torch import Tensor

from rllab.cost import BudgetExceeded, Cost
from rllab.keys import Key, seeds_for
from rllab.noise import standard_normal

SIGMAS = (0.003, 0.03, 0.1, 0.3, 1.0, 3.0)  # in units of the parameters' scale
CENTRES = 4  # evaluations at the parameters themselves
GRADIENTS = 8  # gradients of a cost with noise
LEAST = 8  # directions of a survey, and of a pilot


@dataclass(frozen=True, eq=False)
class Slopes:
    """Slopes of a cost along K directions u_k ~ N(0, I) at one σ.

        D_k = (f(θ + σ u_k) − f(θ − σ u_k)) / 2σ

    The directions lie in a space of m = min(d, K/2) dimensions, so that K/2 of them are left to tell what is linear in
    u, the gradient, from what is not: if m < d, u_k = Bᵀ a_k of m common normal vectors B and unit vectors a_k.

    Args:
        directions: u, (K, d).
        coordinates: of the directions in their space, (K, m): a, or u itself if m = d.
        values: of the cost at θ + σ u and at θ − σ u, (2, K).
    """

    sigma: float
    directions: np.ndarray
    coordinates: np.ndarray
    values: np.ndarray

    @property
    def slopes(self) -> np.ndarray:
        """D, (K,)."""
        plus, minus = self.values
        return (plus - minus) / (2 * self.sigma)


@dataclass(frozen=True, eq=False)
class Pilot:
    """What is known of a cost.

    Args:
        at: slopes at the sigma that matters.
        centre: the cost at θ, once.
        spread: standard deviation of the cost at θ, of its own noise; of 4 values, see `spread_interval`.
        seeded: whether a pair, and a stencil, shares its noise.
        gradients: by autograd, (m, d) under different noise; None, and `why`, if there are none.
    """

    at: Slopes
    centre: float
    spread: float
    seeded: bool
    gradients: np.ndarray | None
    why: str

    @property
    def one_sided(self) -> np.ndarray:
        """(f(θ ± σ u_k) − f(θ)) / σ, both signs, (2K,)."""
        return ((self.at.values - self.centre) / self.at.sigma).reshape(-1)


def fewest_evaluations(sigma: float | None) -> int:
    """Return the evaluations that the smallest pilot takes, with a survey before it if sigma is not known."""
    return CENTRES + GRADIENTS + 2 * LEAST * (1 if sigma is not None else 1 + len(SIGMAS))


def survey(cost: Cost, at: Tensor, evaluations: int, key: Key) -> list[Slopes]:
    """Return slopes along the same directions at every one of `SIGMAS`, from half of the evaluations."""
    scale = float(at.detach().double().abs().clamp_min(1).square().mean().sqrt())
    k = max(LEAST, evaluations // (4 * len(SIGMAS)))
    a, u = _directions(at, k, key)
    return [_slopes(cost, at, scale * sigma, a, u, key.child("noise", j)) for j, sigma in enumerate(SIGMAS)]


def fly(cost: Cost, at: Tensor, evaluations: int, key: Key, sigma: float) -> Pilot:
    """Probe a cost at parameters (d,) by at most so many evaluations, at that sigma.

    What it says of that sigma is unbiased, since its directions are not those that a survey chose it by.
    """
    k = (evaluations - CENTRES - GRADIENTS) // 2
    seen = _slopes(cost, at, sigma, *_directions(at, k, key), key.child("noise"))
    centre = _values(cost, at.expand(CENTRES, len(at)), np.arange(CENTRES), key.child("centre"))
    spread = float(centre.std(ddof=1))
    gradients, why = _differentiate(cost, at, GRADIENTS if spread > 0 else 1, key.child("gradient"))
    return Pilot(seen, float(centre[0]), spread, cost.seeded, gradients, why)


def _directions(at: Tensor, k: int, key: Key) -> tuple[Tensor, Tensor]:
    """Return coordinates (k, m) and directions (k, d); see `Slopes`."""
    d = len(at)
    m = min(d, k // 2)
    a = standard_normal((k, m), key.child("direction"), at)
    if m == d:
        return a, a
    a = a / a.norm(dim=-1, keepdim=True)
    return a, a @ standard_normal((m, d), key.child("space"), at)


def _slopes(cost: Cost, at: Tensor, sigma: float, a: Tensor, u: Tensor, key: Key) -> Slopes:
    k = len(u)
    pairs = np.concatenate((np.arange(k), np.arange(k)))
    values = _values(cost, at + torch.cat((sigma * u, -sigma * u)), pairs, key).reshape(2, k)
    a_, u_ = (x.double().numpy(force=True) for x in (a, u))
    return Slopes(sigma, u_, a_, values)


def spread_interval(spread: float) -> tuple[float, float]:
    """Return the 95 % interval of a pilot's spread if the noise is normal: (n − 1) s²/σ² ~ χ²(n − 1), n = 4."""
    m = CENTRES - 1
    low, high = (2 * float(gammaincinv(m / 2, share)) for share in (0.975, 0.025))  # quantiles of χ²(m)
    return spread * (m / low) ** 0.5, spread * (m / high) ** 0.5


def _values(cost: Cost, points: Tensor, units: np.ndarray, key: Key) -> np.ndarray:
    seeds = seeds_for(units, key) if cost.seeded else None
    return cost(points.clone(), seeds).double().numpy(force=True)


def _differentiate(cost: Cost, at: Tensor, m: int, key: Key) -> tuple[np.ndarray | None, str]:
    """Return m gradients of a cost under different noise; whatever goes wrong means that there are none, and why."""
    seeds = seeds_for(np.arange(m), key) if cost.seeded else None
    try:
        return cost.gradient(at.repeat(m, 1), seeds).double().numpy(force=True), ""
    except BudgetExceeded:
        raise
    except Exception as error:  # autograd meets whatever a user's function does with its points
        return None, str(error).splitlines()[0] if str(error) else type(error).__name__
