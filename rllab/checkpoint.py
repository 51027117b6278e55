"""Checkpoints: one file, written atomically, read without pickle, and used only if it is as it was written."""

from __future__ import annotations

import hashlib
import pickle
import sys
from dataclasses import fields, is_dataclass
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from rllab.files import write_atomically

CLASS = "rllab.class"  # in a file, the key of a dataclass's name
FORMAT = 3  # 1 was of version 0.1, with other names of arguments; 2 had no digest


def write_checkpoint(who: str, path: Path, content: dict[str, Any]) -> None:
    """Write tensors, numbers, strings and plain containers; an older file of that name is replaced whole or not at all.

    Args:
        who: the writer, for errors.
        path: its folder is made if there is none.
        content: with the key "arguments", which an error names.

    Raises:
        ValueError: the content holds something else, which `read_checkpoint` would refuse; in the name of `who`.
        OSError: the folder cannot be written to.
    """
    file = BytesIO()
    try:
        torch.save({"format": FORMAT, "digest": digest(content), **content}, file)
        file.seek(0)
        torch.load(file, weights_only=True)  # better to fail while there is something to save than when it is gone
    except (pickle.PickleError, AttributeError, TypeError) as error:
        raise ValueError(
            f"{who}: arguments must be numbers, strings and containers of them to be saved, got {content['arguments']}"
            f" ({error})"
        ) from error
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, file.getvalue())


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint; only tensors and plain values are taken from it, so a hostile file runs nothing.

    Returns:
        What was written; tensors are on the CPU.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a checkpoint of this format, or is damaged.
    """
    raw = path.read_bytes()
    try:
        content = torch.load(BytesIO(raw), weights_only=True, map_location="cpu")
    except Exception as error:  # a damaged file can raise anything: OSError, KeyError, UnicodeDecodeError, …
        raise ValueError(
            f"load: {path} must be a checkpoint of rllab, got a file that cannot be read as one"
        ) from error
    if not isinstance(content, dict) or type(content.get("format")) is not int or content.pop("format") != FORMAT:
        raise ValueError(f"load: {path} must be a checkpoint of rllab, format {FORMAT}, got something else")
    noted = content.pop("digest", None)
    try:
        found = digest(content)
    except Exception as error:  # whatever is no plain value, or a tensor whose numbers cannot be read
        raise ValueError(f"load: {path} must be a checkpoint of rllab, got other values: {error}") from error
    if noted != found:
        raise ValueError(f"load: {path} must be a checkpoint of rllab as it was written, got a damaged or changed one")
    return content


def as_plain(value: Any) -> Any:
    """Return a nest of plain values and dataclasses, as states of estimators are, with each dataclass as a dict."""
    if isinstance(value, dict):
        return {key: as_plain(part) for key, part in value.items()}
    if type(value) is list or type(value) is tuple:
        return type(value)(as_plain(part) for part in value)
    if isinstance(value, torch.Tensor):
        return value.detach()
    if is_dataclass(value) and not isinstance(value, type):
        name = f"{type(value).__module__}:{type(value).__qualname__}"
        return {CLASS: name, **{f.name: as_plain(getattr(value, f.name)) for f in fields(value) if f.init}}
    return value


def from_plain(value: Any) -> Any:
    """Return what `as_plain` was given.

    Raises:
        ValueError: a class is no dataclass of this lab, nor of a module that is imported already.
    """
    if isinstance(value, dict):
        parts = {key: from_plain(part) for key, part in value.items() if key != CLASS}
        return _dataclass_called(value[CLASS])(**parts) if CLASS in value else parts
    if type(value) in (list, tuple):
        return type(value)(from_plain(part) for part in value)
    return value


def _dataclass_called(name: object) -> Any:
    module, _, kind = str(name).partition(":")
    if module.partition(".")[0] == __name__.partition(".")[0]:
        import_module(module)
    found = getattr(sys.modules.get(module), kind, None)
    if not isinstance(found, type) or not is_dataclass(found):
        raise ValueError(f"load: a state of the class {name!r} is in the file, which must be imported before")
    return found


def digest(content: object) -> str:
    """Return SHA-256 over all that a nested plain value says: types, order, numbers to the last bit.

    Raises:
        TypeError: there is something else in it than tensors, numbers, strings, None, and dicts, lists and tuples.
    """
    sha = hashlib.sha256()
    _add(sha, content)
    return sha.hexdigest()


def _add(sha: Any, value: object) -> None:
    if type(value) is dict:
        sha.update(b"{%d" % len(value))
        for key, part in value.items():
            _add(sha, key)
            _add(sha, part)
    elif type(value) in (list, tuple):
        sha.update(b"%s%d" % (b"[" if type(value) is list else b"(", len(value)))  # type: ignore[arg-type] - sized
        for part in value:  # type: ignore[attr-defined]
            _add(sha, part)
    elif type(value) is torch.Tensor:
        sha.update(f"t{value.dtype}{tuple(value.shape)}".encode())
        sha.update(value.detach().contiguous().reshape(-1).view(torch.uint8).numpy())
    elif value is None or type(value) in (bool, int, float, str):
        text = repr(value).encode()
        sha.update(b"%s%d:%s" % (type(value).__name__.encode(), len(text), text))
    else:
        raise TypeError(f"{type(value).__name__} is no plain value")
