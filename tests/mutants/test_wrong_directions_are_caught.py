"""Wrong draws of directions: the proofs that pass the right ones must fail each of these."""

import math

import pytest
import torch

from rllab import Key
from rllab.estimators.smoothing import directions
from rllab.noise import rademacher, standard_normal
from tests.proofs.checks import assert_unbiased
from tests.proofs.probing import assert_close

DOUBLE = torch.zeros((), dtype=torch.float64)


def name(value):
    return value.__name__


def prove_uniform_rotation(draw):
    """One-dimensional rotations are ±1 equally often; in two dimensions, so is the determinant."""
    one = draw((1, 20_000, 1), Key(3), DOUBLE)[0]
    two = torch.linalg.det(draw((2, 20_000, 2), Key(3), DOUBLE).movedim(0, 1))
    for signs in (one[:, 0], two):
        assert_unbiased((signs.mean() * math.sqrt(len(signs)))[None])


def prove_hadamard_rows(draw):
    """Every row alone is a vector of fair, independent signs, and the four of them are complete."""
    rows = draw((4, 20_000, 3), 0, Key(5), DOUBLE)
    signs = torch.cat((rows, rows * rows.roll(1, -1)), -1)
    assert_unbiased(signs.mean(1).flatten() * math.sqrt(20_000))
    assert_close(rows[:, 0].T @ rows[:, 0], 4 * torch.eye(3))


def prove_spread_on_the_sphere(draw):
    """A coordinate of a uniform direction in three dimensions has fourth moment 1/5."""
    v = draw((100_000, 3), Key(1), DOUBLE)
    fourth = v[:, 0] ** 4 - 1 / 5
    assert_unbiased((fourth.mean() / fourth.std() * math.sqrt(len(fourth)))[None])


def prove_inclusion(draw):
    """Every axis is equally likely to be among the first two of five, and none is taken twice."""
    u = draw((2, 20_000, 5), 0, Key(6), DOUBLE)
    taken = u.abs().sum(0)
    assert float(taken.max()) == 1
    assert_unbiased((taken.mean(0) - 2 / 5) / math.sqrt(2 / 5 * 3 / 5 / 20_000))


def uncorrected_qr(shape, key, like):
    n, *problems, d = shape
    q, _ = torch.linalg.qr(standard_normal((1, *problems, d, n), key, like))
    return q.mT.movedim(-2, 1).reshape(n, *problems, d)


def hadamard_without_signs(shape, first, key, like):
    u = directions.hadamard(shape, first, key, like)
    return u * u[:1]


def hadamard_with_signs_of_rows(shape, first, key, like):
    """diag(D) H instead of H diag(D)."""
    u = hadamard_without_signs(shape, first, key, like)
    return u * rademacher((shape[0], *shape[1:-1], 1), key, like)


def uniform_cube_normalised(shape, key, like):
    u = torch.rand(shape, generator=key.generator(), dtype=like.dtype) * 2 - 1
    return u / u.norm(dim=-1, keepdim=True)


def axes_with_replacement(shape, first, key, like):
    return torch.cat([directions.coordinate_axes((1, *shape[1:]), 0, key.child(k), like) for k in range(shape[0])])


def axes_in_fixed_order(shape, first, key, like):
    return torch.eye(shape[-1], dtype=like.dtype)[: shape[0]][:, None].expand(shape)


WRONG_DRAWS = [
    (prove_uniform_rotation, uncorrected_qr),
    (prove_hadamard_rows, hadamard_without_signs),
    (prove_hadamard_rows, hadamard_with_signs_of_rows),
    (prove_spread_on_the_sphere, uniform_cube_normalised),
    (prove_inclusion, axes_with_replacement),
    (prove_inclusion, axes_in_fixed_order),
]
RIGHT_DRAWS = [
    (prove_uniform_rotation, directions.orthonormal),
    (prove_hadamard_rows, directions.hadamard),
    (prove_spread_on_the_sphere, directions.uniform_sphere),
    (prove_inclusion, directions.coordinate_axes),
]


@pytest.mark.parametrize(("proof", "draw"), WRONG_DRAWS, ids=name)
def test_the_wrong_draw_is_caught(proof, draw):
    with pytest.raises(AssertionError):
        proof(draw)


@pytest.mark.parametrize(("proof", "draw"), RIGHT_DRAWS, ids=name)
def test_the_right_draw_passes_the_same_proof(proof, draw):
    proof(draw)
