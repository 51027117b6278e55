"""Text tables, for terminals."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from rllab.text import printable


def table(head: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    """Return lines of cells as aligned text under a head; numbers stand to the right.

    Args:
        head: names of the columns.
        lines: as many cells each.

    Returns:
        The text, without a newline at its end.

    Example:
        from rllab.tables import table

        print(table(["method", "evaluations"], [["spsa", 100], ["gaussian", 1000]]))
    """
    rows = [list(line) for line in lines]
    texts = [list(map(printable, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *texts, strict=True)]
    right = [all(isinstance(cell, int) or cell == "" for cell in column) for column in zip(*rows, strict=True)]
    right = right or [False] * len(head)
    return "\n".join(
        "  ".join(
            cell.rjust(w) if r else cell.ljust(w) for cell, w, r in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in [list(head), *texts]
    )


def shortened(names: Sequence[str]) -> list[str]:
    """Return names for a table, floats to 4 significant digits; in full if two that differ would read the same."""
    short = [re.sub(r"\d+\.\d{4,}(e-?\d+)?", lambda found: f"{float(found[0]):.4g}", name) for name in names]
    return short if len(set(short)) == len(set(names)) else list(names)
