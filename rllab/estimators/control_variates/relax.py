"""RELAX: score function with a learned control variate, for bits and choices and any black box of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from rllab.checks import check_not_negative, check_positive, take_counts
from rllab.estimators.control_variates.conditional import control, draw_both
from rllab.estimators.control_variates.surrogate_control import SurrogateControl
from rllab.estimators.query import Plan, PointBlock, Query
from rllab.estimators.relaxed.relaxation import Relaxable, check_relaxable, pull_back, relaxed
from rllab.estimators.score.baselines import beside
from rllab.estimators.score.samples import Contributions, units_per_block
from rllab.keys import Key


@dataclass(frozen=True)
class Relax(SurrogateControl):
    """Estimate the gradient of an expected cost of bits or choices, and learn what lowers the variance.

        c_φ(z) = N_φ(y),   y = σ(z/τ) or softmax(z/τ),   τ part of φ
        ĝ = (f(x) − c_φ(z̃)) s(x) + ∇c_φ(z) − (∂z̃/∂l)ᵀ ∇c_φ(z̃)                         1 evaluation a sample
        φ ← Adam on ∂‖ĝ‖²/∂φ

    z, x, z̃: see `conditional`. Unbiased for ∇_l E f(x), for any φ that does not depend on the sample. The cost is
    evaluated at samples only and need be neither smooth nor defined elsewhere.

    Args:
        hidden: width of the tanh layer of N.
        temperature: τ > 0, where it starts.
        lr: of Adam on φ; 0 leaves φ as it is.

    Returns:
        At a `Bernoulli` or a one-hot `Categorical`, an Estimate of ∇E f(x) by the logits, unbiased; its `value` is the
        mean cost. Its `state` is the `ControlVariateState` φ, each of a batch its own: give it back at the next call,
        or c starts at 0 again. A `BlackBox` does so at each position of a batch, whose size must stay.

    Raises:
        TypeError, ValueError: `hidden` is no integer >= 1, `temperature` no positive number, or `lr` negative.

    Source:
        Grathwohl, Choi, Wu, Roeder & Duvenaud (2018), "Backpropagation through the void: Optimizing control variates
        for black-box gradient estimation", eq. 8 and section 3.2. There c may be the relaxed cost plus a network; here
        it is the network alone, and starts at 0, as the score function.

    Example:
        import torch
        from rllab import Bernoulli, Cost, estimators as est

        cost = Cost(lambda x: x.sum(-1).square())
        e = est.Relax()(cost, Bernoulli(torch.zeros(3)), evaluations=100, key=0)
        e.gradient  # by logits, about 0.75, 0.75, 0.75
    """

    source: ClassVar[str] = (
        "Grathwohl, Choi, Wu, Roeder & Duvenaud (2018), Backpropagation through the void: Optimizing control variates "
        "for black-box gradient estimation"
    )
    hidden: int = 10
    temperature: float = math.exp(0.5)  # of the authors' toy
    lr: float = 0.01

    def __post_init__(self) -> None:
        take_counts(self, hidden=1)
        check_positive("Relax", temperature=self.temperature)
        check_not_negative("Relax", lr=self.lr)

    def _initial(self, at: Relaxable, key: Key) -> Tensor:
        weights = self._network(at).initial(self._batch_shape(at), key, at.logits)
        return torch.cat((weights, weights.new_full((*weights.shape[:-1], 1), math.log(self.temperature))), -1)

    def _size(self, at: Relaxable) -> int:
        return self._network(at).size + 1

    def control_variate(self, phi: Tensor, at: Relaxable, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return c (k, *batch) and ∇c (k, *shape of l) at z (k, *shape of l), differentiable by φ (*batch, P)."""
        t = beside(phi[..., -1].exp(), at.logits)
        c, slope = self._network(at).value_and_slope(phi[..., :-1], relaxed(at, z / t))
        # ∇c = 1/τ (∂y/∂(z/τ))ᵀ ∂N/∂y
        return c, pull_back(at, z / t, slope) / t

    def _plan(self, at: Any) -> Plan:
        return Plan(per_unit=1, block=units_per_block(check_relaxable("Relax", at), points=1))

    def _block(self, query: Query, i: int) -> PointBlock:
        a, b = self._span(query, i)
        return self.block_of(query, a, b, *draw_both(query, a, b, i))

    def block_of(self, query: Query, a: int, b: int, x: Tensor, z: Tensor, z_given: Tensor) -> PointBlock:
        """Make the block of units a..b of their samples and noise: drawn, or nodes to integrate over."""
        return PointBlock(slice(a, b), x, (z, z_given))

    def _contributions(self, phi: Tensor, at: Relaxable, block: PointBlock, f: Tensor) -> Contributions:
        z, z_given = block.noise
        _, h = self.control_variate(phi, at, z)
        c_given, h_given = self.control_variate(phi, at, z_given)
        s = at.scores(block.points, None)["logits"]
        return {"logits": beside(f, s) * s + control(at, block.points, z_given, c_given, h, h_given)}
