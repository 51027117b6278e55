"""Quadrature against closed forms: polynomials, cosines, and steps, whose jumps it must be told."""

import math

import pytest
import torch

from rllab import Cost, Gaussian
from rllab.estimators import Enumeration, Quadrature
from tests.proofs.checks import HESSIAN, LINEAR, THETA, quadratic
from tests.proofs.stencils import assert_close

SIGMA = 0.3
ONE = torch.tensor([0.4], dtype=torch.float64)


def ask(estimator, f, at, **cost):
    return estimator(Cost(f, **cost), at, evaluations=estimator.minimum(at), key=0)


def density(z):
    return math.exp(-z * z / 2) / math.sqrt(2 * math.pi)


@pytest.mark.parametrize("nodes", (3, 32))
def test_mean_and_scale_gradients_of_a_quadratic_are_exact(nodes):
    # E f = f(μ) + Σ A_ii s_i²/2
    scale = torch.tensor([0.3, 0.8], dtype=torch.float64)
    e = ask(Quadrature(nodes=nodes), quadratic, Gaussian(THETA, scale))
    assert_close(e.gradient["mean"], LINEAR, rtol=1e-12, atol=1e-12)
    assert_close(e.gradient["scale"], HESSIAN.diagonal() * scale, rtol=1e-12, atol=1e-12)
    assert float(e.value) == pytest.approx(
        float(quadratic(THETA[None])[0] + (HESSIAN.diagonal() * scale**2).sum() / 2), rel=1e-13
    )
    assert e.evaluations == nodes**2


@pytest.mark.parametrize("nodes", (2, 3, 5))
def test_it_is_exact_up_to_the_degree_it_says_and_no_further(nodes):
    # E xᵏ by the moments of N(μ, s²); ∂/∂μ = k E xᵏ⁻¹, ∂/∂s = s k(k − 1) E xᵏ⁻²
    mu, s = 0.4, 0.7

    def moment(k):
        return sum(math.comb(k, j) * mu ** (k - j) * s**j * math.prod(range(1, j, 2)) for j in range(0, k + 1, 2))

    def errors(k):
        g = ask(Quadrature(nodes=nodes), lambda x: x[:, 0] ** k, Gaussian(ONE.new_tensor([mu]), s)).gradient
        truth = k * moment(k - 1), s * k * (k - 1) * (moment(k - 2) if k > 1 else 0)
        return abs(float(g["mean"]) - truth[0]), abs(float(g["scale"]) - truth[1])

    for k in range(1, 2 * nodes - 1):
        assert errors(k)[0] < 1e-12
        assert k == 2 * nodes - 2 or errors(k)[1] < 1e-12
    assert errors(2 * nodes - 1)[0] > 1e-6 < errors(2 * nodes - 2)[1]


@pytest.mark.parametrize("jumps", ((), (0.1, 2.0)), ids=("one rule", "panels"))
def test_it_is_the_gradient_of_the_smoothed_cosine(jumps):
    k = 1.7
    e = ask(Quadrature(SIGMA, jumps=jumps), lambda x: torch.cos(k * x[:, 0]), ONE)
    damped = math.exp(-(k**2) * SIGMA**2 / 2)
    assert_close(e.gradient, -k * damped * torch.sin(k * ONE), rtol=1e-13)
    assert_close(e.value, damped * torch.cos(k * ONE)[0], rtol=1e-13)
    assert str(e.target) == "∇f_σ (gaussian, σ = 0.3)"


def stairs(x):
    return torch.floor(4 * x).sum(-1)


def test_jumps_it_is_told_are_exact_and_jumps_it_is_not_told_are_not():
    # ∇f_σ of a unit step at c is φ((θ − c)/σ)/σ
    edges = tuple(j / 4 for j in range(-16, 20))
    at = torch.tensor([0.4, -0.9], dtype=torch.float64)
    truth = at.new_tensor([sum(density((t - c) / SIGMA) for c in edges) / SIGMA for t in at.tolist()])
    told, untold = (ask(Quadrature(SIGMA, nodes=n, jumps=j), stairs, at) for n, j in ((12, edges), (40, ())))
    assert_close(told.gradient, truth, rtol=1e-12)
    assert (untold.gradient - truth).abs().max() > 1e-2


def test_a_corner_in_two_dimensions_is_the_product_of_two_steps():
    c, at, s = 0.5, torch.tensor([0.3, 0.8], dtype=torch.float64), torch.tensor([0.2, 0.5], dtype=torch.float64)
    e = ask(Quadrature(jumps=(c,), nodes=8), lambda x: (x > c).all(-1).to(x), Gaussian(at, s))
    z = ((at - c) / s).tolist()
    above = [0.5 * math.erfc(-v / math.sqrt(2)) for v in z]
    expected = at.new_tensor([density(z[0]) / float(s[0]) * above[1], density(z[1]) / float(s[1]) * above[0]])
    assert_close(e.gradient["mean"], expected, rtol=1e-11)
    assert float(e.value) == pytest.approx(above[0] * above[1], rel=1e-12)


def test_each_of_many_problems_has_its_own_panels():
    at = torch.linspace(-1, 1, 5, dtype=torch.float64)[:, None]
    together = ask(Quadrature(SIGMA, jumps=(0.2, 0.21)), lambda x: (x[:, 0] > 0.2).to(x), at)
    for i in range(5):
        alone = ask(Quadrature(SIGMA, jumps=(0.2, 0.21)), lambda x: (x[:, 0] > 0.2).to(x), at[i])
        assert_close(together.gradient[i], alone.gradient, rtol=1e-13, atol=1e-13)
        assert float(alone.gradient) == pytest.approx(density((float(at[i]) - 0.2) / SIGMA) / SIGMA, rel=1e-11)


@pytest.mark.parametrize(
    ("k", "mean", "scale"), [(0.1, -0.1400, -0.1167), (1.0, -0.2758, -0.0919), (10, -0.1291, -0.0061)]
)
def test_it_has_the_published_set_up_of_gaussian_bumps(k, mean, scale):
    # f = exp(−k x²) under N(1, 1), Mohamed et al. (2020), figure 3: E f = exp(−k/(1 + 2k))/√(1 + 2k)
    at = Gaussian(torch.ones(1, dtype=torch.float64), 1.0)
    e = ask(Quadrature(nodes=24, jumps=(0.0,)), lambda x: torch.exp(-k * x[:, 0] ** 2), at)
    q = 1 + 2 * k
    value = math.exp(-k / q) / math.sqrt(q)
    assert float(e.value) == pytest.approx(value, rel=1e-12)
    assert float(e.gradient["mean"]) == pytest.approx(-2 * k / q * value, rel=1e-11)
    assert float(e.gradient["scale"]) == pytest.approx(value * (4 * k**2 / q**2 - 2 * k / q), rel=1e-10)
    assert float(e.gradient["mean"]) == pytest.approx(mean, abs=5e-5)
    assert float(e.gradient["scale"]) == pytest.approx(scale, abs=5e-5)


def test_all_points_of_a_noisy_cost_share_one_seed():
    e = ask(Quadrature(SIGMA), lambda x, seeds: x[:, 0] + 100 * (seeds % 1000).to(x), ONE, seeded=True)
    assert_close(e.gradient, torch.ones_like(ONE))


def test_an_unaffordable_grid_says_how_large_it_is():
    with pytest.raises(ValueError, match=f"Quadrature: evaluations must be >= {32**10}, got 1000"):
        Quadrature(SIGMA).ask(torch.zeros(10), 1000, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sigma": -1.0}, "sigma must be positive"),
        ({"nodes": 1}, "nodes must be an integer >= 2, got 1"),
        ({"jumps": (math.inf,)}, "jumps must be a tuple of finite numbers"),
        ({"jumps": [0.0]}, "jumps must be a tuple of finite numbers"),
    ],
)
def test_bad_hyperparameters_are_named(arguments, message):
    with pytest.raises(ValueError, match=f"Quadrature: {message}"):
        Quadrature(**arguments)


def test_without_a_radius_it_wants_a_gaussian():
    with pytest.raises(TypeError, match="Quadrature: at must be a Gaussian if sigma is None, got Tensor"):
        Quadrature().ask(ONE, 32, 0)
    assert Quadrature().target == Enumeration().target != Quadrature(SIGMA).target
