"""Batches: what is demanded of a user's function of many points, and what to say of one that takes a single point."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

RELATIVE, ABSOLUTE = 1e-4, 1e-6  # what single precision may make of one row in a batch and alone


def as_numbers(y: object, who: str = "") -> Tensor:
    """Return an answer as a tensor; a Python float stays float64 this way.

    Raises:
        TypeError: in the name of `who`, if it is not made of numbers: None, text, a ragged list.
    """
    if isinstance(y, Tensor):
        return y
    try:
        return torch.as_tensor(np.array(y))
    except (TypeError, ValueError) as error:  # numpy on a ragged list, torch on text and objects
        raise TypeError(f"{who}: function must return numbers, got {y!r:.80}" if who else str(error)) from None


def check_rows_apart(who: str, among: Tensor, evaluate: Callable[[], Tensor]) -> None:
    """Raise a ValueError unless a row gives the same answer among others and alone, up to single precision.

    Args:
        among: (1, …), the answer to a row among others.
        evaluate: returns the answer to the row alone.
    """
    cure = (
        "rows that share statistics have no gradient of their own, and noise must come from seeds (seeded=True) or be "
        "declared (noisy=True)"
    )
    try:
        alone = evaluate()
    except Exception as error:
        raise ValueError(
            f"{who}: a row must give the same alone and among others, but alone it fails; {cure}"
        ) from error
    a, b = among.double().reshape(-1), alone.double().reshape(-1)
    if a.shape != b.shape or not torch.allclose(a, b, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True):
        got = f"{b.tolist()} and {a.tolist()}"
        raise ValueError(f"{who}: a row must give the same alone and among others, got {got}; {cure}")


def cure_for(function: Callable[..., object], points: Tensor, seeds: Tensor | None) -> tuple[int, str]:
    """Try a function that failed at many points on the last one, as a tensor and as an array.

    Returns:
        How many evaluations that took, at most 2, and how the function should be given; "" where it fails at one point
        too.
    """
    cures = (
        (points[-1], "one that takes a single point needs batched=False"),
        (points[-1].numpy(force=True), "one that takes a single array needs batched=False, and .numpy() of its point"),
    )
    seed = () if seeds is None else (int(seeds[-1]),)
    for tried, (point, cure) in enumerate(cures, start=1):
        try:
            answer = as_numbers(function(point, *seed))
        except Exception:  # whatever the function raises; its first error is shown
            continue
        if answer.numel() == 1 and not answer.is_complex():
            return tried, cure
    return len(cures), ""
