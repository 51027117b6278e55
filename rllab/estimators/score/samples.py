"""What estimators at a distribution share: checking it, and averaging contributions by parameter name."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch
from torch import Tensor

from rllab.arrays import as_array
from rllab.cost import Request
from rllab.distributions import Distribution
from rllab.estimate import Estimate, Target
from rllab.estimators.base import BLOCK, Estimator
from rllab.estimators.moments import Moments
from rllab.estimators.query import Answered, PointBlock, Query

Contributions = dict[str, Tensor]  # by parameter name, (units, *shape of the parameter)
D = TypeVar("D", bound=Distribution)


def check_distribution(name: str, at: object, *kinds: type[D]) -> D:
    """Return `at` if it is a distribution of one of the kinds; raise a TypeError that says so if not."""
    if not isinstance(at, kinds):
        wanted = " or ".join(kind.__name__ for kind in kinds)
        raise TypeError(f"{name}: at must be a {wanted}, got {type(at).__name__}")
    return at


def units_per_block(at: Distribution, points: int) -> int:
    """Return how many units of some points each make a block."""
    return max(1, BLOCK // (points * math.prod(at.shape)))


def fold_contributions(
    query: Query,
    answered: Iterable[tuple[Contributions, Tensor | None]],
    per_unit: bool,
    errors: bool,
) -> Estimate:
    """Average the contributions of independent units.

    Args:
        answered: for each block its units' contributions, which are overwritten, and the costs at its points, (n,) or
            (n, B); None where they are not costs of samples.
    """
    by_name: dict[str, Moments] = {}
    total: Tensor | None = None
    count = 0
    for contributions, f in answered:
        for name, r in contributions.items():
            if name not in by_name:
                by_name[name] = Moments(query.units, 1.0, errors=errors, per_unit=per_unit)
            u = as_array(r).reshape(len(r), -1)
            by_name[name].add(np.ones(len(u), u.dtype), u)
        if f is not None:
            total, count = f.sum(0) if total is None else total + f.sum(0), count + len(f)
    like = query.at.parameters
    closed = {name: moments.close(like[name]) for name, moments in by_name.items()}

    def part(i: int) -> Any:
        found = {name: (like[name].shape, three[i]) for name, three in closed.items()}
        return {n: v.view((*v.shape[:-1], *shape)) for n, (shape, v) in found.items() if v is not None} or None

    value = None if total is None else torch.as_tensor(total / count)
    target, state, kind = query.estimator.target, query.state, query.kind
    return Estimate(part(0), value, query.evaluations, target, part(1), part(2), state, kind=kind)


class SlopesAtSamples(Estimator):
    """Average what samples contribute by the slopes of the cost there; each subclass adds its points, and how they do.

    ĝ = 1/K Σ_k g(x_k, ∇f(x_k))                                                     K gradient evaluations
    """

    kind: ClassVar[Request] = "value_and_gradient"
    needs: ClassVar[frozenset[str]] = frozenset({"gradient"})
    target: ClassVar[Target] = Target.expectation()
    unbiased: ClassVar[bool] = True

    @abstractmethod
    def _contributions(self, query: Query, block: PointBlock, slopes: Tensor) -> Contributions:
        """Return what the samples of a block contribute, given ∇f at them, shaped like the points."""

    def _fold(self, query: Query, answered: Answered, per_unit: bool, errors: bool) -> Estimate:
        contributed = ((self._contributions(query, block, slopes), f) for block, (f, slopes) in answered)
        return fold_contributions(query, contributed, per_unit, errors)
