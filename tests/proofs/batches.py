"""Proofs for the score function and estimators made of it: exact moments over all batches they may draw.

Each proof is asked of the right estimator in tests/estimators and of its mutants in tests/mutants.
"""

import itertools
import math

import torch
from torch import Tensor

from rllab import Bernoulli, Categorical, Cost, Gaussian, Key, Target
from rllab.estimate import Kind
from rllab.estimators import Enumeration, ScoreFunction
from tests.proofs.prescribed import Prescribed
from tests.proofs.sampling import (
    LOGITS,
    REACH,
    all_outcomes,
    assert_close,
    enumerated,
    knotty,
    moments,
    panels,
    weighted,
)

CHOICES = Categorical(torch.tensor([0.4, -1.1, 0.9, 0.0, -0.3], dtype=torch.float64))
TABLE = torch.tensor([0.3, -1.2, 0.9, 2.0, -0.7], dtype=torch.float64)


def payoff(x: Tensor) -> Tensor:
    return x @ TABLE


def prove_batches(estimator: ScoreFunction, batches=(2, 3)) -> None:
    """Over all outcomes of a batch of bits: if it says so the mean is that of the enumeration, else 1 − 1/K of it.

    Its standard error is that of its rows, and its gradient their mean.
    """
    at, truth = Bernoulli(LOGITS), enumerated(Bernoulli(LOGITS), knotty)["logits"]
    for k in batches:
        many, weights, key = all_outcomes(at, k)
        e = estimator(Cost(knotty), many, evaluations=k, key=key, per_unit=True)
        mean, _ = weighted(e.gradient["logits"], weights)
        assert_close(mean, truth if estimator.unbiased else (1 - 1 / k) * truth)
        assert_close(e.per_unit["logits"].mean(0), e.gradient["logits"], atol=1e-12)
        assert_close(e.per_unit["logits"].var(0) / k, e.standard_error["logits"] ** 2, atol=1e-12)


def prove_counts(estimator: ScoreFunction) -> None:
    """Over all multisets of a batch of choices, the mean is that of the enumeration, and the variance of samples."""
    truth = enumerated(CHOICES, payoff)["logits"]
    x, log_p = CHOICES.support()
    p = log_p.exp()
    for k in (2, 3):
        batches = list(itertools.product(range(5), repeat=k))
        found, samples, weights = [], [], torch.tensor([math.prod(p[list(b)].tolist()) for b in batches]).double()
        for batch in batches:
            n = torch.bincount(torch.tensor(batch), minlength=5).double()
            key = Prescribed({"counts": (x[n > 0], n[n > 0])})
            found.append(estimator(Cost(payoff), CHOICES, evaluations=k, key=key).gradient["logits"])
            f, s = payoff(x[list(batch)]), CHOICES.scores(x[list(batch)], None)["logits"]
            samples.append((f - f.mean()) @ s / (k - 1))
        got, expected = weighted(torch.stack(found), weights), weighted(torch.stack(samples), weights)
        assert_close(got[0], truth, rtol=1e-7, atol=1e-8)
        assert_close(got[1], expected[1], rtol=1e-7, atol=1e-8)


class Wide:
    """N(mean + 0.2, (1.3 scale)²) for N(mean, scale²)."""

    def __call__(self, at):
        return Gaussian(at.mean + 0.2, 1.3 * at.scale)


def bounded(x: Tensor) -> Tensor:
    return torch.cos(1.7 * x[:, 0]) + 0.3


def importance_moments(estimator) -> dict[str, tuple[Tensor, Tensor]]:
    """Moments of one sample from `Wide` of N(1, 1), on a bounded cost."""
    u, weights = panels(torch.arange(-REACH, REACH + 1), 16)
    weights = weights * torch.exp(-u * u / 2) / math.sqrt(2 * math.pi)
    at = Gaussian(torch.ones(1, dtype=torch.float64), 1.0)
    wide = type(estimator)(Wide(), estimator.baseline, estimator.clip, estimator.normalise)
    drawn = {"normal": u[:, None, None]}
    return moments(drawn, weights, wide, bounded, at, 1)


def prove_importance_weighted(cls) -> None:
    """Closed-form gradient of a cosine, and E_q ρ² (f − b)² s² − (∂E f)² by an integral over x."""
    x, weights = panels(torch.arange(-24.0, 25.0), 24)
    p = torch.exp(-((x - 1) ** 2) / 2) / math.sqrt(2 * math.pi)
    q = torch.exp(-(((x - 1.2) / 1.3) ** 2) / 2) / math.sqrt(2 * math.pi) / 1.3
    damping = math.exp(-(1.7**2) / 2)
    truth = {"mean": -1.7 * damping * math.sin(1.7), "scale": -(1.7**2) * damping * math.cos(1.7)}
    for b in (None, 0.6):
        estimator = cls(baseline=b)
        found = importance_moments(estimator)
        assert estimator.unbiased and estimator.target == Target.expectation()
        for name, s in {"mean": x - 1, "scale": (x - 1) ** 2 - 1}.items():
            assert_close(found[name][0], truth[name], rtol=1e-8)
            f = bounded(x[:, None]) - (b or 0.0)
            second = float(weights @ (p * p / q * f**2 * s**2))
            assert_close(found[name][1], second - truth[name] ** 2, rtol=1e-8)


def assert_clipped_is_short(estimator) -> None:
    """Over all outcomes from its proposal of bits, the mean is that of its surrogate by autograd, and not ∇E f."""
    q, c, b = estimator.proposal, estimator.clip, estimator.baseline or 0.0
    leaf = LOGITS.clone().requires_grad_()
    x, log_q = q.support()
    log_rho = Bernoulli(leaf).log_prob(x) - log_q
    # φ(ρ) = ρ up to c, c (1 + log ρ/c) from there on
    phi = torch.where(log_rho.exp() <= c, log_rho.exp(), c * (1 + log_rho - math.log(c)))
    (expected,) = torch.autograd.grad(log_q.exp() @ (phi * (knotty(x) - b)), leaf)
    many, weights, key = all_outcomes(q, 1)
    at = Bernoulli(LOGITS.expand(len(weights), 3))
    cut = type(estimator)(many, b, c)
    mean, _ = weighted(cut(Cost(knotty), at, evaluations=1, key=key).gradient["logits"], weights)
    assert_close(mean, expected)
    assert cut.unbiased and cut.target.kind is Kind.SURROGATE
    truth = enumerated(Bernoulli(LOGITS), knotty)["logits"]
    assert float((mean - truth).norm()) > 0.05 * float(truth.norm())


def rest_moments(estimator, f, at, samples: int) -> dict[str, tuple[Tensor, Tensor]]:
    """Exact moments over everything the estimator may sample beside what it enumerates."""
    _, log_p = at.support()
    c = estimator.enumerated
    p = log_p.sort(descending=True, stable=True).values[c:].exp()
    p = p / p.sum()
    middle = p.cumsum(0) - p / 2  # a u that makes each outcome
    index = torch.tensor(list(itertools.product(range(len(p)), repeat=samples)))
    drawn = {"uniform": middle[index].unsqueeze(-1)}
    return moments(drawn, p[index].prod(-1), estimator, f, at, c + samples)


def prove_sum_and_sample(cls) -> None:
    """On choices: the mean is that of the enumeration; the variance that of (1 − P) (f − b) s over the rest, by K."""
    truth = Enumeration()(Cost(payoff), CHOICES, evaluations=5, key=0).gradient["logits"]
    x, log_p = CHOICES.support()
    order = log_p.argsort(descending=True)
    p, f, s = log_p.exp()[order], payoff(x)[order], CHOICES.scores(x, None)["logits"][order]
    for c, baseline, k in ((1, "enumerated", 1), (2, "enumerated", 2), (2, None, 1), (3, 0.7, 3)):
        estimator = cls(c, baseline)
        assert estimator.unbiased
        mean, covariance = rest_moments(estimator, payoff, CHOICES, k)["logits"]
        assert_close(mean, truth)
        b = float(p[:c] @ f[:c] / p[:c].sum()) if baseline == "enumerated" else baseline or 0.0
        left = p[c:].sum()
        _, expected = weighted(left * (f - b)[c:, None] * s[c:], p[c:] / left)
        assert_close(covariance, expected / k, atol=1e-12)


def torchs_log_p(at, as_torch, parameters, x):
    """Return log p of samples by torch's distribution of the same parameters."""
    samples = x.view(len(x), *at.logits.shape) if isinstance(at, Categorical) and at.samples == "one-hot" else x
    log_p = as_torch(parameters).log_prob(samples)
    return log_p.sum(-1) if log_p.ndim > len(at.shape) else log_p


def prove_scores(at, as_torch) -> None:
    """log p is torch's, and scores are its derivatives by autograd, from drawn noise and from samples alone."""
    x, noise = at.draw(11, Key(5))
    leaves = {name: v.clone().requires_grad_() for name, v in at.parameters.items()}
    log_p = torchs_log_p(at, as_torch, leaves, x)
    torch.testing.assert_close(at.log_prob(x), log_p.detach(), rtol=1e-11, atol=1e-12)
    for of in (noise, at.noise_of(x)):
        scores = at.scores(x, of)
        assert list(scores) == list(at.parameters)
        for k in range(len(x)):
            wanted = torch.autograd.grad(log_p[k].sum(), list(leaves.values()), retain_graph=True)
            for s, expected in zip(scores.values(), wanted, strict=True):
                torch.testing.assert_close(s[k], expected, rtol=1e-9, atol=1e-11)
