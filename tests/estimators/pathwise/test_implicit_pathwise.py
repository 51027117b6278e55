"""ImplicitPathwise: exact means over its gamma variables, each sample's derivative against quantiles, extremes."""

import math

import pytest
import torch
from scipy.special import gammainc, gammaincinv
from scipy.stats import kstest

from rllab import Beta, Cost, Gamma, Gaussian, Key
from rllab.estimators import ImplicitPathwise
from rllab.estimators.pathwise.gamma_paths import log_derivative
from rllab.estimators.pathwise.implicit import standard_gamma_logs
from tests.proofs.prescribed import Prescribed
from tests.proofs.sampling import (
    assert_close,
    gamma_moments,
    log_gamma_rule,
    moments,
    product_rule,
    prove_implicit,
)

ALPHAS = (0.05, 0.4, 1.0, 1.3, 4.0, 30.0, 400.0)


def test_it_has_the_exact_means_of_gamma_costs():
    prove_implicit(ImplicitPathwise())


@pytest.mark.parametrize("alpha", ALPHAS)
def test_a_sample_moves_as_the_quantile_of_its_probability_does(alpha):
    for probability in (0.01, 0.2, 0.5, 0.9, 0.999):
        y, h = float(gammaincinv(alpha, probability)), 1e-4 * alpha
        if y < 1e-280:
            continue
        ends = [math.log(gammaincinv(alpha + k * h, probability)) for k in (-2, -1, 1, 2)]
        expected = (ends[0] - 8 * ends[1] + 8 * ends[2] - ends[3]) / (12 * h)  # error h⁴, and 10⁻¹⁵/h of rounding
        got = log_derivative(torch.tensor(y, dtype=torch.float64).log(), torch.tensor(alpha, dtype=torch.float64))
        assert_close(got, expected, rtol=1e-8)


def test_the_three_expressions_meet_at_their_borders():
    # at y = 1 and y = α, from either side
    for alpha in (0.3, 1.0, 1.8, 12.0):
        for border in (1.0, alpha):
            y = torch.tensor([border * (1 - 1e-12), border * (1 + 1e-12)], dtype=torch.float64)
            below, above = log_derivative(y.log(), torch.tensor(alpha, dtype=torch.float64))
            assert_close(below, above, rtol=1e-10)


def test_its_variance_is_that_of_the_quantiles_derivative():
    # f = x: rows are ∂x/∂α = (1/β) ∂P⁻¹(α, p)/∂α
    alpha, rate, h = 1.7, 2.3, 1e-4
    log_y, weights = log_gamma_rule(alpha)
    p = gammainc(alpha, log_y.exp().numpy()).clip(max=1 - 1e-10)  # beyond, p has no digits left to invert
    slope = torch.from_numpy(gammaincinv(alpha + h, p) - gammaincinv(alpha - h, p)) / (2 * h * rate)
    variance = weights @ slope**2 - (weights @ slope) ** 2
    found = gamma_moments(ImplicitPathwise(), lambda x: x[:, 0], alpha, rate)["concentration"]
    assert_close(found[0], 1 / rate)
    assert_close(found[1], variance, rtol=1e-6)


@pytest.mark.parametrize(("alpha", "beta"), ((1.7, 0.8), (3.0, 2.2)))
def test_it_has_the_exact_means_of_beta_costs(alpha, beta):
    (y, v), (z, w) = (log_gamma_rule(a, order=8, width=1.0) for a in (alpha, beta))
    nodes, weights = product_rule((y, v), (z, w))
    at = Beta(torch.tensor([alpha], dtype=torch.float64), beta)
    drawn = {"y.log gamma": nodes[:, None, :1], "z.log gamma": nodes[:, None, 1:]}
    found = moments(drawn, weights, ImplicitPathwise(), lambda x: x[:, 0] ** 2, at, 1)
    a, b = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (alpha, beta))
    expected = torch.autograd.grad(a * (a + 1) / ((a + b) * (a + b + 1)), (a, b))  # E x²
    for name, truth in zip(("concentration1", "concentration0"), expected, strict=True):
        assert_close(found[name][0], truth)


def test_its_draws_have_the_law_they_should():
    # Kolmogorov–Smirnov of 20,000 draws at a false-alarm rate of 10⁻⁹
    for alpha in (0.2, 1.0, 6.5):
        log_y = standard_gamma_logs(torch.tensor([alpha], dtype=torch.float64), 20_000, Key(3)).flatten()
        assert kstest(log_y.exp().numpy(), lambda y, a=alpha: gammainc(a, y)).pvalue > 1e-9
    x = ImplicitPathwise().ask(Beta(torch.tensor([1.7], dtype=torch.float64), 0.8), 20_000, 5)[0].points.flatten()
    assert kstest(x.numpy(), "beta", args=(1.7, 0.8)).pvalue > 1e-9


@pytest.mark.parametrize("dtype", (torch.float32, torch.float64), ids=str)
@pytest.mark.parametrize("end", (0.0, 1 - 2.0**-53))
def test_tiny_and_huge_shapes_and_the_ends_of_u_are_finite(end, dtype):
    key = Prescribed({"uniform": lambda shape: torch.full(shape, end, dtype=torch.float64)})
    shapes = torch.tensor([1e-4, 0.01, 1.0, 50.0, 1e6], dtype=dtype)
    for at in (Gamma(shapes, 1.5), Beta(shapes, shapes.flip(0))):
        e = ImplicitPathwise()(Cost(lambda x: torch.sin(x).sum(-1)), at, evaluations=3, key=key)
        for g in e.gradient.values():
            assert torch.isfinite(g).all() and g.dtype == dtype


def test_a_jump_makes_it_wrong_and_nothing_shows_it():
    # E 1[x >= 1] under Gamma(α, 1) grows with α
    cost = Cost(lambda x: (x[:, 0] >= 1) + 0.0 * x[:, 0])
    e = ImplicitPathwise()(cost, Gamma(torch.tensor([1.5], dtype=torch.float64)), evaluations=100, key=0)
    assert float(e.gradient["concentration"]) == float(e.standard_error["concentration"]) == 0
    assert gammainc(1.5, 1.0) - gammainc(1.6, 1.0) > 0.03


def test_the_gradient_is_the_mean_of_its_rows_and_a_sample_is_charged_as_one_gradient():
    cost = Cost(lambda x: (x * x).sum(-1))
    at = Gamma(torch.tensor([0.4, 2.0], dtype=torch.float64), torch.tensor([1.5, 0.7], dtype=torch.float64))
    e = ImplicitPathwise()(cost, at, evaluations=6, key=0, per_unit=True)
    x = ImplicitPathwise().ask(at, 6, 0)[0].points
    assert cost.spent["gradient"] == e.evaluations == 6 and cost.spent["value"] == 0
    assert_close(e.per_unit["rate"], -2 * x * x / at.rate, rtol=1e-12)
    for name, rows in e.per_unit.items():
        assert_close(rows.mean(0), e.gradient[name])
    assert_close(e.value, (x * x).sum(-1).mean())


def test_other_laws_are_refused_by_name():
    with pytest.raises(
        TypeError, match="ImplicitPathwise: at must be a Gamma or Beta or Dirichlet or GaussianMixture, got Gaussian"
    ):
        ImplicitPathwise().ask(Gaussian(torch.zeros(2)), 4, 0)
