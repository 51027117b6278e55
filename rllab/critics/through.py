"""ThroughCritic: a zeroth-order estimate of the critic's gradient, at no evaluation of the cost itself.

    ĝ = estimator of ∇ĉ from values ĉ(θ + …)

Backpropagation asks ĉ for its slope at a point, of which a fit to values says little; differences ask it for values
a finite distance apart, which is what it was fitted to.

Source: Saglam & Kalogerias (2024), "Compatible gradient approximations for actor-critic algorithms".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from torch import Tensor

from rllab.cost import Cost
from rllab.critics.critic import Critic
from rllab.critics.fitted import Fitted
from rllab.estimate import Estimate, Target
from rllab.estimators import GaussianSmoothing
from rllab.estimators.base import Estimator
from rllab.estimators.query import Block, Plan, Query


@dataclass(frozen=True)
class ThroughCritic(Estimator):
    """Estimate the gradient of a learned cost from its values.

    Args:
        estimator: asked about ĉ; it must need values only.
        critic: as on its own.
        looks: values of ĉ that the estimator may spend on each problem; they are no evaluations of the cost.
    """

    source: ClassVar[str] = "Saglam & Kalogerias (2024), Compatible gradient approximations for actor-critic algorithms"
    estimator: Estimator = field(default_factory=GaussianSmoothing)
    critic: Critic = field(default_factory=Critic)
    looks: int = 64

    def __post_init__(self) -> None:
        if not isinstance(self.estimator, Estimator) or self.estimator.needs != frozenset({"value"}):
            raise TypeError(f"ThroughCritic: estimator must be one that needs values only, got {self.estimator!r}")
        if not isinstance(self.critic, Critic):
            raise TypeError(f"ThroughCritic: critic must be a Critic, got {self.critic!r}")
        if self.looks != int(self.looks) or self.looks < 1:
            raise ValueError(f"ThroughCritic: looks must be an integer >= 1, got {self.looks}")

    @property
    def target(self) -> Target:
        return Target.surrogate("a critic fitted to the cost, seen by differences")

    @property
    def unbiased(self) -> bool:
        return False

    @property
    def stateful(self) -> bool:
        return True

    def given(self, state: Fitted | None, context: Tensor) -> Fitted:
        """Return the state with the context (B, k) of the problems to come."""
        return self.critic.given(state, context)

    def _plan(self, at: Any) -> Plan:
        return self.critic._plan(at)

    def _block(self, query: Query, i: int) -> Block:
        return self.critic._block(query, i)

    def _fold(self, query: Query, answered: Iterable[tuple[Block, Tensor]], per_unit: bool, errors: bool) -> Estimate:
        critic, at = self.critic, query.at
        state, value = critic.taught(critic.begun(query.state), answered, query.key)
        seen = Cost(lambda points: state.value(points.view(-1, *at.shape)).reshape(-1))
        made = self.estimator(
            seen, at, evaluations=self.looks, key=query.key.child("looks"), per_unit=per_unit, errors=False
        )
        return replace(made, value=value, evaluations=query.evaluations, target=self.target, state=state)
