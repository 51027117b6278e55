"""SPSA, simultaneous perturbation: probe the cost along random signs, all coordinates at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from torch import Tensor

from rllab.checks import check_one_of, check_positive
from rllab.estimate import Target
from rllab.estimators.query import Query
from rllab.estimators.smoothing.engine import Design, Smoothing
from rllab.estimators.smoothing.probes import FORMS, Form
from rllab.noise import rademacher


@dataclass(frozen=True)
class SPSA(Smoothing):
    """Estimate the gradient by perturbing all parameters at once by ±σ; the cheapest noise there is.

        antithetic   ĝ = 1/(2σm) Σ_i (f(θ + σΔ_i) − f(θ − σΔ_i)) Δ_i⁻¹       2m evaluations        "two-sided"
        forward      ĝ =  1/(σm) Σ_i (f(θ + σΔ_i) − f(θ)) Δ_i⁻¹              m + 1                 "one-sided"
        one-point    ĝ =  1/(σm) Σ_i  f(θ + σΔ_i) Δ_i⁻¹                      m

    Δ is a vector of independent fair signs, which are their own inverses. (Other laws need a finite E|Δ_j⁻¹|; a normal
    Δ has none, and the mean of its estimate does not exist.) All three have the mean

        E ĝ_j = E ∂_j f(θ + σ Δ^j)        Δ^j is Δ with coordinate j replaced by a number uniform on [−1, 1]:

    each component is smoothed by a kernel of its own. That is ∇f on quadratics, since E Δ^j = 0, and within O(σ²) of it
    on smooth f; it is not the gradient of any one smoothed f. With G = ‖∇f‖² and A the Hessian, the traces of the
    covariances for m = 1 on a quadratic are (d − 1)G antithetic, and forward (d − 1)G + (σ²d/4)[(tr A)² + 2(‖A‖² − Σ
    A_jj²)].

    Args:
        sigma: σ > 0, by which every parameter is moved (Spall's c).
        form: "antithetic" is Spall's two-sided form, "forward" his one-sided one.

    Returns:
        An Estimate whose mean is componentwise E ∂_j f over the kernel above; exactly ∇f on quadratics. Its `value` is
        the mean over the probes. Seeds are shared as in `GaussianSmoothing`.

    Raises:
        TypeError, ValueError: `sigma` is no positive number, or `form` is unknown.

    Source:
        Spall (1992), "Multivariate stochastic approximation using a simultaneous perturbation gradient approximation",
        eq. 2.2; Spall (1997), "A one-measurement form of simultaneous perturbation stochastic approximation".

    Example:
        import torch
        from rllab import Cost, estimators as est

        cost = Cost(lambda x: x.square().sum(-1))
        e = est.SPSA()(cost, torch.ones(3), evaluations=100, key=0)
        e.gradient  # about 2, 2, 2
    """

    source: ClassVar[str] = (
        "Spall (1992), Multivariate stochastic approximation using a simultaneous perturbation gradient approximation"
    )
    unbiased: ClassVar[bool] = True
    sigma: float = 0.1
    form: Form = "antithetic"

    def __post_init__(self) -> None:
        check_positive("SPSA", sigma=self.sigma)
        check_one_of("SPSA", FORMS, form=self.form)

    @cached_property
    def target(self) -> Target:
        return Target.smoothed("rademacher", self.sigma)

    def _design(self, at: Tensor) -> Design:
        return Design("sigma", self.sigma, self.form, signs=True)  # Δ⁻¹ = Δ

    def _directions(self, query: Query, i: int, first: int, shape: tuple[int, ...]) -> Tensor:
        return rademacher(shape, query.key.child("direction", i), query.at)
