"""Score function: draw outputs, weigh their scores by their costs. Also known as REINFORCE, likelihood ratio.

    ĝ = 1/K Σ_k (f(x_k) − b_k) ∇_φ log p_φ(x_k),    x_k ~ p_φ                      K evaluations

Unbiased for ∇_φ E f(x) whatever f is (jumps included), if b_k does not depend on x_k. With a Gaussian mean and a linear
f, G = ‖∇f‖², the trace of its covariance is (d f(μ)²/s² + (d+1)G)/K without a baseline and (d+1)G/(K−1) with
leave-one-out, whatever constant is added to f.

Sources: Williams (1992), "Simple statistical gradient-following algorithms", theorem 1; Mohamed, Rosca, Figurnov & Mnih
(2020), "Monte Carlo gradient estimation in machine learning", eqs. 13 and 15; baselines: see `baselines`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from rllab.distributions import Distribution
from rllab.distributions.base import add_into
from rllab.estimate import Block, Estimate, Query, Target
from rllab.estimators.base import BLOCK, Estimator, Plan
from rllab.estimators.baselines import Baseline, centre_and_factor, check_baseline, least_samples

Sums = dict[str, Tensor]


@dataclass(frozen=True)
class ScoreFunction(Estimator):
    """Estimate the gradient of an expected cost with respect to the parameters of what the outputs are drawn from.

    Args:
        baseline: None, a number, "mean" of the batch (**biased**: the mean of the estimate is (1 − 1/K) ∇E f) or
            "leave-one-out".

    Returns, when called at a `Distribution`, an Estimate of ∇E f by parameter name; its `value` is the mean cost. The
    standard error treats samples as independent; under a baseline made of the batch they are not quite, and it is low
    for few samples.
    """

    source: ClassVar[str] = "Williams (1992), Simple statistical gradient-following algorithms"
    baseline: Baseline = "leave-one-out"

    def __post_init__(self) -> None:
        check_baseline("ScoreFunction", self.baseline)

    @property
    def target(self) -> Target:
        return Target.expectation()

    @property
    def unbiased(self) -> bool:
        return self.baseline != "mean"

    def _problems(self, at: Distribution) -> tuple[int, ...]:
        return at.shape[:-1]

    def _plan(self, at: Any) -> Plan:
        if not isinstance(at, Distribution):
            raise TypeError(f"ScoreFunction: at must be a Distribution, got {type(at).__name__}")
        return Plan(per_unit=1, block=_block_size(at), least_units=least_samples(self.baseline))

    def _block(self, query: Query, i: int) -> Block:
        size = _block_size(query.at)
        a, b = i * size, min((i + 1) * size, query.units)
        x, noise = query.at.draw(b - a, query.key.child("sample", i))
        return Block(slice(a, b), x, noise)

    def _fold(self, query: Query, answered: Iterable[tuple[Block, Tensor]], rows: bool, errors: bool) -> Estimate:
        # One pass over the blocks, though b̄ is known only at its end: with w = f − o for a fixed offset o,
        #   Σ (w − c) s = Σ w s − c Σ s      and      Σ (w − c)² s² = Σ w² s² − 2c Σ w s² + c² Σ s².
        # The offset is the first block's mean, so that a large constant in f never meets the sums.
        at, k = query.at, query.units
        in_batch = least_samples(self.baseline) > 1
        offset: Tensor | float = 0.0 if in_batch else float(self.baseline or 0.0)  # type: ignore[arg-type]
        total: Tensor | float = 0.0
        ws, s, w2s2, ws2, s2 = Sums(), Sums(), Sums(), Sums(), Sums()
        kept: list[tuple[Tensor, Block]] = []
        for i, (block, f) in enumerate(answered):
            x, noise = block.points, block.noise
            if in_batch and i == 0:
                offset = f.mean(0)
            w = f - offset
            total = total + w.sum(0)
            add_into(ws, at.score_sum(w, x, noise))
            if in_batch:
                add_into(s, at.score_sum(torch.ones_like(w), x, noise))
            if errors:
                add_into(w2s2, at.score_square_sum(w * w, x, noise))
                if in_batch:
                    add_into(ws2, at.score_square_sum(w, x, noise))
                    add_into(s2, at.score_square_sum(torch.ones_like(w), x, noise))
            if rows:
                kept.append((w, block))
            del block, x, noise  # before the next block is drawn: its buffers are then still in cache
        mean = torch.as_tensor(total / k)
        c, factor = centre_and_factor(self.baseline, mean, k) if in_batch else (0.0, 1.0)
        c = torch.as_tensor(c)
        g = {n: factor / k * (v - _beside(c, v) * s[n] if in_batch else v) for n, v in ws.items()}
        se = None
        if errors and k > 1:
            square = w2s2
            if in_batch:
                square = {n: v - 2 * _beside(c, v) * ws2[n] + _beside(c, v).square() * s2[n] for n, v in w2s2.items()}
            se = {n: ((factor * factor / k * v - g[n] ** 2).clamp_min(0) / (k - 1)).sqrt() for n, v in square.items()}
        contributions = _rows(at, kept, c, factor) if rows else None
        return Estimate(g, mean + offset, query.evaluations, self.target, se, contributions, query.state)


def _block_size(at: Distribution) -> int:
    return max(1, BLOCK // math.prod(at.shape))


def _beside(w: Tensor, scores: Tensor) -> Tensor:
    """Return weights with the trailing dimensions of a parameter added, so that they multiply its scores."""
    return w.view(*w.shape, *[1] * (scores.ndim - w.ndim))


def _rows(at: Distribution, kept: list[tuple[Tensor, Block]], c: Tensor, factor: float) -> Sums:
    parts = [
        {n: factor * _beside(w - c, score) * score for n, score in at.scores(block.points, block.noise).items()}
        for w, block in kept
    ]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
