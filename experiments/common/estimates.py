"""What an estimate is of where there is one thing that it can be of."""

from __future__ import annotations

from torch import Tensor


def only(parts: Tensor | dict[str, Tensor] | None) -> Tensor:
    """Return a gradient, its errors or contributions as one tensor: of a distribution those by its first parameter.

    Raises:
        TypeError: if there is none.
    """
    part = next(iter(parts.values())) if isinstance(parts, dict) else parts
    if not isinstance(part, Tensor):
        raise TypeError(f"only: parts must be a tensor, or tensors by the names of parameters, got {part!r:.60}")
    return part
