"""What the tests know of the pages: which there are, the Python in them, and how a page is run as a reader would."""

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(page for page in DOCS.rglob("*.md") if not page.relative_to(DOCS).parts[0].startswith("_"))
FILE = re.compile(r"# ([\w/.]+\.(?:py|md))(?:, below: (.+))?\n")  # the first line of a block that goes into a file


@dataclass(frozen=True)
class Block:
    """A block of code of a page: its language, its text, and the line before its first."""

    language: str
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    """Return the blocks of code of a page, in order."""
    text = page.read_text("utf-8")
    found = re.finditer(r"^```([\w-]+)\n(.*?)^```$", text, flags=re.S | re.M)
    return [Block(match[1], match[2], text[: match.start(2)].count("\n")) for match in found]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def run(page: Path) -> None:
    """Run the Python of a page in one session, block after block, as it is told to be pasted.

    A block that guards its work by `__main__` is a script: it is a file, which workers import, and has names of its
    own. It is run in this process all the same, where torch is loaded. Blocks that say which file they are stand for
    themselves: see `test_contributing`.
    """
    session, before = ModuleType("__main__"), sys.modules["__main__"]
    try:
        for block in blocks(page):
            if block.language != "python" or FILE.match(block.text):
                continue
            main = session
            if 'if __name__ == "__main__":' in block.text:
                script = Path(f"script_{block.line}.py").resolve()
                script.write_text(block.text, "utf-8")
                main = ModuleType("__main__")
                main.__file__ = str(script)
            sys.modules["__main__"] = main  # classes of a page can be pickled then
            exec(compile("\n" * block.line + block.text, str(page), "exec"), vars(main))
    finally:
        sys.modules["__main__"] = before
