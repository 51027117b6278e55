"""The compiled loop of `rollouts` under `backend="numba"`: whole rides of many linear riders, without Python between.

Ten times as fast as numpy at 2,048 riders: the rows of the riders under way stay in the fastest cache.
"""

import numpy as np
from numba import njit

from ..streams import MASK, STREAM_ROWS, WIDTH, seed_stream
from .kernels import ALL, DELTA, LEAN, LEAN_RATE, LIVE, NONE, ROWS, STEER, STEER_RATE, TORQUE, move_block


@njit(nogil=True, error_model="numpy")
def _act(a, g, c):
    """Write what linear riders do, action = clip(K (ω, ω̇, θ, θ̇)); g holds the rows of K, 8 rows."""
    for j in range(WIDTH):
        lean, lean_rate, steer, steer_rate = a[LEAN + j], a[LEAN_RATE + j], a[STEER + j], a[STEER_RATE + j]
        turn = g[j] * lean + g[WIDTH + j] * lean_rate
        turn += g[2 * WIDTH + j] * steer + g[3 * WIDTH + j] * steer_rate
        shift = g[4 * WIDTH + j] * lean + g[5 * WIDTH + j] * lean_rate
        shift += g[6 * WIDTH + j] * steer + g[7 * WIDTH + j] * steer_rate
        a[TORQUE + j] = min(max(turn, -1.0), 1.0) * c.max_torque
        a[DELTA + j] = min(max(shift, -1.0), 1.0) * c.max_displacement


@njit(nogil=True, error_model="numpy")
def ride(gains, seeds, c, lengths, fallen):
    """Ride every ride of every rider, `WIDTH` at a time; where one ends, the next begins.

    Args:
        gains: of each rider, (n, 8).
        seeds: uint64 (n, e): of the noise of each ride.
        c: constants.
        lengths, fallen: to be written, int64 and bool (n, e).
    """
    a, streams, g = np.zeros(ROWS), np.zeros(STREAM_ROWS, np.uint64), np.zeros(8 * WIDTH)
    number, steps = np.full(WIDTH, -1), np.zeros(WIDTH)
    each, rides = seeds.shape[1], seeds.size
    begun = ended = 0
    for j in range(WIDTH):
        steps[j] = c.cap  # so that all begin below
    while ended < rides:
        over = False
        for j in range(WIDTH):
            over |= (steps[j] >= c.cap) | (not abs(a[LEAN + j]) <= c.fall_angle)
        if over:
            for j in range(WIDTH):
                fell = not abs(a[LEAN + j]) <= c.fall_angle  # a lean that is not a number is a fall
                if not fell and steps[j] < c.cap:
                    continue
                if number[j] >= 0:
                    i, k = number[j] // each, number[j] % each
                    lengths[i, k], fallen[i, k] = np.int64(steps[j]), fell
                    ended += 1
                number[j], more = (begun, True) if begun < rides else (-1, False)
                a[LIVE + j], streams[MASK + j] = (1.0, ALL) if more else (0.0, NONE)
                a[LEAN + j] = a[LEAN_RATE + j] = a[STEER + j] = a[STEER_RATE + j] = 0.0
                steps[j] = 0.0 if more else -np.inf  # of no ride: it never ends
                if more:
                    seed_stream(streams, j, seeds[begun // each, begun % each])
                    for r in range(8):
                        g[r * WIDTH + j] = gains[begun // each, r]
                    begun += 1
        _act(a, g, c)
        move_block(a, streams, c)
        for j in range(WIDTH):
            steps[j] += 1.0
