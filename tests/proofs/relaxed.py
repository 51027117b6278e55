"""Proofs for estimators that relax bits and choices: exact mean and variance over the noise that relaxes them."""

import math

import torch
from torch import Tensor

from rllab import Bernoulli, Cost
from tests.proofs.prescribed import Prescribed, bits_as_uniforms
from tests.proofs.sampling import (
    LOGITS,
    all_outcomes,
    assert_close,
    bit,
    enumerated,
    moments,
    panels,
    product_rule,
    toy,
    weighted,
)

REACH = 40.0  # e^−40 = 4·10⁻¹⁸ of the logistic law lies beyond


def multilinear(x: Tensor) -> Tensor:
    """Linear in each of three bits by itself."""
    return 0.3 * x[:, 0] - 1.2 * x[:, 1] + 0.7 * x[:, 0] * x[:, 2] + 2.1 * x.prod(-1)


def logistic(cut: float = 0.0, width: float = 0.5, order: int = 12) -> tuple[Tensor, Tensor]:
    """Return nodes and weights of the logistic law, on panels of a width, one of which ends at `cut`."""
    edges = cut + width * torch.arange(-math.ceil(REACH / width), math.ceil(REACH / width) + 1, dtype=torch.float64)
    e, w = panels(edges, order)
    return e, w * torch.sigmoid(e) * torch.sigmoid(-e)


def relaxed_moments(estimator, f, at: Bernoulli) -> tuple[Tensor, Tensor]:
    e, weights = logistic(-float(at.logits))
    drawn = {"logistic": e[:, None, None]}
    return moments(drawn, weights, estimator, Cost(f, relaxed=True), at, 1)["logits"]


def prove_straight_through(estimator) -> None:
    """Over all outcomes: 2p(1 − p)(p − t) with its variance for one bit, and ∇E f where f is multilinear."""
    for p, t in ((0.3, 0.499), (0.8, 0.45)):
        many, weights, key = all_outcomes(bit(p), 1)
        cost = Cost(toy(t), relaxed=True)
        mean, variance = weighted(estimator(cost, many, evaluations=1, key=key).gradient["logits"], weights)
        q = p * (1 - p)
        assert_close(mean, 2 * q * (p - t))
        assert_close(variance, 4 * q**3)
    many, weights, key = all_outcomes(Bernoulli(LOGITS), 1)
    rows = estimator(Cost(multilinear, relaxed=True), many, evaluations=1, key=key).gradient["logits"]
    assert_close(weights @ rows, enumerated(Bernoulli(LOGITS), multilinear)["logits"])


def prove_gumbel_softmax(estimator) -> None:
    """Over e: the mean is the derivative of E f(y) by autograd, y = σ((l + e)/λ), and the variance that of one term."""
    assert not estimator.hard
    for logit in (0.0, 1.0, -0.7):
        at = Bernoulli(torch.tensor([logit], dtype=torch.float64))
        mean, variance = relaxed_moments(estimator, toy(), at)
        e, weights = logistic(-logit)
        l = torch.full_like(e, logit).requires_grad_()  # noqa: E741 - the papers' letter
        f = toy()(torch.sigmoid((l + e) / estimator.temperature)[:, None])
        (slopes,) = torch.autograd.grad(f.sum(), l)
        expected = weighted(slopes[:, None], weights)
        assert_close(mean, expected[0])
        assert_close(variance, expected[1])


def hard_moments(at: Bernoulli, f, temperature: float, inner: int | None = None) -> tuple[Tensor, Tensor]:
    """Return mean and variance of f'(x) ∂y/∂l, or of f'(x) times the mean of ∂y/∂l over `inner` draws given x.

    By the definition: z = l + e is drawn, x = 1[z > 0]; given x, z is what is left of it on one side.
    """
    e, weights = logistic(-float(at.logits))
    z = at.logits + e
    slope = torch.sigmoid(z / temperature) * torch.sigmoid(-z / temperature) / temperature
    first, second = torch.zeros(()), torch.zeros(())
    for x in (0.0, 1.0):
        side = (z > 0) if x else (z <= 0)
        chance = weights[side].sum()
        mean = weights[side] @ slope[side] / chance
        spread = weights[side] @ (slope[side] - mean) ** 2 / chance
        point = torch.tensor([[x]], dtype=torch.float64, requires_grad=True)
        (g,) = torch.autograd.grad(f(point).sum(), point)
        first = first + chance * g * mean
        second = second + chance * g**2 * (mean**2 + spread / (inner or 1))
    return first, second - first**2


def prove_hard(estimator) -> None:
    """Over e: mean and variance of f'(x) ∂y/∂l, with f evaluated at 0 and 1 alone."""
    for logit in (0.0, 1.0, -0.7):
        at = Bernoulli(torch.tensor([logit], dtype=torch.float64))
        mean, variance = relaxed_moments(estimator, toy(), at)
        expected = hard_moments(at, toy(), estimator.temperature)
        assert_close(mean, expected[0])
        assert_close(variance, expected[1])


def prove_gumbel_rao(estimator) -> None:
    """Over x and the inner draws, one or two: the mean of the hard variant, and its variance less 1 − 1/J of noise."""
    assert estimator.inner <= 2
    for logit in (0.0, 1.0, -0.7):
        at = Bernoulli(torch.tensor([logit], dtype=torch.float64))
        e, weights = product_rule(*[logistic(width=2.0, order=12)] * estimator.inner)
        p = torch.sigmoid(at.logits)
        x = torch.cat((torch.zeros(len(e), 1), torch.ones(len(e), 1))).double()
        chances = torch.cat((weights * (1 - p), weights * p))
        inner = e.repeat(2, 1).T[:, None, :, None]  # (J, 1, problems, 1)
        key = Prescribed({"uniform": bits_as_uniforms(x)[None], "logistic": inner})
        many = Bernoulli(at.logits.expand(len(x), 1))
        rows = estimator(Cost(toy(), relaxed=True), many, evaluations=1, key=key).gradient["logits"]
        mean, variance = weighted(rows, chances)
        expected = hard_moments(at, toy(), estimator.temperature, estimator.inner)
        assert_close(mean, expected[0])
        assert_close(variance, expected[1])
