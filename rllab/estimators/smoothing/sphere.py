"""Sphere smoothing: probe the cost at a fixed distance in random directions, to smooth it over a ball.

    antithetic   ĝ = d/(2rm) Σ_i (f(θ + rv_i) − f(θ − rv_i)) v_i        2m evaluations
    forward      ĝ =  d/(rm) Σ_i (f(θ + rv_i) − f(θ)) v_i               m + 1
    one-point    ĝ =  d/(rm) Σ_i  f(θ + rv_i) v_i                       m              v_i uniform on the unit sphere

The points lie on the sphere, and what they estimate is the gradient of the average over the *ball*: by Stokes' theorem

    ∇ E f(θ + rb) = d/r E f(θ + rv) v        b uniform in the unit ball, of the same radius.

With G = ‖∇f‖² and A the Hessian, the traces of the covariances for m = 1 are, on a quadratic, (d − 1)G antithetic (2G
less than with normal directions) and forward (d − 1)G + (r²/4) d/(d + 2) [(tr A)² + 2‖A‖²]; one-point on a linear f,
(d − 1)G + d² f(θ)²/r².

Source: Flaxman, Kalai & McMahan (2005), "Online convex optimization in the bandit setting: gradient descent without a
gradient", lemma 2.1; the two-point form: Shamir (2017), "An optimal algorithm for bandit and zero-order convex
optimization with two-point feedback", algorithm 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from rllab.checks import check_parameters, check_positive
from rllab.estimate import Estimate, Target
from rllab.estimators.base import Estimator
from rllab.estimators.moments import Moments
from rllab.estimators.query import Block, Plan, Query
from rllab.estimators.smoothing import probes
from rllab.estimators.smoothing.directions import uniform_sphere


@dataclass(frozen=True)
class SphereSmoothing(Estimator):
    """Estimate the gradient of the cost averaged over a ball from values on its surface.

    Args:
        radius: r > 0 of the ball, and the distance of every probe from θ; `GaussianSmoothing` puts its probes at
            about σ√d.
        form: see `GaussianSmoothing`.

    Returns, when called, an Estimate of ∇f_r, unbiased, f_r(θ) = E f(θ + rb). Its `value` is None, as the probes lie
    on the sphere and not in the ball. Seeds are shared as in `GaussianSmoothing`.
    """

    source: ClassVar[str] = (
        "Flaxman, Kalai & McMahan (2005), Online convex optimization in the bandit setting: gradient descent without "
        "a gradient"
    )
    radius: float = 0.1
    form: probes.Form = "antithetic"

    def __post_init__(self) -> None:
        check_positive("SphereSmoothing", radius=self.radius)
        probes.check_form("SphereSmoothing", self.form)

    @property
    def target(self) -> Target:
        return Target.smoothed("ball", self.radius)

    @property
    def unbiased(self) -> bool:
        return True

    def _plan(self, at: Any) -> Plan:
        return probes.plan(self.form, check_parameters("SphereSmoothing", at))

    def _block(self, query: Query, i: int) -> Block:
        a, b = self._span(query, i)
        v = uniform_sphere((b - a, *query.at.shape), query.key.child("direction", i), query.at)
        return probes.place(self.form, query.at, self.radius, v, a)

    def _units(self, query: Query, block: Block) -> np.ndarray:
        return probes.units(self.form, block)

    def _fold(self, query: Query, answered: Iterable[tuple[Block, Tensor]], rows: bool, errors: bool) -> Estimate:
        scale = query.at.shape[-1] * probes.scale(self.form, self.radius)
        estimate = probes.fold(query, answered, self.form, Moments(query.units, scale, errors=errors, rows=rows))
        return replace(estimate, value=None)
