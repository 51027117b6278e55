"""One coordinate of a point drawn uniformly from the unit ball of dimension d: its density and its distribution.

h(t) = c (1 − t²)^{(d−1)/2},   c = Γ(d/2 + 1)/(√π Γ((d+1)/2))
H(t) = ½ I_{1−t²}((d+1)/2, ½) for t < 0, and 1 − H(−t) above          I the regularised incomplete beta function
     = ½ ± ½ I_{t²}(½, (d+1)/2), which is used near 0, where 1 − t² loses t
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import betainc, gammaln, jv, poch


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
    from_middle = 0.5 * betainc(0.5, (d + 1) / 2, a * a)
    near = a * a * (d + 1) < 1
    return np.where(near, 0.5 + np.copysign(from_middle, t), np.where(t < 0, tail, 1 - tail))


def ball_growth(k: float, d: int) -> float:
    """E e^{kt}: all terms of its series are positive."""
    return _series(d / 2 + 1, k * k / 4)


def ball_damping(k: float, d: int) -> float:
    """E cos(kt), accurate relative to itself where it does not oscillate; scipy's hyp0f1 is NaN for large d.

    With b = d/2 + 1, z = −k²/4 it is Γ(b) (k/2)^{1−b} J_{b−1}(k). Where k < d that underflows and the series cancels,
    so F(b) = ₀F₁(; b; z) is found from the series at orders B > |z|/2, where it does not cancel, by the recurrence
    F(b − 1) = F(b) + z F(b + 1)/(b (b − 1)), which is stable downwards.
    """
    b, k = d / 2 + 1, abs(k)
    if k > d:
        return float(np.exp(gammaln(b) + (1 - b) * math.log(k / 2)) * jv(b - 1, k))
    z = -k * k / 4
    order = b + max(0, math.ceil(-z / 2 - b))
    f, above = _series(order, z), _series(order + 1, z)
    while order > b:
        f, above = f + z * above / (order * (order - 1)), f
        order -= 1
    return f


def _series(b: float, z: float) -> float:
    """₀F₁(; b; z) = Σ_n zⁿ / ((b)_n n!), by its terms."""
    total, term, n = 1.0, 1.0, 0
    while abs(term) > 1e-17 * abs(total) and math.isfinite(total):
        term *= z / ((b + n) * (n + 1))
        total += term
        n += 1
    return total
