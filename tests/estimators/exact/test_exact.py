"""exact_moments: it integrates what is really drawn, and says what it cannot integrate."""

import math

import pytest
import torch

from rllab import Bernoulli, Cost, Gaussian
from rllab.estimators import (
    CentralDifference,
    ForwardGradient,
    GaussianSmoothing,
    OrthogonalSmoothing,
    ScoreFunction,
    SobolSmoothing,
    SphereSmoothing,
    exact_moments,
)
from tests.proofs.checks import LINEAR, OFFSET, THETA, linear, quadratic
from tests.proofs.stencils import assert_close

G = float(LINEAR @ LINEAR)


def test_normal_noise_is_integrated_exactly_for_polynomials():
    m = exact_moments(GaussianSmoothing(0.3), Cost(quadratic), THETA, evaluations=2, nodes=4)
    assert_close(m.mean, LINEAR, rtol=1e-13)
    assert_close(m.variance, G + LINEAR**2, rtol=1e-12)  # of (g·u) u_i: G + g_i²


def test_signs_are_all_tried():
    m = exact_moments(ForwardGradient("rademacher"), Cost(quadratic), THETA, evaluations=3)
    assert_close(m.mean, LINEAR, rtol=1e-14)
    assert_close(m.variance, (G - LINEAR**2) / 3, rtol=1e-13)


def test_it_answers_for_each_parameter_of_a_distribution():
    m = exact_moments(ScoreFunction(None), Cost(linear), Gaussian(THETA, 0.3), evaluations=1)
    assert_close(m.mean["mean"], LINEAR, rtol=1e-12)
    assert float(m.variance["mean"].sum()) == pytest.approx(2 * OFFSET**2 / 0.3**2 + 3 * G, rel=1e-12)
    assert_close(m.mean["scale"], torch.zeros(2, dtype=torch.float64), atol=1e-12)


def test_a_method_without_noise_has_no_variance():
    m = exact_moments(CentralDifference(0.1), Cost(quadratic), THETA, evaluations=4)
    assert_close(m.mean, LINEAR)
    assert torch.equal(m.variance, torch.zeros_like(m.variance))


def test_it_agrees_with_drawing():
    # not a polynomial: the rule is fine enough if two agree, and the sample must lie around them
    k, estimator, repeats = 1.7, GaussianSmoothing(0.3, "forward"), 200_000

    def wave(x):
        return torch.cos(k * x[:, 0] - 0.3)

    at = torch.tensor([0.4], dtype=torch.float64)
    coarse, fine = (exact_moments(estimator, Cost(wave), at, evaluations=3, nodes=n) for n in (20, 24))
    assert_close(coarse.mean, fine.mean, rtol=1e-12)
    assert_close(coarse.variance, fine.variance, rtol=1e-10)
    g = estimator(Cost(wave), at.expand(repeats, 1), evaluations=3, key=1).gradient
    sd = float(fine.variance.sqrt())
    assert abs(float(g.mean() - fine.mean)) < 6.2 * sd / math.sqrt(repeats)  # false alarm below 1e-9
    fourth = float((g - g.mean()).pow(4).mean()) / sd**4
    assert abs(float(g.var()) / sd**2 - 1) < 6.2 * math.sqrt((fourth - 1) / repeats)


def test_every_evaluation_is_charged():
    cost = Cost(quadratic)
    exact_moments(GaussianSmoothing(0.3), cost, THETA, evaluations=2, nodes=5)
    assert cost.evaluations == 5**2 * 2


def test_what_cannot_be_integrated_over_is_said():
    with pytest.raises(ValueError, match="draws 20 numbers, which makes 95367431640625 combinations"):
        exact_moments(GaussianSmoothing(0.3), Cost(quadratic), THETA, evaluations=20, nodes=5)
    with pytest.raises(TypeError, match="cannot be integrated over"):
        exact_moments(ScoreFunction(), Cost(linear), Bernoulli(THETA), evaluations=2)
    with pytest.raises(TypeError, match="no noise of its own"):
        exact_moments(GaussianSmoothing(), Cost(lambda x, s: linear(x), seeded=True), THETA, evaluations=2)


@pytest.mark.parametrize(
    "estimator",
    [
        SphereSmoothing(),
        SobolSmoothing(),
        *(OrthogonalSmoothing(law=law) for law in ("haar", "gaussian", "coordinate")),
    ],
    ids=str,
)
@pytest.mark.parametrize("nodes", (8, 9))  # with a node at 0, which has no direction, and without
def test_directions_that_are_no_polynomials_of_normal_numbers_are_refused(estimator, nodes):
    with pytest.raises(TypeError, match="cannot be integrated over"):
        exact_moments(estimator, Cost(quadratic), THETA, evaluations=2, nodes=nodes)


def test_rows_of_hadamards_matrix_are_signs_and_integrated():
    m = exact_moments(OrthogonalSmoothing(law="hadamard"), Cost(quadratic), THETA, evaluations=2)
    assert_close(m.mean, LINEAR, rtol=1e-13)
    assert_close(m.variance, G - LINEAR**2, rtol=1e-12)  # d = 2, one row: that of independent signs
