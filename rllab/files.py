"""Files that are replaced whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def said_if_full(path: str | os.PathLike[str]) -> Iterator[None]:
    """Let an error of a full disk say which file there was no room for, and what to do.

    Raises:
        OSError: what was raised within; of a full disk, one with more to read.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        what = f"{error.strerror}: make room there, then go on, if it is a run with --resume or resume=True"
        raise OSError(error.errno, what, os.fspath(path)) from error


def write_atomically(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Write a file so that whoever reads `path`, whenever this process dies, finds the old content or the new.

    A temporary file in the same folder is written, forced to disk and then renamed over `path`.

    Args:
        path: of the file, in a folder that exists.
        content: text, written as UTF-8, or bytes.

    Raises:
        OSError: if it cannot be written; the old file is then as it was.

    Example:
        import tempfile
        from rllab.runs import write_atomically

        with tempfile.TemporaryDirectory() as folder:
            write_atomically(f"{folder}/notes.txt", "whole or not at all")
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with said_if_full(path), open(temporary, "xb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
