"""Pathwise gradient: write a sample as a smooth function of noise, and differentiate the cost along it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from rllab.distributions import Gaussian
from rllab.estimators.pathwise.implicit import FAMILIES
from rllab.estimators.query import Plan, PointBlock, Query
from rllab.estimators.score.samples import Contributions, SlopesAtSamples, check_distribution, units_per_block


@dataclass(frozen=True)
class Pathwise(SlopesAtSamples):
    """Estimate the gradient of an expected cost from its gradients at Gaussian samples.

        x = μ + s u,  u ~ N(0, I)            ĝ_μ = 1/K Σ_k ∇f(x_k)            ĝ_s = 1/K Σ_k ∇f(x_k) u_k

    K gradient evaluations. Unbiased for ∇E f if f is continuous, with kinks at most. **Where f jumps it is wrong and
    shows no sign of it**: the derivative of a step is 0 on either side, so on stairs, thresholds and holes every sample
    is 0, with a standard error of 0. What is missing is Σ_j (f(z_j+) − f(z_j−)) p(z_j), summed over the jumps z_j.

    On a quadratic with Hessian A the variance by the mean is s²‖A‖_F²/K, whatever the dimension and the offset; on a
    line it is 0. On a cost that wiggles within s it can be far above that of the score function, since slopes then say
    little about the mean.

    Returns:
        At a `Gaussian`, an Estimate of ∇E f by mean and scale, unbiased if the cost is continuous; see above for one
        that is not. Its `value` is the mean cost.

    Source:
        Glasserman (1991), "Gradient estimation via perturbation analysis"; Mohamed, Rosca, Figurnov & Mnih (2020),
        "Monte Carlo gradient estimation in machine learning", section 5. Also known as the reparametrisation trick.

    Example:
        import torch
        from rllab import Cost, Gaussian, estimators as est

        cost = Cost(lambda x: x.square().sum(-1))
        e = est.Pathwise()(cost, Gaussian(torch.ones(3), 0.2), evaluations=100, key=0)
        e.gradient  # by mean about 2, 2, 2, by scale 0.4, 0.4, 0.4
    """

    source: ClassVar[str] = (
        "Glasserman (1991), Gradient estimation via perturbation analysis; "
        "Mohamed, Rosca, Figurnov & Mnih (2020), Monte Carlo gradient estimation in machine learning"
    )

    def _plan(self, at: Any) -> Plan:
        if isinstance(at, FAMILIES):
            raise TypeError(f"Pathwise: at must be a Gaussian, got {type(at).__name__}, which ImplicitPathwise takes")
        return Plan(per_unit=1, block=units_per_block(check_distribution("Pathwise", at, Gaussian), points=1))

    def _block(self, query: Query, i: int) -> PointBlock:
        a, b = self._span(query, i)
        return PointBlock(slice(a, b), *query.at.draw(b - a, query.key.child("sample", i)))

    def _contributions(self, query: Query, block: PointBlock, slopes: Tensor) -> Contributions:
        # ∂x/∂μ = 1,  ∂x/∂s = u
        return {"mean": slopes.clone(), "scale": slopes * block.noise}
