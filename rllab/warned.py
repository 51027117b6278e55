"""Warnings: given at the user's line, shown by the command line in one line, and brought from a child to its parent."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from rllab.text import error_stream, printable

COLOURS = re.compile(r"\x1b\[[0-9;]*m")  # which Gymnasium gives its warnings


class Warned(NamedTuple):
    """A warning as it goes from process to process.

    Args:
        text: what it says.
        category: its class, where that is one of Python's own, which every process has.
        file, line: where it was given.
    """

    text: str
    category: type[Warning]
    file: str
    line: int


def warn(text: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line outside of this package that led here."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "rllab":
        level, frame = level + 1, frame.f_back
    warnings.warn(text, category, stacklevel=level)


@contextmanager
def one_line_warnings() -> Iterator[None]:
    """Show a warning as one line on stderr, "warning: …", and each text only once."""
    seen: set[str] = set()

    def show(warned: Warned) -> None:
        text = printable(COLOURS.sub("", warned.text).replace("\n", " "))
        if text not in seen:
            seen.add(text)
            print(f"warning: {text}", file=error_stream())

    with warnings_to(show):
        yield


@contextmanager
def warnings_to(show: Callable[[Warned], object]) -> Iterator[None]:
    """Hand what would be shown of warnings to a function."""
    before = warnings.showwarning

    def hand(message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: object) -> None:
        kind = category if category.__module__ == "builtins" else UserWarning
        show(Warned(str(message), kind, filename, lineno))

    warnings.showwarning = hand
    try:
        yield
    finally:
        warnings.showwarning = before


class ShownOnce:
    """Show warnings that came from children as this process shows its own, each text once."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def __call__(self, warned: Warned) -> None:
        if warned.text not in self._seen:
            self._seen.add(warned.text)
            warnings.showwarning(*warned)
