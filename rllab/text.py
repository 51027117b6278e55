"""Text that may hold anything, shown on a terminal or written to a file; and streams that may not be there."""

from __future__ import annotations

import io
import os
import re
import sys
import textwrap
from contextlib import suppress
from pathlib import Path
from typing import TextIO, cast


def printable(text: object) -> str:
    """Return a text in one line of printable signs; a control sign is shown as its escape, so that it does nothing."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in str(text))


def with_names(doc: str | None, file: str) -> str:
    """Return a package's docstring and below it the names that it shows, which `help` does not list by itself.

    Args:
        file: in which names are shown by lines `from … import X as X`; nothing is imported to find them.
    """
    lines = Path(file).read_text("utf-8")
    names = sorted(set(re.findall(r"import \w+ as ([A-Za-z]\w*)$", lines, re.M)), key=str.lower)
    listed = textwrap.fill(", ".join(names), 110, initial_indent="    ", subsequent_indent="    ")
    return f"{(doc or '').rstrip()}\n\nNames, each with a help of its own:\n\n{listed}\n"


def as_bytes(text: str) -> bytes:
    """Return UTF-8; half of a surrogate pair, which UTF-8 has not, is written as its escape."""
    return text.encode("utf-8", "backslashreplace")


def error_stream() -> TextIO:
    """Return standard error, as long as somebody reads it; what is said to nobody is no reason to end a training.

    Where there is none (a daemon, a closed descriptor), or its reader has gone, a stream that forgets.
    """
    if sys.stderr is None or sys.stderr.closed:
        return open(os.devnull, "w", encoding="utf-8")
    return cast(TextIO, _Heard(sys.stderr))


class _Heard:
    """A stream that drops what it cannot write."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):  # a broken pipe, a terminal that was closed, a stream closed meanwhile
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


def degrade_output() -> None:
    """Let standard output and error show `?` or an escape for a sign that their encoding has not."""
    for stream, how in ((sys.stdout, "replace"), (sys.stderr, "backslashreplace")):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=how)
