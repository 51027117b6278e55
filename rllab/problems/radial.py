"""BallHole, RadialStaircase, Norm: costs of the distance from a centre.

    λ = |θ − c|²/s², y = R²/s², X_k and g_k the law and density of noncentral χ² with k degrees of freedom:
    E 1[|x − c| <= R] = X_d(y),    ∂X_d/∂λ = (X_{d+2} − X_d)/2 = −g_{d+2}(y)
    E |x − c| = s √(2/π) (d I_d + λ I_{d+2}),    I_k = ∫₀^{π/2} e^{−λ sin²φ/2} cosᵏφ dφ,    ∇ = (θ − c)/s √(2/π) I_d

The last pair stands for the usual ₁F₁(∓½; …; −λ/2), which overflows for large λ: it is Euler's integral for the second,
where the gamma functions cancel. Deviations must be equal in all coordinates; the gradient in each of them is still
known, by the heat equation ∂J/∂s_i = s ∂²J/∂θ_i².
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from rllab._special.noncentral import Law, noncentral_density, noncentral_law
from rllab.checks import check_positive
from rllab.problems.base import NoClosedForm, NormalMoments, Problem, vector


@dataclass(frozen=True)
class Radial(Problem):
    """Base of the costs of |x − centre|; subclasses say which, and give its mean by the offset θ − c and s."""

    centre: float | tuple[float, ...] = field(default=0.0, kw_only=True)
    dimension: int = field(default=2, kw_only=True)  # type: ignore[assignment]

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self._centre

    @abstractmethod
    def _of_distance(self, r: Tensor) -> Tensor:
        """f at distances (n,)."""

    @abstractmethod
    def _moments(self, offset: np.ndarray, s: np.ndarray) -> NormalMoments:
        """E f for x − c ~ N(offset, s² I), offset (B, d), s (B,)."""

    @property
    def _centre(self) -> np.ndarray:
        return vector(f"{self._name}: centre", self.centre, self.dimension)

    def _offset(self, x: Tensor) -> Tensor:
        return x - torch.from_numpy(self._centre).to(x)

    def _value(self, x: Tensor) -> Tensor:
        return self._of_distance(self._offset(x).norm(dim=-1))

    def _gradient(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)

    def _gaussian(self, who: str, mean: np.ndarray, scale: np.ndarray) -> NormalMoments:
        s = scale[:, 0]
        if (scale != s[:, None]).any():
            raise NoClosedForm(f"{who}: scale must be equal in all coordinates for a cost of the distance")
        return self._moments(mean - self._centre, s)


@dataclass(frozen=True)
class BallHole(Radial):
    """f(x) = −depth if |x − centre| <= radius, else 0.

    Args:
        depth: > 0, how much lower the cost is inside.
        radius: > 0, of the hole.
        centre, dimension: of the hole, one number for all coordinates or one each; number of coordinates.

    Raises:
        TypeError, ValueError: `depth` or `radius` is no positive number.

    Example:
        import torch
        from rllab import problems

        hole = problems.BallHole(dimension=3)
        hole.gradient(torch.ones(1, 3)), hole.smoothed_gradient(torch.ones(3), sigma=0.5)  # 0, and not 0
    """

    depth: float = 1.0
    radius: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("BallHole", depth=self.depth, radius=self.radius)

    def _of_distance(self, r: Tensor) -> Tensor:
        return -self.depth * (r <= self.radius).to(r)

    def _moments(self, offset: np.ndarray, s: np.ndarray) -> NormalMoments:
        law, mean, scale = _inside(offset, s, self.radius)
        return NormalMoments(-self.depth * law.lower, -self.depth * mean, -self.depth * scale)


@dataclass(frozen=True)
class RadialStaircase(Radial):
    """f(x) = Σ_m height·1[|x − centre| > radii_m]: a bowl of steps.

    Args:
        radii: > 0, where the steps are.
        height: > 0, of each step.
        centre, dimension: as for `BallHole`.

    Raises:
        ValueError: `radii` are not one or more positive numbers.
        TypeError, ValueError: `height` is no positive number.

    Example:
        import torch
        from rllab import problems

        problems.RadialStaircase().value(torch.tensor([[0.0, 0.0], [1.2, 0.0]]))  # 0 and 2
    """

    radii: tuple[float, ...] = (0.5, 1.0, 1.5, 2.0)
    height: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.radii or not all(np.isfinite(r) and r > 0 for r in self.radii):
            raise ValueError(f"RadialStaircase: radii must be one or more positive numbers, got {self.radii!r}")
        check_positive("RadialStaircase", height=self.height)

    def _of_distance(self, r: Tensor) -> Tensor:
        return self.height * (r[:, None] > torch.tensor(self.radii, dtype=r.dtype, device=r.device)).to(r).sum(-1)

    def _moments(self, offset: np.ndarray, s: np.ndarray) -> NormalMoments:
        stairs = [_inside(offset, s, radius) for radius in self.radii]
        return NormalMoments(
            self.height * np.sum([law.upper for law, _, _ in stairs], axis=0),
            -self.height * np.sum([mean for _, mean, _ in stairs], axis=0),
            -self.height * np.sum([scale for _, _, scale in stairs], axis=0),
        )


@dataclass(frozen=True)
class Norm(Radial):
    """f(x) = |x − centre|, with a kink at the centre; its gradient there is taken as 0.

    Args:
        centre, dimension: as for `BallHole`.

    Example:
        import torch
        from rllab import problems

        problems.Norm(dimension=3).smoothed_gradient(torch.ones(3), sigma=0.1)
    """

    def _of_distance(self, r: Tensor) -> Tensor:
        return r

    def _gradient(self, x: Tensor) -> Tensor:
        y = self._offset(x)
        return torch.nn.functional.normalize(y, dim=-1, eps=1e-300)

    def _moments(self, offset: np.ndarray, s: np.ndarray) -> NormalMoments:
        z, d = offset / s[:, None], self.dimension
        lam = (z * z).sum(-1)
        # cut where e^{−λ sin²φ/2} cosᵈφ is below 1e-17: sin φ > 2φ/π
        end = np.minimum(np.pi / 2, 14 / np.sqrt(lam + d))
        phi = 0.5 * end[:, None] * (1 + _NODES)
        sin2, cos = np.sin(phi) ** 2, np.cos(phi)
        mass = np.exp(-0.5 * lam[:, None] * sin2) * cos**d * _WEIGHTS * (0.5 * end * np.sqrt(2 / np.pi))[:, None]
        i_d = mass.sum(-1)
        value = s * (mass * (d + lam[:, None] * cos**2)).sum(-1)
        # ∂I_d/∂λ = −½ ∫ sin²φ …:  s ∂²J/∂θ_i² = √(2/π) (I_d − z_i² ∫ sin²φ …)
        return NormalMoments(value, z * i_d[:, None], i_d[:, None] - z * z * (mass * sin2).sum(-1, keepdims=True))


_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(96)


def _inside(offset: np.ndarray, s: np.ndarray, radius: float) -> tuple[Law, np.ndarray, np.ndarray]:
    """Law of |x − c|² at R², and the gradients of P(|x − c| <= R) in θ and in each deviation."""
    z, d = offset / s[:, None], offset.shape[1]
    y, lam = (radius / s) ** 2, (z * z).sum(-1)
    g, rise = noncentral_density(y, lam, d + 2)  # g_{d+2} and 2 ∂g_{d+2}/∂λ
    # ∂/∂θ_i = −g_{d+2} ∂λ/∂θ_i,  ∂λ/∂θ_i = 2 z_i/s;   s ∂²/∂θ_i² = −(2/s)(g_{d+2} + 2 z_i² ∂g_{d+2}/∂λ)
    mean = -2 * z * (g / s)[:, None]
    scale = -2 * (g[:, None] + z * z * rise[:, None]) / s[:, None]
    return noncentral_law(y, lam, d), mean, scale
