"""Constants of the bicycle of Randløv & Alstrøm, each with its unit and source.

Source: J. Randløv and P. Alstrøm, "Learning to Drive a Bicycle using Reinforcement Learning and Shaping", ICML 1998,
and the C simulator its authors published. The `ernst` variant follows D. Ernst, P. Geurts and L. Wehenkel, "Tree-Based
Batch Mode Reinforcement Learning", JMLR 6 (2005), in the form the open-source line of work after it uses.
"""

import math
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Literal

VARIANTS: tuple[str, ...] = ("author", "ernst")


def check_variant(who: str, variant: str) -> None:
    """Raise ValueError unless `variant` is one of `VARIANTS`; `who` names the caller in the message."""
    if variant not in VARIANTS:
        raise ValueError(f"{who}: variant must be 'author' or 'ernst', got {variant!r}")


@dataclass(frozen=True)
class Parameters:
    """Constants of the bicycle, rider and limits; SI units and radians.

    `gyro_sign` and `gyro_inertia` choose the gyroscopic term of the steering, θ̈ = (T + gyro_sign I sd ω̇) / I_dl.
    The published sign −1 makes a falling bicycle steer out of its fall; a coupling that does no work needs +1 and "dc".
    `tilt` chooses how the rider's displacement δ tilts the common centre of mass: "quotient" arctan(δ/h), "outside"
    arctan(δ)/h, None what the variant published ("quotient" for author, "outside" for ernst).

    Raises:
        ValueError: a constant is not positive and finite (noise may be 0), a stop is not below π/2, where the path's
            curvature is infinite, or a choice is unknown.
    """

    time_step: float = 0.01  # s, dt: integration step = control step; authors' simulator
    speed: float = 10.0 / 3.6  # m/s, v: constant forward speed, 10 km/h; authors' simulator
    gravity: float = 9.82  # m/s², g; authors' simulator
    rider_height: float = 0.30  # m, d_CM: the rider's centre of mass above the bicycle's; authors' simulator
    front_to_mass: float = 0.66  # m, c: front contact to common centre of mass, horizontally; authors' simulator
    mass_height: float = 0.94  # m, h: height of the common centre of mass; authors' simulator
    wheelbase: float = 1.11  # m, l: distance of the tyre contacts; authors' simulator
    tyre_radius: float = 0.34  # m, r; authors' simulator
    bicycle_mass: float = 15.0  # kg, M_c; authors' simulator
    rider_mass: float = 60.0  # kg, M_p; authors' simulator
    tyre_mass: float = 1.7  # kg, M_d, one tyre; authors' simulator
    max_torque: float = 2.0  # N·m, largest handlebar torque |T|; authors' simulator
    max_displacement: float = 0.02  # m, largest displacement |d| of the rider; authors' simulator
    noise: float = 0.02  # m, half-width of the uniform noise added to the displacement; authors' simulator
    fall_angle: float = math.pi / 15.0  # rad, 12°: leaning more is a fall; authors' simulator
    stop_author: float = 1.3963  # rad, handlebar stop of the author variant; authors' simulator
    stop_ernst: float = math.radians(80.0)  # rad, handlebar stop of the ernst variant; Ernst et al. line
    wheelbase_tolerance: float = 0.01  # m, drift of the wheelbase that is left alone; authors' simulator
    gyro_sign: float = -1.0  # sign of the gyroscopic term in θ̈; −1 is published
    gyro_inertia: Literal["dv", "dc"] = "dv"  # tyre inertia in that term; "dv" is published
    tilt: Literal["quotient", "outside"] | None = None  # see above; None: as the variant published it

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type is float and field.name not in ("noise", "gyro_sign") and not (0.0 < value < math.inf):
                raise ValueError(f"Parameters: {field.name} must be positive and finite, got {value!r}")
        if not 0.0 <= self.noise < math.inf:
            raise ValueError(f"Parameters: noise must be >= 0 and finite, got {self.noise!r}")
        if self.gyro_sign not in (-1.0, 0.0, 1.0):
            raise ValueError(f"Parameters: gyro_sign must be -1, 0 or 1, got {self.gyro_sign!r}")
        if self.gyro_inertia not in ("dv", "dc"):
            raise ValueError(f"Parameters: gyro_inertia must be 'dv' or 'dc', got {self.gyro_inertia!r}")
        if self.tilt not in (None, "quotient", "outside"):
            raise ValueError(f"Parameters: tilt must be None, 'quotient' or 'outside', got {self.tilt!r}")
        if max(self.stop_author, self.stop_ernst) >= math.pi / 2.0:
            got = f"{self.stop_author!r} and {self.stop_ernst!r}"
            raise ValueError(f"Parameters: stop_author and stop_ernst must lie below π/2, got {got}")

    @cached_property
    def back_to_mass(self) -> float:
        """l − c in m: back contact to common centre of mass, horizontally."""
        return self.wheelbase - self.front_to_mass

    @cached_property
    def mass(self) -> float:
        """M = M_c + M_p in kg; the authors leave the tyres out."""
        return self.bicycle_mass + self.rider_mass

    @cached_property
    def spin(self) -> float:
        """sd = v / r in rad/s: spin rate of the tyres."""
        return self.speed / self.tyre_radius

    @cached_property
    def lean_inertia(self) -> float:
        """I = (13/3) M_c h² + M_p (h + d_CM)² in kg m²: bicycle and cyclist about the ground line."""
        h = self.mass_height
        return 13.0 / 3.0 * self.bicycle_mass * h**2 + self.rider_mass * (h + self.rider_height) ** 2

    @cached_property
    def inertia_dc(self) -> float:
        """I_dc = M_d r² in kg m²: a tyre about its axle."""
        return self.tyre_mass * self.tyre_radius**2

    @cached_property
    def inertia_dv(self) -> float:
        """I_dv = (3/2) M_d r² in kg m²: a tyre about its contact, as published."""
        return 1.5 * self.tyre_mass * self.tyre_radius**2

    @cached_property
    def inertia_dl(self) -> float:
        """I_dl = (1/2) M_d r² in kg m²: the front tyre about the steering axis."""
        return 0.5 * self.tyre_mass * self.tyre_radius**2

    @cached_property
    def gravity_moment(self) -> float:
        """M g h in N·m: moment of gravity per unit sine of the tilt."""
        return self.mass * self.gravity * self.mass_height

    @cached_property
    def gyro_lean(self) -> float:
        """I_dc sd in N·m·s: gyroscopic moment on the lean per unit handlebar rate."""
        return self.inertia_dc * self.spin

    @cached_property
    def gyro_steer(self) -> float:
        """gyro_sign I sd in N·m·s: gyroscopic moment on the handlebar per unit lean rate; I is `gyro_inertia`."""
        return self.gyro_sign * (self.inertia_dv if self.gyro_inertia == "dv" else self.inertia_dc) * self.spin

    @cached_property
    def tyre_centrifugal(self) -> float:
        """v² M_d r / l in N·m: centrifugal moment of one tyre per unit l / radius."""
        return self.speed**2 * self.tyre_mass * self.tyre_radius / self.wheelbase

    @cached_property
    def mass_centrifugal(self) -> float:
        """v² M h in N·m²: centrifugal moment of rider and frame per unit curvature."""
        return self.speed**2 * self.mass * self.mass_height

    def stop(self, variant: str) -> float:
        """Return the angle of the handlebar stop of a variant, in rad."""
        return self.stop_author if variant == "author" else self.stop_ernst

    def tilt_of(self, variant: str) -> str:
        """Return the tilt in force for a variant: "quotient" or "outside"."""
        return self.tilt if self.tilt is not None else ("quotient" if variant == "author" else "outside")


DEFAULT = Parameters()
