"""Probes: what estimators that look along random directions u_i share, whatever law the directions follow.

    antithetic   ĝ = s/(2m) Σ_i (f(θ + h u_i) − f(θ − h u_i)) u_i        2m evaluations
    forward      ĝ = s/m    Σ_i (f(θ + h u_i) − f(θ)) u_i                m + 1
    one-point    ĝ = s/m    Σ_i  f(θ + h u_i) u_i                        m

with s = 1/h for directions scaled to E u uᵀ = I. All three have the same mean if u and −u are equally likely.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from rllab.arrays import as_array, as_tensor, column_sum
from rllab.estimate import Estimate
from rllab.estimators.base import BLOCK
from rllab.estimators.moments import GroupedMoments, Moments
from rllab.estimators.query import Block, Plan, Query
from rllab.noise import as_like

Form = Literal["antithetic", "forward", "one-point"]
_PROBES = {"antithetic": 2, "forward": 1, "one-point": 1}  # away from θ, for each direction
_PLUS_MINUS = {ndim: torch.tensor([1.0, -1.0]).view(2, *(1,) * ndim) for ndim in (2, 3)}


def check_form(name: str, form: str) -> None:
    """Raise a ValueError in the name of `name` unless `form` is one of those above."""
    if form not in tuple(_PROBES):
        raise ValueError(f"{name}: form must be one of {tuple(_PROBES)}, got {form!r}")


def plan(form: Form, at: Tensor, block: int | None = None) -> Plan:
    """Return what a direction costs; a block holds as many as fit, or `block`."""
    block = block or max(1, BLOCK // at.numel())
    if form == "antithetic":
        return Plan(2, block)
    return Plan(1, block, shared=1 if form == "forward" else 0)


def place(form: Form, at: Tensor, step: float, u: Tensor, a: int) -> Block:
    """Return the block of points along directions u, (n, d) or (n, B, d), the first of which is direction a."""
    n = u.shape[0]
    if form == "antithetic":
        points = torch.addcmul(at, u, as_like(_PLUS_MINUS[u.ndim], at), value=step)  # (2, n, …)
        return Block(slice(2 * a, 2 * (a + n)), points.flatten(0, 1), u)
    points = torch.add(at, u, alpha=step)
    if form == "one-point":
        return Block(slice(a, a + n), points, u)
    if a == 0:  # the first block also carries θ itself, as its first point
        return Block(slice(0, n + 1), torch.cat((at[None], points)), u)
    return Block(slice(a + 1, a + n + 1), points, u)


def scale(form: Form, step: float) -> float:
    """Return 1/(2h) for the difference of two opposite points, else 1/h."""
    return 1 / (_PROBES[form] * step)


def units(form: Form, block: Block) -> np.ndarray:
    """Return for each point the unit it shares its seed with: its mirror image, or in the forward form all others."""
    rows = np.arange(block.rows.start, block.rows.stop)
    if form == "antithetic":
        n = len(rows) // 2
        return block.rows.start // 2 + np.arange(2 * n) % n
    return np.zeros_like(rows) if form == "forward" else rows


def check_not_lost(name: str, argument: str, radius: float, at: Tensor, furthest: Tensor) -> None:
    """Raise a ValueError if moving the largest of a problem's parameters by radius × furthest leaves it where it is.

    Args:
        at: (B, d).
        furthest: (B,), the longest move of a coordinate in units of the radius; where it is 0 nothing was to move.
    """
    largest, h = at.abs().amax(-1), (radius * furthest).to(at)
    lost = (largest + h == largest) & (largest - h == largest) & (furthest > 0)
    if lost.any():
        b = int(lost.nonzero()[0])
        theta = float(largest[b])
        apart = torch.finfo(at.dtype).eps * 2.0 ** (math.frexp(theta)[1] - 1)
        raise ValueError(
            f"{name}: {argument} is lost to rounding at a parameter of size {theta:.6g} in {at.dtype}: it must be at "
            f"least {apart / float(furthest[b]):.2g}, got {radius:g}"
        )


def _check_moved(query: Query, w: np.ndarray, u: np.ndarray) -> None:
    """Raise a ValueError if all differences of a problem are zero because its probes were rounded to where it is."""
    estimator, d = query.estimator, query.at.shape[-1]
    argument = "sigma" if hasattr(estimator, "sigma") else "radius"
    if w.ndim == 1:
        # some coordinate moves by radius ‖u_0‖/√d or more, and none is larger than ‖θ‖
        theta, first = as_array(query.at), u[0]
        moved, size = getattr(estimator, argument) ** 2 * first.dot(first), d * theta.dot(theta)
        if moved > torch.finfo(query.at.dtype).eps ** 2 * size:
            return
    still = ~w.any(0).reshape(-1)
    if still.any():
        furthest = torch.from_numpy(np.abs(u.reshape(len(u), -1, d)[:, still]).max((0, 2)))
        at = query.at.cpu().reshape(-1, d)[torch.from_numpy(still)]
        check_not_lost(type(estimator).__name__, argument, getattr(estimator, argument), at, furthest)


def fold(
    query: Query, answered: Iterable[tuple[Block, Tensor]], form: Form, moments: Moments | GroupedMoments
) -> Estimate:
    """Weigh the directions by the differences each form takes; return their mean, and that of the probes."""
    at, total, centre = query.at, 0.0, None
    for block, values in answered:
        f, u = as_array(values), as_array(block.noise)
        if form == "antithetic":
            n = len(f) // 2
            w = f[:n] - f[n:]
        elif form == "forward":
            if centre is None:
                centre, f = f[0], f[1:]
            w = f - centre
        else:
            w = f
        # most blocks are done with at the first look: a difference, or values that differ between directions
        if form != "one-point" and (w.ndim > 1 or (not w[0] and f[0] == f[len(w) - 1])):
            _check_moved(query, w, u)
        moments.add(w, u)
        total = total + column_sum(f)
        del block, values, u  # before the next block is drawn: its buffers are then still in cache
    g, se, rows = moments.close(at)
    value = as_tensor(np.asarray(total / (_PROBES[form] * query.units)), at)
    return Estimate(g, value, query.evaluations, query.estimator.target, se, rows, query.state)
