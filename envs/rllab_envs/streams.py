"""Random streams of many environments, compiled by numba: numpy's own numbers, drawn a block of environments at a time.

For `backend="numba"` alone: seeding costs less than 1 µs an environment where numpy's objects cost 17, and a number
less than half of what it costs in `noise.UniformNoise`; nothing else imports it.
"""

import numpy as np
from numba import njit

WIDTH = 64  # environments in a block, side by side in every row of it: one row is 512 bytes
HI, LO, INC_HI, INC_LO, MASK = range(0, 5 * WIDTH, WIDTH)  # where the rows of a block of streams begin
STREAM_ROWS = 5 * WIDTH

U = np.uint64
LOW, HALF = U(0xFFFFFFFF), U(32)
MULTIPLIER_HI, MULTIPLIER_LO = U(2549297995355413924), U(4865540595714422341)  # PCG64's, O'Neill (2014)
INIT_A, MULT_A, INIT_B, MULT_B = U(0x43B0D7E5), U(0x931E8875), U(0x8B51F9DD), U(0x58F38DED)  # of SeedSequence
MIX_L, MIX_R, SHIFT = U(0xCA01F9DD), U(0x4973F715), U(16)


@njit(nogil=True)
def product_hi(a, b):
    """Return the upper 64 bits of a product of two 64-bit numbers."""
    a_lo, a_hi, b_lo, b_hi = a & LOW, a >> HALF, b & LOW, b >> HALF
    one, two = a_lo * b_hi, a_hi * b_lo
    carry = (a_lo * b_lo >> HALF) + (one & LOW) + (two & LOW)
    return a_hi * b_hi + (one >> HALF) + (two >> HALF) + (carry >> HALF)


@njit(nogil=True)
def next_state(hi, lo, inc_hi, inc_lo):
    """Return a stream's next state, s ← a s + c modulo 2^128, as (hi, lo)."""
    product_lo = lo * MULTIPLIER_LO
    new_lo = product_lo + inc_lo
    carry = U(1) if new_lo < product_lo else U(0)
    return product_hi(lo, MULTIPLIER_LO) + hi * MULTIPLIER_LO + lo * MULTIPLIER_HI + inc_hi + carry, new_lo


@njit(nogil=True)
def uniform(hi, lo):
    """Return what a stream in this state gives, on [0, 1): 53 bits of the halves' exclusive or, rotated."""
    mixed, turn = hi ^ lo, hi >> U(58)
    bits = (mixed >> turn) | (mixed << ((U(64) - turn) & U(63)))
    return np.float64(np.int64(bits >> U(11))) * 2.0**-53


@njit(nogil=True)
def _hashed(value, constant, multiplier):
    constant_new = constant * multiplier & LOW
    value = (value ^ constant) * constant_new & LOW
    return value ^ (value >> SHIFT), constant_new


@njit(nogil=True)
def seed_stream(block, j, seed):
    """Put stream j of a block where `numpy.random.PCG64(seed)` begins.

    Args:
        block: uint64 (`STREAM_ROWS`,): upper and lower half of state and increment, and a mask: all bits of an
            environment that draws, none of one that does not.
        j: from 0 to `WIDTH` − 1.
        seed: uint64.
    """
    pool, words = np.empty(4, U), np.empty(8, U)
    # SeedSequence: four words are hashed, mixed, each with each, and hashed again
    constant = INIT_A
    for i in range(4):
        word = seed & LOW if i == 0 else (seed >> HALF if i == 1 else U(0))
        pool[i], constant = _hashed(word, constant, MULT_A)
    for source in range(4):
        for target in range(4):
            if source != target:
                hashed, constant = _hashed(pool[source], constant, MULT_A)
                mixed = (MIX_L * pool[target] - MIX_R * hashed) & LOW
                pool[target] = mixed ^ (mixed >> SHIFT)
    constant = INIT_B
    for i in range(8):
        words[i], constant = _hashed(pool[i % 4], constant, MULT_B)
    start_hi, start_lo = words[0] | words[1] << HALF, words[2] | words[3] << HALF
    stream_hi, stream_lo = words[4] | words[5] << HALF, words[6] | words[7] << HALF
    # PCG64: c = 2 stream + 1, and from 0 one step, plus the start, one step
    inc_hi, inc_lo = stream_hi << U(1) | stream_lo >> U(63), stream_lo << U(1) | U(1)
    hi, lo = next_state(U(0), U(0), inc_hi, inc_lo)
    lo += start_lo
    hi += start_hi + (U(1) if lo < start_lo else U(0))
    hi, lo = next_state(hi, lo, inc_hi, inc_lo)
    block[HI + j], block[LO + j], block[INC_HI + j], block[INC_LO + j] = hi, lo, inc_hi, inc_lo


@njit(nogil=True)
def seed_streams(streams, which, seeds):
    """Seed streams `which`, int64 (m,), of blocks, uint64 (blocks, `STREAM_ROWS`), with `seeds`, uint64 (m,)."""
    for k in range(which.size):
        seed_stream(streams[which[k] // WIDTH], which[k] % WIDTH, seeds[k])


@njit(nogil=True)
def skip(streams, which, counts):
    """Let streams `which`, int64 (m,), go on by `counts` numbers each, int64 (m,)."""
    for k in range(which.size):
        block, j = streams[which[k] // WIDTH], which[k] % WIDTH
        hi, lo, inc_hi, inc_lo = block[HI + j], block[LO + j], block[INC_HI + j], block[INC_LO + j]
        for _ in range(counts[k]):
            hi, lo = next_state(hi, lo, inc_hi, inc_lo)
        block[HI + j], block[LO + j] = hi, lo


@njit(nogil=True, error_model="numpy")
def draw(block, amplitude, out):
    """Draw w = 2a u − a, a number for each environment of a block; the streams of those that are masked stay.

    Args:
        block: of streams, uint64 (`STREAM_ROWS`,).
        amplitude: a.
        out: float64 (at least `WIDTH`,), to be written.
    """
    for j in range(WIDTH):
        hi_old, lo_old = block[HI + j], block[LO + j]
        hi, lo = next_state(hi_old, lo_old, block[INC_HI + j], block[INC_LO + j])
        out[j] = uniform(hi, lo) * (2.0 * amplitude) - amplitude
        block[HI + j] = hi_old ^ ((hi ^ hi_old) & block[MASK + j])
        block[LO + j] = lo_old ^ ((lo ^ lo_old) & block[MASK + j])
