"""BallWithWall and Pivot: two contacts whose cost jumps, from Suh, Simchowitz, Zhang & Tedrake (2022).

    J = Σ_pieces ∫ k p,      J_μ = E k′(x) + Σ_j Δ_j φ(u_j)/s,      J_s = E k′(x) u + Σ_j Δ_j u_j φ(u_j)/s

for x = μ + s u, jumps Δ_j at u_j = (a_j − μ)/s; integrals by Gauss–Legendre between breaks. E k′ is what the pathwise
("first-order") estimator converges to, the sum over jumps what it misses.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from rllab._special.normal import pdf
from rllab.checks import check_positive
from rllab.problems.separable import Separable

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(20)
_REACH = 40  # standard deviations; the density is 0 in float64 beyond


@dataclass(frozen=True)
class Pieces(Separable):
    """Base of the curves that are smooth between breaks; subclasses say what the curve is and where it breaks."""

    _period: ClassVar[float] = math.inf  # of the curve

    @abstractmethod
    def _breaks(self, low: float, high: float) -> list[tuple[float, float]]:
        """Points in (low, high) where the curve is not smooth, and by how much it jumps there (0 for a kink)."""

    def pathwise_gradient(self, at: Tensor, sigma: float) -> Tensor:
        """Return E ∇f(θ + σu) at (d,) or (B, d): the mean of the pathwise estimator, jumps missed."""
        check_positive(f"{self._name}.pathwise_gradient", sigma=sigma)
        x = self._at(f"{self._name}.pathwise_gradient", at)
        means = [self._moments_at(float(mu), float(sigma))[3] for mu in x.double().flatten()]
        return (self._weight * torch.tensor(means, dtype=torch.float64)).reshape(at.shape).to(at)

    def _k_moments(self, mu: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        each = [self._moments_at(m, s)[:3] for m, s in zip(mu.flat, s.flat, strict=True)]
        j, j_mu, j_s = np.array(each).T.reshape(3, *mu.shape)
        return j, j_mu, j_s

    def _moments_at(self, mu: float, s: float) -> tuple[float, float, float, float]:
        """J, J_μ, J_s and E k′."""
        s = min(s, 1.6 * self._period)  # e^{−(2πs)²/2} of a curve of period 1 is left: 1e-22
        jumps = np.array([((a - mu) / s, jump) for a, jump in self._breaks(mu - _REACH * s, mu + _REACH * s)])
        jumps = jumps.reshape(-1, 2).T
        ends = np.unique(np.concatenate((np.arange(-_REACH, _REACH + 1.0), jumps[0])))
        half = 0.5 * np.diff(ends)[:, None]
        u = (0.5 * (ends[1:] + ends[:-1])[:, None] + half * _NODES).ravel()
        mass = pdf(u) * (half * _WEIGHTS).ravel()
        x = torch.from_numpy(mu + s * u)
        slope = self._slope(x).numpy()
        at_jumps = jumps[1] * pdf(jumps[0]) / s
        pathwise = float(mass @ slope)
        return (
            float(mass @ self._k(x).numpy()),
            pathwise + float(at_jumps.sum()),
            float(mass @ (slope * u)) + float(at_jumps @ jumps[0]),
            pathwise,
        )


@dataclass(frozen=True)
class Pivot(Pieces):
    """k(z) = −sin² z for |z| <= edge, else 0: momentum handed over on contact, lost by a miss.

    Args:
        edge: > 0, the largest angle of contact, rad.
        dimension, average: as for `Separable`.

    Raises:
        TypeError, ValueError: `edge` is no positive number.

    Source:
        Suh, Simchowitz, Zhang & Tedrake (2022), "Do differentiable simulators give better policy gradients?", with the
        numbers of the authors' code, where the policy is an angle with noise of standard deviation 0.1.

    Example:
        import torch
        from rllab import problems

        pivot, at = problems.Pivot(), torch.tensor([0.7])
        pivot.gradient(at[None]), pivot.smoothed_gradient(at, sigma=0.1)  # of opposite sign: the miss is a jump
    """

    edge: float = math.pi / 4

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("Pivot", edge=self.edge)

    def _k(self, x: Tensor) -> Tensor:
        return torch.where(x.abs() <= self.edge, -(torch.sin(x) ** 2), torch.zeros_like(x))

    def _slope(self, x: Tensor) -> Tensor:
        return torch.where(x.abs() <= self.edge, -torch.sin(2 * x), torch.zeros_like(x))

    def _breaks(self, low: float, high: float) -> list[tuple[float, float]]:
        jump = math.sin(self.edge) ** 2
        return [(a, j) for a, j in ((-self.edge, -jump), (self.edge, jump)) if low < a < high]


@dataclass(frozen=True)
class BallWithWall(Pieces):
    """k(z) = −x², x where a ball thrown at angle z stops: at its range ρ = v² sin(2z)/g, or at a wall on the way.

    Args:
        distance, height: of the wall, m.
        speed: v of the throw, m/s.
        gravity: g, m/s².
        dimension, average: as for `Separable`.

    Raises:
        TypeError, ValueError: a length, the speed or gravity is no positive number.
        ValueError: the ball cannot reach the wall.

    Source:
        Suh, Simchowitz, Zhang & Tedrake (2022), "Do differentiable simulators give better policy gradients?", with the
        numbers of the authors' code, where the policy is an angle with noise of standard deviation 0.1.

    Example:
        import torch
        from rllab import problems

        wall = problems.BallWithWall()
        wall.gradient(torch.ones(1, 1)), wall.smoothed_gradient(torch.ones(1), sigma=0.1)  # they differ by the jump
    """

    distance: float = 0.06
    height: float = 0.02
    speed: float = 1.0
    gravity: float = 9.81
    _period: ClassVar[float] = math.pi

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(
            "BallWithWall", distance=self.distance, height=self.height, speed=self.speed, gravity=self.gravity
        )
        if self._reach >= 1 or self._discriminant <= 0:
            raise ValueError(f"BallWithWall: the wall must be within reach, got {self}")

    @property
    def _reach(self) -> float:
        return self.gravity * self.distance / self.speed**2

    @property
    def _discriminant(self) -> float:
        # height at the wall, t = tan z: distance t − reach distance (1 + t²)/2 = height
        return 1 - self._reach * (self._reach + 2 * self.height / self.distance)

    def _range(self, x: Tensor) -> Tensor:
        return self.speed**2 / self.gravity * torch.sin(2 * x)

    def _blocked(self, x: Tensor) -> Tensor:
        t = torch.tan(x)
        height = self.distance * t - 0.5 * self._reach * self.distance * (1 + t * t)
        return (self._range(x) > self.distance) & (height <= self.height)

    def _k(self, x: Tensor) -> Tensor:
        stop = torch.where(self._blocked(x), torch.full_like(x, self.distance), self._range(x))
        return -(stop**2)

    def _slope(self, x: Tensor) -> Tensor:
        free = -2 * self._range(x) * 2 * self.speed**2 / self.gravity * torch.cos(2 * x)
        return torch.where(self._blocked(x), torch.zeros_like(x), free)

    def _breaks(self, low: float, high: float) -> list[tuple[float, float]]:
        over = [math.atan((1 + side * math.sqrt(self._discriminant)) / self._reach) for side in (-1, 1)]
        touch = 0.5 * math.asin(self._reach)  # the range is the wall's distance: a kink
        far = [(self.speed**2 / self.gravity * math.sin(2 * z)) ** 2 - self.distance**2 for z in over]
        once = ((touch, 0.0), (over[0], -far[0]), (over[1], far[1]), (math.pi / 2 - touch, 0.0))
        first, last = math.floor(low / math.pi) - 1, math.ceil(high / math.pi)
        images = ((a + n * math.pi, jump) for n in range(first, last + 1) for a, jump in once)
        return [(a, jump) for a, jump in images if low < a < high]
