"""recommend: its pilot is counted, its laws are those of the estimators, and its first choice is near the best."""

import math
import re

import numpy as np
import pytest
import torch

from rllab import Bernoulli, BudgetExceeded, Cost, Gaussian, Target, problems, recommend
from rllab import estimators as est
from rllab.estimators import Backprop, CentralDifference, GaussianSmoothing, OrthogonalSmoothing
from rllab.keys import Key
from rllab.quality.estimates import Estimates
from rllab.recommendation import pilot as pilots
from rllab.recommendation.laws import predictions, signal_of

AT = torch.tensor([0.37, -0.61, 1.13, 0.22, -1.7], dtype=torch.float64)


def stairs(x):
    return torch.floor(4 * x).sum(-1) / 4


def named(found, kind):
    return next(c for c in found.choices if isinstance(c.estimator, kind))


@pytest.mark.parametrize("evaluations", [124, 250, 400])
def test_a_pilot_is_counted_and_stays_within_what_it_was_given(evaluations):
    cost = Cost(lambda x: x.square().sum(-1))
    found = recommend(cost, AT, evaluations, key=0)
    assert found.evaluations == cost.evaluated <= evaluations
    assert found.evaluations > evaluations - 2 - pilots.GRADIENTS


def test_the_same_key_gives_the_same_recommendation():
    one, two, other = (recommend(Cost(stairs), AT, 300, key=key) for key in (1, 1, 2))
    assert one == two and one.choices[0].error != other.choices[0].error


def test_a_linear_cost_is_known_exactly():
    found = recommend(problems.Linear(dimension=5).cost(), AT, 300, key=0, budget=33)
    d, errors = 5, {type(c.estimator).__name__ + getattr(c.estimator, "form", ""): c.error for c in found.choices}
    assert isinstance(found.best, Backprop) and found.choices[0].evaluations == 1
    assert errors["Backprop"] == pytest.approx(0, abs=1e-6) == errors["CentralDifference"]
    # 16 pairs of signs: (d − 1)/m; three whole sets of orthonormal directions and one more: (d − 1)/m²
    assert errors["SPSAantithetic"] == pytest.approx(math.sqrt((d - 1) / 16), rel=1e-6)
    assert errors["OrthogonalSmoothingantithetic"] == pytest.approx(math.sqrt((d - 1) / 16**2), rel=1e-5)


@pytest.mark.parametrize("d", [3, 2_000])  # in all dimensions, and in 500 of them
def test_noise_is_told_from_gradient(d):
    sigma, at = 0.3, torch.linspace(-1, 1, d, dtype=torch.float64)
    cost = Cost(lambda x: x.sum(-1) + 5 * torch.randn(len(x), generator=noise, dtype=x.dtype), noisy=True)
    noise = torch.Generator().manual_seed(0)
    pilot = pilots.fly(cost, at, 2_012, Key(0), sigma)
    (k, m), found = pilot.at.coordinates.shape, signal_of(pilot.at)
    assert found is not None and (k, m) == (1_000, min(d, 500))
    # N = τ²/2r²; its relative standard deviation is √(2/(K − m)), that of G by the space √(2/m)
    assert found.rest == pytest.approx(25 / (2 * sigma**2), rel=6 * math.sqrt(2 / (k - m)))
    own = math.sqrt(2 / m) * d if m < d else math.sqrt(2 / k) * d + 2 * math.sqrt(d * found.rest / k)
    assert found.gradient == pytest.approx(d, abs=6 * (found.unsure + own))


def test_how_rough_the_level_of_the_noise_is_stands_beside_it():
    n = pilots.CENTRES
    # of 20,000 times four normal values the interval holds 1 in 95 %: off by six standard deviations at most
    spreads = np.random.default_rng(0).normal(size=(20_000, n)).std(1, ddof=1)
    low, high = pilots.spread_interval(1.0)
    assert np.mean((low * spreads < 1) & (1 < high * spreads)) == pytest.approx(
        0.95, abs=6 * math.sqrt(0.05 * 0.95 / 2e4)
    )
    assert np.mean(high * spreads < 1) == pytest.approx(0.025, abs=6 * math.sqrt(0.025 / 2e4))
    noise = torch.Generator().manual_seed(0)
    noisy = Cost(lambda x: x.sum(-1) + torch.randn(len(x), generator=noise, dtype=x.dtype), noisy=True)
    (told,) = [text for text in recommend(noisy, AT, 300, key=0).findings if "standard deviation" in text]
    level, low, high = (float(text) for text in re.findall(r"(?:roughly|interval|to) ([\d.]+)", told))
    assert f"from {n} values" in told
    assert (low, high) == pytest.approx(pilots.spread_interval(level), rel=0.1)  # all three are rounded
    (none,) = [text for text in recommend(Cost(stairs), AT, 300, key=0).findings if "noise" in text]
    assert none == "no noise was seen: 4 values at these parameters are equal"


def test_sigma_is_small_on_a_smooth_cost_and_a_stairs_width_on_stairs():
    at = AT.repeat(4)  # on no edge
    smooth, steep = (recommend(Cost(f), at, 600, key=0) for f in (lambda x: x.square().sum(-1), stairs))
    assert smooth.target.radius < 0.01 and isinstance(smooth.best, Backprop)
    assert 0.02 < steep.target.radius < 0.5 and not isinstance(steep.best, Backprop)
    assert named(recommend(problems.Staircase(dimension=20).cost(), at, 600, key=0), Backprop).error == 1


def test_a_gradient_that_is_wrong_is_not_believed():
    wrong = Cost(lambda x: x.square().sum(-1), gradient=lambda x: -2 * x)
    found = recommend(wrong, AT, 300, key=0)
    assert named(found, Backprop).error == pytest.approx(2, rel=0.05) and found.choices[-1].error >= 2 * 0.95
    right = recommend(Cost(lambda x: x.square().sum(-1), gradient=lambda x: 2 * x), AT, 300, key=0)
    assert isinstance(right.best, Backprop)


def test_what_autograd_cannot_follow_is_said():
    found = recommend(Cost(lambda x: x.detach().square().sum(-1)), AT, 300, key=0)
    assert any("no gradient by autograd: Cost: function is not differentiable" in f for f in found.findings)
    assert not any(isinstance(c.estimator, Backprop) for c in found.choices)


def test_many_noisy_evaluations_are_averaged_in_the_predictions():
    problem = problems.LQR()
    few, many = (recommend(problem.cost(), torch.zeros(2).double(), 400, key=0, budget=b) for b in (20, 2000))
    for kind in (Backprop, CentralDifference):
        assert named(few, kind).error == pytest.approx(10 * named(many, kind).error, rel=0.01)
        assert named(few, kind).estimator.repeat


def test_a_flat_cost_is_called_flat():
    found = recommend(problems.Flat().cost(), torch.zeros(2), 200, key=0)
    assert math.isnan(found.choices[0].error) and "flat" in found.findings[0] and "nan" in str(found)


def test_what_the_budget_does_not_pay_for_is_not_recommended():
    at = torch.zeros(50, dtype=torch.float64)
    found = recommend(Cost(lambda x: torch.floor(x).sum(-1)), at, 400, key=0, budget=60)
    assert not any(isinstance(c.estimator, CentralDifference) for c in found.choices)
    for choice in found.choices:
        cost = Cost(lambda x: torch.floor(x).sum(-1), budget=60)
        choice.estimator(cost, at, evaluations=60, key=1)
        assert cost.evaluated == choice.evaluations


def test_bits_are_enumerated_where_that_is_affordable_and_else_scored():
    problem = problems.BooleanQuadratic((0.6, 0.2, 0.48, 0.7), 0.3, dimension=4)
    bits = Bernoulli(AT[:4])
    exact, sampled = (recommend(problem.cost(), bits, 600, key=0, budget=b) for b in (16, 15))
    assert isinstance(exact.best, est.Enumeration) and exact.choices[0].error == 0
    assert exact.target == Target.expectation() and not isinstance(sampled.best, est.Enumeration)
    first = sampled.choices[0]
    g, _, _ = Estimates(first.estimator, problem.cost(), bits, 15)(2_000, Key(3))
    truth = problem.expected_gradient(bits)["logits"]
    measured = float(((g - truth).square().sum(-1).mean() / truth.square().sum()).sqrt())
    assert 0.5 < first.error / measured < 2


def test_differentiating_through_a_jump_is_noticed_at_a_distribution():
    found = recommend(problems.Staircase(dimension=2).cost(), Gaussian(AT[:2], 0.3), 4_000, key=0)
    assert named(found, est.Pathwise).error > 0.5 > found.choices[0].error


@pytest.mark.parametrize(
    ("problem", "d"), [(problems.Quadratic(dimension=10), 10), (problems.Staircase(dimension=10), 10)]
)
def test_predicted_errors_are_the_measured_ones(problem, d):
    at = AT.repeat(2)
    found = recommend(problem.cost(), at, 1_000, key=0, budget=60)
    truth = problem.truth(found.target, at)
    for choice in found.choices:
        if isinstance(choice.estimator, (GaussianSmoothing, OrthogonalSmoothing)):
            g, _, _ = Estimates(choice.estimator, problem.cost(), at, 60)(200, Key(5))
            measured = float(((g - truth).square().sum(-1).mean() / truth.square().sum()).sqrt())
            assert max(choice.error, 0.05) == pytest.approx(max(measured, 0.05), rel=0.5), choice


def test_a_law_without_the_curvature_of_one_sided_differences_would_be_caught():
    at = torch.full((5,), 0.1, dtype=torch.float64)
    cost = Cost(lambda x: 50 * x.square().sum(-1))
    pilot = pilots.fly(cost, at, 1_000, Key(0), 0.3)
    signal = signal_of(pilot.at)
    assert signal is not None
    by_form = {
        p.estimator.form: p.square
        for p in predictions(pilot, signal, 100)
        if isinstance(p.estimator, GaussianSmoothing)
    }
    # (h²/4)((tr A)² + …) against none: A = 100 I, ‖∇f‖ = 10 √5
    assert by_form["forward"] > 5 * by_form["antithetic"]


def test_bad_arguments_are_named():
    cost = Cost(stairs)
    with pytest.raises(TypeError, match="cost must be a Cost"):
        recommend(stairs, AT, 300, key=0)
    with pytest.raises(ValueError, match="evaluations must be >= 124, got 50"):
        recommend(cost, AT, 50, key=0)
    with pytest.raises(ValueError, match="no batch"):
        recommend(cost, AT[None], 300, key=0)
    with pytest.raises(ValueError, match="sigma must be positive"):
        recommend(cost, AT, 300, key=0, sigma=0.0)
    with pytest.raises(BudgetExceeded):
        recommend(Cost(stairs, budget=100), AT, 300, key=0)
