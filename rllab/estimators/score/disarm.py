"""DisARM: the mean of ARM given the two bit vectors it evaluates, without the uniform noise. Also called U2G."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from rllab.estimators.score.bit_pairs import BitPairs


@dataclass(frozen=True)
class DisARM(BitPairs):
    """Estimate the gradient of an expected cost of independent bits from antithetic pairs of them.

        ĝ = ½ (f(b) − f(b̃)) (−1)^b̃ 1[b ≠ b̃] σ(|l|),    b = 1[u > σ(−l)],  b̃ = 1[u < σ(l)]    2 evaluations a pair

    Unbiased for ∇_l E f(b) whatever f is, with at most the variance of `ARM`, coordinate by coordinate. A single bit, Δ
    = f(1) − f(0), q = min(p, 1 − p): variance Δ² (1 − q)² q (½ − q), which is 0 at p = ½.

    Returns:
        At a `Bernoulli`, an Estimate of ∇E f by its logits, unbiased; its `value` is the mean cost. A pair costs 2
        evaluations and shares its seed, if the cost is seeded (noisy).

    Source:
        Dong, Mnih & Tucker (2020), "DisARM: An antithetic gradient estimator for binary latent variables", eq. 5; Yin,
        Ho, Yan, Qian & Zhou (2020), "Probabilistic best subset selection via gradient-based optimization" (U2G).

    Example:
        import torch
        from rllab import Bernoulli, Cost, estimators as est

        cost = Cost(lambda x: x.sum(-1).square())
        e = est.DisARM()(cost, Bernoulli(torch.zeros(3)), evaluations=100, key=0)
        e.gradient  # by logits, about 0.75, 0.75, 0.75
    """

    source: ClassVar[str] = (
        "Dong, Mnih & Tucker (2020), DisARM: An antithetic gradient estimator for binary latent variables"
    )

    def _weights(self, logits: Tensor, u: Tensor, one: Tensor, other: Tensor) -> Tensor:
        # ½ (−1)^b̃ 1[b ≠ b̃] σ(|l|) = ½ (b − b̃) σ(|l|)
        return 0.5 * (one - other) * torch.sigmoid(logits.abs())
