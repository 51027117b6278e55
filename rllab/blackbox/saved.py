"""What an estimator has learned, as tensors and plain values that a file may hold and `torch.load` reads unpickled."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor

from rllab.critics import CriticState
from rllab.estimators import ControlVariateState
from rllab.estimators.score.baselines import MovingMean
from rllab.estimators.score.importance_weighted import Weights
from rllab.estimators.smoothing.guided import Guide

STATES: dict[str, Any] = {cls.__name__: cls for cls in (CriticState, ControlVariateState, Guide, MovingMean, Weights)}


def plain_state(who: str, state: object) -> object:
    """Return an estimator's state as tensors, numbers, strings and containers of them; `restored_state` undoes it.

    Raises:
        TypeError: it holds something else, which could not be loaded again.
    """
    name = type(state).__name__
    if STATES.get(name) is type(state):
        state = {"class": name, "fields": {field: getattr(state, field) for field in _names(type(state))}}
    elif isinstance(state, dict):
        state = {"class": "dict", "fields": state}
    _check_plain(who, state)
    return state


def restored_state(who: str, saved: object) -> Any:
    """Return the state of which `plain_state` made this.

    Raises:
        ValueError: it was not made so.
    """
    if not isinstance(saved, dict):
        return saved
    name, values = saved.get("class"), saved.get("fields")
    if name == "dict" and isinstance(values, dict):
        return values
    cls = STATES.get(name) if isinstance(name, str) else None
    if cls is None or not isinstance(values, dict) or set(values) != set(_names(cls)):
        got = f"{name!r} with {sorted(map(str, values)) if isinstance(values, dict) else values!r:.80}"
        raise ValueError(f"{who}: what its estimator learned must be one of {tuple(STATES)} with its fields, got {got}")
    return cls(**values)


def _names(cls: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(cls)) if is_dataclass(cls) else cls._fields


def _check_plain(who: str, value: object) -> None:
    if type(value) is dict:
        for name, part in value.items():
            _check_plain(who, name)
            _check_plain(who, part)
    elif type(value) in (tuple, list):
        for part in value:  # type: ignore[attr-defined] - one of the two
            _check_plain(who, part)
    elif not isinstance(value, Tensor) and type(value) not in (int, float, str, bool, type(None)):
        raise TypeError(
            f"{who}: the state of an estimator must be tensors, numbers, strings and containers of them to be saved, "
            f"got {type(value).__name__}"
        )
