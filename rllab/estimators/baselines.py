"""Baselines for the score function: what is subtracted from a cost before it weighs a score.

    A_k = f_k − b_k        None: b_k = 0    a number: b_k = b    "mean": b_k = f̄    "leave-one-out": mean of the others

A baseline leaves E[A ∇log p] = ∇E f unchanged if b_k is independent of x_k, because E ∇log p = 0. The mean over a batch
that holds x_k itself is not independent of it: it scales the mean of the estimate by exactly 1 − 1/K. Leaving k out
repairs that, and is the same thing times K/(K − 1):

    f_k − (K f̄ − f_k)/(K − 1) = K/(K − 1) · (f_k − f̄)

Source: Kool, van Hoof & Welling (2019), "Buy 4 REINFORCE samples, get a baseline for free!", eq. 8.
"""

from __future__ import annotations

import math
from typing import Literal

from torch import Tensor

Baseline = Literal["leave-one-out", "mean"] | float | None
_IN_BATCH = ("leave-one-out", "mean")


def check_baseline(name: str, baseline: object) -> None:
    """Raise a ValueError in the name of `name` unless `baseline` is one of those above."""
    number = isinstance(baseline, (int, float)) and not isinstance(baseline, bool) and math.isfinite(baseline)
    if baseline is not None and baseline not in _IN_BATCH and not number:
        raise ValueError(f"{name}: baseline must be None, a finite number or one of {_IN_BATCH}, got {baseline!r}")


def least_samples(baseline: Baseline) -> int:
    """Return how many samples a baseline needs: 2 if it is made of the batch, else 1."""
    return 2 if baseline in _IN_BATCH else 1


def centre_and_factor(baseline: Baseline, mean: Tensor, k: int) -> tuple[Tensor | float, float]:
    """Return c and s such that A_k = s (f_k − c), given the mean of all k costs."""
    if baseline == "leave-one-out":
        return mean, k / (k - 1)
    if baseline == "mean":
        return mean, 1.0
    return float(baseline or 0.0), 1.0


def advantages(values: Tensor, baseline: Baseline = "leave-one-out") -> Tensor:
    """Return A_k for costs (K, ...), each trailing entry a batch of its own along dim 0.

    Raises:
        ValueError: if the baseline is made of the batch and K < 2.
    """
    check_baseline("advantages", baseline)
    k = values.shape[0]
    if k < least_samples(baseline):
        raise ValueError(f"advantages: baseline {baseline!r} needs at least 2 samples, got {k}")
    c, s = centre_and_factor(baseline, values.mean(0), k)
    return (values - c) * s
