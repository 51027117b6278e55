"""Rules about what an estimator claims: that its mean is the gradient it names, and that it is linear in the cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch

from rllab.cost import Cost
from rllab.estimate import Kind
from rllab.problems import NoClosedForm, Problem
from rllab.quality.estimates import Estimates
from rllab.quality.truth import exact_gradient, flat
from rllab.testing.mechanics import must
from rllab.testing.order import Order, shrinks_as_its_order_says
from rllab.testing.power import FALSE_ALARM, FIRST, LARGEST, NotTested, Power, power_of, repeats_for
from rllab.testing.seeds import SharedSeeds, says_which_points_share_a_seed
from rllab.testing.spread import Spread, has_the_spread_it_says
from rllab.testing.subject import Subject, default_problems, dyadic, parts


def has_the_mean_it_claims(s: Subject) -> Power | NotTested:
    """If it says to be unbiased, the mean of many estimates is the gradient of its target: see `rllab.testing.power`.

    Nothing is tested if it says it is not, or if the gradient its target names is not known on the problem.
    """
    estimator = s.estimator
    if not estimator.unbiased:
        how = "measure_quality(..., truth=Target.gradient()) measures how biased"
        return NotTested(f"it says to be biased; {how}")
    for problem, at in problems_and_at(s):
        must(estimator.needs <= problem.offers, f"{type(problem).__name__} does not offer {sorted(estimator.needs)}")
        try:
            truth = flat(exact_gradient(problem, estimator.target, at))
            break
        except NoClosedForm:
            continue
    else:
        return NotTested(f"{estimator.target} is not known in closed form here")
    cost = problem.cost()
    each = estimator.minimum(at, cost) // estimator.minimum(at)  # a value beside a given gradient is at the same point
    evaluations = each * max(8, estimator.minimum(at))
    numbers = evaluations // each * len(truth)
    repeats = max(2, min(FIRST, LARGEST // numbers))
    make = Estimates(estimator, cost, at, evaluations, together=repeats)
    of, wanted = f"{estimator.target} on {problem}", s.detects
    # two tests, so that each has half of the false alarms; the second is of fresh estimates
    power = power_of(make(repeats, s.key)[0], truth, of, wanted, FALSE_ALARM / 2)
    if not power.enough and (more := repeats_for(power, numbers)) > repeats:
        power = power_of(make(more, s.key.child("more"))[0], truth, of, wanted, FALSE_ALARM / 2)
    return power


def scales_with_the_cost(s: Subject) -> None:
    """Estimates of 4f are four times those of f, and so are their standard errors, if its target is linear in f."""
    kind = s.estimator.target.kind
    if kind is Kind.DIRECTION or not (s.scales if s.scales is not None else kind is not Kind.SURROGATE):
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
    if s.estimator.kind == "value":  # derivatives do not see what is rounded; of values, none is
        function = dyadic(function)
    one, other = (_estimate(s, s.cost(lambda x, c=c: function(x) + c)) for c in (0.0, 16.0))
    pairs = zip(parts(one.gradient), parts(other.gradient), strict=True)
    must(all(torch.allclose(a, b, rtol=1e-12, atol=1e-12) for a, b in pairs), "a constant in the cost must not matter")


def problems_and_at(s: Subject) -> Iterator[tuple[Problem, Any]]:
    """Yield where what a subject claims may be measured, the best first."""
    pattern = torch.tensor([0.37, -0.61, 1.13, 0.22, -1.7], dtype=torch.float64)  # asymmetric, off every edge
    known = default_problems(s.some_at(3), s.estimator.target)
    for problem, length in known if s.problem is None else [(s.problem, 1.0)]:
        d = problem.dimension
        yield problem, s._make_at(length * pattern.repeat(d)[:d]) if s.at is None else s.at


def _estimate(s: Subject, cost: Cost) -> Any:
    at = s.some_at(s.d)
    return s.estimator(cost, at, evaluations=s.evaluations(at, 9), key=s.key)


Found = Power | Spread | Order | SharedSeeds | NotTested

CLAIMS: dict[str, Callable[[Subject], Found | None]] = {
    "unbiased": has_the_mean_it_claims,
    "order": shrinks_as_its_order_says,
    "standard error": has_the_spread_it_says,
    "seeds": says_which_points_share_a_seed,
    "scale": scales_with_the_cost,
    "offset": ignores_an_offset,
}
