"""Pathwise: exact mean and variance over its normal number, and that a jump makes it wrong without a sign."""

import pytest
import torch

from rllab import Bernoulli, Beta, Cost, Dirichlet, Gamma, Gaussian
from rllab.estimators import MeasureValued, Pathwise, ScoreFunction
from rllab.problems import Absolute, Bell, Cosine, Pivot, Relu, Square, Steps
from tests.proofs.checks import HESSIAN, LINEAR, OFFSET, THETA, exact_moments, linear, quadratic
from tests.proofs.sampling import assert_close, path_moments, prove_pathwise

# as in test_measure_valued: gradient and variance of one pathwise sample, by mean and by scale
FIGURES = [
    (Square(-3.0), (8.0, 4.0), (2.0, 72.0)),
    (Square(0.0), (2.0, 4.0), (2.0, 12.0)),
    (Square(3.0), (-4.0, 4.0), (2.0, 24.0)),
    (Bell(0.1), (-0.1400, 0.01629), (-0.1167, 0.02777)),
    (Bell(1.0), (-0.2758, 0.2117), (-0.0919, 0.1757)),
    (Bell(10.0), (-0.1291, 0.9416), (-0.0061, 0.892)),
    (Cosine(0.5), (-0.2115, 0.03928), (-0.1936, 0.08751)),
    (Cosine(1.0), (-0.5104, 0.2677), (-0.3277, 0.3081)),
    (Cosine(5.0), (0.0, 12.5), (0.0, 12.5)),
]


def test_it_has_its_closed_form_moments():
    prove_pathwise(Pathwise())


@pytest.mark.parametrize(("problem", "by_mean", "by_scale"), FIGURES, ids=str)
def test_the_variances_of_the_published_comparison(problem, by_mean, by_scale):
    found = path_moments(Pathwise(), problem.cost())
    truth = problem.expected_gradient(Gaussian(torch.ones(1, dtype=torch.float64), 1.0))
    for name, (gradient, variance) in (("mean", by_mean), ("scale", by_scale)):
        mean, covariance = found[name]
        assert_close(mean, truth[name], atol=1e-10)
        assert_close(mean, gradient, rtol=5e-4, atol=5e-5)
        assert_close(covariance, variance, rtol=5e-4)


def test_in_two_dimensions_it_has_the_variance_of_a_quadratic():
    # ∇f = g + A s u: Var = Σ_ij A_ij² s_j², s²‖A‖_F² where all are the same; by scale i, with u_i in it, see below
    for scale in (torch.tensor([0.4, 0.4]), torch.tensor([0.3, 0.8])):
        s = scale.double()
        found = exact_moments(Pathwise(), quadratic, THETA, 1, units=1, order=4, scale=s)
        assert_close(found["mean"][0], LINEAR)
        assert_close(found["mean"][1], (HESSIAN**2 @ s**2).sum())
        if s[0] == s[1]:
            assert_close(found["mean"][1], s[0] ** 2 * HESSIAN.norm() ** 2)
        # Var g_i u_i + Σ_j A_ij s_j u_j u_i = g_i² + Σ_j A_ij² s_j² + A_ii² s_i²
        own = HESSIAN.diagonal() * s
        assert_close(found["scale"][0], own)
        assert_close(found["scale"][1], (LINEAR**2 + HESSIAN**2 @ s**2 + own**2).sum())


def test_on_a_quadratic_its_variance_is_that_of_the_hessian_and_on_a_line_nothing():
    # ∇f = g + A s u: Var = s²‖A‖_F², every row exact given u
    s = 0.4
    at = Gaussian(THETA, s)
    e = Pathwise()(Cost(quadratic), at, evaluations=7, key=1, per_unit=True)
    u = Pathwise().ask(at, 7, 1)[0].noise
    assert_close(e.per_unit["mean"], LINEAR + s * u @ HESSIAN, rtol=1e-12)
    assert_close(e.per_unit["scale"], (LINEAR + s * u @ HESSIAN) * u, rtol=1e-12)
    straight = Pathwise()(Cost(lambda x: linear(x) + OFFSET), at, evaluations=7, key=1)
    assert_close(straight.gradient["mean"], LINEAR)
    assert float(straight.standard_error["mean"].max()) < 1e-7  # rounding of a difference of squares


@pytest.mark.parametrize("problem", (Relu(0.2), Absolute()), ids=str)
def test_a_kink_does_no_harm(problem):
    kink = getattr(problem, "edge", 0.0)
    found = path_moments(Pathwise(), problem.cost(), mean=kink + 0.5, scale=0.25)  # at u = −2, between panels
    truth = problem.expected_gradient(Gaussian(torch.tensor([kink + 0.5], dtype=torch.float64), 0.25))
    for name in truth:
        assert_close(found[name][0], truth[name], atol=1e-10)


@pytest.mark.parametrize("problem", (Steps((0.4,), 2.0), Steps((-0.2, 0.9), (1.0, 2.5))), ids=str)
def test_a_jump_makes_it_wrong_and_nothing_shows_it(problem):
    at = Gaussian(torch.tensor([0.6], dtype=torch.float64), 0.5)
    truth = problem.expected_gradient(at)
    e = Pathwise()(problem.cost(), at, evaluations=1_000, key=0)
    for name in truth:
        assert abs(float(truth[name])) > 0.1  # while
        assert float(e.gradient[name]) == float(e.standard_error[name]) == 0
    # and what sees values only is right, to 7 standard errors of 1,000 evaluations
    for estimator in (MeasureValued(), ScoreFunction()):
        other = estimator(problem.cost(), at, evaluations=1_000, key=0)
        for name in truth:
            assert abs(other.gradient[name] - truth[name]) < 7 * other.standard_error[name]


def test_a_jump_between_slopes_gives_a_wrong_slope_that_looks_sure():
    problem = Pivot()
    at = Gaussian(torch.tensor([0.75], dtype=torch.float64), 0.1)
    e, truth = Pathwise()(problem.cost(), at, evaluations=4_000, key=0), problem.expected_gradient(at)["mean"]
    assert abs(e.gradient["mean"] - truth) > 50 * e.standard_error["mean"]


def test_a_gradient_evaluation_is_what_a_sample_costs():
    cost = Cost(quadratic)
    e = Pathwise()(cost, Gaussian(THETA, 0.4), evaluations=5, key=0)
    assert cost.spent["gradient"] == e.evaluations == 5 and cost.spent["value"] == 0
    assert_close(e.value, quadratic(Pathwise().ask(Gaussian(THETA, 0.4), 5, 0)[0].points).mean())


@pytest.mark.parametrize("at", (Gamma(THETA.abs()), Beta(THETA.abs()), Dirichlet(THETA.abs())))
def test_it_points_to_implicit_paths_where_there_are_such(at):
    with pytest.raises(TypeError, match=f"^Pathwise: .* got {type(at).__name__}, which ImplicitPathwise takes$"):
        Pathwise().ask(at, 4, 0)


@pytest.mark.parametrize("at", (THETA, Bernoulli(THETA)), ids=("a tensor", "bits"))
def test_it_is_for_gaussians_only(at):
    with pytest.raises(TypeError, match="Pathwise: at must be a Gaussian, got"):
        Pathwise().ask(at, 4, 0)
