"""Estimators that are unbiased by theory, drawn for real, against the closed forms: the two must meet.

Each test is a z-test per coordinate with a false-alarm rate of 1e-9; what bias it would miss is asserted to be below a
fifth of the gradient it looks at.
"""

import pytest
import torch

from rllab import Bernoulli, Categorical, Cost, Gaussian
from rllab.estimators import GaussianSmoothing, ScoreFunction
from rllab.problems import (
    BallHole,
    BooleanQuadratic,
    BoxHole,
    CategoricalPayoffs,
    Cliff,
    LinearSurvival,
    Norm,
    Orthant,
    Plateau,
    Staircase,
)
from tests.proofs.checks import assert_unbiased, detectable_bias

DTYPE = torch.float64
AT = torch.tensor([0.42, -0.61, 1.13], dtype=DTYPE)
REPEATS = 20_000


def prove_unbiased(estimates, truth):
    """Mean of estimates (REPEATS, d) against the truth (d,)."""
    sd = estimates.std(0)
    assert detectable_bias(float(sd.max()), len(estimates), len(truth)) < 0.2 * float(truth.abs().max())
    assert_unbiased((estimates.mean(0) - truth) / (sd / len(estimates) ** 0.5))


@pytest.mark.parametrize(
    "problem",
    [
        Staircase(3, dimension=3),
        Plateau(0.6, dimension=3),
        Cliff(0.3, direction=(0.6, -1.1, 0.2), dimension=3),
        BoxHole(1.4, 0.1, 0.8, dimension=3),
        BallHole(1.4, 0.9, centre=(0.1, -0.5, 0.3), dimension=3),
        Norm(dimension=3),
        Orthant((0.1, -0.5, 0.9), dimension=3),
        Orthant((0.1, -0.5, 0.9), "or", dimension=3),
    ],
    ids=lambda p: type(p).__name__,
)
def test_gaussian_smoothing_and_score_function_meet_the_smoothed_and_the_expected_gradient(problem):
    sigma, at = 0.4, AT.expand(REPEATS, -1)
    smoothing = GaussianSmoothing(sigma)
    estimate = smoothing(problem.cost(), at, evaluations=40, key=0)
    prove_unbiased(estimate.gradient, problem.truth(estimate.target, AT))
    estimate = ScoreFunction()(problem.cost(), Gaussian(at, sigma), evaluations=60, key=1)
    truth = problem.truth(estimate.target, Gaussian(AT, sigma))
    prove_unbiased(estimate.gradient["mean"], truth["mean"])
    sd = estimate.gradient["scale"].std(0)
    assert_unbiased((estimate.gradient["scale"].mean(0) - truth["scale"]) / (sd / REPEATS**0.5))


@pytest.mark.parametrize(
    "problem", [Cliff(0.3, direction=(0.6, -1.1, 0.2), dimension=3), Staircase(3, dimension=3)], ids=("cliff", "stairs")
)
def test_differences_across_a_sphere_meet_the_gradient_of_the_ball(problem):
    # d/(2r) (f(θ + rv) − f(θ − rv)) v, v uniform on the sphere: Flaxman, Kalai & McMahan (2005), lemma 1
    generator = torch.Generator().manual_seed(7)
    v = torch.randn(40 * REPEATS, 3, generator=generator, dtype=DTYPE)
    v, r = v / v.norm(dim=-1, keepdim=True), 1.1
    difference = problem.value(AT + r * v) - problem.value(AT - r * v)
    prove_unbiased(3 / (2 * r) * difference[:, None] * v, problem.smoothed_gradient(AT, r, "ball"))


@pytest.mark.parametrize(
    ("problem", "at"),
    [
        (BooleanQuadratic((0.6, 0.2, 0.48), 0.3, dimension=3), Bernoulli(torch.tensor([0.4, -1.3, 0.2], dtype=DTYPE))),
        (CategoricalPayoffs(), Categorical(torch.tensor([[0.4, -1.3, 0.9]], dtype=DTYPE))),
    ],
    ids=("bits", "choice"),
)
def test_the_score_function_meets_the_gradient_in_the_logits(problem, at):
    logits = at.parameters["logits"]
    many = at.replace(logits=logits.expand(REPEATS, *logits.shape))
    estimate = ScoreFunction()(problem.cost(), many, evaluations=40, key=2)
    prove_unbiased(
        estimate.gradient["logits"].reshape(REPEATS, -1), problem.truth(estimate.target, at)["logits"].flatten()
    )


def test_smoothing_a_simulated_survival_meets_its_exact_smoothed_gradient():
    problem, at = LinearSurvival(cap=15), torch.tensor([0.1], dtype=DTYPE)
    cost = problem.cost()
    estimate = GaussianSmoothing(0.3)(cost, at.expand(2_000, -1), evaluations=20, key=3)
    prove_unbiased(estimate.gradient, problem.truth(estimate.target, at))
    assert isinstance(cost, Cost) and cost.evaluations == 40_000
