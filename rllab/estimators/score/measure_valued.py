"""Measure-valued gradient: costs at samples of the two distributions whose difference is a parameter's derivative."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from rllab.distributions import Product
from rllab.estimate import Estimate, Target
from rllab.estimators.base import Estimator
from rllab.estimators.query import Answered, Plan, PointBlock, Query
from rllab.estimators.score.samples import Contributions, check_distribution, fold_contributions, units_per_block
from rllab.estimators.score.weak_derivatives import FAMILIES, decompose


@dataclass(frozen=True)
class MeasureValued(Estimator):
    """Estimate the gradient of an expected cost, one parameter at a time.

        ĝ_i = c_i/K Σ_k (f(x⁺_ik) − f(x⁻_ik))                     2 K P evaluations for P parameters

    Unbiased for ∇_φ E f whatever f is, and a constant in f falls out of every sample. The two points are made of the
    same random numbers, see `weak_derivatives`. For a Gaussian in one dimension and f = (x − k)², a = μ − k, variances
    are (8a²/π)(2 − π/2)/K by the mean and (4a² + 4s²)/K by the scale. That is little a sample; but a sample costs 2P
    evaluations where the score function's costs one.

    Returns:
        At a `Gaussian`, `Bernoulli`, `Categorical` or `Poisson`, or a `Product` of these, an Estimate of ∇E f by
        parameter name, unbiased. It has no `value`: its points are not samples of the distribution. A unit is 2
        evaluations for each of the P parameters (2d for a Gaussian in d dimensions, 4d evaluations), which share their
        seed if the cost is seeded (noisy), and 2Pd numbers in memory.

    Source:
        Pflug (1989), "Sampling derivatives of probabilities"; Mohamed, Rosca, Figurnov & Mnih (2020), "Monte Carlo
        gradient estimation in machine learning", section 6.

    Example:
        import torch
        from rllab import Bernoulli, Cost, estimators as est

        cost = Cost(lambda x: x.sum(-1).square())
        e = est.MeasureValued()(cost, Bernoulli(torch.zeros(3)), evaluations=100, key=0)
        e.gradient  # by logits, about 0.75, 0.75, 0.75
    """

    source: ClassVar[str] = (
        "Pflug (1989), Sampling derivatives of probabilities; "
        "Mohamed, Rosca, Figurnov & Mnih (2020), Monte Carlo gradient estimation in machine learning"
    )
    target: ClassVar[Target] = Target.expectation()
    unbiased: ClassVar[bool] = True

    def _plan(self, at: Any) -> Plan:
        _check_blocks(at)
        batch = at.shape[0] if len(at.shape) == 2 else 1
        points = 2 * sum(value.numel() for value in at.parameters.values()) // batch
        return Plan(per_unit=points, block=units_per_block(at, points))

    def _block(self, query: Query, i: int) -> PointBlock:
        a, b = self._span(query, i)
        weak = decompose(query.at, b - a, query.key.child("sample", i))
        points = torch.cat([t for one in weak.values() for t in (one.plus, one.minus)], 1)  # (k, 2P, *shape)
        n = query.plan.per_unit
        return PointBlock(slice(a * n, b * n), points.flatten(0, 1), {name: one.constant for name, one in weak.items()})

    def _units(self, query: Query, block: PointBlock) -> np.ndarray:
        return np.arange(block.rows.start, block.rows.stop) // query.plan.per_unit

    def _fold(self, query: Query, answered: Answered, per_unit: bool, errors: bool) -> Estimate:
        batch = self._batch_shape(query.at)

        def contributions() -> Iterator[tuple[Contributions, None]]:
            for block, f in answered:
                f, parts, start = f.view(-1, query.plan.per_unit, *batch), {}, 0
                for name, c in block.noise.items():
                    size = c[0].numel() if batch else c.numel()
                    plus, minus = f[:, start : start + size], f[:, start + size : start + 2 * size]
                    # c_i (f(x⁺_i) − f(x⁻_i)), the batch before parameters
                    parts[name] = c * (plus - minus).movedim(1, -1).reshape(-1, *c.shape)
                    start += 2 * size
                yield parts, None

        return fold_contributions(query, contributions(), per_unit, errors)


def _check_blocks(at: object) -> None:
    """Let a distribution pass that is of a known family, and so are its blocks, if it has any."""
    known = check_distribution("MeasureValued", at, *FAMILIES)
    for block in known.blocks.values() if isinstance(known, Product) else ():
        _check_blocks(block)
