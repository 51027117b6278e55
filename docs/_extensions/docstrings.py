"""Docstrings as help() shows them, plain text, made into what Sphinx reads; napoleon takes the sections from there.

Three things are changed: an indented block is set as it stands, an `Example:` as code, and in all other text the
characters to which reStructuredText gives a meaning have none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

SECTION = re.compile(r"(Args|Attributes|Returns|Raises|Example|Source|Cost|Yields):\s*(.*)$")
CODE = re.compile(r"(`[^`]+`|\*\*[^*\s][^*]*\*\*)")
TABLE = re.compile(r"\|.*\|.*\|$")  # a row of a table
MARKUP = re.compile(r"([*|\\]|_(?=\W|$))")  # |x|, a*b and x_ mean nothing here


def rendered(lines: list[str], of_class: bool) -> list[str]:
    """Return a docstring, without its indentation, as reStructuredText; what a class returns it returns when called."""
    out: list[str] = []
    section = ""
    for block in blocks(lines):
        first = SECTION.match(block[0])
        if first:
            section = first[1]
            if first[2]:  # `Source: text`, which goes on without an indentation
                block = [f"    {line.strip()}" for line in (first[2], *block[1:])]
            else:
                block = block[1:]
            out += [f"{section}:"] if section not in ("Returns", "Yields", "Example") else []
        elif block[0][:1].strip():
            section = ""
        base = "    " if section else ""
        if section == "Example":
            out += ["**Example**", "", ".. code-block:: python", "", *block, ""] if first else [*block, ""]
        elif section in ("Returns", "Yields"):
            indent = "" if of_class else base
            head = "**Returns, when called**" if of_class else f":{section.lower()}:"
            text = [f"{indent}{escaped(line.strip())}" for line in block]
            out += [head, *[""] * of_class, *text, ""] if first else ["", *text, ""]
        elif block[0].startswith("## "):
            body = block[1:]
            is_table = bool(body) and TABLE.match(body[0]) is not None
            out += [f".. rubric:: {block[0][3:]}", "", *(text_block(body, "") if is_table else map(escaped, body)), ""]
        elif is_set(block, base, first is not None):
            out += [*text_block(block, base), ""]
        else:
            out += [*map(escaped, block), ""]
    return out


def blocks(lines: list[str]) -> Iterator[list[str]]:
    """Yield what blank lines part; a section's head and a table begin a block of their own."""
    block: list[str] = []
    for line in [*lines, ""]:
        starts = SECTION.match(line) or line.startswith("## ")
        if block and (not line.strip() or starts or bool(TABLE.match(line)) != bool(TABLE.match(block[-1]))):
            if not (block[0].startswith("## ") and len(block) == 1 and line.strip() and not starts):
                yield block
                block = []
        if line.strip():
            block.append(line.rstrip())


def is_set(block: list[str], base: str, heads: bool) -> bool:
    """Return whether a block is an equation or a table, which keeps its lines: it is indented more than its text."""
    return not heads and (all(line.startswith(f"{base}    ") for line in block) or TABLE.match(block[0]) is not None)


def text_block(block: list[str], base: str) -> list[str]:
    """Return lines that are set as they stand, in one width."""
    return [f"{base}.. code-block:: text", "", *(f"{base}    {line}" for line in block)]


def escaped(line: str) -> str:
    """Return a line of text in which only `code` between backticks means something."""
    parts = CODE.split(line)
    return "".join(part if i % 2 else MARKUP.sub(r"\\\1", part) for i, part in enumerate(parts))


def process(app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    """Replace a docstring's lines; what other libraries wrote is left as it is."""
    if name.startswith("rllab"):
        lines[:] = rendered(lines, what in ("class", "exception"))


def setup(app: Sphinx) -> dict[str, bool]:
    """Go before napoleon, which listens at 500."""
    app.connect("autodoc-process-docstring", process, priority=400)
    return {"parallel_read_safe": True}
