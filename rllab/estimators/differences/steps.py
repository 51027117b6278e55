"""Steps of finite differences, and the walk along coordinates that the methods using them share.

A difference with step h is wrong by what the Taylor series leaves out, and by the errors ε of the two values:

    forward   |error| ≤ (h/2)|f''|  + 2ε/h      least at   h = 2 √(ε/|f''|)
    central   |error| ≤ (h²/6)|f'''| + ε/h      least at   h = (3ε/|f'''|)^(1/3)

f is not known beforehand, so two things are *assumed* of every coordinate i: f changes on the scale
s_i = max(|θ_i|, 1), and by about 1 there. Then |f''| = 1/s², |f'''| = 1/s³ and ε = u + τ, with u the unit roundoff,
half the machine epsilon, and τ the standard deviation of the cost's own noise. If f changes by a instead, give τ/a as
the noise; if on another scale, give the step.

Sources: Gill, Murray & Wright (1981), "Practical optimization", section 8.6; Moré & Wild (2012), "Estimating
derivatives of noisy simulations" (for a noise of standard deviation τ they have h = 8^(1/4) √(τ/|f''|), 0.84 times the
above).
"""

from __future__ import annotations

import math
from numbers import Real

import torch
from torch import Tensor

from rllab.checks import check_number, check_parameters
from rllab.estimators.base import BLOCK
from rllab.estimators.query import Plan


def check_step(name: str, step: float | None, noise: float = 0.0) -> None:
    """Raise a TypeError or ValueError in the name of `name` unless step and noise are usable together."""
    if step is not None and not isinstance(step, Real):
        raise TypeError(f"{name}: step must be a number, or None for an automatic one, got {step!r}")
    check_number(name, noise=noise)
    if step is not None and not (step > 0 and math.isfinite(step)):
        raise ValueError(f"{name}: step must be positive and finite, or None for an automatic one, got {step}")
    if not (noise >= 0 and math.isfinite(noise)):
        raise ValueError(f"{name}: noise must be >= 0 and finite, got {noise}")
    if step is not None and noise:
        raise ValueError(f"{name}: noise sets an automatic step; with step={step} given it must be 0, got {noise}")


def stencil_plan(name: str, at: object, repeat: bool, *, pieces: int = 0, per_piece: int = 1) -> Plan:
    """Return the plan of a method whose unit is a stencil: a piece for each coordinate and `pieces` more.

    Args:
        repeat: whether more than one stencil may be made.
        per_piece: evaluations each.
    """
    at = check_parameters(name, at)
    n = at.shape[-1] + pieces
    return Plan(n * per_piece, max(1, BLOCK // at.numel()), most_units=None if repeat else 1, pieces=n)


def forward_step(at: Tensor, step: float | None, noise: float) -> Tensor:
    """Return h for every coordinate, shaped like `at`: the given one, or 2 s √(u + τ)."""
    return _scaled(at, step, 2 * math.sqrt(torch.finfo(at.dtype).eps / 2 + noise))


def central_step(at: Tensor, step: float | None, noise: float) -> Tensor:
    """Return h for every coordinate, shaped like `at`: the given one, or s (3(u + τ))^(1/3)."""
    return _scaled(at, step, (3 * (torch.finfo(at.dtype).eps / 2 + noise)) ** (1 / 3))


def complex_step(at: Tensor, step: float | None) -> Tensor:
    """Return h for every coordinate, shaped like `at`: the given one, or 2 s u, as nothing cancels."""
    return _scaled(at, step, torch.finfo(at.dtype).eps)


def _scaled(at: Tensor, step: float | None, relative: float) -> Tensor:
    return torch.full_like(at, step) if step is not None else at.abs().clamp_min(1) * relative


def check_width(name: str, width: Tensor) -> Tensor:
    """Return the distances between points, unless one has been rounded to nothing: an error names its coordinate."""
    if not (width > 0).all():
        where = (~(width > 0)).nonzero()[0].tolist()
        raise ValueError(f"{name}: step is lost to rounding at coordinate {where}; it must be larger")
    return width


def along(at: Tensor, moved: Tensor, coordinates: Tensor) -> Tensor:
    """Return copies of `at`, (n, *at.shape), with one coordinate each taken from `moved`; -1 stands for none."""
    points = at.to(moved.dtype).expand(len(coordinates), *at.shape).clone()
    k = (coordinates >= 0).nonzero()[:, 0]
    points[k, ..., coordinates[k]] = pick(moved, coordinates[k])
    return points


def pick(t: Tensor, coordinates: Tensor) -> Tensor:
    """Return the entries of `t`, (d,) or (B, d), at n coordinates, as (n,) or (n, B)."""
    return t[..., coordinates].movedim(-1, 0)


class Stencils:
    """Collect derivatives coordinate by coordinate, over one or more stencils; give mean, standard error, rows."""

    def __init__(self, at: Tensor, units: int, *, errors: bool, rows: bool):
        self._units = units
        self._sum = torch.zeros_like(at)
        self._square = torch.zeros_like(at) if errors and units > 1 else None
        self._rows: list[Tensor] | None = [] if rows else None

    def add(self, coordinates: Tensor, derivatives: Tensor) -> None:
        """Take in derivatives (n,) or (n, B) at coordinates (n,), in the order of the query."""
        along_last = derivatives.movedim(0, -1)
        self._sum.index_add_(-1, coordinates, along_last)
        if self._square is not None:
            self._square.index_add_(-1, coordinates, along_last.square())
        if self._rows is not None:
            self._rows.append(derivatives)

    def close(self) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Return mean, standard error over stencils (None for one, or if not asked for) and stencils by row."""
        m = self._units
        g = self._sum.div_(m)
        se = None
        if self._square is not None:
            se = self._square.div_(m).addcmul_(g, g, value=-1).clamp_min_(0).div_(m - 1).sqrt_()
        if self._rows is None:
            return g, se, None
        rows = torch.cat(self._rows)
        return g, se, rows.view(m, -1, *rows.shape[1:]).movedim(1, -1)
