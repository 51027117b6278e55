"""Score function: draw outputs, weigh their scores by their costs. Also known as REINFORCE, likelihood ratio."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch

from rllab.arrays import as_array, as_value, column_sum, weights
from rllab.distributions import Distribution
from rllab.distributions.base import Sums, add_into
from rllab.estimate import Estimate, Target
from rllab.estimators.base import Estimator
from rllab.estimators.query import Answered, Plan, PointBlock, Query
from rllab.estimators.score.baselines import (
    NAMES,
    AnyBaseline,
    MovingMean,
    beside,
    best_constants,
    check_baseline,
    factor,
    least_samples,
    moving_mean,
)
from rllab.estimators.score.counts import check_writable, draw_counts, outcomes, repeat_rows
from rllab.estimators.score.samples import check_distribution, units_per_block

_MOST_COUNTED = 1 << 53  # samples; counts up to here are whole numbers in float64


@dataclass(frozen=True)
class ScoreFunction(Estimator):
    """Estimate the gradient of an expected cost with respect to the parameters of what the outputs are drawn from.

        ĝ = 1/K Σ_k (f(x_k) − b_k) ∇_φ log p_φ(x_k),    x_k ~ p_φ                      K evaluations

    Unbiased for ∇_φ E f(x) whatever f is (jumps included), if b_k does not depend on x_k. With a Gaussian mean and a
    linear f, G = ‖∇f‖², the trace of its covariance is (d f(μ)²/s² + (d+1)G)/K without a baseline and (d+1)G/(K−1) with
    leave-one-out, whatever constant is added to f.

    Args:
        baseline: None; a number; "moving", the mean cost of earlier estimates, kept in `state` (0 at the first);
            "mean" of the batch (**biased**: the mean of the estimate is (1 − 1/K) ∇E f); "leave-one-out"; or
            "optimal", that of least variance for each parameter, estimated by either half of the batch for the other.
        decay: of the moving baseline, in [0, 1): what an estimate weighs less than its successor.
        counts: draw how often each of finitely many outcomes occurs instead of one outcome after the other. Only those
            that occur are evaluated, once (under one seed, if the cost is seeded), and are all that is charged: at most
            `support_size` and K, with O(support_size) work, for any K. In a batch each is evaluated at outcomes of its
            own, and charged as many as the one for which most occur.

    Returns:
        At a `Distribution`, an Estimate of ∇E f by parameter name; its `value` is the mean cost. The standard error
        treats samples as independent; under a baseline made of the batch they are not quite, and it is low for few
        samples. On a linear cost of one Gaussian output its root mean square is √(1 − 1/(2(K − 1))) of the true
        deviation with "mean" or "leave-one-out": 0.71, 0.87, 0.91 and 0.97 at K = 2, 3, 4 and 10; with "optimal" it is
        0.71, 0.79, 0.81 and 0.87.

    Raises:
        TypeError, ValueError: `baseline` is unknown, or is "optimal" beside `counts`; or `decay` is not in [0, 1).

    Source:
        Williams (1992), "Simple statistical gradient-following algorithms", theorem 1; Mohamed, Rosca, Figurnov & Mnih
        (2020), "Monte Carlo gradient estimation in machine learning", eqs. 13 and 15; baselines: see `baselines`.

    Example:
        import torch
        from rllab import Bernoulli, Cost, estimators as est

        cost = Cost(lambda x: x.sum(-1).square())
        e = est.ScoreFunction()(cost, Bernoulli(torch.zeros(3)), evaluations=100, key=0)
        e.gradient  # by logits, about 0.75, 0.75, 0.75
    """

    source: ClassVar[str] = "Williams (1992), Simple statistical gradient-following algorithms"
    target: ClassVar[Target] = Target.expectation()
    baseline: AnyBaseline = "leave-one-out"
    decay: float = 0.9
    counts: bool = False

    def __post_init__(self) -> None:
        check_baseline("ScoreFunction", self.baseline, (*NAMES, "moving", "optimal"))
        if not isinstance(self.decay, (int, float)) or not 0 <= self.decay < 1:
            raise ValueError(f"ScoreFunction: decay must be a number in [0, 1), got {self.decay!r}")
        if self.counts and self.baseline == "optimal":
            raise ValueError("ScoreFunction: with counts, baseline must not be 'optimal', which tells samples apart")

    @property
    def unbiased(self) -> bool:
        return self.baseline != "mean"

    @property
    def stateful(self) -> bool:
        return self.baseline == "moving"

    def _plan(self, at: Any) -> Plan:
        block = units_per_block(check_distribution("ScoreFunction", at, Distribution), 1)
        least = least_samples(self.baseline)
        if not self.counts:
            return Plan(1, block, least_units=least)
        return Plan(1, block, least_units=least, most_units=_MOST_COUNTED, pieces=outcomes("ScoreFunction", at))

    def _prepared(self, query: Query) -> Query:
        at = query.at
        if self.baseline == "moving":
            moving_mean(query.state, self._batch_shape(at), "ScoreFunction")
        if not self.counts:
            return query
        check_writable("ScoreFunction", at)
        x, _ = draw_counts(at, query.units, query.key.child("outcomes"))
        # K units of as many pieces as there are outcomes; a block holds all units of some outcomes
        plan = query.plan._replace(pieces=len(x), block=query.units * query.plan.block)
        return replace(query, evaluations=len(x), plan=plan)

    def _block(self, query: Query, i: int) -> PointBlock:
        if self.counts:
            size = query.plan.block // query.units
            rows = slice(i * size, min((i + 1) * size, query.evaluations))
            x, n = draw_counts(query.at, query.units, query.key.child("outcomes"))
            return PointBlock(rows, x[rows], n[rows])
        a, b = self._span(query, i)
        x, noise = query.at.draw(b - a, query.key.child("sample", i))
        return PointBlock(slice(a, b), x, noise)

    def _rereads(self, query: Query, block: PointBlock) -> bool:
        return block.noise is None or isinstance(block.noise, dict) or self.counts  # scores come of noise if they can

    def _fold(self, query: Query, answered: Answered, per_unit: bool, errors: bool) -> Estimate:
        # One pass over the blocks, though the baseline is known only at its end: with w = a (f − o)/K, a of `factor`,
        #   Σ (w − c) s = Σ w s − c Σ s      and      Σ (w − c)² s² = Σ w² s² − 2c Σ w s² + c² Σ s².
        # The offset o is the first block's mean, so that a large constant in f never meets the sums. Where there is no
        # other block c is 0; so it is where the baseline is known before.
        at, k, halves = query.at, query.units, self.baseline == "optimal"
        like = as_array(next(iter(at.parameters.values())))
        scale, in_batch = factor(self.baseline, k) / k, least_samples(self.baseline) > 1
        centred = not halves and (not in_batch or len(query) == 1)
        before = moving_mean(query.state, self._batch_shape(at), "ScoreFunction") if self.baseline == "moving" else None
        offset: Any = 0.0 if isinstance(self.baseline, str) else self.baseline or 0.0
        if before is not None:
            offset = as_array(before.baseline)
        known = centred and in_batch  # the offset is the mean itself
        total: Any = None
        first, second = Sums(), Sums()
        kept: list[tuple[np.ndarray, PointBlock]] = []
        for i, (block, values) in enumerate(answered):
            x, noise, n = block.points, block.noise, None
            if self.counts:
                noise, n = None, as_array(block.noise)
            f = as_array(values)
            if in_batch and i == 0:
                offset = column_sum(f) / len(f) if n is None else column_sum(n * f) / np.maximum(column_sum(n), 1)
            w = weights((f - offset) * scale, like)  # the difference in the precision that costs came in
            if not known:
                sum_w = column_sum(w if n is None else n * w)
                total = sum_w if total is None else total + sum_w
            mask = n
            if halves:
                half = _half(block, w)
                mask = np.stack((1 - half, half))
            once = _masked(_powers(w, 1, centred), mask)
            twice = _masked(_powers(w, 2, centred) * (k / max(1, k - 1)), mask) if errors or halves else None
            sums, squares = at.score_sums(once, twice, x, noise)
            add_into(first, sums)
            add_into(second, squares)
            if per_unit:
                kept.append((w, block))
            del block, x, noise, values  # before the next block is drawn: its buffers are then still in cache
        centres = Sums()
        if halves:  # each half is given what the other found
            centres.update({name: best_constants(ws2, s2)[::-1] for name, (s2, ws2, _) in second.items()})
        elif not centred:
            centres.update({name: beside(total / k, sums[0]) for name, sums in first.items()})
        g, se = Sums(), Sums()
        for name, sums in first.items():
            about = _about(centres.get(name), sums)
            g[name] = about.sum(0) if halves else about
            if errors and k > 1:
                # (K Σ (w − c)² s² − ĝ²)/(K − 1)
                square = _about_squared(centres.get(name), second[name])
                square = square.sum(0) if halves else square
                se[name] = np.sqrt(np.maximum(square - g[name] * g[name] * (1 / (k - 1)), 0.0))
        value = offset if total is None else total / (scale * k) + offset
        value, state = as_value(value, next(iter(at.parameters.values()))), query.state
        if self.baseline == "moving":
            state = (before or MovingMean(torch.zeros_like(value), 0.0)).after(value, self.decay)
        g, se = at.as_tensors(g), at.as_tensors(se) if se else None
        contributions = at.as_tensors(self._per_unit(at, kept, centres, k)) if per_unit else None
        return Estimate(g, value, query.evaluations, self.target, se, contributions, state)

    def _per_unit(self, at: Distribution, kept: list[tuple[np.ndarray, PointBlock]], centres: Sums, k: int) -> Sums:
        found: dict[str, list[np.ndarray]] = {}
        for w, block in kept:
            for name, scores in at.scores(block.points, None if self.counts else block.noise).items():
                s, c = as_array(scores), centres.get(name, np.zeros(()))
                if self.baseline == "optimal":
                    c = np.where(beside(_half(block, w), s) > 0, c[1], c[0])
                found.setdefault(name, []).append(k * (beside(w, s) - c) * s)
        together = {name: np.concatenate(parts) for name, parts in found.items()}
        if not self.counts:
            return together
        n = np.concatenate([as_array(block.noise) for _, block in kept])
        return {name: repeat_rows(r, n) for name, r in together.items()}


def _powers(w: np.ndarray, highest: int, alone: bool) -> np.ndarray:
    """Return w to the power `highest`, (1, …); or all powers from 0 on."""
    if alone:
        return (w if highest == 1 else w * w)[None]
    return np.stack((np.ones_like(w), w) if highest == 1 else (np.ones_like(w), w, w * w))


def _masked(weights: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """Return weightings (m, …) times how often each sample was drawn (…), or in each half of the batch, (m, 2, …)."""
    if mask is None:
        return weights
    return weights * mask if mask.ndim < weights.ndim else weights[:, None] * mask


def _about(c: np.ndarray | None, sums: np.ndarray) -> np.ndarray:
    """Return Σ (w − c) s of Σ s and Σ w s, or of Σ w s alone for c = 0."""
    if c is None:
        return sums[0]
    s, ws = sums
    return ws - c * s


def _about_squared(c: np.ndarray | None, sums: np.ndarray) -> np.ndarray:
    """Return Σ (w − c)² s² of Σ s², Σ w s² and Σ w² s², or of the last alone for c = 0."""
    if c is None:
        return sums[0]
    s2, ws2, w2s2 = sums
    return w2s2 - 2 * c * ws2 + c * c * s2


def _half(block: PointBlock, w: np.ndarray) -> np.ndarray:
    """Return in which half of the batch each sample is, 0 or 1 by turns, shaped like w."""
    parity = np.arange(block.rows.start, block.rows.stop) % 2
    return np.broadcast_to(parity.astype(w.dtype).reshape(-1, *[1] * (w.ndim - 1)), w.shape)
