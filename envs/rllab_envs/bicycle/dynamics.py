"""The motion of the bicycle of Randløv & Alstrøm: pure, batched functions for numpy arrays and torch tensors alike."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ..arrays import columns_of, in_one_kind
from .parameters import DEFAULT, Parameters, check_variant

if TYPE_CHECKING:
    import torch

    Array = TypeVar("Array", np.ndarray, torch.Tensor)

WIDTHS = {"author": (4, 9), "ernst": (4, 5)}


def step(
    state: "Array",
    action: "Array",
    noise: "Array | None" = None,
    *,
    variant: str = "author",
    parameters: Parameters | None = None,
) -> "Array":
    """Return the state one time step (0.01 s) later; pure, batched, differentiable in torch.

        I ω̈    = M g h sin φ − cos φ [ I_dc sd θ̇ + C(θ) ],    φ = ω + arctan(δ/h)
        I_dl θ̈ = T − I_dv sd ω̇
        C(θ)   = v² [ M_d r (sin θ + tan θ) / l + M h tan θ / √(l² + (l−c)² tan² θ) ]

    ω is the lean, θ the handlebar angle (positive: left), T the torque on the handlebar, δ the rider's displacement
    with its noise; the constants are in `Parameters`.

    Args:
        state: (n, 4): ω rad, ω̇ rad/s, θ rad, θ̇ rad/s, the balance part, which nothing else feeds back into; or that
            part followed by x_f, y_f, x_b, y_b m (tyre contacts) and ψ rad (heading) for `author`, (n, 9), or by ψ for
            `ernst`, (n, 5). ω > 0 leans left, θ > 0 steers left, |θ| < π/2. ψ is counter-clockwise: for `author` from
            the y axis, heading (−sin ψ, cos ψ); for `ernst` from the x axis, heading (cos ψ, sin ψ).
        action: (n, 2): handlebar torque T in N·m and sideways displacement d of the rider in m, positive: left. Used as
            given, neither scaled nor clipped.
        noise: (n,) m, added to d; None is 0.
        variant: "author": semi-implicit Euler, at the stop θ̇ is kept. "ernst": explicit Euler, at the stop θ̇ is 0.
        parameters: constants; None is `Parameters()`.

    Returns:
        A new array like `state`. Gradients are finite everywhere; where the authors' heading correction has a kink or
        a jump (sgn ψ, sgn(ψ + θ)) they are the limit of central differences if that exists.

    Raises:
        ValueError: the variant is unknown or a shape is wrong.
        TypeError: `state` is a numpy array while `action` or `noise` is a tensor.

    Example:
        import numpy as np
        from rllab_envs.bicycle import start, step

        after = step(start(3), np.zeros((3, 2)))  # (3, 9)

    Source: J. Randløv and P. Alstrøm, ICML 1998, and their published C simulator (variant `author`); the form used
    after D. Ernst, P. Geurts and L. Wehenkel, JMLR 6 (2005) (variant `ernst`). Differences: the authors write the
    centrifugal moment with sgn θ and the radii of the paths, 9999999 m standing for infinity at θ = 0; C(θ) is the
    same function for |θ| < π/2, odd and smooth. They spell the heading out by quadrants with π = 3.1415927; here it is
    atan2, up to 5e-8 rad away when riding backwards.
    """
    check_variant("bicycle.step", variant)
    p = DEFAULT if parameters is None else parameters
    xp, state, action, noise = _check(state, action, noise, variant)
    columns = columns_of(state)
    torque, displacement = columns_of(action)
    if noise is not None:
        displacement = displacement + noise
    after = balance_step(xp, columns[:4], torque, displacement, p, variant)
    if len(columns) == 9:
        after = (*after, *contact_step(xp, columns[2], after[2], columns[4:], p))
    elif len(columns) == 5:
        after = (*after, heading_step(xp, columns[2], columns[4], p))
    return xp.stack(after, 1)


def start(n: int, *, variant: str = "author", full: bool = True, parameters: Parameters | None = None) -> np.ndarray:
    """Return n start states, float64: all zeros, upright and straight on, but for y_f = l of `author`'s contacts.

    Args:
        n: number of bicycles.
        variant: "author" or "ernst".
        full: (n, 9) for `author` and (n, 5) for `ernst`; False: the balance part, (n, 4).
    """
    check_variant("bicycle.start", variant)
    state = np.zeros((n, WIDTHS[variant][1] if full else 4))
    if full and variant == "author":
        state[:, 5] = (DEFAULT if parameters is None else parameters).wheelbase
    return state


def accelerations(
    xp: Any, balance: Sequence[Any], torque: Any, delta: Any, p: Parameters, variant: str
) -> tuple[Any, Any]:
    """Return (ω̈, θ̈) in rad/s².

    Args:
        xp: numpy or torch, whichever the arrays belong to.
        balance: ω, ω̇, θ, θ̇: four arrays of one shape.
        torque: T in N·m, of that shape.
        delta: δ in m, displacement with its noise, of that shape.
        p: constants.
        variant: "author" or "ernst", which differ in the rider's tilt.
    """
    omega, omega_dot, theta, theta_dot = balance
    # φ = ω + arctan(δ/h), or as published in the ernst line ω + arctan(δ)/h
    if p.tilt_of(variant) == "quotient":
        phi = omega + xp.arctan(delta * (1.0 / p.mass_height))
    else:
        phi = omega + xp.arctan(delta) * (1.0 / p.mass_height)
    # C(θ) = tan θ { v² M_d r / l [1/√(1 + tan² θ) + 1] + v² M h / √(l² + (l−c)² tan² θ) },
    # for sin θ = tan θ / √(1 + tan² θ)
    tangent = xp.tan(theta)
    square = tangent * tangent
    per_tangent = p.tyre_centrifugal / xp.sqrt(square + 1.0) + p.tyre_centrifugal
    per_tangent = per_tangent + p.mass_centrifugal / xp.sqrt(square * p.back_to_mass**2 + p.wheelbase**2)
    # [ I_dc sd θ̇ + C(θ) ]
    turning = theta_dot * p.gyro_lean + tangent * per_tangent
    # ω̈ = (M g h sin φ − cos φ [..]) / I by u = tan φ/2, one slow function, not two:
    # sin φ = 2u / (1 + u²), cos φ = (1 − u²) / (1 + u²)
    half = xp.tan(phi * 0.5)
    square = half * half
    moment = half * (2.0 * p.gravity_moment) - (1.0 - square) * turning
    omega_ddot = moment / (square * p.lean_inertia + p.lean_inertia)
    # θ̈ = (T − I_dv sd ω̇) / I_dl
    theta_ddot = torque * (1.0 / p.inertia_dl) + omega_dot * (p.gyro_steer / p.inertia_dl)
    return omega_ddot, theta_ddot


def balance_step(
    xp: Any, balance: Sequence[Any], torque: Any, delta: Any, p: Parameters, variant: str
) -> tuple[Any, ...]:
    """Return (ω, ω̇, θ, θ̇) one step later; arguments as for `accelerations`. The one kernel behind every caller."""
    omega, omega_dot, theta, theta_dot = balance
    dt = p.time_step
    omega_ddot, theta_ddot = accelerations(xp, balance, torque, delta, p, variant)
    omega_dot_new = omega_dot + omega_ddot * dt
    theta_dot_new = theta_dot + theta_ddot * dt
    if variant == "author":
        # semi-implicit Euler: angles advance by the NEW rates; at the stop θ̇ is kept
        omega_new = omega + omega_dot_new * dt
        theta_new = xp.clip(theta + theta_dot_new * dt, -p.stop_author, p.stop_author)
        return omega_new, omega_dot_new, theta_new, theta_dot_new
    # explicit Euler: angles advance by the OLD rates; at the stop θ̇ is 0
    omega_new = omega + omega_dot * dt
    theta_free = theta + theta_dot * dt
    theta_new = xp.clip(theta_free, -p.stop_ernst, p.stop_ernst)
    theta_dot_new = xp.where(abs(theta_free) > p.stop_ernst, 0.0, theta_dot_new)
    return omega_new, omega_dot_new, theta_new, theta_dot_new


def contact_step(xp: Any, theta_old: Any, theta: Any, pose: Sequence[Any], p: Parameters) -> tuple[Any, ...]:
    """Return (x_f, y_f, x_b, y_b, ψ) one step later, `author` variant.

    Both contacts advance v dt, each along its own direction; then the back one is put right along the frame.

    Args:
        xp: numpy or torch, whichever the arrays belong to.
        theta_old: θ before the step, which sets the curvatures.
        theta: θ after it, which sets the direction of the front tyre.
        pose: x_f, y_f, x_b, y_b, ψ before the step.
        p: constants.
    """
    x_f, y_f, x_b, y_b, psi = pose
    s = p.speed * p.time_step
    k = 0.5 * s / p.wheelbase
    # a = ψ + θ;  a += sgn(a) arcsin(min(1, s/(2 r_f))), 1/r_f = |sin θ_old| / l
    a = psi + theta
    both_zero = (theta_old == 0) & (a == 0)  # sgn(a) |sin θ_old| is sin θ_old to first order there: keep that slope
    a = a + (xp.sign(a) * xp.sign(theta_old) + both_zero) * _arcsin(xp, k * xp.sin(theta_old))
    # b = ψ + sgn(ψ) arcsin(min(1, s/(2 r_b))), 1/r_b = |tan θ_old| / l
    b = psi + xp.sign(psi) * xp.sign(theta_old) * _arcsin(xp, k * xp.tan(theta_old))
    x_f, y_f = x_f - s * xp.sin(a), y_f + s * xp.cos(a)
    x_b, y_b = x_b - s * xp.sin(b), y_b + s * xp.cos(b)
    # q = |b − f|;  if |q − l| > 0.01:  b += (b − f)(l − q)/q
    dx, dy = x_b - x_f, y_b - y_f
    lost = dx * dx + dy * dy == 0.0  # contacts on one point have no direction: take the old heading, all stays finite
    dx, dy = xp.where(lost, xp.sin(psi), dx), xp.where(lost, -xp.cos(psi), dy)
    q = xp.sqrt(dx * dx + dy * dy)
    pull = xp.where(abs(q - p.wheelbase) > p.wheelbase_tolerance, (p.wheelbase - q) / q, 0.0)
    x_b, y_b = xp.where(lost, x_f + dx, x_b) + dx * pull, xp.where(lost, y_f + dy, y_b) + dy * pull
    # ψ = atan2(x_b − x_f, y_f − y_b)
    return x_f, y_f, x_b, y_b, xp.arctan2(x_b - x_f, y_f - y_b)


def heading_step(xp: Any, theta_old: Any, psi: Any, p: Parameters) -> Any:
    """Return ψ one step later in (−π, π], `ernst` variant: ψ += dt v tan θ / l with θ before the step."""
    psi = psi + xp.tan(theta_old) * (p.time_step * p.speed / p.wheelbase)
    return psi - 2.0 * math.pi * xp.ceil((psi - math.pi) / (2.0 * math.pi))


def _arcsin(xp: Any, x: Any) -> Any:
    """arcsin with its argument held to [−1, 1] and a gradient that stays finite there."""
    beyond = abs(x) >= 1.0
    return xp.where(beyond, xp.sign(x) * (0.5 * math.pi), xp.arcsin(xp.where(beyond, 0.0, x)))


def _check(state: Any, action: Any, noise: Any, variant: str) -> tuple[Any, Any, Any, Any]:
    xp, state, action, noise = in_one_kind("bicycle.step", state, action, noise)
    widths = WIDTHS[variant]
    if state.ndim != 2 or state.shape[1] not in widths:
        need = f"(n, {widths[0]}) or (n, {widths[1]})"
        raise ValueError(f"bicycle.step: state must be {need} for variant {variant!r}, got {tuple(state.shape)}")
    n = state.shape[0]
    if tuple(action.shape) != (n, 2):
        raise ValueError(f"bicycle.step: action must be ({n}, 2) for {n} states, got {tuple(action.shape)}")
    if noise is not None and tuple(noise.shape) != (n,):
        raise ValueError(f"bicycle.step: noise must be ({n},) for {n} states, got {tuple(noise.shape)}")
    return xp, state, action, noise
