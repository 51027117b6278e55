"""The balance task on the bicycle, compiled by numba: one pass over blocks of bicycles, several an instruction.

For `backend="numba"` alone, 3 to 4 times as fast as numpy at 2,048 bicycles; nothing else imports it.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from ..streams import MASK, WIDTH, draw

# where the rows of a block of states begin
LEAN, LEAN_RATE, STEER, STEER_RATE, TORQUE, DELTA, SIN, COS, LIVE = range(0, 9 * WIDTH, WIDTH)
ROWS = 9 * WIDTH

ALL, NONE = np.uint64(2**64 - 1), np.uint64(0)  # bits of a mask
TO_WHOLE = 1.5 * 2.0**52  # added and taken away again, it rounds to a whole number: instructions do four at once
PI_2 = (1.5707963267341256, 6.077100506303966e-11, 2.0222662487959506e-21)  # π/2 in three parts, fdlibm's


class Constants(NamedTuple):
    """What `advance` is to know of a task; SI units, names as in `Parameters`."""

    ernst: bool
    tilt_outside: bool
    fall_reward: bool
    cap: int
    noise: float
    max_torque: float
    max_displacement: float
    fall_angle: float
    stop: float
    time_step: float
    mass_height: float
    gravity_moment: float
    gyro_lean: float
    gyro_steer: float
    lean_inertia: float
    inertia_dl: float
    tyre_centrifugal: float
    mass_centrifugal: float
    back_to_mass: float
    wheelbase: float


@njit(nogil=True)
def sin_cos(x):
    """Return (sin x, cos x), each within 2.3e-16 for |x| < 1e5: fdlibm's polynomials, no branch, so that loops of it
    become instructions on four numbers.
    """
    # x = k π/2 + r,  |r| <= π/4
    k = (x * (2.0 / math.pi) + TO_WHOLE) - TO_WHOLE
    r = ((x - k * PI_2[0]) - k * PI_2[1]) - k * PI_2[2]
    z = r * r
    p = 2.75573137070700676789e-06 + z * (-2.50507602534068634195e-08 + z * 1.58969099521155010221e-10)
    p = 8.33333333332248946124e-03 + z * (-1.98412698298579493134e-04 + z * p)
    s = r + r * z * (-1.66666666666666324348e-01 + z * p)
    p = -2.75573143513906633035e-07 + z * (2.08757232129817482790e-09 + z * -1.13596475577881948265e-11)
    p = -1.38888888888741095749e-03 + z * (2.48015872894767294178e-05 + z * p)
    c = (1.0 - 0.5 * z) + z * z * (4.16666666666666019037e-02 + z * p)
    # k mod 4 among −1, 0, 1, 2 or −2, 0, 2:  (s, c), (c, −s), (−s, −c), (−c, s)
    quarter = k - 4.0 * ((0.25 * k + TO_WHOLE) - TO_WHOLE)
    odd = quarter * quarter == 1.0
    sine, cosine = (c, s) if odd else (s, c)
    sine = -sine if quarter * quarter == 4.0 or quarter == -1.0 else sine
    cosine = -cosine if quarter * quarter == 4.0 or quarter == 1.0 else cosine
    return sine, cosine


@njit(nogil=True, error_model="numpy")
def _tilt(a, c):
    """Write sin φ and cos φ."""
    if c.tilt_outside:
        for j in range(WIDTH):  # φ = ω + arctan(δ)/h, as published in the ernst line
            a[SIN + j] = a[LEAN + j] + math.atan(a[DELTA + j]) * (1.0 / c.mass_height)
        for j in range(WIDTH):
            a[SIN + j], a[COS + j] = sin_cos(a[SIN + j])
    else:
        for j in range(WIDTH):
            # φ = ω + arctan q,  q = δ/h:  sin φ = (sin ω + q cos ω) / √(1 + q²),  cos φ = (cos ω − q sin ω) / √(1 + q²)
            q = a[DELTA + j] * (1.0 / c.mass_height)
            sine, cosine = sin_cos(a[LEAN + j])
            per = 1.0 / math.sqrt(1.0 + q * q)
            a[SIN + j], a[COS + j] = (sine + q * cosine) * per, (cosine - q * sine) * per


@njit(nogil=True, error_model="numpy")
def _accelerations(tilt_sine, tilt_cosine, lean_rate, steer, steer_rate, torque, c):
    """Return (ω̈, θ̈), as `dynamics.accelerations` has them."""
    # C(θ) = v² M_d r / l (sin θ + tan θ) + v² M h sin θ / √(l² cos² θ + (l−c)² sin² θ),  |θ| < π/2
    sine, cosine = sin_cos(steer)
    across, along = c.back_to_mass * sine, c.wheelbase * cosine
    root = math.sqrt(along * along + across * across)
    shared = sine / (cosine * root)  # two quotients by one division
    centrifugal = c.tyre_centrifugal * (sine + root * shared) + c.mass_centrifugal * (cosine * shared)
    # I ω̈ = M g h sin φ − cos φ [ I_dc sd θ̇ + C(θ) ]
    moment = tilt_sine * c.gravity_moment - tilt_cosine * (steer_rate * c.gyro_lean + centrifugal)
    # I_dl θ̈ = T − I_dv sd ω̇
    return moment * (1.0 / c.lean_inertia), torque * (1.0 / c.inertia_dl) + lean_rate * (c.gyro_steer / c.inertia_dl)


@njit(nogil=True, error_model="numpy")
def _move(a, c):
    """Write ω, ω̇, θ, θ̇ one time step later where LIVE is 1."""
    for j in range(WIDTH):
        lean, lean_rate, steer, steer_rate = a[LEAN + j], a[LEAN_RATE + j], a[STEER + j], a[STEER_RATE + j]
        lean_speeds, steer_speeds = _accelerations(
            a[SIN + j], a[COS + j], lean_rate, steer, steer_rate, a[TORQUE + j], c
        )
        lean_rate_new = lean_rate + lean_speeds * c.time_step
        steer_rate_new = steer_rate + steer_speeds * c.time_step
        # author: semi-implicit Euler, angles advance by the NEW rates; at the stop θ̇ is kept
        # ernst: explicit Euler, angles advance by the OLD rates; at the stop θ̇ is 0
        lean_new = lean + (lean_rate if c.ernst else lean_rate_new) * c.time_step
        free = steer + (steer_rate if c.ernst else steer_rate_new) * c.time_step
        steer_rate_new = 0.0 if c.ernst and abs(free) > c.stop else steer_rate_new
        steer_new = min(max(free, -c.stop), c.stop)
        live = a[LIVE + j] != 0.0
        a[LEAN + j] = lean_new if live else lean
        a[LEAN_RATE + j] = lean_rate_new if live else lean_rate
        a[STEER + j] = steer_new if live else steer
        a[STEER_RATE + j] = steer_rate_new if live else steer_rate


@njit(nogil=True, error_model="numpy")
def move_block(a, streams, c):
    """Take one step with a block whose TORQUE and DELTA hold what the rider does; noise is added to DELTA."""
    if c.noise > 0.0:
        draw(streams, c.noise, a[SIN:])
        for j in range(WIDTH):
            a[DELTA + j] += a[SIN + j]
    _tilt(a, c)
    _move(a, c)


@njit(nogil=True)
def observe(states, rows, table):
    """Write rows of the states to a table, (k, n)."""
    n = table.shape[1]
    for k in range(rows.size):
        for b in range(len(states)):
            first = b * WIDTH
            row, to = states[b, rows[k] :], table[k, first:]
            for j in range(min(WIDTH, n - first)):
                to[j] = row[j]


@njit(nogil=True, error_model="numpy")
def _any(live):
    for j in range(WIDTH):
        if live[j] != 0.0:
            return True
    return False


@njit(nogil=True, error_model="numpy")
def advance(states, streams, steps, actions, frozen, c, rewards, terminated, truncated):
    """Take one step with n bicycles; return the first whose action is not a number, before anything was done, or −1.

    Args:
        states: float64 (blocks, `ROWS`); bicycle i is column i mod `WIDTH` of every row of block i div `WIDTH`.
        streams: see `streams.seed_streams`.
        steps: of each episode, int64 (n,).
        actions: float64 (n, 2), not clipped yet.
        frozen: bicycles that take no step, int64 (m,).
        c: constants.
        rewards, terminated, truncated: to be written, (n,); of frozen bicycles they mean nothing.
    """
    n, bad = steps.size, False
    for i in range(n):
        bad |= (actions[i, 0] != actions[i, 0]) | (actions[i, 1] != actions[i, 1])
    if bad:
        for i in range(n):
            if actions[i, 0] != actions[i, 0] or actions[i, 1] != actions[i, 1]:
                return i
    for b in range(len(states)):
        states[b, LIVE : LIVE + min(WIDTH, n - b * WIDTH)] = 1.0
        streams[b, MASK : MASK + WIDTH] = ALL
    for i in frozen:
        states[i // WIDTH, LIVE + i % WIDTH] = 0.0
        streams[i // WIDTH, MASK + i % WIDTH] = NONE
    for b in range(len(states)):
        a, first = states[b], b * WIDTH
        if frozen.size and not _any(a[LIVE:]):
            continue
        for j in range(min(WIDTH, n - first)):
            a[TORQUE + j] = min(max(actions[first + j, 0], -1.0), 1.0) * c.max_torque
            a[DELTA + j] = min(max(actions[first + j, 1], -1.0), 1.0) * c.max_displacement
        move_block(a, streams[b], c)
        for j in range(min(WIDTH, n - first)):
            i = first + j
            steps[i] += np.int64(a[LIVE + j])
            fallen = not abs(a[LEAN + j]) <= c.fall_angle  # a lean that is not a number is a fall
            terminated[i], truncated[i] = fallen, not fallen and steps[i] >= c.cap
            rewards[i] = 0.0 - np.float64(fallen) if c.fall_reward else 1.0
    return -1
