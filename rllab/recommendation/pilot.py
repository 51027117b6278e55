"""Pilot: what a few hundred evaluations say of a cost: slopes at several radii, noise, and the gradient by autograd."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import gammaincinv
from torch import Tensor

from rllab.cost import BudgetExceeded, Cost
from rllab.keys import Key, seeds_for
from rllab.noise import standard_normal

RADII = (0.003, 0.03, 0.1, 0.3, 1.0, 3.0)  # in units of the parameters' scale
CENTRES = 4  # evaluations at the parameters themselves
GRADIENTS = 8  # gradients of a cost with noise
LEAST = 8  # directions


@dataclass(frozen=True, eq=False)
class Pilot:
    """Slopes of a cost along K directions u_k ~ N(0, I), the same at every radius r, noise drawn anew for each.

        D_rk = (f(θ + r u_k) − f(θ − r u_k)) / 2r        F_rk = (f(θ ± r u_k) − f(θ)) / r, both signs

    Args:
        radii: (J,), ascending.
        squares: ‖u_k‖², (K,).
        directions: (K, d).
        slopes: D, (J, K).
        one_sided: F, (J, 2, K).
        spread: standard deviation of the cost at θ, of its own noise; of 4 values, see `spread_interval`.
        seeded: whether a pair, and a stencil, shares its noise.
        gradients: by autograd, (m, d) under different noise; None, and `why`, if there are none.
        evaluations: spent.
    """

    radii: np.ndarray
    squares: np.ndarray
    directions: np.ndarray
    slopes: np.ndarray
    one_sided: np.ndarray
    spread: float
    seeded: bool
    gradients: np.ndarray | None
    why: str
    evaluations: int


def fewest_evaluations(cost: Cost) -> int:
    """Return the evaluations that the smallest pilot takes."""
    return CENTRES + GRADIENTS + 2 * len(RADII) * LEAST


def spread_interval(spread: float) -> tuple[float, float]:
    """Return the 95 % interval of a pilot's spread if the noise is normal: (n − 1) s²/σ² ~ χ²(n − 1), n = 4."""
    m = CENTRES - 1
    low, high = (2 * float(gammaincinv(m / 2, share)) for share in (0.975, 0.025))  # quantiles of χ²(m)
    return spread * (m / low) ** 0.5, spread * (m / high) ** 0.5


def fly(cost: Cost, at: Tensor, evaluations: int, key: Key, radius: float | None) -> Pilot:
    """Probe a cost at parameters (d,) by at most so many evaluations.

    Args:
        radius: the radius that matters, if it is known: it and three times it are probed instead of all.
    """
    before, d = cost.evaluated, len(at)
    scale = float(at.detach().double().abs().clamp_min(1).square().mean().sqrt())
    radii = np.array(RADII) * scale if radius is None else np.array([radius, 3 * radius])
    k = (evaluations - CENTRES - GRADIENTS) // (2 * len(radii))
    u = standard_normal((k, d), key.child("direction"), at)
    centre = _values(cost, at.expand(CENTRES, d), np.arange(CENTRES), key.child("centre"))
    slopes, one_sided = [], []
    for j, r in enumerate(radii):
        steps = torch.cat((r * u, -r * u))
        pairs = np.concatenate((np.arange(k), np.arange(k)))
        plus, minus = _values(cost, at + steps, pairs, key.child("noise", j)).reshape(2, k)
        slopes.append((plus - minus) / (2 * r))
        one_sided.append((np.stack((plus, minus)) - centre[0]) / r)
    spread = float(centre.std(ddof=1))
    gradients, why = _differentiate(cost, at, GRADIENTS if spread > 0 else 1, key.child("gradient"))
    u, spent = u.double().numpy(force=True), cost.evaluated - before
    return Pilot(
        radii,
        np.square(u).sum(-1),
        u,
        np.array(slopes),
        np.array(one_sided),
        spread,
        cost.seeded,
        gradients,
        why,
        spent,
    )


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
