"""ARM and DisARM: exact mean and variance over the uniform numbers they draw, published toys, saturated logits."""

import itertools

import pytest
import torch

from rllab import Bernoulli, Cost, Gaussian
from rllab.estimators import ARM, DisARM, ScoreFunction
from rllab.testing import check_estimator
from tests.proofs.prescribed import each_problem
from tests.proofs.sampling import (
    LOGITS,
    all_outcomes,
    assert_close,
    bit,
    enumerated,
    knotty,
    kool,
    outcomes,
    pair_moments,
    panels,
    prove_arm,
    prove_disarm,
    toy,
    uniforms,
    weighted,
)

BOTH = pytest.mark.parametrize("estimator", (ARM(), DisARM()), ids=str)


def test_arm_has_its_closed_form_moments():
    prove_arm(ARM())


def test_disarm_has_its_closed_form_moments():
    prove_disarm(DisARM())


def test_the_outcomes_of_a_pair_have_the_coupled_probabilities():
    # b ≠ b̃ with probability 2 min(p, 1 − p), both 1 with max(0, 2p − 1), both 0 with max(0, 1 − 2p)
    nodes, weights = outcomes(LOGITS[:1])
    p = torch.sigmoid(LOGITS[:1])
    b, other = nodes >= 1 - p, nodes < p
    q = float(torch.minimum(p, 1 - p))
    assert_close(weights[(b != other).flatten()].sum(), 2 * q)
    assert_close(weights[(b & other).flatten()].sum(), max(0.0, 2 * float(p) - 1))


@pytest.mark.parametrize(
    ("p", "leave_one_out", "arm", "disarm"),
    [(0.5, 2.5e-7, 8.34e-8, 0.0), (0.3, 2.436e-7, 1.356e-7, 1.176e-7), (0.1, 1.476e-7, 1.303e-7, 1.296e-7)],
)
def test_two_evaluations_on_the_toy_have_these_variances(p, leave_one_out, arm, disarm):
    # ∇ = 0.002 p (1 − p); Var: Δ² p (1 − p)(½ − p (1 − p)) of leave-one-out, Δ²/48 of ARM at ½, 0 of DisARM at ½
    at = bit(p)
    _, by_arm = pair_moments(uniforms(at.logits), ARM(), toy(), at)
    _, by_disarm = pair_moments(outcomes(at.logits), DisARM(), toy(), at)
    many, weights, key = all_outcomes(at, 2)
    rows = ScoreFunction("leave-one-out")(Cost(toy()), many, evaluations=2, key=key).gradient["logits"]
    mean, by_loo = weighted(rows, weights)
    assert_close(mean, 0.002 * p * (1 - p))
    v = p * (1 - p)
    assert_close(by_loo, 0.002**2 * v * (0.5 - v))
    for exact, table in ((by_loo, leave_one_out), (by_arm, arm), (by_disarm, disarm)):
        assert_close(exact, table, rtol=1e-3)
    if p == 0.5:
        assert_close(by_arm, 0.002**2 / 48)


@pytest.mark.parametrize(("logit", "gradient"), [(0.0, -0.045), (-4.0, -0.0031793)], ids=("0", "-4"))
@BOTH
def test_three_bits_with_one_logit_have_the_known_gradient(estimator, logit, gradient):
    at = Bernoulli(torch.full((3,), logit, dtype=torch.float64))
    mean, covariance = pair_moments(uniforms(at.logits), estimator, kool, at)
    assert_close(mean.sum(), enumerated(at, kool)["logits"].sum())
    assert_close(mean.sum(), gradient, rtol=5e-5)
    # of one sample, the score function without a baseline has 0.43842 and 0.033557, with the best one 0.00465 and
    # 0.00053535 at these logits (Kool et al., 2020): a pair without any baseline comes close
    none = {0.0: 0.43842, -4.0: 0.033557}[logit]
    assert float(covariance.sum()) < none / 20


def test_disarm_is_the_mean_of_arm_given_the_bits():
    order = 2
    fine, weights = uniforms(LOGITS, order)
    coarse, chances = outcomes(LOGITS)
    rows = {}
    for name, estimator, nodes in (("arm", ARM(), fine), ("disarm", DisARM(), coarse)):
        many = Bernoulli(LOGITS.expand(len(nodes), -1))
        rows[name] = estimator(Cost(knotty), many, evaluations=2, key=each_problem({"uniform": nodes})).gradient[
            "logits"
        ]
    # nodes of one cell: each of the three bits has `order` of them next to each other
    shape = (3, order) * 3
    inside = (rows["arm"] * weights[:, None]).view(*shape, 3).sum((1, 3, 5)).view(-1, 3) / chances[:, None]
    assert_close(inside, rows["disarm"], atol=1e-13)


def test_disarm_never_has_more_variance_than_arm():
    for logits in itertools.product((-3.0, -0.4, 0.0, 1.7), repeat=2):
        at = Bernoulli(torch.tensor(logits, dtype=torch.float64))
        _, arm = pair_moments(uniforms(at.logits), ARM(), knotty, at)
        _, disarm = pair_moments(outcomes(at.logits), DisARM(), knotty, at)
        assert (disarm.diagonal() <= arm.diagonal() * (1 + 1e-12)).all()
        assert disarm.trace() < 0.999 * arm.trace()


@BOTH
def test_saturated_bits_give_no_estimate_and_no_nan(estimator):
    # at ±50 a pair differs with probability 4·10⁻²², at ±800 never: not even where u = 0
    at = Bernoulli(torch.tensor([50.0, -50.0, 800.0, -800.0, 0.3], dtype=torch.float64))
    e = estimator(
        Cost(lambda x: x @ torch.tensor([1.0, -3.0, 2.0, 5.0, 1.0], dtype=x.dtype)), at, evaluations=601, key=1
    )
    assert torch.isfinite(e.gradient["logits"]).all()
    if estimator == DisARM():
        assert torch.equal(e.gradient["logits"][:4], torch.zeros(4, dtype=torch.float64))
    p = torch.sigmoid(at.logits)
    assert_close(e.value, p @ torch.tensor([1.0, -3.0, 2.0, 5.0, 1.0], dtype=p.dtype), rtol=0.1)


@BOTH
def test_a_bit_that_is_certain_is_certain_at_the_ends_of_u(estimator):
    ends = torch.tensor([[[0.0, 0.0]], [[1 - 2.0**-53, 1 - 2.0**-53]]], dtype=torch.float64)
    at = Bernoulli(torch.tensor([800.0, -800.0], dtype=torch.float64))
    mean, _ = pair_moments((ends, torch.tensor([0.5, 0.5], dtype=torch.float64)), estimator, knotty, at)
    assert torch.equal(mean, torch.zeros(2, dtype=torch.float64))


@BOTH
def test_a_constant_and_a_factor_in_the_cost_do_what_they_should_sample_by_sample(estimator):
    at = Bernoulli(LOGITS)
    plain, shifted, scaled = (
        estimator(Cost(lambda x, a=a, c=c: a * knotty(x) + c), at, evaluations=9, key=4, per_unit=True).per_unit[
            "logits"
        ]
        for a, c in ((1.0, 0.0), (1.0, 64.0), (-4.0, 0.0))
    )
    assert_close(shifted, plain, atol=1e-13)
    assert_close(scaled, -4 * plain, rtol=1e-12)


@BOTH
def test_the_gradient_is_the_mean_of_its_rows_and_an_odd_budget_leaves_one_evaluation(estimator):
    cost = Cost(knotty)
    e = estimator(cost, Bernoulli(LOGITS), evaluations=11, key=3, per_unit=True)
    assert e.evaluations == 10 == cost.evaluations and e.per_unit["logits"].shape == (5, 3)
    assert_close(e.per_unit["logits"].mean(0), e.gradient["logits"])
    assert_close(e.per_unit["logits"].std(0) / 5**0.5, e.standard_error["logits"])


@BOTH
def test_the_two_of_a_pair_share_their_seed(estimator):
    query = estimator.ask(Bernoulli(LOGITS), 6, 0)
    seeds = query.seeds(query[0])
    assert torch.equal(seeds[:3], seeds[3:]) and len(seeds.unique()) == 3


@BOTH
def test_many_pairs_find_the_gradient(estimator):
    check_estimator(estimator, rules=["unbiased"], ignores_offset=True)


@BOTH
@pytest.mark.parametrize("at", (LOGITS, Gaussian(LOGITS)), ids=("a tensor", "a gaussian"))
def test_it_is_for_bits_only(estimator, at):
    with pytest.raises(TypeError, match=f"{type(estimator).__name__}: at must be a Bernoulli, got"):
        estimator.ask(at, 4, 0)


def test_panels_integrate_polynomials():
    x, w = panels([0.0, 0.3, 1.0], 3)
    assert_close(w @ x**5, 1 / 6)
