"""GaussianSmoothing against its closed-form mean and variance, exactly, at an asymmetric point."""

import math

import pytest
import torch

from rllab import Cost
from rllab.estimators import GaussianSmoothing
from tests.proofs.checks import (
    HESSIAN,
    LINEAR,
    OFFSET,
    THETA,
    assert_unbiased,
    detectable_bias,
    exact_moments,
    linear,
    quadratic,
    z_scores,
)

D, SIGMA = 2, 0.3
G = float(LINEAR @ LINEAR)
TRACE, SQUARES = float(HESSIAN.trace()), float((HESSIAN**2).sum())
CURVED = SIGMA**2 / 4 * (D + 4) * (TRACE**2 + 2 * SQUARES)  # Var of the second-order term; E[(uᵀAu)²‖u‖²]
LEAST = {"antithetic": 2, "forward": 2, "one-point": 1}

# Trace of the covariance for one unit. Linear and quadratic f, Nesterov & Spokoiny (2017), section 3.
VARIANCES = {
    ("antithetic", linear): (D + 1) * G,
    ("antithetic", quadratic): (D + 1) * G,
    ("forward", linear): (D + 1) * G,
    ("forward", quadratic): (D + 1) * G + CURVED,
    ("one-point", linear): D * OFFSET**2 / SIGMA**2 + (D + 1) * G,
    ("one-point", quadratic): D * OFFSET**2 / SIGMA**2 + (D + 1) * G + OFFSET * TRACE * (D + 2) + CURVED,
}


@pytest.mark.parametrize(("form", "cost"), VARIANCES, ids=lambda v: getattr(v, "__name__", v))
def test_mean_and_variance_of_one_unit_are_the_closed_forms(form, cost):
    mean, variance = exact_moments(GaussianSmoothing(SIGMA, form), cost, THETA, LEAST[form], units=1)
    torch.testing.assert_close(mean, LINEAR, rtol=1e-10, atol=1e-10)  # ∇f_σ = ∇f on a quadratic
    assert float(variance) == pytest.approx(VARIANCES[form, cost], rel=1e-10)


@pytest.mark.parametrize("form", LEAST)
def test_two_units_halve_the_variance(form):
    evaluations = {"antithetic": 4, "forward": 3, "one-point": 2}[form]
    mean, variance = exact_moments(GaussianSmoothing(SIGMA, form), quadratic, THETA, evaluations, units=2, order=6)
    torch.testing.assert_close(mean, LINEAR, rtol=1e-10, atol=1e-10)
    assert float(variance) == pytest.approx(VARIANCES[form, quadratic] / 2, rel=1e-10)


@pytest.mark.parametrize("form", LEAST)
def test_mean_is_the_gradient_of_the_smoothed_cosine(form):
    # E cos(kx), x ~ N(θ, σ²), is e^(−k²σ²/2) cos(kθ)
    k, theta = 1.7, torch.tensor([0.4], dtype=torch.float64)
    truth = -k * math.exp(-(k**2) * SIGMA**2 / 2) * torch.sin(k * theta)
    mean, _ = exact_moments(
        GaussianSmoothing(SIGMA, form),
        lambda x: torch.cos(k * x[:, 0]),
        theta,
        LEAST[form],
        units=1,
        order=40,
    )
    torch.testing.assert_close(mean, truth, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("form", LEAST)
def test_draws_are_unbiased_for_a_step(form):
    # f(x) = 1[x₀ ≥ 0.5]: autograd sees nothing; ∇f_σ = φ(z)/σ at z = (θ₀ − 0.5)/σ
    theta, repeats, evaluations = torch.tensor([0.3, -0.2], dtype=torch.float64), 100_000, 4
    z = (0.3 - 0.5) / SIGMA
    truth = torch.tensor([math.exp(-z * z / 2) / math.sqrt(2 * math.pi) / SIGMA, 0.0], dtype=torch.float64)
    estimator = GaussianSmoothing(SIGMA, form)

    def step(x):
        return (x[:, 0] >= 0.5).to(x)

    assert_unbiased(z_scores(estimator, step, theta, truth, evaluations, repeats, key=11))
    sd = estimator(Cost(step), theta.expand(repeats, -1), evaluations=evaluations, key=11).gradient.std(0)
    bias = detectable_bias(float(sd[0]), repeats, coordinates=2)
    print(f"{form}: a bias of {bias / float(truth[0]):.1%} would be seen with probability 0.999")
    assert bias < 0.05 * float(truth[0])


def test_a_pair_shares_its_seed_and_pairs_differ():
    q = GaussianSmoothing(SIGMA).ask(THETA, 8, 3)
    seeds = q.seeds(q[0])
    assert torch.equal(seeds[:4], seeds[4:])
    assert len(set(seeds.tolist())) == 4
    assert bool((seeds >= 0).all())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sigma": 0.0}, "sigma must be positive"),
        ({"sigma": math.nan}, "sigma must be positive"),
        ({"form": "central"}, "form must be one of"),
    ],
)
def test_bad_hyperparameters_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        GaussianSmoothing(**arguments)
