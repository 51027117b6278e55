"""Recommendation: ranked estimators with what is predicted of each, and what was found out of the cost."""

from __future__ import annotations

from dataclasses import dataclass

from rllab.estimate import Target
from rllab.estimators.base import Estimator
from rllab.quality.estimates import name_of
from rllab.tables import shortened, table


@dataclass(frozen=True)
class Choice:
    """An estimator with its settings, and what is predicted of it.

    Args:
        estimator: ready to be called.
        evaluations: what an estimate spends, at most the budget.
        error: predicted √(E‖ĝ − t‖²) / ‖t‖, t the target of the recommendation; NaN where the cost is flat.
        reason: where the number comes from, in words.

    Example:
        from rllab import estimators as est
        from rllab.recommendation import Choice

        Choice(est.SPSA(0.1), 64, 0.7, "d − 1 directions are not seen by one of them").error
    """

    estimator: Estimator
    evaluations: int
    error: float
    reason: str


@dataclass(frozen=True)
class Recommendation:
    """Which estimators suit a cost, best first.

    Args:
        choices: at least one.
        target: the gradient that all of them are compared by.
        budget: evaluations of an estimate that the errors are predicted for.
        evaluations: what finding out has spent.
        findings: what is known of the cost now, a sentence each.

    Example:
        import torch
        from rllab import Cost, recommend

        found = recommend(Cost(lambda x: torch.floor(4 * x).sum(-1)), torch.rand(5), evaluations=400, key=0)
        print(found)
        found.best(Cost(lambda x: torch.floor(4 * x).sum(-1)), torch.rand(5), evaluations=400, key=1).gradient
    """

    choices: tuple[Choice, ...]
    target: Target
    budget: int
    evaluations: int
    findings: tuple[str, ...]

    @property
    def best(self) -> Estimator:
        """The first of the estimators."""
        return self.choices[0].estimator

    def __str__(self) -> str:
        names = shortened([name_of(c.estimator) for c in self.choices])
        rows = [
            [name, c.evaluations, c.estimator.kind, f"{c.error:.2g}", c.reason]
            for name, c in zip(names, self.choices, strict=True)
        ]
        head = ["estimator", "evaluations", "kind", "√mse/‖truth‖", "why"]
        told = "\n".join(f"- {finding}" for finding in self.findings)
        return f"{table(head, rows)}\n\nof {self.target}, by {self.evaluations} evaluations:\n{told}"
