"""Inventories of the few names of other libraries that docstrings use, written by hand: the build needs no network."""

from __future__ import annotations

import tempfile
import zlib
from pathlib import Path

HEAD = """# Sphinx inventory version 2
# Project: {project}
# Version:
# The remainder of this file is compressed using zlib.
"""


def written_inventories(folder: Path) -> dict[str, tuple[str, str]]:
    """Return what intersphinx is told: for each text file of a folder, the address it begins with and its inventory.

    A file is one address and then a line for each name, as Sphinx has it: name, role, priority, page, `-`.
    """
    out, mapping = Path(tempfile.mkdtemp(prefix="inventories-")), {}
    for source in sorted(folder.glob("*.txt")):
        address, *lines = [line for line in source.read_text("utf-8").splitlines() if line and line[0] != "#"]
        target = out / f"{source.stem}.inv"
        target.write_bytes(HEAD.format(project=source.stem).encode() + zlib.compress("\n".join([*lines, ""]).encode()))
        mapping[source.stem] = (address, str(target))
    return mapping
