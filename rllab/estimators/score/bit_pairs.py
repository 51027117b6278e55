"""Pairs of bit vectors made of the same uniform numbers, b = 1[u ≥ σ(−l)] and b̃ = 1[u < σ(l)]: as unlike as can be.

Each is Bernoulli(σ(l)) by itself. Where σ(l) <= ½ they are never 1 together, elsewhere never 0 together. The papers
have u > σ(−l), which differs at one u; with ≥ a bit of probability 1 is 1 for every u in [0, 1).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from rllab.arrays import as_array
from rllab.distributions import Bernoulli
from rllab.distributions.base import uniform
from rllab.estimate import Estimate
from rllab.estimators.moments import Moments
from rllab.estimators.query import Block, Plan, Query
from rllab.estimators.score.samples import check_place, units_per_block


def plan(name: str, at: object) -> Plan:
    """Return the plan of units that are one pair, 2 evaluations."""
    return Plan(per_unit=2, block=units_per_block(check_place(name, at, Bernoulli), points=2))


def draw(query: Query, a: int, b: int, i: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return u, b and b̃, each (b − a, *shape), of block i; u in float64."""
    logits = query.at.logits
    u = uniform((b - a, *logits.shape), query.key.child("sample", i), logits)
    l = logits.double()  # noqa: E741 - the paper's letter
    return u, (u >= torch.sigmoid(-l)).to(logits), (u < torch.sigmoid(l)).to(logits)


def place(a: int, b: int, pair: tuple[Tensor, Tensor], weights: Tensor) -> Block:
    """Make the block of pairs a..b: first all b, then all b̃."""
    return Block(slice(2 * a, 2 * b), torch.cat(pair), weights)


def units(block: Block) -> np.ndarray:
    """Return the pair each point belongs to: the two of a pair share their seed."""
    return np.tile(np.arange(block.rows.start // 2, block.rows.stop // 2), 2)


def fold(query: Query, answered: Iterable[tuple[Block, Tensor]], rows: bool, errors: bool) -> Estimate:
    """Average (f(b) − f(b̃)) · weights over the pairs."""
    moments = Moments(query.units, 1.0, errors=errors, rows=rows)
    total = query.at.logits.new_zeros(query.at.shape[:-1])
    for block, f in answered:
        half = len(f) // 2
        total += f.sum(0)
        moments.add(as_array(f[:half] - f[half:]), as_array(block.noise))
    g, se, contributions = moments.close(query.at.logits)
    return Estimate(
        {"logits": g},
        total / query.evaluations,
        query.evaluations,
        query.estimator.target,
        None if se is None else {"logits": se},
        None if contributions is None else {"logits": contributions},
        query.state,
    )
