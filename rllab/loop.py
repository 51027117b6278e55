"""minimize: the loop every use of an estimator shares: estimate, step, count."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rllab.cost import Cost
from rllab.distributions import Distribution
from rllab.estimators.base import Estimator
from rllab.keys import Key, as_key


@dataclass
class Trace:
    """What a minimisation did.

    Attributes:
        at: the parameters reached: a tensor, or a distribution.
        evaluations: evaluations of the cost spent in this call by the end of each step.
        values: mean cost over the points of each step, at the parameters *before* that step; NaN where an estimator
            gives none.
    """

    at: Any
    evaluations: list[int]
    values: list[float]

    def __len__(self) -> int:
        return len(self.values)

    @property
    def rows(self) -> Iterator[dict[str, float]]:
        """One row a step, as a record stores it."""
        for step, (n, value) in enumerate(zip(self.evaluations, self.values, strict=True)):
            yield {"step": step, "evaluations": n, "value": value}


def minimize(
    cost: Cost,
    at: Tensor | Distribution,
    estimator: Estimator,
    *,
    evaluations: int,
    budget: int,
    lr: float,
    key: Key | int,
    optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.Adam,
    only: tuple[str, ...] | None = None,
) -> Trace:
    """Minimise a cost by gradient estimates and any torch optimiser that steps without a closure.

    Args:
        at: where to start, a tensor (d,) or (B, d), or a distribution; it is not changed.
        evaluations: evaluations a step (per problem).
        budget: evaluations in all; the loop ends before a step that would exceed it.
        lr: learning rate handed to `optimizer(parameters, lr=lr)`.
        only: names of the distribution's parameters to move; None for all.
    Raises:
        ValueError: if `budget` does not pay for one step.
        Exception: whatever the cost raises; the trace up to then is the exception's attribute `trace`.
    """
    key = as_key(key)
    leaves = _leaves(at, only)
    per_step = estimator.ask(at, evaluations, key).evaluations * math.prod(_problems(at))
    if budget < per_step:
        raise ValueError(f"minimize: budget must pay for one step of {per_step} evaluations, got {budget}")
    stepper = optimizer(list(leaves.values()), lr=lr)
    trace, spent, state = Trace(at, [], []), 0, None
    try:
        while spent + per_step <= budget:
            estimate = estimator(
                cost, trace.at, evaluations=evaluations, key=key.child("step", len(trace)), state=state, errors=False
            )
            state, spent = estimate.state, spent + per_step
            gradient = estimate.gradient if isinstance(estimate.gradient, dict) else {"at": estimate.gradient}
            for name, leaf in leaves.items():
                leaf.grad = gradient[name]
            stepper.step()
            trace.at = _rebuild(at, leaves)
            trace.evaluations.append(spent)
            trace.values.append(math.nan if estimate.value is None else float(estimate.value.mean()))
    except Exception as error:
        error.trace = trace  # type: ignore[attr-defined]
        error.add_note(f"minimize: {len(trace)} steps were done; they are this exception's attribute `trace`")
        raise
    return trace


def _problems(at: Tensor | Distribution) -> tuple[int, ...]:
    return tuple(at.shape[:-1])


def _leaves(at: Tensor | Distribution, only: tuple[str, ...] | None) -> dict[str, Tensor]:
    named = {"at": at} if isinstance(at, Tensor) else at.parameters
    chosen = tuple(named) if only is None else only
    if unknown := [name for name in chosen if name not in named]:
        raise ValueError(f"minimize: only must name parameters among {tuple(named)}, got {unknown[0]!r}")
    return {name: named[name].detach().clone().requires_grad_() for name in chosen}


def _rebuild(at: Tensor | Distribution, leaves: dict[str, Tensor]) -> Tensor | Distribution:
    if isinstance(at, Tensor):
        return leaves["at"].detach().clone()
    return at.replace(**{name: leaf.detach().clone() for name, leaf in leaves.items()})
