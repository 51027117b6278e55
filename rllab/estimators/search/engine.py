"""Search: what estimators of a direction share: all costs are shaped together, then another estimator folds them."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from rllab.estimate import Estimate
from rllab.estimators.base import Estimator
from rllab.estimators.query import Answered, Plan, PointBlock, Query


class Search(Estimator):
    """Estimate a direction: ask what another estimator asks, shape all its costs together, and let it fold those.

        f_1, …, f_n  →  s_1, …, s_n  →  ĝ = fold(s_1, …, s_n)

    Shaping needs all costs at once: they are kept, O(n) memory beside the O(block + d) of a fold, and where there are
    several blocks, each is drawn a second time to be weighed. The `value` of an estimate is the mean of the costs as
    they came. Its `standard_error` is that of the fold, as if the numbers s did not depend on each other.

    Subclasses are final: they say whose points they ask, and how they shape.
    """

    unbiased: ClassVar[bool] = False

    @property
    @abstractmethod
    def _inner(self) -> Estimator:
        """Return the estimator whose points are asked, and which folds."""

    @abstractmethod
    def _shape(self, query: Query, costs: Tensor) -> Tensor:
        """Return what is folded in the place of costs (n,), or (n, B) for a batch."""

    @property
    def shares_draws(self) -> bool:
        return self._inner.shares_draws

    @property
    def elementwise(self) -> bool:
        return self._inner.elementwise

    def _plan(self, at: Any) -> Plan:
        return self._inner._plan(at)

    def _prepared(self, query: Query) -> Query:
        return replace(self._inner._prepared(self._as_inner(query)), estimator=self)

    def _block(self, query: Query, i: int) -> PointBlock:
        return self._inner._block(self._as_inner(query), i)

    def _units(self, query: Query, block: PointBlock) -> np.ndarray:
        return self._inner._units(self._as_inner(query), block)

    def _batch_shape(self, at: Any) -> tuple[int, ...]:
        return self._inner._batch_shape(at)

    def _rereads(self, query: Query, block: PointBlock) -> bool:
        return self._inner._rereads(self._as_inner(query), block)

    def _fold(self, query: Query, answered: Answered, per_unit: bool, errors: bool) -> Estimate:
        parts, blocks = [], self._as_inner(query)
        for block, f in answered:
            parts.append(f)
            if len(query) == 1:
                blocks = [block]  # it is not drawn again
            del block
        costs = torch.cat(parts)
        shaped = self._shape(query, costs)
        again = ((block, shaped[block.rows]) for block in blocks)
        estimate = self._inner._fold(self._as_inner(query), again, per_unit, errors)
        estimate.target = self.target
        estimate.value = None if estimate.value is None else costs.mean(0)
        return estimate

    def _as_inner(self, query: Query) -> Query:
        return replace(query, estimator=self._inner)
