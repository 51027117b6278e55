"""Directions that are more than independent numbers: uniform on the sphere, orthogonal, evenly spread.

Each function draws n directions of the shape asked for, (n, d) or (n, B, d), with the dtype and device of `like`. One
problem's directions do not depend on another's.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from rllab.keys import Key
from rllab.noise import rademacher, standard_normal

Shape = tuple[int, ...]
SOBOL_DIMENSIONS = torch.quasirandom.SobolEngine.MAXDIM  # 21,201
_SOBOL_BITS = torch.quasirandom.SobolEngine.MAXBIT  # of a coordinate: 30


def uniform_sphere(shape: Shape, key: Key, like: Tensor) -> Tensor:
    """Draw independent directions, uniform on the unit sphere: a normal vector over its length."""
    if (given := key.given("sphere", shape)) is not None:
        return given.to(like)
    u = standard_normal(shape, key, like)
    return torch.nn.functional.normalize(u, dim=-1, out=u)


def orthonormal(shape: Shape, key: Key, like: Tensor, *, lengths: bool = False) -> Tensor:
    """Draw directions in sets of d, each set orthonormal and uniformly rotated; the last set may be smaller.

    Q of a Gaussian matrix is uniform if the diagonal of R is made positive. R, and with it the lengths of the matrix's
    columns, is independent of Q; multiplied by them, every direction by itself is N(0, I).

    Args:
        lengths: whether to do that.

    Source: Mezzadri (2007), "How to generate random matrices from the classical compact groups", section 5.
    Cost: O(n d²) time and O(n d) memory.
    """
    if (given := key.given("orthonormal", shape)) is not None:
        return given.to(like)
    n, *batch, d = shape
    sets, size = -(-n // d), min(n, d)
    z = standard_normal((sets, *batch, d, size), key, like)
    q, r = torch.linalg.qr(z.to(torch.promote_types(z.dtype, torch.float32)))
    diagonal = r.diagonal(dim1=-2, dim2=-1)
    scale = torch.ones_like(diagonal).copysign(diagonal)
    if lengths:
        scale = scale * torch.linalg.vector_norm(z, dim=-2)
    q = (q * scale.unsqueeze(-2)).to(like)
    return q.mT.movedim(-2, 1).reshape(sets * size, *batch, d)[:n]


def hadamard(shape: Shape, first: int, key: Key, like: Tensor) -> Tensor:
    """Draw rows of H diag(D): H the Hadamard matrix of order 2ᵏ >= d, cut to d columns, D independent signs.

        H_ij = (−1)^(i·j)        i·j the number of ones that the binary digits of i and j share

    Every row by itself consists of independent signs. Rows of one set of 2ᵏ are orthogonal if d = 2ᵏ; for a smaller d
    they are not, as H's last columns are missing, but Σ uuᵀ over the whole set is 2ᵏ I for any d.

    Args:
        first: the number of the first row asked for. The rows asked for lie in one set, or are whole sets.
        key: of which D is drawn; the same for all rows of a set.

    Source: Choromanski, Rowland, Sindhwani, Turner & Weller (2018), "Structured evolution with compact architectures
    for scalable policy optimization", section 3.2, with one block HD and the rows in order.
    Cost: O(n d) time and memory; H is never stored.
    """
    n, *batch, d = shape
    order = padded(d)
    i = (torch.arange(n) + first) % order
    rows = torch.ones(n, 1)
    for digit in range(order.bit_length() - 1):  # H of order 2h is [[H, H], [H, −H]]
        sign = 1 - 2 * ((i >> digit) & 1)
        rows = torch.cat((rows, rows * sign[:, None]), 1)
    rows = rows[:, :d].to(like).view(n, *(1 for _ in batch), d)
    sets = -(-n // order)
    signs = rademacher((sets, *batch, d), key, like)
    return rows * signs.repeat_interleave(min(n, order), 0)[:n]


def padded(d: int) -> int:
    """Return the least power of two that is not below d."""
    return 1 << (d - 1).bit_length()


def coordinate_axes(shape: Shape, first: int, key: Key, like: Tensor) -> Tensor:
    """Draw ±e_j, with coordinates j that do not repeat before all d have had their turn.

        j_i = start + i·stride  mod d        stride without common divisor with d

    Start, stride and signs are random, so that every coordinate is equally likely to be among any m < d. Each problem
    has its own.

    Args:
        first: the number i of the first one asked for.
        key: of the whole sequence.
    """
    if (given := key.given("axes", shape)) is not None:
        return given.to(like)
    n, *batch, d = shape
    rng = np.random.default_rng(key.child("order"))  # type: ignore[arg-type] - a Key is a seed sequence
    start, stride = rng.integers(d, size=batch), np.full(batch, d)
    while (common := np.gcd(stride, d) > 1).any():
        stride = np.where(common, rng.integers(1, d, size=batch), stride)
    i = np.arange(first, first + n).reshape(n, *(1 for _ in batch))
    j = torch.from_numpy((start + i * stride) % d).to(like.device).unsqueeze(-1)
    signs = rademacher((n, *batch, 1), key.child("signs", first), like)
    return torch.zeros(shape, dtype=like.dtype, device=like.device).scatter_(-1, j, signs)


def sobol_normal(shape: Shape, key: Key, like: Tensor) -> Tensor:
    """Draw directions that together spread more evenly than independent ones, and are N(0, I) each.

    Points of a Sobol sequence, scrambled by a random matrix and shifted by a random number modulo 2 digit by digit,
    which makes every point uniform on the grid of 2⁻³⁰; then the inverse normal distribution function of the cells'
    midpoints, which lie within ±6.2. Problems share the matrix and have shifts of their own.

    Source: Matoušek (1998), "On the L2-discrepancy for anchored boxes", section 2; Sobol' sequence of Joe & Kuo (2008).
    Cost: the scrambling matrix takes about 30 µs a dimension. At most 21,201 dimensions.
    """
    n, *batch, d = shape
    engine = torch.quasirandom.SobolEngine(d, scramble=True, seed=key.child("matrix").integer())
    points = engine.draw(n, dtype=torch.float64)
    points[:1] = points[:1].float()  # the first comes in torch's default dtype, of which the draws must not depend
    points = (points * 2**_SOBOL_BITS).long()
    rng = np.random.default_rng(key.child("shift"))  # type: ignore[arg-type] - a Key is a seed sequence
    shift = torch.from_numpy(rng.integers(1 << _SOBOL_BITS, size=(*batch, d)))
    digits = points.view(n, *(1 for _ in batch), d) ^ shift
    return torch.special.ndtri((digits.double() + 0.5) * 2.0**-_SOBOL_BITS).to(like)
