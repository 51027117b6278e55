"""Estimator: the contract every gradient estimator keeps: ask for points, be told their costs, return an Estimate.

    query    = estimator.ask(at, evaluations, key)       a recipe; nothing is evaluated
    values   = cost(points of every block)               by whoever, wherever, in any order
    estimate = estimator.tell(query, values)

`estimator(cost, at, …)` does the three in one stream: each block is evaluated and folded while its noise is in hand,
so memory is O(block + d) however many evaluations there are. Both ways use the same fold and give the same bits.

Two things are part of the result and therefore constants: a block holds BLOCK numbers of noise, and block i draws from
the child key (stream, i). torch's generators are not prefix-stable, so another block size would mean other noise.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from rllab.cost import Cost
from rllab.estimate import Block, Estimate, Query, Target
from rllab.keys import Key, as_key

BLOCK = 1 << 16  # numbers of noise drawn at once: 256 KiB of float32, which stay in a core's cache


class Plan(NamedTuple):
    """How an estimator spends evaluations: `shared` once, then `per_unit` for each unit; `block` units at a time."""

    per_unit: int
    block: int
    shared: int = 0
    least_units: int = 1


class Estimator(ABC):
    """A way to estimate a gradient. Subclasses are frozen dataclasses of hyperparameters, all defaulted, and final.

    `unbiased` says whether the mean of the estimate is exactly the gradient named by `target`; `needs` what is asked
    of the cost: "value", "gradient", "jvp", ….
    """

    needs: ClassVar[frozenset[str]] = frozenset({"value"})

    @property
    @abstractmethod
    def target(self) -> Target: ...

    @property
    @abstractmethod
    def unbiased(self) -> bool: ...

    def minimum(self, at: Any) -> int:
        """Return the number of evaluations below which this estimator cannot say anything about `at`."""
        plan = self._plan(at)
        return plan.shared + plan.least_units * plan.per_unit

    def ask(self, at: Any, evaluations: int, key: Key | int, *, state: Any = None) -> Query:
        """Plan the points to evaluate.

        Args:
            at: parameters (d,), B problems (B, d), or a distribution for output-space estimators.
            evaluations: how many may be spent on each problem; the query uses as many of them as make whole units.
            key: source of all randomness. At (B, d) the noise of row b depends on B.
            state: the `state` of the previous estimate, for estimators that keep one.
        Raises:
            ValueError: if `evaluations` is below `minimum(at)`.
        """
        plan = self._plan(at)
        units = (evaluations - plan.shared) // plan.per_unit
        if units < plan.least_units:
            raise ValueError(f"{type(self).__name__}: evaluations must be >= {self.minimum(at)}, got {evaluations}")
        spent = plan.shared + units * plan.per_unit
        at = at.detach()
        return Query(self, at, units, spent, -(-units // plan.block), as_key(key), state)

    def tell(self, query: Query, values: Tensor, *, rows: bool = False, errors: bool = True) -> Estimate:
        """Turn the answers to a query into an estimate; the noise is drawn again from the query's key.

        Args:
            values: (query.evaluations,), or (query.evaluations, B); `values[block.rows]` answers `block.points`.
            rows: also return every unit's contribution, O(m d) memory.
            errors: also return the standard error.
        Raises:
            ValueError: if the shape is another, or a value is not finite.
        """
        wanted = (query.evaluations, *self._problems(query.at))
        if tuple(values.shape) != wanted:
            raise ValueError(f"{type(self).__name__}: values must be {wanted}, got {tuple(values.shape)}")
        if not torch.isfinite(values).all():
            where = (~torch.isfinite(values)).nonzero()[0].tolist()
            raise ValueError(f"{type(self).__name__}: values must be finite, got {values[tuple(where)]} at {where}")
        with torch.no_grad():
            return self._fold(query, ((block, values[block.rows]) for block in query), rows, errors)

    def __call__(
        self,
        cost: Cost,
        at: Any,
        *,
        evaluations: int,
        key: Key | int,
        state: Any = None,
        rows: bool = False,
        errors: bool = True,
    ) -> Estimate:
        """Estimate the gradient of `cost` at `at` with at most `evaluations` evaluations; see `ask` and `tell`.

        Raises:
            BudgetExceeded: if the whole query does not fit the cost's budget; nothing is spent then.
        """
        if not isinstance(cost, Cost):
            raise TypeError(f"{type(self).__name__}: cost must be a Cost, got {cost!r}; wrap it: Cost(function)")
        query = self.ask(at, evaluations, key, state=state)
        problems = self._problems(at)
        cost.reserve("value", query.evaluations * (problems[0] if problems else 1))
        with torch.no_grad():
            return self._fold(query, self._answers(cost, query), rows, errors)

    def _answers(self, cost: Cost, query: Query) -> Iterator[tuple[Block, Tensor]]:
        for block in query:
            seeds = query.seeds(block) if cost.seeded else None
            if block.points.ndim == 2:
                yield block, cost(block.points, seeds)
            else:
                n, b, d = block.points.shape
                flat = cost(block.points.reshape(n * b, d), None if seeds is None else seeds.reshape(-1))
                yield block, flat.view(n, b)
            del block  # see `_fold`: one block at a time is alive

    @abstractmethod
    def _plan(self, at: Any) -> Plan:
        """Check `at` and say what a unit costs."""

    @abstractmethod
    def _block(self, query: Query, i: int) -> Block:
        """Make block i of a query, from (query, i) alone."""

    @abstractmethod
    def _fold(self, query: Query, answered: Iterable[tuple[Block, Tensor]], rows: bool, errors: bool) -> Estimate:
        """Reduce the answered blocks, which come in order, to an estimate."""

    def _problems(self, at: Any) -> tuple[int, ...]:
        """Return () for one problem, (B,) for B at once."""
        return tuple(at.shape[:-1])

    def _units(self, query: Query, block: Block) -> np.ndarray:
        """Return for each point of a block the unit it belongs to: points of one unit share their seed."""
        return np.arange(block.rows.start, block.rows.stop)


def check_parameters(name: str, at: object) -> Tensor:
    """Return `at` if it is a floating tensor (d,) or (B, d) with d >= 1; raise an error that says so if not."""
    if not isinstance(at, Tensor):
        raise TypeError(f"{name}: at must be a tensor of parameters, got {type(at).__name__}")
    if at.ndim not in (1, 2) or at.numel() == 0:
        raise ValueError(f"{name}: at must be (d,) or (B, d) with d >= 1, got {tuple(at.shape)}")
    if not at.is_floating_point():
        raise TypeError(f"{name}: at must be a floating-point tensor, got {at.dtype}")
    return at
