"""Files that are replaced whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


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
        with open(temporary, "xb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if (
            isinstance(error, OSError) and error.errno is not None
        ):  # of a full disk it would name no file, of others one that is nobody's
            error.filename = str(path)
        raise
