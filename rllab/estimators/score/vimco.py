"""VIMCO: the score function for what the best of K samples make of a cost, each compared with the others."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from rllab.arrays import as_array, single_at_least
from rllab.checks import check_one_of, take_counts
from rllab.distributions import Distribution
from rllab.distributions.base import Sums, add_into
from rllab.estimate import Estimate, Target
from rllab.estimators.base import Estimator
from rllab.estimators.query import Answered, Plan, PointBlock, Query
from rllab.estimators.score.baselines import beside
from rllab.estimators.score.samples import Contributions, check_distribution, fold_contributions, units_per_block


@dataclass(frozen=True)
class VIMCO(Estimator):
    """Estimate the gradient of an expected soft minimum over K samples.

        F = −log 1/K Σ_k e^(−f(x_k))                                           a soft minimum over K samples, at most f̄
        ĝ = Σ_k (F − F_−k) ∇_φ log p_φ(x_k),    x_k ~ p_φ                                          K evaluations a unit
        F_−k = F with another number in the place of e^(−f(x_k)):   the mean of the other K − 1, arithmetic or geometric

    Unbiased for **∇E F**, the gradient of the multi-sample objective, since F_−k knows nothing of x_k. With K → ∞ that
    is the gradient of −log E e^(−f), and never that of E f. In the paper −f is log p(data, x)/q(x), which depends on φ
    also by itself; here f is a black box, so that there is no such term.

    Args:
        samples: K >= 2.
        mean: what stands for the sample that is left out: the "geometric" or the "arithmetic" mean of the others.

    Returns:
        At a `Distribution`, an Estimate of ∇E F by parameter name, unbiased; its `value` is the mean of f itself. With
        a seeded (noisy) cost every sample has its own seed.

    Raises:
        TypeError, ValueError: `samples` is no integer >= 2, or `mean` is unknown.

    Source:
        Mnih & Rezende (2016), "Variational inference for Monte Carlo objectives"; differs by the sign, as costs are
        minimised.

    Example:
        import torch
        from rllab import Bernoulli, Cost, estimators as est

        cost = Cost(lambda x: x.sum(-1).square())
        e = est.VIMCO()(cost, Bernoulli(torch.zeros(3)), evaluations=100, key=0)
        e.gradient  # of −log mean exp(−f), by logits
    """

    source: ClassVar[str] = "Mnih & Rezende (2016), Variational inference for Monte Carlo objectives"
    unbiased: ClassVar[bool] = True
    samples: int = 5
    mean: Literal["geometric", "arithmetic"] = "geometric"

    def __post_init__(self) -> None:
        take_counts(self, samples=2)
        check_one_of("VIMCO", ("geometric", "arithmetic"), mean=self.mean)

    @property
    def target(self) -> Target:
        return Target.surrogate(f"−log mean exp(−f) of {self.samples} samples")

    def _plan(self, at: Any) -> Plan:
        check_distribution("VIMCO", at, Distribution)
        return Plan(per_unit=self.samples, block=units_per_block(at, self.samples))

    def _block(self, query: Query, i: int) -> PointBlock:
        a, b = (end * self.samples for end in self._span(query, i))
        return PointBlock(slice(a, b), *query.at.draw(b - a, query.key.child("sample", i)))

    def _fold(self, query: Query, answered: Answered, per_unit: bool, errors: bool) -> Estimate:
        at, k = query.at, self.samples
        weighed = ((block, self._advantages(f.unflatten(0, (-1, k))).flatten(0, 1), f) for block, f in answered)
        if not per_unit and (not errors or query.units == 1):
            return _sum(query, weighed)

        def contributions() -> Iterator[tuple[Contributions, Tensor]]:
            for block, weights, f in weighed:
                for part in at.pieces(len(f), together=k):
                    scores = at.scores(block.points[part], at.noise_part(block.noise, part))
                    yield (
                        {n: (beside(weights[part], s) * s).unflatten(0, (-1, k)).sum(1) for n, s in scores.items()},
                        f[part],
                    )

        return fold_contributions(query, contributions(), per_unit, errors)

    def _advantages(self, f: Tensor) -> Tensor:
        """Return F − F_−k for costs (m, K, …)."""
        k, l = self.samples, -f  # noqa: E741 - the paper's letter for the logarithm of a weight
        whole, top = l.logsumexp(1, keepdim=True), l.argmax(1, keepdim=True)
        # log Σ_{j≠k} e^(l_j): as a difference but for the largest, where that would cancel
        rest = l.scatter(1, top, -math.inf).logsumexp(1, keepdim=True)
        others = (whole + torch.log1p(-torch.exp(l - whole))).scatter(1, top, rest)
        if self.mean == "arithmetic":
            without = others - math.log(k - 1)
        else:
            without = torch.logaddexp(others, (l.sum(1, keepdim=True) - l) / (k - 1)) - math.log(k)
        return without - (whole - math.log(k))


def _sum(query: Query, weighed: Iterable[tuple[PointBlock, Tensor, Tensor]]) -> Estimate:
    """Return the estimate alone, from sums of scores."""
    total, costs = Sums(), torch.as_tensor(0.0, dtype=torch.float32)
    for block, weights, f in weighed:
        once = as_array((weights / query.units).to(single_at_least(block.points)))
        add_into(total, query.at.score_sums(once, None, block.points, block.noise)[0])
        costs = costs + f.sum(0)
    value = torch.as_tensor(costs / query.evaluations)
    return Estimate(query.at.as_tensors(total), value, query.evaluations, query.estimator.target, state=query.state)
