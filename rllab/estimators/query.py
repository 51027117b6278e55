"""Query: what an estimator asks for, a recipe for points; with the blocks it falls into and the plan they follow.

Letters used throughout: d parameters, B in a batch, n points, m units (a pair, a sample, a coordinate: what an
estimator averages over), K samples of a distribution.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from torch import Tensor

from rllab.cost import Request
from rllab.estimate import Estimate, Target
from rllab.keys import Key, seeds_for


class Plan(NamedTuple):
    """How an estimator spends evaluations: `shared` once, then `per_unit` for each unit.

    A unit falls into `pieces` (the coordinates of a stencil; most have one), and a block holds `block` pieces.

    Args:
        per_unit: evaluations of each unit, >= 1.
        block: pieces a block holds, which bounds the memory it takes.
        shared: evaluations made once, whatever the number of units.
        least_units, most_units: how many units an estimate needs, and can use; None for no limit.
        pieces: pieces a unit falls into.

    Example:
        import torch
        from rllab import estimators as est

        est.GaussianSmoothing().ask(torch.ones(3), 10, key=0).plan.per_unit  # 2: a pair
    """

    per_unit: int
    block: int
    shared: int = 0
    least_units: int = 1
    most_units: int | None = None
    pieces: int = 1


class PointBlock(NamedTuple):
    """Some consecutive points of a query.

    Args:
        rows: where the answers to these points stand in the vector of all answers.
        points: (n, d), or (n, B, d) for a batch of B.
        noise: what the fold needs to weigh the answers; regenerated from the key, never stored.
        tangents: for a "jvp" query, the direction at each point, shaped like `points`.

    Example:
        import torch
        from rllab import estimators as est

        block = est.GaussianSmoothing().ask(torch.ones(3), 10, key=0)[0]
        block.rows, block.points.shape  # slice(0, 10), (10, 3)
    """

    rows: slice
    points: Tensor
    noise: Any = None
    tangents: Tensor | None = None


Answered = Iterable[tuple[PointBlock, Any]]  # blocks in their order, and what answers each, see `Query`


class MakesRows(Protocol):
    """Make rows start..stop of what is asked in a block of a query: points, tangents and seeds."""

    def __call__(self, block: int, start: int, stop: int) -> tuple[Tensor | None, ...]: ...


class AnswersQueries(Protocol):
    """What a query needs of the estimator it belongs to."""

    @property
    def target(self) -> Target: ...

    def tell(self, query: Query, values: Any, *, per_unit: bool = False, errors: bool = True) -> Estimate: ...

    def _block(self, query: Query, i: int) -> PointBlock: ...

    def recipe(self, query: Query, seeded: bool) -> MakesRows | None: ...

    def _units(self, query: Query, block: PointBlock) -> np.ndarray: ...


@dataclass(slots=True, eq=False)
class Query:
    """A recipe for the points an estimator wants evaluated; it pickles to a key, not to vectors of noise.

    `query[i]` is pure in (query, i): blocks may be evaluated in any order, by any worker. Put the answers to
    `query[i].points` into `values[query[i].rows]`, then call `query.estimator.tell(query, values)`. N points make

        kind                 answers                                          Cost has it as
        "value"              (N,) costs                                       cost(points)
        "complex"            (N,) complex costs at complex points             cost.complex(points)
        "gradient"           (N, d) gradients                                 cost.gradient(points)
        "value_and_gradient" (N,) and (N, d)                                  cost.value_and_gradient(points)
        "jvp"                (N,) costs and (N,) derivatives along tangents   cost.jvp(points, tangents)

    each with B after N for a batch of B.

    Args:
        estimator: who asks, and is told the answers.
        at: parameters (d,) or (B, d), or a distribution, detached.
        key: of all randomness of the query.
        state: what the estimator was given.
        units: what the estimator averages over, m.
        evaluations: answers expected for each of a batch; at (B, d) the cost is charged B times as many.
        plan: how units make blocks; there are `len(query)`.
        kind: what is asked at each point, see above.

    Example:
        import torch
        from rllab import estimators as est

        estimator, f = est.GaussianSmoothing(), lambda x: x.square().sum(-1)
        query = estimator.ask(torch.ones(3), 100, key=0)
        values = torch.cat([f(block.points) for block in query])
        estimator.tell(query, values).gradient
    """

    estimator: AnswersQueries
    at: Any
    units: int
    evaluations: int
    plan: Plan
    key: Key
    state: Any = None
    kind: Request = "value"

    def __len__(self) -> int:
        return -(-self.units * self.plan.pieces // self.plan.block)

    def __getitem__(self, i: int) -> PointBlock:
        if not 0 <= i < len(self):
            raise IndexError(f"Query: block must be in 0..{len(self) - 1}, got {i}")
        return self.estimator._block(self, i)

    def __iter__(self) -> Iterator[PointBlock]:
        return (self.estimator._block(self, i) for i in range(len(self)))

    def seeds(self, block: PointBlock) -> Tensor:
        """Return the seed of each point's exogenous noise, int64 (n,), or (n, B) for a batch of B.

        Points of one unit (a ± pair) share theirs: common random numbers.
        """
        unit = self.estimator._units(self, block)
        batch = block.points.shape[1:-1]
        if batch:
            b = batch[0]
            unit = unit[:, None] * b + range(b)
        return seeds_for(unit, self.key.child("noise"))
