"""Flat, linear and quadratic: nothing is lost by smoothing, and the variance laws are those of the real estimators."""

import pytest
import torch

from rllab import Gaussian
from rllab.estimators import GaussianSmoothing
from rllab.problems import Flat, Linear, Quadratic, Square
from tests.proofs.checks import exact_moments
from tests.proofs.oracles import assert_holds, ball_moments

DTYPE = torch.float64
AT = torch.tensor([0.9, -0.2], dtype=DTYPE)
CURVED = Quadratic(((2.0, 0.6), (0.6, -0.5)), (0.7, -1.3), offset=3.1)
POLYNOMIALS = [Flat(offset=1.7), Linear((1.9, -0.4), offset=3.1), CURVED, Quadratic((1.0, 3.0), 0.4)]
every = pytest.mark.parametrize("problem", POLYNOMIALS, ids=str)


@every
@pytest.mark.parametrize("form", ("antithetic", "forward", "one-point"))
def test_the_variance_is_that_of_gaussian_smoothing_by_quadrature(problem, form):
    sigma = 0.3
    evaluations = {"antithetic": 2, "forward": 2, "one-point": 1}[form]
    estimator = GaussianSmoothing(sigma, form)
    mean, variance = exact_moments(estimator, problem.value, AT, evaluations, units=1)
    torch.testing.assert_close(mean, problem.smoothed_gradient(AT, sigma), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(variance, problem.smoothing_variance(AT, sigma, form), rtol=1e-10, atol=1e-10)
    batch = problem.smoothing_variance(AT.expand(3, -1), sigma, form)
    assert batch.shape == (3,) and torch.equal(batch, problem.smoothing_variance(AT, sigma, form).expand(3))


@every
def test_smoothing_leaves_the_gradient_as_it_is(problem):
    for kernel in problem.kernels:
        for sigma in (1e-12, 0.3, 50.0):
            assert torch.equal(problem.smoothed_gradient(AT, sigma, kernel), problem.gradient(AT[None])[0])


@every
def test_complex_points_are_taken(problem):
    at = AT.to(torch.complex128) + torch.tensor([0.3j, -0.1j])
    conjugate = problem.value(at.conj()[None])
    torch.testing.assert_close(problem.value(at[None]), conjugate.conj())  # real coefficients


def test_a_quadratic_of_one_coordinate_is_a_square_and_rises_alike_under_both_kernels():
    line = torch.tensor([0.9], dtype=DTYPE)
    for kernel in ("gaussian", "ball"):
        bowl = Quadratic(2.0, 0.3, dimension=1).smoothed_value(line, 0.7, kernel)
        torch.testing.assert_close(bowl, Square(0.3).smoothed_value(line, 0.7, kernel))
    value, _ = ball_moments(lambda x: (x - 0.3) ** 2, [], 0.9, 0.7, 1)
    assert_holds(float(Quadratic(2.0, 0.3, dimension=1).smoothed_value(line, 0.7, "ball")), value, rtol=1e-14)


def test_only_the_diagonal_of_the_curvature_meets_the_noise():
    at = Gaussian(AT, torch.tensor([0.3, 0.8], dtype=DTYPE))
    rise = float(CURVED.expected_value(at) - CURVED.value(AT[None])[0])
    assert rise == pytest.approx((2.0 * 0.3**2 - 0.5 * 0.8**2) / 2, rel=1e-13)
    assert CURVED.expected_gradient(at)["scale"].tolist() == pytest.approx([2.0 * 0.3, -0.5 * 0.8])


def test_ball_smoothing_of_a_quadratic_adds_its_share_of_the_trace():
    # E v vᵀ = I/(d + 2) in the unit ball: 0.5 r² tr H/(d + 2)
    rise = float(CURVED.smoothed_value(AT, 0.6, "ball") - CURVED.value(AT[None])[0])
    assert rise == pytest.approx(0.5 * 0.36 * 1.5 / 4, rel=1e-13)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Linear((1.0, 2.0, 3.0)), "Linear: slope must be a finite number or a tuple of dimension = 2"),
        (lambda: Quadratic(((1.0, 2.0), (3.0, 1.0))), "Quadratic: curvature must be .* a symmetric matrix of 2 rows"),
        (lambda: Quadratic((1.0, 2.0, 3.0)), "Quadratic: curvature must be a finite number, dimension = 2 of them"),
        (lambda: Flat(offset=float("nan")), "Flat: offset must be finite"),
        (lambda: Flat(dimension=1.5), "Flat: dimension must be an integer >= 1, got 1.5"),
        (lambda: Flat().smoothing_variance(AT, 0.1, "central"), 'form must be "antithetic"'),
        (lambda: Flat().smoothing_variance(AT, -0.1), "Flat.smoothing_variance: sigma must be positive"),
    ],
)
def test_bad_arguments_are_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()
