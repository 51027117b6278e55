"""Running first and second moments of contributions r_k = s w_k u_k: O(d) memory whatever the number of units.

    mean = s/m Σ_k w_k u_k          standard error = √( (s²/m Σ_k w_k² u_k² − mean²) / (m − 1) )

Directions drawn in groups that depend on each other (orthogonal ones, say) count as one unit a group. With C_g the
share of group g in the mean, a_g the share of its directions, K groups,

    mean = Σ_g C_g                  standard error = √( K/(K − 1) Σ_g (C_g − a_g mean)² ),

which is the usual one for equal groups. A last group that is smaller counts for less; the error then errs high.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


class Moments:
    """Accumulate weights (k,) times directions (k, d), or (k, B) times (k, B, d).

    Args:
        m, scale: how many units there will be in all, and s.
        errors, rows: whether standard error and single contributions will be asked for.
        signs: whether all directions consist of ±1, whose squares need not be summed.
    """

    __slots__ = ("_errors", "_m", "_mean", "_rows", "_scale", "_signs", "_square")

    def __init__(self, m: int, scale: float, *, errors: bool, rows: bool, signs: bool = False):
        self._m, self._scale, self._signs = m, scale, signs
        self._errors = errors and m > 1
        self._mean: Tensor | None = None
        self._square: Tensor | None = None  # s²/(m(m − 1)) Σ w² u²
        self._rows: list[Tensor] | None = [] if rows else None

    def add(self, w: Tensor, u: Tensor) -> None:
        """Take in a block. `u` is overwritten if errors were asked for: it is squared in place."""
        m, s = self._m, self._scale
        if self._rows is not None:
            self._rows.append(w.unsqueeze(-1) * u)
        self._mean = accumulate(self._mean, s / m, w, u)
        if self._errors:
            factor, square = s * s / (m * (m - 1)), w * w
            if self._signs:
                term = square.sum(0).mul_(factor).unsqueeze(-1)
                self._square = term if self._square is None else self._square.add_(term)
            else:
                self._square = accumulate(self._square, factor, square, u.mul_(u))

    def close(self) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Return mean, standard error (None for m = 1 or if not asked for) and rows (None if not asked for)."""
        g, se = self._mean, None
        if g is None:
            raise ValueError("Moments: nothing was added")
        if self._square is not None:
            se = torch.addcmul(self._square, g, g, value=-1 / (self._m - 1)).clamp_min_(0).sqrt_()
        return g, se, torch.cat(self._rows).mul_(self._scale) if self._rows is not None else None


class GroupedMoments:
    """The same for directions that come in groups of `size`, the last of which may be smaller."""

    def __init__(self, m: int, scale: float, size: int, *, errors: bool, rows: bool):
        self._m, self._scale, self._size = m, scale, size
        self._errors = errors and m > size
        self._rows: list[Tensor] | None = [] if rows else None
        self._part: Tensor | None = None  # S_g = Σ w u of the group being filled, with `_filled` directions so far
        self._filled = self._groups = self._count = 0
        self._sum: Tensor | None = None  # Σ_g S_g
        self._square: Tensor | None = None  # Σ_g S_g²
        self._cross: Tensor | None = None  # Σ_g m_g S_g

    def add(self, w: Tensor, u: Tensor) -> None:
        """Take in a block, whose groups follow on those before."""
        if self._rows is not None:
            self._rows.append(w.unsqueeze(-1) * u)
        size = self._size
        while n := len(w):
            if self._filled or n < size:  # go on with a group, or begin one that goes on
                n = min(n, size - self._filled)
                self._part = accumulate(self._part, 1.0, w[:n], u[:n])
                self._filled += n
                if self._filled == size:
                    self._take_part()
            else:  # whole groups
                n -= n % size
                weights, directions = w[:n].reshape(-1, size, *w.shape[1:]), u[:n].reshape(-1, size, *u.shape[1:])
                self._take(torch.einsum("gk...,gk...d->g...d", weights, directions), size)
            w, u = w[n:], u[n:]

    def close(self) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Return mean, standard error (None for one group or if not asked for) and rows (None if not asked for)."""
        self._take_part()
        total, m, k, se = self._sum, self._m, self._groups, None
        if total is None:
            raise ValueError("GroupedMoments: nothing was added")
        if self._square is not None and self._cross is not None:
            # Σ_g (C_g − a_g ĝ)²  with  C_g = s S_g/m,  a_g = m_g/m  and  ĝ = s/m Σ_g S_g
            spread = self._square - 2 / m * total * self._cross + self._count / m**2 * total * total
            se = spread.clamp_min_(0).sqrt_().mul_(self._scale / m * math.sqrt(k / (k - 1)))
        rows = torch.cat(self._rows).mul_(self._scale) if self._rows is not None else None
        return total * (self._scale / m), se, rows

    def _take_part(self) -> None:
        if self._part is not None:
            self._take(self._part[None], self._filled)
            self._part, self._filled = None, 0

    def _take(self, sums: Tensor, size: int) -> None:
        """Count in the sums S_g, (groups, …), of groups of `size` directions each."""
        total = sums.sum(0)
        self._sum = total if self._sum is None else self._sum + total
        self._groups += len(sums)
        if self._errors:
            self._count += len(sums) * size * size
            square, cross = (sums * sums).sum(0), size * total
            self._square = square if self._square is None else self._square + square
            self._cross = cross if self._cross is None else self._cross + cross


def accumulate(total: Tensor | None, c: float, w: Tensor, u: Tensor) -> Tensor:
    """Return total + c Σ_k w_k u_k; the first block makes the total, later ones add to it in place."""
    if u.ndim == 3:
        term = torch.einsum("kb,kbd->bd", w, u).mul_(c)
        return term if total is None else total.add_(term)
    if total is None:
        return torch.addmv(u[0], u.t(), w, beta=0, alpha=c)  # with β = 0 the first argument only lends its shape
    if u.shape[0] == 1:
        return total.add_(u[0], alpha=c * w.item())  # one long row: addmv's column pass is slower
    return total.addmv_(u.t(), w, alpha=c)
