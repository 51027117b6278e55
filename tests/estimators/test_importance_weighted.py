"""ImportanceWeighted: its mean and variance by quadrature and enumeration, and what its remedies cost in bias."""

import math

import pytest
import torch
from batches import assert_clipped_is_short, importance_moments, prove_importance_weighted
from checks import THETA, linear
from sampling import LOGITS, all_outcomes, assert_close, enumerated, knotty, weighted

from rllab import Bernoulli, Cost, Gaussian, Key
from rllab.estimators import ImportanceWeighted, ScoreFunction

TILTED = Bernoulli(LOGITS + torch.tensor([0.5, 0.8, -1.0], dtype=torch.float64))


def test_it_is_unbiased_with_the_variance_of_its_integral(monkeypatch):
    prove_importance_weighted(monkeypatch, ImportanceWeighted)


@pytest.mark.parametrize("k", (1, 2, 3))
def test_batches_of_bits_from_another_distribution_have_the_exact_mean(monkeypatch, k):
    many, weights = all_outcomes(monkeypatch, TILTED, k)
    at = Bernoulli(LOGITS.expand(len(weights), 3))
    for baseline in (None, 1.3):
        e = ImportanceWeighted(many, baseline)(Cost(knotty), at, evaluations=k, key=0)
        assert_close(weighted(e.gradient["logits"], weights)[0], enumerated(Bernoulli(LOGITS), knotty)["logits"])
        x, log_p = Bernoulli(LOGITS).support()
        assert_close(weights @ e.value, log_p.exp() @ knotty(x))


def test_clipping_the_ratio_shortens_the_gradient_and_says_so(monkeypatch):
    assert_clipped_is_short(monkeypatch, ImportanceWeighted(TILTED, clip=0.9))
    assert not ImportanceWeighted(clip=0.9).unbiased


def test_normalising_biases_by_one_over_the_number_of_samples(monkeypatch):
    p, q = Bernoulli(LOGITS[:1]), Bernoulli(LOGITS[:1] + 0.8)
    truth, bias = enumerated(p, knotty)["logits"], {}
    for k in (4, 8):
        many, weights = all_outcomes(monkeypatch, q, k)
        at = Bernoulli(p.logits.expand(len(weights), 1))
        g = ImportanceWeighted(many, normalise=True)(Cost(knotty), at, evaluations=k, key=0).gradient["logits"]
        bias[k] = float(weights @ g[:, 0] - truth)
    assert abs(bias[4]) > 0.01 * float(truth.abs())
    assert bias[8] / bias[4] == pytest.approx(0.5, abs=0.1)
    assert not ImportanceWeighted(normalise=True).unbiased


def test_the_second_moment_of_the_ratio_grows_exponentially_with_the_dimension():
    # E_q ρ² = exp(‖δ‖²/s²) for means δ apart, so the effective share of many samples is exp(−d δ²/s²)
    k, delta = 400_000, 0.4
    for d in (1, 3, 6):
        at = Gaussian(torch.zeros(d, dtype=torch.float64))
        e = ImportanceWeighted(Gaussian(at.mean + delta))(Cost(lambda x: torch.cos(x[:, 0])), at, evaluations=k, key=d)
        assert float(e.state.effective_samples) / k == pytest.approx(math.exp(-d * delta**2), rel=0.1)


def test_effective_samples_and_errors_are_those_of_the_ratios():
    at, q = Gaussian(THETA, 0.3), Gaussian(THETA + 0.1, 0.4)
    x, _ = q.draw(50, Key(3).child("sample", 0))
    rho = (at.log_prob(x) - q.log_prob(x)).exp()
    for clip in (None, 1.1):
        r = rho if clip is None else rho.clamp_max(clip)
        for normalise in (False, True):
            e = ImportanceWeighted(q, 0.4, clip, normalise)(Cost(linear), at, evaluations=50, key=3, rows=True)
            assert float(e.state.effective_samples) == pytest.approx(float(r.sum() ** 2 / (r * r).sum()), rel=1e-9)
            assert float(e.state.largest) == pytest.approx(float(r.max()), rel=1e-12)
            ws = (linear(x) - 0.4)[:, None] * (x - THETA) / 0.3**2
            share = r[:, None] / (r.sum() if normalise else 50)
            torch.testing.assert_close(e.rows["mean"], 50 * share * ws, rtol=1e-9, atol=1e-10)
            torch.testing.assert_close(e.gradient["mean"], (share * ws).sum(0), rtol=1e-9, atol=1e-10)
            if normalise:
                error = (share * (ws - e.gradient["mean"])).square().sum(0).sqrt()
            else:
                error = (50 * share * ws).std(0) / math.sqrt(50)
            torch.testing.assert_close(e.standard_error["mean"], error, rtol=1e-9, atol=1e-10)


def test_from_the_distribution_itself_it_is_the_score_function():
    at = Gaussian(THETA, 0.3)
    one = ImportanceWeighted(baseline=1.1)(Cost(linear), at, evaluations=9, key=4)
    other = ScoreFunction(1.1)(Cost(linear), at, evaluations=9, key=4)
    for name in ("mean", "scale"):
        torch.testing.assert_close(one.gradient[name], other.gradient[name], rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(one.standard_error[name], other.standard_error[name], rtol=1e-9, atol=1e-9)
    assert float(one.state.effective_samples) == pytest.approx(9, rel=1e-12)


def test_moments_do_not_depend_on_a_baseline_in_the_mean(monkeypatch):
    plain, shifted = (importance_moments(monkeypatch, ImportanceWeighted(baseline=b))["mean"] for b in (None, 0.6))
    assert_close(plain[0], shifted[0])
    assert float((plain[1] - shifted[1]).abs()) > 1e-3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ImportanceWeighted(3.0), "proposal must be a Distribution, a function that makes one, or None"),
        (lambda: ImportanceWeighted(clip=0.0), "clip must be positive or None, got 0.0"),
        (lambda: ImportanceWeighted(baseline="mean"), "baseline must be None or a finite number, got 'mean'"),
        (
            lambda: ImportanceWeighted(TILTED).ask(Gaussian(THETA), 4, 0),
            r"proposal must be a distribution of samples \(2,\), got one of \(3,\)",
        ),
        (lambda: ImportanceWeighted().ask(THETA, 4, 0), "at must be a Distribution, got Tensor"),
    ],
)
def test_what_cannot_be_weighted_is_named(make, message):
    with pytest.raises((TypeError, ValueError), match=f"ImportanceWeighted: {message}"):
        make()
