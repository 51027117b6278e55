"""Estimates: many independent estimates at the same parameters, made as batches of few queries.

What an estimate needs before it, a state or the estimates that make one, is made anew for each.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rllab.cost import Cost, Request
from rllab.distributions import Distribution
from rllab.estimate import Estimate, Gradient
from rllab.estimators.base import Estimator
from rllab.keys import Key
from rllab.quality.truth import flat

# Estimates in one query, and numbers of `at` in them. Both are part of the result, as the noise of an estimate depends
# on how many there are.
TOGETHER, NUMBERS = 128, 1 << 16

Begin = Callable[[Any], Any]  # makes, of parameters (n, d), the state that their n estimates are given


@dataclass(frozen=True)
class Estimates:
    """Makes independent estimates of one estimator and budget at the same parameters.

    Args:
        begin: the state that each estimate is given, or what makes that of n; None for none.
        warm_up: estimates that a stateful estimator makes before each that is kept.
        together: how many are made in one query, at most; by default one where a batch would share what it learns or
            draws.
    """

    estimator: Estimator
    cost: Cost
    at: Tensor | Distribution
    budget: int
    begin: Begin | object = None
    warm_up: int = 0
    together: int | None = None

    def __call__(self, repeats: int, key: Key) -> tuple[Tensor, int, Request]:
        """Return `repeats` estimates, (repeats, d), what each spent and on what; query i draws from the child key i."""
        before, parts, kind = sum(self.cost.spent.values()), [], self.estimator.kind
        shares = self.estimator.shares_state or self.estimator.shares_draws
        together = self.together or (1 if shares else TOGETHER)
        size = max(1, min(together, NUMBERS // flat(leaves(self.at)).numel()))
        if self.begin is not None and not callable(self.begin):
            size = 1  # one state is that of one estimate, whatever it is made of
        for i, first in enumerate(range(0, repeats, size)):
            n = min(size, repeats - first)
            e = self._query(n, key.child("query", i))
            g, kind = flat(e.gradient, n), e.kind
            if not torch.isfinite(g).all():
                r = first + int((~torch.isfinite(g).all(-1)).nonzero()[0])
                raise FloatingPointError(
                    f"estimate {r} by {name_of(self.estimator)} with {self.budget} evaluations is not finite"
                )
            parts.append(g)
        spent, rest = divmod(sum(self.cost.spent.values()) - before, repeats)
        if rest:
            who = name_of(self.estimator)
            raise ValueError(f"{who} must spend the same on every estimate of one budget")
        return torch.cat(parts), spent, kind

    def _query(self, n: int, key: Key) -> Estimate:
        """Make n estimates by one query; those that warm it up draw from keys of their own."""
        batch, state = repeated(self.at, n), self.begin
        if callable(state):
            state = state(batch)
        elif state is not None:
            batch = self.at  # not a batch of one, whose state would be another
        before = [key.child("warm up", j) for j in range(self.warm_up * self.estimator.stateful)]
        for k in before:
            state = self._ask(batch, k, state).state
        return self._ask(batch, key, state)

    def _ask(self, batch: Tensor | Distribution, key: Key, state: Any) -> Estimate:
        return self.estimator(self.cost, batch, evaluations=self.budget, key=key, state=state, errors=False)


def name_of(estimator: Estimator) -> str:
    """Return the estimator as it would be written, defaults left out."""
    fields = dataclasses.fields(estimator) if dataclasses.is_dataclass(estimator) else ()
    told = [f"{f.name}={value!r}" for f in fields if (value := getattr(estimator, f.name)) != f.default]
    return f"{type(estimator).__name__}({', '.join(told)})"


def repeated(at: Tensor | Distribution, n: int) -> Tensor | Distribution:
    """Return parameters (d,) as a batch of n equal ones, (n, d)."""
    if isinstance(at, Tensor):
        return at.detach().expand(n, *at.shape)
    return at.repeated(n)


def leaves(at: Tensor | Distribution) -> Gradient:
    return at if isinstance(at, Tensor) else at.parameters
