"""recommend: look at a cost by a few hundred evaluations, and say which estimator to take, and why."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import SupportsIndex

import numpy as np
from torch import Tensor

from rllab.checks import as_count, check_parameters, check_positive
from rllab.cost import Cost
from rllab.distributions import Distribution
from rllab.estimate import Target
from rllab.estimators import Backprop, GaussianSmoothing
from rllab.estimators.asking import as_tensor_at
from rllab.keys import Key, as_key
from rllab.quality.estimates import name_of
from rllab.recommendation.at_distribution import race
from rllab.recommendation.laws import Prediction, Signal, autograd_bias, choose_sigma, predictions, signal_of
from rllab.recommendation.pilot import CENTRES, Pilot, fewest_evaluations, fly, spread_interval, survey
from rllab.recommendation.result import Choice, Recommendation

FLOOR = 0.01  # relative error below which no difference shows in a step
MOST = 10**9  # evaluations, beyond which nobody asks


def recommend(
    cost: Cost,
    at: Tensor | np.ndarray | Distribution,
    evaluations: SupportsIndex | float,
    key: Key | int,
    *,
    budget: SupportsIndex | float | None = None,
    sigma: float | None = None,
) -> Recommendation:
    """Rank gradient estimators for a cost by a pilot that is counted in its ledger.

    All are compared by one number, the error against one gradient t:

        √(E‖ĝ − t‖²) / ‖t‖        t = ∇f_σ at parameters, f_σ(θ) = E f(θ + σ u), u ~ N(0, I);  ∇E f at a distribution

    where σ is the smallest at which what is seen along random directions is gradient more than noise and jumps:
    small on a smooth cost, where ∇f_σ is ∇f; on stairs between the distance of the nearest edges and a stair's width.
    Half of the pilot chooses σ, and the other half, along other directions, says how much there is gradient: the errors
    follow by the laws of `rllab.recommendation.laws`. The cost's gradient by autograd, if it has one that is finite, is
    held to the slopes as well. At a distribution errors are the standard errors of small estimates by every estimator
    that takes it.

    Choices are ordered by what they explain of t with the best step, for many small steps average noise away, but no
    bias; without bias that is the order of errors. So a gradient that is always 0, error 1, is never before one that is
    unbiased. If the first error is 1 or more, the first finding says so, and how many evaluations bring it below 1. Of
    errors below 0.01 the cheaper estimator comes first.

    At parameters these are compared, antithetic: `GaussianSmoothing`, `OrthogonalSmoothing` and `SPSA`; besides
    `CentralDifference`, and `Backprop` if there is a gradient. Where the cost has no noise, their one-sided forms and
    `SobolSmoothing` are, too. `measure_quality` compares any.

    Args:
        cost: what is to be differentiated.
        at: parameters (d,), a tensor or an array, or a distribution.
        evaluations: most of them that are spent on finding out; a few hundred.
        key: of all draws.
        budget: evaluations of an estimate that errors are predicted for; None for as many as `evaluations`.
        sigma: σ, if it is known over what distance the gradient is to describe the cost; None to find it out.

    Returns:
        A `Recommendation`: `choices`, best first, with settings, predicted error and reason. What is predicted is
        itself an estimate, from some 100 directions: mostly good to a factor of about 1.5. Not so for central
        differences where the cost jumps, whose reason says "roughly": found wrong by up to 8 times; nor if a finding
        says that the gradient is no more than chance makes.

    Raises:
        TypeError: `cost` is no Cost, or `at` neither parameters nor a distribution.
        ValueError: there are too few evaluations, or `at` is a batch.

    Source:
        For pairs along common directions: Glasserman & Yao (1992), "Some guidelines and guarantees for common random
        numbers"; the variances are those that each estimator's page states.

    Example:
        import torch
        from rllab import Cost, recommend

        stairs = Cost(lambda x: torch.floor(4 * x).sum(-1))
        found = recommend(stairs, torch.linspace(0, 1, 5), evaluations=400, key=0, budget=100)
        found.best, found.target, found.choices[0].error
    """
    if not isinstance(cost, Cost):
        raise TypeError(f"recommend: cost must be a Cost, got {cost!r:.80}; wrap it: Cost(function)")
    evaluations, key = as_count("recommend", "evaluations", evaluations), as_key(key)
    budget = evaluations if budget is None else as_count("recommend", "budget", budget)
    if sigma is not None:
        check_positive("recommend", sigma=sigma)
    if isinstance(at, Distribution):
        return _at_distribution(cost, at, evaluations, key, budget)
    at = check_parameters("recommend", as_tensor_at(at)).detach()
    if at.ndim != 1:
        raise ValueError(f"recommend: at must be (d,), no batch, got {tuple(at.shape)}")
    if evaluations < (least := fewest_evaluations(sigma)):
        raise ValueError(f"recommend: evaluations must be >= {least}, got {evaluations}")
    before, findings, found = cost.evaluated, [], list[Signal]()
    if sigma is None:
        looks = survey(cost, at, evaluations, key.child("survey"))
        found = [signal for seen in looks if (signal := signal_of(seen)) is not None]
        if not found:
            return _flat(looks[-1].sigma, "up to", budget, cost.evaluated - before)
        shares = ", ".join(f"{s.share:.0%} at sigma {s.sigma:.2g}" for s in found)
        findings.append(f"of squared slopes, gradient is {shares}, by {len(looks[0].slopes)} directions")
        sigma = choose_sigma(found).sigma
    pilot = fly(cost, at, evaluations - (cost.evaluated - before), key.child("pilot"), sigma)
    signal = signal_of(pilot.at)
    if signal is None:
        return _flat(sigma, "at", budget, cost.evaluated - before)
    ranked = _ranked(list(predictions(pilot, signal, budget)), signal.gradient)
    findings = [*_useless(ranked, pilot, signal, budget), *findings, *_findings(pilot, signal, found)]
    spent = cost.evaluated - before
    return Recommendation(ranked, Target.smoothed("gaussian", sigma), budget, spent, tuple(findings))


def _at_distribution(cost: Cost, at: Distribution, evaluations: int, key: Key, budget: int) -> Recommendation:
    if len(at.shape) != 1:
        raise ValueError(f"recommend: at must be a distribution of (d,), no batch, got {tuple(at.shape)}")
    before = cost.evaluated
    made, square, findings = race(cost, at, evaluations, budget, key)
    if not made:
        raise ValueError(f"recommend: evaluations must be more, got {evaluations}; {'; '.join(findings)}")
    ranked = _ranked(made, square)
    if ranked[0].error >= 1:
        # the error of an unbiased estimate falls as one over the square root of its evaluations
        findings.insert(0, _none_is_better(budget, ranked[0], budget * ranked[0].error ** 2))
    return Recommendation(ranked, Target.expectation(), budget, cost.evaluated - before, tuple(findings))


def _ranked(made: list[Prediction], square: float) -> tuple[Choice, ...]:
    """Return predictions as choices, best first; where more than 1 − FLOOR² is explained, the cheaper one is better.

        1/(1 + V/‖t‖²) − B/‖t‖²        V variance, B squared bias

    is the share of ‖t‖² that an estimate explains with the best step: many small steps average V away, B stays. So an
    estimate that is always 0 explains nothing; by its error, 1, it would be before whatever is noisy.
    """

    def key(p: Prediction) -> tuple[float, bool, int]:
        explained = (1 / (1 + (p.square - p.bias) / square) - p.bias / square) if square > 0 else 0.0
        return -min(explained, 1 - FLOOR**2), p.bias > 0, p.evaluations

    return tuple(
        Choice(p.estimator, p.evaluations, math.sqrt(p.square / square) if square > 0 else math.inf, p.reason)
        for p in sorted(made, key=key)
    )


def _flat(sigma: float, where: str, budget: int, spent: int) -> Recommendation:
    """Return what to do where no slope was seen: the widest pairs are the most likely to see one."""
    choice = Choice(GaussianSmoothing(sigma), 2 * (budget // 2), math.nan, "no slope was seen")
    finding = f"the cost is flat: the same along all directions, {where} sigma {sigma:.3g}"
    return Recommendation((choice,), Target.smoothed("gaussian", sigma), budget, spent, (finding,))


def _useless(ranked: tuple[Choice, ...], pilot: Pilot, signal: Signal, budget: int) -> Iterator[str]:
    """Yield, if no estimate is better than none, how many evaluations would make one."""
    if ranked[0].error < 1:
        return

    def enough(evaluations: int) -> bool:
        made = predictions(pilot, signal, evaluations)
        return any(p.square < signal.gradient and not isinstance(p.estimator, Backprop) for p in made)

    high = budget
    while not enough(high) and high < MOST:
        high *= 2
    low = high // 2
    while high - low > max(1, low // 20):  # to 5 %
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    yield _none_is_better(budget, ranked[0], high)


def _none_is_better(budget: int, first: Choice, needed: float) -> str:
    most = f"about {needed:,.2g}" if needed < MOST else f"more than {MOST:.0e}"
    return (
        f"with {budget} evaluations no estimate is better than none: 0 has error 1, {name_of(first.estimator)} "
        f"{first.error:.2g}; an error below 1 takes {most} evaluations"
    )


def _findings(pilot: Pilot, signal: Signal, found: list[Signal]) -> Iterator[str]:
    """Yield what was seen at one sigma, and whether it bears out that this was chosen of those found."""
    yield f"at sigma {signal.sigma:.2g} it is {signal.share:.0%}, by {len(pilot.at.slopes)} other directions"
    before = max((s.share for s in found if s.sigma == signal.sigma), default=0.0)
    if signal.share < before / 2:
        larger = next((s.sigma for s in found if s.sigma > signal.sigma and s.share >= before), None)
        instead = "" if larger is None else f", sigma={larger:.2g} for one"
        yield f"sigma {signal.sigma:.2g} was chosen by chance: give one over which the cost is to be described{instead}"
    if signal.gradient <= 2 * signal.unsure:
        yield "that is no more than chance makes: the gradient may be smaller, and all errors larger"
    if pilot.spread:
        low, high = spread_interval(pilot.spread)
        yield (
            f"the cost's own noise has a standard deviation of roughly {pilot.spread:.2g}, from {CENTRES} values: "
            f"95 % interval {low:.2g} to {high:.2g} if the noise is normal"
        )
    else:
        yield f"no noise was seen: {CENTRES} values at these parameters are equal"
    if pilot.gradients is None:
        yield f"there is no gradient by autograd: {pilot.why}"
    elif not pilot.gradients.any():
        yield "autograd's gradient is 0: the cost is flat almost everywhere, and that says nothing of its steps"
    else:
        off = math.sqrt(autograd_bias(pilot, signal) / signal.gradient)
        yield f"autograd's gradient is off by {off:.0%} of that at sigma {signal.sigma:.2g}"
