"""SPSA, simultaneous perturbation: probe the cost along random signs, all coordinates at once.

    antithetic   ĝ = 1/(2σm) Σ_i (f(θ + σΔ_i) − f(θ − σΔ_i)) Δ_i⁻¹       2m evaluations        "two-sided"
    forward      ĝ =  1/(σm) Σ_i (f(θ + σΔ_i) − f(θ)) Δ_i⁻¹              m + 1                 "one-sided"
    one-point    ĝ =  1/(σm) Σ_i  f(θ + σΔ_i) Δ_i⁻¹                      m

Δ is a vector of independent fair signs, which are their own inverses. (Other laws need a finite E|Δ_j⁻¹|; a normal Δ
has none, and the mean of its estimate does not exist.) All three have the mean

    E ĝ_j = E ∂_j f(θ + σ Δ^j)        Δ^j is Δ with coordinate j replaced by a number uniform on [−1, 1]:

each component is smoothed by a kernel of its own. That is ∇f on quadratics, since E Δ^j = 0, and within O(σ²) of it on
smooth f; it is not the gradient of any one smoothed f. With G = ‖∇f‖² and A the Hessian, the traces of the covariances
for m = 1 on a quadratic are (d − 1)G antithetic, and forward (d − 1)G + (σ²d/4)[(tr A)² + 2(‖A‖² − Σ A_jj²)].

Sources: Spall (1992), "Multivariate stochastic approximation using a simultaneous perturbation gradient
approximation", eq. 2.2; Spall (1997), "A one-measurement form of simultaneous perturbation stochastic approximation".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from rllab.checks import check_parameters, check_positive
from rllab.estimate import Estimate, Target
from rllab.estimators.base import Estimator
from rllab.estimators.moments import Moments
from rllab.estimators.query import Block, Plan, Query
from rllab.estimators.smoothing import probes
from rllab.noise import rademacher


@dataclass(frozen=True)
class SPSA(Estimator):
    """Estimate the gradient by perturbing all parameters at once by ±σ; the cheapest noise there is.

    Args:
        sigma: σ > 0, by which every parameter is moved (Spall's c).
        form: "antithetic" is Spall's two-sided form, "forward" his one-sided one.

    Returns, when called, an Estimate whose mean is componentwise E ∂_j f over the kernel above; exactly ∇f on
    quadratics. Its `value` is the mean over the probes. Seeds are shared as in `GaussianSmoothing`.
    """

    source: ClassVar[str] = (
        "Spall (1992), Multivariate stochastic approximation using a simultaneous perturbation gradient approximation"
    )
    sigma: float = 0.1
    form: probes.Form = "antithetic"

    def __post_init__(self) -> None:
        check_positive("SPSA", sigma=self.sigma)
        probes.check_form("SPSA", self.form)

    @cached_property
    def target(self) -> Target:
        return Target.smoothed("rademacher", self.sigma)

    @property
    def unbiased(self) -> bool:
        return True

    def _plan(self, at: Any) -> Plan:
        return probes.plan(self.form, check_parameters("SPSA", at))

    def _block(self, query: Query, i: int) -> Block:
        a, b = self._span(query, i)
        delta = rademacher((b - a, *query.at.shape), query.key.child("direction", i), query.at)
        return probes.place(self.form, query.at, self.sigma, delta, a)

    def _units(self, query: Query, block: Block) -> np.ndarray:
        return probes.units(self.form, block)

    def _fold(self, query: Query, answered: Iterable[tuple[Block, Tensor]], rows: bool, errors: bool) -> Estimate:
        scale = probes.scale(self.form, self.sigma)
        moments = Moments(query.units, scale, errors=errors, rows=rows, signs=True)  # Δ⁻¹ = Δ
        return probes.fold(query, answered, self.form, moments)
