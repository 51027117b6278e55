"""MeasureValued: exact mean and variance over everything it draws, and the published comparison; see also _blocks."""

import math

import pytest
import torch

from rllab import Bernoulli, Categorical, Cost, Gamma, Gaussian, Key, Poisson, Product
from rllab.estimators import MeasureValued, ScoreFunction
from rllab.estimators.score import weak_derivatives
from rllab.estimators.score.weak_derivatives import maxwell, rayleigh
from rllab.problems import Bell, Cosine, Square, Steps
from tests.proofs.prescribed import Prescribed
from tests.proofs.sampling import (
    LOGITS,
    all_outcomes,
    assert_close,
    bit,
    knotty,
    moments,
    panels,
    product_rule,
    prove_measure_valued,
    weak_moments,
    weighted,
)

# Mohamed et al. (2020), figures 2 and 3: N(1, 1), f = (x − k)², exp(−kx²), cos(kx); by mean and by scale the gradient
# and the variance of one coupled measure-valued sample, integrated independently of this code
FIGURES = [
    (Square(-3.0), (8.0, 17.49), (2.0, 68.0)),
    (Square(0.0), (2.0, 1.093), (2.0, 8.0)),
    (Square(3.0), (-4.0, 4.372), (2.0, 20.0)),
    (Bell(0.1), (-0.1400, 0.002509), (-0.1167, 0.02197)),
    (Bell(1.0), (-0.2758, 0.01257), (-0.0919, 0.07066)),
    (Bell(10.0), (-0.1291, 0.02066), (-0.0061, 0.1167)),
    (Cosine(0.5), (-0.2115, 0.008275), (-0.1936, 0.06527)),
    (Cosine(1.0), (-0.5104, 0.0280), (-0.3277, 0.2026)),
    (Cosine(5.0), (0.0, 0.2957), (0.0, 1.0)),
]
CHOICES = torch.tensor([[0.5, -1.0, 0.2], [2.0, 0.1, -0.4]], dtype=torch.float64)


def test_it_has_its_closed_form_moments():
    prove_measure_valued(MeasureValued())


@pytest.mark.parametrize(
    ("problem", "by_mean", "by_scale"), FIGURES, ids=lambda v: str(v) if isinstance(v, Square) else ""
)
def test_the_variances_of_the_published_comparison(problem, by_mean, by_scale):
    found = weak_moments(MeasureValued(), problem.value)
    truth = problem.expected_gradient(Gaussian(torch.ones(1, dtype=torch.float64), 1.0))
    for name, (gradient, variance) in (("mean", by_mean), ("scale", by_scale)):
        mean, covariance = found[name]
        assert_close(mean, truth[name], atol=1e-8)
        assert_close(mean, gradient, rtol=5e-4, atol=5e-5)
        assert_close(covariance, variance, rtol=5e-4)


def test_a_step_is_estimated_without_bias():
    # E 1[x >= a] = Φ((μ − a)/s); pairs jump where |x − μ| crosses it, so W is cut there
    problem = Steps((1.7,), 2.0)
    at = Gaussian(torch.ones(1, dtype=torch.float64), 0.5)
    w, v = panels([0.0, 1.4, 3.0, 6.0, 10.0], 24)
    rule = {"rayleigh": w[:, None, None]}
    mean, _ = moments(rule, v * w * torch.exp(-w * w / 2), MeasureValued(), problem.value, at, 4)["mean"]
    assert_close(mean, problem.expected_gradient(at)["mean"])


def test_the_other_coordinates_are_drawn_and_not_held():
    # f = x_0 x_1² + cos x_1; E ∂_0 = μ_1² + s_1², E ∂_1 = 2 μ_0 μ_1 − e^(−s²/2) sin μ_1
    mu, s = torch.tensor([0.7, -1.3], dtype=torch.float64), 0.6
    edges = torch.arange(-9.0, 10.0)
    u, v = panels(edges, 8)
    w, omega = panels(edges[edges >= 0], 8)
    nodes, weights = product_rule(
        (u, v * torch.exp(-u * u / 2) / math.sqrt(2 * math.pi)), (w, omega * w * torch.exp(-w * w / 2))
    )
    # the estimate of one mean depends on its own w and the other's u: both may have the same numbers
    drawn = {
        "normal": nodes[:, None, :1].expand(-1, 1, 2),
        "rayleigh": nodes[:, None, 1:].expand(-1, 1, 2),
        "maxwell": torch.ones(len(nodes), 1, 2, dtype=torch.float64),
    }
    f = Cost(lambda x: x[:, 0] * x[:, 1] ** 2 + torch.cos(x[:, 1]))
    mean, _ = moments(drawn, weights, MeasureValued(), f, Gaussian(mu, s), 8)["mean"]
    expected = (mu[1] ** 2 + s * s, 2 * mu[0] * mu[1] - math.exp(-s * s / 2) * torch.sin(mu[1]))
    assert_close(mean, torch.stack(expected))


def test_choices_may_be_indices():
    table = torch.tensor([0.3, -1.2, 0.9], dtype=torch.float64)
    as_vectors, as_numbers = (
        MeasureValued()(Cost(f), Categorical(CHOICES, samples), evaluations=36, key=2).gradient["logits"]
        for f, samples in (
            (lambda x: (x.view(-1, 2, 3) @ table).prod(-1), "one-hot"),
            (lambda x: table[x.long()].prod(-1), "index"),
        )
    )
    assert_close(as_numbers, as_vectors)


def test_counts_are_raised_by_one(monkeypatch):
    # f = e^(−x/3): E f = exp(λ(r − 1)), r = e^(−1/3); ĝ = (r − 1) f(x), E f² = exp(λ(r² − 1))
    rate, r = 2.3, math.exp(-1 / 3)
    x = torch.arange(80, dtype=torch.float64)
    weights = torch.exp(x * math.log(rate) - rate - torch.lgamma(x + 1))
    monkeypatch.setattr(Poisson, "draw", lambda *_: (x[None, :, None], None))
    at = Poisson(torch.tensor([rate], dtype=torch.float64))
    mean, variance = moments({}, weights, MeasureValued(), lambda x: torch.exp(-x[:, 0] / 3), at, 2)["rate"]
    assert_close(mean, (r - 1) * math.exp(rate * (r - 1)))
    assert_close(variance, (r - 1) ** 2 * (math.exp(rate * (r * r - 1)) - math.exp(2 * rate * (r - 1))))


def test_the_laws_it_draws_have_their_moments():
    # E W = √(π/2), E W² = 2; E M = 0, E M² = 3, E M⁴ = 15; means of 400,000 draws within 6.5 standard errors
    like, n = torch.zeros((), dtype=torch.float64), 400_000
    w, m = rayleigh((n,), Key(1), like), maxwell((n,), Key(2), like)
    for draws, mean, square in ((w, math.sqrt(math.pi / 2), 2.0), (w**2, 2.0, 8.0), (m, 0.0, 3.0), (m**2, 3.0, 15.0)):
        assert abs(float(draws.mean()) - mean) < 6.5 * math.sqrt((square - mean**2) / n)


def test_the_ends_of_the_uniform_numbers_are_finite():
    ends = torch.tensor([0.0, 1 - 2.0**-53], dtype=torch.float64)
    w = rayleigh((2,), Prescribed({"uniform": ends}), ends)
    assert w[0] == 0 and 8 < w[1] < 9


def test_saturated_bits_and_choices_give_tiny_right_answers():
    weights = torch.tensor([1.0, -3.0, 2.0], dtype=torch.float64)
    at = Bernoulli(torch.tensor([50.0, -50.0, 0.4], dtype=torch.float64))
    g = MeasureValued()(Cost(lambda x: x @ weights), at, evaluations=6, key=0).gradient["logits"]
    assert_close(g, weights / (4 * torch.cosh(at.logits / 2) ** 2), rtol=1e-12, atol=0)
    choice = Categorical(torch.tensor([50.0, 0.0, -20.0], dtype=torch.float64))
    g = MeasureValued()(Cost(lambda x: x @ weights), choice, evaluations=6, key=0).gradient["logits"]
    assert_close(
        g[1:], (choice.logits[1:] - 50).exp() * torch.tensor([-4.0, 1.0], dtype=torch.float64), rtol=1e-12, atol=0
    )


def test_a_constant_changes_no_sample_and_a_factor_scales_it():
    for at, k in ((Gaussian(LOGITS, 0.4), 12), (Bernoulli(LOGITS), 6), (Categorical(LOGITS), 6)):
        plain, shifted, scaled = (
            MeasureValued()(
                Cost(lambda x, a=a, c=c: a * knotty(x) + c), at, evaluations=3 * k + 1, key=4, per_unit=True
            ).per_unit
            for a, c in ((1.0, 0.0), (1.0, 64.0), (-4.0, 0.0))
        )
        for name, rows in plain.items():
            assert_close(shifted[name], rows, atol=1e-12)
            assert_close(scaled[name], -4 * rows, rtol=1e-12)


def test_a_sample_costs_two_evaluations_for_each_parameter_and_the_rest_is_left():
    for at, cost in ((Gaussian(LOGITS, 0.4), 12), (Bernoulli(LOGITS), 6), (Poisson(LOGITS.exp()), 6)):
        assert MeasureValued().minimum(at) == cost
        counted = Cost(knotty)
        e = MeasureValued()(counted, at, evaluations=3 * cost + 5, key=0, per_unit=True)
        assert e.evaluations == counted.evaluations == 3 * cost and e.value is None
        assert all(len(rows) == 3 for rows in e.per_unit.values())


def test_both_points_of_every_parameter_share_the_seed_of_their_sample():
    query = MeasureValued().ask(Bernoulli(LOGITS), 12, 0)
    seeds = query.seeds(query[0]).view(2, 6)
    assert (seeds == seeds[:, :1]).all() and seeds[0, 0] != seeds[1, 0]


def test_it_agrees_with_the_score_function_in_the_mean():
    many, weights, key = all_outcomes(bit(0.3), 1)
    score, measure = (
        weighted(estimator(Cost(knotty), many, evaluations=n, key=key).gradient["logits"], weights)[0]
        for estimator, n in ((ScoreFunction(None), 1), (MeasureValued(), 2))
    )
    assert_close(measure, score)


@pytest.mark.parametrize(
    "at", (LOGITS, "Gaussian", Product(a=Bernoulli(LOGITS), b=Gamma(LOGITS.exp()))), ids=lambda v: type(v).__name__
)
def test_it_is_for_the_families_whose_weak_derivatives_it_knows(at):
    with pytest.raises(
        TypeError, match="MeasureValued: at must be a Bernoulli or Categorical or Gaussian or Poisson or Product, got"
    ):
        MeasureValued().ask(at, 100, 0)


def coupled(x):
    """A cost of a number, a choice among three and, in between, a bit: a product of one function of each."""
    return x[:, 0] ** 2 * (0.5 + x[:, 1]) * (1 + x[:, 2:] @ CHOICES[0].to(x))


def prove_product() -> None:
    """z-tests of 6 numbers, P(|z| > 6.5) = 8·10⁻¹¹ each, at a product within a product."""
    at = Product(
        speed=Gaussian(LOGITS[:1] + 0.6, 0.7), more=Product(lamp=Bernoulli(LOGITS[1:2]), gear=Categorical(CHOICES[1]))
    )
    leaves = {name: value.clone().requires_grad_() for name, value in at.parameters.items()}
    mean, scale, bit, gear = leaves.values()
    factors = mean**2 + scale**2, 0.5 + torch.sigmoid(bit), 1 + torch.softmax(gear, -1) @ CHOICES[0]
    truth = torch.autograd.grad(factors[0] * factors[1] * factors[2], list(leaves.values()))
    assert MeasureValued().minimum(at) == 2 * 6
    e = MeasureValued()(Cost(coupled), at, evaluations=12 * 20_000, key=5)
    assert list(e.gradient) == list(at.parameters)
    for name, expected in zip(leaves, truth, strict=True):
        assert float(((e.gradient[name] - expected) / e.standard_error[name]).abs().max()) < 6.5


def test_blocks_of_a_product_have_the_means_they_should():
    prove_product()


def test_a_product_whose_other_blocks_stand_still_is_caught(monkeypatch):
    right = weak_derivatives._with_block
    monkeypatch.setattr(weak_derivatives, "_with_block", lambda x, own, p: right(x[:1].expand_as(x), own, p))
    with pytest.raises(AssertionError):
        prove_product()


def test_each_problem_of_a_product_has_the_gradient_of_its_own_costs():
    one = Product(speed=Gaussian(LOGITS[:1], 0.7), gear=Categorical(CHOICES[:1]))
    many = Product(speed=Gaussian(LOGITS[:1].expand(3, 1), 0.7), gear=Categorical(CHOICES[:1].expand(3, 1, 3)))
    query = MeasureValued().ask(many, 30, 0)
    points = query[0].points
    assert points.shape == (30, 3, 4) and MeasureValued().minimum(one) == 10
    values = coupled(torch.cat((points[..., :1], points), -1).view(-1, 5)).view(30, 3)
    together = MeasureValued().tell(query, values).gradient
    for b in range(3):
        alone = MeasureValued().tell(MeasureValued().ask(one, 30, 0), values[:, b].clone()).gradient
        for name, g in alone.items():
            assert_close(together[name][b], g, rtol=1e-12)
