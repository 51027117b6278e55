"""What an estimator claims, measured: its mean and variance by quadrature over its own noise, and z-tests.

`exact_moments` lays down the nodes of a tensor Gauss–Hermite rule for normal numbers, one node a problem of a batch, so
that the weighted mean over problems *is* the expectation of the estimator as implemented, sampling error none. Each
node stands for all numbers of one estimate (units × d), so it serves few units in few dimensions.
"""

import itertools
import math
import random
from statistics import NormalDist

import numpy as np
import torch
from torch import Tensor

from rllab import Cost, Gaussian
from tests.proofs.prescribed import Prescribed


def gauss_hermite(dimensions: int, order: int) -> tuple[Tensor, Tensor]:
    """Return nodes (n, dimensions) and weights (n,) that integrate degree 2·order − 1 under N(0, I)."""
    x, w = np.polynomial.hermite_e.hermegauss(order)
    w = w / w.sum()
    nodes = torch.tensor(list(itertools.product(x, repeat=dimensions)), dtype=torch.float64)
    weights = torch.tensor([math.prod(c) for c in itertools.product(w, repeat=dimensions)], dtype=torch.float64)
    return nodes, weights


def exact_moments(estimator, f, at: Tensor, evaluations: int, units: int, order: int = 9, scale=None):
    """Return the estimator's exact mean and trace of covariance for cost f at `at` (d,).

    With a scale it is asked about N(at, scale²), and the answer is a dict of such pairs by parameter.
    """
    d = at.numel()
    nodes, weights = gauss_hermite(units * d, order)
    noise = nodes.view(-1, units, d).movedim(1, 0)  # (units, B, d): unit first, as an estimator asks for it
    problems = at.expand(len(nodes), d)
    where = problems if scale is None else Gaussian(problems, scale)
    g = estimator(Cost(f), where, evaluations=evaluations, key=Prescribed({"normal": noise})).gradient
    moments = {}
    for name, rows in (g if isinstance(g, dict) else {"at": g}).items():
        mean = weights @ rows
        moments[name] = (mean, (weights @ (rows - mean).square()).sum())
    return moments if isinstance(g, dict) else moments["at"]


def z_scores(estimator, f, at: Tensor, truth: Tensor, evaluations: int, repeats: int, key: int) -> Tensor:
    """Return per coordinate (mean over repeats − truth) / (sd/√repeats), drawing for real."""
    g = estimator(Cost(f), at.expand(repeats, -1), evaluations=evaluations, key=key).gradient
    return (g.mean(0) - truth) / (g.std(0) / math.sqrt(repeats))


def assert_unbiased(z: Tensor, false_alarm: float = 1e-9) -> None:
    """Two-sided, Bonferroni over the coordinates; `false_alarm` is for the whole vector."""
    limit = -NormalDist().inv_cdf(false_alarm / (2 * z.numel()))
    worst = float(z.abs().max())
    assert worst < limit, f"|z| = {worst:.2f} exceeds {limit:.2f} (false-alarm rate {false_alarm:g})"


def detectable_bias(sd: float, repeats: int, coordinates: int, false_alarm: float = 1e-9, miss: float = 1e-3) -> float:
    """Return the bias per coordinate that `assert_unbiased` misses with probability at most `miss`."""
    alpha, beta = -NormalDist().inv_cdf(false_alarm / (2 * coordinates)), -NormalDist().inv_cdf(miss)
    return (alpha + beta) * sd / math.sqrt(repeats)


def fresh_state() -> tuple:
    """Return copies of every global random state."""
    legacy = str(np.random.get_state())  # noqa: NPY002 - the global state is what must stay as it was
    return random.getstate(), legacy, torch.random.get_rng_state().tolist()


# An asymmetric quadratic, away from its minimum: f(x) = c + g·(x − θ) + (x − θ)ᵀA(x − θ)/2 around θ.
THETA = torch.tensor([0.7, -1.3], dtype=torch.float64)
LINEAR = torch.tensor([1.9, -0.4], dtype=torch.float64)
HESSIAN = torch.tensor([[2.0, 0.6], [0.6, -0.5]], dtype=torch.float64)
OFFSET = 3.1


def linear(x: Tensor) -> Tensor:
    return OFFSET + (x - THETA) @ LINEAR


def quadratic(x: Tensor) -> Tensor:
    y = x - THETA
    return OFFSET + y @ LINEAR + 0.5 * torch.einsum("ni,ij,nj->n", y, HESSIAN, y)


def dyadic(f):
    """Return the cost rounded to multiples of 2⁻²⁰, so that a power of two can be added to it without rounding."""
    return lambda x: torch.round(f(x) * 2**20) / 2**20
