"""ForwardGradient: exact mean and variance, and its kinship with smoothing along the same directions."""

import math

import pytest
import torch

from rllab import Cost
from rllab.estimators import ForwardGradient, GaussianSmoothing, exact_moments
from tests.proofs.checks import LINEAR, THETA, quadratic
from tests.proofs.stencils import assert_close, cubic

D, G = 2, float(LINEAR @ LINEAR)
VARIANCE = {"gaussian": (D + 1) * G, "rademacher": (D - 1) * G}


@pytest.mark.parametrize("m", (1, 2))
@pytest.mark.parametrize("directions", VARIANCE)
def test_mean_and_variance_are_the_closed_forms(directions, m):
    moments = exact_moments(ForwardGradient(directions), Cost(cubic), THETA, evaluations=m, nodes=3)
    assert_close(moments.mean, LINEAR, rtol=1e-13)
    assert float(moments.variance.sum()) == pytest.approx(VARIANCE[directions] / m, rel=1e-12)


def test_it_is_what_smoothing_becomes_along_the_same_directions():
    forward = ForwardGradient()(Cost(cubic), THETA, evaluations=7, key=3).gradient
    difference = [
        float((GaussianSmoothing(s)(Cost(cubic), THETA, evaluations=14, key=3).gradient - forward).norm())
        for s in (0.02, 0.01)
    ]
    assert difference[0] / difference[1] == pytest.approx(4, rel=1e-3)  # it vanishes as σ²
    exactly = GaussianSmoothing(0.5)(Cost(quadratic), THETA, evaluations=14, key=3).gradient
    assert_close(ForwardGradient()(Cost(quadratic), THETA, evaluations=7, key=3).gradient, exactly, rtol=1e-12)


def test_a_rotation_of_the_parameters_is_followed_in_distribution_by_gaussian_directions_only():
    turn = torch.tensor([[0.6, -0.8], [0.8, 0.6]], dtype=torch.float64)
    for directions, follows in (("gaussian", True), ("rademacher", False)):
        plain, turned = (
            exact_moments(ForwardGradient(directions), Cost(lambda x, q=q: x @ q.T @ LINEAR), THETA, evaluations=1)
            for q in (torch.eye(2, dtype=torch.float64), turn)
        )
        # Var ĝ_i = G + g_i² (Gaussian) is that of any rotated g; G − g_i² (signs) is as well, but not the covariance
        assert_close(turned.mean, turn.T @ LINEAR, rtol=1e-12)
        g = turn.T @ LINEAR
        assert_close(turned.variance, G + g**2 if follows else G - g**2, rtol=1e-12)
        assert_close(plain.variance.sum(), turned.variance.sum(), rtol=1e-12)


@pytest.mark.parametrize("directions", VARIANCE)
def test_gradient_is_the_mean_of_its_rows_and_the_error_their_standard_error(directions):
    e = ForwardGradient(directions)(Cost(cubic), THETA, evaluations=33, key=5, per_unit=True)
    assert e.per_unit.shape == (33, 2)
    assert_close(e.per_unit.mean(0), e.gradient, rtol=1e-12)
    assert_close(e.per_unit.std(0) / math.sqrt(33), e.standard_error, rtol=1e-9)
    assert_close(e.value, cubic(THETA[None])[0], rtol=1e-13)


def test_a_given_derivative_is_used_and_counted_on_its_own():
    cost = Cost(torch.floor, jvp=lambda x, v: (x[:, 0] * 0 + 7, v @ LINEAR))
    e = ForwardGradient("rademacher")(cost, THETA, evaluations=4, key=0)
    own = ForwardGradient("rademacher")(Cost(quadratic), THETA, evaluations=4, key=0)
    assert_close(e.gradient, own.gradient, rtol=1e-12)
    assert float(e.value) == 7 and cost.spent["jvp"] == 4 == sum(cost.spent.values())


def test_every_direction_of_a_noisy_cost_has_its_own_seed():
    seen = []
    ForwardGradient()(Cost(lambda x, seeds: seen.append(seeds) or cubic(x), seeded=True), THETA, evaluations=9, key=0)
    assert len(torch.cat(seen).unique()) == 9


def test_unknown_directions_are_named():
    with pytest.raises(ValueError, match="ForwardGradient: directions must be one of"):
        ForwardGradient("sphere")
