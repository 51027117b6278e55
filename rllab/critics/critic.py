"""Critic: a second cost ĉ, trainable and differentiable, fitted to evaluations of the first and followed instead."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from rllab.checks import as_count, as_widths, check_not_negative, check_parameters, check_positive
from rllab.critics.network import ScalarNetwork
from rllab.critics.state import CriticState
from rllab.estimate import Estimate, Target
from rllab.estimators.base import BLOCK, Estimator
from rllab.estimators.query import Answered, Plan, PointBlock, Query
from rllab.keys import Key
from rllab.noise import standard_normal


@dataclass(frozen=True)
class Critic(Estimator):
    """Learn the cost from evaluations around the parameters, and take the gradient of what was learned.

        ĝ = ∇ĉ(θ)            w ← Adam on  mean (ĉ(x) − C(x))²  +  λ mean ((ĉ(x⁺) − ĉ(x⁻)) − (C(x⁺) − C(x⁻)))²

    An `Estimate` of target SURROGATE. Its error is all bias: ‖∇ĉ − ∇C‖², which no number of further queries averages
    out, only better fits do; there is no standard error, for a critic cannot know its bias. Costs that fit well may
    still have wrong slopes; the second term matches directional differences, which pairs x± = θ ± σu give without a
    further evaluation. Its `value` is the mean cost around the parameters, its `state` the `CriticState`: give it back
    at the next call, or the critic starts anew; `predict` uses it as it is. A batch of parameters shares what is
    learned.

    Args:
        hidden: widths of the tanh layers of ĉ.
        sigma: standard deviation σ > 0 of the points that are evaluated, in units of the parameters.
        buffer_size: how many evaluations the replay keeps. A small one forgets what was true far away.
        gradient_steps: steps of Adam in each fit.
        batch_size: pairs of the replay in each of these.
        lr: learning rate of Adam.
        train_freq: fit at every n-th call; points are gathered in all.
        slope_weight: weight λ >= 0 of the directional differences.
        ensemble: networks, from different starts, whose mean is ĉ.

    Raises:
        TypeError, ValueError: an argument is out of its range.

    Source: LeCun (2020), NYU Deep Learning, week 2 (the critic); Jaderberg et al. (2017), "Decoupled neural interfaces
    using synthetic gradients"; D'Oro & Jaśkowski (2020), "How to learn a useful critic? Model-based
    action-gradient-estimator policy optimization" (value error does not bound the error of the slope).

    Example:
        import torch
        from rllab import Cost
        from rllab.critics import Critic

        cost, critic, state = Cost(lambda x: x.square().sum(-1)), Critic(sigma=0.3), None
        for step in range(3):
            estimate = critic(cost, torch.ones(4), evaluations=32, key=step, state=state)
            state = estimate.state
    """

    source: ClassVar[str] = "LeCun (2020), NYU Deep Learning, week 2; Jaderberg et al. (2017), Synthetic gradients"
    target: ClassVar[Target] = Target.surrogate("a critic fitted to the cost")
    unbiased: ClassVar[bool] = False
    stateful: ClassVar[bool] = True
    shares_state: ClassVar[bool] = True
    hidden: tuple[int, ...] = (64, 64)
    sigma: float = 0.1
    buffer_size: int = 10_000
    gradient_steps: int = 50
    batch_size: int = 128
    lr: float = 3e-3
    train_freq: int = 1
    slope_weight: float = 0.0
    ensemble: int = 1

    def __post_init__(self) -> None:
        check_positive("Critic", sigma=self.sigma, lr=self.lr)
        for name in ("buffer_size", "gradient_steps", "batch_size", "train_freq", "ensemble"):
            object.__setattr__(self, name, as_count("Critic", name, getattr(self, name)))
        check_not_negative("Critic", slope_weight=self.slope_weight)
        object.__setattr__(self, "hidden", as_widths("Critic", "hidden", self.hidden))

    def init(self) -> CriticState:
        """Return the state of a critic that has seen nothing."""
        return CriticState(self.hidden)

    def with_context(self, state: CriticState | None, context: Tensor) -> CriticState:
        """Return the state with the context (B, k) of the batch to come: what else its costs depend on."""
        return replace(state or self.init(), context=context)

    def predict(self, at: Tensor, state: CriticState) -> Estimate:
        """Return the gradient of what was learned, without an evaluation and without learning more.

        Raises:
            ValueError: nothing was learned yet.
        """
        return Estimate(state.gradient(at), None, 0, self.target, None, None, state)

    def update(self, state: CriticState | None, answered: Answered, key: Key) -> tuple[CriticState, Tensor]:
        """Return the critic after what was evaluated, and the mean of that, () or (B,).

        It is first evaluated on these pairs of points, then, at every `train_freq`-th call, fitted to its replay.
        """
        pairs = [(block.points.unflatten(0, (2, -1)), f.unflatten(0, (2, -1))) for block, f in answered]
        points, costs = (torch.cat(parts, 1) for parts in zip(*pairs, strict=True))
        state = (state or self.init()).evaluate(points, costs).remember(points, costs, self.buffer_size)
        state = replace(state, calls=state.calls + 1)
        if state.calls % self.train_freq == 0 or state.weights is None:
            state = self.fit(state, key.child("critic"))
        return state, costs.mean((0, 1))

    def fit(self, state: CriticState, key: Key) -> CriticState:
        """Return the critic after `gradient_steps` steps of Adam on its replay."""
        z, c, scales = state.normalised()
        weights = state.start(self.ensemble, key).clone().requires_grad_()
        adam = torch.optim.Adam([weights], lr=self.lr, fused=weights.is_cpu)
        if state.optimizer is not None:
            adam.load_state_dict(deepcopy(state.optimizer))  # torch would go on in the very tensors
        picks = torch.randint(
            len(z),
            (self.gradient_steps, self.ensemble, min(self.batch_size, len(z))),
            generator=key.child("minibatch").generator(),
        ).to(z.device)
        net = ScalarNetwork(z.shape[-1], self.hidden, z.dtype)
        members = list(weights.detach())  # views: always the current weights
        weights.grad, gradient = torch.empty_like(weights), torch.empty_like(weights[0])
        for step in picks:
            for i, (w, chosen) in enumerate(zip(members, step, strict=True)):
                x, y = z[chosen].flatten(0, 1), c[chosen].flatten()
                # ∂/∂N of (N − y)², and of λ ((N⁺ − N⁻) − (y⁺ − y⁻))²
                miss = (net.forward(w, x) - y).view(-1, 2)
                gap = miss[:, :1] - miss[:, 1:]
                v = 2 * (miss + 2 * self.slope_weight * torch.cat((gap, -gap), 1))
                net.backward(v.flatten(), gradient)
                weights.grad[i] = gradient
            adam.step()
        return replace(state, weights=weights.detach(), scales=scales, optimizer=adam.state_dict(), fits=state.fits + 1)

    def _plan(self, at: Any) -> Plan:
        pairs = max(1, BLOCK // check_parameters("Critic", at).numel())
        return Plan(per_unit=2, block=pairs)

    def _block(self, query: Query, i: int) -> PointBlock:
        a, b = self._span(query, i)
        u = standard_normal((b - a, *query.at.shape), query.key.child("direction", i), query.at)
        points = torch.cat((query.at + self.sigma * u, query.at - self.sigma * u))
        return PointBlock(slice(2 * a, 2 * b), points)

    def _fold(self, query: Query, answered: Answered, per_unit: bool, errors: bool) -> Estimate:
        state, value = self.update(query.state, answered, query.key)
        return Estimate(state.gradient(query.at), value, query.evaluations, self.target, None, None, state)
