"""Proofs for implicit paths of Dirichlet and mixture samples: exact means by quadrature, samples against quantiles.

Each proof is asked of the right estimator in tests/estimators and of its mutants in tests/mutants.
"""

import itertools
import math
from collections.abc import Callable

import torch
from scipy.special import gammaincinv
from torch import Tensor

from rllab import Cost, Dirichlet, GaussianMixture, Key
from rllab.distributions import Distribution
from tests.proofs.prescribed import Prescribed
from tests.proofs.sampling import assert_close, log_gamma_rule, moments, panels, product_rule

_SHARES = torch.tensor([1.7, 0.8, 3.1], dtype=torch.float64)


def tensor(*values) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


# one bump, a narrow law within a wide one, three apart by as much as their width; then vectors, correlated
MIXTURES = [
    GaussianMixture(tensor(0.4), tensor([0.3]), tensor([0.7])),
    GaussianMixture(tensor(0.4, -0.7), tensor([0.2], [-0.3]), tensor([0.4], [1.5])),
    GaussianMixture(tensor(0.4, -0.7, 0.1), tensor([-1.2], [0.3], [1.9]), tensor([0.9], [0.6], [1.1])),
    GaussianMixture(tensor(0.4, -0.3), tensor([-0.6, 0.2], [0.5, 1.3]), tensor([0.8, 0.9], [1.0, 0.7])),
]


def bent(x: Tensor) -> Tensor:
    """A cost that couples all coordinates, with a closed form under normal laws: Π_i x_i + Σ_i e^(i x_i/4) + x_1²."""
    rate = torch.arange(1, x.shape[-1] + 1, dtype=x.dtype) / 4
    return x.prod(-1) + torch.exp(rate * x).sum(-1) + x[..., 0].square()


def expected_bent(logits: Tensor, mean: Tensor, scale: Tensor) -> Tensor:
    rate = torch.arange(1, mean.shape[-1] + 1, dtype=mean.dtype) / 4
    waves = torch.exp(rate * mean + (rate * scale).square() / 2).sum(-1)
    return torch.softmax(logits, -1) @ (mean.prod(-1) + waves + mean[:, 0].square() + scale[:, 0].square())


def mixture_samples(at: GaussianMixture, x: Tensor) -> dict[str, Tensor]:
    """Return what is laid down for samples x (N, d), one a problem: all from the first law, as far from its mean."""
    first = torch.zeros(len(x), 1, dtype=torch.float64)
    return {"component.uniform": first, "noise.normal": ((x - at.mean[0]) / at.scale[0])[:, None]}


def prove_mixture(estimator, mixtures=MIXTURES) -> None:
    """Over x, on a grid of panels: the mean is the gradient of the closed form by every parameter."""
    for at in mixtures:
        low, high = (at.mean - 9 * at.scale).amin(0), (at.mean + 9 * at.scale).amax(0)
        width = float(at.scale.min())
        axes = [panels(torch.arange(a, b + width, width), 12) for a, b in zip(low.tolist(), high.tolist(), strict=True)]
        nodes, weights = product_rule(*axes)
        weights = weights * at.log_prob(nodes).exp()
        found = moments(mixture_samples(at, nodes), weights, estimator, bent, at, 1)
        leaves = [value.clone().requires_grad_() for value in at.parameters.values()]
        truth = torch.autograd.grad(expected_bent(*leaves), leaves)
        for name, expected in zip(at.parameters, truth, strict=True):
            assert_close(found[name][0], expected.flatten(), atol=1e-8)


def prove_shares(estimator) -> None:
    """Two shares, over both gamma variables: E x_1² x_2, exactly. Three: samples move as quantiles do."""
    a, b = 1.7, 0.8
    (y, v), (z, w) = (log_gamma_rule(alpha, order=8) for alpha in (a, b))
    nodes, weights = product_rule((y, v), (z, w))
    drawn = {"log gamma": nodes[:, None]}
    found = moments(drawn, weights, estimator, lambda x: x[:, 0] ** 2 * x[:, 1], Dirichlet(tensor(a, b)), 1)
    leaf = tensor(a, b).requires_grad_()
    total = leaf.sum()
    moment = leaf[0] * (leaf[0] + 1) * leaf[1] / (total * (total + 1) * (total + 2))  # E x_1² x_2
    assert_close(found["concentration"][0], torch.autograd.grad(moment, leaf)[0])

    p, step = tensor(0.3, 0.85, 0.6), 1e-4

    def cost_at(alpha: Tensor) -> float:
        y = torch.from_numpy(gammaincinv(alpha.numpy(), p.numpy()))
        return float(bent((y / y.sum())[None]))

    log_y = torch.from_numpy(gammaincinv(_SHARES.numpy(), p.numpy())).log()
    key = Prescribed({"log gamma": log_y[None]})
    got = estimator(Cost(bent), Dirichlet(_SHARES), evaluations=1, key=key).gradient["concentration"]
    for i, e in enumerate(torch.eye(3, dtype=torch.float64)):
        ends = [cost_at(_SHARES + k * step * e) for k in (-2, -1, 1, 2)]
        assert_close(got[i], (ends[0] - 8 * ends[1] + 8 * ends[2] - ends[3]) / (12 * step), rtol=1e-8, atol=1e-9)


def prove_drawn_means(estimator) -> None:
    """Of its own draws: z-tests of each parameter, 10⁻⁹ over all of a law, at three shares and two vectors."""
    a = _SHARES.clone().requires_grad_()
    total = a.sum()
    shares = (a[0] * a[1] + a[1] * (a[1] + 1)) / (total * (total + 1)) + a[2] / total  # E x_1 x_2 + x_2² + x_3
    (truth,) = torch.autograd.grad(shares, a)
    at = MIXTURES[-1]
    leaves = [value.clone().requires_grad_() for value in at.parameters.values()]
    gradients = torch.autograd.grad(expected_bent(*leaves), leaves)
    cases: list[tuple[Distribution, Callable[[Tensor], Tensor], dict[str, Tensor]]] = [
        (Dirichlet(_SHARES), lambda x: x[:, 0] * x[:, 1] + x[:, 1] ** 2 + x[:, 2], {"concentration": truth}),
        (at, bent, dict(zip(at.parameters, gradients, strict=True))),
    ]
    for i, (where, cost, expected) in enumerate(cases):
        e = estimator(Cost(cost), where, evaluations=40_000, key=Key(11).child(i))
        for name, value in expected.items():
            z = (e.gradient[name] - value) / e.standard_error[name]
            # at most 10 numbers a law: P(|z| > 6.5) = 8·10⁻¹¹ each
            assert float(z.abs().max()) < 6.5, f"{type(where).__name__}.{name}: z = {z}"


def transported(at: GaussianMixture, x: Tensor) -> Tensor:
    """Return the conditional probabilities z of one sample x (d,), each as a ratio of sums over the components."""
    pi = torch.softmax(at.logits, -1).tolist()
    normal = [
        [torch.distributions.Normal(at.mean[k, i], at.scale[k, i]) for i in range(len(x))] for k in range(len(pi))
    ]
    z = []
    for i in range(len(x)):
        w = [pi[k] * math.prod(float(normal[k][j].log_prob(x[j]).exp()) for j in range(i)) for k in range(len(pi))]
        z.append(sum(w[k] * normal[k][i].cdf(x[i]) for k in range(len(pi))) / sum(w))
    return torch.stack(z)


def numbers(at: GaussianMixture) -> list[tuple[str, tuple[int, ...]]]:
    """Return every single parameter's name and index."""
    return [(n, i) for n, v in at.parameters.items() for i in itertools.product(*map(range, v.shape))]
