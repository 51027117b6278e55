"""Bit pairs: what estimators from pairs of antithetic bit vectors share; each adds its weights."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from rllab.arrays import as_array, weights
from rllab.distributions import Bernoulli
from rllab.distributions.base import uniform
from rllab.estimate import Estimate, Target
from rllab.estimators.base import Estimator
from rllab.estimators.moments import Moments
from rllab.estimators.query import Answered, Plan, PointBlock, Query
from rllab.estimators.score.samples import check_distribution, units_per_block


class BitPairs(Estimator):
    """Average (f(b) − f(b̃)) · weights over pairs of bit vectors made of the same uniform numbers, as unlike as can be.

        b = 1[u ≥ σ(−l)],  b̃ = 1[u < σ(l)]                                   2 evaluations a pair

    Each is Bernoulli(σ(l)) by itself. Where σ(l) <= ½ they are never 1 together, elsewhere never 0 together. The papers
    have u > σ(−l), which differs at one u; with ≥ a bit of probability 1 is 1 for every u in [0, 1).
    """

    target: ClassVar[Target] = Target.expectation()
    unbiased: ClassVar[bool] = True

    @abstractmethod
    def _weights(self, logits: Tensor, u: Tensor, one: Tensor, other: Tensor) -> Tensor:
        """Return what weighs f(b) − f(b̃) in the estimate, for u in float64 and the pair, b and b̃, made of it."""

    def _plan(self, at: Any) -> Plan:
        return Plan(per_unit=2, block=units_per_block(check_distribution(type(self).__name__, at, Bernoulli), points=2))

    def _block(self, query: Query, i: int) -> PointBlock:
        a, b = self._span(query, i)
        logits = query.at.logits
        u = uniform((b - a, *logits.shape), query.key.child("sample", i), logits)
        l = logits.double()  # noqa: E741 - the paper's letter
        one, other = (u >= torch.sigmoid(-l)).to(logits), (u < torch.sigmoid(l)).to(logits)
        return PointBlock(slice(2 * a, 2 * b), torch.cat((one, other)), self._weights(logits, u, one, other))

    def _units(self, query: Query, block: PointBlock) -> np.ndarray:
        return np.tile(np.arange(block.rows.start // 2, block.rows.stop // 2), 2)

    def _fold(self, query: Query, answered: Answered, per_unit: bool, errors: bool) -> Estimate:
        logits, n = query.at.logits, query.evaluations
        moments = Moments(query.units, 1.0, errors=errors, per_unit=per_unit)
        total: Any = 0.0
        for block, f in answered:
            half = len(f) // 2
            total = total + f.sum(0)
            u = as_array(block.noise)
            moments.add(weights(as_array(f[:half] - f[half:]), u), u)
        g, se, contributions = ({"logits": v} if v is not None else None for v in moments.close(logits))
        assert g is not None  # a query has blocks
        return Estimate(g, total / n, n, self.target, se, contributions, query.state)
