"""The ramp's closed forms against quadrature, and the step that slopes say nothing of."""

import math

from experiments.score_function import jumps_in_outputs as script

import pytest
import torch
from scipy import integrate
from scipy.stats import norm

from rllab import estimators as est


@pytest.mark.parametrize("tau", [0.3, 1.7])
def test_mean_and_variance_of_the_ramps_slope_are_those_of_quadrature(tau):
    def mean_of(power):
        integrand = lambda x: (norm.pdf(x / tau) / tau) ** power * norm.pdf(x - 0.7)  # noqa: E731
        return integrate.quad(integrand, -10, 10, points=[0, 0.7], limit=200)[0]

    assert script.slope_of_mean(tau, 0.7) == pytest.approx(mean_of(1), rel=1e-9)
    assert script.pathwise_variance(tau, 0.7) == pytest.approx(mean_of(2) - mean_of(1) ** 2, rel=1e-8)


def test_at_the_jump_the_right_gradient_is_the_density_there_and_the_pathwise_one_is_nothing():
    at = script.distribution(0.7)
    e = est.Pathwise()(script.ramp(0.0), at, evaluations=100, key=0)
    assert e.gradient["mean"].item() == 0 and e.standard_error["mean"].item() == 0
    exact = est.Quadrature(jumps=(0.0,))(script.ramp(0.0), at, evaluations=10_000, key=0).gradient["mean"].item()
    assert script.slope_of_mean(0.0, 0.7) == pytest.approx(exact, rel=1e-9)
    assert exact == pytest.approx(norm.pdf(0.7), rel=1e-9)


def test_the_best_mean_is_where_the_expected_bowl_is_least():
    best = script.best_mean()
    assert script.bowl_mean(best) < min(script.bowl_mean(best + off) for off in (-0.01, 0.01, script.BOTTOM - best))
    x = torch.tensor([[-1.0], [1.0]], dtype=torch.float64)
    assert script.bowl_with_step(x).tolist() == [0.0, -0.5]
    assert math.isclose(script.bowl_mean(0.0), 2 / 8 - 0.5)
