"""ForwardDifference: exact bias and noise, whole stencils only, common random numbers, memory."""

import math

import pytest
import torch

from rllab import Cost
from rllab.estimators import ForwardDifference
from rllab.estimators.base import BLOCK
from tests.proofs.checks import HESSIAN, LINEAR, THETA, dyadic
from tests.proofs.stencils import H, assert_close, cubic, gradient, influence, prove_forward, straight


def test_bias_and_noise_are_the_closed_forms():
    prove_forward(ForwardDifference(H))


def test_it_is_exact_on_linear_costs_and_first_order_on_others():
    assert_close(gradient(ForwardDifference(H), straight, 3), LINEAR)
    bias = [float((gradient(ForwardDifference(h), cubic, 3) - LINEAR).norm()) for h in (1e-3, 5e-4)]
    assert math.log2(bias[0] / bias[1]) == pytest.approx(ForwardDifference.order, abs=1e-2)


def test_the_automatic_step_follows_the_scale_of_each_coordinate():
    # one step for all would be lost at 10⁸, or too coarse at 1
    at = torch.tensor([1.0, 1e8], dtype=torch.float64)
    g = gradient(ForwardDifference(), lambda x: torch.sin(x[:, 0]) + torch.sin(x[:, 1] / 1e8), 3, at)
    cos = math.cos(1)
    assert_close(g, torch.tensor([cos, cos / 1e8], dtype=torch.float64), rtol=1e-7, atol=0)
    with pytest.raises(ValueError, match=r"ForwardDifference: step is lost to rounding at coordinate \[1\]"):
        gradient(ForwardDifference(1e-9), straight, 3, at)


def test_value_is_the_cost_at_the_parameters():
    e = ForwardDifference(H)(Cost(cubic), THETA, evaluations=3, key=0)
    assert_close(e.value, cubic(THETA[None])[0])


@pytest.mark.parametrize("stencils", (1, 2, 7))
def test_repeated_stencils_have_their_own_seeds_and_are_averaged(stencils):
    def noisy(x, seeds):
        return cubic(x) + (seeds % 1000).to(x) / 1000 * (x * x).sum(-1)

    def ask(estimator):
        return estimator(Cost(noisy, seeded=True), THETA, evaluations=3 * stencils + 2, key=4, per_unit=True)

    e = ask(ForwardDifference(H, repeat=True))
    assert e.evaluations == 3 * stencils and e.per_unit.shape == (stencils, 2)
    assert_close(e.per_unit.mean(0), e.gradient, rtol=1e-12)
    one = ask(ForwardDifference(H))
    assert one.evaluations == 3 and one.standard_error is None
    assert_close(one.gradient, e.per_unit[0], rtol=1e-12)
    if stencils > 1:
        assert_close(e.standard_error, e.per_unit.std(0) / math.sqrt(stencils), rtol=1e-9)
        assert (e.per_unit[0] - e.per_unit[1]).abs().min() > 1e-3
        # each row is the difference of one realisation: x² with weight z, so z 2θ + z h on top of the cubic
        z = (e.per_unit - gradient(ForwardDifference(H), cubic, 3)) / (2 * THETA + H)
        assert_close(z[:, 0], z[:, 1])


def test_repetitions_shrink_noise_and_the_automatic_step_with_it():
    estimator = ForwardDifference(noise=1e-4, repeat=True)
    points = [estimator.ask(THETA, n, 0)[0].points for n in (3, 12)]
    steps = [float((p[1] - THETA)[0]) for p in points]
    assert steps[0] / steps[1] == pytest.approx(2**0.5, rel=1e-6)
    m = influence(ForwardDifference(H, repeat=True), THETA, 12)
    assert_close((m @ m.T).diagonal(), torch.full((2,), 2 / H**2 / 4, dtype=torch.float64))


def test_a_constant_changes_nothing_and_a_factor_scales():
    plain, f = gradient(ForwardDifference(H), cubic, 3), dyadic(cubic)  # of whose differences not a bit is lost
    assert torch.equal(gradient(ForwardDifference(H), lambda x: f(x) + 1024, 3), gradient(ForwardDifference(H), f, 3))
    assert_close(gradient(ForwardDifference(H), lambda x: -4 * cubic(x), 3), -4 * plain, rtol=1e-13)


def test_a_block_holds_no_more_than_its_share_of_the_points():
    for d in (1_000, 100_000):
        query = ForwardDifference().ask(torch.zeros(d), d + 1, 0)
        assert query[len(query) - 1].points.numel() <= query[0].points.numel() <= max(BLOCK, d)


def test_a_budget_below_a_whole_stencil_is_an_error():
    with pytest.raises(ValueError, match="ForwardDifference: evaluations must be >= 3, got 2"):
        gradient(ForwardDifference(), cubic, 2)


def test_curvature_is_what_biases_it():
    # the Hessian read off the bias alone, coordinate by coordinate
    h = 1e-3
    g = gradient(ForwardDifference(h), lambda x: cubic(x) - ((x - THETA) * LINEAR).sum(-1), 3)
    assert_close(g * 2 / h, HESSIAN.diagonal(), rtol=2e-3, atol=0)
