"""Key: the only source of randomness; a 64-bit name from which independent streams are derived.

    bits(child) = blake2b(bits(parent) ‖ repr(path))          bits(root) = blake2b(seed)

A key is a value: it never changes, so the same key and path give the same numbers whatever was drawn before, in
whatever order and process. Splitting by name rather than by counter follows Claessen & Pałka (2013), "Splittable
pseudorandom number generators using cryptographic hashing", section 4, with blake2b for their Threefish.

The two kinds of noise that gradient estimators draw by the million, normal numbers and signs, are made here: a block of
normals in two thirds of the time torch takes, a sign in a fifteenth of it.
"""

from __future__ import annotations

import math
import operator
import threading
from hashlib import blake2b, shake_128
from typing import Literal

import numpy as np
import torch
from numpy.random.bit_generator import ISeedSequence
from torch import Tensor


class Key:
    """Name a stream of random numbers; `child` derives independent streams, `generator` starts drawing.

    Args:
        seed: any integer, negative ones included.

    A key is also a numpy seed sequence: `np.random.default_rng(key)` draws from its stream. torch's CPU generator is
    seeded with 32 bits (a Mersenne Twister). They are taken from the 64-bit hash, so neighbouring seeds and paths give
    unrelated streams, and two given torch streams coincide with probability 2⁻³².
    """

    __slots__ = ("_bits",)

    def __init__(self, seed: int):
        try:
            number = operator.index(seed)
        except TypeError:
            raise TypeError(f"Key: seed must be an integer, got {seed!r}") from None
        self._bits = blake2b(b"rllab:%d" % number, digest_size=8).digest()

    def child(self, *path: str | int) -> Key:
        """Derive the stream called `path`; 1 and "1" are different names.

        Raises:
            TypeError: if the path is empty or holds anything but strings and integers.
        """
        for part in path or (None,):
            if type(part) is not str and type(part) is not int:
                raise TypeError(f"Key.child: path must be one or more strings or integers, got {path!r}")
        key = object.__new__(Key)
        key._bits = blake2b(self._bits + repr(path).encode(), digest_size=8).digest()
        return key

    def generator(self, device: str | torch.device = "cpu") -> torch.Generator:
        """Start a fresh torch generator at the beginning of this stream."""
        return torch.Generator(device).manual_seed(self.integer())

    def given(self, law: Literal["normal", "sign"], shape: tuple[int, ...]) -> Tensor | None:
        """Return numbers laid down for this stream, to be used instead of drawn ones; None if there are none.

        A hook for subclasses: integrating over an estimator's noise means to prescribe it.
        """
        return None

    def integer(self) -> int:
        """Return this key as an integer in [0, 2⁶³): a seed for numpy, Gymnasium or a simulator."""
        return int.from_bytes(self._bits, "little") >> 1

    def generate_state(self, n_words: int, dtype: type = np.uint32) -> np.ndarray:
        """Return `n_words` words for numpy to seed a bit generator with: SHAKE128 of this key."""
        return np.frombuffer(shake_128(self._bits).digest(n_words * np.dtype(dtype).itemsize), dtype)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and self._bits == other._bits

    def __hash__(self) -> int:
        return hash(self._bits)

    def __repr__(self) -> str:
        return f"Key<{self._bits.hex()}>"


ISeedSequence.register(Key)


def as_key(key: Key | int) -> Key:
    """Return `key` itself, or the root key of an integer seed."""
    return key if isinstance(key, Key) else Key(key)


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
    """Return x with the dtype and device of `like`; `x.to(like)`, but at no price where there is nothing to do."""
    return x if x.dtype is like.dtype and x.is_cpu and like.is_cpu else x.to(like)


_GAMMA, _MIX1, _MIX2 = (np.uint64(c) for c in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def seeds_for(indices: np.ndarray, key: Key) -> Tensor:
    """Give each index its own non-negative 63-bit seed: Steele, Lea & Flood (2014), SplitMix64, at a random offset.

    Args:
        indices: integers of any shape; equal indices get equal seeds.
    Returns:
        int64 tensor of the same shape.
    """
    z = indices.astype(np.uint64) * _GAMMA + np.uint64(key.integer())  # wraps modulo 2⁶⁴, as intended
    z = (z ^ (z >> np.uint64(30))) * _MIX1
    z = (z ^ (z >> np.uint64(27))) * _MIX2
    return torch.from_numpy(((z ^ (z >> np.uint64(31))) >> np.uint64(1)).astype(np.int64))
