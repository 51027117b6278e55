"""Implicit pathwise gradient: how a sample moves with a parameter, where it is no simple function of noise.

    F_φ(x) stays as it is:    ∂x/∂φ = −∂_φ F_φ(x) / p_φ(x)            ĝ_φ = 1/K Σ_k ∇f(x_k) ∂x_k/∂φ

    Gamma    x = y/β,  y ~ Gamma(α, 1)        ∂x/∂α = x r(α, y)            ∂x/∂β = −x/β
    Beta     x = y/(y + z),  z ~ Gamma(β, 1)  ∂x/∂α = x (1 − x) r(α, y)    ∂x/∂β = −x (1 − x) r(β, z)

with r = ∂ log y/∂α as in `gamma_paths`, to 10⁻¹³ of itself. K gradient evaluations. Unbiased for ∇E f if f is
continuous; where it jumps it is wrong as `Pathwise` is, and shows no sign of it.

Source: Figurnov, Mohamed & Mnih (2018), "Implicit reparameterization gradients", eq. 6 and section 4.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from scipy.special import gammaincinv
from torch import Tensor
from torch.nn.functional import softplus

from rllab.cost import Request
from rllab.distributions import Beta, Distribution, Gamma
from rllab.distributions.base import uniform
from rllab.estimate import Block, Estimate, Query, Target
from rllab.estimators.base import Estimator, Plan
from rllab.estimators.gamma_paths import log_derivative
from rllab.estimators.samples import Contributions, check_place, fold_contributions, units_per_block
from rllab.keys import Key


@dataclass(frozen=True)
class ImplicitPathwise(Estimator):
    """Estimate the gradient of an expected cost from its gradients at gamma or beta samples.

    Returns, when called at a `Gamma` or a `Beta`, an Estimate of ∇E f by parameter name, unbiased if the cost is
    continuous. Its `value` is the mean cost. Samples are drawn by inversion, number by number, so that those of one
    problem do not depend on its neighbours' parameters.
    """

    source: ClassVar[str] = "Figurnov, Mohamed & Mnih (2018), Implicit reparameterization gradients"
    kind: ClassVar[Request] = "value_and_gradient"
    needs: ClassVar[frozenset[str]] = frozenset({"gradient"})

    @property
    def target(self) -> Target:
        return Target.expectation()

    @property
    def unbiased(self) -> bool:
        return True

    def _problems(self, at: Distribution) -> tuple[int, ...]:
        return at.shape[:-1]

    def _plan(self, at: Any) -> Plan:
        check_place("ImplicitPathwise", at, Gamma, Beta)
        return Plan(per_unit=1, block=units_per_block(at, points=len(at.parameters)))

    def _block(self, query: Query, i: int) -> Block:
        (a, b), key, (first, second) = self._span(query, i), query.key.child("sample", i), query.at.parameters.values()
        log_y = standard_gamma_logs(first, b - a, key.child("y"))
        if isinstance(query.at, Gamma):
            log_x, noise = log_y - second.double().log(), log_y
        else:
            log_z = standard_gamma_logs(second, b - a, key.child("z"))
            log_x, noise = -softplus(log_z - log_y), (log_y, log_z)  # x = 1/(1 + z/y)
        return Block(slice(a, b), log_x.exp().to(first), noise)

    def _fold(
        self, query: Query, answered: Iterable[tuple[Block, tuple[Tensor, Tensor]]], rows: bool, errors: bool
    ) -> Estimate:
        at = query.at

        def contributions() -> Iterator[tuple[Contributions, Tensor]]:
            for block, (f, g) in answered:
                paths = _gamma_paths(at, block.noise) if isinstance(at, Gamma) else _beta_paths(at, *block.noise)
                yield {name: g * path.to(g) for name, path in paths.items()}, f

        return fold_contributions(query, contributions(), rows, errors)


def standard_gamma_logs(alpha: Tensor, k: int, key: Key) -> Tensor:
    """Draw log y, y ~ Gamma(α, 1), as log g + log(v)/α with g ~ Gamma(α + 1, 1): finite where y would be 0; float64."""
    a = alpha.double()
    u, v = uniform((2, k, *a.shape), key, a).clamp_min(2.0**-54)
    g = torch.from_numpy(gammaincinv((a + 1).cpu().numpy(), u.cpu().numpy())).to(a)
    return g.log() + v.log() / a


def _gamma_paths(at: Gamma, log_y: Tensor) -> Contributions:
    alpha, beta = (value.double() for value in at.parameters.values())
    x = log_y.exp() / beta
    return {"concentration": x * log_derivative(log_y, alpha), "rate": -x / beta}


def _beta_paths(at: Beta, log_y: Tensor, log_z: Tensor) -> Contributions:
    alpha, beta = (value.double() for value in at.parameters.values())
    spread = torch.sigmoid(log_y - log_z) * torch.sigmoid(log_z - log_y)  # x (1 − x)
    return {
        "concentration1": spread * log_derivative(log_y, alpha),
        "concentration0": -spread * log_derivative(log_z, beta),
    }
