"""How a gamma variable moves with its shape: r = ∂ log y/∂α at fixed probability P(α, y), for y ~ Gamma(α, 1).

    y r = −∂P(α, y)/∂α / p(y) = (∂Q/∂α)/p,    p(y) = y^(α−1) e^(−y)/Γ(α),    P + Q = 1

P has no derivative in closed form. Three expressions without cancellation are used, each where it is good:

    y <= 1        r = −Σ_n yⁿ/(α (α+1) … (α+n)) (ln y − ψ(α+n+1))
    1 < y < α     r = −∫_0^∞ e^(−h) (ln y − v − ψ(α)) dv,     h = (α − y) v + y (e^(−v) − 1 + v)      t = y e^(−v)
    else          r =  ∫_0^∞ e^(−h) (ln y + v − ψ(α)) dv,     h = (y − α) v + y (e^v − 1 − v)         t = y e^v

the first from the power series of P, the others from ∂/∂α of the integrals of t^(α−1) e^(−t)/Γ(α) below and above y.
h is convex with h(0) = 0; 64 Gauss–Legendre nodes up to h = 38 leave relative errors of 2·10⁻¹⁴ for α from 0.01 to
1,000 and y between its quantiles of 10⁻⁹ and 1 − 10⁻⁹, found with 50 digits.

Source: Figurnov, Mohamed & Mnih (2018), "Implicit reparameterization gradients", eq. 6; expressions derived here.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rllab._special.nodes import gauss_legendre

_NODES, _TERMS, _FAR, _NEWTON = 64, 24, 38.0, 12  # e^−38 = 3·10⁻¹⁷


def log_derivative(log_y: Tensor, alpha: Tensor) -> Tensor:
    """Return r for log y, float64 of any shape, and α > 0, which broadcasts to it."""
    alpha = alpha.expand(log_y.shape)
    y, psi = log_y.exp(), torch.digamma(alpha)
    r = _series(log_y, alpha)
    for side, where in ((-1.0, (y > 1) & (y < alpha)), (1.0, (y > 1) & (y >= alpha))):
        if where.any():
            r[where] = _integral(side, y[where], log_y[where] - psi[where], alpha[where])
    return r


def _series(log_y: Tensor, alpha: Tensor) -> Tensor:
    y = log_y.exp().clamp_max(1.0)
    term, total = 1 / alpha, torch.zeros_like(log_y)
    for n in range(_TERMS):
        total -= term * (log_y - torch.digamma(alpha + n + 1))
        term = term * y / (alpha + n + 1)
    return total


def _integral(side: float, y: Tensor, offset: Tensor, alpha: Tensor) -> Tensor:
    """Return ± ∫ e^(−h) (offset ± v) dv, offset = ln y − ψ(α)."""

    def bend(v: Tensor) -> Tensor:
        return torch.expm1(side * v) - side * v  # e^(±v) − 1 ∓ v

    slope = (y - alpha).abs()
    # where h = 38, by Newton from above: h >= slope v, and bend >= v²/2 above y, min(v²/4, v/2) below
    v = torch.sqrt(2 * _FAR / y) if side > 0 else torch.maximum(torch.sqrt(4 * _FAR / y), 2 * _FAR / y)
    end = torch.minimum(v, _FAR / slope)
    for _ in range(_NEWTON):
        end = end - (slope * end + y * bend(end) - _FAR) / (slope + y * (side * torch.expm1(side * end)))
    x, w = gauss_legendre(_NODES)
    total = torch.zeros_like(y)
    for node, weight in zip((x + 1) / 2, w / 2, strict=True):
        v = end * node
        total += weight * torch.exp(-slope * v - y * bend(v)) * (offset + side * v)
    return side * end * total
