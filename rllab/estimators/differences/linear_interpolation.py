"""Linear interpolation: the linear function that fits differences along m >= d directions best; simplex gradient."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from rllab.checks import check_number, check_one_of, check_parameters
from rllab.estimate import Estimate, Target
from rllab.estimators.base import BLOCK, Estimator
from rllab.estimators.differences.steps import check_step, forward_step
from rllab.estimators.query import Answered, Plan, PointBlock, Query
from rllab.estimators.smoothing import probes
from rllab.estimators.smoothing.directions import orthonormal
from rllab.noise import standard_normal


@dataclass(frozen=True)
class LinearInterpolation(Estimator):
    """Estimate the gradient by least squares on differences along random directions.

        ĝ = argmin_g Σ_i (u_i·g − (f(θ + h∘u_i) − f(θ)))²   (with g in units of 1/h)           m + 1 evaluations

    Exact on linear costs whatever the directions, so long as they span the space: there is no variance from them, where
    smoothing has (d+1)‖∇f‖²/m. On other costs it is wrong by O(h) along any given directions; averaged over directions
    u and −u the even terms cancel, which leaves a bias of O(h²), none on quadratics. With d orthonormal directions and
    one h the trace of its covariance on a quadratic of Hessian A is (h²/4)((tr A)² + 2‖A‖_F²)/(d + 2).

    Args:
        step: h > 0, the length of an orthogonal direction, in every coordinate; None for one that suits each
            coordinate's scale, see `steps`.
        noise: τ, the standard deviation of the cost's noise, for the automatic step.
        directions: "orthogonal": uniformly rotated orthonormal sets of d, as many as it takes (the best conditioned);
            or "gaussian": independent N(0, I), which with m = d are often close to dependent.
        max_condition: the largest condition number allowed for the directions; see `condition`.

    Returns:
        An Estimate of ∇f, biased by O(h²). Its `value` is f(θ); the standard error is that of regression, from the m −
        d residuals: noise and curvature together. All points share one seed, if the cost is seeded. Memory is O(m d),
        the directions.

    Raises:
        ValueError: if the directions are worse conditioned than `max_condition`, or than the dtype can tell from
            dependent ones.

    Source:
        Berahas, Cao, Choromanski & Scheinberg (2022), "A theoretical and empirical comparison of gradient
        approximations in derivative-free optimization", section 2.

    Example:
        import torch
        from rllab import Cost, estimators as est

        cost = Cost(lambda x: x.square().sum(-1))
        e = est.LinearInterpolation()(cost, torch.ones(3), evaluations=6, key=0)
        e.gradient  # 2, 2, 2, but for rounding
    """

    source: ClassVar[str] = (
        "Berahas, Cao, Choromanski & Scheinberg (2022), A theoretical and empirical comparison of gradient "
        "approximations in derivative-free optimization"
    )
    order: ClassVar[int | None] = 2
    target: ClassVar[Target] = Target.gradient()
    unbiased: ClassVar[bool] = False
    elementwise: ClassVar[bool] = False  # a matrix is decomposed
    step: float | None = None
    noise: float = 0.0
    directions: Literal["orthogonal", "gaussian"] = "orthogonal"
    max_condition: float = 1e8

    def __post_init__(self) -> None:
        check_step("LinearInterpolation", self.step, self.noise)
        check_number("LinearInterpolation", max_condition=self.max_condition)
        check_one_of("LinearInterpolation", ("orthogonal", "gaussian"), directions=self.directions)
        if not self.max_condition >= 1:
            raise ValueError(f"LinearInterpolation: max_condition must be >= 1, got {self.max_condition}")

    def condition(self, query: Query) -> Tensor:
        """Return the condition number of a query's directions, () or (B,): 1 is best, errors grow in proportion."""
        s = torch.linalg.svdvals(_matrix([block.noise for block in query], self._step(query)))
        return s[..., 0] / s[..., -1]

    def _plan(self, at: Any) -> Plan:
        at = check_parameters("LinearInterpolation", at, half=False)  # which has no singular values in torch
        d, block = at.shape[-1], max(1, BLOCK // at.numel())
        if self.directions == "orthogonal":
            block = -(-block // d) * d  # whole orthonormal sets
        return Plan(per_unit=1, shared=1, least_units=d, block=block)

    def _block(self, query: Query, i: int) -> PointBlock:
        at = query.at
        a, b = self._span(query, i)
        draw = orthonormal if self.directions == "orthogonal" else standard_normal
        u = draw((b - a, *at.shape), query.key.child("direction", i), at)
        return probes.block_along("forward", at, 1.0, u.mul_(self._step(query)), a)

    def _step(self, query: Query) -> Tensor:
        return forward_step(query.at, self.step, self.noise)

    def _units(self, query: Query, block: PointBlock) -> np.ndarray:
        return probes.units("forward", block)

    def _fold(self, query: Query, answered: Answered, per_unit: bool, errors: bool) -> Estimate:
        at, m, h = query.at, query.units, self._step(query)
        if self.step is not None:
            # an orthonormal set moves every coordinate by h/√d or more
            flat = at.reshape(-1, at.shape[-1])
            furthest = flat.new_full((len(flat),), at.shape[-1] ** -0.5)
            probes.check_not_lost("LinearInterpolation", "step", self.step, flat, furthest)
        us, fs = zip(*((block.noise, f) for block, f in answered), strict=True)
        f, d = torch.cat(fs), at.shape[-1]
        # (m, d) and (m,), or (B, m, d) and (B, m)
        z, delta = _matrix(us, h), (f[1:] - f[0]).movedim(0, -1).to(at.dtype)
        # Z = U S Vᵀ, so that argmin ‖Zg − δ‖ = V S⁻¹ Uᵀ δ
        left, s, right = torch.linalg.svd(z, full_matrices=False)
        self._check_condition(float((s[..., 0] / s[..., -1]).max()), z)
        inverse = right.mT / s.unsqueeze(-2) @ left.mT  # (d, m)
        g = (inverse @ delta.unsqueeze(-1)).squeeze(-1)
        se = None
        if errors and m > d:
            # standard errors of least squares: σ̂² (ZᵀZ)⁻¹ with σ̂² = ‖δ − Zg‖²/(m − d)
            residual = delta - (z @ g.unsqueeze(-1)).squeeze(-1)
            variance = residual.square().sum(-1, keepdim=True) / (m - d)
            se = (variance * inverse.square().sum(-1)).sqrt() / h
        contributions = (m * inverse * delta.unsqueeze(-2) / h.unsqueeze(-1)).movedim(-1, 0) if per_unit else None
        return Estimate(g / h, f[0], query.evaluations, self.target, se, contributions, query.state)

    def _check_condition(self, condition: float, z: Tensor) -> None:
        limit = min(self.max_condition, 1 / (torch.finfo(z.dtype).eps * max(z.shape[-2:])))
        if not condition <= limit:  # NaN is no better
            raise ValueError(
                f"LinearInterpolation: the condition number of the {z.shape[-2]} directions is {condition:.3g}, and "
                f"must be <= {limit:.3g}; ask for more evaluations, or for orthogonal directions"
            )


def _matrix(steps: Iterable[Tensor], h: Tensor) -> Tensor:
    """Stack blocks of h∘u, (n, d) or (n, B, d), to the directions u, (m, d) or (B, m, d)."""
    return torch.cat(tuple(steps)).div_(h).movedim(0, -2)
