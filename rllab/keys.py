"""Key: the only source of randomness; a 64-bit name from which independent streams are derived."""

from __future__ import annotations

import operator
from hashlib import blake2b, shake_128
from typing import Any

import numpy as np
import torch
from numpy.random.bit_generator import ISeedSequence
from torch import Tensor


class Key:
    """Name a stream of random numbers; `child` derives independent streams, `generator` starts drawing.

        bits(child) = blake2b(bits(parent) ‖ repr(path))          bits(root) = blake2b(seed)

    A key is a value: it never changes, so the same key and path give the same numbers whatever was drawn before, in
    whatever order and process. Splitting by name rather than by counter follows Claessen & Pałka (2013), "Splittable
    pseudorandom number generators using cryptographic hashing", section 4, with blake2b for their Threefish.

    Normal numbers and signs by the million are drawn from keys in `noise`.

    Args:
        seed: any integer, negative ones included.

    A key is also a numpy seed sequence: `np.random.default_rng(key)` draws from its stream. torch's CPU generator is
    seeded with 32 bits (a Mersenne Twister). They are taken from the 64-bit hash, so neighbouring seeds and paths give
    unrelated streams, and two given torch streams coincide with probability 2⁻³².

    Raises:
        TypeError: `seed` is no integer.

    Example:
        from rllab import Key

        key = Key(0).child("noise", 3)  # the same numbers whatever else was drawn
        key.generator(), key.integer()
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

    def given(self, law: str, shape: tuple[int, ...]) -> Any:
        """Return numbers laid down for this stream, to be used instead of drawn ones; None if there are none.

        A hook for subclasses: integrating over an estimator's noise means to prescribe it. Whatever draws asks for it
        by the name of what it draws: "normal", "sign", "uniform", "logistic", "gumbel", "sphere", ….
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
