"""Noncentral χ²: law of |m + u|², u ~ N(0, I_d), λ = |m|², to rounding of itself in both tails.

With M(t) = E e^{t|m+u|²} = w^{−d/2} e^{λ t/w}, w = 1 − 2t, inversion of the Laplace transform gives contour integrals
    lower(y) = 1/(2πi) ∫ e^{E(w)}/(w − 1) dw  (right of 1),    upper(y) = 1/(2πi) ∫ e^{E(w)}/(1 − w) dw  (left of 1),
    density(y) = ½ 1/(2πi) ∫ e^{E(w)} dw,                      E(w) = (1 − w)(λ/w − y)/2 − (d/2) log w
taken on the parabola w = w₀ (1 + iτ)² by the trapezoidal rule, which converges geometrically there; w₀ is the saddle
point (α = w₀y and β = λ/w₀ differ by d), or beside it where the pole 1 is near. scipy's chndtr and ncx2 (of
Boost) are as accurate in the bulk, but 0 below about 1e-170, where tests of tails and logarithmic plots still look.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

_STEPS = np.arange(201)


class Law(NamedTuple):
    """P(|m + u|² <= y) and P(|m + u|² > y)."""

    lower: np.ndarray
    upper: np.ndarray


def noncentral_law(y: np.ndarray, lam: np.ndarray, d: int) -> Law:
    """Return both tails of |m + u|² at y > 0 (B,), for noncentrality lam = |m|² >= 0 (B,), d degrees of freedom."""
    saddle = _saddle(y, lam, d)
    below = saddle.w >= 1  # y is below the mean: the lower tail is the small one
    # the pole 1 is at τ = i (1 − 1/√w₀); keep it a distance `gap` away
    clear = np.where(below, np.maximum(saddle.w, (1 - saddle.gap) ** -2), np.minimum(saddle.w, (1 + saddle.gap) ** -2))
    sign = np.where(below, 1, -1)[:, None]
    tail = _integral(saddle, clear, lambda w: sign / (w - 1))
    return Law(np.where(below, tail, 1 - tail), np.where(below, 1 - tail, tail))


def noncentral_density(y: np.ndarray, lam: np.ndarray, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the density g_d(y) and the difference g_{d+2}(y) − g_d(y), which is 2 ∂g_d/∂λ."""
    saddle = _saddle(y, lam, d)
    density, difference = (_integral(saddle, saddle.w, f) for f in (np.ones_like, lambda w: 1 / w - 1))
    return 0.5 * density, 0.5 * difference


class _Saddle(NamedTuple):
    """y, λ, d, where E′(w) = 0, the terms α = w y and β = λ/w, α − β = d, and the scale of the peak: its width in τ."""

    y: np.ndarray
    lam: np.ndarray
    d: int
    w: np.ndarray
    alpha: np.ndarray
    beta: np.ndarray
    gap: np.ndarray


def _saddle(y: np.ndarray, lam: np.ndarray, d: int) -> _Saddle:
    alpha = 0.5 * (d + np.hypot(d, 2 * np.sqrt(lam) * np.sqrt(y)))
    w = alpha / y
    beta = lam / w
    return _Saddle(y, lam, d, w, alpha, beta, 1 / np.sqrt(d + 2 * beta + 3))  # E ≈ E₀ − (d + 2β) τ²


def _integral(saddle: _Saddle, w0: np.ndarray, factor: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """1/(2πi) ∫ e^{E(w)} factor(w) dw over the parabola through w₀, for y, λ of shape (B,)."""
    y, lam, d, w, alpha, beta, gap = saddle
    tau = 0.15 * gap[:, None] * _STEPS
    p = 1 + 1j * tau
    ratio = (w0 / w)[:, None]
    b = beta[:, None] / ratio  # λ/w₀
    slope = d + (ratio - 1) * (alpha[:, None] + b)  # w₀y − λ/w₀ from its value at the saddle, not by a large difference
    step = tau * (2j - tau)  # q − 1, q = (1 + iτ)²
    # E(w₀q) − E(w₀) = ½ (q − 1)[w₀y − λ/w₀ + λ/w₀ (q − 1)/q] − (d/2) log q
    rise = 0.5 * step * (slope + b * step / p**2) - d * np.log1p(1j * tau)
    peak = 0.5 * (1 - w0) * (lam / w0 - y) - 0.5 * d * np.log(w0)
    terms = (np.exp(peak[:, None] + rise) * factor(w0[:, None] * p**2) * p).real  # dw = 2i w₀ (1 + iτ) dτ
    return 2 * w0 / np.pi * 0.15 * gap * (terms.sum(-1) - 0.5 * terms[:, 0])
