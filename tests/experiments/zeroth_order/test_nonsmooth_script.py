"""Nonsmooth: what is known of each landscape beforehand holds, and is not far too generous."""

import math

from experiments.common.bounds import LARGEST
from experiments.zeroth_order import nonsmooth

import pytest
import torch

from rllab import Key
from rllab.noise import standard_normal


@pytest.mark.parametrize("sigma", [0.01, 0.4, 10.0])
@pytest.mark.parametrize("name", nonsmooth.LANDSCAPES)
def test_values_within_reach_stay_within_the_span_and_height_that_bounds_rest_on(name, sigma):
    land = nonsmooth.LANDSCAPES[name]
    u = standard_normal((4000, 2), Key(1).child(name), land.at)
    corners = LARGEST * torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]], dtype=land.at.dtype)
    values = land.problem.value(land.at + sigma * torch.cat((u.clamp(-LARGEST, LARGEST), corners)))
    span, highest = (values.max() - values.min()).item(), values.abs().max().item()
    assert span <= land.span(sigma) + 1e-12 and highest <= land.highest(sigma) + 1e-12
    if sigma == 10.0:  # nearly all there is of a landscape is seen: the span is no loose bound
        assert span > 0.7 * land.span(sigma)


@pytest.mark.parametrize("name", nonsmooth.LANDSCAPES)
def test_the_whole_way_down_is_a_way_down(name):
    land = nonsmooth.LANDSCAPES[name]
    assert land.lowest < land.problem.value(land.at[None]).item()


def test_one_side_of_a_pair_sees_the_needle_with_the_chance_of_all_coordinates_together():
    at, sigma = nonsmooth.NEEDLE_START, 2.0
    one = 0.5 * math.erfc(-at / sigma / math.sqrt(2))
    assert nonsmooth.chance(1, sigma) == pytest.approx(2 * one)
    assert nonsmooth.chance(3, sigma) == pytest.approx(2 * one**3)
    row = nonsmooth.needle(2, sigma, 1 << 12, Key(3))
    expected = row["pairs"] * nonsmooth.chance(2, sigma)
    assert row["pairs"] == 1 << 11
    assert abs(row["hits"] - expected) < 7 * math.sqrt(expected)  # a binomial count: a false alarm in 1e11
