"""SurrogateControl: what LAX and RELAX share: a network as control variate, and how it learns from the estimates."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from rllab.estimate import Estimate, Target
from rllab.estimators.base import Estimator
from rllab.estimators.control_variates.state import ControlVariateState, check_state
from rllab.estimators.control_variates.surrogate import Surrogate
from rllab.estimators.query import Answered, PointBlock, Query
from rllab.estimators.score.samples import Contributions, fold_contributions
from rllab.keys import Key


class SurrogateControl(Estimator):
    """Estimate the gradient of an expected cost with a network c_φ as control variate, learned to lower the variance.

        φ ← Adam on ∂/∂φ Σ_i ĝ_i²

    Unbiased for any φ that does not depend on the sample, so φ moves after the estimate.
    """

    target: ClassVar[Target] = Target.expectation()
    unbiased: ClassVar[bool] = True
    stateful: ClassVar[bool] = True
    hidden: int
    lr: float

    @abstractmethod
    def _initial(self, at: Any, key: Key) -> Tensor:
        """Return φ at first, (*batch, P): c = 0, with weights drawn for what it may become."""

    @abstractmethod
    def _size(self, at: Any) -> int:
        """Return how many numbers φ is, P."""

    @abstractmethod
    def _contributions(self, phi: Tensor, at: Any, block: PointBlock, f: Tensor) -> Contributions:
        """Return the contributions of a block's samples by parameter, differentiable by φ."""

    def init_state(self, at: Any, key: Key) -> ControlVariateState:
        """Return the state that a first estimate at `at` starts from."""
        return ControlVariateState(self._initial(at, key.child("weights")))

    def _network(self, at: Any) -> Surrogate:
        return Surrogate(at.shape[-1], self.hidden)

    def _prepared(self, query: Query) -> Query:
        if query.state is not None:  # before anything is evaluated
            shape = (*self._batch_shape(query.at), self._size(query.at))
            check_state(type(self).__name__, query.state, shape)
        return query

    def _fold(self, query: Query, answered: Answered, per_unit: bool, errors: bool) -> Estimate:
        at, learns = query.at, self.lr > 0
        state = self.init_state(at, query.key) if query.state is None else query.state
        phi = state.values.detach().requires_grad_(learns)
        slopes = torch.zeros_like(state.values)

        def contributions() -> Iterator[tuple[Contributions, Tensor]]:
            for block, f in answered:
                with torch.enable_grad():
                    r = self._contributions(phi, at, block, f)
                    if learns:
                        square = sum(part.square().sum() for part in r.values())
                        slopes.add_(torch.autograd.grad(square, phi)[0])  # type: ignore[arg-type] - a tensor, not 0
                yield {name: part.detach() for name, part in r.items()}, f

        e = fold_contributions(query, contributions(), per_unit, errors)
        return replace(e, state=state.update(slopes / query.units, self.lr) if learns else state)
