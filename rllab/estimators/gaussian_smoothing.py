"""Gaussian smoothing: probe the cost in random Gaussian directions. Also known as evolution strategies.

    antithetic   ĝ = 1/(2σm) Σ_i (f(θ + σu_i) − f(θ − σu_i)) u_i        2m evaluations
    forward      ĝ =  1/(σm) Σ_i (f(θ + σu_i) − f(θ)) u_i               m + 1
    one-point    ĝ =  1/(σm) Σ_i  f(θ + σu_i) u_i                       m              u_i ~ N(0, I)

All three are unbiased for ∇f_σ(θ), f_σ(θ) = E f(θ + σu), which exists wherever f is integrable: f may have stairs,
holes and plateaus. On a linear f, with G = ‖∇f‖², the traces of their covariances are (d+1)G/m for the first two and
(d f(θ)²/σ² + (d+1)G)/m for the third.

Sources: Nesterov & Spokoiny (2017), "Random gradient-free minimization of convex functions", eqs. 21, 26, 30; Salimans
et al. (2017), "Evolution strategies as a scalable alternative to reinforcement learning", algorithm 1 with mirrored
sampling (their rank shaping and weight decay are left out: they make it a direction, not a gradient).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from rllab.estimate import Block, Estimate, Query, Target
from rllab.estimators.base import BLOCK, Estimator, Plan, check_parameters
from rllab.estimators.moments import Moments
from rllab.keys import standard_normal

_FORMS = ("antithetic", "forward", "one-point")


@dataclass(frozen=True)
class GaussianSmoothing(Estimator):
    """Estimate the gradient of the Gaussian-smoothed cost from values alone.

    Args:
        sigma: smoothing radius σ > 0, in units of the parameters.
        form: "antithetic" (pairs, immune to a constant added to f), "forward" (twice as many directions for the same
            evaluations: half the variance on a linear f, more as σ or curvature grows) or "one-point".

    Returns, when called, an Estimate of ∇f_σ, unbiased. Its `value` is the mean over the probes, an estimate of
    f_σ(θ); "forward" leaves f(θ) out of it. With a seeded (noisy) cost a pair shares its seed; in the forward form
    all points share one, so its standard error is conditional on that seed.
    """

    source: ClassVar[str] = (
        "Nesterov & Spokoiny (2017), Random gradient-free minimization of convex functions; "
        "Salimans et al. (2017), Evolution strategies as a scalable alternative to reinforcement learning"
    )
    sigma: float = 0.1
    form: Literal["antithetic", "forward", "one-point"] = "antithetic"

    def __post_init__(self) -> None:
        if not (self.sigma > 0 and math.isfinite(self.sigma)):
            raise ValueError(f"GaussianSmoothing: sigma must be positive and finite, got {self.sigma}")
        if self.form not in _FORMS:
            raise ValueError(f"GaussianSmoothing: form must be one of {_FORMS}, got {self.form!r}")

    @property
    def target(self) -> Target:
        return Target.smoothed("gaussian", self.sigma)

    @property
    def unbiased(self) -> bool:
        return True

    def _plan(self, at: Any) -> Plan:
        block = max(1, BLOCK // check_parameters("GaussianSmoothing", at).numel())
        if self.form == "antithetic":
            return Plan(per_unit=2, block=block)
        return Plan(per_unit=1, block=block, shared=1 if self.form == "forward" else 0)

    def _block(self, query: Query, i: int) -> Block:
        at, form = query.at, self.form
        size = max(1, BLOCK // at.numel())
        a, b = i * size, min((i + 1) * size, query.units)
        n = b - a
        u = standard_normal((n, *at.shape), query.key.child("direction", i), at)
        if form == "antithetic":
            points = torch.empty((2 * n, *at.shape), dtype=at.dtype, device=at.device)
            torch.add(at, u, alpha=self.sigma, out=points[:n])
            torch.sub(at, u, alpha=self.sigma, out=points[n:])
            return Block(slice(2 * a, 2 * b), points, u)
        points = torch.add(at, u, alpha=self.sigma)
        if form == "one-point":
            return Block(slice(a, b), points, u)
        if i == 0:  # the first block also carries θ itself, as its first point
            return Block(slice(0, b + 1), torch.cat((at[None], points)), u)
        return Block(slice(a + 1, b + 1), points, u)

    def _units(self, query: Query, block: Block) -> np.ndarray:
        rows = np.arange(block.rows.start, block.rows.stop)
        if self.form == "antithetic":
            n = len(rows) // 2
            return block.rows.start // 2 + np.arange(2 * n) % n
        return np.zeros_like(rows) if self.form == "forward" else rows

    def _fold(self, query: Query, answered: Iterable[tuple[Block, Tensor]], rows: bool, errors: bool) -> Estimate:
        moments = Moments(errors=errors, rows=rows)
        total: Tensor | None = None
        centre: Tensor | None = None
        for block, f in answered:
            u = block.noise
            if self.form == "antithetic":
                n = u.shape[0]
                w = f[:n] - f[n:]
            elif self.form == "forward":
                if centre is None:
                    centre, f = f[0], f[1:]
                w = f - centre
            else:
                w = f
            total = f.sum(0) if total is None else total.add_(f.sum(0))
            moments.add(w, u)
            del block, u  # before the next block is drawn: its buffers are then still in cache
        m = query.units
        probes = 2 * m if self.form == "antithetic" else m
        g, se, contributions = moments.close(m, 1 / (self.sigma * (probes // m)))
        value = None if total is None else total.div_(probes)
        return Estimate(g, value, query.evaluations, self.target, se, contributions, query.state)
