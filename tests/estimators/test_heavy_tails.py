"""Z-tests of skewed estimates: how often they reject what is right, and where that is seldom enough.

Of n rows of skewness γ, Student's t falls below −x with the probability

    P(T <= −x) = P(t_(n−1) >= x) e^(x³ γ/(3 √n)),

and rises above x with that of −γ. Where rows lie mostly on one side, and seldom but far on the other, a limit meant
for 10⁻⁹ is passed far more often. Score functions have such rows where a cost changes in a tail. The formula is that of
laws with a fourth moment, for n → ∞; at the skewnesses met here it is an upper bound, as the first test finds.

Source: Wang (2005), "Limit theorems for self-normalized large deviation".
"""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from scipy.stats import t as student
from torch import Tensor

from rllab import Gaussian
from rllab.estimators import Estimator, ImportanceWeighted, ScoreFunction
from rllab.problems import (
    Bell,
    BoxHole,
    Cliff,
    Clip,
    Cosine,
    NoClosedForm,
    Orthant,
    Plateau,
    Problem,
    Ridge,
    Steps,
    Stochastic,
)
from tests.proofs.alarms import false_alarm
from tests.proofs.problems import PROBLEMS


def standardised(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return skewness and kurtosis of rows (n, d), for those components that vary."""
    y = rows - rows.mean(0)
    y = y[:, y.abs().amax(0) > 1e-9]
    y = y / y.square().mean(0).sqrt()
    return y.pow(3).mean(0), y.pow(4).mean(0)


@pytest.mark.parametrize("shape", (0.5, 1.0, 4.0))  # of a gamma law: skewness 2.8, 2 and 1
def test_the_rate_of_a_skewed_t_test_is_that_of_the_formula(shape):
    # P(T <= −5) at n = 500, from samples of the law that makes it likely, p e^(hy − h²y²/2), h = −x/√n
    n, limit, rng = 500, 5.0, np.random.default_rng(0)
    v = (np.arange(20_000) + 0.5) / 20_000 * 6  # y = v², so that the density has no pole where shape < 1
    p = v ** (2 * shape - 1) * np.exp(-v * v)
    p, y = p / p.sum(), v * v
    y = (y - p @ y) / math.sqrt(p @ (y - p @ y) ** 2)
    skewness, h = float(p @ y**3), -limit / math.sqrt(n)
    tilt = h * y - h * h * y * y / 2
    q = p * np.exp(tilt)
    total = q.sum()
    at = np.searchsorted((q / total).cumsum(), rng.random((1_000, n))).clip(max=len(y) - 1)
    rows = y[at]
    passed = rows.mean(1) / (rows.std(1, ddof=1) / math.sqrt(n)) <= -limit
    found = np.exp(n * math.log(total) - tilt[at].sum(1)) * passed
    error = found.std() / math.sqrt(len(found))
    bound = float(student.sf(limit, n - 1)) * math.exp(limit**3 * skewness / (3 * math.sqrt(n)))
    assert skewness == pytest.approx(2 / math.sqrt(shape), rel=1e-3)
    assert found.mean() - 6.5 * error < bound < 3 * (found.mean() + 6.5 * error)
    assert found.mean() > 2 * float(student.sf(limit, n - 1))  # the limit by itself is wrong by as much


@dataclass(frozen=True)
class Wide:
    """N(mean + 0.2 s, (1.3 s)²) for N(mean, s²)."""

    def __call__(self, at: Gaussian) -> Gaussian:
        s = at.parameters["scale"]
        return Gaussian(at.mean + 0.2 * s, 1.3 * s)


ESTIMATORS = [
    *(ScoreFunction(baseline) for baseline in (None, 0.7, "moving", "leave-one-out", "optimal")),
    ImportanceWeighted(Wide()),
    ImportanceWeighted(Wide(), baseline=0.4),
]
# bounded, and what changes lies within a deviation or two of the mean
BOUNDED: list[tuple[Problem, float]] = [
    (Bell(1.7), 0.8),
    (Cosine(2.1, dimension=3), 0.5),
    (Clip(-0.7, 0.4), 0.8),
    (Plateau(0.6, dimension=2), 0.7),
    (Steps((-0.4, 0.9), (1.5, -0.6)), 0.7),
    (Ridge(Plateau(0.6), direction=(0.6, -1.1, 0.2), dimension=3), 0.8),
    (Cliff(0.3, 2.0, direction=(0.6, -1.1)), 0.8),
    (BoxHole(1.4, (0.1, -0.5), (0.8, 0.6)), 0.6),
    (Orthant((0.1, -0.5)), 0.6),
]
POINT = torch.tensor([0.37, -0.61, 1.13], dtype=torch.float64)


def estimates(estimator: Estimator, problem: Problem, at: Gaussian, n: int, evaluations: int, key: int) -> Tensor:
    """Return n estimates, (n, parameters)."""
    many = Gaussian(at.mean.expand(n, -1), at.parameters["scale"].expand(n, -1))
    g = estimator(problem.cost(), many, evaluations=evaluations, key=key, errors=False).gradient
    assert isinstance(g, dict)
    return torch.cat(list(g.values()), -1)


@pytest.mark.parametrize("problem", BOUNDED, ids=lambda v: f"{type(v[0]).__name__}-{v[0].dimension}")
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
def test_bounded_costs_have_the_gradient_they_should(estimator, problem):
    # |t| < 7: with the skewness these rows have, 10⁻¹⁰ for each number and less than 5·10⁻⁸ over all of them
    (cost, scale), n = problem, 4_000
    at = Gaussian(POINT[: cost.dimension], scale)
    truth = torch.cat(list(cost.expected_gradient(at).values()))
    rows = estimates(estimator, cost, at, n, 16, key=3)
    skewness, kurtosis = standardised(rows)
    assert len(skewness) == len(truth) and float(kurtosis.max()) < 100
    assert max(false_alarm(7.0, n - 1, s) for s in skewness.tolist()) < 1e-10
    off = (rows.mean(0) - truth) / (rows.std(0) / math.sqrt(n))
    assert float(off.abs().max()) < 7.0


def test_at_a_narrow_law_far_from_the_jumps_a_t_test_has_no_rate_and_elsewhere_it_is_small():
    # 2,000 estimates of 8 evaluations at N(x, 0.2²), a limit for 10⁻⁹: costs of rare events against other functions
    rare, small = set(), 0.0
    point = torch.tensor([0.37, -0.61, 1.13, 0.22, -1.7], dtype=torch.float64)
    for problem in (p for p in PROBLEMS if p.dimension <= 3 and not isinstance(p, Stochastic)):
        at = Gaussian(point.repeat(problem.dimension)[: problem.dimension], 0.2)
        try:
            problem.expected_gradient(at)
        except NoClosedForm:
            continue
        limit = float(student.isf(1e-9 / (4 * problem.dimension), 1_999))
        for estimator in (ScoreFunction(None), ScoreFunction(), ImportanceWeighted(Wide())):
            skewness, _ = standardised(estimates(estimator, problem, at, 2_000, 8, key=7))
            rate = sum(false_alarm(limit, 1_999, s) for s in skewness.tolist())
            if rate > 1e-6:
                rare.add((type(problem).__name__, problem.dimension))
            else:
                small = max(small, rate)
    assert rare == {("BoxHole", 2), ("Cliff", 2), ("Ridge", 3), ("Steps", 1)}
    assert small < 1e-6
