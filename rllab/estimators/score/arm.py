"""ARM: augment, reinforce, merge; two evaluations at bits made of the same uniform numbers, for any number of bits.

    ĝ = (f(b) − f(b̃)) (u − ½),    b = 1[u > σ(−l)],  b̃ = 1[u < σ(l)],  u ~ U(0, 1)ⁿ            2 evaluations a pair

Unbiased for ∇_l E f(b) whatever f is. A single bit, Δ = f(1) − f(0), q = min(p, 1 − p): variance

    Δ² (1/12 − (1 − 2q)³/12 − q²(1 − q)²),                                        Δ²/48 at p = ½

`DisARM` is its mean given the two bits, at the same cost.

Source: Yin & Zhou (2019), "ARM: Augment-REINFORCE-merge gradient for stochastic binary networks", theorem 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from rllab.estimate import Estimate, Target
from rllab.estimators.base import Estimator
from rllab.estimators.query import Block, Plan, Query
from rllab.estimators.score import bit_pairs


@dataclass(frozen=True)
class ARM(Estimator):
    """Estimate the gradient of an expected cost of independent bits from antithetic pairs of them.

    Returns, when called at a `Bernoulli`, an Estimate of ∇E f by its logits, unbiased; its `value` is the mean cost. A
    pair costs 2 evaluations and shares its seed, if the cost is seeded (noisy).
    """

    source: ClassVar[str] = "Yin & Zhou (2019), ARM: Augment-REINFORCE-merge gradient for stochastic binary networks"

    @property
    def target(self) -> Target:
        return Target.expectation()

    @property
    def unbiased(self) -> bool:
        return True

    def _plan(self, at: Any) -> Plan:
        return bit_pairs.plan("ARM", at)

    def _block(self, query: Query, i: int) -> Block:
        a, b = self._span(query, i)
        u, *pair = bit_pairs.draw(query, a, b, i)
        return bit_pairs.place(a, b, (pair[0], pair[1]), (u - 0.5).to(query.at.logits))

    def _units(self, query: Query, block: Block) -> np.ndarray:
        return bit_pairs.units(block)

    def _fold(self, query: Query, answered: Iterable[tuple[Block, Tensor]], rows: bool, errors: bool) -> Estimate:
        return bit_pairs.fold(query, answered, rows, errors)
