"""Backprop: the chain rule, from the cost backwards; the reference every other estimate is measured against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from rllab.arrays import as_array
from rllab.checks import check_parameters
from rllab.cost import Request
from rllab.estimate import Estimate, Target
from rllab.estimators.base import BLOCK, Estimator
from rllab.estimators.moments import Moments
from rllab.estimators.query import Answered, Plan, PointBlock, Query


@dataclass(frozen=True)
class Backprop(Estimator):
    """Ask the cost for its gradient.

        ĝ = ∇f(θ)                                                                     1 gradient evaluation

    Needs a cost that autograd can follow, or one whose gradient is given. On stairs and plateaus it is exactly zero,
    which is right and useless: that is what smoothing and score functions are for.

    Args:
        repeat: for a cost with noise of its own: spend all evaluations on gradients under fresh seeds, and average
            them; otherwise one is made and the rest is left.

    Returns:
        An Estimate of ∇f, exact for a cost without noise and unbiased with it. Its `value` is f(θ), None where the
        cost's gradient is a function of its own; the standard error is over repetitions.

    Source:
        Linnainmaa (1976), "Taylor expansion of the accumulated rounding error"; Rumelhart, Hinton & Williams (1986),
        "Learning representations by back-propagating errors".

    Example:
        import torch
        from rllab import Cost, estimators as est

        cost = Cost(lambda x: x.square().sum(-1))
        e = est.Backprop()(cost, torch.ones(3), evaluations=1, key=0)
        e.gradient  # 2, 2, 2
    """

    source: ClassVar[str] = (
        "Linnainmaa (1976), Taylor expansion of the accumulated rounding error; "
        "Rumelhart, Hinton & Williams (1986), Learning representations by back-propagating errors"
    )
    kind: ClassVar[Request] = "value_and_gradient"
    needs: ClassVar[frozenset[str]] = frozenset({"gradient"})
    target: ClassVar[Target] = Target.gradient()
    unbiased: ClassVar[bool] = True
    repeat: bool = False

    def _plan(self, at: Any) -> Plan:
        block = max(1, BLOCK // check_parameters("Backprop", at).numel())
        return Plan(per_unit=1, block=block, most_units=None if self.repeat else 1)

    def _block(self, query: Query, i: int) -> PointBlock:
        a, b = self._span(query, i)
        copies = query.at.repeat(b - a, *[1] * query.at.ndim)  # a cost may write into them
        return PointBlock(slice(a, b), copies)

    def _fold(self, query: Query, answered: Answered, per_unit: bool, errors: bool) -> Estimate:
        m = query.units
        errors = errors and m > 1
        moments, total = Moments(m, 1.0, errors=False, per_unit=per_unit), None
        first, square = None, None  # r, and S = Σ_k (g_k − r)², so that gradients that agree scatter by nothing
        for _, (f, g) in answered:
            if f is not None:
                total = f.sum(0) if total is None else total + f.sum(0)
            if errors:
                first = g[0] if first is None else first
                part = (g - first).square().sum(0)
                square = part if square is None else square + part
            u = as_array(g).copy()  # as moments overwrite it
            moments.add(np.ones(u.shape[:-1], u.dtype), u)
        mean, _, contributions = moments.close(query.at)
        se = None
        if square is not None and first is not None:
            # √( (S/m − (ĝ − r)²) / (m − 1) )
            se = ((square / m - (mean - first).square()).clamp_min(0) / (m - 1)).sqrt().to(mean)
        value = None if total is None else total / m
        return Estimate(mean, value, query.evaluations, self.target, se, contributions, query.state, kind=query.kind)
