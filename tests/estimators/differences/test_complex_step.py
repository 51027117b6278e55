"""ComplexStep: exact bias at a large step, the last digits at the automatic one, and what it cannot do."""

import math

import pytest
import torch

from rllab import Cost
from rllab.estimators import ComplexStep
from rllab.estimators.base import BLOCK
from tests.proofs.checks import LINEAR, THETA
from tests.proofs.stencils import H, assert_close, cubic, gradient, prove_complex


def test_bias_is_the_closed_form():
    prove_complex(ComplexStep(H))


def test_it_is_second_order():
    bias = [float((gradient(ComplexStep(h), cubic, 2) - LINEAR).norm()) for h in (1e-2, 5e-3)]
    assert math.log2(bias[0] / bias[1]) == pytest.approx(ComplexStep.order, abs=1e-2)


def hard(x):
    """The function of Squire & Trapp (1998), e^x/(sin³x + cos³x): differences lose six digits on it, or more."""
    return (torch.exp(x) / (torch.sin(x) ** 3 + torch.cos(x) ** 3)).sum(-1)


@pytest.mark.parametrize(("dtype", "rtol"), ((torch.float64, 1e-14), (torch.float32, 1e-6)), ids=("double", "single"))
def test_the_automatic_step_is_exact_to_the_last_digits(dtype, rtol):
    at = torch.tensor([1.5, -0.2], dtype=dtype)
    x = at.double().requires_grad_()
    (exact,) = torch.autograd.grad(hard(x[None])[0], x)
    g = gradient(ComplexStep(), hard, 2, at)
    assert g.dtype == dtype
    assert_close(g.double(), exact, rtol=rtol, atol=0)


def test_real_noise_added_to_the_cost_leaves_it_alone():
    quiet = gradient(ComplexStep(), hard, 2)
    loud = gradient(ComplexStep(), lambda x, seeds: hard(x) + 100 * (seeds % 1000).to(x), 2, seeded=True)
    assert_close(loud, quiet, rtol=1e-13, atol=0)


def test_noise_in_the_slope_is_averaged_over_repetitions():
    def noisy(x, seeds):
        return cubic(x) + (seeds % 1000).to(x) / 1000 * (x * x).sum(-1)

    e = ComplexStep(repeat=True)(Cost(noisy, seeded=True), THETA, evaluations=11, key=4, per_unit=True)
    assert e.evaluations == 10 and e.per_unit.shape == (5, 2)
    z = (e.per_unit - LINEAR) / (2 * THETA)  # one weight of x² for all coordinates of a set
    assert_close(z[:, 0], z[:, 1])
    assert len(set(z[:, 0].tolist())) == 5
    assert_close(e.standard_error, e.per_unit.std(0) / math.sqrt(5), rtol=1e-9)


def test_value_is_the_real_part():
    e = ComplexStep()(Cost(cubic), THETA, evaluations=2, key=0)
    assert not e.value.is_complex()
    assert_close(e.value, cubic(THETA[None])[0], rtol=1e-14)


@pytest.mark.parametrize("cost", (lambda x: x.abs().sum(-1), lambda x: x.real.sum(-1)))
def test_a_cost_that_is_not_analytic_is_refused(cost):
    with pytest.raises(TypeError, match="must return complex costs for complex points, got real ones"):
        gradient(ComplexStep(), cost, 2)


def test_a_block_holds_no_more_than_its_share_of_the_points():
    for d in (1_000, 100_000):
        query = ComplexStep().ask(torch.zeros(d), d, 0)
        assert query[len(query) - 1].points.numel() <= query[0].points.numel() <= max(BLOCK, d)


def test_a_budget_below_all_coordinates_is_an_error():
    with pytest.raises(ValueError, match="ComplexStep: evaluations must be >= 2, got 1"):
        gradient(ComplexStep(), cubic, 1)


def test_there_is_no_noise_to_tell_it():
    with pytest.raises(ValueError, match="ComplexStep: step must be positive and finite"):
        ComplexStep(step=0.0)
