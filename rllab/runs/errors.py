"""Errors a user can act on, and how a script shows them: one line on stderr, no traceback."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from rllab.text import error_stream, printable
from rllab.warned import one_line_warnings


class ResultsConflict(ValueError):
    """A folder holds results that the requested work would mix with or overwrite; nothing was changed.

    Attributes:
        field: of the configuration, that has another value there; "" where it is not one.
    """

    field: str = ""


class SweepFailed(RuntimeError):
    """Some jobs of a sweep raised; the others are finished and on disk."""


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Show a user's error as one line on stderr and exit with code 2, a warning as one line; a context and a decorator.

    A user's errors are ValueError (ResultsConflict among them), OSError and an extra that is not installed; the name of
    the function that raised one, "load_records: …", is no word of the user's, and is left out. Failed jobs exit with 1
    and Ctrl-C with 130, in one line too; any other exception is a bug and keeps its traceback. With RLLAB_TRACEBACK=1
    in the environment everything does.

    A warning is one line, "warning: …", without the line of the source that gave it, and each text is shown once.

    Returns:
        A context, which is a decorator too.

    Example:
        from rllab.runs import one_line_errors

        @one_line_errors()
        def main() -> None:
            print("a ValueError here would be one line and exit code 2")
    """
    try:
        with nullcontext() if os.environ.get("RLLAB_TRACEBACK") else one_line_warnings():
            yield
    except BrokenPipeError:  # the reader of our output, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (ValueError, OSError, SweepFailed, KeyboardInterrupt, ModuleNotFoundError) as error:
        if os.environ.get("RLLAB_TRACEBACK") or (isinstance(error, ModuleNotFoundError) and error.name is not None):
            raise  # the second is a module that somebody forgot, not an extra that says how to install it
        interrupted, failed = isinstance(error, KeyboardInterrupt), isinstance(error, SweepFailed)
        text = "interrupted" if interrupted else f"error: {_text(error)}"
        text = " ".join([text, *getattr(error, "__notes__", [])]).replace("\n", " ")
        print(printable(text), file=error_stream())
        sys.exit(130 if interrupted else 1 if failed else 2)


def _text(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        where = "" if error.filename is None else f"{error.filename}: "
        return f"{where}{error.strerror}"
    function, colon, rest = str(error).partition(": ")
    is_function = re.fullmatch(r"[a-z_]+|\w+\.[a-z_]+", function) and not Path(function).exists()
    return rest if colon and is_function else str(error)
