"""One step of the balance task in float32, for `backend="numpy32"` alone: by functions numpy is fast at in float32.

sin and cos take 2 ns a number there, tan and arctan 8 and 5, so that a step is a third of one in float64.
"""

import numpy as np

from .parameters import Parameters


def single_precision_step(
    balance: tuple[np.ndarray, ...], torque: np.ndarray, delta: np.ndarray, p: Parameters, variant: str
) -> tuple[np.ndarray, ...]:
    """Return (ω, ω̇, θ, θ̇) one step later: what `dynamics.balance_step` does, by other formulas for the same."""
    omega, omega_dot, theta, theta_dot = balance
    dt = p.time_step
    # ω̈ = M g h / I sin φ − 1/I cos φ [ I_dc sd θ̇ + C(θ) ]
    bracket = _centrifugal(theta, p)
    bracket += theta_dot * p.gyro_lean
    if p.tilt_of(variant) == "quotient":
        # φ = ω + arctan q,  q = δ/h:  sin φ = (sin ω + q cos ω) / √(1 + q²),  cos φ = (cos ω − q sin ω) / √(1 + q²)
        q = delta * (1.0 / p.mass_height)
        sine, cosine = np.sin(omega), np.cos(omega)
        moment = q * cosine
        moment += sine
        sine *= q
        cosine -= sine
        q *= q
        q += 1.0
        per = (dt / p.lean_inertia) / np.sqrt(q, out=q)
    else:
        phi = omega + np.arctan(delta) * (1.0 / p.mass_height)
        moment, cosine, per = np.sin(phi), np.cos(phi), dt / p.lean_inertia
    moment *= p.gravity_moment
    cosine *= bracket
    moment -= cosine
    moment *= per
    omega_dot_new = moment
    omega_dot_new += omega_dot
    # θ̈ = (T − I_dv sd ω̇) / I_dl
    theta_dot_new = torque * (dt / p.inertia_dl)
    theta_dot_new += omega_dot * (dt * p.gyro_steer / p.inertia_dl)
    theta_dot_new += theta_dot
    # author: semi-implicit Euler, angles advance by the NEW rates; ernst: explicit Euler, by the OLD rates
    author = variant == "author"
    omega_new = (omega_dot_new if author else omega_dot) * dt
    omega_new += omega
    theta_new = (theta_dot_new if author else theta_dot) * dt
    theta_new += theta
    if not author:  # at the stop θ̇ is 0; the author variant keeps it
        theta_dot_new[np.abs(theta_new) > p.stop_ernst] = 0.0
    np.minimum(theta_new, p.stop(variant), out=theta_new)
    np.maximum(theta_new, -p.stop(variant), out=theta_new)
    return omega_new, omega_dot_new, theta_new, theta_dot_new


def _centrifugal(theta: np.ndarray, p: Parameters) -> np.ndarray:
    """Return C(θ) = sin θ { v² M_d r / l (1 + 1/cos θ) + v² M h / √(l² cos² θ + (l−c)² sin² θ) },  |θ| < π/2."""
    sine, cosine = np.sin(theta), np.cos(theta)
    # l² cos² θ + (l−c)² sin² θ = l² − (l² − (l−c)²) sin² θ
    square = sine * sine
    square *= p.back_to_mass**2 - p.wheelbase**2
    square += p.wheelbase**2
    bracket = np.divide(p.tyre_centrifugal, cosine, out=cosine)
    bracket += p.tyre_centrifugal
    bracket += np.divide(p.mass_centrifugal, np.sqrt(square, out=square), out=square)
    bracket *= sine
    return bracket
