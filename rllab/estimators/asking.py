"""Asking: what an estimator does with parameters before it asks a cost, and with answers after it: shapes and kinds."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from rllab.cost import Cost, Request
from rllab.estimate import Estimate

Answer = Tensor | tuple[Tensor, Tensor]  # what a block's points are answered by, see Query


def ask(cost: Cost, kind: Request, points: Tensor, tangents: Tensor | None, seeds: Tensor | None) -> Answer:
    """Return the answer of a cost, here and now, to a request of some kind."""
    if kind == "value":
        return cost(points, seeds)
    if kind == "jvp":
        assert tangents is not None  # a "jvp" block holds them
        return cost.jvp(points, tangents, seeds)
    return getattr(cost, kind)(points, seeds)


def tracked(at: Any) -> Any:
    """Return parameters that autograd can follow, which a tensor of inference mode is not."""
    if isinstance(at, Tensor):
        return at.clone() if at.is_inference() else at
    return at.replace(**{name: value.clone() for name, value in at.parameters.items()})


def split(y: Tensor, n: int, b: int) -> Tensor:
    """Return answers (n B, …) of a batch of B as (n, B, …)."""
    return y.view(n, b, *y.shape[1:])


def as_tensor_at(at: Any) -> Any:
    """Return parameters that came as an array as a tensor of their own; anything else as it is."""
    return torch.from_numpy(at.copy()) if isinstance(at, np.ndarray) else at


def in_arrays(estimate: Estimate) -> Estimate:
    """Return an estimate at an array: its gradient, and what is shaped like that, as arrays, its value as one too."""
    for name in ("gradient", "value", "standard_error", "per_unit"):
        part = getattr(estimate, name)
        if isinstance(part, Tensor):
            setattr(estimate, name, part.numpy(force=True))
    return estimate
