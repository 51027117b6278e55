"""Residual: the critic's gradient and a two-point estimate of what the critic misses: unbiased, however bad it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from rllab.critics.borrowed import block_of, plan_of
from rllab.critics.critic import Critic
from rllab.critics.state import CriticState
from rllab.estimate import Estimate, Target
from rllab.estimators import GaussianSmoothing
from rllab.estimators.base import Estimator
from rllab.estimators.query import Answered, Plan, PointBlock, Query


@dataclass(frozen=True)
class Residual(Estimator):
    """Correct a critic by antithetic Gaussian smoothing of what it misses.

        ĝ = 1/m Σ_i [ (∇ĉ(x_i⁺) + ∇ĉ(x_i⁻))/2  +  ((f − ĉ)(x_i⁺) − (f − ĉ)(x_i⁻))/(2σ) u_i ]         x_i± = θ ± σu_i

    An `Estimate` of the smoothed gradient, unbiased given the critic of the calls before; the first call has no critic
    yet and is plain smoothing. E ∇ĉ(θ + σu) = E ĉ(θ + σu) u/σ (Stein), so the critic cancels in the mean, and ĝ is
    unbiased for ∇f_σ. Taken at the centre instead, ∇ĉ(θ) would leave ∇ĉ − ∇ĉ_σ behind. The two-point part has the
    variance of the critic's error: (d+1)/m ‖∇f − ∇ĉ‖² where it is nearly linear. The critic is fitted after the
    estimate: fitted before, to the very values that it is subtracted from, it would depend on them, and the estimate be
    biased.

    Args:
        critic: its `sigma` is not used: it learns from the points of the smoothing.
        smoothing: antithetic.

    Raises:
        TypeError: `critic` is none.
        ValueError: `smoothing` is another estimator, or of another form.

    Source: Tucker et al. (2017), "REBAR: low-variance, unbiased gradient estimates for discrete latent variable
    models", and Grathwohl et al. (2018), "Backpropagation through the void" (control variates that are learned), here
    with differences for scores; Mohamed et al. (2020), "Monte Carlo gradient estimation in machine learning",
    section 7.

    Example:
        import torch
        from rllab import Cost, estimators as est
        from rllab.critics import Critic, Residual

        residual = Residual(Critic(gradient_steps=10), est.GaussianSmoothing(0.3))
        estimate = residual(Cost(lambda x: x.square().sum(-1)), torch.ones(4), evaluations=32, key=0)
    """

    source: ClassVar[str] = "Grathwohl et al. (2018), Backpropagation through the void, with differences for scores"
    unbiased: ClassVar[bool] = True
    stateful: ClassVar[bool] = True
    shares_state: ClassVar[bool] = True
    critic: Critic = field(default_factory=Critic)
    smoothing: GaussianSmoothing = field(default_factory=GaussianSmoothing)

    def __post_init__(self) -> None:
        if not isinstance(self.critic, Critic):
            raise TypeError(f"Residual: critic must be a Critic, got {self.critic!r}")
        if not isinstance(self.smoothing, GaussianSmoothing) or self.smoothing.form != "antithetic":
            raise ValueError(f"Residual: smoothing must be antithetic GaussianSmoothing, got {self.smoothing!r}")

    @property
    def target(self) -> Target:
        return self.smoothing.target

    def with_context(self, state: CriticState | None, context: Tensor) -> CriticState:
        """Return the state with the context (B, k) of the batch to come: what else its costs depend on."""
        return self.critic.with_context(state, context)

    def _plan(self, at: Any) -> Plan:
        return plan_of(self.smoothing, at)

    def _block(self, query: Query, i: int) -> PointBlock:
        return block_of(self.smoothing, query, i)

    def _units(self, query: Query, block: PointBlock) -> np.ndarray:
        first, last = block.rows.start // 2, block.rows.stop // 2  # a block holds all x⁺, then all x⁻
        return np.tile(np.arange(first, last), 2)

    def _fold(self, query: Query, answered: Answered, per_unit: bool, errors: bool) -> Estimate:
        state, m = query.state or self.critic.init(), query.units
        seen: list[tuple[PointBlock, Tensor]] = []
        parts: list[Tensor] = []
        for block, f in answered:
            parts.append(self._contributions(state, block, f))
            seen.append((block, f))
        r = torch.cat(parts)
        g = r.mean(0)
        se = (r.var(0) / m).sqrt() if errors and m > 1 else None
        after, value = self.critic.update(state, seen, query.key)
        # as wide as the costs up to here
        g, se, r = g.to(query.at), None if se is None else se.to(query.at), r.to(query.at) if per_unit else None
        return Estimate(g, value, query.evaluations, self.target, se, r, after)

    def _contributions(self, state: CriticState, block: PointBlock, f: Tensor) -> Tensor:
        u, x = block.noise, block.points.unflatten(0, (2, -1))
        f = f.unflatten(0, (2, -1))
        if state.weights is None:
            missed, followed = f, torch.zeros_like(u)
        else:
            missed, followed = f - state.value(x), state.gradient(x).mean(0)
        return followed + ((missed[0] - missed[1]) / (2 * self.smoothing.sigma)).unsqueeze(-1) * u
