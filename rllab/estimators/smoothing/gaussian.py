"""Gaussian smoothing: probe the cost in random Gaussian directions. Also known as evolution strategies.

    antithetic   ĝ = 1/(2σm) Σ_i (f(θ + σu_i) − f(θ − σu_i)) u_i        2m evaluations
    forward      ĝ =  1/(σm) Σ_i (f(θ + σu_i) − f(θ)) u_i               m + 1
    one-point    ĝ =  1/(σm) Σ_i  f(θ + σu_i) u_i                       m              u_i ~ N(0, I)

All three are unbiased for ∇f_σ(θ), f_σ(θ) = E f(θ + σu), which exists wherever f is integrable: f may have stairs,
holes and plateaus. On a linear f, with G = ‖∇f‖², the traces of their covariances are (d+1)G/m for the first two and
(d f(θ)²/σ² + (d+1)G)/m for the third.

Sources: Nesterov & Spokoiny (2017), "Random gradient-free minimization of convex functions", eqs. 21, 26, 30; Salimans
et al. (2017), "Evolution strategies as a scalable alternative to reinforcement learning", algorithm 1 with mirrored
sampling (their rank shaping and weight decay are left out: they make it a direction, not a gradient).
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
from rllab.noise import standard_normal


@dataclass(frozen=True)
class GaussianSmoothing(Estimator):
    """Estimate the gradient of the Gaussian-smoothed cost from values alone.

    Args:
        sigma: smoothing radius σ > 0, in units of the parameters.
        form: "antithetic" (pairs, immune to a constant added to f), "forward" (twice as many directions for the same
            evaluations: half the variance on a linear f, more as σ or curvature grows) or "one-point".

    Returns, when called, an Estimate of ∇f_σ, unbiased. Its `value` is the mean over the probes, an estimate of
    f_σ(θ); "forward" leaves f(θ) out of it. With a seeded (noisy) cost a pair shares its seed; in the forward form
    all points share one, so its standard error is conditional on that seed.
    """

    source: ClassVar[str] = (
        "Nesterov & Spokoiny (2017), Random gradient-free minimization of convex functions; "
        "Salimans et al. (2017), Evolution strategies as a scalable alternative to reinforcement learning"
    )
    sigma: float = 0.1
    form: probes.Form = "antithetic"

    def __post_init__(self) -> None:
        check_positive("GaussianSmoothing", sigma=self.sigma)
        probes.check_form("GaussianSmoothing", self.form)

    @cached_property
    def target(self) -> Target:
        return Target.smoothed("gaussian", self.sigma)

    @property
    def unbiased(self) -> bool:
        return True

    def _plan(self, at: Any) -> Plan:
        return probes.plan(self.form, check_parameters("GaussianSmoothing", at))

    def _block(self, query: Query, i: int) -> Block:
        a, b = self._span(query, i)
        u = standard_normal((b - a, *query.at.shape), query.key.child("direction", i), query.at)
        return probes.place(self.form, query.at, self.sigma, u, a)

    def _units(self, query: Query, block: Block) -> np.ndarray:
        return probes.units(self.form, block)

    def _fold(self, query: Query, answered: Iterable[tuple[Block, Tensor]], rows: bool, errors: bool) -> Estimate:
        scale = probes.scale(self.form, self.sigma)
        return probes.fold(query, answered, self.form, Moments(query.units, scale, errors=errors, rows=rows))
