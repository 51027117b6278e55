"""PushingCarts and FrictionCarts: open-loop inputs to two carts that meet by a stiff spring or by dry friction.

    v ← damping v + (h/m) f,   x ← x + h v                                for both carts, h = 0.005 s, m = 0.1 kg
    C(u) = Σ_{t<T} [(s_t − goal)ᵀQ(s_t − goal) + u_t²] + (s_T − goal)ᵀQ(s_T − goal),      s = (x₁, x₂, v₁, v₂)

Simulators only: value and gradient are exact, no smoothing of them is known. Pushing is continuous, so its pathwise
gradient is unbiased under noise, but scatters more the stiffer the contact is; losing grip is a jump.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from rllab.checks import check_positive, take_counts
from rllab.problems.base import Problem

_STEP, _MASS = 0.005, 0.1  # s, kg
_WEIGHTS = (0.1, 10.0, 0.1, 0.1)  # Q, diagonal


@dataclass(frozen=True)
class Carts(Problem):
    """Base of the two: x is the force u_t on the first cart, step by step, N.

    Args:
        horizon: T, the number of steps, and of parameters.
    """

    horizon: int = field(default=200, kw_only=True)
    kernels: ClassVar[tuple[str, ...]] = ()
    _start: ClassVar[tuple[float, ...]]
    _goal: ClassVar[tuple[float, ...]]
    _keeps: ClassVar[float]  # of its velocity in a step, without forces

    def __post_init__(self) -> None:
        super().__post_init__()
        take_counts(self, horizon=1)

    @property
    def dimension(self) -> int:
        return self.horizon

    @abstractmethod
    def _force(self, gap: Tensor, speed: Tensor) -> Tensor:
        """Force on the second cart, minus that on the first, from x₂ − x₁ and v₂ − v₁, (n,)."""

    def states(self, x: Tensor) -> Tensor:
        """Return s_0, …, s_T for inputs (n, T), as (n, T + 1, 4)."""
        return self._roll(self._points(f"{self._name}.states", x)).to(x)

    def _roll(self, x: Tensor) -> Tensor:
        x1, x2, v1, v2 = x.new_tensor(self._start).expand(len(x), 4).unbind(-1)
        states = [torch.stack((x1, x2, v1, v2), -1)]
        for u in x.unbind(-1):
            f = self._force(x2 - x1, v2 - v1)
            v1 = self._keeps * v1 + _STEP / _MASS * (u - f)
            v2 = self._keeps * v2 + _STEP / _MASS * f
            x1, x2 = x1 + _STEP * v1, x2 + _STEP * v2
            states.append(torch.stack((x1, x2, v1, v2), -1))
        return torch.stack(states, 1)

    def _value(self, x: Tensor) -> Tensor:
        missed = self._roll(x) - x.new_tensor(self._goal)
        return (missed.square() @ x.new_tensor(_WEIGHTS)).sum(-1) + x.square().sum(-1)

    def _gradient(self, x: Tensor) -> Tensor:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(self._value(x).sum(), x)
        return gradient


@dataclass(frozen=True)
class PushingCarts(Carts):
    """Below a gap of 1 m a spring pushes the carts apart: f = stiffness (1 − gap).

    Args:
        stiffness: of the contact, N/m.
        damping: what each velocity keeps of itself in a step.
        horizon: T, the number of steps, and of parameters.

    Raises:
        TypeError, ValueError: `stiffness` is no positive number, or `damping` is not in [0, 1].

    Source:
        Suh, Simchowitz, Zhang & Tedrake (2022), "Do differentiable simulators give better policy gradients?", with the
        numbers of the authors' code (there: T = 400, 200, 200 for stiffness 10, 100, 1000 with damping 0.998, 0.998,
        0.99; noise 0.1 on every input).

    Example:
        import torch
        from rllab import problems

        problems.PushingCarts(horizon=20).gradient(torch.ones(1, 20))
    """

    stiffness: float = 100.0
    damping: float = 0.998
    _start: ClassVar[tuple[float, ...]] = (0.0, 1.0, 0.0, 0.0)
    _goal: ClassVar[tuple[float, ...]] = (1.0, 2.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("PushingCarts", stiffness=self.stiffness)
        if not 0 <= self.damping <= 1:
            raise ValueError(f"PushingCarts: damping must be in [0, 1], got {self.damping!r}")

    @property
    def _keeps(self) -> float:  # type: ignore[override]
        return self.damping

    def _force(self, gap: Tensor, speed: Tensor) -> Tensor:
        return self.stiffness * (1 - gap).clamp(min=0)


@dataclass(frozen=True)
class FrictionCarts(Carts):
    """Within a gap of 0.1 m the first cart drags the second: f = friction (v₁ − v₂), at most friction·slip.

    Args:
        friction: N s/m.
        slip: speed from which the drag no longer grows, m/s.
        horizon: T, the number of steps, and of parameters.

    Raises:
        TypeError, ValueError: `friction` or `slip` is no positive number.

    Source:
        Suh, Simchowitz, Zhang & Tedrake (2022), "Do differentiable simulators give better policy gradients?", with the
        numbers of the authors' code (there: T = 400, noise 0.1 on every input).

    Example:
        import torch
        from rllab import problems

        problems.FrictionCarts(horizon=20).gradient(torch.ones(1, 20))
    """

    friction: float = 1.8
    slip: float = 0.1
    _start: ClassVar[tuple[float, ...]] = (0.0, 0.0, 0.0, 0.0)
    _goal: ClassVar[tuple[float, ...]] = (2.0, 2.0, 0.0, 0.0)
    _keeps: ClassVar[float] = 1.0  # type: ignore[assignment]

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("FrictionCarts", friction=self.friction, slip=self.slip)

    def _force(self, gap: Tensor, speed: Tensor) -> Tensor:
        drag = -self.friction * speed.clamp(-self.slip, self.slip)
        return torch.where(gap.abs() < 0.1, drag, torch.zeros_like(drag))
