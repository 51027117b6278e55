"""Implicit pathwise gradient: how a sample moves with a parameter, where it is no simple function of noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import softplus

from rllab.distributions import Beta, Dirichlet, Distribution, Gamma, GaussianMixture
from rllab.distributions.base import uniform
from rllab.estimators.pathwise.gamma_paths import log_derivative
from rllab.estimators.pathwise.mixture_paths import pull_back
from rllab.estimators.query import Plan, PointBlock, Query
from rllab.estimators.score.samples import Contributions, SlopesAtSamples, check_distribution, units_per_block
from rllab.keys import Key

FAMILIES = (Gamma, Beta, Dirichlet, GaussianMixture)


@dataclass(frozen=True)
class ImplicitPathwise(SlopesAtSamples):
    """Estimate the gradient of an expected cost from its gradients at samples that are no simple function of noise.

        F_φ(x) stays as it is:    ∂x/∂φ = −∂_φ F_φ(x) / p_φ(x)            ĝ_φ = 1/K Σ_k ∇f(x_k) ∂x_k/∂φ

        Gamma    x = y/β,  y ~ Gamma(α, 1)        ∂x/∂α = x r(α, y)            ∂x/∂β = −x/β
        Beta     x = y/(y + z),  z ~ Gamma(β, 1)  ∂x/∂α = x (1 − x) r(α, y)    ∂x/∂β = −x (1 − x) r(β, z)
        Dirichlet    x_j = y_j/Σ_i y_i            ∂x_j/∂α_i = x_j (1[i = j] − x_i) r(α_i, y_i)
        GaussianMixture    the conditional probability of each coordinate given those before it stays as it is

    with r = ∂ log y/∂α as in `gamma_paths`, to 10⁻¹³ of itself, and the mixture's as in `mixture_paths`, whose variance
    grows without bound as modes part. K gradient evaluations. Unbiased for ∇E f if f is continuous; where it jumps it
    is wrong as `Pathwise` is, and shows no sign of it. A Dirichlet's cost must be smooth about the simplex, not on it
    alone.

    Returns:
        At a `Gamma`, `Beta`, `Dirichlet` or `GaussianMixture`, an Estimate of ∇E f by parameter name, unbiased if the
        cost is continuous. Its `value` is the mean cost. Gamma variables are drawn by inversion, number by number, so
        that the samples of one of a batch do not depend on its neighbours' parameters.

    Source:
        Figurnov, Mohamed & Mnih (2018), "Implicit reparameterization gradients", eq. 6 and sections 3 and 4.

    Example:
        import torch
        from rllab import Cost, Gamma, estimators as est

        cost = Cost(lambda x: x.square().sum(-1))
        e = est.ImplicitPathwise()(cost, Gamma(torch.tensor([2.0]), 1.0), evaluations=100, key=0)
        e.gradient  # of E x² = a(a + 1)/b²: about 5 by a, −12 by b
    """

    source: ClassVar[str] = "Figurnov, Mohamed & Mnih (2018), Implicit reparameterization gradients"

    def _plan(self, at: Any) -> Plan:
        check_distribution("ImplicitPathwise", at, *FAMILIES)
        numbers = sum(value.numel() for value in at.parameters.values())
        return Plan(per_unit=1, block=units_per_block(at, points=math.ceil(numbers / math.prod(at.shape))))

    def _block(self, query: Query, i: int) -> PointBlock:
        (a, b), key, at = self._span(query, i), query.key.child("sample", i), query.at
        if isinstance(at, GaussianMixture):
            x, _ = at.draw(b - a, key)
            return PointBlock(slice(a, b), x, x)
        first, *second = at.parameters.values()
        log_y = standard_gamma_logs(first, b - a, key.child("y"))
        if isinstance(at, Gamma):
            log_x, noise = log_y - second[0].double().log(), log_y
        elif isinstance(at, Beta):
            log_z = standard_gamma_logs(second[0], b - a, key.child("z"))
            log_x, noise = -softplus(log_z - log_y), (log_y, log_z)  # x = 1/(1 + z/y)
        else:
            log_x, noise = torch.log_softmax(log_y, -1), log_y
        return PointBlock(slice(a, b), log_x.exp().to(first), noise)

    def _contributions(self, query: Query, block: PointBlock, slopes: Tensor) -> Contributions:
        along = self._along_paths(query.at, block.noise, slopes.double())
        return {name: part.to(slopes) for name, part in along.items()}

    def _along_paths(self, at: Distribution, noise: Any, g: Tensor) -> Contributions:
        """Return Σ_j ∂f/∂x_j ∂x_j/∂φ of each sample, for float64 slopes g (n, [B], d)."""
        if isinstance(at, GaussianMixture):
            return pull_back(at, noise, g)
        if isinstance(at, Dirichlet):
            return {"concentration": _dirichlet_slopes(at, noise, g)}
        paths = _gamma_paths(at, noise) if isinstance(at, Gamma) else _beta_paths(at, *noise)
        return {name: g * path for name, path in paths.items()}


def standard_gamma_logs(alpha: Tensor, k: int, key: Key) -> Tensor:
    """Draw log y, y ~ Gamma(α, 1), as log g + log(v)/α with g ~ Gamma(α + 1, 1): finite where y would be 0; float64."""
    a = alpha.double()
    if (given := key.given("log gamma", (k, *a.shape))) is not None:
        return given
    u, v = uniform((2, k, *a.shape), key, a).clamp_min(2.0**-54)
    from scipy.special import gammaincinv  # half a second to load, for what few need

    g = torch.from_numpy(gammaincinv((a + 1).cpu().numpy(), u.cpu().numpy())).to(a)
    return g.log() + v.log() / a


def _gamma_paths(at: Gamma, log_y: Tensor) -> Contributions:
    alpha, beta = (value.double() for value in at.parameters.values())
    x = log_y.exp() / beta
    return {"concentration": x * log_derivative(log_y, alpha), "rate": -x / beta}


def _dirichlet_slopes(at: Dirichlet, log_y: Tensor, g: Tensor) -> Tensor:
    # Σ_j g_j x_j (1[i = j] − x_i) r_i = x_i (g_i − Σ_j g_j x_j) r_i
    x = torch.softmax(log_y, -1)
    return x * (g - (g * x).sum(-1, keepdim=True)) * log_derivative(log_y, at.concentration.double())


def _beta_paths(at: Any, log_y: Tensor, log_z: Tensor) -> Contributions:
    alpha, beta = (value.double() for value in at.parameters.values())
    spread = torch.sigmoid(log_y - log_z) * torch.sigmoid(log_z - log_y)  # x (1 − x)
    return {
        "concentration1": spread * log_derivative(log_y, alpha),
        "concentration0": -spread * log_derivative(log_z, beta),
    }
