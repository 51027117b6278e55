"""Sphere smoothing: probe the cost at a fixed distance in random directions, to smooth it over a ball."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from rllab.checks import check_one_of, check_positive
from rllab.estimate import Target
from rllab.estimators.query import Query
from rllab.estimators.smoothing.directions import uniform_sphere
from rllab.estimators.smoothing.engine import Design, Smoothing
from rllab.estimators.smoothing.probes import FORMS, Form


@dataclass(frozen=True)
class SphereSmoothing(Smoothing):
    """Estimate the gradient of the cost averaged over a ball from values on its surface.

        antithetic   ĝ = d/(2rm) Σ_i (f(θ + rv_i) − f(θ − rv_i)) v_i        2m evaluations
        forward      ĝ =  d/(rm) Σ_i (f(θ + rv_i) − f(θ)) v_i               m + 1
        one-point    ĝ =  d/(rm) Σ_i  f(θ + rv_i) v_i                      m              v_i uniform on the unit sphere

    The points lie on the sphere, and what they estimate is the gradient of the average over the *ball*: by Stokes'
    theorem

        ∇ E f(θ + rb) = d/r E f(θ + rv) v        b uniform in the unit ball, of the same radius.

    With G = ‖∇f‖² and A the Hessian, the traces of the covariances for m = 1 are, on a quadratic, (d − 1)G antithetic
    (2G less than with normal directions) and forward (d − 1)G + (r²/4) d/(d + 2) [(tr A)² + 2‖A‖²]; one-point on a
    linear f, (d − 1)G + d² f(θ)²/r².

    Args:
        radius: r > 0 of the ball, and the distance of every probe from θ; `GaussianSmoothing` puts its probes at
            about σ√d.
        form: see `GaussianSmoothing`.

    Returns:
        An Estimate of ∇f_r, unbiased, f_r(θ) = E f(θ + rb). Its `value` is None, as the probes lie on the sphere and
        not in the ball. Seeds are shared as in `GaussianSmoothing`.

    Raises:
        TypeError, ValueError: `radius` is no positive number, or `form` is unknown.

    Source:
        Flaxman, Kalai & McMahan (2005), "Online convex optimization in the bandit setting: gradient descent without a
        gradient", lemma 2.1; the two-point form: Shamir (2017), "An optimal algorithm for bandit and zero-order convex
        optimization with two-point feedback", algorithm 1.

    Example:
        import torch
        from rllab import Cost, estimators as est

        cost = Cost(lambda x: x.square().sum(-1))
        e = est.SphereSmoothing()(cost, torch.ones(3), evaluations=100, key=0)
        e.gradient  # about 2, 2, 2
    """

    source: ClassVar[str] = (
        "Flaxman, Kalai & McMahan (2005), Online convex optimization in the bandit setting: gradient descent without "
        "a gradient"
    )
    unbiased: ClassVar[bool] = True
    radius: float = 0.1
    form: Form = "antithetic"

    def __post_init__(self) -> None:
        check_positive("SphereSmoothing", radius=self.radius)
        check_one_of("SphereSmoothing", FORMS, form=self.form)

    @property
    def target(self) -> Target:
        return Target.smoothed("ball", self.radius)

    def _design(self, at: Tensor) -> Design:
        return Design("radius", self.radius, self.form, factor=at.shape[-1], of_kernel=False)  # E vvᵀ = I/d

    def _directions(self, query: Query, i: int, first: int, shape: tuple[int, ...]) -> Tensor:
        return uniform_sphere(shape, query.key.child("direction", i), query.at)
