"""Asking: what an estimator does with parameters before it asks a cost, and with answers after it: shapes and kinds."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from rllab.cost import Cost, Request
from rllab.estimate import Estimate
from rllab.estimators.query import PointBlock, Query

Requested = tuple[Tensor, Tensor | None, Tensor | None]  # points (n, d), tangents and seeds
Answer = Tensor | tuple[Tensor, Tensor]  # what a block's points are answered by, see Query


class BlockRecipe:
    """Make what is asked in a block of a query: that is pure in (query, block), so it may be made anywhere.

    Args:
        query: pickles to its key and parameters, not to vectors of noise.
        seeded: whether the cost takes seeds.
    """

    def __init__(self, query: Query, seeded: bool):
        self.query, self.seeded = query, seeded
        self._made: tuple[int, Requested | None] = -1, None  # the last block, of which more rows are asked for

    def __call__(self, block: int, start: int, stop: int) -> tuple[Tensor | None, ...]:
        """Return rows start..stop of points, tangents and seeds, of the caller's own."""
        held, made = self._made  # in one, since threads share it
        if held != block or made is None:
            made = requested(self.query, self.query[block], self.seeded)
            self._made = block, made
        return tuple(None if x is None else x[start:stop].clone() for x in made)

    def __reduce__(self) -> tuple[type[BlockRecipe], tuple[Query, bool]]:  # without the block
        return BlockRecipe, (self.query, self.seeded)


def requested(query: Query, block: PointBlock, seeded: bool) -> Requested:
    """Return points (n, d), tangents and seeds of a block; those of a batch of B in one, (n B, d)."""
    points, seeds = block.points, query.seeds(block) if seeded else None
    if points.ndim == 2:
        return points, block.tangents, seeds
    n, b, d = points.shape
    v = None if block.tangents is None else block.tangents.reshape(n * b, d)
    return points.reshape(n * b, d), v, None if seeds is None else seeds.reshape(-1)


def ask(cost: Cost, kind: Request, points: Tensor, tangents: Tensor | None, seeds: Tensor | None) -> Answer:
    """Return the answer of a cost, here and now, to a request of some kind."""
    if kind == "value":
        return cost(points, seeds)
    if kind == "jvp":
        assert tangents is not None  # a "jvp" block holds them
        return cost.jvp(points, tangents, seeds)
    return getattr(cost, kind)(points, seeds)


def tracked(at: Any) -> Any:
    """Return parameters that autograd can follow, which a tensor of inference mode is not."""
    if isinstance(at, Tensor):
        return at.clone() if at.is_inference() else at
    return at.replace(**{name: value.clone() for name, value in at.parameters.items()})


def split(y: Tensor, n: int, b: int) -> Tensor:
    """Return answers (n B, …) of a batch of B as (n, B, …)."""
    return y.view(n, b, *y.shape[1:])


def as_tensor_at(at: Any) -> Any:
    """Return parameters that came as an array as a tensor of their own; anything else as it is."""
    return torch.from_numpy(at.copy()) if isinstance(at, np.ndarray) else at


def in_arrays(estimate: Estimate) -> Estimate:
    """Return an estimate at an array: its gradient, and what is shaped like that, as arrays, its value as one too."""
    for name in ("gradient", "value", "standard_error", "per_unit"):
        part = getattr(estimate, name)
        if isinstance(part, Tensor):
            setattr(estimate, name, part.numpy(force=True))
    return estimate
