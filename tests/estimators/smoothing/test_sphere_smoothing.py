"""SphereSmoothing: exact moments over the sphere, and the ball it smooths over."""

import math

import pytest
import torch

from rllab import Cost, Key
from rllab.estimators import SphereSmoothing
from rllab.estimators.smoothing.directions import uniform_sphere
from tests.proofs.checks import assert_unbiased, detectable_bias, z_scores
from tests.proofs.probing import (
    AT,
    PROBES,
    RADIUS,
    D,
    assert_close,
    curved,
    evaluations_for,
    independent,
    over,
    prove_sphere,
    sphere_rule,
)

every_form = pytest.mark.parametrize("form", PROBES)


@every_form
def test_mean_and_variance_over_the_sphere_are_the_closed_forms(form):
    prove_sphere(SphereSmoothing(RADIUS, form))


@every_form
def test_two_units_halve_the_variance(form):
    estimator, rule = SphereSmoothing(RADIUS, form), sphere_rule(4)
    _, one = over("sphere", independent(rule, 1), estimator, curved, evaluations_for(form, 1))
    _, two = over("sphere", independent(rule, 2), estimator, curved, evaluations_for(form, 2))
    assert_close(2 * two, one)


@every_form
def test_draws_are_unbiased_for_a_step(form):
    # f = 1[x₀ >= c]: ∂₀ of its ball average is the density of the ball's first coordinate at z = (θ₀ − c)/r, over r,
    # which in 3 dimensions is ¾(1 − z²)
    c, repeats, evaluations = 0.8, 100_000, 4
    z = (float(AT[0]) - c) / RADIUS
    truth = torch.tensor([0.75 * (1 - z * z) / RADIUS, 0.0, 0.0], dtype=torch.float64)
    estimator = SphereSmoothing(RADIUS, form)

    def step(x):
        return (x[:, 0] >= c).to(x)

    assert_unbiased(z_scores(estimator, step, AT, truth, evaluations, repeats, key=5))
    sd = estimator(Cost(step), AT.expand(repeats, -1), evaluations=evaluations, key=5).gradient.std(0)
    bias = detectable_bias(float(sd[0]), repeats, coordinates=D)
    print(f"{form}: a bias of {bias / float(truth[0]):.1%} would be seen with probability 0.999")
    assert bias < 0.08 * float(truth[0])


def test_a_ball_of_one_dimension_is_an_interval():
    # ĝ = (f(θ + r) − f(θ − r))/2r, whatever the sign of v: the mean slope over ±r, exactly
    at = torch.tensor([0.4], dtype=torch.float64)
    g = SphereSmoothing(0.5)(Cost(lambda x: torch.exp(x[:, 0])), at, evaluations=2, key=0).gradient
    assert float(g) == pytest.approx(math.exp(0.4) * math.sinh(0.5) / 0.5)


def test_probes_lie_on_the_sphere_and_so_give_no_value():
    query = SphereSmoothing(RADIUS).ask(AT, 20, 1)
    assert_close((query[0].points - AT).norm(dim=-1), torch.full((20,), RADIUS, dtype=torch.float64), 1e-12)
    assert SphereSmoothing(RADIUS)(Cost(curved), AT, evaluations=20, key=1).value is None


def test_directions_are_uniform_on_the_sphere():
    # E v_i = 0, E v_i² = 1/3, E v_i⁴ = 1/5 (a coordinate is uniform on [−1, 1]), E v_i v_j = 0, E v_i² v_j² = 1/15
    n = 200_000
    v = uniform_sphere((n, 3), Key(1), AT)
    moments = torch.stack(
        (v[:, 0], v[:, 1] ** 2 - 1 / 3, v[:, 2] ** 4 - 1 / 5, v[:, 0] * v[:, 1], v[:, 0] ** 2 * v[:, 1] ** 2 - 1 / 15),
        -1,
    )
    assert_unbiased(moments.mean(0) / (moments.std(0) / math.sqrt(n)))
    assert_close(v.norm(dim=-1), torch.ones(n), 1e-12)


def test_the_radius_is_checked():
    with pytest.raises(ValueError, match="SphereSmoothing: radius must be positive and finite, got -1"):
        SphereSmoothing(-1)
    with pytest.raises(ValueError, match="SphereSmoothing: form must be one of"):
        SphereSmoothing(form="two-point")
