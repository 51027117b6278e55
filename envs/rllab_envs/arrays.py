"""numpy or torch: which of the two a function of the dynamics is to compute with."""

import sys
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import torch

    Array: TypeAlias = np.ndarray | torch.Tensor


def namespace(array: Any) -> Any:
    """Return torch for a tensor, numpy for anything else; never loads torch, for who holds a tensor has loaded it."""
    torch = sys.modules.get("torch")
    return torch if torch is not None and isinstance(array, torch.Tensor) else np


def columns_of(table: Any) -> tuple[Any, ...]:
    """Return the columns of a table (n, k), each (n,).

    numpy's are contiguous, for it may take another code path, with other bits, for strided input.
    """
    return tuple(np.ascontiguousarray(table.T)) if namespace(table) is np else table.unbind(1)


def in_one_kind(who: str, state: Any, *others: Any) -> tuple[Any, ...]:
    """Return the namespace of `state`, `state` in floating point, and the others as arrays of its kind and dtype.

    Args:
        who: names the caller in errors.
        others: array-likes; a None stays None.

    Raises:
        TypeError: `state` is a numpy array while another is a tensor.
    """
    xp = namespace(state)
    if xp is not np:
        return (
            xp,
            state,
            *(None if o is None else xp.as_tensor(o, dtype=state.dtype, device=state.device) for o in others),
        )
    if any(namespace(o) is not np for o in others):
        raise TypeError(f"{who}: action and noise must be numpy arrays as state is one, got a torch tensor")
    state = np.asarray(state)
    dtype = state.dtype if state.dtype.kind == "f" else np.dtype(np.float64)
    return np, state.astype(dtype, copy=False), *(None if o is None else np.asarray(o, dtype) for o in others)
