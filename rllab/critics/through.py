"""ThroughCritic: a zeroth-order estimate of the critic's gradient, without an evaluation of the cost itself."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from torch import Tensor

from rllab.checks import as_count
from rllab.cost import Cost
from rllab.critics.borrowed import block_of, plan_of
from rllab.critics.critic import Critic
from rllab.critics.state import CriticState
from rllab.estimate import Estimate, Target
from rllab.estimators import GaussianSmoothing
from rllab.estimators.base import Estimator
from rllab.estimators.query import Answered, Plan, PointBlock, Query


@dataclass(frozen=True)
class ThroughCritic(Estimator):
    """Estimate the gradient of a learned cost from its values.

        ĝ = estimator of ∇ĉ from values ĉ(θ + …)

    An `Estimate` of target SURROGATE: its bias is the critic's. Backpropagation asks ĉ for its slope at a point, of
    which a fit to values says little; differences ask it for values a finite distance apart, which is what it was
    fitted to.

    Args:
        estimator: asked about ĉ; it must need values only.
        critic: as on its own.
        critic_evaluations: values of ĉ that the estimator may spend at each parameter vector; they are no evaluations
            of the cost.

    Raises:
        TypeError: `estimator` needs more than values, or `critic` is none.
        ValueError: `critic_evaluations` is below 1.

    Source: Saglam & Kalogerias (2024), "Compatible gradient approximations for actor-critic algorithms".

    Example:
        import torch
        from rllab import Cost, estimators as est
        from rllab.critics import Critic, ThroughCritic

        through = ThroughCritic(est.GaussianSmoothing(0.3), Critic(gradient_steps=10))
        estimate = through(Cost(lambda x: x.square().sum(-1)), torch.ones(4), evaluations=32, key=0)
    """

    source: ClassVar[str] = "Saglam & Kalogerias (2024), Compatible gradient approximations for actor-critic algorithms"
    target: ClassVar[Target] = Target.surrogate("a critic fitted to the cost, seen by differences")
    unbiased: ClassVar[bool] = False
    stateful: ClassVar[bool] = True
    shares_state: ClassVar[bool] = True
    estimator: Estimator = field(default_factory=GaussianSmoothing)
    critic: Critic = field(default_factory=Critic)
    critic_evaluations: int = 64

    def __post_init__(self) -> None:
        if not isinstance(self.estimator, Estimator) or self.estimator.needs != frozenset({"value"}):
            raise TypeError(f"ThroughCritic: estimator must be one that needs values only, got {self.estimator!r}")
        if not isinstance(self.critic, Critic):
            raise TypeError(f"ThroughCritic: critic must be a Critic, got {self.critic!r}")
        count = as_count("ThroughCritic", "critic_evaluations", self.critic_evaluations)
        object.__setattr__(self, "critic_evaluations", count)

    def with_context(self, state: CriticState | None, context: Tensor) -> CriticState:
        """Return the state with the context (B, k) of the batch to come: what else its costs depend on."""
        return self.critic.with_context(state, context)

    def _plan(self, at: Any) -> Plan:
        return plan_of(self.critic, at)

    def _block(self, query: Query, i: int) -> PointBlock:
        return block_of(self.critic, query, i)

    def _fold(self, query: Query, answered: Answered, per_unit: bool, errors: bool) -> Estimate:
        at, (state, value) = query.at, self.critic.update(query.state, answered, query.key)
        # of a batch, with its contexts: one row alone would have none
        learned = Cost(lambda points: state.value(points.view(-1, *at.shape)).reshape(-1), check_rows=False)
        made = self.estimator(
            learned,
            at,
            evaluations=self.critic_evaluations,
            key=query.key.child("looks"),
            per_unit=per_unit,
            errors=False,
        )
        return replace(made, value=value, evaluations=query.evaluations, target=self.target, state=state)
