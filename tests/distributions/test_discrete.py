"""Bernoulli and Categorical against torch's own, against exact sums over their support, and at saturated logits."""

import math

import pytest
import torch
from scipy.stats import binom, nbinom, poisson

from rllab import Bernoulli, Categorical, FromTorch, Gaussian, Key, Poisson
from tests.proofs.batches import torchs_log_p
from tests.proofs.score_sums import score_square_sum, score_sum

LOGITS = torch.tensor([0.3, -1.2, 2.0, 0.0], dtype=torch.float64)
TABLE = torch.tensor([[0.5, -1.0, 0.2], [2.0, 0.1, -0.4]], dtype=torch.float64)
CASES = {
    "bits": Bernoulli(LOGITS),
    "two problems of bits": Bernoulli(torch.stack((LOGITS, -0.5 * LOGITS + 0.1))),
    "one choice": Categorical(LOGITS),
    "two choices": Categorical(TABLE),
    "one choice by index": Categorical(LOGITS, "index"),
    "two choices by index": Categorical(TABLE, "index"),
    "two problems of choices by index": Categorical(torch.stack((TABLE, TABLE.flip(0) * 0.7)), "index"),
    "two problems of choices": Categorical(torch.stack((TABLE, TABLE.flip(0) * 0.7))),
}
every = pytest.mark.parametrize("at", CASES.values(), ids=CASES)


def by_torch(at, logits, x):
    """log p(x) by torch.distributions."""
    kinds = {"one-hot": torch.distributions.OneHotCategorical, "index": torch.distributions.Categorical}
    kind = torch.distributions.Bernoulli if isinstance(at, Bernoulli) else kinds[at.samples]
    return torchs_log_p(at, lambda p: kind(logits=p["logits"]), {"logits": logits}, x)


@every
def test_the_support_is_everything_once_with_its_probability(at):
    x, log_p = at.support()
    assert len(x) == at.support_size == len(x.reshape(len(x), -1).unique(dim=0))
    assert x.shape[1:] == at.shape and log_p.shape == x.shape[:-1]
    torch.testing.assert_close(log_p.exp().sum(0), torch.ones_like(log_p[0]), rtol=1e-14, atol=0)
    torch.testing.assert_close(log_p, by_torch(at, at.logits, x), rtol=1e-12, atol=1e-14)
    part, log_part = at.support(3, 7)
    assert torch.equal(part, x[3:7]) and torch.equal(log_part, log_p[3:7])
    assert torch.equal(at.support(5)[0], x[5:])


@every
def test_scores_are_the_gradient_of_log_p_and_sum_to_nothing(at):
    x, log_p = at.support()
    scores = at.scores(x, None)["logits"]
    leaf = at.logits.clone().requires_grad_()
    wanted = by_torch(at, leaf, x).view(len(x), -1).sum(-1)
    for k in range(len(x)):
        (expected,) = torch.autograd.grad(wanted[k], leaf, retain_graph=True)
        torch.testing.assert_close(scores[k], expected, rtol=1e-12, atol=1e-14)
    mean = score_sum(at, log_p.exp(), x, None)["logits"]
    torch.testing.assert_close(mean, torch.zeros_like(mean), rtol=0, atol=1e-15)


@every
def test_weighted_sums_are_those_of_the_scores(at):
    x, noise = at.draw(50, Key(3))
    w = torch.randn((50, *at.shape[:-1]), generator=Key(4).generator(), dtype=torch.float64)
    scores = at.scores(x, noise)["logits"]
    assert scores.shape == (50, *at.logits.shape)
    by_row = w.view(*w.shape, *[1] * (scores.ndim - w.ndim))
    torch.testing.assert_close(score_sum(at, w, x, noise)["logits"], (by_row * scores).sum(0), rtol=1e-12, atol=1e-13)
    square = score_square_sum(at, w, x, noise)["logits"]
    torch.testing.assert_close(square, (by_row * scores**2).sum(0), rtol=1e-12, atol=1e-13)


@every
def test_draws_have_the_probabilities_of_the_support(at):
    # an exact binomial tail for each sample of the support; 1e-9 over all of them (at most 2 x 64)
    n = 200_000
    x, _ = at.draw(n, Key(9))
    everything, log_p = at.support()
    assert x.dtype == torch.float64 and x.shape == (n, *at.shape)
    problems = at.shape[:-1]
    for b in range(math.prod(problems)):
        seen, all_of_them = (t[:, b] if problems else t for t in (x, everything))
        p = (log_p[:, b] if problems else log_p).exp()
        counts = torch.stack([(seen == one).all(-1).sum() for one in all_of_them])
        assert int(counts.sum()) == n
        for count, probability in zip(counts.tolist(), p.tolist(), strict=True):
            tail = min(binom.cdf(count, n, probability), binom.sf(count - 1, n, probability))
            assert tail > 1e-9 / (2 * 128)


@every
def test_draws_are_the_same_in_either_precision(at):
    single = at.replace(logits=at.logits.float())
    x, _ = single.draw(1000, Key(1))
    assert x.dtype == torch.float32
    again, _ = single.replace(logits=single.logits.double()).draw(1000, Key(1))
    assert torch.equal(x.double(), again)


def test_saturated_bits_have_scores_that_are_right_to_the_last_digits():
    at = Bernoulli(torch.tensor([50.0, -50.0, 700.0], dtype=torch.float64))
    rare = [1 / (1 + math.exp(50)), 1 / (1 + math.exp(50)), 1 / (1 + math.exp(700))]
    x = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]], dtype=torch.float64)  # what always, and what never happens
    scores = at.scores(x, None)["logits"]
    expected = torch.tensor([[rare[0], -rare[1], rare[2]], [-1.0, 1.0, -1.0]], dtype=torch.float64)
    torch.testing.assert_close(scores, expected, rtol=1e-14, atol=0)
    w = torch.tensor([3.0, 0.0], dtype=torch.float64)
    torch.testing.assert_close(score_sum(at, w, x, None)["logits"], 3 * expected[0], rtol=1e-14, atol=0)
    torch.testing.assert_close(score_square_sum(at, w, x, None)["logits"], 3 * expected[0] ** 2, rtol=1e-14, atol=0)
    drawn, _ = at.draw(100_000, Key(0))
    assert torch.equal(drawn, x[:1].expand_as(drawn))
    _, log_p = at.support()
    assert float(log_p[0b010]) == pytest.approx(-50 - 50 - 700, rel=1e-14)


def test_a_saturated_choice_has_scores_that_are_right_to_the_last_digits():
    at = Categorical(torch.tensor([-50.0, 0.0, -49.0], dtype=torch.float64))
    rare = math.exp(-50), math.exp(-49)
    x = torch.eye(3, dtype=torch.float64)
    expected = torch.tensor(
        [[1.0, -1.0, -rare[1]], [-rare[0], rare[0] + rare[1], -rare[1]], [-rare[0], -1.0, 1.0]], dtype=torch.float64
    )
    torch.testing.assert_close(at.scores(x, None)["logits"], expected, rtol=1e-14, atol=0)
    one = torch.tensor([0.0, 2.0, 0.0], dtype=torch.float64)
    torch.testing.assert_close(score_sum(at, one, x, None)["logits"], 2 * expected[1], rtol=1e-14, atol=0)
    drawn, _ = at.draw(100_000, Key(0))
    assert torch.equal(drawn, x[1:2].expand_as(drawn))


@pytest.mark.parametrize("samples", ("one-hot", "index"))
def test_sums_of_a_saturated_choice_keep_what_the_rare_ones_leave(samples):
    at = Categorical(torch.tensor([-50.0, 0.0, -49.0], dtype=torch.float64), samples)
    x, _ = at.support()
    w = torch.tensor([[3e-22, 2.0, 0.0], [0.0, -1.0, 5e-23]], dtype=torch.float64)
    scores = at.scores(x, None)["logits"]
    sums, squares = at.score_sums(w.numpy(), w[:1].numpy(), x, None)
    torch.testing.assert_close(torch.from_numpy(sums["logits"]), w @ scores, rtol=1e-14, atol=0)
    torch.testing.assert_close(torch.from_numpy(squares["logits"]), w[:1] @ scores**2, rtol=1e-14, atol=0)


@pytest.mark.parametrize("samples", ("one-hot", "index"))
def test_many_samples_of_a_few_choices_are_those_that_bisection_finds(samples):
    logits = torch.tensor([0.3, -2.0, -800.0, 1.0, -9.0], dtype=torch.float64)
    alone, _ = Categorical(logits, samples).draw(10_000, Key(4))
    bisected, _ = Categorical(logits[None], samples).draw(10_000, Key(4))  # several variables are bisected together
    assert torch.equal(alone, bisected)


@pytest.mark.parametrize("cls", (Bernoulli, Categorical))
def test_logits_that_make_no_distribution_are_named(cls):
    for logits in (torch.zeros(()), torch.zeros(0), torch.zeros(1, 1, 1, 1), torch.tensor([1, 2]), [0.5]):
        with pytest.raises(ValueError, match=f"{cls.__name__}: logits must be a floating tensor"):
            cls(logits)
    with pytest.raises(ValueError, match="logits must be finite, got inf"):
        cls(torch.tensor([0.0, math.inf]))
    with pytest.raises(ValueError, match="the parameter is logits, got 'probs'"):
        cls(torch.zeros(2)).replace(probs=torch.ones(2))


def test_samples_by_index_are_those_by_one_hot_vectors():
    one_hot, _ = Categorical(TABLE).draw(100, Key(2))
    index, _ = Categorical(TABLE, "index").draw(100, Key(2))
    assert torch.equal(one_hot.view(100, 2, 3).argmax(-1).double(), index)
    with pytest.raises(ValueError, match=r"Categorical: samples must be one of .*, got 'both'"):
        Categorical(TABLE, "both")


def test_a_gaussian_has_no_finite_support():
    at = Gaussian(LOGITS)
    assert at.support_size is None
    with pytest.raises(TypeError, match=r"Gaussian.support: not a distribution over finitely many samples"):
        at.support()


@pytest.mark.parametrize("rate", (1e5, 1e6, 1e7))
@pytest.mark.parametrize("dtype", (torch.float32, torch.float64))
def test_log_probabilities_of_many_counts_keep_their_digits_in_single_precision(rate, dtype):
    at, counts = Poisson(torch.tensor([rate], dtype=dtype)), torch.tensor([[rate], [rate + 1024]], dtype=dtype)
    got = at.log_prob(counts)
    assert got.dtype == torch.float64
    assert got.tolist() == pytest.approx(poisson.logpmf(counts[:, 0].double(), rate).tolist(), abs=1e-6)
    logit = torch.tensor([0.5], dtype=dtype)
    laws = {"total_count": torch.tensor([rate], dtype=dtype), "logits": logit}
    got = FromTorch(torch.distributions.NegativeBinomial, laws).log_prob(counts)
    p = 1 - torch.sigmoid(logit.double()).item()
    assert got.tolist() == pytest.approx(nbinom.logpmf(counts[:, 0].double(), rate, p).tolist(), abs=1e-6)


@every
def test_log_probabilities_are_double_and_have_gradients_in_the_parameters_own_precision(at):
    single = at.replace(logits=at.logits.float().requires_grad_())
    x = at.draw(5, Key(0))[0]
    log_p = single.log_prob(x.float())
    assert log_p.dtype == single.support()[1].dtype == torch.float64
    torch.testing.assert_close(
        log_p.detach(), at.replace(logits=at.logits.float().double()).log_prob(x), rtol=1e-13, atol=0
    )
    (g,) = torch.autograd.grad(log_p.sum(), single.logits)
    assert g.dtype == torch.float32
