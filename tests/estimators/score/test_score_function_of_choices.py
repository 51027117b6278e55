"""ScoreFunction on bits and choices: exact moments over every outcome of a batch, saturated logits, and counts."""

import itertools
import math

import pytest
import torch
from scipy.stats import binom, chi2

from rllab import Bernoulli, Categorical, Cost, Gaussian, Key, Product
from rllab.estimators import Enumeration, ScoreFunction
from rllab.estimators.score.counts import draw_counts
from rllab.estimators.score.score_function import MovingMean
from tests.proofs.prescribed import Prescribed, choices_as_uniforms
from tests.proofs.sampling import LOGITS, all_outcomes, assert_close, bit, enumerated, knotty, kool, toy, weighted

TABLE = torch.tensor([0.3, -1.2, 0.9, 2.0], dtype=torch.float64)
CHOICE = Categorical(torch.tensor([0.4, -1.1, 0.9, 0.0], dtype=torch.float64))


def batch_moments(baseline, f, at, k, state=None):
    """Exact mean and covariance of a batch of k samples: over 2^(nk) outcomes."""
    many, weights, key = all_outcomes(at, k)
    g = ScoreFunction(baseline)(Cost(f), many, evaluations=k, key=key, state=state and state(len(weights))).gradient
    return weighted(g["logits"], weights)


def known(problems):
    """A state that says the mean cost so far was 0.3."""
    return MovingMean(torch.full((problems,), 0.6, dtype=torch.float64), 2.0)


@pytest.mark.parametrize("k", (1, 2, 3))
@pytest.mark.parametrize("baseline", (None, 1.7, "moving", "leave-one-out", "optimal"))
def test_every_other_baseline_leaves_the_mean_alone(baseline, k):
    if baseline in ("leave-one-out", "optimal") and k == 1:
        with pytest.raises(ValueError, match="evaluations must be >= 2, got 1"):
            ScoreFunction(baseline).ask(Bernoulli(LOGITS), 1, 0)
        return
    mean, _ = batch_moments(baseline, knotty, Bernoulli(LOGITS), k, known if baseline == "moving" else None)
    assert ScoreFunction(baseline).unbiased
    assert_close(mean, enumerated(Bernoulli(LOGITS), knotty)["logits"])


@pytest.mark.parametrize("k", (2, 3, 4))
def test_the_mean_of_the_batch_shortens_the_mean(k):
    # Kool et al. (2019): by 1 − 1/K, three quarters at K = 4
    mean, _ = batch_moments("mean", knotty, Bernoulli(LOGITS[:2]), k)
    assert_close(mean, (1 - 1 / k) * enumerated(Bernoulli(LOGITS[:2]), knotty)["logits"])


# p: variance of one sample, and of leave-one-out with two, on the toy of Grathwohl et al. (2018), t = 0.499
TOY = {0.5: (0.015625, 2.5e-7), 0.3: (0.01317, 2.436e-7), 0.1: (0.00566, 1.476e-7)}


@pytest.mark.parametrize("p", TOY)
def test_variances_on_the_toy_bit_are_the_known_ones(p):
    t, plain, pair = 0.499, *TOY[p]
    mean, variance = batch_moments(None, toy(t), bit(p), 1)
    assert_close(mean, 0.002 * p * (1 - p))
    # (1 − p)p [(1 − p)(1 − t)⁴ + p t⁴] − (∂E f)²
    assert_close(variance, p * (1 - p) * ((1 - p) * (1 - t) ** 4 + p * t**4) - (0.002 * p * (1 - p)) ** 2)
    assert float(variance) == pytest.approx(plain, rel=1e-3)
    mean, variance = batch_moments("leave-one-out", toy(t), bit(p), 2)
    assert_close(mean, 0.002 * p * (1 - p))
    assert_close(variance, 0.002**2 * p * (1 - p) * (0.5 - p * (1 - p)))  # Δ²p(1 − p)(½ − p(1 − p))
    assert float(variance) == pytest.approx(pair, rel=1e-3)


def test_the_toy_of_tucker_et_al_has_its_variance():
    mean, variance = batch_moments(None, toy(0.45), bit(0.5), 1)
    assert float(mean) == pytest.approx(2.5e-2, rel=1e-10) and float(variance) == pytest.approx(0.01594, rel=1e-3)


@pytest.mark.parametrize("p", (0.5, 0.3, 0.97))
def test_the_best_baseline_of_a_single_bit_leaves_no_variance(p):
    f = toy(0.45)
    off, on = f(torch.tensor([[0.0], [1.0]], dtype=torch.float64)).tolist()
    mean, variance = batch_moments(p * off + (1 - p) * on, f, bit(p), 1)
    assert_close(mean, 0.1 * p * (1 - p))
    assert float(variance) < 1e-30


def optimal_by_hand(f, s):
    """The estimate of one batch, costs (K,) and scores (K, n), in loops: either half lends the other its baseline."""
    k, n = s.shape
    g = [0.0] * n
    for j in range(n):
        for i in range(k):
            other = range(1 - i % 2, k, 2)
            square = sum(float(s[m, j]) ** 2 for m in other)
            b = sum(float(f[m]) * float(s[m, j]) ** 2 for m in other) / square
            g[j] += (float(f[i]) - b) * float(s[i, j]) / k
    return g


@pytest.mark.parametrize(("n", "k"), [(1, 2), (1, 5), (2, 2), (2, 3), (2, 4)])
def test_the_optimal_baseline_has_the_variance_of_all_its_batches(n, k):
    at = Bernoulli(LOGITS[:n])
    many, weights, key = all_outcomes(at, k)
    samples = many.draw(k, key)[0].movedim(1, 0)  # (2^(nk), k, n)
    p = torch.sigmoid(LOGITS[:n])
    by_hand = torch.tensor([optimal_by_hand(knotty(x), x - p) for x in samples], dtype=torch.float64)
    mean, covariance = batch_moments("optimal", knotty, at, k)
    expected = weighted(by_hand, weights)
    assert_close(mean, enumerated(at, knotty)["logits"])
    assert_close(mean, expected[0])
    assert_close(covariance, expected[1])


@pytest.mark.parametrize("p", (0.5, 0.3, 0.97))
def test_the_optimal_baseline_of_two_samples_is_the_other_cost_and_of_many_nears_no_variance(p):
    f, at = toy(0.45), bit(p)
    _, two = batch_moments("optimal", f, at, 2)
    assert_close(two, 0.1**2 * p * (1 - p) * (0.5 - p * (1 - p)))  # as leave-one-out
    # the best baseline leaves none: both halves find it where either has a 0 and a 1, so that K Var falls
    spread = [k * float(batch_moments("optimal", f, at, k)[1]) for k in (2, 4, 6, 8)]
    assert all(later < earlier for earlier, later in itertools.pairwise(spread))


# logit shared by three bits: gradient, and variance without baseline, with the mean cost, with the best baseline
SHARED = {0.0: (-0.045, 0.43842, 0.00465, 0.00465), -4.0: (-0.0031793, 0.033557, 0.00071263, 0.00053535)}


@pytest.mark.parametrize("logit", SHARED)
def test_variances_on_three_bits_with_one_logit_are_the_known_ones(logit):
    gradient, *variances = SHARED[logit]
    at = Bernoulli(torch.full((3,), logit, dtype=torch.float64))
    x, log_p = at.support()
    p, f, s = log_p.exp(), kool(x), at.scores(x, None)["logits"].sum(-1)  # the score of the shared logit is the sum
    best = float(p @ (f * s**2) / (p @ s**2))
    if logit == 0.0:
        assert best == pytest.approx(0.7605, abs=5e-5)
    for baseline, variance in zip((None, float(p @ f), best), variances, strict=True):
        mean, covariance = batch_moments(baseline, kool, at, 1)
        assert float(mean.sum()) == pytest.approx(gradient, rel=2e-4)
        assert float(covariance.sum()) == pytest.approx(variance, rel=2e-3)


@pytest.mark.parametrize("baseline", (None, 0.7, "mean", "leave-one-out", "optimal"))
@pytest.mark.parametrize("logit", (50.0, 800.0))  # σ(−50) = 1.9e-22; σ(−800) is 0
def test_saturated_logits_give_finite_gradients(baseline, logit):
    for at in (
        Bernoulli(torch.tensor([logit, -logit], dtype=torch.float64)),
        Categorical(torch.tensor([logit, -logit, 0.0], dtype=torch.float64)),
        Categorical(torch.tensor([logit, -logit, 0.0], dtype=torch.float64), "index"),
        Product(a=Bernoulli(torch.tensor([logit], dtype=torch.float64)), b=Categorical(logit * TABLE)),
    ):
        e = ScoreFunction(baseline)(Cost(lambda x: 1.0 + x.sum(-1)), at, evaluations=33, key=0)
        for g, se in zip(e.gradient.values(), e.standard_error.values(), strict=True):
            assert torch.isfinite(g).all() and torch.isfinite(se).all()
            assert float(g.abs().max()) < 1e-12  # all samples are the same, and their scores are tiny


def test_a_saturated_bit_has_the_gradient_of_what_always_happens():
    at = Bernoulli(torch.tensor([50.0, -50.0], dtype=torch.float64))
    e = ScoreFunction(None)(Cost(lambda x: 3.0 + x[:, 0]), at, evaluations=5, key=0)
    rare = 1 / (1 + math.exp(50))
    torch.testing.assert_close(
        e.gradient["logits"], torch.tensor([4 * rare, -4 * rare], dtype=torch.float64), rtol=1e-13, atol=0
    )


def lookup(x):
    return TABLE[x[:, 0].long()]


@pytest.mark.parametrize("baseline", (None, 0.7, "mean", "leave-one-out"))
def test_counted_samples_give_the_estimate_of_the_same_samples_one_by_one(baseline):
    at = Categorical(CHOICE.logits, "index")
    x, _ = at.draw(37, Key(3))
    as_drawn = Prescribed({"uniform": choices_as_uniforms(x[:, 0].long(), torch.softmax(at.logits, -1))})
    one_by_one = ScoreFunction(baseline)(Cost(lookup), at, evaluations=37, key=as_drawn, per_unit=True)
    outcomes, n = x.unique(dim=0, return_counts=True)
    counts = Prescribed({"counts": (outcomes, n.double())})
    cost = Cost(lookup)
    counted = ScoreFunction(baseline, counts=True)(cost, at, evaluations=37, key=counts, per_unit=True)
    assert counted.evaluations == cost.evaluations == len(outcomes) < 37
    for a, b in ((one_by_one.gradient, counted.gradient), (one_by_one.standard_error, counted.standard_error)):
        torch.testing.assert_close(a["logits"], b["logits"], rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(one_by_one.value, counted.value, rtol=1e-12, atol=0)
    order = x[:, 0].sort().indices
    torch.testing.assert_close(one_by_one.per_unit["logits"][order], counted.per_unit["logits"], rtol=1e-12, atol=1e-12)


def test_counts_have_the_binomial_law_and_miss_no_sample():
    k, problems = 1_000, 400
    at = Categorical(CHOICE.logits.expand(problems, 1, 4))
    x, n = draw_counts(at, k, Key(5))
    assert x.shape == (4, problems, 4) and torch.equal(n.sum(0), torch.full((problems,), float(k), dtype=torch.float64))
    p = torch.softmax(CHOICE.logits, -1).tolist()
    for c, total in enumerate(n.sum(1).tolist()):  # exact tails of 400,000 draws; 1e-9 over all
        tail = min(binom.cdf(total, k * problems, p[c]), binom.sf(total - 1, k * problems, p[c]))
        assert tail > 1e-9 / 8
    spread = n.var(1) / torch.tensor([k * q * (1 - q) for q in p], dtype=torch.float64)
    low, high = chi2.ppf(1e-9 / 8, problems - 1) / (problems - 1), chi2.isf(1e-9 / 8, problems - 1) / (problems - 1)
    assert ((low < spread) & (spread < high)).all()


def test_each_of_a_batch_is_counted_at_outcomes_of_its_own_and_spends_no_more_than_it_may():
    logits = torch.stack([torch.linspace(0, c, 9, dtype=torch.float64) for c in (-60.0, 0.5, 60.0)])[:, None]
    at, cost = Categorical(logits), Cost(lambda x: x @ torch.arange(9.0, dtype=torch.float64))
    for k in (3, 40):
        before = cost.evaluated
        e = ScoreFunction(counts=True)(cost, at, evaluations=k, key=1, per_unit=True)
        assert e.evaluations <= k and cost.evaluated - before == 3 * e.evaluations
        x, n = draw_counts(at, k, Key(1).child("outcomes"))
        assert n.sum(0).tolist() == [k] * 3 and len(x) == e.evaluations == (n > 0).sum(0).max()
        hot = x.view(len(x), 3, 9).argmax(-1)
        assert all(len(hot[n[:, b] > 0, b].unique()) == (n[:, b] > 0).sum() for b in range(3))  # none is there twice
        value = (n * hot).sum(0) / k
        torch.testing.assert_close(e.value, value, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(e.per_unit["logits"].mean(0), e.gradient["logits"], rtol=1e-9, atol=1e-12)


def test_more_samples_than_half_precision_can_count_are_counted():
    at = Categorical(torch.tensor([[0.3, 0.0, -1.0]], dtype=torch.float16))
    e = ScoreFunction(counts=True)(Cost(lambda x: x[:, 0]), at, evaluations=300_000, key=0)
    p = torch.softmax(at.logits.double(), -1)[0, 0]
    assert e.gradient["logits"].dtype == torch.float16
    assert (
        abs(float(e.gradient["logits"][0, 0]) - float(p * (1 - p))) < 6 * float(e.standard_error["logits"][0, 0]) + 1e-3
    )


def test_counting_costs_the_same_for_any_number_of_samples():
    cost = Cost(lookup)
    at = Categorical(CHOICE.logits, "index")
    e = ScoreFunction(counts=True)(cost, at, evaluations=10**12, key=0)
    assert e.evaluations == cost.evaluations == 4
    exact = Enumeration()(Cost(lookup), at, evaluations=4, key=0)
    z = (e.gradient["logits"] - exact.gradient["logits"]) / e.standard_error["logits"]
    assert float(z.abs().max()) < 6.5  # 4 components, 3e-10 in all
    assert float(e.standard_error["logits"].max()) < 1e-5


def test_what_cannot_be_counted_is_refused():
    with pytest.raises(TypeError, match="at must have finitely many outcomes, got Gaussian"):
        ScoreFunction(counts=True).ask(Gaussian(LOGITS), 5, 0)
    with pytest.raises(ValueError, match="all outcomes must be at most 16777216 numbers"):
        ScoreFunction(counts=True).ask(Bernoulli(torch.zeros(30)), 5, 0)
    with pytest.raises(ValueError, match="with counts, baseline must not be 'optimal'"):
        ScoreFunction("optimal", counts=True)
    with pytest.raises(ValueError, match=r"decay must be a number in \[0, 1\), got 1.0"):
        ScoreFunction("moving", decay=1.0)
