"""Weak derivatives: the derivative of a distribution as a multiple of the difference of two others.

    ∂p_φ/∂φ_i = c_i (p⁺_i − p⁻_i),    so    ∂/∂φ_i E f = c_i (E f(x⁺) − E f(x⁻))

    distribution         φ_i   c_i              x⁺_i                       x⁻_i, made of the same numbers
    Gaussian             μ     1/(s √(2π))      μ + s W                    μ − s W              W Rayleigh
                         s     1/s              μ + s M                    μ + s M U            M Maxwell of either sign
    Poisson              λ     1                x_i + 1                    x_i
    Bernoulli            l     σ(l) σ(−l)       1                          0
    Categorical          l_c   p_c (1 − p_c)    choice c                   x_i if it is not c, else another than c

    Product              as in the block of the parameter, beside it a sample of the other blocks

The other coordinates are drawn as always, and are the same in both. W has density w e^(−w²/2), a Weibull law of scale
√2 and shape 2; M has density m² φ(m), three normal numbers' length; with U uniform, M U is N(0, 1).

Sources: Pflug (1989), "Sampling derivatives of probabilities"; Mohamed, Rosca, Figurnov & Mnih (2020), "Monte Carlo
gradient estimation in machine learning", table 1. The rule for choices is Pflug's, positive and negative part apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from rllab.distributions import Bernoulli, Categorical, Distribution, Gaussian, Poisson, Product
from rllab.distributions.base import uniform
from rllab.keys import Key
from rllab.noise import rademacher, standard_normal

Shape = tuple[int, ...]


class Weak(NamedTuple):
    """The derivative by one named parameter: c, shaped like it, and k points x⁺ and x⁻ for each of its P numbers.

    Points are (k, P, *shape of a sample).
    """

    constant: Tensor
    plus: Tensor
    minus: Tensor


def rayleigh(shape: Shape, key: Key, like: Tensor) -> Tensor:
    """Draw W = √(−2 ln V), V ~ U(0, 1]."""
    if (given := key.given("rayleigh", shape)) is not None:
        return given.to(like)
    return (-2 * torch.log1p(-uniform(shape, key, like))).sqrt().to(like)


def maxwell(shape: Shape, key: Key, like: Tensor) -> Tensor:
    """Draw ±√(N₁² + N₂² + N₃²), the sign fair."""
    if (given := key.given("maxwell", shape)) is not None:
        return given.to(like)
    length = standard_normal((3, *shape), key.child("length"), like).square().sum(0).sqrt()
    return length * rademacher(shape, key.child("sign"), like)


def decompose(at: Distribution, k: int, key: Key) -> dict[str, Weak]:
    """Draw k samples of the derivative by each parameter."""
    return _FAMILIES[type(at)](at, k, key)


def _gaussian(at: Gaussian, k: int, key: Key) -> dict[str, Weak]:
    mu, s = at.parameters["mean"], at.parameters["scale"]
    x, _ = at.draw(k, key.child("sample"))
    w, m = rayleigh(x.shape, key.child("rayleigh"), mu), maxwell(x.shape, key.child("maxwell"), mu)
    n = m * uniform(x.shape, key.child("uniform"), mu).to(mu)
    return {
        "mean": Weak(1 / (s * math.sqrt(2 * math.pi)), _one_by_one(x, mu + s * w), _one_by_one(x, mu - s * w)),
        "scale": Weak(1 / s, _one_by_one(x, mu + s * m), _one_by_one(x, mu + s * n)),
    }


def _poisson(at: Poisson, k: int, key: Key) -> dict[str, Weak]:
    x, _ = at.draw(k, key.child("sample"))
    return {"rate": Weak(torch.ones_like(at.rate), _one_by_one(x, x + 1), _one_by_one(x, x))}


def _bernoulli(at: Bernoulli, k: int, key: Key) -> dict[str, Weak]:
    x, _ = at.draw(k, key.child("sample"))
    c = torch.sigmoid(at.logits) * torch.sigmoid(-at.logits)
    return {"logits": Weak(c, _one_by_one(x, torch.ones_like(x)), _one_by_one(x, torch.zeros_like(x)))}


def _categorical(at: Categorical, k: int, key: Key) -> dict[str, Weak]:
    logits, size = at.logits, at.logits.shape[-1]
    x, _ = replace(at, samples="one-hot").draw(k, key.child("sample"))
    mine = x.view(k, *at.shape[:-1], -1, size).bool()  # (k, [B], n, K)
    # of each variable another choice than mine, j with probability p_j/(1 − p_mine)
    cdf = torch.softmax(torch.where(mine, -math.inf, logits.double()), -1).cumsum(-1)
    u = uniform((*mine.shape[:-1], 1), key.child("other"), cdf)
    other = one_hot((u >= cdf / cdf[..., -1:]).sum(-1), size).bool()
    # points (k, n, K, [B], n, K): for variable i and choice c, x with another one-hot vector (j) in the place of i
    eye = torch.eye(size, dtype=torch.bool, device=x.device)
    is_c, mine_j, other_j = mine.movedim(-1, 1).unsqueeze(-2), mine.mT.unsqueeze(1), other.mT.unsqueeze(1)
    plus, minus = (mine[:, None, None].repeat(1, mine.shape[-2], size, *[1] * (mine.ndim - 1)) for _ in range(2))
    plus.diagonal(0, 1, -2).copy_(eye.view(1, size, *[1] * (mine.ndim - 3), size, 1))
    minus.diagonal(0, 1, -2).copy_(torch.where(is_c, other_j, mine_j))
    # c = p_c (1 − p_c), p_c = σ(l_c − log Σ_{j≠c} e^(l_j)): 1 − p_c is never a difference
    odds = logits - torch.where(eye, -math.inf, logits.unsqueeze(-2)).logsumexp(-1)
    if at.samples == "index":
        plus, minus = plus.int().argmax(-1), minus.int().argmax(-1)
    plus, minus = (t.reshape(k, mine.shape[-2] * size, *at.shape).to(x) for t in (plus, minus))
    return {"logits": Weak(odds.sigmoid() * (-odds).sigmoid(), plus, minus)}


def _product(at: Product, k: int, key: Key) -> dict[str, Weak]:
    x, _ = at.draw(k, key.child("sample"))
    found, start = {}, 0
    for name, block in at.blocks.items():
        own = slice(start, start := start + block.shape[-1])
        for parameter, weak in decompose(block, k, key.child("block", name)).items():
            plus, minus = (_with_block(x, own, points) for points in (weak.plus, weak.minus))
            found[f"{name}.{parameter}"] = Weak(weak.constant, plus, minus)
    return found


def _with_block(x: Tensor, own: slice, points: Tensor) -> Tensor:
    """Return samples (k, [B], d) with a block's coordinates replaced by each of (k, P, [B], d_block)."""
    whole = x.unsqueeze(1).repeat(1, points.shape[1], *[1] * (x.ndim - 1))
    whole[..., own] = points
    return whole


def _one_by_one(x: Tensor, values: Tensor) -> Tensor:
    """Return for each sample, (k, [B], d), and each i the sample with that coordinate i of `values`: (k, d, [B], d)."""
    points = x.unsqueeze(1).repeat(1, x.shape[-1], *[1] * (x.ndim - 1))
    points.diagonal(0, 1, -1).copy_(values)
    return points


_FAMILIES: dict[type[Distribution], Callable[[Any, int, Key], dict[str, Weak]]] = {
    Bernoulli: _bernoulli,
    Categorical: _categorical,
    Gaussian: _gaussian,
    Poisson: _poisson,
    Product: _product,
}
FAMILIES = tuple(_FAMILIES)
