"""Bits and choices made continuous: y = σ(z) for a bit, y = softmax(z) for a choice, and derivatives along z.

    bits      y = σ(z)              (∂y/∂z)ᵀ g = σ(z) σ(−z) g
    choices   y = softmax(z)        (∂y/∂z)ᵀ g = y ⊙ (h − y·h),   h = g − g_m,  m the largest component of y

z are logits, or perturbed ones. h in place of g changes nothing but rounding: where y_m is almost 1, y·h is a sum of
small numbers. Logistic and Gumbel noise are the perturbations under which z > 0, and the largest z, have the
distribution of the bit and of the choice.

Sources: Maddison, Mnih & Teh (2017), "The concrete distribution"; Gumbel (1954) and Yellott (1977) for the maximum.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from rllab.distributions import Bernoulli, Categorical
from rllab.distributions.base import uniform
from rllab.estimators.score.samples import check_distribution
from rllab.keys import Key

Relaxable = Bernoulli | Categorical

_LEAST, _MOST = 2.0**-54, 1 - 2.0**-53  # u = 0 and u = 1 have no finite logarithm


def check_relaxable(name: str, at: object) -> Relaxable:
    """Return `at` if it is of bits, or of choices as one-hot vectors; raise an error that says so if not."""
    at = check_distribution(name, at, Bernoulli, Categorical)
    if isinstance(at, Categorical) and at.samples != "one-hot":
        raise ValueError(f'{name}: samples of a Categorical must be "one-hot" to be relaxed, got {at.samples!r}')
    return at


def standard_logistic(shape: tuple[int, ...], key: Key, like: Tensor) -> Tensor:
    """Draw log u − log(1 − u), u uniform: finite, float64."""
    if (given := key.given("logistic", shape)) is not None:
        return given
    u = uniform(shape, key, like).clamp(_LEAST, _MOST)
    return u.log() - torch.log1p(-u)


def standard_gumbel(shape: tuple[int, ...], key: Key, like: Tensor) -> Tensor:
    """Draw −log(−log u), u uniform: finite, float64."""
    if (given := key.given("gumbel", shape)) is not None:
        return given
    return -(-uniform(shape, key, like).clamp(_LEAST, _MOST).log()).log()


def perturbed_logits(at: Relaxable, k: int, key: Key) -> Tensor:
    """Draw z = l + noise, (k, *shape of l), float64."""
    draw = standard_logistic if isinstance(at, Bernoulli) else standard_gumbel
    return at.logits.double() + draw((k, *at.logits.shape), key, at.logits)


def perturbed_logits_given(at: Relaxable, x: Tensor, inner: int, key: Key) -> Tensor:
    """Draw z given the samples x, (k, *shape), that it makes: (inner, k, *shape of l), float64.

    With e and γ logistic and Gumbel noise, x_i the sign of a bit and m the choice made,

        bits      z = ± log(1 + e^(e − log σ(∓l)))
        choices   z_m = γ_m,    z_j = −log(e^(−γ_j)/p_j + e^(−γ_m)),   both less log Σ e^l, which softmax ignores

    Source: Maddison, Tarlow & Minka (2014), "A* sampling", for the second (truncated Gumbels).
    """
    logits = at.logits.double()
    shape = (inner, len(x), *logits.shape)
    if isinstance(at, Bernoulli):
        sign = 2 * x.double() - 1
        noise = standard_logistic(shape, key, logits)
        return sign * torch.nn.functional.softplus(noise - torch.nn.functional.logsigmoid(-sign * logits))
    gumbel = standard_gumbel(shape, key, logits)
    mine = x.view(-1, *logits.shape).bool()
    top = torch.where(mine, gumbel, 0.0).sum(-1, keepdim=True)
    below = -torch.logaddexp(-gumbel - torch.log_softmax(logits, -1), -top)
    return torch.where(mine, gumbel, below)


def relaxed(at: Relaxable, z: Tensor) -> Tensor:
    """Return y, (…, *shape of a sample), of z, (…, *shape of l), with the dtype of l."""
    y = torch.sigmoid(z) if isinstance(at, Bernoulli) else torch.softmax(z, -1)
    return y.to(at.logits).reshape(*z.shape[: z.ndim - at.logits.ndim], *at.shape)


def rounded(at: Relaxable, z: Tensor) -> Tensor:
    """Return the sample that z makes, shaped and typed as `relaxed`."""
    x = z > 0 if isinstance(at, Bernoulli) else one_hot(z.argmax(-1), z.shape[-1])
    return x.to(at.logits).reshape(*z.shape[: z.ndim - at.logits.ndim], *at.shape)


def pull_back(at: Relaxable, z: Tensor, g: Tensor) -> Tensor:
    """Return (∂y/∂z)ᵀ g, (…, *shape of l), for g (k, *shape of a sample), with the dtype of l."""
    if isinstance(at, Bernoulli):
        return (torch.sigmoid(z) * torch.sigmoid(-z)).to(at.logits) * g
    y = torch.softmax(z, -1)
    h = g.view(-1, *at.logits.shape).double().expand_as(y)
    h = h - h.gather(-1, y.argmax(-1, keepdim=True))
    return (y * (h - (y * h).sum(-1, keepdim=True))).to(at.logits)
