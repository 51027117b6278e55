"""What the commands share: reading records, saying which are damaged, settings and numbers as users type them."""

from __future__ import annotations

import ast
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from rllab.text import error_stream, printable

if TYPE_CHECKING:
    from rllab.runs import Record

Folders = Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="[DIR ...]")]


class Reader:
    """Read the records of folders; name what is damaged, skip it, and remember that there was such a run."""

    def __init__(self) -> None:
        self.skipped: list[Path] = []

    def read(self, folders: Sequence[Path]) -> list[Record]:
        """Return the records that can be read."""
        from rllab.runs import load_records

        return load_records(folders, skipped=self.skip)

    def skip(self, run: Path, why: str) -> None:
        """Name what is damaged, and remember it."""
        self.skipped.append(run)
        print(printable(f"skipped {run}: {why}"), file=error_stream())

    @property
    def code(self) -> int:
        """The exit code: 1 if a run was skipped."""
        return 1 if self.skipped else 0


def find_modules_here() -> None:
    """Let a module of the folder we are in be imported, after all others: an environment's, as mine:Tank-v0."""
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)


def setting(text: str) -> tuple[str, Any]:
    """Return name and value of NAME=VALUE; what is no Python value is a text, but true and false are what they say."""
    name, equals, value = text.partition("=")
    if not equals or not all(part.isidentifier() for part in name.split(".")):
        raise ValueError(f"rllab: --set takes NAME=VALUE, as gamma=0.98, got {text!r}")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, {"true": True, "false": False}.get(value.strip(), value)


def number(name: str, text: str) -> float:
    """Return a number that a flag was given, as 20_000 or 2e4."""
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"rllab: --{name} must be a number, as 20_000 or 2e4, got {text!r}") from None


def short(value: object, most: int = 24) -> str:
    """Return a value as a table shows it, of so many signs at most."""
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= most else text[: most - 1] + "…"
