"""DisARM: the mean of ARM given the two bit vectors it evaluates, which takes the uniform noise out. Also called U2G.

    ĝ = ½ (f(b) − f(b̃)) (−1)^b̃ 1[b ≠ b̃] σ(|l|),    b = 1[u > σ(−l)],  b̃ = 1[u < σ(l)]    2 evaluations a pair

Unbiased for ∇_l E f(b) whatever f is, with at most the variance of `ARM`, coordinate by coordinate. A single bit,
Δ = f(1) − f(0), q = min(p, 1 − p): variance Δ² (1 − q)² q (½ − q), which is 0 at p = ½.

Sources: Dong, Mnih & Tucker (2020), "DisARM: An antithetic gradient estimator for binary latent variables", eq. 5;
Yin, Ho, Yan, Qian & Zhou (2020), "Probabilistic best subset selection via gradient-based optimization" (U2G).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from rllab.estimate import Estimate, Target
from rllab.estimators.base import Estimator
from rllab.estimators.query import Block, Plan, Query
from rllab.estimators.score import bit_pairs


@dataclass(frozen=True)
class DisARM(Estimator):
    """Estimate the gradient of an expected cost of independent bits from antithetic pairs of them.

    Returns, when called at a `Bernoulli`, an Estimate of ∇E f by its logits, unbiased; its `value` is the mean cost. A
    pair costs 2 evaluations and shares its seed, if the cost is seeded (noisy).
    """

    source: ClassVar[str] = (
        "Dong, Mnih & Tucker (2020), DisARM: An antithetic gradient estimator for binary latent variables"
    )

    @property
    def target(self) -> Target:
        return Target.expectation()

    @property
    def unbiased(self) -> bool:
        return True

    def _plan(self, at: Any) -> Plan:
        return bit_pairs.plan("DisARM", at)

    def _block(self, query: Query, i: int) -> Block:
        a, b = self._span(query, i)
        _, one, other = bit_pairs.draw(query, a, b, i)
        # ½ (−1)^b̃ 1[b ≠ b̃] σ(|l|) = ½ (b − b̃) σ(|l|)
        weights = 0.5 * (one - other) * torch.sigmoid(query.at.logits.abs())
        return bit_pairs.place(a, b, (one, other), weights)

    def _units(self, query: Query, block: Block) -> np.ndarray:
        return bit_pairs.units(block)

    def _fold(self, query: Query, answered: Iterable[tuple[Block, Tensor]], rows: bool, errors: bool) -> Estimate:
        return bit_pairs.fold(query, answered, rows, errors)
