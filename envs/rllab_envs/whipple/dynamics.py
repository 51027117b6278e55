"""The motion of the Whipple bicycle near upright: its matrices, its modes, and the exact step between two torques."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .parameters import BENCHMARK, Parameters


@dataclass(frozen=True)
class Matrices:
    """M q̈ + v C₁ q̇ + (g K₀ + v² K₂) q = f, for q = (φ lean, δ steer) in rad, f their torques in N·m; each (2, 2)."""

    mass: np.ndarray
    damping: np.ndarray  # C₁
    stiffness: np.ndarray  # K₀
    speed_stiffness: np.ndarray  # K₂


@lru_cache(maxsize=64)
def matrices(p: Parameters | None = None) -> Matrices:
    """Return the coefficients of the linearised equations of motion.

        M q̈ + v C₁ q̇ + (g K₀ + v² K₂) q = f,    q = (φ, δ), both > 0 to the right

    Args:
        p: constants; None is the benchmark bicycle.

    Example:
        from rllab_envs.whipple import matrices

        mass = matrices().mass  # ((80.81722, 2.31941), (2.31941, 0.29784)) kg m²

    Source: Meijaard, Papadopoulos, Ruina & Schwab (2007), Proc. R. Soc. A 463, appendix A.
    """
    p = p or BENCHMARK
    # paper: w, c, λ; R, B, H, F the bodies; T the whole, A the front assembly of H and F
    w, c, s = p.wheelbase, math.cos(p.tilt), math.sin(p.tilt)
    m_t = p.m_r + p.m_b + p.m_h + p.m_f
    x_t = (p.x_b * p.m_b + p.x_h * p.m_h + w * p.m_f) / m_t
    z_t = (-p.r_r * p.m_r + p.z_b * p.m_b + p.z_h * p.m_h - p.r_f * p.m_f) / m_t
    i_txx = p.i_rxx + p.i_bxx + p.i_hxx + p.i_fxx
    i_txx += p.m_r * p.r_r**2 + p.m_b * p.z_b**2 + p.m_h * p.z_h**2 + p.m_f * p.r_f**2
    i_txz = p.i_bxz + p.i_hxz - p.m_b * p.x_b * p.z_b - p.m_h * p.x_h * p.z_h + p.m_f * w * p.r_f
    i_tzz = p.i_rxx + p.i_bzz + p.i_hzz + p.i_fxx + p.m_b * p.x_b**2 + p.m_h * p.x_h**2 + p.m_f * w**2
    m_a = p.m_h + p.m_f
    x_a, z_a = (p.x_h * p.m_h + w * p.m_f) / m_a, (p.z_h * p.m_h - p.r_f * p.m_f) / m_a
    i_axx = p.i_hxx + p.i_fxx + p.m_h * (p.z_h - z_a) ** 2 + p.m_f * (p.r_f + z_a) ** 2
    i_axz = p.i_hxz - p.m_h * (p.x_h - x_a) * (p.z_h - z_a) + p.m_f * (w - x_a) * (p.r_f + z_a)
    i_azz = p.i_hzz + p.i_fxx + p.m_h * (p.x_h - x_a) ** 2 + p.m_f * (w - x_a) ** 2
    u_a = (x_a - w - p.trail) * c - z_a * s  # m, centre of mass of A ahead of the steer axis
    i_all = m_a * u_a**2 + i_axx * s**2 + 2.0 * i_axz * s * c + i_azz * c**2
    i_alx = -m_a * u_a * z_a + i_axx * s + i_axz * c
    i_alz = m_a * u_a * x_a + i_axz * s + i_azz * c
    mu = p.trail / w * c
    s_f = p.i_fyy / p.r_f  # kg m, gyrostatic coefficients
    s_t = p.i_ryy / p.r_r + s_f
    s_a = m_a * u_a + mu * m_t * x_t
    m_pd = i_alx + mu * i_txz
    found = Matrices(
        np.array([[i_txx, m_pd], [m_pd, i_all + 2.0 * mu * i_alz + mu**2 * i_tzz]]),
        np.array(
            [
                [0.0, mu * s_t + s_f * c + i_txz * c / w - mu * m_t * z_t],
                [-(mu * s_t + s_f * c), i_alz * c / w + mu * (s_a + i_tzz * c / w)],
            ]
        ),
        np.array([[m_t * z_t, -s_a], [-s_a, -s_a * s]]),
        np.array([[0.0, (s_t - m_t * z_t) * c / w], [0.0, (s_a + s_f * s) * c / w]]),
    )
    for array in (found.mass, found.damping, found.stiffness, found.speed_stiffness):
        array.setflags(write=False)  # they are kept for the next call
    return found


def rates(speed: float, p: Parameters | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return A, (4, 4), and B, (4, 2), of ẋ = A x + B f for x = (φ, φ̇, δ, δ̇) and f = (roll, steer) torque in N·m."""
    p = p or BENCHMARK
    m = matrices(p)
    angles, turns = [0, 2], [1, 3]
    a, b = np.zeros((4, 4)), np.zeros((4, 2))
    a[angles, turns] = 1.0
    a[np.ix_(turns, angles)] = -np.linalg.solve(m.mass, p.gravity * m.stiffness + speed**2 * m.speed_stiffness)
    a[np.ix_(turns, turns)] = -np.linalg.solve(m.mass, speed * m.damping)
    b[turns] = np.linalg.inv(m.mass)
    return a, b


def eigenvalues(speed: float, p: Parameters | None = None) -> np.ndarray:
    """Return the four eigenvalues of the free motion at a forward speed, in 1/s, complex, by real part.

    Args:
        speed: v in m/s.
        p: constants; None is the benchmark bicycle.

    Example:
        from rllab_envs.whipple import eigenvalues

        stable = (eigenvalues(speed=5.0).real < 0).all()  # True: at 5 m/s it rides by itself
    """
    return np.sort_complex(np.linalg.eigvals(rates(speed, p)[0]))


def critical_speeds(p: Parameters | None = None) -> tuple[float, float]:
    """Return the weave and the capsize speed in m/s, between which the free bicycle is stable.

    The characteristic polynomial is a₄λ⁴ + v b₃λ³ + a₂λ² + v b₁λ + a₀, with a₂, b₁, a₀ linear in s = v². At the weave
    speed a pair of eigenvalues is imaginary, where Hurwitz' determinant is 0; at the capsize speed one of them is 0:

        b₃ a₂ b₁ − b₁² a₄ − b₃² a₀ = 0,       a₀ = det(g K₀ + s K₂) = 0

    Raises:
        ValueError: if these constants give no such speeds.

    Example:
        from rllab_envs.whipple import critical_speeds

        weave, capsize = critical_speeds()  # 4.29238, 6.02426 m/s
    """
    p = p or BENCHMARK
    m = matrices(p)
    s = np.polynomial.Polynomial([0.0, 1.0])

    def mixed(a: np.ndarray, b: np.ndarray) -> float:
        """What stands by t in det(a + t b)."""
        return a[0, 0] * b[1, 1] + a[1, 1] * b[0, 0] - a[0, 1] * b[1, 0] - a[1, 0] * b[0, 1]

    g, k_0, k_2, c_1 = p.gravity, m.stiffness, m.speed_stiffness, m.damping
    a_4, b_3 = np.linalg.det(m.mass), mixed(m.mass, c_1)
    a_2 = g * mixed(m.mass, k_0) + s * (mixed(m.mass, k_2) + np.linalg.det(c_1))
    b_1 = g * mixed(c_1, k_0) + s * mixed(c_1, k_2)
    a_0 = g**2 * np.linalg.det(k_0) + s * (g * mixed(k_0, k_2)) + s * s * np.linalg.det(k_2)
    found = []
    for polynomial in (b_3 * a_2 * b_1 - b_1 * b_1 * a_4 - b_3**2 * a_0, a_0):
        roots = polynomial.trim().roots()
        # an imaginary pair ± i ω has ω² = b₁ / b₃ > 0
        squares = [r.real for r in roots if abs(r.imag) < 1e-9 * abs(r) and r.real > 0.0 and b_1(r.real) / b_3 > 0.0]
        if not squares:
            raise ValueError("critical_speeds: a bicycle with these parameters has no weave or no capsize speed")
        found.append(math.sqrt(min(squares)))
    return found[0], found[1]


@lru_cache(maxsize=64)
def transition(speed: float, p: Parameters | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return A_d, (4, 4), and B_d, (4, 2), of x_{t+1} = A_d x_t + B_d f_t, exact for torques held over a time step.

        [A_d B_d; 0 1] = exp(dt [A B; 0 0])

    Args:
        speed: v in m/s.
        p: constants; None is the benchmark bicycle.

    Raises:
        ValueError: if the speed is not finite and >= 0.
    """
    if not 0.0 <= speed < math.inf:
        raise ValueError(f"whipple.transition: speed must be finite and >= 0 (m/s), got {speed!r}")
    p = p or BENCHMARK
    a, b = rates(speed, p)
    block = np.zeros((6, 6))
    block[:4, :4], block[:4, 4:] = a, b
    # exp(X) = exp(X / 2^k)^(2^k), with 18 terms of Taylor's series: 1 / 18! is below a rounding for a norm below 1
    x = p.time_step * block
    halvings = max(0, math.ceil(math.log2(max(float(np.linalg.norm(x)), 1e-300))) + 1)
    x = x / 2.0**halvings
    whole, term = np.eye(6), np.eye(6)
    for k in range(1, 19):
        term = term @ x / k
        whole = whole + term
    for _ in range(halvings):
        whole = whole @ whole
    whole.setflags(write=False)  # it is kept for the next call
    return whole[:4, :4], whole[:4, 4:]
