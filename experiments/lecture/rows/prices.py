"""What gradients cost and how good they are: by backpropagation, and estimated from values.          (L22, L34, L41)"""

from __future__ import annotations

import math
import statistics
from functools import lru_cache

from experiments.common.acceptance import AtMost, Within, furthest, largest, row
from experiments.common.estimates import only
from experiments.common.frame import slopes
from experiments.zeroth_order import dimension

import torch
from torch import Tensor

from rllab import Key, measure_quality
from rllab import estimators as est
from rllab.distributions import Distribution
from rllab.estimate import Kind
from rllab.testing import accepted_kinds, exported_estimators
from rllab.testing.subject import default_problem

WIDTHS = (4, 32, 256, 1000)  # of networks: 93 to 1,019,001 parameters
AT = torch.tensor([0.4, -0.7, 1.1], dtype=torch.float64)


@lru_cache(maxsize=4)
def _ratios(seed: int, fast: bool) -> tuple[list[int], list[float]]:
    rows = [dimension.gradient_time(width, Key(seed)) for width in (WIDTHS[:2] if fast else WIDTHS)]
    return [int(str(r["d"])) for r in rows], [float(torch.as_tensor(r["ratio"])) for r in rows]


@row("L22", AtMost(5), seeds="median")
def time_of_a_gradient(seed: int, fast: bool) -> float:
    """A gradient by backpropagation is easy to get: it costs a few values of the loss.

    Measures: CPU time of value and gradient, by torch's autograd, over that of a value, torch's forward pass alone;
    median over networks of 93 to 1,019,001 parameters.
    Note: 5 is the bound of Baur and Strassen (1983), in operations.
    """
    return statistics.median(_ratios(seed, fast)[1])  # torch's is the lower one of the two in the middle


@row(
    "L22",
    AtMost(0.1),
    wrong={"central differences: 2d values": lambda seed, fast: float(slopes([93, 1633], [2 * 93.0, 2 * 1633.0]))},
    seeds="median",
)
def time_over_parameters(seed: int, fast: bool) -> float:
    """It stays easy however many parameters there are.

    Measures: log-log slope of that ratio in the number of parameters.
    """
    return float(slopes(*_ratios(seed, fast)))


@lru_cache(maxsize=4)
def _descents(seed: int, fast: bool, pace: float) -> tuple[list[int], list[float]]:
    sizes = [8, 32] if fast else [8, 32, 128, 512]
    rows = [dimension.descent(d, pace, Key(seed).child("descent", d)) for d in sizes]
    return sizes, [float(torch.as_tensor(r["evaluations"])) if r["reached"] == 1 else math.nan for r in rows]


@row("L41", Within(0.9, 1.1), wrong={"steps of 2/(d + 2), which lead nowhere": {"fast": True, "pace": 2.0}})
def values_over_parameters(seed: int, fast: bool, pace: float = 1.0) -> float:
    """Without gradients, learning takes values in proportion to the number of parameters.

    Measures: log-log slope, in the number of parameters, of values until |x|²/2 is at 1 % of its start.
    """
    return float(slopes(*_descents(seed, fast, pace)))


@row("L41", Within(0.85, 1.15), seeds="median")
def values_by_the_law(seed: int, fast: bool) -> float:
    """How many exactly: 2 ln ε/ln(1 − 1/(d + 2)) for steps of 1/(d + 2).

    Measures: values needed over that, for the number of parameters where it is worst.
    """
    sizes, counts = _descents(seed, fast, 1.0)
    ratios = [count / dimension.descent_law(d) for d, count in zip(sizes, counts, strict=True)]
    return furthest(ratios, 1)


# What estimates the gradient of what it is asked about; the state of a guided one makes its target a direction. Relaxed
# and multi-sample objectives are others, and under a Gamma the expected quadratic has no closed form here.
OTHERS = (est.GuidedSmoothing, est.ImplicitPathwise)
ESTIMATORS = [
    cls()
    for cls in exported_estimators()
    if cls not in OTHERS and cls().target.kind in (Kind.GRADIENT, Kind.SMOOTHED, Kind.EXPECTATION)
]


def _place(estimator: est.Estimator) -> Tensor | Distribution:
    return next(iter(accepted_kinds(estimator).values()))(AT)


@row("L34", AtMost(4), wrong={"the 2 of two-sided differences forgotten": {"factor": 2.0}}, seeds="median")
def bias_of_estimators(seed: int, fast: bool, factor: float = 1.0) -> float:
    """Reinforcement learning estimates gradients nobody can write down; where one can, the estimates are right.

    Measures: largest bias of any estimator of the lab, in standard errors, from 100,000 values of a quadratic.
    Note: guided smoothing is left out: it estimates a direction.

    The costs are quadratic, so that ∇f_σ is ∇f whatever the smoothing.
    """
    worst = 0.0
    for estimator in ESTIMATORS:
        at = _place(estimator)
        problem, n = default_problem(at), max(estimator.minimum(at), 2_000 if fast else 100_000)
        e = estimator(problem.cost(), at, evaluations=n, key=Key(seed).child(type(estimator).__name__))
        truth = only(problem.gradient(AT[None]) if isinstance(at, Tensor) else problem.expected_gradient(at)).flatten()
        error = 1e-6 * truth.norm()
        if e.standard_error is not None:
            error = only(e.standard_error).flatten() + 1e-9 * truth.norm()
        worst = largest(worst, float(((factor * only(e.gradient).flatten() - truth).abs() / error).max()))
    return worst


@row("L34", Within(-0.6, -0.4), wrong={"the first 64 values only": {"fast": True, "reuse": True}})
def error_of_estimators(seed: int, fast: bool, reuse: bool = False) -> float:
    """and converge as averages do.

    Measures: log-log slope of the root mean square error in the number of values, of the worst of four estimators.
    """
    budgets, powers = [64, 256, 1024, 4096], []
    drawing = [est.ForwardGradient(), est.GaussianSmoothing(sigma=0.1), est.SphereSmoothing(), est.ScoreFunction()]
    for estimator in drawing:
        at = _place(estimator)
        errors = []
        for budget in budgets:
            report = measure_quality(
                [estimator], default_problem(at), at=at, budgets=[64 if reuse else budget],
                repeats=100 if fast else 400, key=Key(seed).child(budget), progress=False,
            )  # fmt: skip
            errors.append(math.sqrt(report.rows[0]["mse"]))
        powers.append(float(slopes(budgets, errors)))
    return furthest(powers, -0.5)
