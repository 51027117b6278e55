"""Arrays: sums over samples are taken in numpy, whose operations on few numbers cost a third of torch's.

Noise is drawn on the CPU and weighed there; what comes of it goes back to the device and precision of the parameters.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

_SHARED = (torch.float32, torch.float64)


def as_array(x: Tensor) -> np.ndarray:
    """Return x in numpy: its own memory if it can be, else a copy, in single precision if numpy has not that of x."""
    if x.dtype in _SHARED:
        return x.numpy() if x.is_cpu else x.cpu().numpy()
    return x.to("cpu", torch.float32).numpy()


def as_tensor(a: np.ndarray, like: Tensor) -> Tensor:
    """Return an array in the memory, device and precision of `like`: its own memory where these are numpy's."""
    x = torch.from_numpy(a)
    return x if x.dtype is like.dtype and like.is_cpu else x.to(like)


def weighted_sum(w: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Return Σ_k w_k u_k for weights (k,) and rows (k, d), or for (k, B) and (k, B, d)."""
    return w.dot(u) if u.ndim == 2 else np.einsum("kb...,kb...d->b...d", w, u)


def column_sum(f: np.ndarray) -> np.ndarray:
    """Return Σ_k f_k of (k,) or (k, B)."""
    return _ones(len(f), f.dtype).dot(f)


@lru_cache(maxsize=8)
def _ones(n: int, dtype: np.dtype) -> np.ndarray:
    return np.ones(n, dtype)
