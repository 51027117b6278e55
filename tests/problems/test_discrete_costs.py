"""Costs of bits and choices against enumeration, against published numbers, and at saturated logits."""

import itertools
import math

import mpmath as mp
import pytest
import torch

from rllab import Bernoulli, Categorical, Gaussian, GaussianMixture, Target
from rllab.problems import BooleanQuadratic, CategoricalPayoffs, NoClosedForm
from tests.proofs.oracles import assert_holds

DTYPE = torch.float64
BITS = BooleanQuadratic((0.6, 0.51, 0.48), ((0.0, 0.3, -0.7), (0.3, 0.0, 0.2), (-0.7, 0.2, 0.0)), dimension=3)
CHOICES = CategoricalPayoffs(((0.3, -1.2, 0.9), (2.0, 0.1, 0.4)))
LOGITS = {
    BITS: torch.tensor([0.4, -1.3, 2.2], dtype=DTYPE),
    CHOICES: torch.tensor([[0.4, -1.3, 2.2], [0.1, 1.0, -2.0]], dtype=DTYPE),
}
KINDS = {BITS: Bernoulli, CHOICES: Categorical}
both = pytest.mark.parametrize("problem", (BITS, CHOICES), ids=("bits", "choices"))


def enumerated(problem, logits):
    """E f in mpmath over the whole support, as a function of logits given as a flat list."""
    if problem is CHOICES:
        n, k = logits.shape
        outcomes = [
            ([float(j == c) for c in choice for j in range(k)], choice)
            for choice in itertools.product(range(k), repeat=n)
        ]

        def p(choice, at):
            rows = [at[i * k : (i + 1) * k] for i in range(n)]
            return mp.fprod(mp.exp(row[c]) / mp.fsum(map(mp.exp, row)) for row, c in zip(rows, choice, strict=True))
    else:
        outcomes = [(list(map(float, bits)), bits) for bits in itertools.product((0, 1), repeat=len(logits))]

        def p(bits, at):
            return mp.fprod(1 / (1 + mp.exp(-v if b else v)) for b, v in zip(bits, at, strict=True))

    costs = problem.value(torch.tensor([x for x, _ in outcomes], dtype=DTYPE)).tolist()
    return lambda *at: mp.fsum(mp.mpf(c) * p(which, at) for c, (_, which) in zip(costs, outcomes, strict=True))


@both
def test_mean_and_gradient_are_those_of_the_whole_support(problem):
    logits = LOGITS[problem]
    with mp.workdps(40):
        f, at = enumerated(problem, logits), [mp.mpf(float(v)) for v in logits.flatten()]
        value = f(*at)
        gradient = [mp.diff(f, at, tuple(int(i == j) for j in range(len(at)))) for i in range(len(at))]
    for where in (logits, KINDS[problem](logits)):
        assert_holds(float(problem.expected_value(where)), value, rtol=1e-14)
        g = problem.expected_gradient(where)["logits"]
        assert g.shape == logits.shape
        assert_holds(g.numpy(), gradient, rtol=1e-13)
    assert torch.equal(problem.truth(Target.expectation(), KINDS[problem](logits))["logits"], g)


@both
def test_batches_are_answered_row_by_row(problem):
    logits = torch.stack((LOGITS[problem], -0.5 * LOGITS[problem], LOGITS[problem] ** 2))
    values, gradients = problem.expected_value(logits), problem.expected_gradient(logits)["logits"]
    assert values.shape == (3,) and gradients.shape == logits.shape
    for b in range(3):
        torch.testing.assert_close(problem.expected_value(logits[b]), values[b], rtol=1e-14, atol=0)
        torch.testing.assert_close(problem.expected_gradient(logits[b])["logits"], gradients[b], rtol=1e-13, atol=0)


def test_saturated_logits_keep_their_digits():
    with mp.workdps(60):
        for logit in (50.0, -50.0, 300.0):
            at = torch.tensor([logit], dtype=DTYPE)
            p = 1 / (1 + mp.exp(-mp.mpf(logit)))
            true = p * (1 - p) * (1 - 2 * mp.mpf(0.499))
            # 1 − 2·0.499 is exact to rounding of 1, which is 1e-13 of 0.002
            assert_holds(float(BooleanQuadratic().expected_gradient(at)["logits"]), true, rtol=1e-13)
            choice = CategoricalPayoffs(((0.3, -1.2, 0.9),))
            weights = [mp.exp(mp.mpf(logit)), mp.mpf(1), mp.exp(mp.mpf(2))]
            q = [w / mp.fsum(weights) for w in weights]
            f = [mp.mpf(v) for v in (0.3, -1.2, 0.9)]
            j = mp.fsum(a * b for a, b in zip(q, f, strict=True))
            got = choice.expected_gradient(torch.tensor([logit, 0.0, 2.0], dtype=DTYPE))["logits"]
            assert_holds(got.numpy(), [a * (b - j) for a, b in zip(q, f, strict=True)], rtol=1e-12)


def test_the_toy_of_relax_has_its_published_gradient():
    # Grathwohl et al. (2018): at t = 0.499 and p = ½ it is 0.002 p (1 − p) = 5e-4, and J falls from 0.250001
    at = torch.zeros(1, dtype=DTYPE)
    assert float(BooleanQuadratic().expected_gradient(at)["logits"]) == pytest.approx(5e-4, rel=1e-12)
    assert float(BooleanQuadratic().expected_value(at)) == pytest.approx(0.250001, rel=1e-12)
    assert float(BooleanQuadratic(0.45).expected_gradient(at)["logits"]) == pytest.approx(2.5e-2, rel=1e-12)


def test_three_bits_with_one_logit_have_the_gradient_of_kools_toy():
    # Σ (b_i − t_i)², t = (0.6, 0.51, 0.48), one logit for all: dJ/dη = p(1 − p) Σ (1 − 2t_i) = −0.18 p(1 − p)
    toy = BooleanQuadratic((0.6, 0.51, 0.48), dimension=3)
    for eta, total in ((0.0, -0.045), (-4.0, -0.0031793)):
        g = toy.expected_gradient(torch.full((3,), eta, dtype=DTYPE))["logits"]
        assert float(g.sum()) == pytest.approx(total, rel=1e-5)


def test_the_relaxed_cost_is_the_cost_at_the_corners_and_has_its_gradient_between():
    # its definition, bit by bit
    x = torch.tensor([[1.0, 0.0, 1.0], [0.2, 0.7, 0.9]], dtype=DTYPE)
    w, t = BITS.coupling, BITS.target
    for row, got in zip(x.tolist(), BITS.value(x).tolist(), strict=True):
        pairs = sum(w[i][j] * row[i] * row[j] for i in range(3) for j in range(i))
        assert got == pytest.approx(sum((b - c) ** 2 for b, c in zip(row, t, strict=True)) + pairs, rel=1e-14)


def test_a_number_for_the_coupling_is_that_number_for_every_pair():
    one = BooleanQuadratic(0.4, 0.3, dimension=3)
    all_pairs = BooleanQuadratic(0.4, ((0.0, 0.3, 0.3), (0.3, 0.0, 0.3), (0.3, 0.3, 0.0)), dimension=3)
    at = LOGITS[BITS]
    assert torch.equal(one.expected_gradient(at)["logits"], all_pairs.expected_gradient(at)["logits"])


def test_a_gaussian_has_no_closed_form_here():
    with pytest.raises(NoClosedForm, match=r"BooleanQuadratic\.expected_value: no closed form under a Gaussian"):
        BooleanQuadratic().expected_value(Gaussian(torch.zeros(1, dtype=DTYPE)))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: BooleanQuadratic(coupling=((1.0,),)), "BooleanQuadratic: coupling must be .* zero diagonal"),
        (lambda: BooleanQuadratic(coupling=((0.0, 1.0), (2.0, 0.0)), dimension=2), "coupling must be .* symmetric"),
        (lambda: BooleanQuadratic(math.nan), "BooleanQuadratic: target must be a finite number"),
        (lambda: CategoricalPayoffs(((1.0, 2.0), (3.0,))), "CategoricalPayoffs: payoffs must be rows"),
        (lambda: CategoricalPayoffs(()), "CategoricalPayoffs: payoffs must be rows"),
        (lambda: BITS.expected_value(torch.zeros(2, dtype=DTYPE)), r"logits must be \(3,\) or \(B, 3\), got \(2,\)"),
        (lambda: CHOICES.expected_value(torch.zeros(6, dtype=DTYPE)), r"logits must be \(2, 3\) or \(B, 2, 3\)"),
    ],
)
def test_bad_arguments_are_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_a_mixtures_logits_are_not_taken_for_those_of_bits():
    at = GaussianMixture(torch.zeros(3), torch.ones(3, 3))
    with pytest.raises(NoClosedForm, match="no closed form is known under a GaussianMixture"):
        BITS.expected_value(at)


@pytest.mark.parametrize(
    "payoffs", ((1.0, 0.2), ((1.0,),), ((1.0, 2.0), (1.0,)), "ab", None, (), ((1.0, float("nan")),))
)
def test_payoffs_that_are_no_table_are_refused_by_name(payoffs):
    with pytest.raises(ValueError, match="CategoricalPayoffs: payoffs must be rows of two or more finite numbers"):
        CategoricalPayoffs(payoffs)
