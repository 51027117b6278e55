"""PGPE: policy gradients with parameter-based exploration: a Gaussian over parameters, whose deviations are learned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from rllab.checks import check_fraction, check_not_negative, check_positive
from rllab.estimate import Target
from rllab.estimators.search import shaping
from rllab.estimators.search.adaptive import Adaptive
from rllab.estimators.smoothing.probes import Form


@dataclass(frozen=True)
class PGPE(Adaptive):
    """Estimate the direction of symmetric PGPE, and let the deviation of each parameter follow.

        x_k± = θ ± ε_k,  ε_k ~ N(0, diag σ²), k = 1, …, m                                                2m evaluations
        ĝ = 1/m Σ_k (z_k⁺ − z_k⁻)/2 ε_k,      z: all costs, less their mean, over their standard deviation
        σ ← σ − lr_sigma 1/m Σ_k ((z_k⁺ + z_k⁻)/2 − b_k)(ε_k² − σ²)/σ,      b_k: the mean over all other pairs

    Without z-scores, ĝ is σ² times an unbiased estimate of the gradient of E f(θ + ε) by θ, and the second sum σ² times
    one of that by σ: steps are long where deviations are. On a linear cost σ stays. It changes by at most the share
    `max_change` in a query. The state is σ.

    Args:
        sigma: of all parameters to begin with, > 0, in their units.
        lr_sigma: step size of σ >= 0; 0 keeps it.
        max_change: in (0, 1].

    Returns:
        An Estimate whose target is a direction, and whose `state` is the next σ, (d,). Its `value` is the mean cost,
        its `standard_error` takes the z-scores as given. A pair shares its seed. Two pairs at least.

    Raises:
        TypeError, ValueError: an argument is out of its range, or a state is none of this estimator's.

    Source:
        Sehnke, Osendorfer, Rückstieß, Graves, Peters & Schmidhuber (2010), "Parameter-exploring policy gradients",
        section 3.4. Differences: costs are z-scored, where the source divides by the best return so far; the baseline
        leaves the own pair out; the bound on changes is that of Toklu, Liskowski & Srivastava (2020), "ClipUp: a simple
        and powerful optimizer for distribution-based policy evolution".

    Example:
        import torch
        from rllab import Cost, estimators as est

        pgpe, cost = est.PGPE(0.5), Cost(lambda x: x[:, 0] ** 2 + 100 * x[:, 1] ** 2)
        e = pgpe(cost, torch.ones(2), evaluations=100, key=0)
        again = pgpe(cost, torch.ones(2), evaluations=100, key=1, state=e.state)  # less spread along the second
    """

    source: ClassVar[str] = (
        "Sehnke, Osendorfer, Rückstieß, Graves, Peters & Schmidhuber (2010), Parameter-exploring policy gradients"
    )
    target: ClassVar[Target] = Target.direction("the gradient of z-scored costs by the mean, times σ²")
    form: ClassVar[Form] = "antithetic"
    sigma: float = 0.1
    lr_sigma: float = 0.1
    max_change: float = 0.2

    def __post_init__(self) -> None:
        check_positive("PGPE", sigma=self.sigma)
        check_not_negative("PGPE", lr_sigma=self.lr_sigma)
        check_fraction("PGPE", max_change=self.max_change)

    def _first(self, at: Tensor) -> Tensor:
        return torch.full_like(at, self.sigma)

    def _moved(self, s: Tensor, spread: Tensor) -> Tensor:
        return s * spread  # ε

    def _weigh(self, costs: Tensor) -> tuple[Tensor, Tensor]:
        z = shaping.z_scores(costs.flatten(0, 1)).view_as(costs)
        m, middle = costs.shape[1], z.mean(0)
        # (z⁺ + z⁻)/2 − b,  b = the mean over the other pairs
        above = (middle - middle.mean(0)) * (m / (m - 1))
        return (z[0] - z[1]) / (2 * m), above / m

    def _curvature(self, v: Tensor, s: Tensor) -> Tensor:
        return torch.einsum("k...,k...d->...d", v, s * s - 1)

    def _follow(self, spread: Tensor, curvature: Tensor) -> Tensor:
        # (ε² − σ²)/σ = σ (s² − 1)
        share = (self.lr_sigma * curvature).clamp(-self.max_change, self.max_change)
        return spread * (1 - share)
