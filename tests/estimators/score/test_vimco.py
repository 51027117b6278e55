"""VIMCO: exact mean over all outcomes of K samples, its rows by the definition, extreme costs."""

import math

import pytest
import torch

from rllab import Bernoulli, Categorical, Cost, Gaussian, Target
from rllab.estimators import VIMCO
from tests.proofs.sampling import (
    LOGITS,
    all_outcomes,
    assert_close,
    enumerated,
    knotty,
    multi_sample_gradient,
    prove_vimco,
    soft_minimum,
    weighted,
)

MEANS = pytest.mark.parametrize("mean", ("geometric", "arithmetic"))


@MEANS
@pytest.mark.parametrize("samples", (2, 3, 4))
def test_it_is_unbiased_for_the_multi_sample_objective(samples, mean):
    prove_vimco(VIMCO(samples, mean))


@MEANS
def test_its_baselines_take_variance_out(mean):
    at, k = Bernoulli(LOGITS[:2]), 3
    many, weights, key = all_outcomes(at, k)
    rows = VIMCO(k, mean)(Cost(knotty), many, evaluations=k, key=key).gradient["logits"]
    x, _ = many.draw(k, key)
    plain = soft_minimum(knotty(x.reshape(-1, 2)).view(k, -1).T)[:, None] * (x - torch.sigmoid(at.logits)).sum(0)
    assert_close(weights @ plain, weights @ rows)
    assert weighted(rows, weights)[1].trace() < 0.3 * weighted(plain, weights)[1].trace()


def test_its_target_says_that_it_is_not_the_expected_cost():
    assert VIMCO(3).target != Target.expectation() and VIMCO(3).target != VIMCO(4).target
    at = Bernoulli(LOGITS[:2])
    # by more than a tenth, where the two could be compared
    gap = multi_sample_gradient(at, knotty, 3) - enumerated(at, knotty)["logits"]
    assert gap.abs().max() > 0.1 * enumerated(at, knotty)["logits"].abs().max()


@MEANS
def test_at_other_distributions_rows_are_weighted_scores(mean):
    for at in (Gaussian(LOGITS, 0.4), Categorical(LOGITS.view(1, 3))):
        e = VIMCO(4, mean)(Cost(knotty), at, evaluations=9, key=2, per_unit=True)
        assert e.evaluations == 8
        query = VIMCO(4, mean).ask(at, 9, 2)
        x, noise = query[0].points, query[0].noise
        f = knotty(x).view(2, 4)
        without = []
        for k in range(4):
            others = [j for j in range(4) if j != k]
            w = torch.exp(-f[:, others])
            stand_in = w.mean(-1) if mean == "arithmetic" else torch.exp(-f[:, others].mean(-1))
            without.append(-torch.log((w.sum(-1) + stand_in) / 4))
        weights = soft_minimum(f)[:, None] - torch.stack(without, -1)
        for name, scores in at.scores(x, noise).items():
            expected = torch.einsum("mk,mk...->m...", weights, scores.unflatten(0, (2, 4)))
            assert_close(e.per_unit[name], expected, atol=1e-12)


@MEANS
def test_a_constant_changes_no_row(mean):
    plain, shifted = (
        VIMCO(3, mean)(
            Cost(lambda x, c=c: knotty(x) + c), Bernoulli(LOGITS), evaluations=12, key=1, per_unit=True
        ).per_unit
        for c in (0.0, 64.0)
    )
    assert_close(shifted["logits"], plain["logits"], atol=1e-12)


@MEANS
def test_costs_whose_exponentials_overflow_and_saturated_bits_are_finite(mean):
    at = Bernoulli(torch.tensor([50.0, -50.0, 0.4], dtype=torch.float64))
    for scale in (1e4, -1e4, 1e-9):
        e = VIMCO(5, mean)(Cost(lambda x, s=scale: s * knotty(x)), at, evaluations=50, key=0)
        assert torch.isfinite(e.gradient["logits"]).all() and torch.isfinite(e.standard_error["logits"]).all()
    # of the soft minimum of 5 equal costs nothing is left but rounding
    e = VIMCO(5, mean)(Cost(lambda x: x[:, 0] * 0 + 3.0), Bernoulli(LOGITS), evaluations=50, key=0)
    assert float(e.gradient["logits"].abs().max()) < 1e-14 and float(e.value) == 3.0


def test_every_sample_of_a_noisy_cost_has_its_own_seed():
    query = VIMCO(4).ask(Bernoulli(LOGITS), 12, 0)
    assert len(query.seeds(query[0]).unique()) == 12


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"samples": 1}, "samples must be an integer >= 2"), ({"mean": "harmonic"}, "mean must be one of")],
)
def test_wrong_hyperparameters_are_named(arguments, message):
    with pytest.raises(ValueError, match=f"VIMCO: {message}"):
        VIMCO(**arguments)


def test_a_tensor_is_no_distribution():
    with pytest.raises(TypeError, match="VIMCO: at must be a Distribution, got Tensor"):
        VIMCO().ask(LOGITS, 10, 0)


def test_the_objective_of_many_samples_goes_to_minus_log_of_the_mean():
    # of one bit: F → −log E e^(−f); a check of the objective the proofs use
    at = Bernoulli(LOGITS[:1])
    leaf = at.logits.clone().requires_grad_()
    x, log_p = Bernoulli(leaf).support()
    (-torch.log(log_p.exp() @ torch.exp(-knotty(x)))).backward()
    few, many = (multi_sample_gradient(at, knotty, k) for k in (2, 12))
    assert abs(many - leaf.grad) < 0.35 * abs(few - leaf.grad)
    assert math.isclose(float(soft_minimum(torch.full((4,), 2.5, dtype=torch.float64))), 2.5)


@MEANS
@pytest.mark.parametrize("gap", (0.0, 1e-9, 3.0, 40.0, 900.0))
def test_advantages_are_those_of_the_definition_however_far_the_best_is_from_the_rest(mean, gap):
    f = torch.tensor([0.3, 0.1, 2.0, 0.1], dtype=torch.float64) - torch.tensor([0.0, gap, 0.0, 0.0])
    for costs in (f, f.flip(0), f[:2]):
        k, expected = len(costs), []
        for i in range(k):  # in exact order: log-sum-exp of what is really left
            others = torch.cat((costs[:i], costs[i + 1 :]))
            stand_in = -others.mean() if mean == "geometric" else torch.logsumexp(-others, 0) - math.log(k - 1)
            without = torch.logsumexp(torch.cat((-others, stand_in[None])), 0)
            expected.append(without - torch.logsumexp(-costs, 0))
        got = VIMCO(k, mean)._advantages(costs[None])[0]
        torch.testing.assert_close(got, torch.stack(expected), rtol=1e-12, atol=1e-14)
