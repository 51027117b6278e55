"""Text that may hold anything, shown on a terminal or written to a file; and streams that may not be there."""

from __future__ import annotations

import io
import os
import sys
from typing import TextIO


def printable(text: object) -> str:
    """Return a text in one line of printable signs; a control sign is shown as its escape, so that it does nothing."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in str(text))


def as_bytes(text: str) -> bytes:
    """Return UTF-8; half of a surrogate pair, which UTF-8 has not, is written as its escape."""
    return text.encode("utf-8", "backslashreplace")


def error_stream() -> TextIO:
    """Return standard error, or where there is none (a daemon, a closed descriptor) a stream that forgets."""
    return sys.stderr if sys.stderr is not None else open(os.devnull, "w", encoding="utf-8")


def degrade_output() -> None:
    """Let standard output and error show `?` or an escape for a sign that their encoding has not."""
    for stream, how in ((sys.stdout, "replace"), (sys.stderr, "backslashreplace")):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=how)
