"""ImportanceWeighted: its mean and variance by quadrature and enumeration, and what its remedies cost in bias."""

import math

import pytest
import torch

from rllab import Bernoulli, Beta, Cost, Dirichlet, FromTorch, Gamma, Gaussian, Key, Poisson, Product, Target
from rllab.estimators import ImportanceWeighted, ScoreFunction
from tests.proofs.batches import assert_clipped_is_short, importance_moments, prove_importance_weighted
from tests.proofs.checks import THETA, linear
from tests.proofs.sampling import LOGITS, all_outcomes, assert_close, enumerated, knotty, weighted

TILTED = Bernoulli(LOGITS + torch.tensor([0.5, 0.8, -1.0], dtype=torch.float64))


def test_it_is_unbiased_with_the_variance_of_its_integral():
    prove_importance_weighted(ImportanceWeighted)


@pytest.mark.parametrize("k", (1, 2, 3))
def test_batches_of_bits_from_another_distribution_have_the_exact_mean(k):
    many, weights, key = all_outcomes(TILTED, k)
    at = Bernoulli(LOGITS.expand(len(weights), 3))
    for baseline in (None, 1.3):
        e = ImportanceWeighted(many, baseline)(Cost(knotty), at, evaluations=k, key=key)
        assert_close(weighted(e.gradient["logits"], weights)[0], enumerated(Bernoulli(LOGITS), knotty)["logits"])
        x, log_p = Bernoulli(LOGITS).support()
        assert_close(weights @ e.value, log_p.exp() @ knotty(x))


def test_clipping_the_ratio_shortens_the_gradient_and_says_so():
    for baseline in (None, 0.8):
        assert_clipped_is_short(ImportanceWeighted(TILTED, baseline, clip=0.9))


def test_a_clipped_target_is_a_surrogate_of_its_own():
    targets = {ImportanceWeighted(clip=c, baseline=b).target for c in (0.9, 2.0, None) for b in (None, 0.4, -0.4)}
    assert len(targets) == 7 and Target.expectation() in targets
    assert str(ImportanceWeighted(clip=2.0, baseline=-0.4).target) == "∇f̂ (E_q φ(ρ) (f + 0.4), φ'(ρ) = min(1, 2/ρ))"
    both = ImportanceWeighted(clip=2.0, normalise=True)
    assert both.target.of.endswith("over the mean of cut ρ") and not both.unbiased


def far_apart(dtype, apart=1.0, d=200):
    return Gaussian(torch.zeros(d, dtype=dtype)), Gaussian(torch.full((d,), apart, dtype=dtype))


@pytest.mark.parametrize("normalise", (False, True))
def test_ratios_that_all_underflow_leave_what_double_precision_has(normalise):
    # log ρ ≈ −100 ± 14: in float32 every ρ² is 0 and hardly a ρ is not
    found = []
    for dtype in (torch.float32, torch.float64):
        at, q = far_apart(dtype)
        estimator = ImportanceWeighted(q, normalise=normalise)
        e = estimator(Cost(lambda x: x[:, 0] + 2), at, evaluations=3_000, key=2, per_unit=True)
        assert len(estimator.ask(at, 3_000, 2)) == 3  # blocks
        found.append(e)
    single, double = found
    assert 1 <= float(single.state.effective_samples) < 20
    one, other = (e.state.effective_samples.double() for e in found)
    torch.testing.assert_close(one, other, rtol=1e-3, atol=0)
    if normalise:
        for name in ("mean", "scale"):
            for got in ("gradient", "standard_error"):
                one, other = (getattr(e, got)[name].double() for e in found)
                torch.testing.assert_close(one, other, rtol=2e-3, atol=2e-3 * float(other.abs().max()))
        torch.testing.assert_close(single.value.double(), double.value, rtol=1e-3, atol=0)
    assert all(torch.isfinite(v).all() for e in found for v in (*e.gradient.values(), *e.standard_error.values()))
    # as its rows say, in the precision that holds their squares
    for name, rows in double.per_unit.items():
        torch.testing.assert_close(rows.mean(0), double.gradient[name], rtol=1e-8, atol=0)
        if not normalise:
            error = rows.std(0) / math.sqrt(3_000)
            torch.testing.assert_close(double.standard_error[name], error, rtol=1e-8, atol=0)


def test_an_estimate_of_ratios_that_single_precision_barely_holds_has_an_error_as_large_as_itself():
    at, q = far_apart(torch.float32, 1.25, d=160)
    e = ImportanceWeighted(q)(Cost(lambda x: x[:, 0] + 2), at, evaluations=500, key=2)
    g, se = e.gradient["mean"], e.standard_error["mean"]
    assert float(e.state.largest.square()) == 0 < float(e.state.largest)
    assert ((se > 0.3 * g.abs()) & (se > 0)).all()
    hopeless = ImportanceWeighted(far_apart(torch.float32, 3.0)[1])(
        Cost(lambda x: x[:, 0]), at=far_apart(torch.float32)[0], evaluations=500, key=2
    )
    assert float(hopeless.state.largest) == 0 and 1 <= float(hopeless.state.effective_samples) < 20
    assert not hopeless.gradient["mean"].any() and not hopeless.standard_error["mean"].any()


def test_a_later_block_with_larger_ratios_is_weighed_like_the_first():
    # one problem after the other is answered block by block: the same as if all were one block
    at, q = Gaussian(torch.zeros(3, 100, dtype=torch.float64)), Gaussian(torch.full((3, 100), 0.3, dtype=torch.float64))
    for normalise in (False, True):
        estimator = ImportanceWeighted(q, 0.3, normalise=normalise)
        query = estimator.ask(at, 4_000, 5)
        blocks = list(query)
        log_rho = torch.cat([block.noise.log_ratio for block in blocks])
        first = len(blocks[0].points)
        assert (log_rho[first:].amax(0) > log_rho[:first].amax(0)).any() and len(blocks) > 3
        f = torch.cos(torch.cat([block.points for block in blocks])).sum(-1)
        e = estimator.tell(query, f)
        rho, s = log_rho.exp(), torch.cat([block.points for block in blocks])
        over = rho.sum(0) if normalise else 4_000
        expected = torch.einsum("kb,kbd->bd", rho * (f - 0.3) / over, s)
        torch.testing.assert_close(e.gradient["mean"], expected, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(e.value, (rho * f / over).sum(0), rtol=1e-10, atol=0)


EDGES = {
    "Gamma": Gamma(torch.tensor([0.01, 2.0])),
    "Beta": Beta(torch.tensor([0.5, 0.01]), torch.tensor([0.3, 0.02])),
    "Dirichlet": Dirichlet(torch.tensor([0.02, 0.1, 1.0])),
    "Product": Product(
        a=Gamma(torch.tensor([0.01])), b=Bernoulli(torch.tensor([0.4])), c=Beta(torch.tensor([0.01]), 0.02)
    ),
}


def moved(at, by=1.3):
    """The same family with other parameters; its positive ones are multiplied."""
    return at.replace(**{name: value * by for name, value in at.parameters.items()})


@pytest.mark.parametrize("at", EDGES.values(), ids=EDGES)
def test_samples_at_the_edge_of_their_precision_keep_the_logarithm_they_were_drawn_with(at):
    def f(x):
        return torch.cos(x.double()).sum(-1)

    x, _ = at.draw(2_000, Key(3).child("sample", 0))
    assert ((x == 0) | (x == 1)).any()
    one = ImportanceWeighted(baseline=1.1)(Cost(f), at, evaluations=2_000, key=3)
    other = ScoreFunction(1.1)(Cost(f), at, evaluations=2_000, key=3)
    q, exact = moved(at), at.replace(**{name: value.double() for name, value in at.parameters.items()})
    away, precise = (ImportanceWeighted(moved(p))(Cost(f), p, evaluations=2_000, key=4) for p in (at, exact))
    assert float(one.state.effective_samples) == 2_000
    assert q.shape == at.shape and float(away.state.effective_samples) < 2_000
    for name in at.parameters:
        for got in ("gradient", "standard_error"):
            mine, its = getattr(one, got)[name], getattr(other, got)[name]
            torch.testing.assert_close(mine, its, rtol=1e-4, atol=1e-4)
            mine, its = getattr(away, got)[name].double(), getattr(precise, got)[name]
            torch.testing.assert_close(mine, its, rtol=1e-3, atol=1e-4)


def test_ratios_of_one_family_are_those_of_their_densities():
    for at in (*EDGES.values(), Gaussian(THETA, 0.3)):
        p = at.replace(**{name: value.double() * 1.7 + 0.5 for name, value in at.parameters.items()})
        q = moved(p)  # neither near an edge
        x, noise = q.draw(50, Key(3))
        of_p = p.noise_from(q, x, noise)
        ratio = p.log_density(x, of_p) - q.log_density(x, noise)
        torch.testing.assert_close(ratio, p.log_prob(x) - q.log_prob(x), rtol=1e-8, atol=1e-8)


def test_what_another_family_drew_outside_or_at_the_edge_is_refused():
    gamma, wide = Gamma(torch.tensor([0.5, 2.0])), Gaussian(torch.zeros(2), 1.0)
    with pytest.raises(ValueError, match=r"log p and log q must be finite at every sample, got nan and -\d.* at \["):
        ImportanceWeighted(wide).ask(gamma, 50, 0)[0]
    narrow = FromTorch(torch.distributions.Gamma, {"concentration": torch.tensor([0.5, 2.0]), "rate": torch.ones(2)})
    assert float(ImportanceWeighted(narrow)(Cost(linear), gamma, evaluations=1, key=0).state.effective_samples) == 1


def test_normalising_biases_by_one_over_the_number_of_samples():
    p, q = Bernoulli(LOGITS[:1]), Bernoulli(LOGITS[:1] + 0.8)
    truth, bias = enumerated(p, knotty)["logits"], {}
    for k in (4, 8):
        many, weights, key = all_outcomes(q, k)
        at = Bernoulli(p.logits.expand(len(weights), 1))
        g = ImportanceWeighted(many, normalise=True)(Cost(knotty), at, evaluations=k, key=key).gradient["logits"]
        bias[k] = float(weights @ g[:, 0] - truth)
    assert abs(bias[4]) > 0.01 * float(truth.abs())
    assert bias[8] / bias[4] == pytest.approx(0.5, abs=0.1)
    assert not ImportanceWeighted(normalise=True).unbiased


def test_the_second_moment_of_the_ratio_grows_exponentially_with_the_dimension():
    # E_q ρ² = exp(‖δ‖²/s²) for means δ apart, so the effective share of many samples is exp(−d δ²/s²)
    k, delta = 400_000, 0.25
    for d in (1, 3, 6):
        at = Gaussian(torch.zeros(d, dtype=torch.float64))
        e = ImportanceWeighted(Gaussian(at.mean + delta))(Cost(lambda x: torch.cos(x[:, 0])), at, evaluations=k, key=d)
        assert float(e.state.effective_samples) / k == pytest.approx(math.exp(-d * delta**2), rel=0.03)


def test_effective_samples_and_errors_are_those_of_the_ratios():
    at, q = Gaussian(THETA, 0.3), Gaussian(THETA + 0.1, 0.4)
    x, _ = q.draw(50, Key(3).child("sample", 0))
    rho = (at.log_prob(x) - q.log_prob(x)).exp()
    for clip in (None, 1.1):
        r = rho if clip is None else rho.clamp_max(clip)
        for normalise in (False, True):
            e = ImportanceWeighted(q, 0.4, clip, normalise)(Cost(linear), at, evaluations=50, key=3, per_unit=True)
            assert float(e.state.effective_samples) == pytest.approx(float(r.sum() ** 2 / (r * r).sum()), rel=1e-9)
            assert float(e.state.largest) == pytest.approx(float(r.max()), rel=1e-12)
            ws = (linear(x) - 0.4)[:, None] * (x - THETA) / 0.3**2
            share = r[:, None] / (r.sum() if normalise else 50)
            torch.testing.assert_close(e.per_unit["mean"], 50 * share * ws, rtol=1e-9, atol=1e-10)
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


def test_moments_do_not_depend_on_a_baseline_in_the_mean():
    plain, shifted = (importance_moments(ImportanceWeighted(baseline=b))["mean"] for b in (None, 0.6))
    assert_close(plain[0], shifted[0])
    assert float((plain[1] - shifted[1]).abs()) > 1e-3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ImportanceWeighted(3.0), "proposal must be a Distribution, a function that makes one, or None"),
        (lambda: ImportanceWeighted(clip=0.0), "clip must be positive and finite, got 0.0"),
        (lambda: ImportanceWeighted(clip="2"), "clip must be a number, got '2'"),
        (lambda: ImportanceWeighted(baseline="mean"), "baseline must be None or a finite number, got 'mean'"),
        (
            lambda: ImportanceWeighted(TILTED).ask(Gaussian(THETA), 4, 0),
            r"proposal must be a distribution of samples \(2,\), got one of \(3,\)",
        ),
        (
            lambda: ImportanceWeighted(Bernoulli(THETA)).ask(Gaussian(THETA), 4, 0),
            "proposal must have a density by length as p has, got one by counting",
        ),
        (
            lambda: ImportanceWeighted(Gamma(THETA.abs())).ask(Poisson(THETA.abs()), 4, 0),
            "proposal must have a density by counting as p has, got one by length",
        ),
        (
            lambda: ImportanceWeighted(Beta(THETA.abs())).ask(Dirichlet(THETA.abs()), 4, 0),
            "proposal must have a density by simplex as p has, got one by length",
        ),
        (
            lambda: ImportanceWeighted(Product(a=Poisson(THETA[:1]), b=Gaussian(THETA[:1]))).ask(
                Product(a=Gaussian(THETA[:1]), b=Poisson(THETA[:1])), 4, 0
            ),
            "proposal must have a density by counting, length as p has, got one by counting, length",
        ),
        (lambda: ImportanceWeighted().ask(THETA, 4, 0), "at must be a Distribution, got Tensor"),
    ],
)
def test_what_cannot_be_weighted_is_named(make, message):
    with pytest.raises((TypeError, ValueError), match=f"ImportanceWeighted: {message}"):
        make()
