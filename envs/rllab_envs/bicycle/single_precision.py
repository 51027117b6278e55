"""One step of the balance task in float32, for `backend="numpy32"` alone: by functions numpy is fast at in float32.

sin and cos take 2 ns a number there, tan and arctan 6 and 4; results are written over what is no longer needed, and
constants are arrays, which cost an operation on 2,048 numbers 0.7 µs where Python's numbers cost 1.2.
"""

from typing import NamedTuple

import numpy as np

from .parameters import Parameters


class Constants32(NamedTuple):
    """What a step multiplies by, float32 of no dimension, and which variant it is; SI units."""

    author: bool
    tilt_quotient: bool
    stop: float
    time_step: np.ndarray
    one: np.ndarray
    per_height: np.ndarray  # 1/h
    gravity_moment: np.ndarray  # M g h
    gyro_lean: np.ndarray  # I_dc sd
    lean_step: np.ndarray  # dt / I
    torque_step: np.ndarray  # dt / I_dl
    gyro_step: np.ndarray  # −dt I_dv sd / I_dl
    tyre_centrifugal: np.ndarray  # v² M_d r / l
    mass_centrifugal: np.ndarray  # v² M h
    wheelbase_square: np.ndarray  # l²
    shorter_square: np.ndarray  # (l−c)² − l²


def constants32(p: Parameters, variant: str) -> Constants32:
    """Return the constants of a variant."""
    numbers = (
        p.time_step,
        1.0,
        1.0 / p.mass_height,
        p.gravity_moment,
        p.gyro_lean,
        p.time_step / p.lean_inertia,
        p.time_step / p.inertia_dl,
        p.time_step * p.gyro_steer / p.inertia_dl,
        p.tyre_centrifugal,
        p.mass_centrifugal,
        p.wheelbase**2,
        p.back_to_mass**2 - p.wheelbase**2,
    )
    arrays = (np.array(number, np.float32) for number in numbers)
    return Constants32(variant == "author", p.tilt_of(variant) == "quotient", p.stop(variant), *arrays)


def single_precision_step(
    balance: tuple[np.ndarray, ...], torque: np.ndarray, delta: np.ndarray, c: Constants32
) -> tuple[np.ndarray, ...]:
    """Return (ω, ω̇, θ, θ̇) one step later: what `dynamics.balance_step` does, by other formulas for the same."""
    omega, omega_dot, theta, theta_dot = balance
    # ω̈ = { M g h sin φ − cos φ [ I_dc sd θ̇ + C(θ) ] } / I
    bracket = _centrifugal(theta, c)
    bracket += theta_dot * c.gyro_lean
    if c.tilt_quotient:
        # φ = ω + arctan q,  q = δ/h:  sin φ = (sin ω + q cos ω) / √(1 + q²),  cos φ = (cos ω − q sin ω) / √(1 + q²)
        q = delta * c.per_height
        sine, cosine = np.sin(omega), np.cos(omega)
        omega_dot_new = q * cosine
        omega_dot_new += sine
        sine *= q
        cosine -= sine
        q *= q
        q += c.one
        per = np.divide(c.lean_step, np.sqrt(q, out=q), out=q)
    else:
        phi = np.arctan(delta)
        phi *= c.per_height
        phi += omega
        omega_dot_new, cosine, per = np.sin(phi), np.cos(phi), c.lean_step
    omega_dot_new *= c.gravity_moment
    cosine *= bracket
    omega_dot_new -= cosine
    omega_dot_new *= per
    omega_dot_new += omega_dot
    # θ̈ = (T − I_dv sd ω̇) / I_dl
    theta_dot_new = torque * c.torque_step
    theta_dot_new += omega_dot * c.gyro_step
    theta_dot_new += theta_dot
    # author: semi-implicit Euler, angles advance by the NEW rates; ernst: explicit Euler, by the OLD rates
    omega_new = (omega_dot_new if c.author else omega_dot) * c.time_step
    omega_new += omega
    theta_new = (theta_dot_new if c.author else theta_dot) * c.time_step
    theta_new += theta
    if not c.author:  # at the stop θ̇ is 0; the author variant keeps it
        theta_dot_new[np.abs(theta_new) > c.stop] = 0.0
    np.clip(theta_new, -c.stop, c.stop, out=theta_new)
    return omega_new, omega_dot_new, theta_new, theta_dot_new


def _centrifugal(theta: np.ndarray, c: Constants32) -> np.ndarray:
    """Return C(θ) = sin θ { v² M_d r / l (1 + 1/cos θ) + v² M h / √(l² cos² θ + (l−c)² sin² θ) },  |θ| < π/2."""
    sine, cosine = np.sin(theta), np.cos(theta)
    # l² cos² θ + (l−c)² sin² θ = l² + ((l−c)² − l²) sin² θ
    square = sine * sine
    square *= c.shorter_square
    square += c.wheelbase_square
    bracket = np.divide(c.tyre_centrifugal, cosine, out=cosine)
    bracket += c.tyre_centrifugal
    bracket += np.divide(c.mass_centrifugal, np.sqrt(square, out=square), out=square)
    bracket *= sine
    return bracket
