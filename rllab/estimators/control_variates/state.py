"""Learned: parameters of a control variate, and their own Adam: the state that travels between estimates.

    φ ← Adam on ∂/∂φ Σ_i ĝ_i²

The mean of ĝ does not depend on φ, so this is the gradient of the trace of its covariance, from the very samples of the
estimate (Grathwohl et al. 2018, section 3.1). φ moves after the estimate: moved before, it would depend on the samples.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Learned:
    """Parameters as they are after some estimates. Nothing in it is ever written over.

    Attributes:
        values: φ, (P,), or (B, P) for B problems, each of which learns for itself.
        optimizer: state of torch's Adam.
    """

    values: Tensor
    optimizer: Any = None

    def after(self, slopes: Tensor, lr: float) -> Learned:
        """Return them after one step of Adam."""
        values = self.values.clone().requires_grad_()
        adam = torch.optim.Adam([values], lr=lr)
        if self.optimizer is not None:
            adam.load_state_dict(deepcopy(self.optimizer))  # torch would go on in the very tensors
        values.grad = slopes
        adam.step()
        return Learned(values.detach(), adam.state_dict())


def check_learned(name: str, state: object, problems: tuple[int, ...], size: int) -> Learned:
    """Return the state if it is one of `size` numbers for each problem; raise an error that says so if not."""
    if not isinstance(state, Learned):
        raise TypeError(f"{name}: state must be that of an earlier estimate, got {type(state).__name__}")
    if tuple(state.values.shape) != (*problems, size):
        raise ValueError(f"{name}: state must hold {(*problems, size)} numbers, got {tuple(state.values.shape)}")
    return state


def check_rate(name: str, lr: float) -> None:
    """Raise a ValueError in the name of `name` unless the learning rate is >= 0 and finite."""
    if not (isinstance(lr, (int, float)) and 0 <= lr < float("inf")):
        raise ValueError(f"{name}: lr must be >= 0 and finite, got {lr!r}")
