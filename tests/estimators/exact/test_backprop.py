"""Backprop: the gradient itself, for one gradient evaluation, averaged over the cost's own noise if asked to."""

import math

import pytest
import torch

from rllab import Cost, Gaussian
from rllab.estimators import Backprop, ComplexStep, Pathwise
from tests.proofs.checks import HESSIAN, LINEAR, THETA, quadratic
from tests.proofs.stencils import THIRD, assert_close, cubic


def test_it_is_the_gradient_of_a_cubic_away_from_its_centre():
    at = THETA + torch.tensor([0.3, -0.7], dtype=torch.float64)
    y = at - THETA
    cost = Cost(cubic)
    e = Backprop()(cost, at, evaluations=100, key=0)
    assert_close(e.gradient, LINEAR + HESSIAN @ y + THIRD * y**2 / 2, rtol=1e-14)
    assert_close(e.value, cubic(at[None])[0], rtol=1e-14)
    assert e.standard_error is None and e.evaluations == 1 and e.kind == "value_and_gradient"
    assert {what: n for what, n in cost.spent.items() if n} == {"gradient": 1}


def test_it_agrees_with_the_complex_step():
    at = torch.linspace(-1, 2, 12, dtype=torch.float64).view(3, 4)
    cost = Cost(lambda x: torch.sin(x.cumsum(-1) * x).exp().sum(-1))
    by_imaginary_part = ComplexStep()(cost, at, evaluations=4, key=0).gradient
    assert_close(Backprop()(cost, at, evaluations=1, key=0).gradient, by_imaginary_part, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("at", (THETA, THETA.expand(3, 2)), ids=("one", "three"))
@pytest.mark.parametrize("evaluations", (1, 10))
def test_a_given_gradient_is_all_that_is_asked_for_and_paid(at, evaluations):
    problems = at.numel() // 2
    cost = Cost(quadratic, budget=evaluations * problems, gradient=lambda x: x * 0 + LINEAR)
    e = Backprop(repeat=True)(cost, at, evaluations=evaluations, key=0)
    assert_close(e.gradient, LINEAR.expand_as(at), rtol=1e-14, atol=0)
    assert e.evaluations == evaluations and e.kind == "gradient" and e.value is None
    assert {what: n for what, n in cost.spent.items() if n} == {"gradient": evaluations * problems}


def test_along_paths_too_a_given_gradient_is_all_that_is_paid():
    cost = Cost(quadratic, gradient=lambda x: LINEAR.expand_as(x))
    e = Pathwise()(cost, Gaussian(THETA, 0.3), evaluations=8, key=0)
    assert_close(e.gradient["mean"], LINEAR, rtol=1e-14)
    assert e.evaluations == sum(cost.spent.values()) == 8 and e.value is None
    free = Pathwise()(Cost(quadratic), Gaussian(THETA, 0.3), evaluations=8, key=0)
    assert free.value is not None


def test_stairs_have_no_slope():
    e = Backprop()(Cost(lambda x: torch.floor(4 * x).sum(-1)), THETA, evaluations=1, key=0)
    assert torch.equal(e.gradient, torch.zeros_like(THETA))


def test_repetitions_have_their_own_seeds_and_are_averaged():
    seen = []

    def noisy(x, seeds):
        seen.append(seeds)
        return cubic(x) + (seeds % 1000).to(x) / 1000 * (x * x).sum(-1)

    e = Backprop(repeat=True)(Cost(noisy, seeded=True, check_rows=False), THETA, evaluations=9, key=4, per_unit=True)
    weights = (torch.cat(seen) % 1000).double() / 1000
    assert len(weights.unique()) == 9
    assert_close(e.per_unit, LINEAR + 2 * THETA * weights[:, None], rtol=1e-13)
    assert_close(e.gradient, e.per_unit.mean(0), rtol=1e-13)
    assert_close(e.standard_error, e.per_unit.std(0) / math.sqrt(9), rtol=1e-9)


def test_telling_does_not_change_what_is_told():
    query = Backprop(repeat=True).ask(THETA, 4, 0)
    values, gradients = torch.ones(4, dtype=torch.float64), torch.full((4, 2), 3.0, dtype=torch.float64)
    query.estimator.tell(query, (values, gradients))
    assert gradients.eq(3).all() and values.eq(1).all()


def test_a_cost_that_autograd_cannot_follow_says_so():
    with pytest.raises(TypeError, match="not differentiable by autograd; pass gradient="):
        Backprop()(Cost(lambda x: x.detach().sum(-1)), THETA, evaluations=1, key=0)
