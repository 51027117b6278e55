"""Draws: numbers for rows by seed and name, and the one output of a graph."""

from __future__ import annotations

import torch
from torch import Tensor

from rllab import Key
from rllab import backprop as bp
from rllab.noise import standard_normal

FLOAT64 = torch.empty(0, dtype=torch.float64)


def normal(seed: int, name: str, *shape: int) -> Tensor:
    """Draw N(0, 1) numbers of a shape, float64."""
    return standard_normal(shape, Key(seed).child(name), FLOAT64)


def classes(seed: int, name: str, samples: int, among: int) -> Tensor:
    """Draw uniform classes (samples,), int64."""
    return torch.randint(among, (samples,), generator=Key(seed).child(name).generator())


def relative(a: Tensor, b: Tensor) -> float:
    """Return ‖a − b‖∞ / ‖b‖∞."""
    return float((a - b).abs().max() / b.abs().max())


def predict(graph: bp.Graph, *observed: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the output of a graph that has one."""
    output = graph.predict(*observed, weights=weights)
    assert isinstance(output, Tensor)
    return output
