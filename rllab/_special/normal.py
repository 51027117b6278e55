"""The standard normal, in forms that keep their relative accuracy in tails and under cancellation.

Φ is scipy's ndtr, φ the density. torch's ndtr is not used: it is (1 + erf)/2 and loses every digit below z = −8.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import erfcx, ndtr

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(12)


def cdf(z: np.ndarray) -> np.ndarray:
    """Φ(z)."""
    return ndtr(z)


def pdf(z: np.ndarray) -> np.ndarray:
    """φ(z); it is 0 in float64 beyond |z| = 40, where z² may overflow."""
    z = np.minimum(np.abs(z), 40.0)
    return np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)


def positive_part(z: np.ndarray) -> np.ndarray:
    """E max(0, z + u) = z Φ(z) + φ(z).

    Below 0 the two terms cancel to about φ/z². With Mills' ratio M(y) = Φ(−y)/φ(y) = √(π/2) erfcx(y/√2) it is
    φ(z) (1 − |z| M(|z|)), which loses a factor z² of ε only.
    """
    y = np.minimum(np.abs(z), 40.0)
    tail = pdf(y) * (1 - y * np.sqrt(np.pi / 2) * erfcx(y / np.sqrt(2)))
    return tail + np.maximum(z, 0.0)  # E max(0, z + u) − E max(0, −z − u) = z


class Interval(NamedTuple):
    """Φ(m + h) − Φ(m − h); φ(m + h) − φ(m − h); (m + h) φ(m + h) − (m − h) φ(m − h)."""

    probability: np.ndarray
    pdf: np.ndarray
    z_pdf: np.ndarray


def interval(m: np.ndarray, h: np.ndarray, near: np.ndarray) -> Interval:
    """Return the differences of Φ, φ and zφ over [m − h, m + h], h > 0, each accurate relative to itself.

    All have a parity in m, so they are taken at |m|, where m − h is the end nearer to 0. Narrow intervals are
    integrated: over 2h max(1, |m|) <= 1 twelve Gauss–Legendre nodes give ∫φ to rounding.

    Args:
        near: |m| − h, to its own rounding, which tails need: it may be small beside both.
    """
    a, far = np.abs(m), near + 2 * h
    narrow = 2 * h * np.maximum(1.0, a) <= 1
    t = np.where(narrow, h, 0.0)[..., None] * _NODES
    inside = np.exp(-np.where(narrow, a, 0.0)[..., None] * t - 0.5 * t * t) @ _WEIGHTS
    wide = np.where(near > 0, cdf(-near) - cdf(-far), 1 - cdf(near) - cdf(-far))
    probability = np.where(narrow, pdf(a) * h * inside, wide)
    # φ(a + h) = φ(a − h) e^{−2ah}
    drop = np.expm1(-2 * np.minimum(a * h, 400.0))
    density = pdf(near)
    return Interval(probability, np.sign(m) * density * drop, density * (near * drop + 2 * h * (1 + drop)))


def products_of_others(p: np.ndarray) -> np.ndarray:
    """Return Π_{j≠i} p_j along the last axis, without dividing by p_i, which may be 0."""
    ones = np.ones_like(p[..., :1])
    before = np.cumprod(np.concatenate((ones, p[..., :-1]), axis=-1), axis=-1)
    after = np.cumprod(np.concatenate((ones, p[..., :0:-1]), axis=-1), axis=-1)[..., ::-1]
    return before * after
