"""What a sample of estimates says of the estimator: variance, bias, error, angle and signal to noise, with intervals.

R independent estimates ĝ_r with mean ḡ and covariance Σ, t the truth, b = E ĝ − t; Σ̂ the sample covariance:

    variance  v = tr Σ̂                                      bias²  U = ‖ḡ − t‖² − v/R
    mse       1/R Σ_r ‖ĝ_r − t‖²                            snr    (‖ḡ‖² − v/R) / v
    cosine    1/R Σ_r ĝ_r·t / ‖ĝ_r‖‖t‖,  0 where ĝ_r = 0

‖ḡ − t‖² itself would call every noisy estimator biased: its mean is ‖b‖² + v/R. U is unbiased for ‖b‖², and if ḡ is
normal its variance is 4bᵀΣb/R + 2 tr Σ²/R². The interval holds every θ = ‖b‖² that its own variance does not rule out:

    (U − θ)² <= z² (4θs/R + 2τ/R²)        s = (ḡ−t)ᵀΣ̂(ḡ−t) / ‖ḡ−t‖²,  τ an estimate of tr Σ²

a quadratic in θ. Zero belongs to it unless U is too large for noise, so "no bias seen" comes with the largest one that
could have been missed. Where U < 0 it stands at zero, which makes the interval longer. Other intervals are normal ones:
of log v and of log mse by the delta method, of the mean cosine, cut off at ±1, and of snr by putting those of ‖E ĝ‖²
and v together (Bonferroni).

Sources: for U, Serfling (1980), "Approximation theorems of mathematical statistics", section 5.1; for intervals by
inverting a test, Wilson (1927), "Probable inference, the law of succession, and statistical inference".
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from statistics import NormalDist

import torch
from torch import Tensor

from rllab.quality.report import Row
from rllab.quality.truth import Truth

LEVEL = 0.95
TRUTH_HOLDS_TO = 1e-10  # of its norm, see `rllab.problems.base`; a smaller bias is none

OF_TRUTH = ("bias", "mse", "relative_mse", "cosine")
OF_ESTIMATES = ("variance", "snr")


def columns(names: Iterable[str]) -> Iterator[str]:
    """Return the columns of some quantities: each with those of its interval, if it has one."""
    for name in names:
        ends = ("low", "high", "p10", "p90") if name == "cosine" else ("low", "high")
        yield from (name, *(f"{name}_{end}" for end in ends))


def summarise(g: Tensor, truth: Truth, gradient: Truth) -> Row:
    """Return the measured columns for estimates (R, d), held to a truth, and to ∇f beside it."""
    r, norms = len(g), g.norm(dim=-1)
    centred = g - g[0]  # by steps, so that equal estimates have a variance of zero and not of rounding
    mean = g[0] + centred.mean(0)
    centred -= centred.mean(0)
    squares = centred.square().sum(-1) * (r / (r - 1))
    low, high = log_interval(squares, LEVEL)
    row: Row = {"variance": float(squares.mean()), "variance_low": low, "variance_high": high}
    row |= _snr(mean, centred, squares) | {"zeros": int((norms == 0).sum())}
    row |= _against(g, mean, centred, truth)
    return row | beside(_against(g, mean, centred, gradient))


def not_measured(truth: Truth, gradient: Truth) -> Row:
    """Return the same columns where nothing was measured: NaN, but None where there would be no number either."""
    row: Row = dict.fromkeys(columns(OF_ESTIMATES), math.nan) | {"zeros": 0} | _blank(truth)
    return row | beside(_blank(gradient))


def beside(row: Row) -> Row:
    """Return the columns of a truth as those of ∇f."""
    return {f"gradient_{name}": value for name, value in row.items()}


def squared_norm(mean: Tensor, centred: Tensor, level: float) -> tuple[float, float, float]:
    """Estimate ‖E x‖² and an interval for it, from the mean (d,) of x and the deviations (R, d) from it; see above."""
    r = len(centred)
    z = normal_quantile(level)
    square = float(mean @ mean)
    norms = centred.square().sum(-1)
    u = max(0.0, square - float(norms.sum()) / (r * (r - 1)))
    s = float((centred @ mean).square().sum()) / ((r - 1) * square) if square > 0 else 0.0
    # τ = Σ_{r≠q} (x_r·x_q)² / R(R − 1): without r = q, whose terms are (tr Σ)² and not tr Σ²
    gram = centred @ centred.T if r < centred.shape[1] else centred.T @ centred
    tau = max(0.0, float(gram.square().sum() - norms.square().sum())) / (r * (r - 1))
    # θ = U + c ± √(2Uc + c² + 2z²τ/R²)    c = 2z²s/R
    c = 2 * z * z * s / r
    half = math.sqrt(2 * u * c + c * c + 2 * z * z * tau / r**2)
    return u, max(0.0, u + c - half), u + c + half


def log_interval(x: Tensor, level: float) -> tuple[float, float]:
    """Return a normal interval for log E x of non-negative numbers (R,), as one for E x."""
    m, se = float(x.mean()), float(x.std()) / math.sqrt(len(x))
    if m == 0:
        return 0.0, 0.0
    factor = math.exp(normal_quantile(level) * se / m)
    return m / factor, m * factor


def normal_quantile(level: float) -> float:
    """Return how many standard errors a normal interval reaches to either side."""
    return NormalDist().inv_cdf((1 + level) / 2)


def _against(g: Tensor, mean: Tensor, centred: Tensor, truth: Truth) -> Row:
    """Return bias, error and angle of estimates (R, d) against a truth."""
    row: Row = dict.fromkeys(columns(OF_TRUTH))
    t = truth.gradient
    if t is None:
        return row
    size = float(t.norm())
    if size > 0:
        norms = g.norm(dim=-1)
        cosines = torch.where(norms > 0, g @ t / (norms * size), 0.0)
        p10, p90 = torch.quantile(cosines, cosines.new_tensor([0.1, 0.9])).tolist()
        average, half = float(cosines.mean()), float(cosines.std()) / math.sqrt(len(g)) * normal_quantile(LEVEL)
        row |= {"cosine": average, "cosine_low": max(-1.0, average - half), "cosine_high": min(1.0, average + half)}
        row |= {"cosine_p10": p10, "cosine_p90": p90}
    if truth.has_length:
        square, *ends = squared_norm(mean - t, centred, LEVEL)
        low, high = map(math.sqrt, ends)
        unsure = TRUTH_HOLDS_TO * size
        row |= {"bias": math.sqrt(square), "bias_low": max(0.0, low - unsure), "bias_high": high + unsure}
        errors = (g - t).square().sum(-1)
        mse, (low, high) = float(errors.mean()), log_interval(errors, LEVEL)
        row |= {"mse": mse, "mse_low": low, "mse_high": high}
        if size > 0:
            row |= {f"relative_{name}": row[name] / size**2 for name in columns(["mse"])}
    return row


def _blank(truth: Truth) -> Row:
    row: Row = dict.fromkeys(columns(OF_TRUTH))
    if truth.gradient is not None:
        size = float(truth.gradient.norm())
        there = [name for name in OF_TRUTH if (name == "cosine" or truth.has_length)]
        there = [name for name in there if size > 0 or name in ("bias", "mse")]
        row |= dict.fromkeys(columns(there), math.nan)
    return row


def _snr(mean: Tensor, centred: Tensor, squares: Tensor) -> Row:
    v, level = float(squares.mean()), (1 + LEVEL) / 2  # each of two intervals, so that both hold with LEVEL
    signal, low, high = squared_norm(mean, centred, level)
    v_low, v_high = log_interval(squares, level)
    return {"snr": _ratio(signal, v), "snr_low": _ratio(low, v_high), "snr_high": _ratio(high, v_low)}


def _ratio(a: float, b: float) -> float | None:
    return a / b if b > 0 else math.inf if a > 0 else None
