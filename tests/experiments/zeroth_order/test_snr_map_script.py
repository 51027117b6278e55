"""Signal over noise of smoothed costs: closed forms against integrals made in another way."""

import math
from itertools import pairwise

from experiments.zeroth_order import snr_map

import pytest
import torch
from scipy.integrate import dblquad, quad


@pytest.mark.parametrize("distance, sigma", [(0.35, 0.2), (1.0, 0.5), (2.0, 3.0)])
def test_the_mean_square_outside_a_hole_is_its_integral(distance, sigma):
    def at(y, x):  # |u|² φ(u) of the probe that lands at (x, y) of the hole
        t2 = ((x - distance) ** 2 + y**2) / sigma**2
        return t2 * math.exp(-t2 / 2) / (2 * math.pi * sigma**2)

    r = snr_map.RADIUS
    inside, _ = dblquad(at, -r, r, lambda x: -math.sqrt(r * r - x * x), lambda x: math.sqrt(r * r - x * x))
    assert snr_map.hole_square(distance, sigma) == pytest.approx(inside / (2 * sigma**2), rel=1e-6)


@pytest.mark.parametrize("offset, sigma", [(0.0, 0.05), (0.06, 0.1), (0.125, 0.7)])
def test_the_mean_square_on_stairs_is_its_integral(offset, sigma):
    problem = snr_map.LANDS["stairs"].problem

    def at(u):
        ends = torch.tensor([[offset + sigma * u], [offset - sigma * u]], dtype=torch.float64)
        high, low = problem.value(ends).tolist()
        return ((high - low) * u / (2 * sigma)) ** 2 * math.exp(-u * u / 2) / math.sqrt(2 * math.pi)

    edges = [abs(k / snr_map.LEVELS - offset) / sigma for k in range(-40, 41)]
    cuts = sorted({0.0, 8.0, *(u for u in edges if u < 8)})
    total = sum(quad(at, a, b)[0] for a, b in pairwise(cuts))
    assert snr_map.stairs_square(offset, sigma) == pytest.approx(2 * total, rel=1e-6)


def test_wide_smoothing_of_stairs_has_the_ratio_of_a_line():
    assert snr_map.LANDS["stairs"].ratio(0.07, 5.0) == pytest.approx(math.sqrt(snr_map.PAIRS / 2), rel=1e-3)


def test_a_flat_cost_has_no_signal():
    assert snr_map.LANDS["flat"].ratio(1.0, 1.0) == 0
