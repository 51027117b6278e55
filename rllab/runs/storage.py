"""What goes to disk: strict JSON.

JSON (RFC 8259) has no NaN or infinity, so they are stored as the strings "NaN", "Infinity" and "-Infinity", which
float() of Python, numpy, pandas and SQL engines all read. Those three strings are therefore refused as text.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

Scalar = bool | int | float | str | None
Storable = Scalar | list["Storable"] | dict[str, "Storable"]

NONFINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def scalar(value: object, name: str) -> Scalar:
    """Return a number, bool, text or None as JSON holds it; scalars of numpy and torch become Python's.

    Raises:
        TypeError: on anything else, naming `name`.
        ValueError: on a text that stands for a non-finite number.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        if value in NONFINITE:
            raise ValueError(f"{name} must not be the text {value!r}: it stands for the number, give float({value!r})")
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else _name_of(value)
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):  # a scalar of numpy, a tensor of shape ()
        item = value.item()  # type: ignore[attr-defined]
        if isinstance(item, (bool, int, float, str)):
            return scalar(item, name)
    raise TypeError(f"{name} must be a number, text, bool or None, got {_brief(value)}")


def storable(value: object, name: str) -> Storable:
    """Return a nest of mappings, lists, tuples and scalars as JSON holds it: dicts, lists and Python scalars.

    Raises:
        TypeError: on anything else, naming where it stands, as `config.optimizer.lr`.
    """
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"{name}: keys must be strings, got {key!r}")
        return {key: storable(item, f"{name}.{key}") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [storable(item, f"{name}[{i}]") for i, item in enumerate(value)]
    return scalar(value, name)


def restored(value: Storable) -> Storable:
    """Return what `storable` was given, with tuples as lists."""
    if isinstance(value, dict):
        return {key: restored(item) for key, item in value.items()}
    if isinstance(value, list):
        return [restored(item) for item in value]
    return NONFINITE.get(value, value) if isinstance(value, str) else value


def to_json(value: Storable, *, indent: int | None = None) -> str:
    """Return strict JSON of a `storable` value."""
    return json.dumps(value, indent=indent, allow_nan=False)


def read_object(path: Path) -> dict[str, Storable]:
    """Read a file that holds one JSON object, without restoring non-finite numbers.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is not one JSON object, naming the file.
    """
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{path} must hold a JSON object, got {_brief(value)}")
    return value


def _name_of(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _brief(value: object) -> str:
    shape = getattr(value, "shape", None)
    return (
        f"{type(value).__name__} of shape {tuple(shape)}"
        if shape is not None
        else f"{type(value).__name__} {value!r:.60}"
    )
