"""One coordinate of a point drawn uniformly from the unit ball of dimension d: its density and its distribution.

h(t) = c (1 − t²)^{(d−1)/2},   c = Γ(d/2 + 1)/(√π Γ((d+1)/2))
H(t) = ½ I_{1−t²}((d+1)/2, ½) for t < 0, and 1 − H(−t) above          I the regularised incomplete beta function
"""

from __future__ import annotations

import numpy as np
from scipy.special import betainc, poch


def ball_pdf(t: np.ndarray, d: int) -> np.ndarray:
    """h(t); 0 outside (−1, 1)."""
    inside = np.abs(t) < 1
    t = np.where(inside, t, 0.0)
    c = poch((d + 1) / 2, 0.5) / np.sqrt(np.pi)
    return np.where(inside, c * np.exp((d - 1) / 2 * (np.log1p(t) + np.log1p(-t))), 0.0)


def ball_cdf(t: np.ndarray, d: int) -> np.ndarray:
    """H(t), accurate relative to itself in the lower tail; the upper one is ball_cdf(−t, d)."""
    a = np.minimum(np.abs(t), 1.0)
    tail = 0.5 * betainc((d + 1) / 2, 0.5, (1 - a) * (1 + a))
    return np.where(t < 0, tail, 1 - tail)
