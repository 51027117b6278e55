"""Buffers: tensors that a pass writes into again and again, so that it allocates nothing and can be recorded."""

from __future__ import annotations

import torch
from torch import Tensor


class Buffers:
    """Keep one float32 tensor a name, made anew when another shape is asked for."""

    def __init__(self) -> None:
        self._kept: dict[str, Tensor] = {}

    def __call__(self, name: str, *shape: int) -> Tensor:
        """Return the tensor of this name and shape, whatever was written into it last."""
        kept = self._kept.get(name)
        if kept is None or tuple(kept.shape) != shape:
            kept = self._kept[name] = torch.empty(shape, dtype=torch.float32)
        return kept
