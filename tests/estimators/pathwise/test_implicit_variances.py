"""ImplicitPathwise: exact variances at betas, two shares and mixtures, from paths computed without its formulas.

How a gamma variable moves comes from quantiles at neighbouring shapes; how a vector from a mixture moves, from the
derivatives by autograd of its conditional probabilities, solved for dx/dφ.
"""

import math

import numpy as np
import pytest
import torch
from scipy.special import gammainc, gammaincc, gammainccinv, gammaincinv
from torch import Tensor

from rllab import Beta, Dirichlet, GaussianMixture
from rllab.estimators import ImplicitPathwise
from tests.proofs.paths import MIXTURES, bent, mixture_samples, tensor
from tests.proofs.sampling import assert_close, log_gamma_rule, moments, panels, product_rule, weighted

STEP = 2e-3  # of the shape: the error of the derivative is some 1e-12 by truncation, and as much by rounding


def moved(alpha: float, log_y: Tensor) -> Tensor:
    """Return ∂ log y/∂α at constant probability, by a difference of sixth order of quantiles.

    Of the probability above where that is less, for it then has more digits.
    """
    y = log_y.exp().numpy()
    below, above = gammainc(alpha, y), gammaincc(alpha, y)
    total = np.zeros_like(y)
    for k, weight in ((1, 45), (2, -9), (3, 1)):
        for sign in (1, -1):
            a = alpha + sign * k * STEP
            end = np.where(below < above, gammaincinv(a, below), gammainccinv(a, above))
            total += sign * weight * np.log(end)
    return torch.from_numpy(total / (60 * STEP))


def gamma_pairs(alpha: float, beta: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return log y and log z, (N, 2), their derivatives by their own shapes, (N, 2), and weights (N,)."""
    (y, v), (z, w) = (log_gamma_rule(a, order=8) for a in (alpha, beta))
    nodes, weights = product_rule((y, v), (z, w))
    paths, _ = product_rule((moved(alpha, y), v), (moved(beta, z), w))
    return nodes, paths, weights


def prove_beta(estimator, alpha: float, beta: float) -> None:
    nodes, r, weights = gamma_pairs(alpha, beta)
    drawn = {"y.log gamma": nodes[:, None, :1], "z.log gamma": nodes[:, None, 1:]}
    at = Beta(tensor(alpha), beta)
    found = moments(drawn, weights, estimator, lambda x: torch.sin(2 * x[:, 0]) + x[:, 0] ** 2, at, 1)
    y, z = nodes.exp().unbind(-1)
    x = y / (y + z)
    # dx = x (1 − x) (d log y − d log z)
    slope = (2 * torch.cos(2 * x) + 2 * x) * y * z / (y + z) ** 2
    for name, rows in (("concentration1", slope * r[:, 0]), ("concentration0", -slope * r[:, 1])):
        mean, variance = weighted(rows[:, None], weights)
        assert_close(found[name][0], mean)
        assert_close(found[name][1], variance)


@pytest.mark.parametrize(("alpha", "beta"), ((1.7, 0.8), (3.0, 2.2)))
def test_a_beta_variable_has_the_variance_of_its_two_paths(alpha, beta):
    prove_beta(ImplicitPathwise(), alpha, beta)


class WithNoiseOfItsOwn(ImplicitPathwise):
    """The mean is right: what is added, log y − ψ(α), has none."""

    def _along_paths(self, at, noise, g):
        found = super()._along_paths(at, noise, g)
        mean = torch.digamma(at.concentration1)
        return found | {"concentration1": found["concentration1"] + 0.01 * (noise[0] - mean)}


def test_a_right_mean_of_a_wrong_variance_is_caught():
    with pytest.raises(AssertionError, match="not close"):
        prove_beta(WithNoiseOfItsOwn(), 1.7, 0.8)


def test_two_shares_have_the_covariance_of_their_paths():
    a, b = 1.7, 0.8
    nodes, r, weights = gamma_pairs(a, b)
    drawn, at = {"log gamma": nodes[:, None]}, Dirichlet(tensor(a, b))
    found = moments(drawn, weights, ImplicitPathwise(), lambda x: x[:, 0] ** 2 * x[:, 1] + x[:, 1], at, 1)
    x = nodes.exp() / nodes.exp().sum(-1, keepdim=True)
    # f as a function of the first share alone: dx_2 = −dx_1 = x_1 x_2 (d log y_2 − d log y_1)
    slope = 2 * x[:, 0] * x[:, 1] - x[:, 0] ** 2 - 1
    rows = slope[:, None] * x.prod(-1, keepdim=True) * r * tensor(1.0, -1.0)
    mean, covariance = weighted(rows, weights)
    assert_close(found["concentration"][0], mean)
    assert_close(found["concentration"][1], covariance)


def conditionals(x: Tensor, logits: Tensor, mean: Tensor, scale: Tensor) -> list[Tensor]:
    """Return z_i = P(X_i <= x_i | those before), each (N,), for parameters of each of N samples."""
    log_w, z = torch.log_softmax(logits, -1), []
    for i in range(x.shape[-1]):
        law = torch.distributions.Normal(mean[..., i], scale[..., i])
        z.append((torch.softmax(log_w, -1) * law.cdf(x[:, i : i + 1])).sum(-1))
        log_w = log_w + law.log_prob(x[:, i : i + 1])
    return z


def rows_by_autograd(at: GaussianMixture, x: Tensor) -> dict[str, Tensor]:
    """Return ∇f · dx/dφ = −∇f · (∂z/∂x)⁻¹ ∂z/∂φ of each sample, flat."""
    leaf = x.clone().requires_grad_()
    own = {name: v.expand(len(x), *v.shape).clone().requires_grad_() for name, v in at.parameters.items()}
    z = conditionals(leaf, *own.values())
    (slope,) = torch.autograd.grad(bent(leaf).sum(), leaf)
    jacobian = torch.stack([torch.autograd.grad(each.sum(), leaf, retain_graph=True)[0] for each in z], -2)
    pull = torch.linalg.solve(jacobian.mT, slope.unsqueeze(-1)).squeeze(-1)  # λ: (∂z/∂x)ᵀ λ = ∇f
    along = sum(pull[:, i].detach() @ each for i, each in enumerate(z))
    return {name: -g.flatten(1) for name, g in zip(own, torch.autograd.grad(along, list(own.values())), strict=True)}


@pytest.mark.parametrize("at", MIXTURES, ids=("one", "within", "three", "vectors"))
def test_a_mixture_has_the_variance_of_how_its_conditional_probabilities_stay(at):
    # to six deviations of what is in the middle, beyond which 10⁻⁸ is left and the probabilities have digits
    low, high = (at.mean - 6 * at.scale).amin(0), (at.mean + 6 * at.scale).amax(0)
    width = float(at.scale.min()) * (1.0 if len(low) == 1 else 1.5)
    axes = [panels(torch.arange(a, b + width, width), 10) for a, b in zip(low.tolist(), high.tolist(), strict=True)]
    nodes, weights = product_rule(*axes)
    weights = weights * at.log_prob(nodes).exp()
    assert abs(float(weights.sum()) - 1) < 1e-8
    weights = weights / weights.sum()
    found = moments(mixture_samples(at, nodes), weights, ImplicitPathwise(), bent, at, 1)
    for name, rows in rows_by_autograd(at, nodes).items():
        mean, covariance = weighted(rows, weights)
        assert_close(found[name][0], mean, atol=1e-9)
        assert_close(found[name][1], covariance, atol=1e-9)
        if at.logits.numel() > 1 or name != "logits":
            assert (covariance.diagonal() > 0).all() and math.isfinite(float(covariance.sum()))
