"""Running first and second moments of contributions r_k = w_k u_k: O(d) memory whatever the number of units.

mean = s/m Σ_k w_k u_k          standard error = √( (s²/m Σ_k w_k² u_k² − mean²) / (m − 1) )
"""

from __future__ import annotations

import torch
from torch import Tensor


class Moments:
    """Accumulate weights (k,) times directions (k, d), or (k, B) times (k, B, d).

    Args:
        errors, rows: whether standard error and single contributions will be asked for.
    """

    __slots__ = ("_errors", "_rows", "_sum", "_sum2")

    def __init__(self, *, errors: bool, rows: bool):
        self._errors = errors
        self._sum: Tensor | None = None
        self._sum2: Tensor | None = None
        self._rows: list[Tensor] | None = [] if rows else None

    def add(self, w: Tensor, u: Tensor) -> None:
        """Take in a block. `u` is overwritten if errors were asked for: it is squared in place."""
        if self._rows is not None:
            self._rows.append(w.unsqueeze(-1) * u)
        self._sum = _accumulate(self._sum, w, u)
        if self._errors:
            self._sum2 = _accumulate(self._sum2, w * w, u.mul_(u))

    def close(self, m: int, scale: float) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Return mean, standard error (None for m = 1 or if not asked for) and rows (None if not asked for)."""
        if self._sum is None:
            raise ValueError("Moments: nothing was added")
        g = self._sum.mul_(scale / m)
        se = None
        if self._sum2 is not None and m > 1:
            se = self._sum2.mul_(scale * scale / m).addcmul_(g, g, value=-1).clamp_min_(0).div_(m - 1).sqrt_()
        return g, se, torch.cat(self._rows).mul_(scale) if self._rows is not None else None


def _accumulate(total: Tensor | None, w: Tensor, u: Tensor) -> Tensor:
    """Return total + Σ_k w_k u_k; the first block makes the total, later ones add to it in place."""
    if u.ndim == 3:
        term = torch.einsum("kb,kbd->bd", w, u)
        return term if total is None else total.add_(term)
    if total is None:
        return torch.mv(u.t(), w)
    if u.shape[0] == 1:
        return total.add_(u[0], alpha=w.item())  # one long row: addmv's column pass is slower
    return total.addmv_(u.t(), w)
