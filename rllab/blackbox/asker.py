"""Asker: the estimator that a black box asks, with the state and the counts that go on from pass to pass."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from rllab.blackbox.saved import plain_state, restored_state
from rllab.cost import Cost
from rllab.critics import Critic, Residual, ThroughCritic
from rllab.estimate import Estimate
from rllab.estimators.base import Estimator
from rllab.keys import Key

Learner = Critic | Residual | ThroughCritic  # of rows that may differ in more than their parameters


class Asker:
    """Ask an estimator in every backward pass, and keep its answer and its state.

    It stands apart from the module, for a torch module takes long over setting an attribute.

    Args:
        estimator: what is asked.
        evaluations: how many it may spend for each row; 0 follows a critic as it is.

    Attributes:
        calls: rows evaluated so far, forward and backward.
        passes: forward passes so far.
        estimate: the last answer; None before the first.
        state: what the estimator is given next time.
    """

    __slots__ = ("calls", "estimate", "estimator", "evaluations", "passes", "state")

    def __init__(self, estimator: Estimator, evaluations: int):
        self.estimator, self.evaluations = estimator, evaluations
        self.calls = self.passes = 0
        self.estimate: Estimate | None = None
        self.state: Any = None

    def ask(self, cost: Cost, at: Any, key: Key, context: Tensor) -> Estimate:
        """Return the estimate at parameters (n, d); a row's cost depends on its `context` (n, k) too."""
        estimator = self.estimator
        state = estimator.with_context(self.state, context) if isinstance(estimator, Learner) else self.state
        if self.evaluations == 0 and isinstance(estimator, Critic):
            made = estimator.predict(at, state)
        else:
            made = estimator(cost, at, evaluations=self.evaluations, key=key, state=state, errors=False)
        self.state, self.estimate = made.state, made
        return made

    def saved(self, who: str) -> dict[str, Any]:
        """Return counts and state as tensors and plain values."""
        state, name = plain_state(who, self.state), type(self.estimator).__name__
        return {"passes": self.passes, "calls": self.calls, "estimator": name, "state": state}

    def restore(self, who: str, saved: dict[str, Any]) -> None:
        """Go on where another one was when it was saved.

        Raises:
            ValueError: it asked another kind of estimator, which had learned something.
        """
        name, state = type(self.estimator).__name__, restored_state(who, saved["state"])
        if state is not None and saved["estimator"] != name:
            raise ValueError(
                f"{who}: gradient must be a {saved['estimator']}, whose state is loaded, got a {name}; assign another "
                "one to `gradient` after loading"
            )
        self.passes, self.calls, self.state = saved["passes"], saved["calls"], state
