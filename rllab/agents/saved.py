"""Saved: an agent's arguments and state as plain values, and the checks of those that a file gives."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rllab import critics, estimators
from rllab.agents.schedules import Linear
from rllab.agents.setting_names import no_setting
from rllab.checkpoint import CLASS, digest
from rllab.critics import CriticState
from rllab.estimators import Estimator
from rllab.estimators.control_variates.state import ControlVariateState

OWN = "rllab_envs"  # the one module that a file may have imported

GIVEN_UP = (
    "the environment does not repeat an episode from its seed and actions, or is another one than the agent was saved "
    "with: the episode that was under way then is given up, and learning begins another"
)


def plain(who: str, value: Any) -> Any:
    """Return a value with estimators and their states as dicts, and numpy's numbers as Python's.

    Raises:
        ValueError: there is an estimator in it whose class `unplain` would not find; in the name of `who`.
    """
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Estimator | CriticState | ControlVariateState | Linear) and is_dataclass(value):
        name = _name_of(type(value))
        if _classes().get(name) is not type(value):
            raise ValueError(f"{who}: to be saved, no two estimators may be called {name}")
        given = {f.name: getattr(value, f.name) for f in fields(value) if f.init}
        return {CLASS: name, **{part: plain(who, held) for part, held in given.items()}}
    if isinstance(value, Mapping):
        return {name: plain(who, part) for name, part in value.items()}
    if type(value) is list or type(value) is tuple:
        return type(value)(plain(who, part) for part in value)
    return value.detach() if isinstance(value, Tensor) else value


def unplain(value: Any) -> Any:
    """Return what `plain` was given.

    Raises:
        ValueError: a class is none of this lab, nor an estimator of a module that is imported already, or it refuses
            what it is given.
    """
    if isinstance(value, dict):
        parts = {name: unplain(part) for name, part in value.items() if name != CLASS}
        if CLASS not in value:
            return parts
        kind = _classes().get(value[CLASS]) if isinstance(value[CLASS], str) else None
        if kind is None:
            raise ValueError(
                f"estimators must be known, got {value[CLASS]!r}; one of your own must be imported before it is loaded"
            )
        return kind(**parts)
    if type(value) in (list, tuple):
        return type(value)(unplain(part) for part in value)
    return value


def plain_arguments(who: str, arguments: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the arguments that a file can hold, as `plain` makes them, and a text of each that it cannot, by name.

    Raises:
        ValueError: there is an estimator whose class `unplain` would not find; in the name of `who`.
    """
    held, missing = {}, {}
    for name, value in arguments.items():
        value = plain(who, value)
        try:
            digest(value)
        except TypeError:  # it is no plain value
            missing[name] = f"{arguments[name]!r:.200}"
        else:
            held[name] = value
    return held, missing


def take_again(
    names: set[str], unsaved: set[str], held: object, missing: object, given: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the arguments of a file, which has none of the `unsaved` ones, with those that are given in their places.

    Raises:
        ValueError: an argument is neither in the file nor given, or one is given that there is not.
    """
    if not isinstance(held, dict) or not isinstance(missing, dict):
        raise ValueError(f"arguments must be by name, got {held!r:.60} and {missing!r:.60}")
    if unknown := [name for name in given if name not in names]:
        raise ValueError(no_setting("it", unknown[0], names))
    lacking = {name: said for name, said in missing.items() if name not in given}
    if lacking:
        were = ", ".join(f"{name} (it was {said})" for name, said in lacking.items())
        how = ", ".join(f"{name}=…" for name in lacking)
        also = ", on the command line --environment MODULE:ID" if list(lacking) == ["environment"] else ""
        raise ValueError(f"it does not hold {were}: give load(path, {how}){also}")
    check_names("arguments", {**held, **missing}, names - unsaved)
    return {**held, **given}


def check_environment(environment: object) -> None:
    """Raise a ValueError if making this environment would import a module that only the file names."""
    module, colon, _ = str(environment).rpartition(":")
    if colon and module != OWN and module not in sys.modules:
        raise ValueError(
            f"its environment {environment!r} is of the module {module}, which is not imported because a file says so: "
            f"import it before, or give load(path, environment=…), on the command line --environment {environment}"
        )


def check_names(what: str, value: object, names: set[str]) -> dict[str, Any]:
    """Return a dict if its keys are those; raise a ValueError if not."""
    if not isinstance(value, dict) or set(value) != names:
        got = sorted(map(str, value)) if isinstance(value, dict) else type(value).__name__
        raise ValueError(f"{what} must be of {sorted(names)}, got {got}")
    return value


def check_tensor(what: str, value: object, shape: tuple[int | None, ...], dtype: torch.dtype = torch.float32) -> Tensor:
    """Return a tensor if it has this shape, where None stands for any length, and dtype; raise a ValueError if not."""
    if isinstance(value, Tensor) and value.dtype == dtype and value.ndim == len(shape):
        if all(wanted in (None, got) for wanted, got in zip(shape, value.shape, strict=True)):
            return value
    got = f"{tuple(value.shape)} {value.dtype}" if isinstance(value, Tensor) else repr(value)[:60]
    raise ValueError(f"{what} must be a tensor {shape} {dtype}, got {got}")


def check_whole(what: str, value: object, least: int = 0) -> int:
    """Return an int if it is one >= `least`; raise a ValueError if not."""
    if type(value) is not int or value < least:
        raise ValueError(f"{what} must be an integer >= {least}, got {value!r:.60}")
    return value


def take(what: str, kept: Mapping[str, Tensor], state: object) -> None:
    """Copy tensors out of a file over tensors of the same names, shapes and dtypes.

    Raises:
        ValueError: names, a shape or a dtype are others; nothing is copied then.
    """
    given = check_names(what, state, set(kept))
    for name, tensor in kept.items():
        check_tensor(f"{what} {name}", given[name], tuple(tensor.shape), tensor.dtype)
    with torch.no_grad():
        for name, tensor in kept.items():
            tensor.copy_(given[name])


def _name_of(kind: type) -> str:
    """Return a class's name if it is this lab's, "module:name" if not."""
    return kind.__name__ if kind in _lab() else f"{kind.__module__}:{kind.__qualname__}"


def _lab() -> set[type]:
    found = {thing for home in (estimators, critics) for thing in vars(home).values() if isinstance(thing, type)}
    return {kind for kind in found if issubclass(kind, Estimator)} | {CriticState, ControlVariateState, Linear}


def _classes() -> dict[str, Any]:
    """Return the classes a file may name: this lab's, and every estimator that somebody has imported."""
    return {_name_of(kind): kind for kind in (*_below(Estimator), *_lab())}


def _below(kind: type) -> Iterator[type]:
    for below in kind.__subclasses__():
        yield below
        yield from _below(below)
