"""The `rllab` command: one dataclass per sub-command, whose fields are its flags; `--help` answers without torch."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from rllab.runs import Record, limit_threads, load_records, one_line_errors
from rllab.runs.rows import last_row
from rllab.tables import table
from rllab.text import degrade_output, error_stream, printable
from rllab.version import __version__

DESCRIPTION = "A gradient-estimation lab for reinforcement learning. `rllab --version` prints its version."

MOST = 10_000_000  # parameters that are made to ask every estimator for its price: in seconds, in a gigabyte

Folders = Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="[DIR ...]")]


@dataclass(frozen=True)
class Plot:
    """Overlay the learning curves of recorded runs, whichever experiments they come from; write PNG and SVG."""

    folders: Folders = (Path("results"),)
    """Runs, or folders with runs somewhere below."""
    x: str = "steps"
    """Column of the rows for the horizontal axis, such as steps or seconds."""
    y: str = "evaluation"
    """Column of the rows for the vertical axis."""
    out: Path = Path("comparison.png")
    """The figure; the other format is written beside it."""
    log: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Make the horizontal axis logarithmic."""

    def run(self) -> None:
        records = _records(self.folders)
        from rllab import plots

        figure, (ax,) = plots.panels()
        plots.curves(ax, records, self.x, self.y, log=self.log)
        print(plots.save(figure, self.out))


@dataclass(frozen=True)
class Runs:
    """List recorded runs: where they are, what they are, how far they came, and what they concluded."""

    folders: Folders = (Path("results"),)
    """Runs, or folders with runs somewhere below."""

    def run(self) -> None:
        print(
            table(["run", "method", "seed", "status", "rows", "steps", "summary"], map(_line, _records(self.folders)))
        )


@dataclass(frozen=True)
class Estimators:
    """List the gradient estimators: what each estimates, what it asks of a cost, its price, and where it comes from."""

    dimension: int = 20
    """Number of parameters d for which the fewest evaluations are given."""

    def run(self) -> None:
        if not 1 <= self.dimension <= MOST:
            raise ValueError(f"rllab estimators: dimension must be >= 1 and <= {MOST:,}, got {self.dimension}")
        import torch

        from rllab import critics
        from rllab.testing import accepted_kinds, exported_estimators

        head = ["estimator", "at", "target", "unbiased", "needs", f"evaluations, d = {self.dimension}", "source"]
        lines = []
        for cls in (*exported_estimators(), *exported_estimators(critics)):
            estimator, kinds = cls(), accepted_kinds(cls())
            try:
                least = estimator.minimum(next(iter(kinds.values()))(torch.zeros(self.dimension)))
                evaluations = f"{least:,}" if least < 10**9 else f"10^{math.log10(least):.0f}"
            except ValueError:  # Sobol' points have at most 21,201 coordinates
                evaluations = "cannot"
            unbiased = "yes" if estimator.unbiased else "no" if estimator.order is None else f"O(h^{estimator.order})"
            source = "; ".join(text.strip() for text in re.findall(r"[^;]+?\(\d{4}\)", estimator.source))
            needs, target = ", ".join(sorted(estimator.needs)), _short(str(estimator.target), 40)
            lines.append([cls.__name__, "|".join(kinds), target, unbiased, needs, evaluations, source])
        print(table(head, lines))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if arguments == ["--version"]:
        print(__version__)
        return
    command = tyro.cli(Plot | Runs | Estimators, prog="rllab", description=DESCRIPTION, args=arguments)
    limit_threads()
    degrade_output()
    with one_line_errors():
        command.run()


def _records(folders: Sequence[Path]) -> list[Record]:
    """Read what can be read; name what is damaged."""

    def skipped(run: Path, why: str) -> None:
        print(printable(f"skipped {run}: {why}"), file=error_stream())

    return load_records(folders, skipped=skipped)


def _line(record: Record) -> list[object]:
    steps = (last_row(record.folder) or {}).get("steps", "")
    summary = " ".join(f"{name}={_short(value)}" for name, value in (record.summary or {}).items())
    method = record.config.get("method", "")
    return [record.folder, method, record.seed, record.status, record.columns.count, steps, summary]


def _short(value: object, most: int = 24) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= most else text[: most - 1] + "…"
