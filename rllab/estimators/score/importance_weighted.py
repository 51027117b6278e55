"""Importance-weighted score function: the gradient at one distribution from samples of another, q."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from rllab.arrays import as_array, as_value, single_at_least, weights
from rllab.checks import check_positive
from rllab.distributions import Distribution
from rllab.distributions.base import Sums, add_into
from rllab.estimate import Estimate, Target
from rllab.estimators.base import Estimator
from rllab.estimators.query import Answered, Plan, PointBlock, Query
from rllab.estimators.score.baselines import beside, check_baseline
from rllab.estimators.score.samples import check_distribution, units_per_block

Proposal = Distribution | Callable[[Any], Distribution]


class Weights(NamedTuple):
    """What the ratios of an estimate were like, () or (B,): how many samples they are worth, and the largest ratio.

    The largest may underflow to 0; the number of samples does not feel that.
    """

    effective_samples: Tensor
    largest: Tensor


class _Drawn(NamedTuple):
    """The noise of a block: log ρ of its samples, and their noise in p."""

    log_ratio: Tensor
    of_p: Any


@dataclass(frozen=True)
class ImportanceWeighted(Estimator):
    """Estimate the gradient of an expected cost from samples of another distribution.

        ĝ = 1/K Σ_k ρ_k (f(x_k) − b) ∇_φ log p_φ(x_k),    x_k ~ q,  ρ = p_φ/q                  K evaluations

    Unbiased for ∇_φ E_p f if q covers p. Its second moment is E_q[ρ² …], which grows exponentially with the dimension:
    for normal laws of equal scale s whose means are δ apart, E_q ρ² = exp(‖δ‖²/s²). How many samples the K are worth is
    told by

        ESS = (Σ_k ρ_k)² / Σ_k ρ_k²                              between 1 and K

    Two remedies pay for less variance. Cutting ρ off at c gives the gradient of something else, which grows with ρ more
    slowly where ρ is large, since min(ρ, c) ∇ log p is the derivative of φ(ρ):

        ∇_φ E_q φ(ρ) (f − b),    φ(ρ) = ρ up to c, c (1 + log ρ/c) from there on

    Dividing by Σ ρ in place of K is biased by O(1/K). Sums are taken of ρ over its largest value, since in hundreds of
    dimensions all ρ may be too small to be represented.

    Args:
        proposal: q: a distribution of samples of the same shape and kind (discrete or not), or a function that makes
            one of the distribution that is asked about; None for that distribution itself. It must give probability to
            all that p does.
        baseline: a number subtracted from the cost; None for 0.
        clip: largest ratio c > 0, to which larger ones are cut: then `target` is a **surrogate**, see above, and not
            ∇E f; None for no limit.
        normalise: whether to divide by the sum of the ratios (**biased**, by O(1/K), but unmoved if q is known only up
            to a factor).

    Returns:
        At a `Distribution`, an Estimate of ∇E f by parameter name; its `value` estimates E_p f with the same ratios,
        and its `state` is a `Weights`, with the effective sample size. The standard error of a normalised estimate is
        that of the delta method; any standard error is unreliable where the effective samples are few, and may then be
        far too low, since the largest ratios have not been seen. Where even the largest ratio is too small for the
        precision of the parameters, an estimate that is not normalised is 0 ± 0, and the effective samples tell: about
        1.

    Raises:
        ValueError: if the proposal's samples are of another shape or kind, or one of them has a log p or log q that is
            not finite: it lies outside p, or at an edge that its precision cannot resolve. What `Gamma`, `Beta` and
            `Dirichlet` draw for one of their own family is resolved everywhere.

    Source:
        Owen (2013), "Monte Carlo theory, methods and examples", chapter 9; Ionides (2008), "Truncated importance
        sampling"; Kong, Liu & Wong (1994), "Sequential imputations and Bayesian missing data problems" (the ESS).

    Example:
        import torch
        from rllab import Bernoulli, Cost, estimators as est

        cost = Cost(lambda x: x.sum(-1).square())
        e = est.ImportanceWeighted()(cost, Bernoulli(torch.zeros(3)), evaluations=100, key=0)
        e.gradient  # by logits, about 0.75, 0.75, 0.75
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
        if self.clip is not None:
            check_positive("ImportanceWeighted", clip=self.clip)

    @property
    def target(self) -> Target:
        if self.clip is None:
            return Target.expectation()
        b = self.baseline or 0.0
        f = f"(f {'−' if b > 0 else '+'} {abs(b):g})" if b else "f"
        over = " over the mean of cut ρ" if self.normalise else ""
        return Target.surrogate(f"E_q φ(ρ) {f}, φ'(ρ) = min(1, {self.clip:g}/ρ){over}")

    @property
    def unbiased(self) -> bool:
        return not self.normalise

    def _plan(self, at: Any) -> Plan:
        at = check_distribution("ImportanceWeighted", at, Distribution)
        self._proposal(at)
        return Plan(per_unit=1, block=units_per_block(at, 1))

    def _proposal(self, at: Distribution) -> Distribution:
        q = at if self.proposal is None else self.proposal
        q = q if isinstance(q, Distribution) else q(at)
        if not isinstance(q, Distribution) or q.shape != at.shape:
            got = f"one of {q.shape}" if isinstance(q, Distribution) else type(q).__name__
            raise ValueError(f"ImportanceWeighted: proposal must be a distribution of samples {at.shape}, got {got}")
        if q is not at and q.measure != at.measure:
            wanted, got = (", ".join(sorted(set(d.measure))) for d in (at, q))
            raise ValueError(f"ImportanceWeighted: proposal must have a density by {wanted} as p has, got one by {got}")
        return q

    def _block(self, query: Query, i: int) -> PointBlock:
        (a, b), p = self._span(query, i), query.at
        q = self._proposal(p).detach()
        x, noise = q.draw(b - a, query.key.child("sample", i))
        log_q, of_p = q.log_density(x, noise), p.noise_from(q, x, noise)
        log_p = log_q if q is p else p.log_density(x, of_p)
        if not torch.isfinite(log_p + log_q).all():
            first = tuple((~torch.isfinite(log_p + log_q)).nonzero()[0].tolist())
            raise ValueError(
                "ImportanceWeighted: log p and log q must be finite at every sample, got "
                f"{log_p[first]:g} and {log_q[first]:g} at {x[first].tolist()}"
            )
        return PointBlock(slice(a, b), x, _Drawn((log_p - log_q).to(single_at_least(x)), of_p))

    def _fold(self, query: Query, answered: Answered, per_unit: bool, errors: bool) -> Estimate:
        at, k = query.at, query.units
        top: Any = None  # log of the largest ratio so far, ρ°; what follows is of r = ρ/ρ°
        first, second = Sums(), Sums()
        r1: Any = 0.0  # Σ r
        r2: Any = 0.0  # Σ r²
        rf: Any = 0.0  # Σ r f
        kept: list[tuple[np.ndarray, Sums]] = []
        for block, values in answered:
            l, f = as_array(block.noise.log_ratio), as_array(values)  # noqa: E741 - the letter of logarithms
            l = l if self.clip is None else np.minimum(l, np.log(self.clip).astype(l.dtype))  # noqa: E741
            before, top = top, l.max(0) if top is None else np.maximum(top, l.max(0))
            if before is not None:
                down = np.exp(before - top)
                r1, r2, rf = r1 * down, r2 * down * down, rf * down
                for name in first:
                    first[name] = first[name] * beside(np.stack((down, down * down)), first[name])
                    second[name] = second[name] * beside(down * down, second[name])
            r, w = np.exp(l - top), f - (self.baseline or 0.0)
            x, noise = block.points, block.noise.of_p
            # Σ r w s and Σ r² w s; Σ r² w² s²
            rw, r2w = weights(r * w, l), weights(r * r * w, l)
            sums, squares = at.score_sums(np.stack((rw, r2w)), np.square(rw), x, noise)
            add_into(first, sums)
            add_into(second, squares)
            r1, r2, rf = r1 + r.sum(0), r2 + (r * r).sum(0), rf + (r * f).sum(0)
            if per_unit:
                kept.append((l, {n: beside(w, s) * as_array(s) for n, s in at.scores(x, noise).items()}))
        largest = np.exp(top)
        # ĝ = scale Σ r w s:  1/Σ r, or ρ°/K
        scale = 1 / r1 if self.normalise else largest / k
        g, se = Sums(), Sums()
        for name, (rws, r2ws) in first.items():
            if self.normalise:
                # Σ r² (w s − ĝ)² / (Σ r)²
                mean = rws * beside(scale, rws)
                variance = second[name] - 2 * mean * r2ws + beside(r2, rws) * mean * mean
            else:
                # (Σ (r w s)² − (Σ r w s)²/K) K/(K − 1) / K²
                variance = (second[name] - rws * rws / k) * (k / max(1, k - 1))
            g[name] = rws * beside(scale, rws)
            se[name] = np.sqrt(np.maximum(variance, 0)) * beside(scale, rws)
        contributions = None
        if per_unit:
            shares = ((np.exp(log_r - top) * (k * scale), own) for log_r, own in kept)
            parts = [{n: beside(share, ws) * ws for n, ws in own.items()} for share, own in shares]
            contributions = at.as_tensors({n: np.concatenate([part[n] for part in parts]) for n in g})
        like = next(iter(at.parameters.values()))
        value, effective, most = (as_value(v, like) for v in (rf * scale, r1 * r1 / r2, largest))
        g, shown = at.as_tensors(g), at.as_tensors(se) if errors and k > 1 else None
        return Estimate(g, value, query.evaluations, self.target, shown, contributions, Weights(effective, most))
