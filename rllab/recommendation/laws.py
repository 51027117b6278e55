"""Laws: what the error of an estimator is, by what a pilot has measured; means over its K directions in brackets.

    S = ⟨D²⟩ = G + N          G = ‖∇f_σ‖², signal        N: what of a slope is no gradient, but noise, jumps, curvature

By Stein's lemma ∇f_σ = E D u is what least squares of D on u finds, so that N is their residual; of the m
coordinates a of u in the space of the pilot's directions, where 3/(m + 2) of cubic terms still look linear if m < d,

    N = Σ_k (D_k − ĝ·a_k)² / (K − m)        its standard deviation, and that of G, N √(2m/K(K − m))

From m directions, and with orthonormal ones at distance σ√d, m = qd + s, E‖ĝ − ∇f_σ‖² is

    antithetic   normal (⟨D²‖u‖²⟩ − G)/m, a bound for spread ones     signs (dS − G)/m + W
                 orthonormal G s(d − s)/m² + dN/m + W/d
    forward      the same with F in place of D, m + 1 evaluations; for costs without noise
    central      N deterministic,  N/R with noise that a stencil shares,  W + dτ²/6σ²R with other noise; h = √3 σ
    autograd     B + V/m,  B = ⟨(D − a·u)²⟩ − N, if that is more than chance, of the mean a of gradients, V their
                 variance; all of G if a is 0

W, an allowance for another kernel than the normal one, is N less the share of the cost's own noise: for central
differences, which have nothing else, it was found too large by up to 8 times and too small by up to 5. R is the number
of stencils.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rllab.estimators import (
    SPSA,
    Backprop,
    CentralDifference,
    GaussianSmoothing,
    OrthogonalSmoothing,
    SobolSmoothing,
)
from rllab.estimators.base import Estimator
from rllab.estimators.smoothing import probes
from rllab.estimators.smoothing.directions import SOBOL_DIMENSIONS
from rllab.recommendation.pilot import Pilot, Slopes

LARGE = 1000  # parameters from which on orthonormal directions cost more than they give: Hadamard rows stand in
CLEAR = 0.5  # share of gradient in slopes from which on sigma is large enough
ROUGH = 0.01  # squared relative error by another kernel, from which on that it is only an allowance is said
NEAR = 0.7  # share of the best share that counts as good as that, where none is clear


@dataclass(frozen=True)
class Prediction:
    """E‖ĝ − ∇f_σ‖² of an estimator that spends so many evaluations, why, and what of it no averaging takes away."""

    estimator: Estimator
    evaluations: int
    square: float
    reason: str
    bias: float = 0.0


@dataclass(frozen=True)
class Signal:
    """G and N at one sigma, see above, and the standard deviation of G."""

    sigma: float
    gradient: float
    rest: float
    unsure: float

    @property
    def share(self) -> float:
        return self.gradient / (self.gradient + self.rest)


def signal_of(seen: Slopes) -> Signal | None:
    """Return signal and rest; None if no slope was seen."""
    a, slopes = seen.coordinates, seen.slopes
    k, m = a.shape
    s = float(np.mean(slopes**2))
    if s == 0:
        return None
    fitted = a @ np.linalg.lstsq(a, slopes, rcond=None)[0]
    rest = min(float(np.sum((slopes - fitted) ** 2)) / (k - m), s)
    unsure = rest * math.sqrt(2 * m / (k * (k - m)))
    return Signal(seen.sigma, max(s - rest, unsure), rest, unsure)


def choose_sigma(found: list[Signal]) -> Signal:
    """Return the smallest sigma at which slopes are gradient for the most part, or else as good as at any other.

    It must be so at the next sigma too: of eight directions to spare noise alone makes such a share in 7 %.
    """
    for signal, larger in zip(found, [*found[1:], found[-1]], strict=True):
        if min(signal.share, larger.share) >= CLEAR:
            return signal
    best = max(signal.share for signal in found)
    near = [signal for signal in found if signal.share >= NEAR * best]
    least = min(signal.rest for signal in near)
    return next(signal for signal in near if signal.rest <= 2 * least)


def predictions(pilot: Pilot, signal: Signal, budget: int) -> Iterator[Prediction]:
    """Yield what every estimator that the budget pays for makes of it."""
    yield from _autograd(pilot, signal, budget)
    yield from _central(pilot, signal, budget)
    if budget >= 2:
        yield from _directions(pilot, signal, "antithetic", pilot.at.slopes, budget // 2)
    if budget >= 2 and not pilot.spread:  # else one draw of the noise, that at θ, would be in every difference
        yield from _directions(pilot, signal, "forward", pilot.one_sided, budget - 1)


def _other_kernel(pilot: Pilot, signal: Signal) -> float:
    if not pilot.spread:
        return signal.rest
    return 0.0 if pilot.seeded else max(signal.rest - pilot.spread**2 / (2 * signal.sigma**2), 0.0)


def _directions(pilot: Pilot, signal: Signal, form: probes.Form, slopes: np.ndarray, m: int) -> Iterator[Prediction]:
    d, sigma, g, w = pilot.at.directions.shape[1], signal.sigma, signal.gradient, _other_kernel(pilot, signal)
    spent, about = (2 * m, f"{m} pairs") if form == "antithetic" else (m + 1, f"{m} differences")
    s = float(np.mean(slopes**2))
    curved, rest = max(s - g - signal.rest, 0.0), max(s - g, 0.0)
    more = f", {math.sqrt(curved / g):.2g} of curvature" if curved > 0.01 * g else ""
    lengths = np.resize(np.square(pilot.at.directions).sum(-1), len(slopes))
    # (⟨D²‖u‖²⟩ − G)/m
    normal = max(float(np.mean(slopes**2 * lengths)) - g, signal.unsure) / m
    if form == "antithetic" and not pilot.spread and d <= SOBOL_DIMENSIONS:
        spread_out = f"{about} along spread normal directions of {d}{more}; less if few of them matter"
        yield Prediction(SobolSmoothing(sigma), spent, normal, spread_out)
    yield Prediction(GaussianSmoothing(sigma, form), spent, normal, f"{about} along normal directions of {d}{more}")
    # (dS − G)/m + W
    yield Prediction(SPSA(sigma, form), spent, max(d * s - g, 0.0) / m + w, f"{about} along signs of {d}{more}", w)
    # G s(d − s)/m² + dN/m + W/d
    last = m % d
    square = g * last * (d - last) / m**2 + d * rest / m + w / d
    law, reach = ("haar", sigma * math.sqrt(d)) if d <= LARGE else ("hadamard", sigma)
    yield Prediction(
        OrthogonalSmoothing(reach, law, form),
        spent,
        square,
        f"{about} along directions of {d}, none twice{more}",
        w / d,
    )


def _central(pilot: Pilot, signal: Signal, budget: int) -> Iterator[Prediction]:
    d, sigma = pilot.at.directions.shape[1], signal.sigma
    stencils = budget // (2 * d) if pilot.spread else min(1, budget // (2 * d))
    if not stencils:
        return
    if pilot.seeded and pilot.spread:
        square, w = signal.rest / stencils, 0.0
    else:
        w = _other_kernel(pilot, signal)
        square = w + d * pilot.spread**2 / (6 * sigma**2 * stencils)
    step, how_often = math.sqrt(3) * sigma, f"{stencils} times" if stencils > 1 else "once"
    central = CentralDifference(step=step, repeat=pilot.spread > 0)
    rough = (
        ", but only roughly: a step sees edges where a normal kernel sees none" if w > ROUGH * signal.gradient else ""
    )
    yield Prediction(central, 2 * d * stencils, square, f"each of {d} coordinates, {how_often}{rough}", w)


def _autograd(pilot: Pilot, signal: Signal, budget: int) -> Iterator[Prediction]:
    each = pilot.gradients
    if each is None:
        return
    is_random = len(each) > 1
    m = budget if is_random else 1
    variance = float(each.var(0, ddof=1).sum()) if is_random else 0.0
    why = f"{m} gradients by autograd" if is_random else "by autograd"
    bias = autograd_bias(pilot, signal)
    why += "" if each.any() else ": 0, which says nothing"
    yield Prediction(Backprop(repeat=is_random), m, bias + variance / m, why, bias)


def autograd_bias(pilot: Pilot, signal: Signal) -> float:
    """Return B, how far autograd's gradient is from that of the smoothed cost, squared; see above."""
    each = pilot.gradients
    assert each is not None  # whoever asks has looked
    a = each.mean(0)
    if not a.any():
        return signal.gradient
    apart = float(np.mean((pilot.at.slopes - pilot.at.directions @ a) ** 2)) - signal.rest
    own = float(each.var(0, ddof=1).sum()) / len(each) if len(each) > 1 else 0.0  # the mean of few gradients errs
    return apart - own if apart - own > 2 * (signal.unsure + own) else 0.0
