"""xNES: exponential natural evolution strategies: ranks decide, and the whole covariance follows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from rllab.checks import check_not_negative, check_positive
from rllab.estimate import Target
from rllab.estimators.query import Plan
from rllab.estimators.search import shaping
from rllab.estimators.search.adaptive import Adaptive, each_alike
from rllab.estimators.smoothing.probes import Form

WIDEST = 2000  # parameters: the state is d² numbers, and its exponential takes d³ operations


@dataclass(frozen=True)
class xNES(Adaptive):
    """Estimate the direction of exponential natural evolution strategies, and let the covariance AAᵀ follow.

        x_k = θ + A s_k,  s_k ~ N(0, I), k = 1, …, n                                                      n evaluations
        ĝ = −Σ_k u_k A s_k,                                        u: utilities, the least cost's the largest, Σ u = 0
        A ← A exp(lr_sigma/2 Σ_k u_k (s_k s_kᵀ − I))

    These are natural gradients of the expected utility under N(θ, AAᵀ): only the order of costs counts, and no linear
    map of the parameters changes how search proceeds. A step −ĝ of length 1 is the source's. The state is A.

    Args:
        sigma: A = σ I to begin with, σ > 0, in the units of the parameters.
        lr_sigma: step size of log A >= 0; None is (9 + 3 ln d)/(5 d √d); 0 keeps A.

    Returns:
        An Estimate whose target is a direction, and whose `state` is the next A, (d, d). Its `value` is the mean
        cost, its `standard_error` takes the utilities as given. Two evaluations at least; the source takes
        4 + ⌊3 ln d⌋.

    Raises:
        TypeError, ValueError: an argument is out of its range, there are more than 2,000 parameters, or a state is none
            of this estimator's.

    Memory: O(d²), and O(d³) time a query.

    Source:
        Glasmachers, Schaul, Yi, Wierstra & Schmidhuber (2010), "Exponential natural evolution strategies", algorithm 1;
        Wierstra et al. (2014), "Natural evolution strategies", algorithm 5, where the size of A has a step size of its
        own, equal by default, as here. Difference: equal costs share the mean of their utilities.

    Example:
        import torch
        from rllab import Cost, estimators as est

        xnes, cost = est.xNES(0.5), Cost(lambda x: (x[:, 0] + x[:, 1]) ** 2 + 100 * (x[:, 0] - x[:, 1]) ** 2)
        at, state = torch.ones(2), None
        for step in range(50):
            e = xnes(cost, at, evaluations=10, key=step, state=state)
            at, state = at - e.gradient, e.state
    """

    source: ClassVar[str] = (
        "Glasmachers, Schaul, Yi, Wierstra & Schmidhuber (2010), Exponential natural evolution strategies"
    )
    target: ClassVar[Target] = Target.direction("the natural gradient of expected utility by the mean, full")
    form: ClassVar[Form] = "one-point"
    sigma: float = 0.1
    lr_sigma: float | None = None

    def __post_init__(self) -> None:
        check_positive("xNES", sigma=self.sigma)
        if self.lr_sigma is not None:
            check_not_negative("xNES", lr_sigma=self.lr_sigma)

    def _plan(self, at: Any) -> Plan:
        plan = super()._plan(at)
        if at.shape[-1] > WIDEST:
            raise ValueError(f"xNES: at must have at most {WIDEST:,} parameters, got {at.shape[-1]:,}; SNES takes more")
        return plan

    def _first(self, at: Tensor) -> Tensor:
        return (self.sigma * torch.eye(at.shape[-1]).to(at)).expand(*at.shape, at.shape[-1])

    def _moved(self, s: Tensor, spread: Tensor) -> Tensor:
        return torch.einsum("...ij,k...j->k...i", spread, s.to(spread))

    def _weigh(self, costs: Tensor) -> tuple[Tensor, Tensor]:
        minus_u = each_alike(costs, shaping.utilities(costs))
        return minus_u, -minus_u

    def _curvature(self, v: Tensor, s: Tensor) -> Tensor:
        total = v.sum(0)[..., None, None]  # 0 over all blocks
        return torch.einsum("k...,k...i,k...j->...ij", v, s, s) - total * torch.eye(s.shape[-1]).to(s)

    def _follow(self, spread: Tensor, curvature: Tensor) -> Tensor:
        d = spread.shape[-1]
        lr = (9 + 3 * math.log(d)) / (5 * d * math.sqrt(d)) if self.lr_sigma is None else self.lr_sigma
        # A ← A exp(lr/2 Σ u (s sᵀ − I))
        return spread @ torch.linalg.matrix_exp(lr / 2 * curvature)
