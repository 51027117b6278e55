"""Forward differences: move one coordinate at a time, and compare with where one stands."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from rllab.estimators.differences.engine import Differences, Slopes, along, check_width, pick
from rllab.estimators.differences.steps import check_step, forward_step
from rllab.estimators.query import Answered, PointBlock, Query


@dataclass(frozen=True)
class ForwardDifference(Differences):
    """Estimate the gradient from differences to the cost at the parameters themselves.

        ĝ_i = (f(θ + h_i e_i) − f(θ)) / h_i                                           d + 1 evaluations

    Exact on linear costs; otherwise biased by (h_i/2) ∂²f/∂θ_i². Independent noise of variance τ² in each value gives
    every coordinate the variance 2τ²/h_i²; as all share f(θ), any two of them are correlated by ½.

    Args:
        step: h > 0, the same for every coordinate; None for one that suits each coordinate's scale, see `steps`.
        noise: τ, the standard deviation of the cost's noise, for the automatic step; repetitions average it, and so
            shrink the step.
        repeat: for a cost with noise of its own: spend all evaluations on whole stencils under fresh seeds, and average
            them; otherwise one is made and the rest is left.

    Returns:
        An Estimate of ∇f, biased by O(h). Its `value` is f(θ); the standard error is over stencils. All points of a
        stencil share one seed, if the cost is seeded.

    Raises:
        TypeError, ValueError: `step` or `noise` is of another kind, or out of its range.

    Source:
        Gill, Murray & Wright (1981), "Practical optimization", section 8.6; steps: see `steps`.

    Example:
        import torch
        from rllab import Cost, estimators as est

        cost = Cost(lambda x: x.square().sum(-1))
        e = est.ForwardDifference()(cost, torch.ones(3), evaluations=4, key=0)
        e.gradient  # 2, 2, 2 and a little more
    """

    source: ClassVar[str] = "Gill, Murray & Wright (1981), Practical optimization, section 8.6"
    order: ClassVar[int | None] = 1
    extra: ClassVar[int] = 1  # θ itself
    step: float | None = None
    noise: float = 0.0
    repeat: bool = False

    def __post_init__(self) -> None:
        check_step("ForwardDifference", self.step, self.noise)

    def _block(self, query: Query, i: int) -> PointBlock:
        at = query.at
        a, b = self._span(query, i)
        j = torch.arange(a, b, device=at.device) % (at.shape[-1] + 1) - 1  # -1: θ itself, first in every stencil
        return PointBlock(slice(a, b), along(at, at + self._step(query), j), j)

    def _step(self, query: Query) -> Tensor:
        return forward_step(query.at, self.step, self.noise / math.sqrt(query.units))

    def _slopes(self, query: Query, answered: Answered) -> Iterator[Slopes]:
        at = query.at
        width = check_width("ForwardDifference", (at + self._step(query)) - at)  # h, as the points have it
        centre = at.new_empty((0, *at.shape[:-1]))
        for block, f in answered:
            j = block.noise
            # the centre of the stencil each point belongs to; the last one reaches over into the next block
            centres = torch.cat((centre, f[j < 0]))
            mine = (j < 0).cumsum(0) - 1 + len(centre)
            centre = centres[-1:]
            k = j >= 0
            yield j[k], (f - centres[mine])[k] / pick(width, j[k]), f[j < 0]
