"""MuProp: score function with the cost's Taylor expansion at the mean as control variate, for bits and choices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from rllab.cost import Request
from rllab.estimate import Estimate, Target
from rllab.estimators.base import Estimator
from rllab.estimators.query import Answered, Plan, PointBlock, Query
from rllab.estimators.relaxed.relaxation import Relaxable, check_relaxable, pull_back, relaxed
from rllab.estimators.score.baselines import beside
from rllab.estimators.score.samples import Contributions, fold_contributions, units_per_block


@dataclass(frozen=True)
class MuProp(Estimator):
    """Estimate the gradient of an expected cost of bits or choices with the help of its slope at their mean.

        ĝ = (∂p/∂l)ᵀ ∇f(p) + 1/K Σ_k (f(x_k) − f(p) − ∇f(p)·(x_k − p)) s(x_k)        K + 1 gradient evaluations

    p are the probabilities, the mean of x; the first term is the gradient of the expansion's mean. Unbiased for ∇_l E
    f(x), however bad the expansion; without variance for a linear f, and large where f bends much between the samples.

    Returns:
        At a `Bernoulli` or a one-hot `Categorical`, an Estimate of ∇E f(x) by the logits, unbiased; its `value` is the
        mean cost of the samples. The point p is shared by all, and every point is charged as a gradient, although of
        the samples only the value is used; where the cost's gradient is given as a function of its own, the value
        beside each is charged too, so half as many points are asked. If the cost is noisy, the standard error does not
        see the noise of ∇f(p), which all samples have in common.

    Source:
        Gu, Levine, Sutskever & Mnih (2016), "MuProp: Unbiased backpropagation for stochastic neural networks", eq. 5;
        with the cost itself in the place of a network's mean-field pass.

    Example:
        import torch
        from rllab import Bernoulli, Cost, estimators as est

        cost = Cost(lambda x: x.sum(-1).square(), relaxed=True)
        e = est.MuProp()(cost, Bernoulli(torch.zeros(3)), evaluations=100, key=0)
        e.gradient  # by logits, about 0.75, 0.75, 0.75
    """

    source: ClassVar[str] = (
        "Gu, Levine, Sutskever & Mnih (2016), MuProp: Unbiased backpropagation for stochastic neural networks"
    )
    kind: ClassVar[Request] = "value_and_gradient"
    needs: ClassVar[frozenset[str]] = frozenset({"value", "gradient", "relaxed"})
    target: ClassVar[Target] = Target.expectation()
    unbiased: ClassVar[bool] = True

    def _plan(self, at: Any) -> Plan:
        return Plan(per_unit=1, block=units_per_block(check_relaxable("MuProp", at), points=1), shared=1)

    def _block(self, query: Query, i: int) -> PointBlock:
        a, b = self._span(query, i)
        x, _ = query.at.draw(b - a, query.key.child("sample", i))
        if i > 0:
            return PointBlock(slice(a + 1, b + 1), x)
        return PointBlock(slice(0, b + 1), torch.cat((_mean(query.at)[None], x)))

    def _fold(self, query: Query, answered: Answered, per_unit: bool, errors: bool) -> Estimate:
        at, mean = query.at, _mean(query.at)

        def contributions() -> Iterator[tuple[Contributions, Tensor]]:
            expansion: tuple[Tensor, Tensor] | None = None
            for block, (f, g) in answered:
                x = block.points
                if expansion is None:
                    x, f, expansion = x[1:], f[1:], (f[0], g[0])
                centre, slope = expansion
                s = at.scores(x, None)["logits"]
                missed = f - centre - ((x - mean) * slope).sum(-1)
                # (∂p/∂l)ᵀ ∇f(p)
                through = pull_back(at, at.logits.double()[None], slope[None])
                yield {"logits": beside(missed, s) * s + through}, f

        return fold_contributions(query, contributions(), per_unit, errors)


def _mean(at: Relaxable) -> Tensor:
    """Return the probabilities, shaped and typed as a sample."""
    return relaxed(at, at.logits.double())
