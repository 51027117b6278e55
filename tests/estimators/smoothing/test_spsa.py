"""SPSA: exact moments over all 2ᵈ signs, in all three forms, and what it is an unbiased estimate of."""

import pytest
import torch

from rllab import Cost
from rllab.estimators import SPSA, GaussianSmoothing
from tests.proofs.checks import assert_unbiased, detectable_bias, z_scores
from tests.proofs.probing import (
    AT,
    PROBES,
    RADIUS,
    D,
    G,
    assert_close,
    curved,
    evaluations_for,
    independent,
    over,
    prove_spsa,
    sign_rule,
    smoothed_wave_gradient,
    straight,
    wave,
)

every_form = pytest.mark.parametrize("form", PROBES)


@every_form
def test_mean_and_variance_over_all_signs_are_the_closed_forms(form):
    prove_spsa(SPSA(RADIUS, form))


@every_form
def test_draws_are_unbiased_for_the_component_kernels(form):
    estimator, repeats, evaluations = SPSA(RADIUS, form), 100_000, 4
    truth = smoothed_wave_gradient("rademacher", RADIUS)
    assert_unbiased(z_scores(estimator, wave, AT, truth, evaluations, repeats, key=3))
    sd = estimator(Cost(wave), AT.expand(repeats, -1), evaluations=evaluations, key=3).gradient.std(0)
    bias = detectable_bias(float(sd.max()), repeats, coordinates=D)
    print(f"{form}: a bias of {bias / float(truth.abs().max()):.1%} would be seen with probability 0.999")
    assert bias < 0.1 * float(truth.abs().max())


def test_its_mean_is_no_gradient_of_any_one_cost():
    # A gradient field has a symmetric Jacobian; central differences of the exact mean say that this one has not
    h, estimator, rule = 1e-4, SPSA(1.0), independent(sign_rule(), 1)
    jacobian = torch.stack(
        [
            (over("sign", rule, estimator, wave, 2, AT + e)[0] - over("sign", rule, estimator, wave, 2, AT - e)[0])
            / (2 * h)
            for e in h * torch.eye(D, dtype=torch.float64)
        ]
    )
    assert float((jacobian - jacobian.T).abs().max()) > 0.1 * float(jacobian.abs().max())


def test_two_units_halve_the_variance():
    rule = independent(sign_rule(), 2)
    for form in PROBES:
        estimator = SPSA(RADIUS, form)
        _, one = over("sign", independent(sign_rule(), 1), estimator, curved, evaluations_for(form, 1))
        _, two = over("sign", rule, estimator, curved, evaluations_for(form, 2))
        assert_close(2 * two, one)


def test_it_has_two_gradients_less_variance_than_gaussian_smoothing_of_a_line():
    _, signs = over("sign", independent(sign_rule(), 1), SPSA(RADIUS), straight, 2)
    assert float(signs.trace()) == pytest.approx((D + 1) * G - 2 * G)


def test_the_standard_error_needs_no_squares_of_signs():
    e = SPSA(RADIUS)(Cost(curved), AT, evaluations=40, key=5, per_unit=True)
    assert_close(e.per_unit.std(0) / 20**0.5, e.standard_error, 1e-12)


def test_directions_are_signs():
    noise = SPSA().ask(AT, 200, 1)[0].noise
    assert noise.shape == (100, D) and set(noise.flatten().tolist()) == {-1.0, 1.0}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sigma": 0.0}, "SPSA: sigma must be positive and finite, got 0.0"),
        ({"sigma": float("inf")}, "SPSA: sigma must be positive and finite, got inf"),
        ({"form": "one-sided"}, "SPSA: form must be one of .*, got 'one-sided'"),
    ],
)
def test_bad_hyperparameters_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        SPSA(**arguments)


def test_its_target_is_not_that_of_gaussian_smoothing():
    assert SPSA(0.1).target != GaussianSmoothing(0.1).target
