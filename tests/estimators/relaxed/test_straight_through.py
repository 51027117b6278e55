"""StraightThrough: what its mean is over all outcomes, and where descending it leads."""

import pytest
import torch

from rllab import Bernoulli, Categorical, Cost, Gaussian, Target
from rllab.estimate import Kind
from rllab.estimators import GumbelRao, GumbelSoftmax, StraightThrough
from tests.proofs.relaxed import multilinear, prove_straight_through
from tests.proofs.sampling import LOGITS, all_outcomes, assert_close, bit, enumerated, knotty, toy

RELAXING = pytest.mark.parametrize(
    "estimator", (StraightThrough(), GumbelSoftmax(), GumbelSoftmax(hard=True), GumbelRao()), ids=str
)
CHOICES = torch.tensor([[0.5, -1.0, 0.2], [2.0, 0.1, -0.4]], dtype=torch.float64)


def test_it_has_its_closed_form_moments():
    prove_straight_through(StraightThrough())


def expected_step(p: float, f) -> float:
    many, weights, key = all_outcomes(bit(p), 1)
    return float(weights @ StraightThrough()(Cost(f, relaxed=True), many, evaluations=1, key=key).gradient["logits"])


@pytest.mark.parametrize("start", (0.2, 0.85))
def test_descent_ends_between_the_corners_though_a_corner_is_better(start):
    t, logit = 0.499, float(bit(start).logits)
    for _ in range(150):
        p = float(torch.sigmoid(torch.tensor(logit, dtype=torch.float64)))
        logit -= 6.0 * expected_step(p, toy(t))
    assert p == pytest.approx(t, abs=1e-6)
    loss = p * (1 - t) ** 2 + (1 - p) * t**2
    assert loss == pytest.approx(t * (1 - t), abs=1e-8) and t**2 < loss - 9e-4  # 0.249999, and 0.249001 at p = 0


def test_on_choices_it_is_exact_where_the_cost_is_linear_in_each():
    table = torch.tensor([0.3, -1.2, 0.9], dtype=torch.float64)

    def f(x):
        return (x.view(-1, 2, 3) @ table).prod(-1) + x[:, 1]

    at = Categorical(CHOICES)
    many, weights, key = all_outcomes(at, 1)
    rows = StraightThrough()(Cost(f, relaxed=True), many, evaluations=1, key=key).gradient["logits"]
    assert_close(torch.tensordot(weights, rows, 1), enumerated(at, f)["logits"])


def test_elsewhere_it_is_wrong_by_more_than_the_truth():
    truth = float(enumerated(bit(0.8), toy())["logits"])
    assert abs(expected_step(0.8, toy()) - truth) > 100 * abs(truth)


def test_saturated_bits_and_choices_keep_their_digits():
    weights = torch.tensor([1.0, -3.0, 2.0], dtype=torch.float64)
    cost = Cost(lambda x: x @ weights, relaxed=True)
    at = Bernoulli(torch.tensor([50.0, -50.0, 0.4], dtype=torch.float64))
    g = StraightThrough()(cost, at, evaluations=1, key=0).gradient["logits"]
    assert_close(g, weights / (4 * torch.cosh(at.logits / 2) ** 2), rtol=1e-12, atol=0)
    choice = Categorical(torch.tensor([50.0, 0.0, -20.0], dtype=torch.float64))
    g = StraightThrough()(cost, choice, evaluations=1, key=0).gradient["logits"]
    p = (choice.logits - 50).exp()
    assert_close(g, torch.stack((4 * p[1] - p[2], -4 * p[1], p[2])), rtol=1e-12, atol=0)


@RELAXING
def test_its_target_is_not_the_gradient_of_the_discrete_cost(estimator):
    assert estimator.target.kind is Kind.RELAXED and estimator.target != Target.expectation()
    assert "relaxed" in estimator.needs


@RELAXING
def test_a_cost_that_does_not_say_it_can_be_relaxed_is_refused_before_it_is_asked(estimator):
    cost = Cost(multilinear)
    with pytest.raises(
        TypeError, match=rf"{type(estimator).__name__}: cost must be one .*Cost\(function, relaxed=True\)"
    ):
        estimator(cost, Bernoulli(LOGITS), evaluations=4, key=0)
    assert not any(cost.spent.values())


@RELAXING
def test_samples_that_are_indices_cannot_be_relaxed(estimator):
    name = type(estimator).__name__
    with pytest.raises(ValueError, match=f'{name}: samples of a Categorical must be "one-hot"'):
        estimator.ask(Categorical(CHOICES, "index"), 4, 0)
    with pytest.raises(TypeError, match=f"{name}: at must be a Bernoulli or Categorical, got Gaussian"):
        estimator.ask(Gaussian(LOGITS), 4, 0)


@RELAXING
@pytest.mark.parametrize("at", (Bernoulli(LOGITS), Categorical(LOGITS)), ids=("bits", "choice"))
def test_a_constant_changes_no_sample_and_a_factor_scales_it(estimator, at):
    plain, shifted, scaled = (
        estimator(
            Cost(lambda x, a=a, c=c: a * knotty(x) + c, relaxed=True), at, evaluations=5, key=4, per_unit=True
        ).per_unit
        for a, c in ((1.0, 0.0), (1.0, 64.0), (-4.0, 0.0))
    )
    assert_close(shifted["logits"], plain["logits"])
    assert_close(scaled["logits"], -4 * plain["logits"], rtol=1e-12)


@RELAXING
def test_a_sample_is_charged_as_one_gradient(estimator):
    cost = Cost(knotty, relaxed=True)
    e = estimator(cost, Bernoulli(LOGITS), evaluations=7, key=0, per_unit=True)
    assert cost.spent["gradient"] == e.evaluations == len(e.per_unit["logits"]) == 7 and cost.spent["value"] == 0
    points = estimator.ask(Bernoulli(LOGITS), 7, 0)[0].points
    assert_close(e.value, knotty(points).mean())
    discrete = bool(((points == 0) | (points == 1)).all())
    assert discrete == (estimator != GumbelSoftmax())
