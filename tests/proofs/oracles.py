"""Expectations under normal noise from the definition alone, by mpmath in 40 digits: no formula of the library is used.

    J = ∫ k(x) p(x) dx,   J_μ = ∫ k(x) (x − μ)/s² p(x) dx,   J_s = ∫ k(x) ((x − μ)² − s²)/s³ p(x) dx

Panels are split where k jumps or bends, and a few times per standard deviation beyond, so that every piece is smooth.
k(μ) is taken out of the integrals, where it contributes k(μ), 0 and 0: what is left of a jump far away is then small
by itself and not by cancellation, and tails come out to all digits.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import pairwise

import mpmath as mp
import numpy as np
from mpmath.calculus.quadrature import GaussLegendre

DIGITS = 40
REACH = 45  # standard deviations; e^{−45²/2} = 1e-440 is nothing in float64


def normal_moments(k: Callable, breaks: Iterable[float], mu: float, s: float) -> tuple[mp.mpf, ...]:
    """Return J, J_μ, J_s of a curve k for x ~ N(mu, s²)."""
    with mp.workdps(DIGITS):
        m, sd = mp.mpf(mu), mp.mpf(s)
        near = [b for b in map(mp.mpf, breaks) if abs(b - m) < REACH * sd]
        near = [(b - m) / sd for b in near]
        ends = {mp.mpf(z) for z in range(-REACH, REACH + 1, 5)} | set(near)
        if len(near) < 10:  # with more of them the panels are narrow already
            ends |= {u + z for u in near for z in (-2, -1, 1, 2)}
        # Of 12 nodes a panel of half a standard deviation is off by h²⁵ (12!)⁴ / (25 (24!)³) |f⁽²⁴⁾| < 1e-33, with
        # |f⁽²⁴⁾| <= √24! max(1, u²) of what is integrated here; 48 are for wider ones
        narrow = max(b - a for a, b in pairwise(sorted(ends))) <= 0.5
        middle, j, j_mu, j_s = k(m), mp.mpf(0), mp.mpf(0), mp.mpf(0)
        for a, b in pairwise(sorted(ends)):
            for u, w in normal_panel(a, b, 12 if narrow else 48):
                mass = w * (k(m + sd * u) - middle)
                j, j_mu, j_s = j + mass, j_mu + mass * u, j_s + mass * (u * u - 1)
        norm = mp.sqrt(2 * mp.pi)
        return middle + j / norm, j_mu / norm / sd, j_s / norm / sd


@cache
def normal_panel(a: mp.mpf, b: mp.mpf, points: int) -> list[tuple[mp.mpf, mp.mpf]]:
    """Return the nodes u of a panel, and their weights times exp(−u²/2): most panels are those of every law."""
    with mp.workdps(DIGITS):
        return [(u, w * mp.exp(-u * u / 2)) for u, w in panel_nodes((a, b), points)]


def panel_nodes(ends: Iterable, points: int = 48) -> Iterator[tuple[mp.mpf, mp.mpf]]:
    """Yield nodes and weights of Gauss–Legendre rules of 12, 24 or 48 points on the panels between sorted ends.

    A fixed rule, because mpmath's adaptive one stops at an absolute error, which is no error at all in a tail.
    """
    rule = legendre(points)
    for a, b in pairwise(sorted(ends)):
        for x, w in rule:
            yield (a + b) / 2 + (b - a) / 2 * x, (b - a) / 2 * w


@cache
def legendre(points: int) -> list[tuple[mp.mpf, mp.mpf]]:
    with mp.workdps(DIGITS):
        return GaussLegendre(mp.mp).calc_nodes({12: 3, 24: 4, 48: 5}[points], mp.mp.prec)


def assert_holds(measured, true, scale: float = 0.0, rtol: float = 1e-11) -> None:
    """Each number is right to `rtol` of itself, or of `scale`: the size of the terms it is the difference of."""
    for got, wanted in zip(np.ravel(measured), np.ravel(np.array(true, dtype=object)), strict=True):
        error, allowed = abs(mp.mpf(float(got)) - wanted), rtol * max(abs(wanted), mp.mpf(scale))
        shown = f"{float(got)!r} for {mp.nstr(wanted, 17)}: error {mp.nstr(error, 3)}, allowed {mp.nstr(allowed, 3)}"
        assert error <= allowed or abs(wanted) < 1e-300, shown


def ball_moments(k: Callable, breaks: Iterable[float], mu: float, r: float, d: int) -> tuple[mp.mpf, mp.mpf]:
    """Return J = E k(mu + r v₁) and ∂J/∂mu, v uniform in the unit ball of dimension d: v₁ = sin ψ, density ~ cosᵈψ."""
    with mp.workdps(DIGITS):
        h = mp.mpf(10) ** -12
        low, middle, high = (_ball_mean(k, breaks, mp.mpf(mu) + t * h, mp.mpf(r), d) for t in (-1, 0, 1))
        return middle, (high - low) / (2 * h)


def _ball_mean(k, breaks, mu, r, d):
    places = [(mp.mpf(b) - mu) / r for b in breaks]
    ends = {mp.pi * j / 8 for j in range(-4, 5)} | {mp.asin(t) for t in places if abs(t) < 1}
    panels = [ball_panel(a, b, d) for a, b in pairwise(sorted(ends))]
    pairs = [(k(mu + r * t), w) for panel in panels for t, w in panel]
    return mp.fsum(y * w for y, w in pairs) / mp.fsum(w for _, w in pairs)


@cache
def ball_panel(a: mp.mpf, b: mp.mpf, d: int) -> list[tuple[mp.mpf, mp.mpf]]:
    """Return sin ψ at the nodes ψ of a panel, and their weights times cosᵈψ: most panels are those of every curve."""
    with mp.workdps(DIGITS):
        return [(mp.sin(psi), w * mp.cos(psi) ** d) for psi, w in panel_nodes((a, b))]


def chi2_tails(y, lam, d: int) -> tuple[mp.mpf, mp.mpf]:
    """Return both tails of noncentral χ² as its Poisson mixture of central ones, Σ_k Pois(k; λ/2) P(d/2 + k, y/2)."""
    with mp.workdps(60):
        y, half = mp.mpf(y), mp.mpf(lam) / 2
        last = int(half + 40 * mp.sqrt(half + 50) + 60) if half else 0
        a, x = mp.mpf(d) / 2 + last, y / 2
        p = mp.gammainc(a, 0, x, regularized=True)
        weight = mp.exp(-half + last * mp.log(half) - mp.loggamma(last + 1)) if half else mp.mpf(1)
        step = mp.exp(-x + (a - 1) * mp.log(x) - mp.loggamma(a))  # P(a − 1, x) − P(a, x)
        lower = mp.mpf(0)
        for k in range(last, -1, -1):
            lower += weight * p
            p, a, weight = p + step, a - 1, weight * k / half if half else weight
            step *= a / x
        return lower, 1 - lower


def chi2_density(y, lam, d: int) -> mp.mpf:
    """Return the density of noncentral χ² by its Bessel function."""
    with mp.workdps(60):
        y, lam, nu = mp.mpf(y), mp.mpf(lam), mp.mpf(d) / 2 - 1
        if not lam:
            return mp.exp(-y / 2) * (y / 2) ** nu / mp.gamma(nu + 1) / 2
        return mp.exp(-(y + lam) / 2) / 2 * (y / lam) ** (nu / 2) * mp.besseli(nu, mp.sqrt(lam * y))
