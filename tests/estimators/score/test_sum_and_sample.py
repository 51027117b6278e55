"""SumAndSample: exact mean and variance over everything it may sample, and how it compares with plain sampling."""

import itertools

import pytest
import torch

from rllab import Bernoulli, Categorical, Cost, Gaussian, Product
from rllab.estimators import Enumeration, SumAndSample
from tests.proofs.batches import CHOICES, TABLE, payoff, prove_sum_and_sample, rest_moments
from tests.proofs.sampling import LOGITS, assert_close, enumerated, knotty


def test_it_is_unbiased_with_the_variance_of_what_it_samples():
    prove_sum_and_sample(SumAndSample)


@pytest.mark.parametrize("at", (Bernoulli(LOGITS), Product(a=Bernoulli(LOGITS[:1]), b=Bernoulli(LOGITS[1:]))))
def test_bits_and_products_have_the_exact_mean(at):
    moments = rest_moments(SumAndSample(3), knotty, at, 1)
    for name, gradient in enumerated(at, knotty).items():
        assert_close(moments[name][0], gradient.flatten())


def test_more_enumerated_outcomes_leave_less_variance():
    spread = [float(rest_moments(SumAndSample(c), payoff, CHOICES, 1)["logits"][1].trace()) for c in (1, 2, 3, 4)]
    assert all(a > b for a, b in itertools.pairwise(spread))
    assert spread[-1] < 1e-25  # only one outcome is left to be sampled


@pytest.mark.parametrize("samples", ("one-hot", "index"))
def test_a_saturated_choice_keeps_its_digits(samples):
    at = Categorical(torch.tensor([0.0, -50.0, -60.0], dtype=torch.float64), samples)
    table = torch.tensor([1.0, 3.0, -2.0], dtype=torch.float64)

    def f(x):
        return x @ table if samples == "one-hot" else table[x[:, 0].long()]

    exact = Enumeration()(Cost(f), at, evaluations=3, key=0).gradient["logits"]
    e = SumAndSample(2)(Cost(f), at, evaluations=5, key=0)
    torch.testing.assert_close(e.gradient["logits"], exact, rtol=1e-9, atol=0)
    hopeless = at.replace(logits=torch.tensor([0.0, -800.0, -900.0], dtype=torch.float64))
    g = SumAndSample(1)(Cost(f), hopeless, evaluations=5, key=0)
    assert torch.equal(g.gradient["logits"].abs() < 1e-300, torch.ones(3, dtype=torch.bool))
    assert torch.isfinite(g.standard_error["logits"]).all()


def test_gradient_is_the_mean_of_its_rows_and_value_that_of_the_costs():
    e = SumAndSample(2)(Cost(payoff), CHOICES, evaluations=9, key=3, per_unit=True)
    assert e.evaluations == 9 and e.per_unit["logits"].shape == (7, 5)
    torch.testing.assert_close(e.per_unit["logits"].mean(0), e.gradient["logits"], rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(e.per_unit["logits"].std(0) / 7**0.5, e.standard_error["logits"], rtol=1e-10, atol=1e-13)
    many = SumAndSample(4)(Cost(payoff), CHOICES, evaluations=9, key=3)  # one outcome is left: nothing is random
    torch.testing.assert_close(many.value, torch.softmax(CHOICES.logits, -1) @ TABLE, rtol=1e-12, atol=0)


def test_its_minimum_is_known_where_outcomes_are_too_many_to_be_written_down():
    assert SumAndSample(3).minimum(Bernoulli(torch.zeros(1000))) == 4


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SumAndSample(0), "enumerated must be an integer >= 1, got 0"),
        (lambda: SumAndSample(1.5), "enumerated must be an integer >= 1, got 1.5"),
        (lambda: SumAndSample("1"), "enumerated must be an integer >= 1, got '1'"),
        (lambda: SumAndSample(baseline="mean"), "baseline must be None, a finite number or one of"),
        (lambda: SumAndSample(5).ask(CHOICES, 9, 0), "enumerated must be less than the number of outcomes 5, got 5"),
        (lambda: SumAndSample(2).ask(CHOICES, 2, 0), "evaluations must be >= 3, got 2"),
        (lambda: SumAndSample().ask(Bernoulli(torch.zeros(40)), 9, 0), "all outcomes must be at most 16777216 numbers"),
        (lambda: SumAndSample().ask(Gaussian(LOGITS), 9, 0), "at must have finitely many outcomes"),
    ],
)
def test_what_cannot_be_summed_is_named(make, message):
    with pytest.raises((TypeError, ValueError), match=f"SumAndSample: {message}"):
        make()
