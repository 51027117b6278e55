"""Running first and second moments of contributions s w_k u_k: O(d) memory whatever the number of units.

    r_k = s/m w_k u_k        mean = Σ_k r_k        standard error = √( S + (S − mean²)/(m − 1) ),  S = Σ_k r_k²

A difference of squares: units that agree to the last bit get one of about 1e-8 of the mean over √m, in float64, not 0.

Directions drawn in groups that depend on each other (orthogonal ones, say) count as one unit a group. With C_g the sum
of r over group g, a_g its share of the directions, K groups,

    mean = Σ_g C_g           standard error = √( K/(K − 1) · Σ_g (C_g − a_g mean)² )

which is the usual one for equal groups, and summed over C_g − a_g r, r the mean of the first group, so that groups that
agree get 0. A last group that is smaller counts for less; the error then errs high.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from rllab.arrays import as_tensor, column_sum, weighted_sum

Closed = tuple[Tensor, Tensor | None, Tensor | None]  # mean, standard error, contributions per unit


class Moments:
    """Accumulate weights (k,) times directions (k, d), or (k, B) times (k, B, d).

    Args:
        m, scale: how many units there will be in all, and s.
        errors, per_unit: whether standard error and single contributions will be asked for.
        signs: whether all directions consist of ±1, whose squares need not be summed.
    """

    __slots__ = ("_errors", "_m", "_mean", "_per_unit", "_scale", "_signs", "_square")

    def __init__(self, m: int, scale: float, *, errors: bool, per_unit: bool, signs: bool = False):
        self._m, self._scale, self._signs = m, scale / m, signs
        self._errors = errors and m > 1
        self._mean: np.ndarray | None = None
        self._square: np.ndarray | None = None  # S
        self._per_unit: list[np.ndarray] | None = [] if per_unit else None

    def add(self, w: np.ndarray, u: np.ndarray) -> None:
        """Take in a block. `u` is overwritten."""
        w = w * self._scale
        if self._per_unit is not None:
            self._per_unit.append(u * (w * self._m)[..., None])
        self._mean = _plus(self._mean, weighted_sum(w, u))
        if self._errors:
            w = w * w
            if self._signs:
                square = column_sum(w) if w.ndim == 1 else column_sum(w)[:, None]
            else:
                square = weighted_sum(w, np.multiply(u, u, out=u))
            self._square = _plus(self._square, square)

    def close(self, like: Tensor) -> Closed:
        """Return mean, standard error (None for m = 1 or if not asked for) and contributions (likewise)."""
        g, variance = self._mean, None
        if g is None:
            raise ValueError("Moments: nothing was added")
        if self._square is not None:
            # S + (S − mean²)/(m − 1)
            variance = self._square * (self._m / (self._m - 1)) - g * g * (1 / (self._m - 1))
        return _closed(g, variance, self._per_unit, like)


class GroupedMoments:
    """The same for directions that come in groups of `size`, the last of which may be smaller."""

    def __init__(self, m: int, scale: float, size: int, *, errors: bool, per_unit: bool):
        self._m, self._scale, self._size = m, scale / m, size
        self._errors = errors and m > size
        self._per_unit: list[np.ndarray] | None = [] if per_unit else None
        self._part: np.ndarray | None = None  # C_g of the group being filled, with `_filled` directions so far
        self._filled = self._groups = self._count = 0
        self._mean: np.ndarray | None = None
        self._first: np.ndarray | None = None  # r
        self._square: np.ndarray | None = None  # Σ_g (C_g − a_g r)²
        self._cross: np.ndarray | None = None  # Σ_g m_g (C_g − a_g r)

    def add(self, w: np.ndarray, u: np.ndarray) -> None:
        """Take in a block, whose groups follow on those before. `u` is overwritten."""
        r, size = np.multiply(u, (w * self._scale)[..., None], out=u), self._size
        if self._per_unit is not None:
            self._per_unit.append(r * self._m)
        while n := len(r):
            if self._filled or n < size:  # go on with a group, or begin one that goes on
                n = min(n, size - self._filled)
                self._part = _plus(self._part, r[:n].sum(0))
                self._filled += n
                if self._filled == size:
                    self._take_part()
            else:  # whole groups
                n -= n % size
                self._take(r[:n].reshape(-1, size, *r.shape[1:]).sum(1), size)
            r = r[n:]

    def close(self, like: Tensor) -> Closed:
        """Return mean, standard error (None for one group or if not asked for) and contributions (likewise)."""
        self._take_part()
        g, m, k, variance = self._mean, self._m, self._groups, None
        if g is None:
            raise ValueError("GroupedMoments: nothing was added")
        if self._square is not None and self._cross is not None and self._first is not None:
            rest = g - self._first
            # Σ_g (C_g − a_g ĝ)²  with  a_g = m_g/m, and ĝ = r + rest
            spread = self._square - 2 / m * rest * self._cross + self._count / m**2 * rest * rest
            variance = k / (k - 1) * spread
        return _closed(g, variance, self._per_unit, like)

    def _take_part(self) -> None:
        if self._part is not None:
            self._take(self._part[None], self._filled)
            self._part, self._filled = None, 0

    def _take(self, shares: np.ndarray, size: int) -> None:
        """Count in the shares C_g, (groups, …), of groups of `size` directions each."""
        self._mean = _plus(self._mean, shares.sum(0))
        self._groups += len(shares)
        if self._errors:
            first = shares[0] * (self._m / size) if self._first is None else self._first
            shares, self._first = shares - first * (size / self._m), first  # C_g − a_g r
            self._count += len(shares) * size * size
            self._square = _plus(self._square, (shares * shares).sum(0))
            self._cross = _plus(self._cross, size * shares.sum(0))


def _plus(total: np.ndarray | None, term: np.ndarray) -> np.ndarray:
    return term if total is None else total + term


def _closed(g: np.ndarray, variance: np.ndarray | None, per_unit: list[np.ndarray] | None, like: Tensor) -> Closed:
    se = None if variance is None else as_tensor(np.sqrt(np.maximum(variance, 0.0)), like)
    return as_tensor(g, like), se, None if per_unit is None else as_tensor(np.concatenate(per_unit), like)
