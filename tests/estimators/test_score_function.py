"""ScoreFunction against its closed-form mean and variance, exactly, at an asymmetric point."""

import math

import pytest
import torch
from checks import HESSIAN, LINEAR, NOISE_SOURCES, OFFSET, THETA, exact_moments, linear, quadratic

from rllab import Cost, Gaussian
from rllab.estimators import GaussianSmoothing, ScoreFunction
from rllab.estimators.baselines import advantages

D, SCALE = 2, 0.3
G = float(LINEAR @ LINEAR)


def test_without_baseline_the_mean_gradient_has_the_closed_form_moments(monkeypatch):
    moments = exact_moments(monkeypatch, ScoreFunction(None), linear, THETA, 1, units=1, scale=SCALE)
    mean, variance = moments["mean"]
    torch.testing.assert_close(mean, LINEAR, rtol=1e-10, atol=1e-10)
    # Var = d f(μ)²/s² + (d+1) G, Mohamed et al. (2020), section 4.3.1
    assert float(variance) == pytest.approx(D * OFFSET**2 / SCALE**2 + (D + 1) * G, rel=1e-10)


def test_the_scale_gradient_is_that_of_the_expected_quadratic(monkeypatch):
    # E f = f(μ) + Σ A_ii s_i²/2, so ∂/∂s_i = A_ii s_i
    scale = torch.tensor([0.3, 0.8], dtype=torch.float64)
    mean, _ = exact_moments(monkeypatch, ScoreFunction(None), quadratic, THETA, 1, units=1, scale=scale)["scale"]
    torch.testing.assert_close(mean, HESSIAN.diagonal() * scale, rtol=1e-10, atol=1e-10)


def test_the_square_cost_has_the_variance_known_in_one_dimension(monkeypatch):
    # f = (x − k)², a = μ − k: Var_μ = (a⁴ + 18a²s² + 15s⁴)/s² − 4a², which is 495 at a = 4, s = 1
    at = torch.tensor([1.0], dtype=torch.float64)
    m = exact_moments(monkeypatch, ScoreFunction(None), lambda x: (x[:, 0] + 3) ** 2, at, 1, units=1, scale=1.0)
    assert float(m["mean"][0]) == pytest.approx(8.0, rel=1e-10)
    assert float(m["mean"][1]) == pytest.approx(495.0, rel=1e-10)


def test_a_constant_baseline_shifts_the_cost_it_multiplies(monkeypatch):
    b = 2.4
    mean, variance = exact_moments(monkeypatch, ScoreFunction(b), linear, THETA, 1, units=1, scale=SCALE)["mean"]
    torch.testing.assert_close(mean, LINEAR, rtol=1e-10, atol=1e-10)
    assert float(variance) == pytest.approx(D * (OFFSET - b) ** 2 / SCALE**2 + (D + 1) * G, rel=1e-10)


@pytest.mark.parametrize("k", (2, 3))
def test_leave_one_out_is_unbiased_with_the_closed_form_variance(monkeypatch, k):
    at, slope = torch.tensor([0.7], dtype=torch.float64), 1.9

    def line(x):
        return OFFSET + slope * x[:, 0]

    m = exact_moments(monkeypatch, ScoreFunction("leave-one-out"), line, at, k, units=k, scale=SCALE)
    mean, variance = m["mean"]
    assert float(mean) == pytest.approx(slope, rel=1e-10)
    assert float(variance) == pytest.approx((1 + 1) * slope**2 / (k - 1), rel=1e-10)  # (d+1)G/(K−1)
    assert float(m["scale"][0]) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("k", (2, 3))
def test_the_mean_of_the_batch_as_baseline_is_biased_by_exactly_one_over_k(monkeypatch, k):
    at = torch.tensor([0.7], dtype=torch.float64)
    mean, _ = exact_moments(monkeypatch, ScoreFunction("mean"), lambda x: x[:, 0] ** 2, at, k, units=k, scale=SCALE)[
        "mean"
    ]
    assert float(mean) == pytest.approx((1 - 1 / k) * 2 * 0.7, rel=1e-10)
    assert not ScoreFunction("mean").unbiased


@pytest.mark.parametrize("baseline", (None, 1.5, "mean", "leave-one-out"))
def test_gradient_is_the_mean_of_its_rows_and_rows_use_the_shared_advantages(baseline):
    costs = []

    def recording(x):
        costs.append(quadratic(x))
        return costs[-1]

    at = Gaussian(THETA, SCALE)
    e = ScoreFunction(baseline)(Cost(recording), at, evaluations=7, key=3, rows=True)
    query = ScoreFunction(baseline).ask(at, 7, 3)
    score = (query[0].points - THETA) / SCALE**2
    expected = advantages(torch.cat(costs), baseline)[:, None] * score
    torch.testing.assert_close(e.rows["mean"], expected, rtol=1e-6, atol=1e-6)  # u is recovered from x in float64
    for name in ("mean", "scale"):
        torch.testing.assert_close(e.rows[name].mean(0), e.gradient[name])
        torch.testing.assert_close(e.rows[name].std(0) / math.sqrt(7), e.standard_error[name])


def test_one_point_smoothing_is_the_score_function_of_a_gaussian_mean_sample_by_sample(monkeypatch):
    u = torch.tensor([[0.3, -1.1], [2.0, 0.4], [-0.7, 0.9]], dtype=torch.float64)
    for source in NOISE_SOURCES:
        monkeypatch.setattr(source, lambda shape, key, like: u.clone())
    smoothing = GaussianSmoothing(SCALE, "one-point")(Cost(quadratic), THETA, evaluations=3, key=9)
    score = ScoreFunction(None)(Cost(quadratic), Gaussian(THETA, SCALE), evaluations=3, key=9)
    torch.testing.assert_close(smoothing.gradient, score.gradient["mean"], rtol=1e-12, atol=1e-12)


def test_a_large_constant_leaves_leave_one_out_unchanged():
    at = Gaussian(THETA, SCALE)
    plain = ScoreFunction()(Cost(quadratic), at, evaluations=40_000, key=1)
    shifted = ScoreFunction()(Cost(lambda x: quadratic(x) + 2.0**20), at, evaluations=40_000, key=1)
    torch.testing.assert_close(plain.gradient["mean"], shifted.gradient["mean"], rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(plain.standard_error["mean"], shifted.standard_error["mean"], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("baseline", ("median", True, math.inf, (1,)))
def test_an_unknown_baseline_is_named(baseline):
    with pytest.raises(ValueError, match="ScoreFunction: baseline must be None"):
        ScoreFunction(baseline)


def test_leave_one_out_needs_two_samples():
    with pytest.raises(ValueError, match="evaluations must be >= 2, got 1"):
        ScoreFunction()(Cost(linear), Gaussian(THETA, 1.0), evaluations=1, key=0)


def test_a_tensor_is_no_distribution():
    with pytest.raises(TypeError, match="at must be a Distribution, got Tensor"):
        ScoreFunction()(Cost(linear), THETA, evaluations=4, key=0)


@pytest.mark.parametrize(
    ("mean", "scale", "message"),
    [
        (THETA, -1.0, "scale must be positive"),
        (THETA, torch.ones(3), "scale must broadcast"),
        (torch.tensor([1, 2]), 1.0, "mean must be a floating tensor"),
    ],
)
def test_a_gaussian_checks_its_parameters(mean, scale, message):
    with pytest.raises(ValueError, match=message):
        Gaussian(mean, scale)
