"""GumbelSoftmax and GumbelRao: exact mean and variance over their noise, published biases, and the ends of u."""

import math

import pytest
import torch

from rllab import Bernoulli, Categorical, Cost, Key
from rllab.estimators import GumbelRao, GumbelSoftmax
from rllab.estimators.relaxed.relaxation import perturbed_logits_given, rounded, standard_gumbel, standard_logistic
from tests.proofs.prescribed import Prescribed
from tests.proofs.relaxed import (
    hard_moments,
    prove_gumbel_rao,
    prove_gumbel_softmax,
    prove_hard,
    relaxed_moments,
)
from tests.proofs.sampling import assert_close, bit, enumerated, knotty, toy

CHOICES = torch.tensor([[0.5, -1.0, 0.2], [2.0, 0.1, -0.4]], dtype=torch.float64)


@pytest.mark.parametrize("temperature", (0.3, 0.5, 1.0, 2.0))
def test_it_is_unbiased_for_the_relaxed_cost_with_the_variance_of_one_term(temperature):
    prove_gumbel_softmax(GumbelSoftmax(temperature))


@pytest.mark.parametrize("temperature", (0.5, 1.0))
def test_the_hard_variant_takes_the_slope_at_the_sample(temperature):
    prove_hard(GumbelSoftmax(temperature, hard=True))


@pytest.mark.parametrize("inner", (1, 2))
def test_gumbel_rao_has_the_mean_of_the_hard_variant_and_less_noise(inner):
    prove_gumbel_rao(GumbelRao(0.5, inner))


@pytest.mark.parametrize(
    ("temperature", "at_zero", "variance", "at_one"),
    [
        (0.1, 4.96e-4, 0.083, 0.0093),
        (0.5, 4.29e-4, 0.0139, 0.0302),
        (1.0, 3.33e-4, 0.0048, 0.0299),
        (2.0, 2.15e-4, 0.0010, 0.0175),
    ],
)
def test_on_the_toy_its_bias_for_the_discrete_cost_is_this(temperature, at_zero, variance, at_one):
    # f = (b − 0.499)²; the discrete gradients are 5·10⁻⁴ at l = 0 and 3.9·10⁻⁴ at l = 1
    zero, one = bit(0.5), Bernoulli(torch.ones(1, dtype=torch.float64))
    mean, found = relaxed_moments(GumbelSoftmax(temperature), toy(), zero)
    assert_close(mean, at_zero, rtol=5e-3)
    assert_close(found, variance, rtol=5e-2)
    mean, _ = relaxed_moments(GumbelSoftmax(temperature), toy(), one)
    assert_close(mean, at_one, rtol=5e-3)
    truth = float(enumerated(one, toy())["logits"])
    assert float(mean) > 20 * truth > 0


def test_more_inner_draws_leave_the_variance_of_the_outcome():
    at = bit(0.7)
    exact = {inner: float(hard_moments(at, toy(), 0.5, inner)[1]) for inner in (1, 10, 10**9)}
    assert exact[10**9] < exact[10] < 1.1 * exact[10**9] < 0.7 * exact[1]
    e = GumbelRao(0.5, 10)(Cost(toy(), relaxed=True), at, evaluations=100_000, key=3)
    spread = float(e.standard_error["logits"]) ** 2 * 100_000
    # fourth moments of bounded rows: the sample variance is within 3 % at 6.5 standard errors
    assert spread == pytest.approx(exact[10], rel=0.03)


@pytest.mark.parametrize("at", (Bernoulli(CHOICES[0]), Categorical(CHOICES)), ids=("bits", "choices"))
@pytest.mark.parametrize("temperature", (0.4, 1.7))
def test_every_sample_is_the_derivative_by_autograd_of_the_cost_it_relaxes(at, temperature):
    estimator = GumbelSoftmax(temperature)
    e = estimator(Cost(knotty6, relaxed=True), at, evaluations=5, key=1, per_unit=True)
    block = estimator.ask(at, 5, 1)[0]
    noise = block.noise * temperature - at.logits
    for k in range(5):
        l = at.logits.clone().requires_grad_()  # noqa: E741 - the papers' letter
        z = (l + noise[k]) / temperature
        y = torch.sigmoid(z) if isinstance(at, Bernoulli) else torch.softmax(z, -1)
        assert_close(block.points[k], y.detach().flatten(), rtol=1e-12)
        (slope,) = torch.autograd.grad(knotty6(y.reshape(1, -1)).sum(), l)
        assert_close(e.per_unit["logits"][k], slope, rtol=1e-10)


def knotty6(x):
    return knotty(x[:, :3]) + (x[:, -1] * x[:, 0]).exp()


def test_the_noise_has_its_moments_and_makes_samples_of_the_right_chances():
    like, n = torch.zeros((), dtype=torch.float64), 400_000
    for draws, mean, variance in (
        (standard_logistic((n,), Key(1), like), 0.0, math.pi**2 / 3),
        (standard_gumbel((n,), Key(2), like), 0.5772156649015329, math.pi**2 / 6),
    ):
        assert abs(float(draws.mean()) - mean) < 6.5 * math.sqrt(variance / n)
        assert float(draws.var()) == pytest.approx(variance, rel=0.03)
    p = torch.softmax(CHOICES, -1).flatten()
    points = GumbelSoftmax(hard=True).ask(Categorical(CHOICES), 20_000, 0)[0].points
    assert ((points.mean(0) - p).abs() < 6.5 * (p * (1 - p) / len(points)).sqrt()).all()


def test_noise_given_a_sample_makes_that_sample_again():
    for at in (Bernoulli(CHOICES.flatten()), Categorical(CHOICES)):
        x, _ = at.draw(50, Key(1))
        z = perturbed_logits_given(at, x, 4, Key(2))
        assert torch.equal(rounded(at, z), x.expand(4, *x.shape))


def test_a_choice_of_two_given_is_a_bit_given():
    gumbels = torch.tensor([[[0.3, -0.8]], [[-1.1, 2.0]]], dtype=torch.float64)
    l = torch.tensor([0.7], dtype=torch.float64)  # noqa: E741 - the papers' letter
    for b in (0.0, 1.0):
        x = torch.tensor([[b, 1 - b]], dtype=torch.float64)
        z = perturbed_logits_given(Categorical(torch.cat((l, l - l))), x, 2, Prescribed({"gumbel": gumbels}))
        difference = (gumbels[..., 0] - gumbels[..., 1]) * (2 * b - 1)  # of the chosen and the other
        key = Prescribed({"logistic": difference[..., None]})
        expected = perturbed_logits_given(Bernoulli(l), torch.tensor([[b]], dtype=torch.float64), 2, key)
        assert_close(z[..., 0] - z[..., 1], expected)


def test_with_three_choices_both_straight_through_variants_have_one_mean():
    # difference of independent means of 40,000, within 6.5 standard errors in each of six components
    cost, at = Cost(knotty6, relaxed=True), Categorical(CHOICES)
    hard = GumbelSoftmax(0.7, hard=True)(cost, at, evaluations=40_000, key=1)
    rao = GumbelRao(0.7, 4)(cost, at, evaluations=40_000, key=2)
    variance = hard.standard_error["logits"] ** 2 + rao.standard_error["logits"] ** 2
    assert ((hard.gradient["logits"] - rao.gradient["logits"]).abs() < 6.5 * variance.sqrt()).all()
    assert (rao.standard_error["logits"] < hard.standard_error["logits"]).all()


@pytest.mark.parametrize("dtype", (torch.float32, torch.float64), ids=str)
@pytest.mark.parametrize("end", (0.0, 1.0))
@pytest.mark.parametrize("estimator", (GumbelSoftmax(0.05), GumbelSoftmax(0.05, hard=True), GumbelRao(0.05)), ids=str)
def test_the_ends_of_u_and_saturated_samples_are_finite(estimator, end, dtype):
    ends = {
        f"{stream}.uniform": lambda shape: torch.full(shape, end, dtype=torch.float64) for stream in ("sample", "inner")
    }
    extreme = torch.tensor([50.0, -50.0, 800.0, -800.0, 0.3, 0.0], dtype=dtype)
    for at in (Bernoulli(extreme), Categorical(extreme), Categorical(extreme.view(2, 3))):
        e = estimator(Cost(lambda x: knotty6(x.double()), relaxed=True), at, evaluations=3, key=Prescribed(ends))
        assert torch.isfinite(e.gradient["logits"]).all() and torch.isfinite(e.value)
        assert e.gradient["logits"].dtype == dtype


@pytest.mark.parametrize("temperature", (0.0, -1.0, math.inf, math.nan))
@pytest.mark.parametrize("family", (GumbelSoftmax, GumbelRao))
def test_a_wrong_temperature_is_named(family, temperature):
    with pytest.raises(ValueError, match=f"{family.__name__}: temperature must be positive and finite, got"):
        family(temperature)


def test_a_wrong_number_of_inner_draws_is_named():
    with pytest.raises(ValueError, match="GumbelRao: inner must be an integer >= 1, got 0"):
        GumbelRao(inner=0)
