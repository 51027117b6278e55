"""Checks of parameters, each of which raises a ValueError that says whose parameter is wrong, and how."""

from __future__ import annotations

import torch
from torch import Tensor

VECTORS = {1: "(d,)", 2: "(B, d)"}


def check_floating(owner: str, name: str, value: object, shapes: dict[int, str]) -> Tensor:
    """Return a parameter if it is a floating tensor of one of the `shapes` by rank, and not empty."""
    ok = isinstance(value, Tensor) and value.is_floating_point() and value.ndim in shapes and value.numel() > 0
    if not ok or not isinstance(value, Tensor):
        got = f"{tuple(value.shape)} {value.dtype}" if isinstance(value, Tensor) else type(value).__name__
        raise ValueError(f"{owner}: {name} must be a floating tensor {' or '.join(shapes.values())}, got {got}")
    return value


def check_logits(owner: str, logits: object, shapes: dict[int, str]) -> None:
    """Let logits pass that are finite floats of one of the `shapes` by rank."""
    value = check_floating(owner, "logits", logits, shapes)
    if not torch.isfinite(value).all():
        raise ValueError(f"{owner}: logits must be finite, got {value[~torch.isfinite(value)][0].item()}")


def check_positive(owner: str, name: str, value: Tensor) -> None:
    """Let a parameter pass that is positive and finite everywhere."""
    if not bool((value > 0).all()):
        raise ValueError(f"{owner}: {name} must be positive everywhere, got a minimum of {value.min().item()}")
    if not bool((value < torch.inf).all()):
        raise ValueError(f"{owner}: {name} must be finite, got {value.max().item()}")


def positive_beside(owner: str, name: str, value: Tensor | float, leader_name: str, leader: Tensor) -> Tensor:
    """Return a positive number or tensor expanded to the shape, dtype and device of the parameter that leads."""
    value = torch.as_tensor(value, dtype=leader.dtype, device=leader.device)
    try:
        value = value.expand(leader.shape)
    except RuntimeError:
        wanted, got = tuple(leader.shape), tuple(value.shape)
        raise ValueError(f"{owner}: {name} must broadcast to {leader_name}'s shape {wanted}, got {got}") from None
    check_positive(owner, name, value)
    return value
