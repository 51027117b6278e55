"""Straight-through: differentiate the cost at a discrete sample, as if the sample moved like its probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from rllab.estimate import Target
from rllab.estimators.query import Plan, PointBlock, Query
from rllab.estimators.relaxed.relaxation import check_relaxable, pull_back
from rllab.estimators.score.samples import Contributions, SlopesAtSamples, units_per_block


@dataclass(frozen=True)
class StraightThrough(SlopesAtSamples):
    """Estimate a stand-in for the gradient of an expected cost of bits or choices, from its gradients at samples.

        ĝ = 1/K Σ_k (∂p/∂l)ᵀ ∇f(x_k),    x_k ~ p                                       K gradient evaluations

    Its mean is E[(∂p/∂l)ᵀ ∇f(x)]: ∇E f where f is linear in each bit or choice by itself, and **biased elsewhere**: it
    knows slopes at the corners, and not what is on the other side. For one bit and f = (b − t)² the mean is 2p(1 − p)(p
    − t) where (1 − 2t)p(1 − p) is right: descent ends at p = t, between the corners, and not in the better one.

    Returns:
        At a `Bernoulli` or a one-hot `Categorical`, an Estimate of E[(∂p/∂l)ᵀ ∇f(x)] by the logits, unbiased for that;
        see above for what it has to do with ∇E f. Its `value` is the mean cost, that of samples.

    Source:
        Bengio, Léonard & Courville (2013), "Estimating or propagating gradients through stochastic neurons for
        conditional computation", section 3, with the derivative of the probability (their second variant).

    Example:
        import torch
        from rllab import Bernoulli, Cost, estimators as est

        cost = Cost(lambda x: x.sum(-1).square(), relaxed=True)
        e = est.StraightThrough()(cost, Bernoulli(torch.zeros(3)), evaluations=100, key=0)
        e.gradient  # of the relaxed cost, by logits
    """

    source: ClassVar[str] = (
        "Bengio, Léonard & Courville (2013), Estimating or propagating gradients through stochastic neurons for "
        "conditional computation"
    )
    needs: ClassVar[frozenset[str]] = frozenset({"gradient", "relaxed"})
    target: ClassVar[Target] = Target.relaxed("straight through: E[(∂p/∂φ)ᵀ ∇f(x)]")

    def _plan(self, at: Any) -> Plan:
        return Plan(per_unit=1, block=units_per_block(check_relaxable("StraightThrough", at), points=1))

    def _block(self, query: Query, i: int) -> PointBlock:
        a, b = self._span(query, i)
        x, _ = query.at.draw(b - a, query.key.child("sample", i))
        return PointBlock(slice(a, b), x)

    def _contributions(self, query: Query, block: PointBlock, slopes: Tensor) -> Contributions:
        logits = query.at.logits.double()
        return {"logits": pull_back(query.at, logits.expand(len(slopes), *logits.shape), slopes)}
