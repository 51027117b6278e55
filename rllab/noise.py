"""Noise: normal numbers and signs by the million, drawn from keys.

They are what gradient estimators draw most: a block of normals in two thirds of the time torch takes, a sign in a
fifteenth of it.
"""

from __future__ import annotations

import math
import threading

import numpy as np
import torch
from torch import Tensor

from rllab.keys import Key

_SCRATCH = threading.local()


def scratch_generator(key: Key) -> torch.Generator:
    """Return this thread's own CPU generator at the beginning of a stream, to be used before it is asked for again.

    Making one, as `Key.generator` does, takes as long as drawing a hundred numbers.
    """
    try:
        g = _SCRATCH.generator
    except AttributeError:
        g = _SCRATCH.generator = torch.Generator()
    return g.manual_seed(key.integer())


FEW = 1 << 15  # numbers; up to here torch's generator is the faster one, because a call of it costs less


def standard_normal(shape: tuple[int, ...], key: Key, like: Tensor) -> Tensor:
    """Draw N(0, 1) numbers of `shape`, with the dtype and device of `like`.

    They are made as float32 on the CPU and then converted: float64 costs more than twice as much, and so the same key
    gives the same directions in either precision and on every device. Few of them come from torch's generator, more
    from `_box_muller`; how many there are, and thus the shape, is part of what the key names.
    """
    if (given := key.given("normal", shape)) is not None:
        return given.to(like)
    count = math.prod(shape)
    if count <= FEW:
        u = torch.randn(shape, generator=scratch_generator(key), dtype=torch.float32)
    else:
        u = torch.from_numpy(_box_muller(count, key).reshape(shape))
    return as_like(u, like)


def rademacher(shape: tuple[int, ...], key: Key, like: Tensor) -> Tensor:
    """Draw independent signs ±1 of `shape`, with the dtype and device of `like`: one bit each, eight a table row."""
    if (given := key.given("sign", shape)) is not None:
        return given.to(like)
    count = math.prod(shape)
    words = torch.empty((count + 63) // 64, dtype=torch.int64).random_(-(2**63), None, generator=scratch_generator(key))
    signs = _SIGNS.take(words.numpy().view(np.uint8), axis=0)
    return as_like(torch.from_numpy(signs.reshape(-1)[:count].reshape(shape)), like)


_SIGNS = np.where((np.arange(256)[:, None] >> np.arange(8)) & 1, np.float32(1), np.float32(-1))
_SQUARE, _HALF_TURN = np.float32(2.0**62), np.float32(math.pi / 2**31)


def _box_muller(count: int, key: Key) -> np.ndarray:
    """Make float32 normals from the words of numpy's SFC64: 2.2 ns each, where torch's Mersenne Twister takes 3.4.

        u, u' = r cos α, r sin α        r = √(−2 ln U),  α = 2πU'

    One half of a 64-bit word is U, the other U', so |u| <= √(62 ln 2) = 6.56.

    Source: Box & Muller (1958), "A note on the generation of random normal deviates", eq. 1.
    """
    half = (count + 1) // 2
    u = np.empty(2 * half, np.float32)  # before the words, which are then the first to be given back to the heap
    words = np.random.SFC64(key).random_raw(half).view(np.int32)  # type: ignore[arg-type] - a Key is a seed sequence
    i, c = words[:half], words[half:].view(np.float32)
    i |= 1  # never zero
    u[:] = words
    r, a = u[:half], u[half:]
    # r = √(−2 ln |i/2³¹|) = √(ln(2⁶²/i²))
    np.multiply(r, r, out=r)
    np.divide(_SQUARE, r, out=r)
    np.log(r, out=r)
    np.sqrt(r, out=r)
    # α = π i'/2³¹
    np.multiply(a, _HALF_TURN, out=a)
    np.cos(a, out=c)
    np.sin(a, out=a)
    np.multiply(a, r, out=a)
    np.multiply(c, r, out=r)
    return u[:count]


def as_like(x: Tensor, like: Tensor) -> Tensor:
    """Return x with the dtype and device of `like`; `x.to(like)`, a no-op where there is nothing to do."""
    return x if x.dtype is like.dtype and x.is_cpu and like.is_cpu else x.to(like)
