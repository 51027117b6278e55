"""Proofs for estimators that probe random directions: exact mean and covariance over the directions they draw.

A key lays down every direction (or set of directions) of a cubature rule in the place of draws, one a problem of a
batch, so that weighted sums over problems are expectations of the estimator as implemented. Each
proof is asked of the right estimator in tests/estimators and of its mutants in tests/mutants.
"""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from rllab import Cost
from rllab.estimators import exact_moments
from tests.proofs.checks import gauss_hermite
from tests.proofs.prescribed import each_problem

D, RADIUS = 3, 0.3
AT = torch.tensor([0.7, -1.3, 0.4], dtype=torch.float64)
SLOPE = torch.tensor([1.9, -0.4, 0.8], dtype=torch.float64)
BEND = torch.tensor([[2.0, 0.6, -0.3], [0.6, -0.5, 0.9], [-0.3, 0.9, 0.7]], dtype=torch.float64)
OFFSET = 3.1
G, TRACE, SQUARES = float(SLOPE @ SLOPE), float(BEND.trace()), float(BEND.square().sum())
WAVE = torch.tensor([1.7, -0.6, 2.3], dtype=torch.float64)
PROBES = {"antithetic": 2, "forward": 1, "one-point": 1}


def straight(x: Tensor) -> Tensor:
    return OFFSET + (x - AT) @ SLOPE


def curved(x: Tensor) -> Tensor:
    y = x - AT
    return straight(x) + 0.5 * torch.einsum("ni,ij,nj->n", y, BEND, y)


def wave(x: Tensor) -> Tensor:
    return torch.cos(x @ WAVE)


def smoothed_wave_gradient(kernel: str, radius: float) -> Tensor:
    """∂_j E cos(a·(θ + r b)) = −a_j sin(a·θ) κ_j, with κ_j = E cos(r a·b) over the kernel of component j; d = 3."""
    s, ra = radius * float(WAVE.norm()), radius * WAVE
    kappa = {
        "gaussian": torch.full((D,), math.exp(-s * s / 2), dtype=torch.float64),
        "ball": torch.full((D,), 3 * (math.sin(s) - s * math.cos(s)) / s**3, dtype=torch.float64),
        "axis": torch.sin(ra) / ra,  # uniform on ±r along axis j alone
        "rademacher": torch.cos(ra).prod() / torch.cos(ra) * torch.sin(ra) / ra,  # signs, but uniform in coordinate j
    }[kernel]
    return -WAVE * math.sin(float(AT @ WAVE)) * kappa


def declared_truth(estimator) -> Tensor:
    """Return the gradient of the wave that an estimator declares to be unbiased for."""
    assert estimator.unbiased
    return smoothed_wave_gradient(estimator.target.kernel, estimator.target.radius)


def evaluations_for(form: str, units: int) -> int:
    return units * PROBES[form] + (form == "forward")


def over(law: str, rule: tuple[Tensor, Tensor], estimator, f, evaluations: int, at: Tensor = AT):
    """Return exact mean and covariance of an estimator whose draws of a law are the nodes of a rule.

    Nodes are (N, units, d), with weights (N,).
    """
    nodes, weights = rule
    assert float(weights.sum()) == pytest.approx(1)
    key = each_problem({law: nodes})
    g = estimator(Cost(f), at.expand(len(nodes), -1), evaluations=evaluations, key=key).gradient
    mean = weights @ g
    return mean, torch.einsum("n,ni,nj->ij", weights, g - mean, g - mean)


def independent(rule: tuple[Tensor, Tensor], units: int) -> tuple[Tensor, Tensor]:
    """Return the rule of `units` independent directions, from that of one, nodes (N, d)."""
    nodes, weights = rule
    grid = torch.tensor(list(itertools.product(range(len(nodes)), repeat=units)))
    return nodes[grid], weights[grid].prod(-1)


def normal_rule(d: int = D, order: int = 9) -> tuple[Tensor, Tensor]:
    return gauss_hermite(d, order)


def sign_rule(d: int = D) -> tuple[Tensor, Tensor]:
    nodes = torch.tensor(list(itertools.product((1.0, -1.0), repeat=d)), dtype=torch.float64)
    return nodes, torch.full((2**d,), 2.0**-d, dtype=torch.float64)


def sphere_rule(order: int = 12) -> tuple[Tensor, Tensor]:
    """Gauss–Legendre in height, equal angles around: exact for polynomials of degree < 2·order on the sphere in 3-d."""
    height, w = (torch.tensor(v, dtype=torch.float64) for v in np.polynomial.legendre.leggauss(order))
    angle = torch.arange(2 * order, dtype=torch.float64) * (math.pi / order)
    z, a = height.repeat_interleave(2 * order), angle.repeat(order)
    ring = (1 - z * z).sqrt()
    return torch.stack((ring * a.cos(), ring * a.sin(), z), -1), w.repeat_interleave(2 * order) / (4 * order)


def frame_rule(order: int = 6) -> tuple[Tensor, Tensor]:
    """Orthonormal frames (N, 3, 3) of either hand: a first direction, a second around it, and ± the third."""
    first, w = sphere_rule(order)
    angle = torch.arange(2 * order, dtype=torch.float64) * (math.pi / order)
    helper = torch.eye(3, dtype=torch.float64)[first.abs().argmin(-1)]
    e = torch.nn.functional.normalize(torch.linalg.cross(first, helper), dim=-1)
    e = e[:, None] * angle.cos()[:, None] + torch.linalg.cross(first, e)[:, None] * angle.sin()[:, None]
    first = first[:, None].expand_as(e)
    third = torch.linalg.cross(first, e)
    frames = torch.stack((torch.stack((first, e, third), -2), torch.stack((first, e, -third), -2)))
    return frames.reshape(-1, 3, 3), w.repeat_interleave(2 * order).repeat(2) / (4 * order)


def assert_close(got, expected, tolerance: float = 1e-8) -> None:
    torch.testing.assert_close(
        torch.as_tensor(got, dtype=torch.float64),
        torch.as_tensor(expected, dtype=torch.float64),
        rtol=tolerance,
        atol=tolerance,
    )


def assert_moments(moments, mean: Tensor, trace: float) -> None:
    assert_close(moments[0], mean)
    assert_close(moments[1].trace(), trace)


# Var of the second-order term u'Au·u of a forward or one-point estimate with radius h, for each law of u
BENDS = {
    "gaussian": RADIUS**2 / 4 * (D + 4) * (TRACE**2 + 2 * SQUARES),
    "ball": RADIUS**2 / 4 * D / (D + 2) * (TRACE**2 + 2 * SQUARES),
    "rademacher": RADIUS**2 / 4 * D * (TRACE**2 + 2 * (SQUARES - float(BEND.diagonal().square().sum()))),
}


def prove_spsa(estimator) -> None:
    """Over all signs: the closed-form mean and variance of its form on lines and quadratics, and its kernel's mean."""
    form = estimator.form
    rule = independent(sign_rule(), 1)
    least = evaluations_for(form, 1)
    offset = D * OFFSET**2 / RADIUS**2 if form == "one-point" else 0.0
    bend = 0.0 if form == "antithetic" else BENDS["rademacher"] + (D * OFFSET * TRACE if form == "one-point" else 0.0)
    assert_moments(over("sign", rule, estimator, straight, least), SLOPE, (D - 1) * G + offset)
    assert_moments(over("sign", rule, estimator, curved, least), SLOPE, (D - 1) * G + offset + bend)
    mean, _ = over("sign", rule, estimator, wave, least)
    assert_close(mean, declared_truth(estimator))


def prove_sphere(estimator) -> None:
    """Over the sphere: the closed forms on lines and quadratics, and the mean of the *ball* average of a wave."""
    form = estimator.form
    rule = independent(sphere_rule(), 1)
    least = evaluations_for(form, 1)
    offset = D**2 * OFFSET**2 / RADIUS**2 if form == "one-point" else 0.0
    bend = 0.0 if form == "antithetic" else BENDS["ball"] + (D * OFFSET * TRACE if form == "one-point" else 0.0)
    assert_moments(over("sphere", rule, estimator, straight, least), SLOPE, (D - 1) * G + offset)
    assert_moments(over("sphere", rule, estimator, curved, least), SLOPE, (D - 1) * G + offset + bend)
    mean, _ = over("sphere", rule, estimator, wave, least)
    assert_close(mean, declared_truth(estimator))


def prove_haar(estimator) -> None:
    """Over all frames: variance (d/m − 1)G for every m <= d, none at m = d; the ball average of a wave."""
    form = estimator.form
    frames, weights = frame_rule()
    for m in (1, 2, 3):
        rule = frames[:, :m], weights
        evaluations = evaluations_for(form, m)
        moments = over("orthonormal", rule, estimator, straight, evaluations)
        assert_moments(moments, SLOPE, (D / m - 1) * G)
        mean, _ = over("orthonormal", rule, estimator, wave, evaluations)
        assert_close(mean, declared_truth(estimator))


def prove_axes(estimator) -> None:
    """Over all orders and signs: variance (d/m − 1)G, and every component smoothed along its own axis alone."""
    form = estimator.form
    for m in (1, 2, 3):
        orders = torch.tensor(list(itertools.permutations(range(D), m)))
        signs, _ = sign_rule(m)
        nodes = torch.eye(D, dtype=torch.float64)[orders][:, None] * signs[None, :, :, None]
        nodes = nodes.reshape(-1, m, D)
        rule = nodes, torch.full((len(nodes),), 1 / len(nodes), dtype=torch.float64)
        evaluations = evaluations_for(form, m)
        moments = over("axes", rule, estimator, straight, evaluations)
        assert_moments(moments, SLOPE, (D / m - 1) * G)
        mean, _ = over("axes", rule, estimator, wave, evaluations)
        assert_close(mean, declared_truth(estimator))


def prove_hadamard(estimator) -> None:
    """Over all signs D, with d = 3 padded to 4: the mean is SPSA's whatever m, and a line is exact at m = 4, not 3.

    With m = 2ʲ rows, coordinates a and b are confused if a = b mod m, so Var = Σ_a g_a² (size of a's class − 1).
    """
    form = estimator.form
    nodes, weights = sign_rule()
    confused = {1: 2 * G, 2: float(SLOPE[0] ** 2 + SLOPE[2] ** 2), 4: 0.0}
    for m in (1, 2, 3, 4):
        rule = nodes[:, None], weights  # one D for the whole set
        evaluations = evaluations_for(form, m)
        mean, covariance = over("sign", rule, estimator, straight, evaluations)
        assert_close(mean, SLOPE)
        if m in confused:
            assert_close(covariance.trace(), confused[m])
        else:
            assert 0.01 * G < float(covariance.trace()) < G
        mean, _ = over("sign", rule, estimator, wave, evaluations)
        assert_close(mean, declared_truth(estimator))


def prove_guided(estimator) -> None:
    """Over its normal numbers: mean βΣg and variance β² gᵀ(Σ² + Σ)g of one pair on a quadratic; the mean of two."""
    at, slope = AT[:2], SLOPE[:2]
    surrogate = torch.tensor([0.6, 1.1], dtype=torch.float64)
    u = surrogate / surrogate.norm()
    cov = estimator.alpha / 2 * torch.eye(2, dtype=torch.float64) + (1 - estimator.alpha) * torch.outer(u, u)
    cost = Cost(lambda x: (x - at) @ slope + 0.5 * torch.einsum("ni,ij,nj->n", x - at, BEND[:2, :2], x - at))
    state = estimator.remember(None, surrogate)
    one = exact_moments(estimator, cost, at, evaluations=2, nodes=5, state=state)
    assert_close(one.mean, estimator.beta * cov @ slope)
    assert_close(one.variance.sum(), estimator.beta**2 * slope @ (cov @ cov + cov) @ slope)
    two = exact_moments(estimator, cost, at, evaluations=4, nodes=3, state=state)
    assert_close(two.mean, estimator.beta * cov @ slope)
