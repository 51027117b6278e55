"""What the tests of the bicycle share: the published equations written out plainly, test points, a good rider."""

import math

import numpy as np

VARIANTS = ("author", "ernst")


def sign(x: float) -> float:
    return float(x > 0) - float(x < 0)


def plain_step(variant: str, s: list[float], torque: float, delta: float) -> list[float]:
    """One bicycle, one step, as the published simulators write it: signs and radii, 9999999 m for a straight path."""
    dt, v, g, d_cm, c, h, ell, r, m_c, m_p, m_d = 0.01, 10 / 3.6, 9.82, 0.3, 0.66, 0.94, 1.11, 0.34, 15.0, 60.0, 1.7
    m, sd = m_c + m_p, v / r
    inertia = 13 / 3 * m_c * h**2 + m_p * (h + d_cm) ** 2
    i_dc, i_dv, i_dl = m_d * r**2, 1.5 * m_d * r**2, 0.5 * m_d * r**2
    om, om_d, th, th_d = s[:4]
    phi = om + (math.atan(delta / h) if variant == "author" else math.atan(delta) / h)
    r_f = r_b = r_cm = 9999999.0
    if th != 0.0:
        r_f, r_b = ell / abs(math.sin(th)), ell / abs(math.tan(th))
        r_cm = math.sqrt((ell - c) ** 2 + r_b**2)
    centrifugal = sign(th) * v**2 * (m_d * r * (1 / r_f + 1 / r_b) + m * h / r_cm)
    om_dd = (m * h * g * math.sin(phi) - math.cos(phi) * (i_dc * sd * th_d + centrifugal)) / inertia
    th_dd = (torque - i_dv * sd * om_d) / i_dl
    if variant == "ernst":
        new = [om + dt * om_d, om_d + dt * om_dd, th + dt * th_d, th_d + dt * th_dd]
        if abs(new[2]) > 80 * math.pi / 180:
            new[2:] = [sign(new[2]) * 80 * math.pi / 180, 0.0]
        if len(s) == 5:
            psi = s[4] + dt * v * sign(th) * abs(math.tan(th)) / ell
            new.append(psi - 2 * math.pi if psi > math.pi else psi + 2 * math.pi if psi <= -math.pi else psi)
        return new
    om_d, th_d = om_d + dt * om_dd, th_d + dt * th_dd
    om, th = om + dt * om_d, th + dt * th_d
    if abs(th) > 1.3963:
        th = sign(th) * 1.3963
    if len(s) == 4:
        return [om, om_d, th, th_d]
    x_f, y_f, x_b, y_b, psi = s[4:]
    a = psi + th + sign(psi + th) * math.asin(min(1.0, v * dt / (2 * r_f)))
    x_f, y_f = x_f - v * dt * math.sin(a), y_f + v * dt * math.cos(a)
    b = psi + sign(psi) * math.asin(min(1.0, v * dt / (2 * r_b)))
    x_b, y_b = x_b - v * dt * math.sin(b), y_b + v * dt * math.cos(b)
    q = math.hypot(x_f - x_b, y_f - y_b)
    if abs(q - ell) > 0.01:
        x_b, y_b = x_b + (x_b - x_f) * (ell - q) / q, y_b + (y_b - y_f) * (ell - q) / q
    if x_f == x_b and y_f - y_b < 0:
        psi = math.pi
    elif y_f - y_b > 0:
        psi = math.atan((x_b - x_f) / (y_f - y_b))
    else:
        psi = sign(x_b - x_f) * math.pi / 2 - math.atan((y_f - y_b) / (x_b - x_f))
    return [om, om_d, th, th_d, x_f, y_f, x_b, y_b, psi]


def draw(variant: str, n: int, seed: int, full: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Random states, actions and noise.

    Of every eight states the first has θ = 0, the second runs into the stop, the third leans far beyond a fall. ψ keeps
    off 0 and ±π, where the authors' signs jump.
    """
    rng = np.random.default_rng(seed)
    scale = [0.3, 1.5, 1.3, 4.0]
    state = rng.uniform(-1, 1, (n, 4)) * scale
    state[::8, 2] = 0.0
    state[1::8, 2] = np.copysign(1.39, state[1::8, 2])
    state[1::8, 3] = np.copysign(30.0, state[1::8, 2])
    state[2::8, 0] *= 10.0
    psi = rng.uniform(0.2, 2.9, n) * rng.choice([-1.0, 1.0], n)
    if full and variant == "author":
        back = rng.uniform(-50, 50, (n, 2))
        length = 1.11 + rng.uniform(-0.03, 0.03, n)
        front = back + length[:, None] * np.stack((-np.sin(psi), np.cos(psi)), 1)
        state = np.column_stack((state, front, back, psi))
    elif full:
        state = np.column_stack((state, psi))
    action = rng.uniform(-1, 1, (n, 2)) * [2.0, 0.02]
    return state, action, rng.uniform(-0.02, 0.02, n)


def linear_policy(state):
    """T = clip(71.04 ω + 29.97 ω̇ − 21.60 θ − 2.29 θ̇, ±2), d = 0: rides to any cap."""
    torque = np.clip(state[:, :4] @ np.array([71.04, 29.97, -21.60, -2.29]), -2.0, 2.0)
    return np.stack((torque, np.zeros_like(torque)), 1)
