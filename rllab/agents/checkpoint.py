"""Checkpoints: one file, written atomically, read without pickle."""

from __future__ import annotations

import pickle
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from rllab.files import write_atomically

FORMAT = 1


def write_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write tensors, numbers, strings and plain containers; an older file of that name is replaced whole or not at all.

    Raises:
        OSError: the folder cannot be written to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = BytesIO()
    torch.save({"format": FORMAT, **content}, file)
    write_atomically(path, file.getvalue())


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint; only tensors and plain values are taken from it, so a hostile file runs nothing.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a checkpoint of this format.
    """
    try:
        content = torch.load(path, weights_only=True, map_location="cpu")
    except (pickle.UnpicklingError, zipfile.BadZipFile, RuntimeError, EOFError) as error:
        raise ValueError(
            f"load: {path} must be a checkpoint of rllab, got a file that cannot be read as one"
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"load: {path} must be a checkpoint of rllab, format {FORMAT}, got something else")
    return content
