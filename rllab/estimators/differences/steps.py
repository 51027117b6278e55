"""Steps of finite differences that suit each coordinate.

A difference with step h is wrong by what the Taylor series leaves out, and by the errors ε of the two values:

    forward   |error| ≤ (h/2)|f''|  + 2ε/h      least at   h = 2 √(ε/|f''|)
    central   |error| ≤ (h²/6)|f'''| + ε/h      least at   h = (3ε/|f'''|)^(1/3)

f is not known beforehand, so two things are *assumed* of every coordinate i: f changes on the scale
s_i = max(|θ_i|, 1), and by about 1 there. Then |f''| = 1/s², |f'''| = 1/s³ and ε = u + τ, with u the unit roundoff,
half the machine epsilon, and τ the standard deviation of the cost's own noise. If f changes by a instead, give τ/a as
the noise; if on another scale, give the step.

Sources: Gill, Murray & Wright (1981), "Practical optimization", section 8.6; Moré & Wild (2012), "Estimating
derivatives of noisy simulations" (for a noise of standard deviation τ they have h = 8^(1/4) √(τ/|f''|), 0.84 times the
above).
"""

from __future__ import annotations

import math
from numbers import Real

import torch
from torch import Tensor

from rllab.checks import check_not_negative


def check_step(name: str, step: float | None, noise: float = 0.0) -> None:
    """Raise a TypeError or ValueError in the name of `name` unless step and noise are usable together."""
    if step is not None and not isinstance(step, Real):
        raise TypeError(f"{name}: step must be a number, or None for an automatic one, got {step!r}")
    if step is not None and not (step > 0 and math.isfinite(step)):
        raise ValueError(f"{name}: step must be positive and finite, or None for an automatic one, got {step}")
    check_not_negative(name, noise=noise)
    if step is not None and noise:
        raise ValueError(f"{name}: noise sets an automatic step; with step={step} given it must be 0, got {noise}")


def forward_step(at: Tensor, step: float | None, noise: float) -> Tensor:
    """Return h for every coordinate, shaped like `at`: the given one, or 2 s √(u + τ)."""
    return _scaled(at, step, 2 * math.sqrt(torch.finfo(at.dtype).eps / 2 + noise))


def central_step(at: Tensor, step: float | None, noise: float) -> Tensor:
    """Return h for every coordinate, shaped like `at`: the given one, or s (3(u + τ))^(1/3)."""
    return _scaled(at, step, (3 * (torch.finfo(at.dtype).eps / 2 + noise)) ** (1 / 3))


def complex_step(at: Tensor, step: float | None) -> Tensor:
    """Return h for every coordinate, shaped like `at`: the given one, or 2 s u, as nothing cancels."""
    return _scaled(at, step, torch.finfo(at.dtype).eps)


def _scaled(at: Tensor, step: float | None, relative: float) -> Tensor:
    return torch.full_like(at, step) if step is not None else at.abs().clamp_min(1) * relative
