"""Estimator: the contract every gradient estimator keeps: ask for points, be told their costs, return an Estimate.

    query    = estimator.ask(at, evaluations, key)       a recipe; nothing is evaluated
    values   = cost(points of every block)               by whoever, wherever, in any order; or gradients, see Query
    estimate = estimator.tell(query, values)

`estimator(cost, at, …)` does the three in one stream: each block is evaluated and folded while its noise is in hand,
so memory is O(block + d) however many evaluations there are; an executor is given AHEAD blocks at a time. Both ways use
the same fold and give the same bits.

Two things are part of the result and therefore constants: a block holds BLOCK numbers of noise, and block i draws from
the child key (stream, i). torch's generators are not prefix-stable, so another block size would mean other noise.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, ClassVar, SupportsIndex

import numpy as np
import torch
from torch import Tensor

from rllab.arrays import single_at_least, wider
from rllab.batches import as_numbers
from rllab.checks import as_count
from rllab.cost import Cost, Request
from rllab.estimate import Estimate, Target
from rllab.estimators.asking import (
    Answer,
    BlockRecipe,
    Requested,
    as_tensor_at,
    ask,
    in_arrays,
    requested,
    split,
    tracked,
)
from rllab.estimators.flat_parameters import FlatParameters, Parameters
from rllab.estimators.query import Answered, Plan, PointBlock, Query
from rllab.keys import Key, as_key

BLOCK = 1 << 18  # numbers of noise drawn at once: 1 MiB of float32, which stays in cache
AHEAD = 32  # blocks under way at a time, where an executor evaluates them


class Estimator(ABC):
    """A way to estimate a gradient. Subclasses are frozen dataclasses of hyperparameters, all defaulted, and final.

    `unbiased` says whether the mean of the estimate is exactly the gradient named by `target`; where it is not, but
    gets there with a step or radius h, `order` is the p of its bias O(hᵖ). `stateful` says whether an estimate depends
    on the `state` it is given: a moving baseline, recent gradients, a critic. `shares_state` says whether a batch has
    one state, and `shares_draws` whether it has one draw of something, so that its estimates are not independent.
    `kind` is what is asked at each point, `needs` what the cost must therefore do: "value", "gradient", "jvp",
    "complex", …. `source` is a short citation, "Authors (year), Title". `elementwise` says whether points are made
    number by number, and so to the same bits in any process; if not, where a matrix is decomposed, workers are sent the
    points.

    An estimator of kind "value_and_gradient" that does not need "value" has it for the sake of `Estimate.value`, and
    goes without where it would be an evaluation of its own; its fold is then given None for the values.

    Example:
        import torch
        from rllab import Cost, estimators as est

        estimator = est.GaussianSmoothing(sigma=0.2)
        estimator.minimum(torch.ones(3)), estimator.target  # 2 evaluations, of the smoothed cost's gradient
        estimator(Cost(lambda x: x.square().sum(-1)), torch.ones(3), evaluations=100, key=0).gradient
    """

    source: ClassVar[str]
    kind: ClassVar[Request] = "value"
    needs: ClassVar[frozenset[str]] = frozenset({"value"})
    order: ClassVar[int | None] = None
    target: Target  # as what follows, a class variable if all instances have the same, else a property
    unbiased: bool
    stateful: bool = False
    shares_state: bool = False
    shares_draws: bool = False
    elementwise: bool = True

    def minimum(self, at: Any, cost: Cost | None = None) -> int:
        """Return the number of evaluations below which this estimator cannot say anything about `at`.

        Args:
            cost: what is to be asked; twice as many are needed where a value beside its gradient is one more, see
                `__call__`. None for a cost where it is not.
        """
        plan = self._plan(as_tensor_at(at))
        return self._each(cost) * (plan.shared + plan.least_units * plan.per_unit)

    def ask(self, at: Any, evaluations: SupportsIndex | float, key: Key | int, *, state: Any = None) -> Query:
        """Plan the points to evaluate.

        Args:
            at: parameters (d,), a batch (B, d), or a distribution for output-space estimators. Parameters may be an
                array.
            evaluations: how many may be spent on each of a batch; the query uses as many of them as make whole units.
            key: source of all randomness. At (B, d) the noise of row b depends on B.
            state: the `state` of the previous estimate, for estimators that keep one.
        Raises:
            TypeError: if `evaluations` is no number.
            ValueError: if it is not whole, or below `minimum(at)`.
        """
        evaluations, at = self._whole(evaluations), as_tensor_at(at)
        plan = self._plan(at)
        units = (evaluations - plan.shared) // plan.per_unit
        if units < plan.least_units:
            raise ValueError(f"{type(self).__name__}: evaluations must be >= {self.minimum(at)}, got {evaluations}")
        if plan.most_units is not None:
            units = min(units, plan.most_units)
        spent = plan.shared + units * plan.per_unit
        if not isinstance(at, Tensor) or at.requires_grad:
            at = at.detach()
        return self._prepared(Query(self, at, units, spent, plan, as_key(key), state, self.kind))

    def tell(self, query: Query, values: object, *, per_unit: bool = False, errors: bool = True) -> Estimate:
        """Turn the answers to a query into an estimate; the noise is drawn again from the query's key.

        Args:
            values: (query.evaluations,), or (query.evaluations, B); `values[block.rows]` answers `block.points`. For a
                query of another kind, what `Query` says, a tuple if it is two things. Tensors, or whatever numpy makes
                arrays of numbers of; they are never narrowed: what is wider than the parameters stays so until it
                has been differenced.
            per_unit: whether to return every unit's contribution too, O(m d) memory.
            errors: also return the standard error.
        Raises:
            TypeError: if values are not numbers, or real where they must be complex or the reverse.
            ValueError: if the query is that of an estimator that is not equal to this one, the shape is another, or a
                value is not finite.
            FloatingPointError: if the gradient at a distribution is not finite, since a score is not.
        """
        if query.estimator is not self and query.estimator != self:
            raise ValueError(f"{type(self).__name__}: query must be one of {self}, got one of {query.estimator}")
        if torch.is_inference_mode_enabled():
            with torch.inference_mode(False):
                return self.tell(replace(query, at=tracked(query.at)), values, per_unit=per_unit, errors=errors)
        shapes = self._answer_shapes(query)
        parts = [self._converted(query, part) for part in (values if isinstance(values, tuple) else (values,))]
        if [tuple(part.shape) for part in parts] != shapes:
            wanted, got = " and ".join(map(str, shapes)), " and ".join(str(tuple(part.shape)) for part in parts)
            raise ValueError(f"{type(self).__name__}: values must be {wanted}, got {got}")
        for part in parts:
            if not torch.isfinite(part).all():
                where = (~torch.isfinite(part)).nonzero()[0].tolist()
                raise ValueError(f"{type(self).__name__}: values must be finite, got {part[tuple(where)]} at {where}")
        if len(parts) == 1:
            answered = ((block, parts[0][block.rows]) for block in query)
        else:
            answered = ((block, (parts[0][block.rows], parts[1][block.rows])) for block in query)
        with torch.no_grad():
            return self._checked(query, self._fold(query, answered, per_unit, errors))

    def _converted(self, query: Query, values: object) -> Tensor:
        """Return told values as a tensor on the parameters' device, in their dtype or a wider one."""
        try:
            y = as_numbers(values).detach()
        except (TypeError, ValueError):  # numpy on a ragged list, torch on text
            raise TypeError(f"{type(self).__name__}: values must be numbers, got {values!r:.80}") from None
        at = query.at if isinstance(query.at, Tensor) else next(iter(query.at.parameters.values()))
        wanted, got = ("complex" if c else "real" for c in (query.kind == "complex", y.is_complex()))
        if wanted != got:
            raise TypeError(
                f"{type(self).__name__}: values must be {wanted} for a {query.kind!r} query, got {got} ones"
            )
        return single_at_least(y.to(at.device, wider(y.dtype, at.dtype)))

    def __call__(
        self,
        cost: Cost,
        at: Any,
        *,
        evaluations: SupportsIndex | float,
        key: Key | int,
        state: Any = None,
        per_unit: bool = False,
        errors: bool = True,
    ) -> Estimate:
        """Estimate the gradient of `cost` at `at` with at most `evaluations` evaluations; see `ask` and `tell`.

        Where the estimator needs a value beside each gradient, and the cost's gradient is a function of its own, a
        point is two evaluations: half as many points are asked, and `Estimate.evaluations` counts both, as the ledger
        does. At an array, the estimate consists of arrays too.

        Raises:
            BudgetExceeded: if the whole query does not fit the cost's budget; nothing is spent then.
        """
        if not isinstance(cost, Cost):
            raise TypeError(f"{type(self).__name__}: cost must be a Cost, got {cost!r}; wrap it: Cost(function)")
        if "relaxed" in self.needs and not cost.relaxed:
            raise TypeError(
                f"{type(self).__name__}: cost must be one between bits or choices too, got one that does not say so; "
                "if it is, declare it: Cost(function, relaxed=True)"
            )
        on = {"evaluations": evaluations, "key": key, "state": state, "per_unit": per_unit, "errors": errors}
        if isinstance(at, np.ndarray):
            return in_arrays(self(cost, as_tensor_at(at), **on))
        if torch.is_inference_mode_enabled():  # in which nothing can be differentiated
            with torch.inference_mode(False):
                return self(cost, tracked(at), **on)
        query = self._query(cost, at, evaluations, key, state)
        if cost.budget is not None:
            cost.reserve(query.kind, query.evaluations * math.prod(self._batch_shape(at)))
        estimate = self._fold(query, self._answers(cost, query), per_unit, errors)  # of detached parameters and costs
        if query.kind == "value_and_gradient":
            estimate.evaluations = cost.price(query.kind, estimate.evaluations)
        return self._checked(query, estimate)

    def backward(
        self,
        cost: Callable[..., Any],
        parameters: Parameters,
        *,
        evaluations: SupportsIndex | float,
        key: Key | int,
        state: Any = None,
        errors: bool = True,
        vectorize: bool = False,
    ) -> Estimate:
        """Estimate the gradient of a cost by torch parameters, and add it to their `.grad`, as `loss.backward()` does.

        Any torch optimiser then steps. Parameters, and a module's buffers, are afterwards as they were, bit for bit,
        also if the cost raises an error. Memory beside what the cost takes: O(d), and a block of points.

        Args:
            cost: a function without arguments that returns a scalar, and uses the parameters where they are; if
                `vectorize`, a function of the module: it is given what is called like it, at other parameters.
            parameters: a module, a tensor, or several, such as `module.parameters()` gives. One that is shared counts
                once; one that requires no gradient is left alone.
            evaluations: most calls of the cost.
            key: source of all randomness.
            state: the `state` of the previous estimate, for estimators that keep one.
            errors: also return the standard error.
            vectorize: evaluate a block of points at once by `torch.vmap`, where module and cost allow it.

        Returns:
            The estimate, whose `gradient` and `standard_error` are dicts by the names of the parameters; of several
            tensors these are "0", "1", …. `evaluations` says how often the cost was called.

        Raises:
            TypeError: the cost returns no scalar, or the estimator asks for what the cost cannot give, or its
                parameters are those of a distribution.
            ValueError: fewer evaluations than the estimator's minimum, or nothing to be differentiated by.

        Example:
            import torch
            from rllab import estimators as est

            net, x = torch.nn.Linear(3, 1), torch.ones(8, 3)
            optimizer = torch.optim.Adam(net.parameters(), lr=0.1)
            for step in range(20):
                optimizer.zero_grad()
                e = est.GaussianSmoothing(0.1).backward(lambda: net(x).abs().mean(), net, evaluations=16, key=step)
                optimizer.step()
        """
        if torch.is_inference_mode_enabled():  # of which `.grad` must not become a tensor
            with torch.inference_mode(False), torch.no_grad():
                arguments = {"evaluations": evaluations, "key": key, "vectorize": vectorize}
                return self.backward(cost, parameters, **arguments, state=state, errors=errors)
        flat = FlatParameters(type(self).__name__, parameters)
        black_box = flat.cost(cost, self.kind, vectorize)
        with flat.kept():
            estimate = self(black_box, flat.vector, evaluations=evaluations, key=key, state=state, errors=errors)
        assert isinstance(estimate.gradient, Tensor)  # it was asked at a vector
        estimate.gradient = flat.split(estimate.gradient)
        if isinstance(estimate.standard_error, Tensor):
            estimate.standard_error = flat.split(estimate.standard_error)
        flat.accumulate(estimate.gradient)
        return estimate

    def price(
        self, cost: Cost, at: Any, evaluations: SupportsIndex | float, key: Key | int, *, state: Any = None
    ) -> int:
        """Return what a call with these arguments adds to the cost's ledger, all rows of a batch together."""
        query = self._query(cost, at, evaluations, key, state)
        return cost.price(query.kind, query.evaluations * math.prod(self._batch_shape(at)))

    def _query(self, cost: Cost, at: Any, evaluations: SupportsIndex | float, key: Key | int, state: Any) -> Query:
        """Return the query whose answers cost at most `evaluations`; see `__call__` for a gradient that is given."""
        if self.kind == "value_and_gradient" and (each := self._each(cost)) > 1:
            evaluations = self._whole(evaluations)
            if evaluations < (least := self.minimum(at, cost)):
                raise ValueError(
                    f"{type(self).__name__}: evaluations must be >= {least}, got {evaluations}: a value beside a given "
                    "gradient is an evaluation of its own"
                )
            evaluations //= each
        query = self.ask(at, evaluations, key, state=state)
        if query.kind == "value_and_gradient" and cost.value_is_extra and "value" not in self.needs:
            return replace(query, kind="gradient")
        return query

    def _each(self, cost: Cost | None) -> int:
        """Return how many evaluations an answer is."""
        return 1 if cost is None or "value" not in self.needs else cost.price(self.kind, 1)

    def _whole(self, evaluations: SupportsIndex | float) -> int:
        who = type(self).__name__
        return evaluations if type(evaluations) is int else as_count(who, "evaluations", evaluations, least=0)

    def _checked(self, query: Query, estimate: Estimate) -> Estimate:
        """Return the estimate, unless its gradient at a distribution is not finite though all costs are."""
        if isinstance(estimate.gradient, dict):
            for name, g in estimate.gradient.items():
                if not math.isfinite(g.sum().item()) and not torch.isfinite(g).all():
                    raise FloatingPointError(
                        f"{type(self).__name__}: the gradient by {name!r} is not finite though all costs are: a "
                        f"score of {type(query.at).__name__} is not, or too large, in {g.dtype}"
                    )
        return estimate

    def _answers(self, cost: Cost, query: Query) -> Iterator[tuple[PointBlock, Any]]:
        if cost.is_elsewhere:
            yield from self._answers_ahead(cost, query)
            return
        for i in range(len(query)):
            block = self._block(query, i)
            y = self._told(query, block, ask(cost, query.kind, *self._asked(cost, query, block)))
            yield block, y
            del block, y  # see `_fold`: one block at a time is alive

    def _answers_ahead(self, cost: Cost, query: Query) -> Iterator[tuple[PointBlock, Any]]:
        """Have AHEAD blocks evaluated while the first of them is waited for."""
        begun: deque[tuple[PointBlock, Callable[[], Answer]]] = deque()
        recipe = self.recipe(query, cost.seeded)
        try:
            for i in range(len(query) + AHEAD):
                if i < len(query):
                    block = self._block(query, i)
                    remade = None if recipe is None else (recipe, i)
                    begun.append((block, cost.begin(query.kind, *self._asked(cost, query, block), remade)))
                if begun and i >= AHEAD - 1:
                    block, wait = begun.popleft()
                    yield block, self._told(query, block, wait())
        finally:
            if begun:
                cost.abandon()

    def _asked(self, cost: Cost, query: Query, block: PointBlock) -> Requested:
        """Return points (n, d), tangents and seeds of a block; those of a batch of B in one, (n B, d)."""
        # a cost may write into its argument
        if self._rereads(query, block):
            block = block._replace(points=block.points.clone())
        return requested(query, block, cost.seeded)

    def _told(self, query: Query, block: PointBlock, y: Answer) -> Any:
        """Return the answer to a block as `_fold` has it: (n,) costs, or (n, B) of a batch, in single at least."""
        if block.points.ndim == 3:
            n, b, _ = block.points.shape
            y = split(y, n, b) if isinstance(y, Tensor) else (split(y[0], n, b), split(y[1], n, b))
        y = single_at_least(y) if isinstance(y, Tensor) else (single_at_least(y[0]), single_at_least(y[1]))
        return y if query.kind == self.kind else (None, y)

    def _answer_shapes(self, query: Query) -> list[tuple[int, ...]]:
        one, vector = (query.evaluations, *self._batch_shape(query.at)), (query.evaluations, *query.at.shape)
        shapes = {"gradient": [vector], "value_and_gradient": [one, vector], "jvp": [one, one]}
        return shapes.get(query.kind, [one])

    @abstractmethod
    def _plan(self, at: Any) -> Plan:
        """Check `at` and say what a unit costs."""

    @abstractmethod
    def _block(self, query: Query, i: int) -> PointBlock:
        """Make block i of a query, from (query, i) alone."""

    @abstractmethod
    def _fold(self, query: Query, answered: Answered, per_unit: bool, errors: bool) -> Estimate:
        """Reduce the answered blocks, which come in order, to an estimate; answers are as `Query` says."""

    def _prepared(self, query: Query) -> Query:
        """Return the query to be answered; a hook, for what depends on its key or must be checked of its state."""
        return query

    def _rereads(self, query: Query, block: PointBlock) -> bool:
        """Whether the fold reads the points of a block again, as what samples or learns does."""
        return not isinstance(query.at, Tensor) or self.stateful

    def recipe(self, query: Query, seeded: bool) -> BlockRecipe | None:
        """Return what makes a query's points elsewhere bit for bit, with seeds if `seeded`; None: send the points."""
        same = self.elementwise and isinstance(query.at, Tensor) and query.at.is_cpu and query.state is None
        return BlockRecipe(query, seeded) if same else None

    def _span(self, query: Query, i: int) -> tuple[int, int]:
        """Return the pieces a..b that block i of a query holds."""
        plan = query.plan
        return i * plan.block, min((i + 1) * plan.block, query.units * plan.pieces)

    def _batch_shape(self, at: Any) -> tuple[int, ...]:
        """Return (), or (B,) for a batch of B."""
        return tuple(at.shape[:-1])

    def _units(self, query: Query, block: PointBlock) -> np.ndarray:
        """Return for each point of a block the unit it belongs to: points of one unit share their seed."""
        return np.arange(block.rows.start, block.rows.stop)
