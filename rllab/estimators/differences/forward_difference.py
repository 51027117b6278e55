"""Forward differences: move one coordinate at a time, and compare with where one stands.

    ĝ_i = (f(θ + h_i e_i) − f(θ)) / h_i                                           d + 1 evaluations

Exact on linear costs; otherwise biased by (h_i/2) ∂²f/∂θ_i². Independent noise of variance τ² in each value gives every
coordinate the variance 2τ²/h_i²; as all share f(θ), any two of them are correlated by ½.

Source: Gill, Murray & Wright (1981), "Practical optimization", section 8.6; steps: see `steps`.
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
    check_step,
    check_width,
    forward_step,
    pick,
    stencil_plan,
)
from rllab.estimators.query import Block, Plan, Query


@dataclass(frozen=True)
class ForwardDifference(Estimator):
    """Estimate the gradient from differences to the cost at the parameters themselves.

    Args:
        step: h > 0, the same for every coordinate; None for one that suits each coordinate's scale, see `steps`.
        noise: τ, the standard deviation of the cost's noise, for the automatic step; repetitions average it, and so
            shrink the step.
        repeat: for a cost with noise of its own: spend all evaluations on whole stencils under fresh seeds, and average
            them; otherwise one is made and the rest is left.

    Returns, when called, an Estimate of ∇f, biased by O(h). Its `value` is f(θ); the standard error is over stencils.
    All points of a stencil share one seed, if the cost is seeded.
    """

    source: ClassVar[str] = "Gill, Murray & Wright (1981), Practical optimization, section 8.6"
    order: ClassVar[int | None] = 1
    step: float | None = None
    noise: float = 0.0
    repeat: bool = False

    def __post_init__(self) -> None:
        check_step("ForwardDifference", self.step, self.noise)

    @property
    def target(self) -> Target:
        return Target.gradient()

    @property
    def unbiased(self) -> bool:
        return False

    def _plan(self, at: Any) -> Plan:
        return stencil_plan("ForwardDifference", at, self.repeat, pieces=1)

    def _block(self, query: Query, i: int) -> Block:
        at = query.at
        a, b = self._span(query, i)
        j = torch.arange(a, b, device=at.device) % (at.shape[-1] + 1) - 1  # -1: θ itself, first in every stencil
        return Block(slice(a, b), along(at, at + self._step(query), j), j)

    def _step(self, query: Query) -> Tensor:
        return forward_step(query.at, self.step, self.noise / math.sqrt(query.units))

    def _units(self, query: Query, block: Block) -> np.ndarray:
        return np.arange(block.rows.start, block.rows.stop) // (query.at.shape[-1] + 1)

    def _fold(self, query: Query, answered: Iterable[tuple[Block, Tensor]], rows: bool, errors: bool) -> Estimate:
        at, h = query.at, self._step(query)
        width = check_width("ForwardDifference", (at + h) - at)  # h, as the points have it after rounding
        stencils, total = Stencils(at, query.units, errors=errors, rows=rows), at.new_zeros(self._problems(at))
        centre = at.new_empty((0, *self._problems(at)))
        for block, f in answered:
            j = block.noise
            f_centre = f[j < 0]
            total += f_centre.sum(0)
            # the centre of the stencil each point belongs to; the last one reaches over into the next block
            centres = torch.cat((centre, f_centre))
            mine = (j < 0).cumsum(0) - 1 + len(centre)
            centre = centres[-1:]
            k = j >= 0
            stencils.add(j[k], (f - centres[mine])[k] / pick(width, j[k]))
        g, se, contributions = stencils.close()
        return Estimate(g, total / query.units, query.evaluations, self.target, se, contributions, query.state)
