"""REBAR: score function with the relaxed cost as control variate, for bits and choices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from rllab.checks import check_finite, check_not_negative, check_positive
from rllab.cost import Request
from rllab.estimate import Estimate, Target
from rllab.estimators.base import Estimator
from rllab.estimators.control_variates.conditional import control, draw_both
from rllab.estimators.control_variates.state import ControlVariateState, check_state
from rllab.estimators.query import Answered, Plan, PointBlock, Query
from rllab.estimators.relaxed.relaxation import Relaxable, check_relaxable, pull_back, relaxed
from rllab.estimators.score.baselines import beside
from rllab.estimators.score.samples import Contributions, fold_contributions, units_per_block

_APART = 0.1  # h: e^±h are the factors between λ and the two temperatures from which it is learned


@dataclass(frozen=True)
class Rebar(Estimator):
    """Estimate the gradient of an expected cost of bits or choices with the help of the cost between them.

        c(z) = f(y),   y = σ(z/λ) or softmax(z/λ)
        ĝ = f(x) s(x) + η [ −c(z̃) s(x) + ∇c(z) − (∂z̃/∂l)ᵀ ∇c(z̃) ]                  3 gradient evaluations a sample

    z, x, z̃: see `conditional`. Unbiased for ∇_l E f(x), for any η and λ, which are numbers or are learned: ∂‖ĝ‖²/∂η =
    2ĝ·B, B the bracket, which costs nothing. ∂B/∂λ would need second derivatives of f; to learn λ, c is the mean of the
    relaxed costs at λe^±h instead, a control variate as good as any, and B₊ − B₋ has the slope: 5 evaluations.

    For f = (b − 0.499)² at p = ½ the variance is 0.0223 at λ = ½ and 0.0170 at λ = 1.65, without any control variate
    0.0156: not every cost is worth relaxing.

    Args:
        temperature: λ > 0 of the relaxation, or where it starts.
        eta: η, the weight of the control variate, or where it starts; 0 is the score function.
        learn_temperature, learn_eta: whether these follow the slope of the squared estimate.
        lr: of their Adam, which moves η and log λ.

    Returns:
        At a `Bernoulli` or a one-hot `Categorical`, an Estimate of ∇E f(x) by the logits, unbiased; its `value` is the
        mean cost of the samples. The points of a sample share its seed and are all charged as gradients, 3, or 5 to
        learn the temperature, that at x among them although only its value is used; where the cost's gradient is given
        as a function of its own, the value beside each is charged too, so half as many samples are drawn. The state,
        if anything is learned, is a `ControlVariateState` of η and log λ, each of a batch its own.

    Raises:
        TypeError, ValueError: `temperature` is no positive number, `eta` is not finite, or `lr` is negative.

    Source:
        Tucker, Mnih, Maddison, Lawson & Sohl-Dickstein (2017), "REBAR: Low-variance, unbiased gradient estimates for
        discrete latent variable models", eqs. 5 to 8. There the noise of z and z̃ may be coupled; here it is
        independent.

    Example:
        import torch
        from rllab import Bernoulli, Cost, estimators as est

        cost = Cost(lambda x: x.sum(-1).square(), relaxed=True)
        e = est.Rebar()(cost, Bernoulli(torch.zeros(3)), evaluations=100, key=0)
        e.gradient  # by logits, about 0.75, 0.75, 0.75
    """

    source: ClassVar[str] = (
        "Tucker, Mnih, Maddison, Lawson & Sohl-Dickstein (2017), REBAR: Low-variance, unbiased gradient estimates for "
        "discrete latent variable models"
    )
    kind: ClassVar[Request] = "value_and_gradient"
    needs: ClassVar[frozenset[str]] = frozenset({"value", "gradient", "relaxed"})
    target: ClassVar[Target] = Target.expectation()
    unbiased: ClassVar[bool] = True
    stateful: ClassVar[bool] = True
    temperature: float = 0.5
    eta: float = 1.0
    learn_temperature: bool = False
    learn_eta: bool = False
    lr: float = 0.01

    def __post_init__(self) -> None:
        check_positive("Rebar", temperature=self.temperature)
        check_finite("Rebar", eta=self.eta)
        check_not_negative("Rebar", lr=self.lr)

    def init_state(self, at: Relaxable) -> ControlVariateState:
        """Return the state that a first estimate at `at` starts from: η and log λ of the settings."""
        start = at.logits.new_tensor([self.eta, self.temperature]).expand(*self._batch_shape(at), 2).clone()
        start[..., 1].log_()
        return ControlVariateState(start)

    def _state(self, query: Query) -> ControlVariateState:
        if query.state is None:
            return self.init_state(query.at)
        return check_state("Rebar", query.state, (*self._batch_shape(query.at), 2))

    def _plan(self, at: Any) -> Plan:
        points = 5 if self.learn_temperature else 3
        return Plan(per_unit=points, block=units_per_block(check_relaxable("Rebar", at), points))

    def _block(self, query: Query, i: int) -> PointBlock:
        a, b = self._span(query, i)
        return self.block_of(query, a, b, *draw_both(query, a, b, i))

    def block_of(self, query: Query, a: int, b: int, x: Tensor, z: Tensor, z_given: Tensor) -> PointBlock:
        """Make the block of units a..b of their samples and noise: drawn, or nodes to integrate over."""
        between = [relaxed(query.at, q / t) for t in self._temperatures(query) for q in (z, z_given)]
        n = query.plan.per_unit
        return PointBlock(slice(n * a, n * b), torch.cat((x, *between)), (z, z_given))

    def _units(self, query: Query, block: PointBlock) -> np.ndarray:
        n = query.plan.per_unit
        return np.tile(np.arange(block.rows.start // n, block.rows.stop // n), n)

    def _temperatures(self, query: Query) -> list[Tensor]:
        """Return λ, or λe^±h, with dimensions of one for those of a problem's logits."""
        log_t = self._state(query).values[..., 1].double()
        log_t = beside(log_t, query.at.logits)
        return [(log_t + h).exp() for h in ((_APART, -_APART) if self.learn_temperature else (0.0,))]

    def _fold(self, query: Query, answered: Answered, per_unit: bool, errors: bool) -> Estimate:
        at, state, temperatures = query.at, self._state(query), self._temperatures(query)
        eta = beside(state.values[..., 0], at.logits)
        slopes = torch.zeros_like(state.values)

        def contributions() -> Iterator[tuple[Contributions, Tensor]]:
            for block, (f, g) in answered:
                z, z_given = block.noise
                x, f, g = block.points[: len(z)], f.unflatten(0, (-1, len(z))), g.unflatten(0, (-1, len(z)))
                controls = []
                for j, t in enumerate(temperatures):
                    # ∇c(z) = 1/λ (∂y/∂(z/λ))ᵀ ∇f(y)
                    h, h_given = (pull_back(at, q / t, g[1 + 2 * j + i]) / t.to(g) for i, q in enumerate((z, z_given)))
                    controls.append(control(at, x, z_given, f[2 + 2 * j], h, h_given))
                whole = sum(controls[1:], start=controls[0]) / len(controls)
                s = at.scores(x, None)["logits"]
                r = beside(f[0], s) * s + eta * whole
                if self.learn_eta:
                    slopes[..., 0] += _summed(2 * r * whole, state.values)
                if self.learn_temperature:
                    # ∂B/∂log λ ≈ (B₊ − B₋)/2h
                    slope = eta * (controls[0] - controls[1]) / (2 * _APART)
                    slopes[..., 1] += _summed(2 * r * slope, state.values)
                yield {"logits": r}, f[0]

        e = fold_contributions(query, contributions(), per_unit, errors)
        if not (self.learn_eta or self.learn_temperature):
            return e
        return replace(e, state=state.update(slopes / query.units, self.lr))


def _summed(t: Tensor, values: Tensor) -> Tensor:
    """Return the sum of t (k, *batch, …) over all but the batch of `values` (*batch, 2)."""
    return t.reshape(len(t), *values.shape[:-1], -1).sum((0, -1))
