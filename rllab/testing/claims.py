"""Rules about what an estimator claims: that its mean is the gradient it names, and that it is linear in the cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from rllab.cost import Cost
from rllab.estimate import Kind
from rllab.problems import NoClosedForm, Problem
from rllab.quality.measure import repeated
from rllab.quality.truth import exact_gradient, flat
from rllab.testing.mechanics import must
from rllab.testing.subject import Subject, default_problem, parts

FALSE_ALARM = 1e-9  # of the test of one vector
ROUNDING = 1e-8  # of the truth's largest component, or of 1, below which nothing is called biased
_MOST_NUMBERS, _REPEATS = 1 << 21, 2_000


def has_the_mean_it_claims(s: Subject) -> None:
    """If it says to be unbiased, the mean of many estimates is the gradient of its target: z-tested per component.

    Nothing is tested if it says it is not, or if the gradient its target names is not known on the problem.
    """
    estimator = s.estimator
    problem, at = problem_and_place(s)
    if not estimator.unbiased:
        return
    must(estimator.needs <= problem.offers, f"{type(problem).__name__} does not offer {sorted(estimator.needs)}")
    try:
        truth = flat(exact_gradient(problem, estimator.target, at))
    except NoClosedForm:
        return
    evaluations = max(8, estimator.minimum(at))
    repeats = max(2, min(_REPEATS, _MOST_NUMBERS // (evaluations * len(truth))))
    e = estimator(problem.cost(), repeated(at, repeats), evaluations=evaluations, key=s.key, errors=False)
    assert_mean(flat(e.gradient, repeats), truth, f"{estimator.target} on {problem}")


def assert_mean(g: Tensor, truth: Tensor, of: str) -> None:
    """Raise unless the mean of independent rows (R, d) is `truth`, by Student's test with Bonferroni's correction."""
    from scipy.stats import t

    r, d = g.shape
    mean = g[0] + (g - g[0]).mean(0)
    limit = float(t.isf(FALSE_ALARM / (2 * d), r - 1))
    unsure = limit * (g - g[0]).std(0) / r**0.5 + ROUNDING * max(1.0, float(truth.abs().max()))
    off = (mean - truth).abs()
    j = int((off / unsure).argmax())
    must(
        bool((off <= unsure).all()),
        f"the mean of {r} estimates of {of} must be {truth[j]:.6g} ± {unsure[j]:.2g} in component {j}, "
        f"got {mean[j]:.6g}",
    )


def scales_with_the_cost(s: Subject) -> None:
    """Estimates of 4f are four times those of f, and so are their standard errors; directions are not asked."""
    if not s.scales or s.estimator.target.kind is Kind.DIRECTION:
        return
    function = s.function()
    one, four = (_estimate(s, s.cost(lambda x, a=a: a * function(x))) for a in (1.0, 4.0))
    for what in ("gradient", "standard_error"):
        pairs = zip(parts(getattr(one, what)), parts(getattr(four, what)), strict=True)
        must(all(torch.allclose(4 * a, b, rtol=1e-9, atol=1e-9) for a, b in pairs), f"{what} must scale with the cost")


def ignores_an_offset(s: Subject) -> None:
    """If it says so, a constant added to the cost changes nothing."""
    if not s.ignores_offset:
        return
    function = s.function()
    one, other = (_estimate(s, s.cost(lambda x, c=c: function(x) + c)) for c in (0.0, 16.0))
    pairs = zip(parts(one.gradient), parts(other.gradient), strict=True)
    must(all(torch.allclose(a, b, rtol=1e-6, atol=1e-6) for a, b in pairs), "a constant in the cost must not matter")


def problem_and_place(s: Subject) -> tuple[Problem, Any]:
    """Return where what a subject claims is measured."""
    problem = s.problem or default_problem(s.somewhere(3))
    if s.at is not None:
        return problem, s.at
    pattern = torch.tensor([0.37, -0.61, 1.13, 0.22, -1.7], dtype=torch.float64)  # asymmetric, off every edge
    d = problem.dimension
    return problem, s._place(pattern.repeat(d)[:d])


def _estimate(s: Subject, cost: Cost) -> Any:
    at = s.somewhere(s.d)
    return s.estimator(cost, at, evaluations=s.evaluations(at, 9), key=s.key)


CLAIMS: dict[str, Callable[[Subject], None]] = {
    "unbiased": has_the_mean_it_claims,
    "scale": scales_with_the_cost,
    "offset": ignores_an_offset,
}
