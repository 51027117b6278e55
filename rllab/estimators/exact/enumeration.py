"""Enumeration: evaluate everything a discrete distribution can draw, and weigh it by its probability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from rllab.distributions import Distribution
from rllab.estimate import Estimate, Target
from rllab.estimators.base import Estimator
from rllab.estimators.exact.expectation import Expectation
from rllab.estimators.query import Answered, Plan, PointBlock, Query
from rllab.estimators.score.samples import units_per_block


@dataclass(frozen=True)
class Enumeration(Estimator):
    """Compute the gradient of an expected cost over finitely many samples (`Bernoulli`, `Categorical`, …).

        ĝ = Σ_x p_φ(x) f(x) ∇_φ log p_φ(x)                                            as many evaluations as there are x

    This is ∇_φ E f(x) itself, by its definition: the truth for every estimator that samples x, up to about 2²⁰ of them.

    Returns:
        At such a distribution, an Estimate of ∇E f by parameter name, exact; its `value` is E f. Needs `support_size`
        evaluations, 2ⁿ for n bits; what is left over is not spent. With a seeded (noisy) cost every sample has its own
        seed.

    Source:
        Mohamed, Rosca, Figurnov & Mnih (2020), "Monte Carlo gradient estimation in machine learning", section 2.

    Example:
        import torch
        from rllab import Bernoulli, Cost, estimators as est

        cost = Cost(lambda x: x.sum(-1).square())
        e = est.Enumeration()(cost, Bernoulli(torch.zeros(3)), evaluations=8, key=0)
        e.gradient  # by logits, 0.75, 0.75, 0.75
    """

    source: ClassVar[str] = (
        "Mohamed, Rosca, Figurnov & Mnih (2020), Monte Carlo gradient estimation in machine learning"
    )
    target: ClassVar[Target] = Target.expectation()
    unbiased: ClassVar[bool] = True

    def _plan(self, at: Any) -> Plan:
        if not isinstance(at, Distribution) or at.support_size is None:
            raise TypeError(
                f"Enumeration: at must be a Distribution over finitely many samples, got {type(at).__name__}"
            )
        return Plan(at.support_size, units_per_block(at, 1), most_units=1, pieces=at.support_size)

    def _block(self, query: Query, i: int) -> PointBlock:
        a, b = self._span(query, i)
        x, log_p = query.at.support(a, b)
        return PointBlock(slice(a, b), x, log_p)

    def _fold(self, query: Query, answered: Answered, per_unit: bool, errors: bool) -> Estimate:
        expected, like = Expectation(query.at), None
        for block, like in answered:
            expected.add(block.noise.exp(), like, block.points, None)
        assert like is not None  # a query has blocks
        g, value = expected.close(like)
        contributions = {name: value[None] for name, value in g.items()} if per_unit else None
        return Estimate(g, value, query.evaluations, self.target, None, contributions, query.state)
