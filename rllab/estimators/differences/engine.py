"""Differences: what estimators that move one coordinate at a time share; each adds its points and its quotients."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from rllab.arrays import single_at_least
from rllab.checks import check_parameters
from rllab.estimate import Estimate, Target
from rllab.estimators.base import BLOCK, Estimator
from rllab.estimators.query import Answered, Plan, PointBlock, Query

Slopes = tuple[Tensor, Tensor, Tensor]  # coordinates (n,), derivatives along them (n,) or (n, B), and costs (k, …)


class Differences(Estimator):
    """Estimate the gradient coordinate by coordinate, from one stencil or the mean of several under fresh seeds.

    A stencil is a piece for each coordinate, of `per_piece` points, and `extra` pieces more.
    """

    target: ClassVar[Target] = Target.gradient()
    unbiased: ClassVar[bool] = False
    per_piece: ClassVar[int] = 1
    extra: ClassVar[int] = 0
    half: ClassVar[bool] = True  # whether it takes parameters in half precision
    repeat: bool

    @abstractmethod
    def _slopes(self, query: Query, answered: Answered) -> Iterator[Slopes]:
        """Yield, for each block, derivatives at coordinates in the order of the query, and the costs to average."""

    def _plan(self, at: Any) -> Plan:
        at = check_parameters(type(self).__name__, at, half=self.half)
        n = at.shape[-1] + self.extra
        most = None if self.repeat else 1
        return Plan(n * self.per_piece, max(1, BLOCK // at.numel()), most_units=most, pieces=n)

    def _units(self, query: Query, block: PointBlock) -> np.ndarray:
        points = np.arange(block.rows.stop - block.rows.start)
        pieces = block.rows.start // self.per_piece + points % (len(points) // self.per_piece)
        return pieces // query.plan.pieces

    def _fold(self, query: Query, answered: Answered, per_unit: bool, errors: bool) -> Estimate:
        stencils = Stencils(query.at, query.units, errors=errors, per_unit=per_unit)
        total, count = 0.0, 0
        for coordinates, derivatives, f in self._slopes(query, answered):
            stencils.add(coordinates, derivatives)
            total = total + f.sum(0)
            count += f.shape[0]
        g, se, contributions = stencils.close()
        value, n = torch.as_tensor(total / count), query.evaluations
        return Estimate(g, value, n, self.target, se, contributions, query.state, kind=query.kind)


def check_width(name: str, width: Tensor) -> Tensor:
    """Return the distances between points, unless one has been rounded to nothing: an error names its coordinate."""
    if not (width > 0).all():
        where = (~(width > 0)).nonzero()[0].tolist()
        raise ValueError(f"{name}: step is lost to rounding at coordinate {where}; it must be larger")
    return width


def along(at: Tensor, moved: Tensor, coordinates: Tensor) -> Tensor:
    """Return copies of `at`, (n, *at.shape), with one coordinate each taken from `moved`; -1 stands for none."""
    points = at.to(moved.dtype).expand(*coordinates.shape, *at.shape).clone()
    k = (coordinates >= 0).nonzero()[:, 0]
    points[k, ..., coordinates[k]] = pick(moved, coordinates[k])
    return points


def pick(t: Tensor, coordinates: Tensor) -> Tensor:
    """Return the entries of `t`, (d,) or (B, d), at n coordinates, as (n,) or (n, B)."""
    return t[..., coordinates].movedim(-1, 0)


class Stencils:
    """Average derivatives that come coordinate by coordinate, over one or more stencils.

    Squares are of what is left when the first stencil r is taken off, so that stencils that agree scatter by nothing:

        standard error = √( (S/m − (ĝ − r)²) / (m − 1) ),  S = Σ_k (g_k − r)²
    """

    def __init__(self, at: Tensor, units: int, *, errors: bool, per_unit: bool):
        self._units, self._at = units, at
        self._sum = torch.zeros_like(single_at_least(at))
        self._square = torch.zeros_like(self._sum) if errors and units > 1 else None
        self._first, self._seen = torch.zeros_like(self._sum), 0  # r, and how many of its derivatives have come
        self._per_unit: list[Tensor] | None = [] if per_unit else None

    def add(self, coordinates: Tensor, derivatives: Tensor) -> None:
        """Take in derivatives (n,) or (n, B) at coordinates (n,), in the order of the query."""
        derivatives = derivatives.to(self._sum.dtype)  # costs may be wider, and are differenced by now
        along_last = derivatives.movedim(0, -1)
        self._sum.index_add_(-1, coordinates, along_last)
        if self._square is not None:
            new = max(0, min(self._first.shape[-1] - self._seen, len(coordinates)))  # of the first stencil
            self._first[..., coordinates[:new]] = along_last[..., :new]
            self._seen += new
            rest = along_last - self._first[..., coordinates]
            self._square.index_add_(-1, coordinates, rest.square())
        if self._per_unit is not None:
            self._per_unit.append(derivatives)

    def close(self) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Return mean, standard error over stencils (None for one, or if not asked for) and each stencil."""
        m = self._units
        g = self._sum.div_(m)
        se = None
        if self._square is not None:
            rest = g - self._first
            # √( (S/m − (ĝ − r)²) / (m − 1) )
            se = self._square.div_(m).addcmul_(rest, rest, value=-1).clamp_min_(0).div_(m - 1).sqrt_()
        if self._per_unit is None:
            return g.to(self._at), None if se is None else se.to(self._at), None
        each = torch.cat(self._per_unit).to(self._at)
        return g.to(self._at), None if se is None else se.to(self._at), each.view(m, -1, *each.shape[1:]).movedim(1, -1)
