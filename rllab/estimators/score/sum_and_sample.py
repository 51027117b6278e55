"""Sum and sample: evaluate the C most probable outcomes, and sample the rest with the score function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from rllab.arrays import as_array, as_value, weights
from rllab.checks import take_counts
from rllab.distributions import Categorical, Distribution
from rllab.distributions.base import Sums, add_into
from rllab.estimate import Estimate, Target
from rllab.estimators.base import Estimator
from rllab.estimators.query import Answered, Plan, PointBlock, Query
from rllab.estimators.score.baselines import beside, check_baseline
from rllab.estimators.score.counts import check_writable, outcomes, pick
from rllab.estimators.score.samples import check_distribution, units_per_block


@dataclass(frozen=True)
class SumAndSample(Estimator):
    """Estimate the gradient of an expected cost over finitely many samples (`Bernoulli`, `Categorical`, …).

        ĝ = Σ_{c∈C} p_c (f_c − b) s_c + (1 − P_C)/K Σ_k (f(x_k) − b) s(x_k),    x_k ~ p given x ∉ C    C + K evaluations

    s = ∇_φ log p_φ and P_C = Σ_{c∈C} p_c. This is the score function averaged over whether its sample is in C and if so
    which (Rao and Blackwell): unbiased for ∇_φ E f, with all the less variance the more probability C holds. The
    baseline b = Σ_{c∈C} p_c f_c / P_C does not depend on what is sampled.

    Args:
        enumerated: C >= 1, how many of the most probable outcomes are evaluated; fewer than there are.
        baseline: "enumerated", the mean cost of these; a number; or None.

    Returns:
        At such a distribution, an Estimate of ∇E f by parameter name; its `value` estimates E f in the same way. The
        standard error is that of the sampled part, the other being exact, and honest for any K >= 2, but None for one
        sample. Work and memory are O(support_size).

    Raises:
        TypeError, ValueError: `enumerated` is no integer >= 1, or `baseline` is unknown.

    Source:
        Liu, Regier, Tripuraneni, Jordan & McAuliffe (2019), "Rao-Blackwellized stochastic gradients for discrete
        distributions", eq. 6; Kool, van Hoof & Welling (2020), "Estimating gradients for discrete random variables by
        sampling without replacement", section 2.1. The baseline is ours.

    Example:
        import torch
        from rllab import Bernoulli, Cost, estimators as est

        cost = Cost(lambda x: x.sum(-1).square())
        e = est.SumAndSample()(cost, Bernoulli(torch.zeros(3)), evaluations=100, key=0)
        e.gradient  # by logits, about 0.75, 0.75, 0.75
    """

    source: ClassVar[str] = (
        "Liu, Regier, Tripuraneni, Jordan & McAuliffe (2019), "
        "Rao-Blackwellized stochastic gradients for discrete distributions"
    )
    target: ClassVar[Target] = Target.expectation()
    unbiased: ClassVar[bool] = True
    enumerated: int = 1
    baseline: Literal["enumerated"] | float | None = "enumerated"

    def __post_init__(self) -> None:
        take_counts(self, enumerated=1)
        check_baseline("SumAndSample", self.baseline, ("enumerated",))

    def _plan(self, at: Any) -> Plan:
        size = outcomes("SumAndSample", check_distribution("SumAndSample", at, Distribution))
        if size <= self.enumerated:
            raise ValueError(
                f"SumAndSample: enumerated must be less than the number of outcomes {size}, got {self.enumerated}; "
                "Enumeration evaluates them all"
            )
        return Plan(per_unit=1, block=units_per_block(at, 1), shared=self.enumerated)

    def _prepared(self, query: Query) -> Query:
        check_writable("SumAndSample", query.at)
        return query

    def _block(self, query: Query, i: int) -> PointBlock:
        a, b = self._span(query, i)
        split, c = _split(query.at, self.enumerated), self.enumerated
        logits = split.log_rest if split.log_rest.ndim == 1 else split.log_rest.T.unsqueeze(1)  # (R,) or (B, 1, R)
        which, _ = Categorical(logits.double(), "index").draw(b - a, query.key.child("sample", i))
        x = pick(split.rest, which[..., 0].long())
        if i == 0:
            return PointBlock(slice(0, c + b), torch.cat((split.top, x)))
        return PointBlock(slice(c + a, c + b), x)

    def _fold(self, query: Query, answered: Answered, per_unit: bool, errors: bool) -> Estimate:
        at, k, c = query.at, query.units, self.enumerated
        split = _split(at, c)
        # p_c, and 1 − P_C as no difference
        p, left = as_array(split.log_top.exp()), as_array(split.log_rest.exp().sum(0))
        nearest = as_array(torch.softmax(split.log_top, 0))  # weights that sum to 1 where p underflows
        exact, first, second = Sums(), Sums(), Sums()
        kept: list[tuple[np.ndarray, Sums]] = []
        baseline: Any = 0.0 if isinstance(self.baseline, str) else self.baseline or 0.0
        value: Any = 0.0
        total: Any = 0.0
        for i, (block, values) in enumerate(answered):
            x, f = block.points, as_array(values)
            like = as_array(x)
            if i == 0:
                value = (p * f[:c]).sum(0)
                if self.baseline == "enumerated":
                    baseline = (nearest * f[:c]).sum(0)
                exact, _ = at.score_sums(weights(p * (f[:c] - baseline), like), None, x[:c], None)
                x, f = x[c:], f[c:]
            w = weights(left * (f - baseline), like)
            total = total + f.sum(0)
            sums, squares = at.score_sums(w, w * w, x, None)
            add_into(first, sums)
            add_into(second, squares)
            if per_unit:
                kept.append((w, {n: as_array(s) for n, s in at.scores(x, None).items()}))
        g, se = Sums(), Sums()
        for name, ws in first.items():
            g[name] = exact[name] + ws / k
            se[name] = np.sqrt(np.maximum(second[name] / k - (ws / k) ** 2, 0) / max(1, k - 1))
        contributions = None
        if per_unit:
            parts = {n: np.concatenate([beside(w, s[n]) * s[n] for w, s in kept]) for n in g}
            contributions = at.as_tensors({n: exact[n] + part for n, part in parts.items()})
        value = as_value(np.asarray(value + left * total / k).astype(total.dtype), next(iter(at.parameters.values())))
        g, se = at.as_tensors(g), at.as_tensors(se)
        shown = se if errors and k > 1 else None
        return Estimate(g, value, query.evaluations, self.target, shown, contributions, query.state)


class _Split(NamedTuple):
    """The most probable outcomes (C, *shape) with log p (C,) or (C, B), and the rest."""

    top: Tensor
    log_top: Tensor
    rest: Tensor
    log_rest: Tensor


def _split(at: Distribution, c: int) -> _Split:
    x, log_p = at.support()
    order = torch.sort(log_p, dim=0, descending=True, stable=True).indices
    x, log_p = pick(x, order), log_p.gather(0, order)
    return _Split(x[:c], log_p[:c], x[c:], log_p[c:])
