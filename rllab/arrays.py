"""Arrays: sums over samples are taken in numpy, whose operations on few numbers cost a third of torch's.

Noise is drawn on the CPU and weighed there; what comes of it goes back to the device and precision of the parameters.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

HALF = (torch.float16, torch.bfloat16)
_SHARED = {torch.float32: np.dtype(np.float32), torch.float64: np.dtype(np.float64)}


def as_array(x: Tensor) -> np.ndarray:
    """Return x in numpy: its own memory if it can be, else a copy, in single precision if numpy has not that of x."""
    if x.dtype in _SHARED:
        return x.numpy() if x.is_cpu else x.cpu().numpy()
    return x.to("cpu", torch.float32).numpy()


def wider(given: torch.dtype, at: torch.dtype) -> torch.dtype:
    """Return the dtype that costs are kept in at parameters of `at`: the wider one; integers count as float64."""
    exact = given.is_floating_point or given.is_complex
    return torch.promote_types(given if exact else torch.float64, at)


def single_at_least(x: Tensor) -> Tensor:
    """Return x in single precision if it is in half, else as it is."""
    return x.float() if x.dtype in HALF else x


def weights(w: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Return what weighs the rows of u with u's dtype: costs may be wider than noise, and are differenced before."""
    return w if w.dtype is u.dtype else w.astype(u.dtype, copy=False)


def as_tensor(a: np.ndarray, like: Tensor) -> Tensor:
    """Return an array with the dtype and on the device of `like`: its own memory where nothing is to be converted."""
    dtype = _SHARED.get(like.dtype)
    if dtype is None or not like.is_cpu:
        return torch.from_numpy(a).to(like)
    return torch.from_numpy(a if a.dtype is dtype else a.astype(dtype))


def as_value(mean: np.ndarray | np.floating | float, at: Tensor) -> Tensor:
    """Return a mean cost on the device of `at`, with the dtype that costs came in."""
    return torch.from_numpy(np.asarray(mean)).to(at.device)


def weighted_sum(w: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Return Σ_k w_k u_k for weights (…, k) and rows (k, d), or for (…, k, *P) and (k, *P, d), each of P by itself."""
    if u.ndim == 2:
        return w.dot(u)
    lead = w.shape[: w.ndim - u.ndim + 1]
    w, flat = w.reshape(*lead, len(u), -1), u.reshape(len(u), -1, u.shape[-1])
    return np.einsum("...kp,kpd->...pd", w, flat).reshape(*lead, *u.shape[1:])


def column_sum(f: np.ndarray) -> np.ndarray:
    """Return Σ_k f_k of (k,) or (k, B)."""
    return _ones(len(f), f.dtype).dot(f)


def row_sum(v: np.ndarray) -> np.ndarray:
    """Return Σ_c v_c along the last dimension, which stays as one of 1."""
    return v.dot(_ones(v.shape[-1], v.dtype))[..., None]


@lru_cache(maxsize=8)
def _ones(n: int, dtype: np.dtype) -> np.ndarray:
    return np.ones(n, dtype)
