"""ControlVariateState: parameters of a control variate and their own Adam, which travel between estimates."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rllab.checks import other_batch_size


@dataclass(frozen=True, eq=False)
class ControlVariateState:
    """Parameters as they are after some estimates. Nothing in it is ever written over.

        φ ← Adam on ∂/∂φ Σ_i ĝ_i²

    The mean of ĝ does not depend on φ, so this is the gradient of the trace of its covariance, from the very samples of
    the estimate (Grathwohl et al. 2018, section 3.1). φ moves after the estimate: moved before, it would depend on the
    samples.

    Attributes:
        values: φ, (P,), or (B, P) for a batch, each of which learns for itself.
        optimizer: state of torch's Adam.

    Example:
        import torch
        from rllab import Bernoulli, Cost, estimators as est

        relax, at = est.Relax(), Bernoulli(torch.zeros(3))
        cost = Cost(lambda x: x.sum(-1).square())
        state = relax(cost, at, evaluations=20, key=0).state
        relax(cost, at, evaluations=20, key=1, state=state).gradient
    """

    values: Tensor
    optimizer: Any = None

    def update(self, slopes: Tensor, lr: float) -> ControlVariateState:
        """Return the state after one step of Adam along slopes shaped like φ."""
        values = self.values.clone().requires_grad_()
        adam = torch.optim.Adam([values], lr=lr)
        if self.optimizer is not None:
            adam.load_state_dict(deepcopy(self.optimizer))  # torch would go on in the very tensors
        values.grad = slopes
        adam.step()
        return ControlVariateState(values.detach(), adam.state_dict())


def check_state(name: str, state: object, shape: tuple[int, ...]) -> ControlVariateState:
    """Return the state if its φ is of such a shape; raise an error that says so if not."""
    if not isinstance(state, ControlVariateState):
        raise TypeError(f"{name}: state must be that of an earlier estimate, got {type(state).__name__}")
    if (got := tuple(state.values.shape)) != shape:
        hint = other_batch_size(got, shape, batched=len(shape) > 1)
        raise ValueError(f"{name}: state must hold {shape} numbers, got {got}{hint}")
    return state
