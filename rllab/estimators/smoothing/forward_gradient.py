"""Forward gradient: directional derivatives along random directions, each taken exactly, in one forward pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from rllab.arrays import as_array, weights
from rllab.checks import check_one_of, check_parameters
from rllab.cost import Request
from rllab.estimate import Estimate, Target
from rllab.estimators.base import BLOCK, Estimator
from rllab.estimators.moments import Moments
from rllab.estimators.query import Answered, Plan, PointBlock, Query
from rllab.noise import rademacher, standard_normal


@dataclass(frozen=True)
class ForwardGradient(Estimator):
    """Estimate the gradient from derivatives along random directions.

        ĝ = 1/m Σ_i (∇f(θ)·u_i) u_i,    E u = 0,  E uuᵀ = I                           m jvp evaluations

    Unbiased for ∇f(θ) itself: it is what smoothing becomes as σ → 0 along the same directions, so it tells the error of
    random projections from that of finite differences. With G = ‖∇f‖² the trace of its covariance is

        (d + 1) G/m    for u ~ N(0, I)              (d − 1) G/m    for independent signs, u_i = ±1

    Args:
        directions: "gaussian", N(0, I), or "rademacher", independent signs: less variance by 2G/m, but not the same in
            every rotation of the parameters.

    Returns:
        An Estimate of ∇f, unbiased. Its `value` is f(θ). With a seeded (noisy) cost every direction has its own seed.

    Raises:
        ValueError: `directions` is unknown.

    Source:
        Baydin, Pearlmutter, Syme, Wood & Torr (2022), "Gradients without backpropagation", definition 1.

    Example:
        import torch
        from rllab import Cost, estimators as est

        cost = Cost(lambda x: x.square().sum(-1))
        e = est.ForwardGradient()(cost, torch.ones(3), evaluations=100, key=0)
        e.gradient  # about 2, 2, 2
    """

    source: ClassVar[str] = "Baydin, Pearlmutter, Syme, Wood & Torr (2022), Gradients without backpropagation"
    kind: ClassVar[Request] = "jvp"
    needs: ClassVar[frozenset[str]] = frozenset({"jvp"})
    target: ClassVar[Target] = Target.gradient()
    unbiased: ClassVar[bool] = True
    directions: Literal["gaussian", "rademacher"] = "gaussian"

    def __post_init__(self) -> None:
        check_one_of("ForwardGradient", ("gaussian", "rademacher"), directions=self.directions)

    def _plan(self, at: Any) -> Plan:
        return Plan(per_unit=1, block=max(1, BLOCK // check_parameters("ForwardGradient", at).numel()))

    def _block(self, query: Query, i: int) -> PointBlock:
        a, b = self._span(query, i)
        draw = standard_normal if self.directions == "gaussian" else rademacher
        u = draw((b - a, *query.at.shape), query.key.child("direction", i), query.at)
        return PointBlock(slice(a, b), query.at.expand(u.shape), tangents=u)  # `Cost.jvp` copies them

    def _fold(self, query: Query, answered: Answered, per_unit: bool, errors: bool) -> Estimate:
        m = query.units
        moments = Moments(m, 1.0, errors=errors, per_unit=per_unit, signs=self.directions == "rademacher")
        total: Any = 0.0
        for block, (f, slope) in answered:
            assert block.tangents is not None
            total = total + f.sum(0)
            u = as_array(block.tangents)
            moments.add(weights(as_array(slope), u), u)
            del block  # before the next block is drawn: its buffers are then still in cache
        g, se, contributions = moments.close(query.at)
        return Estimate(g, total / m, query.evaluations, self.target, se, contributions, query.state, kind=query.kind)
