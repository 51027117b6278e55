"""Checks of arguments that everybody uses: each raises an error that names who asked, the argument and what came.

torch is loaded by the checks of tensors alone, so that reading records and `--help` need not wait for it.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Sequence
from numbers import Real
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

VECTORS = {1: "(d,)", 2: "(B, d)"}  # shapes by rank, as `check_floating` names them


def check_number(who: str, **values: object) -> None:
    """Raise a TypeError unless every value is a real number."""
    for name, value in values.items():
        if not isinstance(value, Real):
            raise TypeError(f"{who}: {name} must be a number, got {value!r}")


def check_finite(who: str, **values: object) -> None:
    """Raise an error unless every value is a real number and finite."""
    _check(who, values, "finite", lambda value: True)


def check_positive(who: str, **values: object) -> None:
    """Raise an error unless every value is a real number, positive and finite."""
    _check(who, values, "positive and finite", lambda value: value > 0)


def check_not_negative(who: str, **values: object) -> None:
    """Raise an error unless every value is a real number, >= 0 and finite."""
    _check(who, values, ">= 0 and finite", lambda value: value >= 0)


def check_fraction(who: str, *, below: bool = False, **values: object) -> None:
    """Raise an error unless every value is a real number in (0, 1], or, if it must be `below` 1, in (0, 1)."""
    if below:
        _check(who, values, "in (0, 1)", lambda value: 0 < value < 1)
    else:
        _check(who, values, "in (0, 1]", lambda value: 0 < value <= 1)


def check_count(who: str, least: int = 1, **values: object) -> None:
    """Raise an error unless every value is an integer >= `least`: TypeError for another type, else ValueError."""
    for name, value in values.items():
        if isinstance(value, bool) or not hasattr(value, "__index__"):
            raise TypeError(f"{who}: {name} must be an integer >= {least}, got {value!r}")
        if operator.index(value) < least:  # type: ignore[arg-type] - it has one
            raise ValueError(f"{who}: {name} must be an integer >= {least}, got {value}")


def as_count(who: str, name: str, value: object, least: int = 1) -> int:
    """Return a whole number >= `least` as an int, given as whatever number it is: 8, 8.0, 1e5, np.int64(8).

    Raises:
        TypeError: it is no number, or a truth value.
        ValueError: it is not whole, or below `least`.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{who}: {name} must be an integer >= {least}, got {value!r}")
    number = float(value)
    if not math.isfinite(number) or number != math.floor(number) or number < least:
        raise ValueError(f"{who}: {name} must be an integer >= {least}, got {value!r}")
    return operator.index(value) if hasattr(value, "__index__") else int(number)  # type: ignore[arg-type] - it has one


def take_counts(of: object, **least: int) -> None:
    """Make ints of fields of a frozen dataclass that count something, each at least so many; see `as_count`."""
    for name, few in least.items():
        object.__setattr__(of, name, as_count(type(of).__name__, name, getattr(of, name), few))


def check_seed(who: str, seed: object) -> int:
    """Return a seed, which is an integer of any sign and type, as an int; raise a TypeError if it is none."""
    if isinstance(seed, bool) or not hasattr(seed, "__index__"):
        raise TypeError(f"{who}: seed must be an integer, got {seed!r}")
    return operator.index(seed)  # type: ignore[arg-type] - it has one


def as_widths(who: str, name: str, value: object) -> tuple[int, ...]:
    """Return widths >= 1 of hidden layers as a tuple, which may be empty; raise an error that names what came if not.

    Raises:
        TypeError: it is no sequence, or holds what is no number.
        ValueError: a width is not whole, or below 1.
    """
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise TypeError(f"{who}: {name} must be widths >= 1 of hidden layers, such as (64, 64), got {value!r}")
    widths = tuple(value)
    try:
        return tuple(as_count(who, name, width) for width in widths)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{who}: {name} must be widths >= 1, got {widths}") from None


def check_truth(who: str, **values: object) -> None:
    """Raise a TypeError unless every value is True or False: a text, "false" say, would be taken for true."""
    for name, value in values.items():
        if not isinstance(value, bool):
            raise TypeError(f"{who}: {name} must be True or False, got {value!r}")


def check_one_of(who: str, allowed: Sequence[object], **values: object) -> None:
    """Raise a ValueError unless every value is one of those allowed."""
    for name, value in values.items():
        if value not in allowed:
            raise ValueError(f"{who}: {name} must be one of {tuple(allowed)}, got {value!r}")


def check_parameters(who: str, at: object, *, half: bool = True) -> Tensor:
    """Return `at` if it is a floating tensor (d,) or (B, d) with d >= 1; raise an error that says so if not.

    Args:
        half: whether it may be of half precision.
        who: begins the error.
        at: what came.

    Returns:
        `at` itself.

    Raises:
        TypeError: it is no tensor, or not of a floating dtype that is wanted.
        ValueError: it has another shape.

    Example:
        import torch
        from rllab.estimators import check_parameters

        check_parameters("MyEstimator", torch.ones(3))
    """
    import torch

    if not isinstance(at, torch.Tensor):
        raise TypeError(f"{who}: at must be a tensor of parameters, got {type(at).__name__}")
    if at.ndim not in (1, 2) or at.numel() == 0:
        raise ValueError(f"{who}: at must be (d,) or (B, d) with d >= 1, got {tuple(at.shape)}")
    if not at.is_floating_point():
        raise TypeError(f"{who}: at must be a floating-point tensor, got {at.dtype}")
    if not half and at.dtype in (torch.float16, torch.bfloat16):
        raise TypeError(f"{who}: at must be of single or double precision, got {at.dtype}; convert it: at.float()")
    return at


def check_floating(who: str, name: str, value: object, shapes: dict[int, str]) -> Tensor:
    """Return a tensor if it is floating, not empty, and of one of the `shapes` by rank; raise a ValueError if not."""
    import torch

    ok = isinstance(value, torch.Tensor) and value.is_floating_point() and value.ndim in shapes and value.numel() > 0
    if not ok or not isinstance(value, torch.Tensor):
        got = f"{tuple(value.shape)} {value.dtype}" if isinstance(value, torch.Tensor) else type(value).__name__
        raise ValueError(f"{who}: {name} must be a floating tensor {' or '.join(shapes.values())}, got {got}")
    return value


def check_logits(who: str, logits: object, shapes: dict[int, str]) -> None:
    """Raise a ValueError unless logits are finite floats of one of the `shapes` by rank."""
    import torch

    value = check_floating(who, "logits", logits, shapes)
    if not torch.isfinite(value).all():
        raise ValueError(f"{who}: logits must be finite, got {value[~torch.isfinite(value)][0].item()}")


def check_positive_everywhere(who: str, name: str, value: Tensor) -> None:
    """Raise a ValueError unless a tensor is positive and finite everywhere."""
    import torch

    if not bool((value > 0).all()):
        raise ValueError(f"{who}: {name} must be positive everywhere, got a minimum of {value.min().item()}")
    if not bool((value < torch.inf).all()):
        raise ValueError(f"{who}: {name} must be finite, got {value.max().item()}")


def positive_beside(who: str, name: str, value: Tensor | float, leader_name: str, leader: Tensor) -> Tensor:
    """Return a positive number or tensor expanded to the shape, dtype and device of the parameter that leads."""
    import torch

    value = torch.as_tensor(value, dtype=leader.dtype, device=leader.device)
    try:
        value = value.expand(leader.shape)
    except RuntimeError:
        wanted, got = tuple(leader.shape), tuple(value.shape)
        raise ValueError(f"{who}: {name} must broadcast to {leader_name}'s shape {wanted}, got {got}") from None
    check_positive_everywhere(who, name, value)
    return value


def other_batch_size(got: tuple[int, ...], wanted: tuple[int, ...], *, batched: bool) -> str:
    """Return what an error of a state's shape adds where it is that of a batch of another size; "" where it is not."""
    if not batched or len(got) != len(wanted) or got[1:] != wanted[1:]:
        return ""
    return (
        f": each row of a batch keeps a state of its own; keep to batches of {got[0]} (drop_last=True in a "
        "DataLoader), or take an estimator without a state"
    )


def _check(who: str, values: dict[str, object], wanted: str, holds: Callable[[float], bool]) -> None:
    check_number(who, **values)
    for name, value in values.items():
        if not (math.isfinite(value) and holds(value)):  # type: ignore[arg-type] - a real number
            raise ValueError(f"{who}: {name} must be {wanted}, got {value}")
