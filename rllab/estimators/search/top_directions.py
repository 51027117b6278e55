"""Top directions: pairs of probes of which only the best count, over the spread of their costs. Known from ARS."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from rllab.checks import check_positive, take_counts
from rllab.estimate import Target
from rllab.estimators.base import Estimator
from rllab.estimators.query import Plan, Query
from rllab.estimators.search.engine import Search
from rllab.estimators.smoothing.gaussian import GaussianSmoothing


@dataclass(frozen=True)
class TopDirections(Search):
    """Estimate the direction that augmented random search steps along.

        ĝ = 1/(b σ_f) Σ_{k ∈ best b} (f(θ + σu_k) − f(θ − σu_k)) u_k,    u_k ~ N(0, I), k = 1, …, m       2m evaluations

    The best b directions are those with the least min(f(θ + σu_k), f(θ − σu_k)); σ_f is the standard deviation of
    their 2b costs (that of these numbers, with 2b in its denominator). With b = m and without σ_f it is 2σ times the
    estimate of `GaussianSmoothing`. As it is, neither a factor nor a constant of the cost matters. Where the 2b costs
    are all equal, ĝ is zero.

    Args:
        sigma: how far probes lie from θ, σ > 0, in units of the parameters.
        top: b, how many directions count; None for all of them. A query must have as many.

    Returns:
        An Estimate whose target is a direction; the larger b, and the more linear the cost, the nearer is it to the
        gradient's. Its `value` is the mean of all 2m costs. Its `standard_error` takes the choice of directions and σ_f
        as given. A pair shares its seed.

    Raises:
        TypeError, ValueError: `sigma` is no positive number, or `top` no whole number >= 1.

    Memory: O(m) for the costs of a query; where it has several blocks, each is drawn twice.

    Source:
        Mania, Guy & Recht (2018), "Simple random search of static linear policies is competitive for reinforcement
        learning", algorithms 1 and 2, steps 4–7. There the division by σ_f = 0 is left to the user.

    Example:
        import torch
        from rllab import Cost, estimators as est

        cost = Cost(lambda x: x.square().sum(-1))
        e = est.TopDirections(top=10)(cost, torch.ones(3), evaluations=100, key=0)
        e.gradient  # along 1, 1, 1
    """

    source: ClassVar[str] = (
        "Mania, Guy & Recht (2018), Simple random search of static linear policies is competitive for reinforcement "
        "learning"
    )
    target: ClassVar[Target] = Target.direction("the best pairs' differences over the spread of their costs")
    sigma: float = 0.1
    top: int | None = None

    def __post_init__(self) -> None:
        check_positive("TopDirections", sigma=self.sigma)
        if self.top is not None:
            take_counts(self, top=1)

    @cached_property
    def _inner(self) -> Estimator:
        return GaussianSmoothing(self.sigma)

    def _plan(self, at: Tensor) -> Plan:
        return self._inner._plan(at)._replace(least_units=self.top or 1)

    def _shape(self, query: Query, costs: Tensor) -> Tensor:
        plus, minus = _pairs(query.units, query.plan.block)
        m, b = query.units, self.top or query.units
        f, opposite = costs[plus], costs[minus]
        best = torch.minimum(f, opposite).argsort(dim=0, stable=True)[:b]
        kept = torch.zeros_like(f, dtype=torch.bool).scatter_(0, best, True)
        spread = torch.cat((f.gather(0, best), opposite.gather(0, best))).std(0, correction=0)
        # the fold is 1/(2σm) Σ_k (s_k⁺ − s_k⁻) u_k, of which s_k± = ±σm/(b σ_f) (f_k⁺ − f_k⁻) make ĝ
        half = torch.where(kept & (spread > 0), self.sigma * m / b * (f - opposite) / spread, 0.0)
        shaped = torch.empty_like(costs)
        shaped[plus], shaped[minus] = half, -half
        return shaped


def _pairs(m: int, block: int) -> tuple[Tensor, Tensor]:
    """Return the rows of θ + σu_k and of θ − σu_k, k = 0, …, m − 1: a block of n pairs holds n points, then n more."""
    k = torch.arange(m)
    first = k // block * block
    plus = first + k
    return plus, plus + (m - first).clamp_max(block)
