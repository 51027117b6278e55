"""Structured directions: each by itself has the law it should, together they have the structure."""

import math

import numpy as np
import pytest
import scipy.linalg
import torch

from rllab import Key
from rllab.estimators.smoothing.directions import (
    SOBOL_DIMENSIONS,
    coordinate_axes,
    hadamard,
    orthonormal,
    padded,
    sobol_normal,
    uniform_sphere,
)
from tests.proofs.checks import assert_unbiased, fresh_state

DOUBLE, SINGLE = torch.zeros((), dtype=torch.float64), torch.zeros(())


def z(samples: torch.Tensor, truth=0.0) -> torch.Tensor:
    """Return (mean − truth) / standard error along dim 0."""
    return (samples.mean(0) - truth) / (samples.std(0) / math.sqrt(len(samples)))


def draws():
    return {
        "sphere": lambda shape, key, like: uniform_sphere(shape, key, like),
        "orthonormal": lambda shape, key, like: orthonormal(shape, key, like),
        "lengths": lambda shape, key, like: orthonormal(shape, key, like, lengths=True),
        "hadamard": lambda shape, key, like: hadamard(shape, 0, key, like),
        "axes": lambda shape, key, like: coordinate_axes(shape, 0, key, like),
        "sobol": lambda shape, key, like: sobol_normal(shape, key, like),
    }


every = pytest.mark.parametrize("draw", draws().values(), ids=draws().keys())


@every
@pytest.mark.parametrize("shape", ((1, 1), (5, 3), (2, 6), (7, 2, 3)))
def test_shape_precision_and_global_state(draw, shape):
    before = fresh_state()
    single, double = draw(shape, Key(1), SINGLE), draw(shape, Key(1), DOUBLE)
    assert fresh_state() == before
    assert single.shape == double.shape == shape
    assert (single.dtype, double.dtype) == (torch.float32, torch.float64)
    torch.testing.assert_close(single.double(), double, rtol=1e-4, atol=1e-4)
    assert torch.equal(double, draw(shape, Key(1), DOUBLE))
    assert shape == (1, 1) or not torch.equal(double, draw(shape, Key(2), DOUBLE))


@every
def test_directions_come_in_half_precision_too(draw):
    assert draw((3, 4), Key(1), torch.zeros((), dtype=torch.bfloat16)).dtype == torch.bfloat16


@pytest.mark.parametrize("d", (1, 2, 3))
def test_orthonormal_sets_are_uniformly_rotated(d):
    # Every entry has mean 0 (an uncorrected QR has Q_11 = 1 in one dimension) and the determinant is ±1 equally often
    # (uncorrected, it is always the same)
    q = orthonormal((d, 50_000, d), Key(3), DOUBLE).movedim(0, 1)
    torch.testing.assert_close(q @ q.mT, torch.eye(d, dtype=torch.float64).expand_as(q), rtol=1e-10, atol=1e-10)
    moments = [q.flatten(1), torch.linalg.det(q)[:, None]]
    if d > 1:
        # fourth moments of Haar matrices: E q_11⁴ = 3/(d(d + 2)), E q_11² q_22² = (d + 1)/((d − 1) d (d + 2))
        moments += [(q[:, 0, 0] ** 4 - 3 / (d * (d + 2)))[:, None]]
        moments += [(q[:, 0, 0] ** 2 * q[:, 1, 1] ** 2 - (d + 1) / ((d - 1) * d * (d + 2)))[:, None]]
    assert_unbiased(z(torch.cat(moments, -1)))


def test_lengths_are_those_of_normal_vectors_and_independent_of_direction():
    # ‖u‖² ~ χ²_d: mean d, variance 2d; uncorrelated between the directions of a set, and with where they point
    d = 3
    u = orthonormal((d, 100_000, d), Key(4), DOUBLE, lengths=True).movedim(0, 1)
    square = u.square().sum(-1)
    assert_unbiased(z(torch.cat((square - d, (square - d) ** 2 - 2 * d), -1)))
    first, second = square[:, 0] - d, square[:, 1] - d
    where = (u[:, 0, 0] / u[:, 0].norm(dim=-1)) ** 2 - 1 / d
    across = (u[:, 0] * u[:, 1]).sum(-1)
    assert_unbiased(z(torch.stack((first * second, first * where, second * where), -1)))
    torch.testing.assert_close(across, torch.zeros_like(across), rtol=0, atol=1e-10)


def test_hadamard_rows_are_those_of_sylvesters_matrix_times_signs():
    for d in (1, 2, 5, 8):
        u = hadamard((padded(d), d), 0, Key(1), DOUBLE)
        h = torch.from_numpy(scipy.linalg.hadamard(padded(d)).astype(float))[:, :d]
        assert torch.equal(u, h * u[0])  # row 0 of H is ones, so row 0 of u is D


def test_hadamard_rows_can_be_asked_for_in_any_pieces():
    whole = hadamard((8, 2, 5), 0, Key(1), DOUBLE)
    pieces = [hadamard((2, 2, 5), first, Key(1), DOUBLE) for first in (0, 2, 4, 6)]
    assert torch.equal(whole, torch.cat(pieces))


def test_sets_of_hadamard_rows_have_signs_of_their_own():
    u = hadamard((6, 2), 0, Key(2), DOUBLE).view(3, 2, 2)
    assert all(torch.equal(s.T @ s, 2 * torch.eye(2, dtype=torch.float64)) for s in u)
    many = hadamard((2 * 64, 2), 0, Key(2), DOUBLE).view(64, 2, 2)[:, 0]
    assert len(many.unique(dim=0)) == 4


def test_every_hadamard_row_alone_is_a_vector_of_fair_independent_signs():
    u = hadamard((4, 100_000, 3), 0, Key(5), DOUBLE)
    for row in u:
        assert set(row.flatten().tolist()) == {-1.0, 1.0}
        assert_unbiased(z(torch.cat((row, row * row.roll(1, -1)), -1)))


@pytest.mark.parametrize(("d", "power"), ((1, 1), (2, 2), (3, 4), (4, 4), (5, 8), (1000, 1024), (1024, 1024)))
def test_padding_is_to_the_next_power_of_two(d, power):
    assert padded(d) == power


@pytest.mark.parametrize("d", (1, 2, 3, 6, 7, 30))
def test_axes_do_not_repeat_before_all_had_their_turn(d):
    u = coordinate_axes((3 * d, 4, d), 0, Key(1), DOUBLE)
    assert torch.equal(u.abs().sum(-1), torch.ones(3 * d, 4, dtype=torch.float64))
    for part in u.abs().split(d):
        assert torch.equal(part.sum(0), torch.ones(4, d, dtype=torch.float64))
    later = coordinate_axes((d, 4, d), d, Key(1), DOUBLE)
    assert torch.equal(later.abs(), u[d : 2 * d].abs())


def test_every_axis_is_equally_likely_to_be_among_the_first_and_of_either_sign():
    u = coordinate_axes((2, 60_000, 5), 0, Key(6), DOUBLE)
    assert_unbiased(z(torch.cat((u.abs().sum(0) - 2 / 5, u.sum(0)), -1)))


def test_problems_of_a_batch_have_strides_of_their_own():
    j = coordinate_axes((2, 400, 7), 0, Key(3), DOUBLE).abs().argmax(-1)
    seen = torch.bincount((j[1] - j[0]) % 7, minlength=7)
    assert seen[0] == 0 and (seen[1:] > 20).all()  # binomial, mean 67, standard deviation 7.5: false alarm 3e-10 each


def test_another_key_takes_the_axes_in_another_order():
    orders = {tuple(coordinate_axes((7, 7), 0, Key(k), DOUBLE).abs().argmax(-1).tolist()) for k in range(200)}
    assert len(orders) > 30  # of 7 starts × 6 strides


@pytest.mark.parametrize("n", (1, 3))
def test_every_sobol_direction_alone_is_normal(n):
    # Mean 0, variance 1, fourth moment 3, coordinates uncorrelated, for the first point as for later ones
    u = sobol_normal((n, 100_000, 2), Key(7), DOUBLE)
    for x in u:
        cross = (x[:, 0] * x[:, 1])[:, None]
        assert_unbiased(z(torch.cat((x, x**2 - 1, x**4 - 3, cross, cross**2 - 1), -1)))


def test_one_scrambling_matrix_alone_leaves_directions_normal():
    # Problems share the matrix, so the test above sees one matrix and many shifts; here are many matrices
    u = torch.stack([sobol_normal((2, 2), Key(8).child(i), DOUBLE)[1] for i in range(4_000)])
    assert_unbiased(z(torch.cat((u, u**2 - 1), -1)))


def test_sobol_directions_spread_more_evenly_than_independent_ones():
    # In one dimension 2ᵏ points take one of each 2ᵏ intervals of equal probability; in two, every elementary box
    u = sobol_normal((64, 3, 2), Key(9), DOUBLE)
    x = torch.special.ndtr(u)
    for i in range(7):
        boxes = torch.floor(x * torch.tensor([2**i, 2 ** (6 - i)])).long()
        for problem in range(3):
            assert len(boxes[:, problem].unique(dim=0)) == 64


def test_sobol_directions_are_finite_and_bounded():
    u = sobol_normal((4096, 30), Key(1), SINGLE)
    assert bool(torch.isfinite(u).all())
    assert float(u.abs().max()) < 6.3


def test_sobol_has_as_many_dimensions_as_it_says():
    assert SOBOL_DIMENSIONS == 21_201
    assert sobol_normal((1, SOBOL_DIMENSIONS), Key(1), SINGLE).shape == (1, SOBOL_DIMENSIONS)


@pytest.mark.slow
def test_the_problems_of_a_draw_are_uncorrelated():
    for name, draw in draws().items():
        u = torch.stack([draw((2, 3, 4), Key(10).child(i), DOUBLE) for i in range(3_000)])
        products = (u[:, 0, 0] * u[:, 0, 1]).flatten(1)
        same = np.corrcoef(u[:, 0, 0, 0], u[:, 0, 1, 0])[0, 1]
        assert abs(same) < 6.5 / math.sqrt(3_000), name
        if float(products.std()) > 0:
            assert_unbiased(z(products[:, products.std(0) > 0]))
