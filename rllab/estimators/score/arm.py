"""ARM: augment, reinforce, merge; two evaluations at bits made of the same uniform numbers, for any number of bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from rllab.estimators.score.bit_pairs import BitPairs


@dataclass(frozen=True)
class ARM(BitPairs):
    """Estimate the gradient of an expected cost of independent bits from antithetic pairs of them.

        ĝ = (f(b) − f(b̃)) (u − ½),    b = 1[u > σ(−l)],  b̃ = 1[u < σ(l)],  u ~ U(0, 1)ⁿ           2 evaluations a pair

    Unbiased for ∇_l E f(b) whatever f is. A single bit, Δ = f(1) − f(0), q = min(p, 1 − p): variance

        Δ² (1/12 − (1 − 2q)³/12 − q²(1 − q)²),                                        Δ²/48 at p = ½

    `DisARM` is its mean given the two bits, at the same cost.

    Returns:
        At a `Bernoulli`, an Estimate of ∇E f by its logits, unbiased; its `value` is the mean cost. A pair costs 2
        evaluations and shares its seed, if the cost is seeded (noisy).

    Source:
        Yin & Zhou (2019), "ARM: Augment-REINFORCE-merge gradient for stochastic binary networks", theorem 1.

    Example:
        import torch
        from rllab import Bernoulli, Cost, estimators as est

        cost = Cost(lambda x: x.sum(-1).square())
        e = est.ARM()(cost, Bernoulli(torch.zeros(3)), evaluations=100, key=0)
        e.gradient  # by logits, about 0.75, 0.75, 0.75
    """

    source: ClassVar[str] = "Yin & Zhou (2019), ARM: Augment-REINFORCE-merge gradient for stochastic binary networks"

    def _weights(self, logits: Tensor, u: Tensor, one: Tensor, other: Tensor) -> Tensor:
        return (u - 0.5).to(logits)
