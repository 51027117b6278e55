"""Checkpoints: one file, written atomically, read without pickle."""

from __future__ import annotations

import pickle
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from rllab.files import write_atomically

FORMAT = 2  # 1 was of version 0.1, with other names of arguments


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
        torch.save({"format": FORMAT, **content}, file)
        file.seek(0)
        torch.load(file, weights_only=True)  # better to fail while there is something to save than when it is gone
    except (pickle.PickleError, AttributeError, TypeError) as error:
        raise ValueError(
            f"{who}: arguments must be numbers, strings and containers of them to be saved, got {content['arguments']}"
        ) from error
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, file.getvalue())


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint; only tensors and plain values are taken from it, so a hostile file runs nothing.

    Returns:
        What was written, with its format; tensors are on the CPU.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a checkpoint of this format.
    """
    try:
        content = torch.load(path, weights_only=True, map_location="cpu")
    except OSError:
        raise
    except Exception as error:  # a damaged file can raise anything: KeyError, IndexError, UnicodeDecodeError, …
        raise ValueError(
            f"load: {path} must be a checkpoint of rllab, got a file that cannot be read as one"
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"load: {path} must be a checkpoint of rllab, format {FORMAT}, got something else")
    return content
