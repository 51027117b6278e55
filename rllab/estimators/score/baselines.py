"""Baselines for the score function: what is subtracted from a cost before it weighs a score.

    A_k = f_k − b_k        None             b_k = 0
                           a number         b_k = b
                           "moving"         b_k = mean cost of earlier estimates, weighed by decay^(how many ago)
                           "mean"           b_k = f̄, the mean of the batch
                           "leave-one-out"  b_k = the mean of the others
                           "optimal"        b_k = Σ_j f_j s_j² / Σ_j s_j² over the half of the batch without k

A baseline leaves E[A ∇log p] = ∇E f unchanged if b_k is independent of x_k, because E ∇log p = 0. The mean over a batch
that holds x_k itself is not independent of it: it scales the mean of the estimate by exactly 1 − 1/K. Leaving k out
repairs that, and is the same thing times K/(K − 1):

    f_k − (K f̄ − f_k)/(K − 1) = K/(K − 1) · (f_k − f̄)

The baseline of least variance, E[f s²]/E[s²] for each parameter, also has to be estimated from other samples than those
it is subtracted from; here each half of the batch lends its own to the other half.

Sources: Kool, van Hoof & Welling (2019), "Buy 4 REINFORCE samples, get a baseline for free!", eq. 8; Mohamed, Rosca,
Figurnov & Mnih (2020), "Monte Carlo gradient estimation in machine learning", section 7.4; Greensmith, Bartlett &
Baxter (2004), "Variance reduction techniques for gradient estimates in reinforcement learning", section 4.
"""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import numpy as np
from torch import Tensor

from rllab.checks import other_batch_size

Baseline = Literal["leave-one-out", "mean"] | float | None  # those that one batch of costs is enough for
AnyBaseline = Baseline | Literal["moving", "optimal"]
NAMES = ("leave-one-out", "mean")
_IN_BATCH = ("leave-one-out", "mean", "optimal")


def check_baseline(name: str, baseline: object, known: tuple[str, ...] = NAMES) -> None:
    """Raise a ValueError in the name of `name` unless `baseline` is None, a number or one of those `known`."""
    number = isinstance(baseline, (int, float)) and not isinstance(baseline, bool) and math.isfinite(baseline)
    if baseline is not None and baseline not in known and not number:
        wanted = f"None, a finite number or one of {known}" if known else "None or a finite number"
        raise ValueError(f"{name}: baseline must be {wanted}, got {baseline!r}")


def least_samples(baseline: AnyBaseline) -> int:
    """Return how many samples a baseline needs: 2 if it is made of the batch, else 1."""
    return 2 if baseline in _IN_BATCH else 1


def factor(baseline: AnyBaseline, k: int) -> float:
    """Return s such that A_k = s (f_k − c) for a c that is the same for all of a batch, or a half of it."""
    return k / (k - 1) if baseline == "leave-one-out" else 1.0


def advantages(values: Tensor, baseline: Baseline = "leave-one-out") -> Tensor:
    """Return A_k for costs (K, ...), each trailing entry a batch of its own along dim 0.

    Raises:
        ValueError: if the baseline is made of the batch and K < 2.
    """
    check_baseline("advantages", baseline)
    k = values.shape[0]
    if k < least_samples(baseline):
        raise ValueError(f"advantages: baseline {baseline!r} needs at least 2 samples, got {k}")
    if isinstance(baseline, str):
        return (values - values.mean(0)) * factor(baseline, k)
    return values - float(baseline or 0.0)


class MovingMean(NamedTuple):
    """The mean of what was seen before, weighed by decay^(how long ago): b = total/weight."""

    total: Tensor
    weight: float

    @property
    def baseline(self) -> Tensor:
        return self.total / self.weight

    def after(self, mean: Tensor, decay: float) -> MovingMean:
        return MovingMean(decay * self.total + mean, decay * self.weight + 1)


def moving_mean(state: object, batch_shape: tuple[int, ...], name: str) -> MovingMean | None:
    """Return the state of an earlier estimate of such a batch shape, or None if there was none.

    Raises:
        TypeError, ValueError: in the name of `name`, if it is anything else.
    """
    if state is None:
        return None
    if not isinstance(state, MovingMean):
        raise TypeError(f"{name}: state must be that of an earlier estimate, or None, got {type(state).__name__}")
    if state.total.shape != batch_shape:
        got = tuple(state.total.shape)
        hint = other_batch_size(got, batch_shape, batched=True)
        raise ValueError(
            f"{name}: state must be that of an estimate of batch shape {batch_shape}, got one of {got}{hint}"
        )
    return state


def best_constants(ws2: np.ndarray, s2: np.ndarray) -> np.ndarray:
    """Return Σ w s² / Σ s² by parameter, 0 where no score was seen that is not 0."""
    return np.divide(ws2, s2, out=np.zeros_like(s2), where=s2 > 0)


def beside(w: Any, scores: Any) -> Any:
    """Return weights with the trailing dimensions of a parameter added, to multiply its scores: arrays or tensors."""
    return w.reshape((*w.shape, *[1] * (scores.ndim - w.ndim)))
