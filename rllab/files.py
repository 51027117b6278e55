"""Files that are replaced whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def errors_name(path: str | os.PathLike[str]) -> Iterator[None]:
    """Let what the system refuses name the file it is about, and say of a full disk what to do.

    Raises:
        OSError: what was raised within, with the file; of a full disk, one with more to read.
    """
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            what = (
                f"{error.strerror}: free some space there and go on (--resume, resume=True), or write to another place"
            )
            raise OSError(error.errno, what, os.fspath(path)) from error
        if error.errno is not None:
            error.filename = os.fspath(path)
        raise


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
        with errors_name(path):
            with open(temporary, "xb") as file:
                file.write(content.encode() if isinstance(content, str) else content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
