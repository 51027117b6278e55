"""SNES: separable natural evolution strategies: ranks decide, and the deviation of each parameter follows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from rllab.checks import check_not_negative, check_positive
from rllab.estimate import Target
from rllab.estimators.search import shaping
from rllab.estimators.search.adaptive import Adaptive, each_alike
from rllab.estimators.smoothing.probes import Form


@dataclass(frozen=True)
class SNES(Adaptive):
    """Estimate the direction of separable natural evolution strategies, and let the deviations follow.

        x_k = θ + σ s_k,  s_k ~ N(0, I), k = 1, …, n                                                      n evaluations
        ĝ = −Σ_k u_k σ s_k,                                        u: utilities, the least cost's the largest, Σ u = 0
        σ ← σ exp(lr_sigma/2 Σ_k u_k (s_k² − 1))

    These are natural gradients of the expected utility under N(θ, diag σ²): only the order of costs counts, and no
    scaling of a parameter changes how search proceeds. A step −ĝ of length 1 is the source's. The state is σ.

    Args:
        sigma: of all parameters to begin with, > 0, in their units.
        lr_sigma: step size of log σ >= 0; None is (3 + ln d)/(5 √d); 0 keeps σ.

    Returns:
        An Estimate whose target is a direction, and whose `state` is the next σ, (d,). Its `value` is the mean cost,
        its `standard_error` takes the utilities as given. Two evaluations at least; the source takes 4 + ⌊3 ln d⌋.

    Raises:
        TypeError, ValueError: an argument is out of its range, or a state is none of this estimator's.

    Source:
        Schaul, Glasmachers & Schmidhuber (2011), "High dimensions and heavy tails for natural evolution strategies",
        section 3; Wierstra et al. (2014), "Natural evolution strategies", algorithm 6. Difference: equal costs share
        the mean of their utilities.

    Example:
        import torch
        from rllab import Cost, estimators as est

        snes, cost = est.SNES(0.5), Cost(lambda x: x[:, 0] ** 2 + 100 * x[:, 1] ** 2)
        at, state = torch.ones(2), None
        for step in range(50):
            e = snes(cost, at, evaluations=10, key=step, state=state)
            at, state = at - e.gradient, e.state
    """

    source: ClassVar[str] = (
        "Schaul, Glasmachers & Schmidhuber (2011), High dimensions and heavy tails for natural evolution strategies"
    )
    target: ClassVar[Target] = Target.direction("the natural gradient of expected utility by the mean, diagonal")
    form: ClassVar[Form] = "one-point"
    sigma: float = 0.1
    lr_sigma: float | None = None

    def __post_init__(self) -> None:
        check_positive("SNES", sigma=self.sigma)
        if self.lr_sigma is not None:
            check_not_negative("SNES", lr_sigma=self.lr_sigma)

    def _first(self, at: Tensor) -> Tensor:
        return torch.full_like(at, self.sigma)

    def _moved(self, s: Tensor, spread: Tensor) -> Tensor:
        return s * spread

    def _weigh(self, costs: Tensor) -> tuple[Tensor, Tensor]:
        minus_u = each_alike(costs, shaping.utilities(costs))
        return minus_u, -minus_u

    def _curvature(self, v: Tensor, s: Tensor) -> Tensor:
        return torch.einsum("k...,k...d->...d", v, s * s - 1)

    def _follow(self, spread: Tensor, curvature: Tensor) -> Tensor:
        d = spread.shape[-1]
        lr = (3 + math.log(d)) / (5 * math.sqrt(d)) if self.lr_sigma is None else self.lr_sigma
        # σ ← σ exp(lr/2 Σ u (s² − 1))
        return spread * (lr / 2 * curvature).exp()
