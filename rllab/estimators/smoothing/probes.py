"""Probes: the points that lie along random directions u_i, θ ± h u_i, by the form of the differences taken there."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from rllab.estimators.base import BLOCK
from rllab.estimators.query import Plan, PointBlock
from rllab.noise import as_like

Form = Literal["antithetic", "forward", "one-point"]
FORMS = ("antithetic", "forward", "one-point")
PROBES = {"antithetic": 2, "forward": 1, "one-point": 1}  # away from θ, for each direction
_PLUS_MINUS = {ndim: torch.tensor([1.0, -1.0]).view(2, *(1,) * ndim) for ndim in (2, 3)}


def plan(form: Form, at: Tensor, block: int | None = None) -> Plan:
    """Return what a direction costs; a block holds as many as fit, or `block`."""
    block = block or max(1, BLOCK // at.numel())
    if form == "antithetic":
        return Plan(2, block)
    return Plan(1, block, shared=1 if form == "forward" else 0)


def block_along(form: Form, at: Tensor, step: float, u: Tensor, a: int) -> PointBlock:
    """Return the block of points along directions u, (n, d) or (n, B, d), the first of which is direction a."""
    n = u.shape[0]
    if form == "antithetic":
        points = torch.addcmul(at, u, as_like(_PLUS_MINUS[u.ndim], at), value=step)  # (2, n, …)
        return PointBlock(slice(2 * a, 2 * (a + n)), points.flatten(0, 1), u)
    points = torch.add(at, u, alpha=step)
    if form == "one-point":
        return PointBlock(slice(a, a + n), points, u)
    if a == 0:  # the first block also carries θ itself, as its first point
        return PointBlock(slice(0, n + 1), torch.cat((at[None], points)), u)
    return PointBlock(slice(a + 1, a + n + 1), points, u)


def units(form: Form, block: PointBlock) -> np.ndarray:
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
