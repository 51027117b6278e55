"""Central differences: move every coordinate forth and back."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from rllab.estimators.differences.engine import Differences, Slopes, along, check_width, pick
from rllab.estimators.differences.steps import central_step, check_step
from rllab.estimators.query import Answered, PointBlock, Query


@dataclass(frozen=True)
class CentralDifference(Differences):
    """Estimate the gradient from differences across each coordinate.

        ĝ_i = (f(θ + h_i e_i) − f(θ − h_i e_i)) / 2h_i                                2d evaluations

    Exact on quadratics; otherwise biased by h_i² ∂³f/∂θ_i³ / 6. Independent noise of variance τ² in each value gives
    every coordinate the variance τ²/2h_i², independent of the others.

    Args:
        step, noise, repeat: see `ForwardDifference`; the automatic step is h_i = s_i (3(u + τ))^(1/3), see `steps`.

    Returns:
        An Estimate of ∇f, biased by O(h²). Its `value` is the mean over all points, f(θ) + O(h²); the standard error is
        over stencils. All points of a stencil share one seed, if the cost is seeded.

    Raises:
        TypeError, ValueError: `step` or `noise` is of another kind, or out of its range.

    Source:
        Kiefer & Wolfowitz (1952), "Stochastic estimation of the maximum of a regression function", for costs with
        noise; steps: see `steps`.

    Example:
        import torch
        from rllab import Cost, estimators as est

        cost = Cost(lambda x: x.square().sum(-1))
        e = est.CentralDifference()(cost, torch.ones(3), evaluations=6, key=0)
        e.gradient  # 2, 2, 2, but for rounding
    """

    source: ClassVar[str] = (
        "Kiefer & Wolfowitz (1952), Stochastic estimation of the maximum of a regression function; "
        "Gill, Murray & Wright (1981), Practical optimization, section 8.6"
    )
    order: ClassVar[int | None] = 2
    per_piece: ClassVar[int] = 2
    step: float | None = None
    noise: float = 0.0
    repeat: bool = False

    def __post_init__(self) -> None:
        check_step("CentralDifference", self.step, self.noise)

    def _block(self, query: Query, i: int) -> PointBlock:
        at = query.at
        a, b = self._span(query, i)
        j, h = torch.arange(a, b, device=at.device) % at.shape[-1], self._step(query)
        return PointBlock(slice(2 * a, 2 * b), torch.cat((along(at, at + h, j), along(at, at - h, j))), j)

    def _step(self, query: Query) -> Tensor:
        return central_step(query.at, self.step, self.noise / math.sqrt(query.units))

    def _slopes(self, query: Query, answered: Answered) -> Iterator[Slopes]:
        at, h = query.at, self._step(query)
        width = check_width("CentralDifference", (at + h) - (at - h))  # 2h, as the points have it after rounding
        for block, f in answered:
            j = block.noise
            ahead, behind = f.chunk(2)
            yield j, (ahead - behind) / pick(width, j), f
