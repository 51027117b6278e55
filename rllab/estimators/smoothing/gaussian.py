"""Gaussian smoothing: probe the cost in random Gaussian directions. Also known as evolution strategies."""

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
from rllab.noise import standard_normal


@dataclass(frozen=True)
class GaussianSmoothing(Smoothing):
    """Estimate the gradient of the Gaussian-smoothed cost from values alone.

        antithetic   ĝ = 1/(2σm) Σ_i (f(θ + σu_i) − f(θ − σu_i)) u_i        2m evaluations
        forward      ĝ =  1/(σm) Σ_i (f(θ + σu_i) − f(θ)) u_i               m + 1
        one-point    ĝ =  1/(σm) Σ_i  f(θ + σu_i) u_i                       m              u_i ~ N(0, I)

    All three are unbiased for ∇f_σ(θ), f_σ(θ) = E f(θ + σu), which exists wherever f is integrable: f may have stairs,
    holes and plateaus. On a linear f, with G = ‖∇f‖², the traces of their covariances are (d+1)G/m for the first two
    and (d f(θ)²/σ² + (d+1)G)/m for the third.

    Args:
        sigma: σ > 0, how far each parameter is moved at random, in its units.
        form: "antithetic" (pairs, immune to a constant added to f), "forward" (twice as many directions for the same
            evaluations: half the variance on a linear f, more as σ or curvature grows) or "one-point".

    Returns:
        An Estimate of ∇f_σ, unbiased. Its `value` is the mean over the probes, an estimate of f_σ(θ); "forward" leaves
        f(θ) out of it. With a seeded (noisy) cost a pair shares its seed; in the forward form all points share one, so
        its standard error is conditional on that seed.

    Raises:
        TypeError, ValueError: `sigma` is no positive number, or `form` is unknown.

    Source:
        Nesterov & Spokoiny (2017), "Random gradient-free minimization of convex functions", eqs. 21, 26, 30; Salimans
        et al. (2017), "Evolution strategies as a scalable alternative to reinforcement learning", algorithm 1 with
        mirrored sampling (their rank shaping and weight decay are left out: they make it a direction, not a gradient).

    Example:
        import torch
        from rllab import Cost, estimators as est

        cost = Cost(lambda x: x.square().sum(-1))
        e = est.GaussianSmoothing()(cost, torch.ones(3), evaluations=100, key=0)
        e.gradient  # about 2, 2, 2
    """

    source: ClassVar[str] = (
        "Nesterov & Spokoiny (2017), Random gradient-free minimization of convex functions; "
        "Salimans et al. (2017), Evolution strategies as a scalable alternative to reinforcement learning"
    )
    unbiased: ClassVar[bool] = True
    sigma: float = 0.1
    form: Form = "antithetic"

    def __post_init__(self) -> None:
        check_positive("GaussianSmoothing", sigma=self.sigma)
        check_one_of("GaussianSmoothing", FORMS, form=self.form)

    @cached_property
    def target(self) -> Target:
        return Target.smoothed("gaussian", self.sigma)

    def _design(self, at: Tensor) -> Design:
        return Design("sigma", self.sigma, self.form)

    def _directions(self, query: Query, i: int, first: int, shape: tuple[int, ...]) -> Tensor:
        return standard_normal(shape, query.key.child("direction", i), query.at)
