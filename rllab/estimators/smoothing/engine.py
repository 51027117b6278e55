"""Smoothing: what all estimators from values along random directions share; each adds its law of directions."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from rllab.arrays import as_array, as_value, column_sum, weights
from rllab.checks import check_parameters
from rllab.estimate import Estimate
from rllab.estimators.base import Estimator
from rllab.estimators.moments import GroupedMoments, Moments
from rllab.estimators.query import Answered, Plan, PointBlock, Query
from rllab.estimators.smoothing import probes


class Design(NamedTuple):
    """What tells one smoothing estimator from another, beside how it draws directions.

    Args:
        argument: the name of the hyperparameter that is the radius, for error messages.
        radius: h; probes lie at θ ± h u.
        form: of the differences, see `Smoothing`.
        factor: s, with E u uᵀ = I/s, times whatever else scales the estimate.
        group: how many directions in succession depend on each other; None if all are independent.
        block: how many directions a block holds; None for as many as fit.
        signs: whether directions consist of ±1.
        of_kernel: whether probes are drawn from the target's kernel: their mean then estimates the smoothed cost.
    """

    argument: str
    radius: float
    form: probes.Form = "antithetic"
    factor: float = 1.0
    group: int | None = None
    block: int | None = None
    signs: bool = False
    of_kernel: bool = True


class Smoothing(Estimator):
    """Estimate a gradient from costs along random directions u_i of any law in which u and −u are equally likely.

        antithetic   ĝ = s/(2hm) Σ_i (f(θ + h u_i) − f(θ − h u_i)) u_i        2m evaluations
        forward      ĝ = s/(hm)  Σ_i (f(θ + h u_i) − f(θ)) u_i                m + 1
        one-point    ĝ = s/(hm)  Σ_i  f(θ + h u_i) u_i                        m

    All three have the same mean. Subclasses are final: they say how they probe, and draw the directions.
    """

    @abstractmethod
    def _design(self, at: Tensor) -> Design:
        """Return how parameters of such a shape are probed."""

    @abstractmethod
    def _directions(self, query: Query, i: int, first: int, shape: tuple[int, ...]) -> Tensor:
        """Draw the directions of block i, shape (n, d) or (n, B, d), of which `first` is the number of the first."""

    def _plan(self, at: Any) -> Plan:
        at = check_parameters(type(self).__name__, at)
        design = self._design(at)
        return probes.plan(design.form, at, design.block)

    def _block(self, query: Query, i: int) -> PointBlock:
        a, b = self._span(query, i)
        design, at = self._design(query.at), query.at
        return probes.block_along(design.form, at, design.radius, self._directions(query, i, a, (b - a, *at.shape)), a)

    def _units(self, query: Query, block: PointBlock) -> np.ndarray:
        return probes.units(self._design(query.at).form, block)

    def _fold(self, query: Query, answered: Answered, per_unit: bool, errors: bool) -> Estimate:
        design, at = self._design(query.at), query.at
        form, moments = design.form, _moments(design, query.units, per_unit, errors)
        total, centre = 0.0, None
        for block, values in answered:
            f, u = as_array(values), as_array(block.noise)
            if form == "antithetic":
                n = len(f) // 2
                w = f[:n] - f[n:]
            elif form == "forward":
                if centre is None:
                    centre, f = f[0], f[1:]
                w = f - centre
            else:
                w = f
            # most blocks are done with at the first look: a difference, or values that differ between directions
            if form != "one-point" and (w.ndim > 1 or (not w[0] and f[0] == f[len(w) - 1])):
                _check_moved(type(self).__name__, design, at, w, u)
            moments.add(weights(w, u), u)
            total = total + column_sum(f)
            del block, values, u  # before the next block is drawn: its buffers are then still in cache
        g, se, contributions = moments.close(at)
        value = as_value(total / (probes.PROBES[form] * query.units), at) if design.of_kernel else None
        return Estimate(g, value, query.evaluations, self.target, se, contributions, query.state)


def _moments(design: Design, m: int, per_unit: bool, errors: bool) -> Moments | GroupedMoments:
    """Return what averages the m directions: s/2h times the difference of two opposite points, else s/h."""
    scale = design.factor * (1 / (probes.PROBES[design.form] * design.radius))
    if design.group is not None:
        return GroupedMoments(m, scale, design.group, errors=errors, per_unit=per_unit)
    return Moments(m, scale, errors=errors, per_unit=per_unit, signs=design.signs)


def _check_moved(name: str, design: Design, at: Tensor, w: np.ndarray, u: np.ndarray) -> None:
    """Raise a ValueError if all differences at one of `at` are zero because its probes were rounded to where it is."""
    d = at.shape[-1]
    if w.ndim == 1:
        # some coordinate moves by radius ‖u_0‖/√d or more, and none is larger than ‖θ‖
        theta, first = as_array(at), u[0]
        moved, size = design.radius**2 * first.dot(first), d * theta.dot(theta)
        if moved > torch.finfo(at.dtype).eps ** 2 * size:
            return
    still = ~w.any(0).reshape(-1)
    if still.any():
        furthest = torch.from_numpy(np.abs(u.reshape(len(u), -1, d)[:, still]).max((0, 2)))
        where = at.cpu().reshape(-1, d)[torch.from_numpy(still)]
        probes.check_not_lost(name, design.argument, design.radius, where, furthest)
