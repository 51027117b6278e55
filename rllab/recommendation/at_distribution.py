"""Race: at a distribution, every estimator that takes it makes a small estimate, whose standard error is its price."""

from __future__ import annotations

import math

from torch import Tensor

from rllab.cost import Cost
from rllab.distributions import Distribution
from rllab.estimate import Estimate
from rllab.estimators import (
    ARM,
    DisARM,
    Enumeration,
    ImplicitPathwise,
    MeasureValued,
    MuProp,
    Pathwise,
    ScoreFunction,
    SumAndSample,
)
from rllab.estimators.base import Estimator
from rllab.keys import Key
from rllab.quality.truth import flat
from rllab.recommendation.laws import Prediction

CANDIDATES: tuple[Estimator, ...] = (
    ScoreFunction(baseline="leave-one-out"),
    MeasureValued(),
    SumAndSample(),
    ARM(),
    DisARM(),
    MuProp(),
    Pathwise(),
    ImplicitPathwise(),
)
UNSURE = 2.0  # squared distance from the others, in variances, below which it is none


def race(
    cost: Cost, at: Distribution, evaluations: int, budget: int, key: Key
) -> tuple[list[Prediction], float, list[str]]:
    """Return predictions, ‖∇E f‖² as it was seen, and what kept others out.

        E‖ĝ − ∇E f‖² = Σ_i se_i² n/budget + B        se, n of a small estimate; B its distance from those by values

    An estimator that differentiates the cost is wrong where the cost jumps: B is its squared distance from the mean
    of the others, weighed by their precision, less the variance of both, where it is more than noise; if it found 0
    without any variance, all of ‖∇E f‖², which is no smaller than what chance makes of 0.
    """
    runners, findings = [], []
    for estimator in CANDIDATES:
        try:
            least = estimator.minimum(at, cost)
        except (TypeError, ValueError):
            continue  # of another kind of distribution
        runners.append((estimator, least))
    found: list[tuple[Estimator, Estimate]] = []
    share = evaluations // max(1, len(runners))
    for estimator, least in runners:
        name = type(estimator).__name__
        if share < 2 * least or budget < least:
            findings.append(f"{name} needs {least} evaluations, and twice as many to be looked at")
            continue
        try:
            found.append((estimator, estimator(cost, at, evaluations=share, key=key.child(name))))
        except TypeError as error:
            findings.append(f"{name} does not run: {str(error).splitlines()[0]}")
    mean, noise = _pooled([e for estimator, e in found if estimator.needs == {"value"}])
    # ‖mean‖² of no gradient is `noise`, with a standard deviation of √(2/d) of it
    square = max(float(mean @ mean) - noise, noise * math.sqrt(2 / len(mean)))
    made = [_prediction(estimator, e, mean, noise, square, budget) for estimator, e in found]
    if not cost.seeded and (exact := _enumeration(at, budget)) is not None:
        made.append(exact)
    return made, square, findings


def _prediction(estimator: Estimator, e: Estimate, mean: Tensor, noise: float, g: float, budget: int) -> Prediction:
    variance, bias = _variance(e), 0.0
    if variance == 0 and not flat(e.gradient).any():
        return Prediction(estimator, budget, g, "it is 0 always, which says nothing", g)
    if estimator.needs != {"value"}:
        apart = float((flat(e.gradient) - mean).square().sum())
        bias = apart - variance - noise if apart > UNSURE * (variance + noise) else 0.0
    square = variance * e.evaluations / budget + bias
    why = f"its standard error at {e.evaluations} evaluations" + (", and it is off" if bias else "")
    return Prediction(estimator, budget, square, why, bias)


def _pooled(estimates: list[Estimate]) -> tuple[Tensor, float]:
    """Return the mean of estimates, weighed by their precision, and its variance."""
    weights = [1 / max(_variance(e), 1e-300) for e in estimates]  # finite, also where an estimate has no error
    total = sum(weights)
    parts = [flat(e.gradient) * (w / total) for e, w in zip(estimates, weights, strict=True)]
    mean = parts[0]
    for part in parts[1:]:
        mean = mean + part
    return mean, 1 / total


def _variance(e: Estimate) -> float:
    return math.inf if e.standard_error is None else float(flat(e.standard_error).square().sum())


def _enumeration(at: Distribution, budget: int) -> Prediction | None:
    exact = Enumeration()
    try:
        least = exact.minimum(at)
    except (TypeError, ValueError):  # infinitely many, or too many
        return None
    return Prediction(exact, least, 0.0, "all samples there are") if least <= budget else None
