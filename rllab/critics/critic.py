"""Critic: a second cost Ĉ, trainable and differentiable, fitted to evaluations of the first and followed instead.

    ĝ = ∇ĉ(θ)            w ← Adam on  mean (ĉ(x) − C(x))²  +  λ mean ((ĉ(x⁺) − ĉ(x⁻)) − (C(x⁺) − C(x⁻)))²

Its error is all bias: ‖∇ĉ − ∇C‖², which no number of further queries averages out, only better fits do. Costs that fit
well may still have wrong slopes; the second term matches directional differences, which are known at pairs
x± = θ ± su for nothing.

Sources: LeCun (2020), NYU Deep Learning, week 2 (the critic); Jaderberg et al. (2017), "Decoupled neural interfaces
using synthetic gradients"; D'Oro & Jaśkowski (2020), "How to learn a useful critic? Model-based
action-gradient-estimator policy optimization" (value error does not bound the error of the slope).
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from rllab.backprop import Gradients
from rllab.checks import check_parameters, check_positive
from rllab.critics.fitted import Fitted
from rllab.estimate import Estimate, Target
from rllab.estimators.base import BLOCK, Estimator
from rllab.estimators.query import Block, Plan, Query
from rllab.keys import Key
from rllab.noise import standard_normal


@dataclass(frozen=True)
class Critic(Estimator):
    """Learn the cost from evaluations around the parameters, and take the gradient of what was learned.

    Args:
        hidden: widths of the tanh layers of ĉ.
        spread: standard deviation s of the points that are evaluated, in pairs θ ± su, in units of the parameters.
        capacity: how many evaluations the replay keeps. A small one forgets what was true far away.
        steps: of Adam in each fit.
        batch: pairs of the replay in each of these.
        lr: of Adam.
        every: fit at every so-manieth call; points are gathered in all.
        slopes: weight λ of the directional differences.
        ensemble: networks, from different starts, whose mean is ĉ.

    Returns, when called, an Estimate of target SURROGATE, with the `Fitted` critic as its state: give it back at the
    next call, or the critic begins anew; `recall` uses it as it is. Its `value` is the mean cost around the parameters.
    There is no standard error: a critic cannot know its bias. Of B problems all share what is learned.
    """

    source: ClassVar[str] = "LeCun (2020), NYU Deep Learning, week 2; Jaderberg et al. (2017), Synthetic gradients"
    hidden: tuple[int, ...] = (64, 64)
    spread: float = 0.1
    capacity: int = 10_000
    steps: int = 50
    batch: int = 128
    lr: float = 3e-3
    every: int = 1
    slopes: float = 0.0
    ensemble: int = 1

    def __post_init__(self) -> None:
        check_positive("Critic", spread=self.spread, lr=self.lr)
        for name in ("capacity", "steps", "batch", "every", "ensemble"):
            value = getattr(self, name)
            if value != int(value) or value < 1:
                raise ValueError(f"Critic: {name} must be an integer >= 1, got {value}")
        object.__setattr__(self, "hidden", tuple(self.hidden))
        if any(width != int(width) or width < 1 for width in self.hidden):
            raise ValueError(f"Critic: hidden must be widths >= 1, got {self.hidden}")
        if not 0 <= self.slopes < float("inf"):
            raise ValueError(f"Critic: slopes must be >= 0 and finite, got {self.slopes}")

    @property
    def target(self) -> Target:
        return Target.surrogate("a critic fitted to the cost")

    @property
    def unbiased(self) -> bool:
        return False

    @property
    def stateful(self) -> bool:
        return True

    def given(self, state: Fitted | None, context: Tensor) -> Fitted:
        """Return the state with the context (B, k) of the problems to come: what else their costs depend on."""
        return replace(self.begun(state), context=context)

    def begun(self, state: Fitted | None) -> Fitted:
        """Return the state, an empty one at first."""
        return Fitted(self.hidden) if state is None else state

    def recall(self, at: Tensor, state: Fitted) -> Estimate:
        """Return the gradient of what was learned, at no evaluation and without learning more.

        Raises:
            ValueError: if nothing was learned yet.
        """
        return Estimate(state.gradient(at), None, 0, self.target, None, None, state)

    def _plan(self, at: Any) -> Plan:
        pairs = max(1, BLOCK // check_parameters("Critic", at).numel())
        return Plan(per_unit=2, block=pairs)

    def _block(self, query: Query, i: int) -> Block:
        a, b = self._span(query, i)
        u = standard_normal((b - a, *query.at.shape), query.key.child("direction", i), query.at)
        points = torch.cat((query.at + self.spread * u, query.at - self.spread * u))
        return Block(slice(2 * a, 2 * b), points)

    def _fold(self, query: Query, answered: Iterable[tuple[Block, Tensor]], rows: bool, errors: bool) -> Estimate:
        state, value = self.taught(self.begun(query.state), answered, query.key)
        return Estimate(state.gradient(query.at), value, query.evaluations, self.target, None, None, state)

    def taught(self, state: Fitted, answered: Iterable[tuple[Block, Tensor]], key: Key) -> tuple[Fitted, Tensor]:
        """Return the critic after what was evaluated, and the mean of that, () or (B,)."""
        pairs = [(block.points.unflatten(0, (2, -1)), f.unflatten(0, (2, -1))) for block, f in answered]
        points, costs = (torch.cat(parts, 1) for parts in zip(*pairs, strict=True))
        return self.learned(state, points, costs, key), costs.mean((0, 1))

    def learned(self, state: Fitted, points: Tensor, costs: Tensor, key: Key) -> Fitted:
        """Return the critic tested on pairs of points (2, n, …, d) and their costs (2, n, …), then fitted to them."""
        state = state.tested(points, costs).remember(points, costs, self.capacity)
        state = replace(state, calls=state.calls + 1)
        return (
            self._fit(state, key.child("critic")) if state.calls % self.every == 0 or state.weights is None else state
        )

    def _fit(self, state: Fitted, key: Key) -> Fitted:
        z, c, scales = state.normalised()
        weights = state.start(self.ensemble, key).clone().requires_grad_()
        adam = torch.optim.Adam([weights], lr=self.lr, fused=weights.is_cpu)
        if state.optimizer is not None:
            adam.load_state_dict(deepcopy(state.optimizer))  # torch would go on in the very tensors
        picks = torch.randint(
            len(z), (self.steps, self.ensemble, min(self.batch, len(z))), generator=key.child("minibatch").generator()
        ).to(z.device)
        net, members = state.network(z.shape[-1], z.dtype), list(weights.detach())  # views: always the current weights
        made: list[Gradients | None] = [None] * len(members)
        weights.grad = torch.empty_like(weights)
        for step in picks:
            for i, (w, chosen) in enumerate(zip(members, step, strict=True)):
                x, y = z[chosen].flatten(0, 1), c[chosen].flatten()
                # ∂/∂N of (N − y)², and of λ ((N⁺ − N⁻) − (y⁺ − y⁻))²
                miss = (net.value(w, x) - y).view(-1, 2)
                gap = miss[:, :1] - miss[:, 1:]
                v = 2 * (miss + 2 * self.slopes * torch.cat((gap, -gap), 1))
                answer = made[i] = net.pull(w, x, v.flatten(), out=made[i])
                weights.grad[i] = answer.weights
            adam.step()
        return replace(state, weights=weights.detach(), scales=scales, optimizer=adam.state_dict(), fits=state.fits + 1)
