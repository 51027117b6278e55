"""CentralDifference: exact bias and noise, whole stencils only, common random numbers, memory."""

import math

import pytest
import torch

from rllab import Cost
from rllab.estimators import CentralDifference
from rllab.estimators.base import BLOCK
from tests.proofs.checks import LINEAR, THETA, dyadic, quadratic
from tests.proofs.stencils import H, assert_close, cubic, gradient, influence, prove_central


def test_bias_and_noise_are_the_closed_forms():
    prove_central(CentralDifference(H))


def test_it_is_exact_on_quadratics_and_second_order_on_others():
    assert_close(gradient(CentralDifference(0.7), quadratic, 4), LINEAR)
    bias = [float((gradient(CentralDifference(h), cubic, 4) - LINEAR).norm()) for h in (1e-2, 5e-3)]
    assert math.log2(bias[0] / bias[1]) == pytest.approx(CentralDifference.order, abs=1e-2)


def test_the_automatic_step_follows_the_scale_of_each_coordinate():
    at = torch.tensor([1.0, 1e8], dtype=torch.float64)
    g = gradient(CentralDifference(), lambda x: torch.sin(x[:, 0]) + torch.sin(x[:, 1] / 1e8), 4, at)
    cos = math.cos(1)
    assert_close(g, torch.tensor([cos, cos / 1e8], dtype=torch.float64), rtol=1e-9, atol=0)
    with pytest.raises(ValueError, match=r"CentralDifference: step is lost to rounding at coordinate \[1\]"):
        gradient(CentralDifference(1e-9), quadratic, 4, at)


def test_a_step_that_rounding_changes_is_divided_by_as_it_is():
    # θ + h is rounded to a multiple of 2⁻²³, so h itself would be wrong by up to a third
    at, h = torch.tensor([1e9], dtype=torch.float64), 2e-7
    assert_close(gradient(CentralDifference(h), lambda x: x[:, 0] - 1e9, 2, at), torch.ones(1, dtype=torch.float64))


def test_it_is_zero_on_an_even_cost():
    at = torch.zeros(3, dtype=torch.float64)
    assert torch.equal(gradient(CentralDifference(0.1), lambda x: torch.cos(x).sum(-1), 6, at), at)


def test_reordering_the_coordinates_reorders_the_gradient():
    def tilted(x):
        return torch.sin(x * torch.arange(1, 6, dtype=torch.float64)).sum(-1) + x[:, 0] * x[:, 3]

    at, order = torch.linspace(-1, 2, 5, dtype=torch.float64), torch.tensor([3, 0, 4, 2, 1])
    plain = gradient(CentralDifference(H), tilted, 10, at)
    turned = gradient(CentralDifference(H), lambda x: tilted(x[:, order.argsort()]), 10, at[order])
    assert_close(turned, plain[order], rtol=1e-12, atol=1e-12)


def test_a_constant_changes_nothing_and_a_factor_scales():
    plain, f = gradient(CentralDifference(H), cubic, 4), dyadic(cubic)  # of whose differences not a bit is lost
    assert torch.equal(gradient(CentralDifference(H), lambda x: f(x) + 1024, 4), gradient(CentralDifference(H), f, 4))
    assert_close(gradient(CentralDifference(H), lambda x: -4 * cubic(x), 4), -4 * plain, rtol=1e-13)


@pytest.mark.parametrize("stencils", (1, 2, 7))
def test_repeated_stencils_have_their_own_seeds_and_are_averaged(stencils):
    def noisy(x, seeds):
        return quadratic(x) + (seeds % 1000).to(x) / 1000 * (x * x).sum(-1)

    def ask(estimator):
        return estimator(Cost(noisy, seeded=True), THETA, evaluations=4 * stencils + 3, key=4, per_unit=True)

    e = ask(CentralDifference(H, repeat=True))
    assert e.evaluations == 4 * stencils and e.per_unit.shape == (stencils, 2)
    assert_close(e.per_unit.mean(0), e.gradient, rtol=1e-12)
    one = ask(CentralDifference(H))
    assert one.evaluations == 4 and one.standard_error is None
    assert_close(one.gradient, e.per_unit[0], rtol=1e-12)
    if stencils > 1:
        assert_close(e.standard_error, e.per_unit.std(0) / math.sqrt(stencils), rtol=1e-9)
        z = (e.per_unit - LINEAR) / (
            2 * THETA
        )  # each row is the gradient of one realisation, with its own weight of x²
        assert_close(z[:, 0], z[:, 1])
        assert (z[0] - z[1]).abs().min() > 1e-3


def test_repetitions_shrink_noise_and_the_automatic_step_with_it():
    estimator = CentralDifference(noise=1e-4, repeat=True)
    points = [estimator.ask(THETA, n, 0)[0].points for n in (4, 32)]
    steps = [float((p[0] - THETA)[0]) for p in points]
    assert steps[0] / steps[1] == pytest.approx(8 ** (1 / 6), rel=1e-6)
    m = influence(CentralDifference(H, repeat=True), THETA, 12)
    assert_close((m @ m.T).diagonal(), torch.full((2,), 1 / (2 * H**2) / 3, dtype=torch.float64))


def test_value_is_the_mean_of_all_points():
    seen = []
    cost = Cost(lambda x: seen.append(cubic(x)) or seen[-1], check_rows=False)
    e = CentralDifference(H)(cost, THETA, evaluations=4, key=0)
    assert_close(e.value, torch.cat(seen).mean(), rtol=1e-14)


def test_a_block_holds_no_more_than_its_share_of_the_points():
    for d in (1_000, 100_000):
        query = CentralDifference().ask(torch.zeros(d), 2 * d, 0)
        assert query[len(query) - 1].points.numel() <= query[0].points.numel() <= 2 * max(BLOCK, d)


def test_a_budget_below_a_whole_stencil_is_an_error():
    with pytest.raises(ValueError, match="CentralDifference: evaluations must be >= 4, got 3"):
        gradient(CentralDifference(), cubic, 3)
