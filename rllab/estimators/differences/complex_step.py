"""Complex step: move each coordinate along the imaginary axis; nothing is subtracted, so nothing cancels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch

from rllab.cost import Request
from rllab.estimators.differences.engine import Differences, Slopes, along, pick
from rllab.estimators.differences.steps import check_step, complex_step
from rllab.estimators.query import Answered, PointBlock, Query


@dataclass(frozen=True)
class ComplexStep(Differences):
    """Estimate the gradient from imaginary parts.

        ĝ_i = Im f(θ + ih_i e_i) / h_i                                                d complex evaluations

    Biased by −h_i² ∂³f/∂θ_i³ / 6 only, and as no difference is taken h may be so small that this is below rounding:
    exact to the last digits. It needs a cost that is analytic and computed in complex arithmetic throughout: no abs,
    max, comparison or cast inside. So it serves as a test oracle rather than for simulators. Real noise added to the
    cost leaves it alone.

    Args:
        step: h > 0, the same for every coordinate; None for max(|θ_i|, 1) times the machine epsilon.
        repeat: for a cost with noise of its own: spend all evaluations on whole sets of coordinates under fresh seeds,
            and average them; otherwise one is made and the rest is left.

    Returns:
        An Estimate of ∇f, biased by O(h²). Its `value` is the mean real part, f(θ) + O(h²). All points of a set share
        one seed, if the cost is seeded.

    Raises:
        TypeError, ValueError: `step` is of another kind, or not positive.

    Source:
        Squire & Trapp (1998), "Using complex variables to estimate derivatives of real functions"; Martins, Sturdza &
        Alonso (2003), "The complex-step derivative approximation".

    Example:
        import torch
        from rllab import Cost, estimators as est

        cost = Cost(lambda x: x.square().sum(-1))
        e = est.ComplexStep()(cost, torch.ones(3), evaluations=6, key=0)
        e.gradient  # 2, 2, 2, but for rounding
    """

    source: ClassVar[str] = (
        "Squire & Trapp (1998), Using complex variables to estimate derivatives of real functions; "
        "Martins, Sturdza & Alonso (2003), The complex-step derivative approximation"
    )
    kind: ClassVar[Request] = "complex"
    needs: ClassVar[frozenset[str]] = frozenset({"complex"})
    order: ClassVar[int | None] = 2
    half: ClassVar[bool] = False  # torch has no arithmetic of complex numbers of half precision
    step: float | None = None
    repeat: bool = False

    def __post_init__(self) -> None:
        check_step("ComplexStep", self.step)

    def _block(self, query: Query, i: int) -> PointBlock:
        at = query.at
        a, b = self._span(query, i)
        j = torch.arange(a, b, device=at.device) % at.shape[-1]
        return PointBlock(slice(a, b), along(at, torch.complex(at, complex_step(at, self.step)), j), j)

    def _slopes(self, query: Query, answered: Answered) -> Iterator[Slopes]:
        h = complex_step(query.at, self.step)
        for block, f in answered:
            yield block.noise, f.imag / pick(h, block.noise), f.real
