"""Expectation: the gradient of an expected cost as a weighted sum over all there is to be drawn, or over nodes."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from rllab.arrays import as_array, as_value
from rllab.distributions import Distribution
from rllab.distributions.base import Sums, add_into


class Expectation:
    """Sum E f = Σ w f and ∇E f = Σ w f s − (Σ w f) Σ w s, of points that come block by block.

    Σ w s is 0 but for rounding, which a large constant in f would magnify; both sums round the scores alike.
    """

    def __init__(self, at: Distribution):
        self._at = at
        self._sums = Sums()  # Σ w s and Σ w f s
        self._value: Any = 0.0

    def add(self, w: Tensor, f: Tensor, x: Tensor, noise: Any) -> None:
        """Take in costs f with weights w, (n,) or (n, B), at points x (n, *shape)."""
        p, costs = as_array(w.double()), as_array(f)
        wf = p * costs
        self._value = self._value + wf.sum(0)
        add_into(self._sums, self._at.score_sums(np.stack((p, wf)), None, x, noise)[0])

    def close(self, f: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Return ∇E f by parameter, and E f with the dtype of costs like f."""
        value = np.asarray(self._value)
        g = {
            name: wfs - value.reshape((*value.shape, *[1] * (ws.ndim - value.ndim))) * ws
            for name, (ws, wfs) in self._sums.items()
        }
        return self._at.as_tensors(g), as_value(value, f).to(f.dtype)
