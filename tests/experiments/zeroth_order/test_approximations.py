"""Limits of the approximations experiment: a right stencil is within them, and wrong laws are not."""

import math

from experiments.common.bounds import FALSE_ALARM
from experiments.zeroth_order.approximation_laws import (
    FORWARD_STEP,
    NORM,
    N,
    careless_stencil,
    gradient_at_zero,
    likely_shares,
    rounding,
    stencil,
    value,
)
from experiments.zeroth_order.approximations import binomial_interval

import numpy as np
import pytest
import torch
from scipy import stats


@pytest.mark.parametrize("method", ["forward-difference", "central-difference"])
def test_squares_of_errors_are_within_the_law_of_their_noise_and_not_within_another(method):
    noise, n = 0.1, 3_000
    rng, eye = np.random.default_rng(0), torch.eye(N).double()
    if method == "forward-difference":
        h = 2 * math.sqrt(noise)
        slope = (value(h * eye) - value(torch.zeros(1, N).double())).numpy() / h
        errors = rng.standard_normal((n, N)) - rng.standard_normal((n, 1))
    else:
        h = 2 * (3 * noise) ** (1 / 3)
        slope = (value(h / 2 * eye) - value(-h / 2 * eye)).numpy() / h
        errors = rng.standard_normal((n, N)) - rng.standard_normal((n, N))
    squares = ((slope - gradient_at_zero().numpy() + noise * errors / h) ** 2).sum(1) / NORM**2
    law = stencil(method, noise)
    limit = law.deviation(n, 20)
    assert abs(squares.mean() - law.square) < 6.2 * squares.std() / math.sqrt(n) < limit < 0.2 * law.square
    assert abs(1.5 * squares.mean() - law.square) > limit


def test_shares_leave_little_on_either_side():
    low, high = likely_shares(0.9, 320, 20)
    left = stats.binom(320, 0.9).cdf(round(low * 320) - 1) + stats.binom(320, 0.9).sf(round(high * 320))
    assert 0 < left <= FALSE_ALARM / 20 and 0.7 < low < 0.85 < 0.95 < high <= 1
    assert likely_shares(1.0, 320, 20) == (1, 1) and likely_shares(0.0, 320, 20) == (0, 0)


def test_one_unit_in_the_last_place_of_the_least_cost_is_what_a_difference_can_be_off_by():
    unit = np.spacing(value(torch.zeros(1, N).double()).item())
    assert rounding(0.5) == pytest.approx(unit / 0.5 * math.sqrt(N) / NORM, rel=1e-12)


def test_a_step_made_for_rounding_alone_divides_the_noise_of_n_differences_that_share_a_value():
    n, noise = 3_000, 1e-3
    rng = np.random.default_rng(1)
    errors = noise * (rng.standard_normal((n, N)) - rng.standard_normal((n, 1))) / FORWARD_STEP / NORM
    squares, law = (errors**2).sum(1), careless_stencil(noise)
    assert abs(squares.mean() - law.square) < 6.2 * squares.std() / math.sqrt(n) < law.deviation(n, 20)
    assert law.deviation(n, 20) < abs(1.5 * squares.mean() - law.square)


def test_intervals_of_shares_stay_within_0_and_1_and_miss_as_often_as_they_say():
    low, high = binomial_interval(np.array([0.0, 0.5, 1.0]), 40)
    assert low[0] == 0 and high[2] == 1
    assert high[0] == pytest.approx(1 - 0.025 ** (1 / 40)) and low[2] == pytest.approx(0.025 ** (1 / 40))
    assert stats.binom(40, low[1]).sf(19) == pytest.approx(0.025) and stats.binom(40, high[1]).cdf(20) == pytest.approx(
        0.025
    )
