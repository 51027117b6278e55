"""Constants of the benchmark bicycle, each with its unit, and the limits of the task."""

import math
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Parameters:
    """Constants of the Whipple bicycle and of its task; SI units and radians, x forward, y right, z down.

    Four rigid bodies, R: rear wheel, B: rear frame with rider, H: fork with handlebar, F: front wheel; wheels are
    rotationally symmetric, I_zz = I_xx, and roll without slip.

    Raises:
        ValueError: a mass, length, speed, limit or moment about an axis is not positive and finite (noise may be 0),
            or another constant is not finite.

    Source: J. P. Meijaard, J. M. Papadopoulos, A. Ruina and A. L. Schwab (2007), "Linearized dynamics equations for the
    balance and steer of a bicycle: a benchmark and review", Proc. R. Soc. A 463, table 1. The limits of the task are
    the lab's: fall and time step those of the bicycle of Randløv & Alstrøm, torques as explained at their lines.
    """

    wheelbase: float = 1.02  # m, w
    trail: float = 0.08  # m, c
    tilt: float = math.pi / 10.0  # rad, λ: steer axis from the vertical
    gravity: float = 9.81  # m/s², g
    r_r: float = 0.3  # m, radius of R
    m_r: float = 2.0  # kg
    i_rxx: float = 0.0603  # kg m²
    i_ryy: float = 0.12  # kg m²
    x_b: float = 0.3  # m, centre of mass of B
    z_b: float = -0.9  # m
    m_b: float = 85.0  # kg
    i_bxx: float = 9.2  # kg m²
    i_bxz: float = 2.4  # kg m²
    i_bzz: float = 2.8  # kg m²
    x_h: float = 0.9  # m, centre of mass of H
    z_h: float = -0.7  # m
    m_h: float = 4.0  # kg
    i_hxx: float = 0.05892  # kg m²
    i_hxz: float = -0.00756  # kg m²
    i_hzz: float = 0.00708  # kg m²
    r_f: float = 0.35  # m, radius of F
    m_f: float = 3.0  # kg
    i_fxx: float = 0.1405  # kg m²
    i_fyy: float = 0.28  # kg m²
    time_step: float = 0.01  # s
    max_torque: float = 2.0  # N·m, largest steer torque, as in the bicycle of Randløv & Alstrøm
    noise: float = 15.0  # N·m, half-width of the roll torque: about 75 kg · 9.82 m/s² · 0.02 m, that of the same
    fall_angle: float = math.pi / 15.0  # rad, 12°: leaning more is a fall
    stop: float = math.radians(80.0)  # rad: steering more is a fall
    effort: float = 0.1  # price of the largest steer torque, in that of the lean at which it falls

    def __post_init__(self) -> None:
        signed = ("x_b", "z_b", "i_bxz", "x_h", "z_h", "i_hxz", "trail", "tilt")
        for field in fields(self):
            value = getattr(self, field.name)
            if not math.isfinite(value) or (field.name not in signed and value < 0.0):
                raise ValueError(f"Parameters: {field.name} must be finite and positive, got {value!r}")
            if value == 0.0 and field.name not in (*signed, "noise"):
                raise ValueError(f"Parameters: {field.name} must be positive, got 0")


BENCHMARK = Parameters()
