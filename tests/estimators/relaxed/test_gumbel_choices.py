"""GumbelSoftmax and GumbelRao at a choice of two: exact mean and variance over the uniform numbers of both Gumbels.

γ₁ and γ₂ are the same as their difference e, logistic, and s = e^(−γ₁) + e^(−γ₂) = e^(−γ₂)/σ(e) ~ Gamma(2, 1), which is
independent of e: over these two a rule can be cut where the choice changes. A choice of two is a bit of logit l₁ − l₂,
and its estimates are those of the bit, with the opposite sign by l₂.
"""

import math
from dataclasses import replace

import pytest
import torch
from scipy.special import roots_genlaguerre
from torch import Tensor

from rllab import Bernoulli, Categorical, Cost
from rllab.estimators import GumbelRao, GumbelSoftmax
from rllab.estimators.relaxed.relaxation import perturbed_logits_given
from tests.proofs.prescribed import Prescribed, choices_as_uniforms
from tests.proofs.relaxed import hard_moments, logistic
from tests.proofs.sampling import assert_close, moments, product_rule, weighted

LOGITS = torch.tensor([[0.9, -0.4]], dtype=torch.float64)
DIFFERENCE = float(LOGITS[0, 0] - LOGITS[0, 1])
BIT = Bernoulli(torch.tensor([DIFFERENCE], dtype=torch.float64))


def bent(x: Tensor) -> Tensor:
    return (x[:, 0] - 0.499) ** 2 + 0.7 * x.prod(-1) + torch.exp(x[:, 1]) - 0.3 * x[:, 0]


def bent_bit(b: Tensor) -> Tensor:
    return bent(torch.cat((b, 1 - b), -1))


def uniforms(cut: float, width: float, order: int = 3) -> tuple[Tensor, Tensor]:
    """Return nodes (N, 2) of the uniform numbers that make two Gumbels, and weights."""
    s, w = (torch.from_numpy(t) for t in roots_genlaguerre(order, 1))
    nodes, weights = product_rule(logistic(cut, width), (s, w / math.gamma(2)))
    e, s = nodes.unbind(-1)
    two = -s.log() - torch.nn.functional.logsigmoid(e)  # e^(−γ₂) = s σ(e)
    return torch.exp(-torch.exp(-torch.stack((two + e, two), -1))), weights


def opposite(mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """Return the moments by both logits of what has these by their difference."""
    sign = torch.tensor([1.0, -1.0], dtype=torch.float64)
    return sign * mean, torch.outer(sign, sign) * variance


def drawn_moments(estimator) -> tuple[Tensor, Tensor]:
    u, weights = uniforms(cut=-DIFFERENCE, width=0.5)
    drawn = {"uniform": u.view(-1, 1, 1, 2)}
    return moments(drawn, weights, estimator, Cost(bent, relaxed=True), Categorical(LOGITS), 1)["logits"]


def assert_both(found: tuple[Tensor, Tensor], expected: tuple[Tensor, Tensor]) -> None:
    for got, right in zip(found, expected, strict=True):
        assert_close(got, right)


@pytest.mark.parametrize("temperature", (0.3, 0.5, 2.0))
def test_soft_choices_have_the_mean_and_variance_of_the_relaxed_cost(temperature):
    e, weights = logistic(-DIFFERENCE)
    l = torch.full_like(e, DIFFERENCE).requires_grad_()  # noqa: E741 - the papers' letter
    (slopes,) = torch.autograd.grad(bent_bit(torch.sigmoid((l + e) / temperature)[:, None]).sum(), l)
    mean, variance = weighted(slopes[:, None], weights)
    assert_both(drawn_moments(GumbelSoftmax(temperature)), opposite(mean, variance))


@pytest.mark.parametrize("temperature", (0.5, 1.0))
def test_hard_choices_have_the_mean_and_variance_of_slopes_at_the_sample(temperature):
    expected = hard_moments(BIT, bent_bit, temperature)
    assert_both(drawn_moments(GumbelSoftmax(temperature, hard=True)), opposite(*expected))


def prove_gumbel_rao(temperature: float, inner: int) -> None:
    """Over the choice and the inner draws: the mean of hard choices, and of the noise within a choice 1/J."""
    # of several draws both are smooth, and coarser panels with one node of s do
    u, weights = uniforms(cut=0.0, width=0.5, order=3) if inner == 1 else uniforms(cut=0.0, width=4.0, order=1)
    index, chances = product_rule(*[(torch.arange(len(u), dtype=torch.float64), weights)] * inner)
    many = u[index.long()].movedim(1, 0)  # (J, N, 2)
    p = torch.softmax(LOGITS[0], -1)
    x = torch.eye(2, dtype=torch.float64).repeat_interleave(len(chances), 0)
    chosen = choices_as_uniforms(x.argmax(-1)[None, :, None], p)
    key = Prescribed({"outcome.uniform": chosen, "uniform": many.repeat(1, 2, 1).view(inner, 1, -1, 1, 2)})
    at = Categorical(LOGITS.expand(len(x), 1, 2))
    rows = GumbelRao(temperature, inner)(Cost(bent, relaxed=True), at, evaluations=1, key=key).gradient["logits"]
    found = weighted(rows.flatten(1), torch.cat((p[0] * chances, p[1] * chances)))
    assert_both(found, opposite(*hard_moments(BIT, bent_bit, temperature, inner)))


@pytest.mark.parametrize(("temperature", "inner"), [(0.5, 1), (1.2, 1), (1.2, 2)])
def test_gumbel_rao_has_the_mean_of_hard_choices_and_the_share_of_its_inner_draws(temperature, inner):
    prove_gumbel_rao(temperature, inner)


def one_draw_for_all(at, x, inner, key):
    """The mean is right, and the variance that of a single inner draw."""
    z = perturbed_logits_given(at, x, inner, key)
    return z[:1].expand_as(z)


def probabilities_forgotten(at, x, inner, key):
    """z_j = −log(e^(−γ_j) + e^(−γ_m)), as if all choices were as likely."""
    return perturbed_logits_given(replace(at, logits=torch.zeros_like(at.logits)), x, inner, key)


@pytest.mark.parametrize("mistake", (one_draw_for_all, probabilities_forgotten))
def test_wrong_inner_draws_are_caught(monkeypatch, mistake):
    monkeypatch.setattr("rllab.estimators.relaxed.gumbel_rao.perturbed_logits_given", mistake)
    with pytest.raises(AssertionError, match="not close"):
        prove_gumbel_rao(1.2, 2)
