"""Batches: what is demanded of a user's function of many points and of its answers, and what to say if it fails."""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable
from inspect import signature
from numbers import Real
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from rllab.arrays import single_at_least, wider

RELATIVE, ABSOLUTE = 1e-4, 1e-6  # what single precision may make of one row in a batch and alone
ARRAYS = "Cost: function is given tensors; one that computes with numpy takes their .numpy()"


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


def cure_for(
    function: Callable[..., object], run: Callable[..., object], points: Tensor, seeds: Tensor | None, error: Exception
) -> tuple[int, str]:
    """Try a function that failed at many points on the last one, as a tensor and as an array.

    Args:
        run: calls the function where it is evaluated.
        error: that it failed with; see `hint_at_call` if it fails at one point too.

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
            answer = as_numbers(run(point, *seed))
        except Exception:  # whatever the function raises; its first error is shown
            continue
        if answer.numel() == 1 and not answer.is_complex():
            return tried, cure
    hint_at_call(error, function, ("points", "seeds") if seed else ("points",))
    return len(cures), ""


def calls_numpy(error: BaseException) -> bool:
    """Whether a user's function, which torch was to differentiate, has made arrays of its tensors."""
    return isinstance(error, RuntimeError) and "numpy() on Tensor that requires grad" in str(error)


def hint_at_call(error: Exception, function: Callable[..., object], given: tuple[str, ...]) -> None:
    """Say in an error of a user's function, where it may be due to it, what it is called with.

    Args:
        given: names of its arguments. A function that takes another number of them is told so; any other, that they are
            tensors, and no arrays.
    """
    if not isinstance(error, (TypeError, AttributeError)):
        return
    if _takes(function, len(given)):
        error.add_note(ARRAYS)
    else:
        why = "seeded=True" if given[-1].startswith("seed") else "one that takes a seed too needs seeded=True"
        error.add_note(f"Cost: it is called with ({', '.join(given)}): {why}")


def _takes(function: Callable[..., object], count: int) -> bool:
    """Whether a function can be called with so many arguments, as far as its signature says."""
    try:
        parameters = signature(function)
    except (TypeError, ValueError):  # a function that is compiled may have none
        return True
    try:
        parameters.bind(*range(count))
    except TypeError:
        return False
    return True


def note_where(error: Exception, first: int, points: Tensor, row: int | None) -> None:
    """Say in an error of a user's function at which evaluation and point it came up.

    Args:
        first: the number of the first of these evaluations.
        row: the one that failed; None where the function was given all points at once.
    """
    more = f", or one of the {len(points) - 1} after it" if row is None and len(points) > 1 else ""
    row = row or 0
    error.add_note(f"Cost: this came up at evaluation {first + row} at point {brief(points[row])}{more}")


class FiniteCosts:
    """Check costs that came back: NaN and infinity are an error, or a number stands for them.

    Args:
        nonfinite: "raise", or that number.

    Attributes:
        replaced: for how many costs it stood so far.

    Raises:
        ValueError: it is neither "raise" nor a finite number.
    """

    def __init__(self, nonfinite: Literal["raise"] | float):
        if nonfinite != "raise" and not (isinstance(nonfinite, Real) and math.isfinite(nonfinite)):
            raise ValueError(f'Cost: nonfinite must be "raise" or a finite number, got {nonfinite!r}')
        self.nonfinite: Literal["raise"] | float = nonfinite
        self.replaced = 0

    def __call__(self, y: Tensor, points: Tensor, first: int) -> Tensor:
        """Return costs (n,) of points (n, d), on their device and at least as wide, detached.

        Args:
            first: the number of the first of these evaluations, for errors.

        Raises:
            ValueError: there are not n of them.
            TypeError: they are real at complex points, or the reverse.
            FloatingPointError: one is not finite, under "raise".
        """
        n, d = points.shape
        if y.requires_grad:  # a parameter returned as it is
            y = y.detach()
        if y.shape != (n,):
            raise ValueError(f"Cost: function must return ({n},) costs for ({n}, {d}) points, got {tuple(y.shape)}")
        if y.dtype != points.dtype or y.device != points.device or not y.dtype.is_floating_point:
            if y.is_complex() != points.is_complex():
                given, got = ("complex", "real") if points.is_complex() else ("real", "complex")
                raise TypeError(f"Cost: function must return {given} costs for {given} points, got {got} ones")
            y = y.to(points.device, wider(y.dtype, points.dtype))
        # NaN and infinity survive summation; a finite batch whose sum overflows is cleared by the second look.
        if cmath.isfinite(y.sum().item()) or torch.isfinite(y).all():
            return y
        finite = torch.isfinite(y)
        if self.nonfinite == "raise":
            i = int((~finite).nonzero()[0])
            raise FloatingPointError(
                f"Cost: evaluation {first + i} is {y[i].item()} at point {brief(points[i])}; "
                "pass nonfinite=<number> to score such points instead"
            )
        self.replaced += n - int(finite.sum())
        y = single_at_least(y)  # half precision has no large numbers
        return torch.where(finite, y, torch.full_like(y, float(self.nonfinite)))


def checked_derivative(what: str, dy: Tensor, shape: torch.Size, points: Tensor, first: int) -> Tensor:
    """Return derivatives of `shape` with the dtype and device of the points, detached.

    Raises:
        ValueError: they have another shape.
        FloatingPointError: one is not finite, naming evaluation and point.
    """
    dy = dy.to(points)
    if dy.shape != shape:
        raise ValueError(f"Cost: {what} must return {tuple(shape)}, got {tuple(dy.shape)}")
    if not math.isfinite(dy.sum().item()):
        bad = ~torch.isfinite(dy).reshape(len(dy), -1).all(-1)
        if bad.any():
            i = int(bad.nonzero()[0])
            raise FloatingPointError(f"Cost: {what} {first + i} is not finite at point {brief(points[i])}")
    return dy.detach()


def brief(point: Tensor) -> str:
    """Return the first numbers of a point, for errors."""
    shown = ", ".join(f"{v:.6g}" for v in point[:6].tolist())
    return f"[{shown}{', …' if point.numel() > 6 else ''}]"
