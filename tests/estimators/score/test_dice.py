"""The DiCE surrogate: its value, its first derivative sample by sample, and higher ones by enumeration."""

import pytest
import torch

from rllab import Bernoulli, Cost
from rllab.estimators import ScoreFunction, dice_surrogate, magic_box
from tests.proofs.chains import BASELINE, COSTS, THETA, expected, log_p, of_each_outcome, prove_surrogate
from tests.proofs.sampling import LOGITS, assert_close, knotty, weighted


def test_derivatives_of_every_order_are_unbiased_and_the_value_is_the_cost():
    prove_surrogate(dice_surrogate)


def test_the_magic_box_is_one_and_all_its_derivatives_are_those_of_an_exponential():
    a = torch.tensor(-700.0, dtype=torch.float32, requires_grad=True)  # e^a alone is 0 in this precision
    value = magic_box(a)
    for _ in range(4):
        assert float(value.detach()) == 1.0
        (value,) = torch.autograd.grad(value, a, create_graph=True)


@pytest.mark.parametrize("baseline", (None, 0.7))
def test_the_first_derivative_is_the_score_function_sample_by_sample(baseline):
    at, k = Bernoulli(LOGITS), 6
    e = ScoreFunction(baseline)(Cost(knotty), at, evaluations=k, key=3, per_unit=True)
    x = ScoreFunction(baseline).ask(at, k, 3)[0].points
    leaf = LOGITS.clone().requires_grad_()
    log_prob = Bernoulli(leaf).log_prob(x)
    b = None if baseline is None else torch.full((k,), baseline, dtype=torch.float64)
    for i in range(k):
        one = dice_surrogate(knotty(x[i : i + 1]), log_prob[i : i + 1], None if b is None else b[i : i + 1])
        (g,) = torch.autograd.grad(one, leaf, retain_graph=True)
        assert_close(g, e.per_unit["logits"][i], rtol=1e-12)
    (g,) = torch.autograd.grad(dice_surrogate(knotty(x), log_prob, b), leaf)
    assert_close(g, e.gradient["logits"], rtol=1e-12)


def test_a_draw_is_not_blamed_for_the_costs_before_it():
    # ∂/∂θ_1, which only the second draw depends on, sees c_2 alone: p, c_1 left out
    rows, _ = of_each_outcome(dice_surrogate, 1, None)
    leaf = THETA.clone().requires_grad_()
    for i in range(4):
        (score,) = torch.autograd.grad(log_p(leaf)[i, 1], leaf)
        assert_close(rows[i, 1], COSTS[i, 1] * score[1])


@pytest.mark.parametrize("order", (1, 2))
def test_the_baseline_takes_variance_out_of_both_derivatives(order):
    plain, with_baseline = (weighted(*of_each_outcome(dice_surrogate, order, b))[1].trace() for b in (None, BASELINE))
    assert with_baseline < 0.5 * plain


def test_a_cost_that_depends_on_the_parameters_itself_is_differentiated_too():
    # E c(b, θ) with c = θ_0² b_1: exact by enumeration
    leaf = THETA.clone().requires_grad_()
    p = torch.sigmoid(leaf[0])
    value = sum(
        chance.detach() * dice_surrogate((leaf[0] ** 2 * b).view(1), torch.log(chance).view(1))
        for b, chance in ((1.0, p), (0.0, 1 - p))
    )
    (g,) = torch.autograd.grad(value, leaf, create_graph=True)
    (h,) = torch.autograd.grad(g[0], leaf)
    twin = THETA.clone().requires_grad_()
    (g2,) = torch.autograd.grad(torch.sigmoid(twin[0]) * twin[0] ** 2, twin, create_graph=True)
    (h2,) = torch.autograd.grad(g2[0], twin)
    assert_close(g.detach(), g2.detach())
    assert_close(h, h2)


def test_a_surrogate_without_the_box_is_wrong_from_the_second_derivative_on():
    def naive(costs, log_p, baseline):
        return (log_p.cumsum(-1) * costs).sum(-1).mean()

    first, p = of_each_outcome(naive, 1, None)
    second, _ = of_each_outcome(naive, 2, None)
    assert_close(p @ first, expected(1), rtol=1e-12)
    assert (p @ second - expected(2)).abs().max() > 0.1 * expected(2).abs().max()


@pytest.mark.parametrize(
    ("costs", "log_p", "baseline", "message"),
    [
        (
            torch.zeros(3),
            torch.zeros(4, requires_grad=True),
            None,
            r"must both be \(K,\) or \(K, T\) with K, T >= 1, got \(3,\) and \(4,\)",
        ),
        *[
            (torch.zeros(shape), torch.zeros(shape, requires_grad=True), None, r"\(K, T\) with K, T >= 1, got \(.*0")
            for shape in ((0,), (0, 2), (3, 0))
        ],
        (torch.zeros(3), torch.zeros(3), None, "log_p must depend on parameters"),
        (torch.zeros(3), torch.zeros(3, requires_grad=True), torch.zeros(2), "baseline must be shaped like costs"),
    ],
)
def test_wrong_arguments_are_named(costs, log_p, baseline, message):
    with pytest.raises(ValueError, match=f"dice_surrogate: .*{message}"):
        dice_surrogate(costs, log_p, baseline)
