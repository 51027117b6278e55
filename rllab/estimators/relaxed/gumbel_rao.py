"""Gumbel-Rao: straight-through Gumbel-softmax, its noise averaged over given the discrete sample it made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from rllab.checks import check_positive, take_counts
from rllab.estimate import Target
from rllab.estimators.query import Plan, PointBlock, Query
from rllab.estimators.relaxed.gumbel_softmax import straight_through_target
from rllab.estimators.relaxed.relaxation import check_relaxable, perturbed_logits_given, pull_back
from rllab.estimators.score.samples import Contributions, SlopesAtSamples, units_per_block


@dataclass(frozen=True)
class GumbelRao(SlopesAtSamples):
    """Estimate what straight-through Gumbel-softmax does, with less variance for the same evaluations.

        ĝ = 1/K Σ_k [ 1/J Σ_j ∂y_kj/∂l ]ᵀ ∇f(x_k),    x_k ~ p,   y_kj = softmax(z_kj/λ),  z_kj ~ z | x_k     K gradients

    J inner draws cost no evaluation. The mean is that of `GumbelSoftmax(hard=True)`, which is biased for ∇E f(x); the
    variance is that which x has, and 1/J of what Gumbel noise adds. The derivative is taken at z as drawn, and not
    through the way in which z depends on l given x, which would change the mean.

    Args:
        temperature: λ > 0 of the relaxation.
        inner: J >= 1 draws of the noise for each sample.

    Returns:
        At a `Bernoulli` or a one-hot `Categorical`, an Estimate of E[(∂y/∂l)ᵀ ∇f(x)] by the logits, unbiased for that
        and biased for ∇E f(x). Its `value` is the mean cost, that of samples.

    Raises:
        TypeError, ValueError: `temperature` is no positive number, or `inner` no integer >= 1.

    Source:
        Paulus, Maddison & Krause (2021), "Rao-Blackwellizing the straight-through Gumbel-softmax gradient estimator",
        section 3.

    Example:
        import torch
        from rllab import Bernoulli, Cost, estimators as est

        cost = Cost(lambda x: x.sum(-1).square(), relaxed=True)
        e = est.GumbelRao()(cost, Bernoulli(torch.zeros(3)), evaluations=100, key=0)
        e.gradient  # of the relaxed cost, by logits
    """

    source: ClassVar[str] = (
        "Paulus, Maddison & Krause (2021), Rao-Blackwellizing the straight-through Gumbel-softmax gradient estimator"
    )
    needs: ClassVar[frozenset[str]] = frozenset({"gradient", "relaxed"})
    temperature: float = 0.5
    inner: int = 10

    def __post_init__(self) -> None:
        check_positive("GumbelRao", temperature=self.temperature)
        take_counts(self, inner=1)

    @property
    def target(self) -> Target:
        return straight_through_target(self.temperature)

    def _plan(self, at: Any) -> Plan:
        return Plan(per_unit=1, block=units_per_block(check_relaxable("GumbelRao", at), points=1 + self.inner))

    def _block(self, query: Query, i: int) -> PointBlock:
        (a, b), key = self._span(query, i), query.key.child("sample", i)
        x, _ = query.at.draw(b - a, key.child("outcome"))
        z = perturbed_logits_given(query.at, x, self.inner, key.child("inner"))
        return PointBlock(slice(a, b), x, z / self.temperature)

    def _contributions(self, query: Query, block: PointBlock, slopes: Tensor) -> Contributions:
        return {"logits": pull_back(query.at, block.noise, slopes).mean(0) / self.temperature}
