"""Enumeration against sums written out, published toys, and as the truth for the score function."""

import math

import pytest
import torch

from rllab import Bernoulli, Categorical, Cost, Gaussian
from rllab.estimators import Enumeration, ScoreFunction
from tests.proofs.prescribed import Prescribed, bits_as_uniforms
from tests.proofs.stencils import assert_close

LOGITS = torch.tensor([0.3, -1.2, 2.0], dtype=torch.float64)
MATRIX = torch.tensor([[1.0, 2.0, -1.0], [0.0, 0.5, 3.0], [2.0, -4.0, 0.2]], dtype=torch.float64)
TARGETS = torch.tensor([0.6, 0.51, 0.48], dtype=torch.float64)


def bilinear(x):
    return 0.7 + torch.einsum("ni,ij,nj->n", x, MATRIX, x)


def shared(x):
    return (x - TARGETS).square().sum(-1)


def exact(at, f=bilinear, **cost):
    return Enumeration()(Cost(f, **cost), at, evaluations=at.support_size + 3, key=0)


@pytest.mark.parametrize("logits", (LOGITS, torch.stack((LOGITS, -LOGITS.flip(0)))), ids=("one", "two problems"))
def test_it_is_the_derivative_of_the_expected_cost_of_bits(logits):
    # E xᵀMx = Σ_{i≠j} M_ij p_i p_j + Σ_i M_ii p_i
    leaf = logits.clone().requires_grad_()
    p = torch.sigmoid(leaf)
    mean = torch.einsum("...i,ij,...j->...", p, MATRIX, p) + ((p - p * p) * MATRIX.diagonal()).sum(-1) + 0.7
    mean.sum().backward()
    e = exact(Bernoulli(logits))
    assert_close(e.gradient["logits"], leaf.grad, rtol=1e-13, atol=1e-14)
    assert_close(e.value, mean.detach(), rtol=1e-14)
    assert e.evaluations == 8 and e.standard_error is None


@pytest.mark.parametrize("shape", ((4,), (2, 3), (2, 2, 3)), ids=str)
def test_it_is_the_derivative_of_the_expected_cost_of_choices(shape):
    logits = torch.linspace(-1, 1.5, math.prod(shape), dtype=torch.float64).sin().reshape(shape)
    leaf = logits.clone().requires_grad_()
    p = torch.softmax(leaf, -1)
    table = torch.linspace(-2, 1, shape[-1], dtype=torch.float64).exp()
    linear = p @ table  # the expected price of each choice
    if len(shape) > 1:
        linear = linear[..., 0] * linear[..., 1]  # of two choices, the product

    def price(x):
        prices = x.view(len(x), -1, shape[-1]) @ table
        return prices.prod(-1)

    linear.sum().backward()
    assert_close(exact(Categorical(logits), price).gradient["logits"], leaf.grad, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize(
    ("logit", "gradient"),
    [(0.0, 5.0e-4), (1.0, 0.002 * 0.25 / math.cosh(0.5) ** 2)],
    ids=("symmetric", "not symmetric"),
)
def test_the_toy_of_rebar_and_relax(logit, gradient):
    # f = (b − 0.499)², so f(1) − f(0) = 0.002 and ∇ = p(1 − p)·0.002: Tucker et al. (2017), Grathwohl et al. (2018)
    at = Bernoulli(torch.tensor([logit], dtype=torch.float64))
    e = exact(at, lambda b: (b[:, 0] - 0.499) ** 2)
    assert_close(e.gradient["logits"], torch.tensor([gradient], dtype=torch.float64), rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ("logit", "gradient", "variance"), [(0.0, -0.045, 0.43842), (-4.0, -0.0031793, 0.033557)], ids=("0", "-4")
)
def test_it_is_the_mean_of_the_score_function_with_the_known_variance(logit, gradient, variance):
    # three bits that share one logit: the toy of Kool et al. (2020), figure 1; moments to the digits given
    at = Bernoulli(torch.full((3,), logit, dtype=torch.float64))
    x, log_p = at.support()
    key = Prescribed({"uniform": bits_as_uniforms(x)})  # every sample once, weighed below
    rows = ScoreFunction(None)(Cost(shared), at, evaluations=8, key=key, per_unit=True).per_unit["logits"].sum(-1)
    p = log_p.exp()
    mean = float(p @ rows)
    assert mean == pytest.approx(float(exact(at, shared).gradient["logits"].sum()), rel=1e-12)
    assert mean == pytest.approx(gradient, rel=5e-5)
    assert float(p @ (rows - mean) ** 2) == pytest.approx(variance, rel=5e-5)


def test_saturated_logits_give_the_right_tiny_gradient():
    # ∇_i = σ(l)σ(−l)(E f | x_i = 1 − E f | x_i = 0), and σ(50)σ(−50) is 1.9·10⁻²²
    weights = torch.tensor([1.0, -3.0, 2.0], dtype=torch.float64)
    at = Bernoulli(torch.tensor([50.0, -50.0, 0.4], dtype=torch.float64))
    expected = weights / (4 * torch.cosh(at.logits / 2) ** 2)
    g = exact(at, lambda x: x @ weights).gradient["logits"]
    assert_close(g, expected, rtol=1e-13, atol=0)
    choice = Categorical(torch.tensor([50.0, 0.0, -20.0], dtype=torch.float64))
    p = (choice.logits - 50).exp()  # the first is 1 to all digits
    expected = torch.stack((-2 * p[1] - 3 * p[2], 2 * p[1], 3 * p[2]))
    g = exact(choice, lambda x: 1 + x @ torch.tensor([0.0, 2.0, 3.0], dtype=torch.float64)).gradient["logits"]
    assert_close(g, expected, rtol=1e-13, atol=0)


def test_a_constant_changes_nothing_and_a_factor_scales():
    plain = exact(Bernoulli(LOGITS)).gradient["logits"]
    assert_close(exact(Bernoulli(LOGITS), lambda x: bilinear(x) + 1024).gradient["logits"], plain, rtol=1e-9)
    assert_close(exact(Bernoulli(LOGITS), lambda x: -4 * bilinear(x)).gradient["logits"], -4 * plain, rtol=1e-13)


def test_every_sample_of_a_noisy_cost_has_its_own_seed():
    seen = []
    exact(Bernoulli(LOGITS), lambda x, seeds: seen.append(seeds) or bilinear(x), seeded=True)
    assert len(torch.cat(seen).unique()) == 8


def test_an_unaffordable_support_says_how_large_it_is():
    with pytest.raises(ValueError, match=f"Enumeration: evaluations must be >= {2**70}, got 1000"):
        Enumeration().ask(Bernoulli(torch.zeros(70)), 1000, 0)


@pytest.mark.parametrize("at", (LOGITS, Gaussian(LOGITS)), ids=("a tensor", "a gaussian"))
def test_it_is_for_finitely_many_samples_only(at):
    with pytest.raises(TypeError, match="Enumeration: at must be a Distribution over finitely many samples, got"):
        Enumeration().ask(at, 8, 0)
