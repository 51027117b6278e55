"""Importance-weighted score function: the gradient at one distribution from samples of another, q.

    ĝ = 1/K Σ_k ρ_k (f(x_k) − b) ∇_φ log p_φ(x_k),    x_k ~ q,  ρ = p_φ/q                  K evaluations

Unbiased for ∇_φ E_p f if q covers p. Its second moment is E_q[ρ² …], which grows exponentially with the dimension: for
normal laws of equal scale s whose means are δ apart, E_q ρ² = exp(‖δ‖²/s²). How many samples the K are worth is told by

    ESS = (Σ_k ρ_k)² / Σ_k ρ_k²                              between 1 and K

Two remedies pay with bias: cutting off ρ at a largest value, and dividing by Σ ρ in place of K, biased by O(1/K).

Sources: Owen (2013), "Monte Carlo theory, methods and examples", chapter 9; Ionides (2008), "Truncated importance
sampling"; Kong, Liu & Wong (1994), "Sequential imputations and Bayesian missing data problems" (the ESS).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from torch import Tensor

from rllab.arrays import as_array, as_tensor
from rllab.distributions import Distribution
from rllab.distributions.base import Sums, add_into
from rllab.estimate import Block, Estimate, Query, Target
from rllab.estimators.base import Estimator, Plan
from rllab.estimators.baselines import beside, check_baseline
from rllab.estimators.samples import check_place, units_per_block

Proposal = Distribution | Callable[[Any], Distribution]


class Weights(NamedTuple):
    """What the ratios of an estimate were like, () or (B,): how many samples they are worth, and the largest ratio."""

    effective_samples: Tensor
    largest: Tensor


@dataclass(frozen=True)
class ImportanceWeighted(Estimator):
    """Estimate the gradient of an expected cost from samples of another distribution.

    Args:
        proposal: q: a distribution of samples of the same shape, or a function that makes one of the distribution that
            is asked about; None for that distribution itself. It must give probability to all that p does.
        baseline: a number subtracted from the cost; None for 0.
        clip: largest ratio, to which larger ones are cut (**biased**); None for no limit.
        normalise: whether to divide by the sum of the ratios (**biased**, by O(1/K), but unmoved if q is known only up
            to a factor).

    Returns, when called at a `Distribution`, an Estimate of ∇E f by parameter name; its `value` estimates E_p f with
    the same ratios, and its `state` is a `Weights`, with the effective sample size. The standard error of a normalised
    estimate is that of the delta method; any standard error is unreliable where the effective samples are few, and may
    then be far too low, since the largest ratios have not been seen.
    """

    source: ClassVar[str] = "Owen (2013), Monte Carlo theory, methods and examples, chapter 9"
    proposal: Proposal | None = None
    baseline: float | None = None
    clip: float | None = None
    normalise: bool = False

    def __post_init__(self) -> None:
        check_baseline("ImportanceWeighted", self.baseline, ())
        if self.proposal is not None and not isinstance(self.proposal, Distribution) and not callable(self.proposal):
            raise TypeError(
                "ImportanceWeighted: proposal must be a Distribution, a function that makes one, or None, got "
                f"{type(self.proposal).__name__}"
            )
        if self.clip is not None and not self.clip > 0:
            raise ValueError(f"ImportanceWeighted: clip must be positive or None, got {self.clip}")

    @property
    def target(self) -> Target:
        return Target.expectation()

    @property
    def unbiased(self) -> bool:
        return self.clip is None and not self.normalise

    def _problems(self, at: Distribution) -> tuple[int, ...]:
        return at.shape[:-1]

    def _plan(self, at: Any) -> Plan:
        at = check_place("ImportanceWeighted", at, Distribution)
        self._proposal(at)
        return Plan(per_unit=1, block=units_per_block(at, 1))

    def _proposal(self, at: Distribution) -> Distribution:
        q = at if self.proposal is None else self.proposal
        q = q if isinstance(q, Distribution) else q(at)
        if not isinstance(q, Distribution) or q.shape != at.shape:
            got = f"one of {q.shape}" if isinstance(q, Distribution) else type(q).__name__
            raise ValueError(f"ImportanceWeighted: proposal must be a distribution of samples {at.shape}, got {got}")
        return q

    def _block(self, query: Query, i: int) -> Block:
        a, b = self._span(query, i)
        q = self._proposal(query.at).detach()
        x, _ = q.draw(b - a, query.key.child("sample", i))
        return Block(slice(a, b), x, query.at.log_prob(x) - q.log_prob(x))

    def _fold(self, query: Query, answered: Iterable[tuple[Block, Tensor]], rows: bool, errors: bool) -> Estimate:
        at, k = query.at, query.units
        first, second = Sums(), Sums()
        r1: Any = 0.0  # Σ ρ
        r2: Any = 0.0  # Σ ρ²
        rf: Any = 0.0  # Σ ρ f
        largest: Any = 0.0
        kept: list[Sums] = []
        for block, values in answered:
            r, f = np.exp(as_array(block.noise)), as_array(values)
            r = r if self.clip is None else np.minimum(r, self.clip)
            w = f - (self.baseline or 0.0)
            x, noise = block.points, at.noise_of(block.points)
            # Σ ρ w s and Σ ρ² w s; Σ ρ² w² s²
            sums, squares = at.score_sums(np.stack((r * w, r * r * w)), np.square(r * w), x, noise)
            add_into(first, sums)
            add_into(second, squares)
            r1, r2, rf = r1 + r.sum(0), r2 + (r * r).sum(0), rf + (r * f).sum(0)
            largest = np.maximum(largest, r.max(0))
            if rows:
                scores = {n: as_array(s) for n, s in at.scores(x, noise).items()}
                kept.append({n: beside(r * w, s) * s for n, s in scores.items()})
        over = r1 if self.normalise else np.full_like(r1, k)
        g, se = Sums(), Sums()
        for name, (rws, r2ws) in first.items():
            g[name] = rws / beside(over, rws)
            if self.normalise:
                # Σ ρ² (w s − ĝ)² / (Σ ρ)²
                square = second[name] - 2 * g[name] * r2ws + beside(r2, rws) * g[name] ** 2
                variance = square / beside(over, rws) ** 2
            else:
                variance = (second[name] / k - g[name] ** 2) / max(1, k - 1)
            se[name] = np.sqrt(np.maximum(variance, 0))
        contributions = None
        if rows:
            contributions = {n: k * np.concatenate([p[n] for p in kept]) / beside(over, g[n]) for n in g}
            contributions = at.as_tensors(contributions)
        like = next(iter(at.parameters.values()))
        value, effective, most = (as_tensor(np.asarray(v), like) for v in (rf / over, r1 * r1 / r2, largest))
        g, shown = at.as_tensors(g), at.as_tensors(se) if errors and k > 1 else None
        return Estimate(g, value, query.evaluations, self.target, shown, contributions, Weights(effective, most))
