"""Quadrature: the expectation under a Gaussian as a weighted sum over nodes, exact for all practical purposes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from rllab._special.nodes import gauss_hermite, gauss_legendre
from rllab.checks import check_parameters, check_positive, take_counts
from rllab.distributions import Gaussian
from rllab.estimate import Estimate, Target
from rllab.estimators.base import BLOCK, Estimator
from rllab.estimators.exact.expectation import Expectation
from rllab.estimators.query import Answered, Plan, PointBlock, Query

_EDGES = np.linspace(-9, 9, 10)  # panels of 2 s; beyond 9 s lies 2·10⁻¹⁹ of the probability


@dataclass(frozen=True)
class Quadrature(Estimator):
    """Compute the gradient of an expected, or of a smoothed cost.

        ĝ = Σ_k w_k f(μ + s u_k) ∇_φ log p_φ(μ + s u_k)                            n^d evaluations, n nodes a coordinate

    The truth for estimators that smooth, or that draw from a Gaussian, in few dimensions. Without jumps the n nodes are
    those of Gauss and Hermite, exact if f is a polynomial of degree 2n − 2 (mean) or 2n − 3 (scale) in each coordinate.
    A jump or kink spoils that, so if some are named, the axis within 9 s of μ is cut there, and every 2 s, and each
    panel gets the n nodes of Gauss and Legendre.

    Args:
        sigma: None to be asked at a `Gaussian`, for ∇E f by its parameters; or a σ > 0 to be asked at parameters,
            for the gradient of the Gaussian-smoothed cost ∇f_σ.
        nodes: n, for each coordinate, or for each panel of it.
        jumps: where f jumps or kinks, in units of x, for every coordinate.

    Returns:
        An Estimate without noise, exact but for the rule; its `value` is E f. Needs n^d evaluations, or (n (9 + number
        of jumps))^d; what is left over is not spent. All points share one seed, if the cost is seeded.

    Raises:
        TypeError, ValueError: `sigma` is no positive number, or `nodes` no integer >= 2.
        ValueError: `jumps` is not a tuple of finite numbers.

    Source:
        Golub & Welsch (1969), "Calculation of Gauss quadrature rules".

    Example:
        import torch
        from rllab import Cost, Gaussian, estimators as est

        cost = Cost(lambda x: x.square().sum(-1))
        e = est.Quadrature(nodes=32)(cost, Gaussian(torch.ones(2), 0.2), evaluations=1024, key=0)
        e.gradient  # by mean 2, 2, by scale 0.4, 0.4
    """

    source: ClassVar[str] = "Golub & Welsch (1969), Calculation of Gauss quadrature rules"
    unbiased: ClassVar[bool] = False  # wrong by what the rule leaves out, but for polynomials
    sigma: float | None = None
    nodes: int = 32
    jumps: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.sigma is not None:
            check_positive("Quadrature", sigma=self.sigma)
        take_counts(self, nodes=2)
        if not isinstance(self.jumps, tuple) or not all(math.isfinite(x) for x in self.jumps):
            raise ValueError(f"Quadrature: jumps must be a tuple of finite numbers, got {self.jumps!r}")

    @property
    def target(self) -> Target:
        return Target.expectation() if self.sigma is None else Target.smoothed("gaussian", self.sigma)

    @property
    def _nodes_per_coordinate(self) -> int:
        return self.nodes * (len(_EDGES) - 1 + len(self.jumps) if self.jumps else 1)

    def _plan(self, at: Any) -> Plan:
        shape = self._distribution(at).shape
        points = self._nodes_per_coordinate ** shape[-1]
        return Plan(per_unit=points, block=max(1, BLOCK // math.prod(shape)), most_units=1, pieces=points)

    def _distribution(self, at: Any) -> Gaussian:
        if self.sigma is not None:
            return Gaussian(check_parameters("Quadrature", at), self.sigma)
        if not isinstance(at, Gaussian):
            raise TypeError(f"Quadrature: at must be a Gaussian if sigma is None, got {type(at).__name__}")
        return at

    def _block(self, query: Query, i: int) -> PointBlock:
        at = self._distribution(query.at)
        a, b = self._span(query, i)
        u, w = self._rule(at)
        d, n = u.shape[-2:]
        # row k of the grid has, for each coordinate, the digits of k to the base n
        index = torch.arange(a, b, device=u.device)
        digits = torch.stack([index // n**j % n for j in reversed(range(d))], -1)
        u, w = (t[..., torch.arange(d, device=u.device), digits].movedim(-2, 0) for t in (u, w))  # (b − a, *shape)
        return PointBlock(slice(a, b), torch.addcmul(at.mean, u, at.parameters["scale"]), (u, w.prod(-1)))

    def _rule(self, at: Gaussian) -> tuple[Tensor, Tensor]:
        """Return nodes and weights under N(0, 1) for each coordinate, (*shape, n)."""
        mean, scale = at.parameters["mean"], at.parameters["scale"]
        if not self.jumps:
            x, v = (torch.tensor(t).to(mean) for t in gauss_hermite(self.nodes))
            return x.expand(*at.shape, -1), (v / v.sum()).expand(*at.shape, -1)
        jumps = (mean.new_tensor(self.jumps) - mean.unsqueeze(-1)) / scale.unsqueeze(-1)
        fixed = torch.as_tensor(_EDGES).to(mean)
        edges = torch.cat((fixed.expand(*at.shape, -1), jumps.clamp(fixed[0], fixed[-1])), -1).sort(-1).values
        t, v = (torch.tensor(t).to(mean) for t in gauss_legendre(self.nodes))
        middle, half = (edges[..., 1:] + edges[..., :-1]) / 2, (edges[..., 1:] - edges[..., :-1]) / 2
        u = middle.unsqueeze(-1) + half.unsqueeze(-1) * t
        w = half.unsqueeze(-1) * v * torch.exp(-u * u / 2) / math.sqrt(2 * math.pi)
        return u.flatten(-2), w.flatten(-2)

    def _units(self, query: Query, block: PointBlock) -> np.ndarray:
        return np.zeros(block.rows.stop - block.rows.start, dtype=np.int64)

    def _fold(self, query: Query, answered: Answered, per_unit: bool, errors: bool) -> Estimate:
        at = self._distribution(query.at)
        expected, like = Expectation(at), None
        for block, like in answered:
            u, w = block.noise
            expected.add(w, like, block.points, u)
        assert like is not None  # a query has blocks
        sums, value = expected.close(like)
        g = sums if self.sigma is None else sums["mean"]
        one = {name: value[None] for name, value in sums.items()} if self.sigma is None else sums["mean"][None]
        return Estimate(g, value, query.evaluations, self.target, None, one if per_unit else None, query.state)
