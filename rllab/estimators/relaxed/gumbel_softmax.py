"""Gumbel-softmax: make bits and choices continuous, and differentiate the cost along them. Also called Concrete."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from rllab.checks import check_positive
from rllab.estimate import Target
from rllab.estimators.query import Plan, PointBlock, Query
from rllab.estimators.relaxed.relaxation import (
    check_relaxable,
    perturbed_logits,
    pull_back,
    relaxed,
    rounded,
)
from rllab.estimators.score.samples import Contributions, SlopesAtSamples, units_per_block


@dataclass(frozen=True)
class GumbelSoftmax(SlopesAtSamples):
    """Estimate the gradient of the expected cost of relaxed bits or choices.

        y = σ((l + e)/λ) or softmax((l + γ)/λ)      e logistic, γ Gumbel noise
        ĝ = 1/K Σ_k (∂y_k/∂l)ᵀ ∇f(y_k)                                                 K gradient evaluations
        hard:  ∇f(x_k) in the place of ∇f(y_k), x = 1[y > ½] or the largest component of y

    Unbiased for ∇E f(y), the *relaxed* cost, and **not for ∇E f(x)**: the bias vanishes as λ → 0, and the variance
    grows as 1/λ. For f = (b − 0.499)² at l = 1 the mean at λ = ½ is 77 times what is right. The hard variant evaluates
    f at samples only; it is biased for both.

    Args:
        temperature: λ > 0; small for little bias, large for little variance.
        hard: whether the cost is evaluated at discrete samples, its gradient passed straight through to y.

    Returns:
        At a `Bernoulli` or a one-hot `Categorical`, an Estimate of ∇E f(y) by the logits, unbiased for that, or if hard
        of E[(∂y/∂l)ᵀ ∇f(x)]. Its `value` is the mean cost of the points evaluated.

    Raises:
        TypeError, ValueError: `temperature` is no positive number.

    Source:
        Jang, Gu & Poole (2017), "Categorical reparameterization with Gumbel-softmax", eq. 2 and section 2.2 (hard);
        Maddison, Mnih & Teh (2017), "The concrete distribution", eqs. 10 and 16.

    Example:
        import torch
        from rllab import Bernoulli, Cost, estimators as est

        cost = Cost(lambda x: x.sum(-1).square(), relaxed=True)
        e = est.GumbelSoftmax()(cost, Bernoulli(torch.zeros(3)), evaluations=100, key=0)
        e.gradient  # of the relaxed cost, by logits
    """

    source: ClassVar[str] = (
        "Jang, Gu & Poole (2017), Categorical reparameterization with Gumbel-softmax; "
        "Maddison, Mnih & Teh (2017), The concrete distribution"
    )
    needs: ClassVar[frozenset[str]] = frozenset({"gradient", "relaxed"})
    temperature: float = 0.5
    hard: bool = False

    def __post_init__(self) -> None:
        check_positive("GumbelSoftmax", temperature=self.temperature)

    @property
    def target(self) -> Target:
        if self.hard:
            return straight_through_target(self.temperature)
        return Target.relaxed(f"Gumbel-softmax, λ = {self.temperature:g}")

    def _plan(self, at: Any) -> Plan:
        return Plan(per_unit=1, block=units_per_block(check_relaxable("GumbelSoftmax", at), points=1))

    def _block(self, query: Query, i: int) -> PointBlock:
        a, b = self._span(query, i)
        z = perturbed_logits(query.at, b - a, query.key.child("sample", i)) / self.temperature
        return PointBlock(slice(a, b), (rounded if self.hard else relaxed)(query.at, z), z)

    def _contributions(self, query: Query, block: PointBlock, slopes: Tensor) -> Contributions:
        # ∂y/∂l = 1/λ ∂y/∂z,  z = (l + noise)/λ
        return {"logits": pull_back(query.at, block.noise, slopes) / self.temperature}


def straight_through_target(temperature: float) -> Target:
    """What the hard variant estimates, with Gumbel noise drawn or averaged over."""
    return Target.relaxed(f"straight through: E[(∂y/∂φ)ᵀ ∇f(x)], Gumbel-softmax, λ = {temperature:g}")
