"""Central differences: move every coordinate forth and back.

    ĝ_i = (f(θ + h_i e_i) − f(θ − h_i e_i)) / 2h_i                                2d evaluations

Exact on quadratics; otherwise biased by h_i² ∂³f/∂θ_i³ / 6. Independent noise of variance τ² in each value gives every
coordinate the variance τ²/2h_i², independent of the others.

Sources: Kiefer & Wolfowitz (1952), "Stochastic estimation of the maximum of a regression function", for costs with
noise; steps: see `steps`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from rllab.estimate import Estimate, Target
from rllab.estimators.base import Estimator
from rllab.estimators.differences.steps import (
    Stencils,
    along,
    central_step,
    check_step,
    check_width,
    pick,
    stencil_plan,
)
from rllab.estimators.query import Block, Plan, Query


@dataclass(frozen=True)
class CentralDifference(Estimator):
    """Estimate the gradient from differences across each coordinate.

    Args:
        step: h > 0, the same for every coordinate; None for one that suits each coordinate's scale, see `steps`.
        noise: τ, the standard deviation of the cost's noise, for the automatic step; repetitions average it, and so
            shrink the step.
        repeat: for a cost with noise of its own: spend all evaluations on whole stencils under fresh seeds, and average
            them; otherwise one is made and the rest is left.

    Returns, when called, an Estimate of ∇f, biased by O(h²). Its `value` is the mean over all points, f(θ) + O(h²); the
    standard error is over stencils. All points of a stencil share one seed, if the cost is seeded.
    """

    source: ClassVar[str] = (
        "Kiefer & Wolfowitz (1952), Stochastic estimation of the maximum of a regression function; "
        "Gill, Murray & Wright (1981), Practical optimization, section 8.6"
    )
    order: ClassVar[int | None] = 2
    step: float | None = None
    noise: float = 0.0
    repeat: bool = False

    def __post_init__(self) -> None:
        check_step("CentralDifference", self.step, self.noise)

    @property
    def target(self) -> Target:
        return Target.gradient()

    @property
    def unbiased(self) -> bool:
        return False

    def _plan(self, at: Any) -> Plan:
        return stencil_plan("CentralDifference", at, self.repeat, per_piece=2)

    def _block(self, query: Query, i: int) -> Block:
        at = query.at
        a, b = self._span(query, i)
        j, h = torch.arange(a, b, device=at.device) % at.shape[-1], self._step(query)
        return Block(slice(2 * a, 2 * b), torch.cat((along(at, at + h, j), along(at, at - h, j))), j)

    def _step(self, query: Query) -> Tensor:
        return central_step(query.at, self.step, self.noise / math.sqrt(query.units))

    def _units(self, query: Query, block: Block) -> np.ndarray:
        n = (block.rows.stop - block.rows.start) // 2
        return (block.rows.start // 2 + np.arange(2 * n) % n) // query.at.shape[-1]

    def _fold(self, query: Query, answered: Iterable[tuple[Block, Tensor]], rows: bool, errors: bool) -> Estimate:
        at, h = query.at, self._step(query)
        width = check_width("CentralDifference", (at + h) - (at - h))  # 2h, as the points have it after rounding
        stencils, total = Stencils(at, query.units, errors=errors, rows=rows), at.new_zeros(self._problems(at))
        for block, f in answered:
            j = block.noise
            n = len(j)
            total += f.sum(0)
            stencils.add(j, (f[:n] - f[n:]) / pick(width, j))
        g, se, contributions = stencils.close()
        return Estimate(g, total / query.evaluations, query.evaluations, self.target, se, contributions, query.state)
