"""Adaptive: what search by a Gaussian shares whose spread is kept from call to call, and follows the costs."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from rllab.arrays import as_array, single_at_least, weights
from rllab.checks import check_parameters, other_batch_size
from rllab.estimate import Estimate
from rllab.estimators.base import Estimator
from rllab.estimators.moments import Moments
from rllab.estimators.query import Answered, Plan, PointBlock, Query
from rllab.estimators.smoothing import probes
from rllab.noise import standard_normal


class Adaptive(Estimator):
    """Estimate a direction by points of N(θ, S), of which the state holds S, and say how S moves.

        x_k = θ + moved(s_k),  s_k ~ N(0, I)       ĝ = Σ_k w_k moved(s_k)       S ← S moved by Σ_k v_k (s_k s_kᵀ − I)

    The numbers w and v come of all costs together: they are kept, O(n) memory, and where a query has several blocks,
    each is drawn a second time. The `standard_error` takes them as given. Subclasses are final: they say what S is, how
    it moves a draw, how costs weigh, and how S follows.
    """

    unbiased: ClassVar[bool] = False
    stateful: ClassVar[bool] = True
    form: ClassVar[probes.Form]  # "antithetic": draws come with their mirror images

    @abstractmethod
    def _first(self, at: Tensor) -> Tensor:
        """Return the spread that search begins with."""

    @abstractmethod
    def _moved(self, s: Tensor, spread: Tensor) -> Tensor:
        """Return how far draws (n, …, d) lie from θ."""

    @abstractmethod
    def _weigh(self, costs: Tensor) -> tuple[Tensor, Tensor]:
        """Return w and v, (m, …) each, of costs (n, …) in the order of draws; mirror images (2, m, …)."""

    @abstractmethod
    def _curvature(self, v: Tensor, s: Tensor) -> Tensor:
        """Return Σ_k v_k (s_k s_kᵀ − I), or its diagonal, of some draws (n, …, d)."""

    @abstractmethod
    def _follow(self, spread: Tensor, curvature: Tensor) -> Tensor:
        """Return the spread after this query."""

    def _plan(self, at: Any) -> Plan:
        at = check_parameters(type(self).__name__, at)
        return probes.plan(self.form, at)._replace(least_units=2)

    def _prepared(self, query: Query) -> Query:
        name, state, first = type(self).__name__, query.state, self._first(single_at_least(query.at))
        if state is None:  # it is made where it is needed, so that queries stay small
            return query
        if not isinstance(state, Tensor):
            raise TypeError(f"{name}: state must be None or an estimate's, got {type(state).__name__}")
        if state.shape != first.shape or not torch.isfinite(state).all():
            got, wanted = tuple(state.shape), tuple(first.shape)
            hint = "" if got == wanted else other_batch_size(got, wanted, batched=query.at.ndim > 1)
            raise ValueError(f"{name}: state must be finite numbers {wanted} for this at, got {got}{hint}")
        return replace(query, state=state.detach().to(first))

    def _spread(self, query: Query) -> Tensor:
        return self._first(single_at_least(query.at)) if query.state is None else query.state

    def _block(self, query: Query, i: int) -> PointBlock:
        (a, b), at = self._span(query, i), query.at
        s = standard_normal((b - a, *at.shape), query.key.child("direction", i), at)
        block = probes.block_along(self.form, at, 1.0, self._moved(s, self._spread(query)).to(at), a)
        return block._replace(noise=s)

    def _units(self, query: Query, block: PointBlock) -> np.ndarray:
        return probes.units(self.form, block)

    def _rereads(self, query: Query, block: PointBlock) -> bool:
        return False

    def _fold(self, query: Query, answered: Answered, per_unit: bool, errors: bool) -> Estimate:
        parts, blocks = [], query
        for block, f in answered:
            parts.append(f if self.form == "one-point" else f.unflatten(0, (2, -1)))
            if len(query) == 1:
                blocks = [block]  # it is not drawn again
            del block
        costs = torch.cat(parts, 0 if self.form == "one-point" else 1)
        w, v = self._weigh(costs)
        at, m, spread, curvature = query.at, query.units, self._spread(query), torch.zeros(())
        moments = Moments(m, m, errors=errors, per_unit=per_unit)
        for i, block in enumerate(blocks):
            (a, b), s = self._span(query, i), single_at_least(block.noise)
            curvature = curvature + self._curvature(v[a:b].to(s), s)
            moved = as_array(self._moved(s, spread)).copy()
            moments.add(weights(as_array(w[a:b]), moved), moved)
        g, se, contributions = moments.close(at)
        value = costs.mean(0) if self.form == "one-point" else costs.mean((0, 1))
        following = self._follow(spread, curvature)
        return Estimate(g, value, query.evaluations, self.target, se, contributions, following)


def each_alike(costs: Tensor, shaped: Tensor) -> Tensor:
    """Return shaped costs (n, …), exactly 0 where all costs are equal."""
    return torch.where((costs == costs[0]).all(0), 0.0, shaped)
