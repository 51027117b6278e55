"""Proofs for estimators that sample outputs: exact mean and covariance over everything they draw.

A key lays down the nodes of a rule in the place of draws, one a problem of a batch, so that weighted sums over problems
are expectations of the estimator as implemented. Each proof is asked of the right
estimator in tests/estimators and of its mutants in tests/mutants.
"""

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rllab import Bernoulli, Cost, Gamma, Gaussian, Key
from rllab.estimators import ControlVariateState, Enumeration
from rllab.quality.estimates import repeated
from tests.proofs.prescribed import each_problem, samples_as_drawn

LOGITS = torch.tensor([0.4, -1.1, 0.9], dtype=torch.float64)  # asymmetric: p = 0.60, 0.25, 0.71
TARGETS = torch.tensor([0.6, 0.51, 0.48], dtype=torch.float64)  # of the toy of Kool et al. (2020), figure 1
_COUPLING = torch.tensor([[0.0, 1.3, -0.7], [0.0, 0.0, 2.1], [0.0, 0.0, 0.0]], dtype=torch.float64)

Rule = tuple[Tensor, Tensor]  # nodes (N, units, *shape of one draw) and weights (N,)


def knotty(x: Tensor) -> Tensor:
    """A cost of any bits, not a sum over them and not even a polynomial."""
    d = x.shape[-1]
    pairs = torch.einsum("ni,ij,nj->n", x, _COUPLING[:d, :d], x)
    return 0.7 + pairs + torch.exp(x @ TARGETS[:d]) - x[:, 0] * 0.9


def kool(x: Tensor) -> Tensor:
    return (x - TARGETS).square().sum(-1)


def toy(target: float = 0.499) -> Callable[[Tensor], Tensor]:
    """f(b) = (b − t)², of Tucker et al. (2017) and Grathwohl et al. (2018)."""
    return lambda x: (x[:, 0] - target) ** 2


def bit(p: float) -> Bernoulli:
    return Bernoulli(torch.tensor([math.log(p / (1 - p))], dtype=torch.float64))


def enumerated(at: Any, f: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
    """Return ∇E f, exactly."""
    return Enumeration()(Cost(f), at, evaluations=at.support_size, key=0).gradient


def moments(
    drawn: dict[str, Tensor], weights: Tensor, estimator, f, at, evaluations: int, state: Any = None
) -> dict[str, tuple[Tensor, Tensor]]:
    """Return exact mean and covariance of an estimator, by parameter, both of the flattened parameter.

    Args:
        drawn: what is laid down for draws of a law, see `Prescribed`: nodes (N, units, *shape of one draw).
    """
    assert math.isclose(float(weights.sum()), 1, rel_tol=1e-9)
    cost, many = f if isinstance(f, Cost) else Cost(f), repeated(at, len(weights))
    gradient = estimator(cost, many, evaluations=evaluations, key=each_problem(drawn), state=state).gradient
    return {name: weighted(g.reshape(len(weights), -1), weights) for name, g in gradient.items()}


def weighted(rows: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    mean = weights @ rows
    return mean, torch.einsum("n,ni,nj->ij", weights, rows - mean, rows - mean)


def product_rule(*axes: tuple[Tensor, Tensor]) -> Rule:
    """Return the tensor product of one-dimensional rules, nodes (N, len(axes)) and weights (N,)."""
    nodes = torch.stack([t.flatten() for t in torch.meshgrid(*(x for x, _ in axes), indexing="ij")], -1)
    weights = torch.stack([t.flatten() for t in torch.meshgrid(*(w for _, w in axes), indexing="ij")], -1).prod(-1)
    return nodes, weights


def panels(edges: list[float] | Tensor, order: int) -> tuple[Tensor, Tensor]:
    """Return the Gauss–Legendre rule on each panel between sorted edges, end to end; weights sum to the length."""
    x, w = (torch.tensor(v, dtype=torch.float64) for v in np.polynomial.legendre.leggauss(order))
    edges = torch.as_tensor(edges, dtype=torch.float64)
    middle, half = (edges[1:] + edges[:-1]) / 2, (edges[1:] - edges[:-1]) / 2
    return (middle[:, None] + half[:, None] * x).flatten(), (half[:, None] * w).flatten()


def cells(logits: Tensor) -> list[Tensor]:
    """Return for each bit where u ~ U(0, 1) must be cut: the pair (b, b̃) is constant between."""
    edges = []
    for p in torch.sigmoid(logits).tolist():
        q = min(p, 1 - p)
        edges.append(torch.tensor([0.0, q, 1 - q, 1.0], dtype=torch.float64))
    return edges


def uniforms(logits: Tensor, order: int = 3, units: int = 1) -> Rule:
    """Return nodes (N, units, n) and weights that integrate functions of u, of degree 5 between the cuts, exactly."""
    nodes, weights = product_rule(*(panels(e, order) for e in cells(logits) * units))
    return nodes.view(len(nodes), units, -1), weights


def outcomes(logits: Tensor, units: int = 1) -> Rule:
    """Return one u for each outcome of the pairs, with its probability: min(p, 1 − p) twice and |2p − 1| a bit."""
    return uniforms(logits, order=1, units=units)


def pair_moments(rule: Rule, estimator, f, at, units: int = 1) -> tuple[Tensor, Tensor]:
    nodes, weights = rule
    return moments({"uniform": nodes}, weights, estimator, f, at, 2 * units)["logits"]


def prove_arm(estimator) -> None:
    """Over u: unbiased on a knotty cost of three bits, and the closed-form variance of one bit, also of two pairs."""
    mean, _ = pair_moments(uniforms(LOGITS), estimator, knotty, Bernoulli(LOGITS))
    assert_close(mean, enumerated(Bernoulli(LOGITS), knotty)["logits"])
    for p in (0.5, 0.3, 0.1, 0.8):
        at, q = bit(p), min(p, 1 - p)
        for units in (1, 2):
            rule = uniforms(at.logits, units=units)
            mean, covariance = pair_moments(rule, estimator, toy(), at, units)
            assert_close(mean, 0.002 * p * (1 - p))
            variance = 0.002**2 * (1 / 12 - (1 - 2 * q) ** 3 / 12 - q**2 * (1 - q) ** 2)
            assert_close(covariance, variance / units)


def prove_disarm(estimator) -> None:
    """Over the outcomes of the pairs: unbiased on a knotty cost of three bits, and the closed-form variance of one."""
    mean, _ = pair_moments(outcomes(LOGITS), estimator, knotty, Bernoulli(LOGITS))
    assert_close(mean, enumerated(Bernoulli(LOGITS), knotty)["logits"])
    for p in (0.5, 0.3, 0.1, 0.8):
        at, q = bit(p), min(p, 1 - p)
        for units in (1, 2, 3):
            rule = outcomes(at.logits, units)
            mean, covariance = pair_moments(rule, estimator, toy(), at, units)
            assert_close(mean, 0.002 * p * (1 - p))
            assert_close(covariance, 0.002**2 * (1 - q) ** 2 * q * (0.5 - q) / units)


REACH = 10.0  # beyond it lies 10⁻²² of W, of M, and of a normal number


def weak_moments(estimator, f, mean: float = 1.0, scale: float = 1.0) -> dict[str, tuple[Tensor, Tensor]]:
    """Return the moments of one sample of a measure-valued estimate under N(mean, scale²), over W, M and U."""
    edges = torch.arange(-REACH, REACH + 1)
    w, v = panels(edges[edges >= 0], 20)
    m, n = panels(edges, 12)
    at = Gaussian(torch.tensor([mean], dtype=torch.float64), scale)
    found = {}
    # the mean's estimate depends on W alone, the scale's on M and U
    rule = w[:, None, None], v * w * torch.exp(-w * w / 2)
    constant = {name: torch.full_like(rule[0], 0.5) for name in ("maxwell", "uniform")}
    found["mean"] = moments({**constant, "rayleigh": rule[0]}, rule[1], estimator, f, at, 4)["mean"]
    density = n * m * m * torch.exp(-m * m / 2) / math.sqrt(2 * math.pi)
    nodes, weights = product_rule((m, density), panels([0.0, 0.25, 0.5, 0.75, 1.0], 16))
    drawn = {name: nodes[:, None, i : i + 1] for i, name in enumerate(("maxwell", "uniform"))}
    drawn["rayleigh"] = torch.ones_like(nodes[:, None, :1])
    found["scale"] = moments(drawn, weights, estimator, f, at, 4)["scale"]
    return found


def path_moments(
    estimator, f, mean: float = 1.0, scale: float = 1.0, phi: Tensor | None = None
) -> dict[str, tuple[Tensor, Tensor]]:
    """Return the moments of one sample of a pathwise estimate under N(mean, scale²), over its normal number."""
    u, weights = panels(torch.arange(-REACH, REACH + 1), 16)
    weights = weights * torch.exp(-u * u / 2) / math.sqrt(2 * math.pi)
    at = Gaussian(torch.tensor([mean], dtype=torch.float64), scale)
    drawn = {"normal": u[:, None, None]}
    state = None if phi is None else ControlVariateState(phi.expand(len(weights), -1))
    return moments(drawn, weights, estimator, f, at, 1, state)


def prove_on_squares(find, estimator, variances) -> None:
    """On f = (x − k)², a = μ − k: the mean of both gradients, and their variances in a and s."""
    for mean, scale, k in ((1.0, 1.0, -3.0), (1.0, 1.0, 3.0), (0.3, 0.7, 1.1)):
        a = mean - k
        found = find(estimator, lambda x, k=k: (x[:, 0] - k) ** 2, mean, scale)
        for name, truth, variance in zip(("mean", "scale"), (2 * a, 2 * scale), variances(a, scale), strict=True):
            assert_close(found[name][0], truth)
            assert_close(found[name][1], variance)


def prove_measure_valued(estimator) -> None:
    """Gaussian: closed-form moments on squares. Bits: no variance of a single one, the exact mean of three."""

    def variances(a: float, s: float) -> tuple[float, float]:
        return 8 * a * a / math.pi * (2 - math.pi / 2), 4 * a * a + 4 * s * s

    prove_on_squares(weak_moments, estimator, variances)
    for at, f in ((bit(0.3), toy()), (Bernoulli(LOGITS), knotty)):
        many, weights, key = all_outcomes(at, 1)
        rows = estimator(Cost(f), many, evaluations=2 * at.shape[0], key=key).gradient["logits"]
        mean, covariance = weighted(rows, weights)
        assert_close(mean, enumerated(at, f)["logits"])
        if at.shape == (1,):
            assert_close(covariance, 0.0, atol=1e-20)


def prove_coupling(estimator) -> None:
    """Over W and, in the place of M U, a second W': the mean's variance is that of f(μ + sW) − f(μ − sW), W in both."""
    edges = torch.arange(0.0, REACH + 1)
    w, v = panels(edges, 8)
    axis = w, v * w * torch.exp(-w * w / 2)
    nodes, weights = product_rule(axis, axis)
    drawn = {"rayleigh": nodes[:, None, :1], "uniform": nodes[:, None, 1:]}
    drawn["maxwell"] = torch.ones_like(nodes[:, None, :1])
    at, a = Gaussian(torch.tensor([0.3], dtype=torch.float64), 0.7), 0.3 - 1.1
    mean, variance = moments(drawn, weights, estimator, lambda x: (x[:, 0] - 1.1) ** 2, at, 4)["mean"]
    if abs(float(mean) - 2 * a) > 1e-8:
        raise ValueError("biased, so its variance is no matter of coupling")
    assert_close(variance, 8 * a * a / math.pi * (2 - math.pi / 2))


def prove_pathwise(estimator) -> None:
    """Closed-form moments on squares: ∇f = 2(a + su), by the scale times u."""
    prove_on_squares(path_moments, estimator, lambda a, s: (4 * s * s, 4 * a * a + 8 * s * s))


def all_outcomes(at: Bernoulli, samples: int) -> tuple[Bernoulli, Tensor, Key]:
    """Return a batch of problems and their weights, and the key at which `samples` of each are another outcome."""
    x, log_p = at.support()
    index = torch.tensor(list(itertools.product(range(len(x)), repeat=samples)))
    many, key = samples_as_drawn(at, x[index])
    return many, log_p[index].sum(-1).exp(), key


def assert_close(got, expected, rtol: float = 1e-8, atol: float = 1e-14) -> None:
    got, expected = (torch.as_tensor(v, dtype=torch.float64).squeeze() for v in (got, expected))
    torch.testing.assert_close(got, expected, rtol=rtol, atol=atol)


def soft_minimum(f: Tensor) -> Tensor:
    """F = −log 1/K Σ_k e^(−f_k) of costs (…, K), as it is written."""
    return -torch.log(torch.exp(-f).mean(-1))


def multi_sample_gradient(at: Bernoulli, f: Callable[[Tensor], Tensor], samples: int) -> Tensor:
    """Return ∇E F over K samples, as the derivative by autograd of the sum over all their outcomes."""
    leaf = at.logits.clone().requires_grad_()
    x, log_p = Bernoulli(leaf).support()
    index = torch.tensor(list(itertools.product(range(len(x)), repeat=samples)))
    (log_p[index].sum(-1).exp() @ soft_minimum(f(x)[index])).backward()
    assert leaf.grad is not None
    return leaf.grad


def vimco_row(at: Bernoulli, x: Tensor, f: Tensor, mean: str) -> Tensor:
    """Return one unit's contribution, for samples (K, n) of costs (K,), by the definition and in loops."""
    weights, row = torch.exp(-f).tolist(), torch.zeros_like(at.logits)
    for k in range(len(f)):
        others = weights[:k] + weights[k + 1 :]
        if mean == "arithmetic":
            stand_in = sum(others) / len(others)
        else:
            stand_in = math.prod(others) ** (1 / len(others))
        without = -math.log((sum(others) + stand_in) / len(f))
        row += (soft_minimum(f) - without) * (x[k] - torch.sigmoid(at.logits))
    return row


def prove_vimco(estimator) -> None:
    """Over all outcomes of K samples of two bits: every row by the definition, and the mean that of the objective."""
    at, k = Bernoulli(LOGITS[:2]), estimator.samples
    many, weights, key = all_outcomes(at, k)
    e = estimator(Cost(knotty), many, evaluations=k, key=key)
    rows, (x, _) = e.gradient["logits"], many.draw(k, key)
    assert_close(weights @ rows, multi_sample_gradient(at, knotty, k))
    for i in range(0, len(rows), 7):
        assert_close(rows[i], vimco_row(at, x[:, i], knotty(x[:, i]), estimator.mean), rtol=1e-10, atol=1e-12)


def log_gamma_rule(alpha: float, order: int = 12, width: float = 1.0) -> tuple[Tensor, Tensor]:
    """Return nodes log y and weights of Gamma(α, 1), between probabilities of 10⁻¹² or less below and above."""
    low, high = (math.log(1e-12) + math.lgamma(alpha + 1)) / alpha, math.log(alpha + 60)
    log_y, w = panels(torch.arange(low, high + width, width), order)
    return log_y, w * torch.exp(alpha * log_y - log_y.exp() - math.lgamma(alpha))


def gamma_moments(estimator, f, alpha: float, rate: float) -> dict[str, tuple[Tensor, Tensor]]:
    log_y, weights = log_gamma_rule(alpha)
    at = Gamma(torch.tensor([alpha], dtype=torch.float64), rate)
    return moments({"log gamma": log_y[:, None, None]}, weights, estimator, f, at, 1)


def prove_implicit(estimator) -> None:
    """Over y: E x² = α(α + 1)/β² and E e^(−x) = (β/(β + 1))^α by both parameters, and Var x/β of −x/β."""
    for a, b in ((0.6, 1.0), (1.7, 2.3), (9.0, 0.8)):
        found = gamma_moments(estimator, lambda x: x[:, 0] ** 2, a, b)
        assert_close(found["concentration"][0], (2 * a + 1) / b**2)
        assert_close(found["rate"][0], -2 * a * (a + 1) / b**3)
        found = gamma_moments(estimator, lambda x: torch.exp(-x[:, 0]), a, b)
        assert_close(found["concentration"][0], (b / (b + 1)) ** a * math.log(b / (b + 1)))
        assert_close(found["rate"][0], a * (b / (b + 1)) ** a / (b * (b + 1)))
        found = gamma_moments(estimator, lambda x: x[:, 0], a, b)
        assert_close(found["rate"][1], a / b**4)
