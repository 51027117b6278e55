"""Which figures are up to date? Every experiment's question, its last recorded run, and the figure that the docs show.

python experiments/overview.py            prints the table
python experiments/overview.py --check    exits with 1 if a figure is older than its script's last recorded run
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, NamedTuple

import tyro

from rllab.tables import table

HERE = Path(__file__).resolve().parent
FIGURES = HERE.parent / "docs" / "figures"


@dataclass(frozen=True)
class Config:
    """The flags of the script."""

    results: Path = Path("results")
    """Folder that holds the records of each script in a folder of its name."""
    check: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Exit with 1 if a figure is out of date."""


class State(NamedTuple):
    """What is known of an experiment: its script, its question, when it was last recorded, and what is wrong, if so."""

    script: str
    question: str
    recorded: str
    wrong: str


def states(results: Path, figures: Path = FIGURES) -> Iterator[State]:
    """Compare each script's last recorded run with its figure, and that with the one the docs show."""
    for script in sorted(HERE.glob("*/*.py")):
        text = script.read_text("utf-8")
        if re.search(r"^if __name__ ==", text, flags=re.M) and script.parent.name != "benchmarks":
            question = " ".join((ast.get_docstring(ast.parse(text)) or "").split("\n\n")[0].split())
            name, runs = f"{script.parent.name}/{script.name}", list((results / script.stem).glob("*/done.json"))
            last = max((run.stat().st_mtime for run in runs), default=None)
            recorded = "not here" if last is None else f"{datetime.fromtimestamp(last):%Y-%m-%d %H:%M}"
            drawn = results / script.stem / f"{script.stem}.png"
            wrong = "" if last is None else fault(last, drawn, figures / drawn.name)
            yield State(name, question, recorded, wrong)


def fault(last: float, drawn: Path, shown: Path) -> str:
    """Say what is wrong with a figure whose last run finished at a time; nothing, if it is up to date."""
    if not drawn.exists():
        return ""  # a script that draws under another name, or a table
    if drawn.stat().st_mtime < last:
        return f"{drawn} is older than the last run: --replot"
    if shown.exists() and shown.read_bytes() != drawn.read_bytes():
        return f"docs show another figure than {drawn}: copy it"
    return ""


def main(config: Config) -> int:
    """Print the table; return the exit code."""
    found = list(states(config.results))
    print(
        table(
            ["script", "last recorded run", "question", ""],
            [[s.script, s.recorded, s.question, s.wrong] for s in found],
        )
    )
    return int(config.check and any(s.wrong for s in found))


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Config, description=__doc__)))
