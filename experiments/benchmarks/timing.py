"""Timing: what benchmarks share: flags, CPU seconds of steps that take turns, ratios, goals, and one page of Markdown.

    candidates ──▶ steps, made and warmed ──▶ times, in turn ──▶ ratios, goals ──▶ page: what was said by hand is kept

A benchmark is a script with a question as the first line of its docstring, which prints its page and writes it beside
itself. Importing this limits the process to one thread, as everything of `experiments` does.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Annotated, TypeVar

import tyro

from rllab.files import write_atomically
from rllab.runs import machine, one_line_errors

Step = Callable[[], object]
Times = Mapping[str, list[float]]  # CPU seconds of a call, by candidate and round
NOTES = "## Where the time goes"  # written by hand, and kept
AStep = TypeVar("AStep", bound=Step)


@dataclass(frozen=True)
class Flags:
    """Flags of every benchmark."""

    rounds: int = 9
    """Times that each candidate is measured, in turn with the others."""
    only: tuple[str, ...] = ()
    """Beginnings of candidates' names; the first, with which the others are compared, is always kept."""
    out: Path | None = None
    """File to write; the page beside the script by default, none with --fast."""
    fast: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """One short round of the smallest size, to see that it runs; no goal is judged."""

    @property
    def seconds(self) -> float:
        """CPU time for each candidate and round, at least two calls."""
        return 0.001 if self.fast else 0.05

    def chosen(self, candidates: Iterable[str]) -> list[str]:
        """Return the names that --only leaves, in their order."""
        first, *others = candidates
        return [first, *(name for name in others if not self.only or name.startswith(self.only))]


@dataclass
class Page:
    """What was measured, as lines of Markdown.

    Args:
        tables: of times and ratios, in front of the goals.
        goals: rows made by `goal`.
        more: what follows the goals.
        skipped: sizes at which something did not run, by what and why.
        packages: whose versions are told beside those of the machine, where they are installed.
        remark: what is said after the number of rounds.
    """

    tables: list[str] = field(default_factory=list)
    goals: list[str] = field(default_factory=list)
    more: list[str] = field(default_factory=list)
    skipped: dict[str, list[str]] = field(default_factory=dict)
    packages: tuple[str, ...] = ()
    remark: str = ""

    def row(self, *cells: str) -> None:
        """Add a row to the tables, and show it."""
        self.tables.append(f"| {' | '.join(cells)} |")
        print(self.tables[-1], flush=True)

    def head(self, *names: str) -> None:
        """Begin a table."""
        self.tables += [f"| {' | '.join(names)} |", "|" + " --- |" * len(names)]

    def skip(self, reasons: Mapping[str, str], where: str) -> None:
        """Remember what did not run at a size."""
        for name, why in reasons.items():
            self.skipped.setdefault(f"- {name}: {why}", []).append(where)

    def text(self, title: str, about: str, written: str) -> str:
        goals = ["", "| goal | limit | got | |", "| --- | --- | --- | --- |", *self.goals] if self.goals else []
        more = ["", *self.more] if self.more else []
        skipped = [f"{what} ({', '.join(where)})" for what, where in sorted(self.skipped.items())]
        notes = ["", "Not run:", *skipped] if skipped else []
        return "\n".join([f"# {title}", "", about, "", written, "", *self.tables, *goals, *more, *notes, ""])


def goal(what: str, limit: str, got: str, met: bool, why: str = "") -> str:
    """Return a row of the goals; `why` is said of one that is missed."""
    return f"| {what} | {limit} | {got} | {'met' if met else f'**missed**{why}'} |"


def make(candidates: Mapping[str, Callable[[], AStep]]) -> tuple[dict[str, AStep], dict[str, str]]:
    """Make every candidate's step and take it twice; return the steps, and why the others do not run."""
    steps: dict[str, AStep] = {}
    skipped: dict[str, str] = {}
    for name, maker in candidates.items():
        try:
            step = maker()
            for _ in range(2):  # compile, allocate, fill caches
                step()
            steps[name] = step
        except ModuleNotFoundError as error:
            skipped[name] = f"{error.name} is not installed"
        except NotImplementedError as error:
            skipped[name] = str(error)
    return steps, skipped


def take_turns(steps: Mapping[str, Step], flags: Flags) -> dict[str, list[float]]:
    """Return the CPU seconds of a call of every step, round by round; each round begins with another one."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    names = list(steps)
    for r in range(1 if flags.fast else flags.rounds):
        start = r % len(names)
        for name in names[start:] + names[:start]:
            times[name].append(cpu_seconds(steps[name], flags.seconds))
    return times


def cpu_seconds(step: Step, seconds: float) -> float:
    """Return the CPU time of one call: the mean over as many as take so many seconds in all, or over two."""
    calls = 2
    while True:
        start = time.process_time()
        for _ in range(calls):  # without a look at the clock, which costs as much as a tenth of the smallest step
            step()
        spent = time.process_time() - start
        if spent > 0.8 * seconds:
            return spent / calls
        calls = math.ceil(calls * min(100, seconds / max(spent, 1e-9)))


def ratio(times: Times, name: str, to: str) -> float:
    """Return the median over rounds of two times of one round, so that the machine's other work cancels."""
    return statistics.median(a / b for a, b in zip(times[name], times[to], strict=True))


def cell(times: Times, name: str, to: str, form: str = ".2f") -> str:
    """Return a ratio as a table shows it; nothing if either was not measured."""
    return format(ratio(times, name, to), form) if name in times and to in times else ""


def microseconds(times: Times, name: str) -> float:
    """Return the median time of a call."""
    return statistics.median(times[name]) * 1e6


def versions(packages: Iterable[str]) -> str:
    """Return the versions of those packages that are installed, each after a comma."""
    found = ""
    for package in packages:
        try:
            found += f", {package} {metadata.version(package)}"
        except metadata.PackageNotFoundError:
            continue
    return found


def kept(path: Path) -> str:
    """Return what stands in a page under NOTES."""
    _, heading, text = path.read_text("utf-8").partition(NOTES) if path.exists() else ("", "", "")
    return f"\n{heading}{text}" if heading else ""


@one_line_errors()
def main(
    script: str,
    doc: str | None,
    title: str,
    measure: Callable[[Flags], Page | Iterator[Page]],
    *,
    rounds: int = 9,
) -> None:
    """Parse the flags, measure, print the page and write it.

    Args:
        script: `__file__`: the page is beside it, under the same name.
        doc: the script's docstring, whose second paragraph is on the page.
        title: of the page.
        measure: makes the page under the flags; or yields it again and again while it is made, so that what was
            measured stays if the rest is not.
        rounds: by default.
    """
    page = Path(script).with_suffix(".md")
    flags = tyro.cli(Flags, description=doc, default=Flags(rounds=rounds))
    if flags.rounds < 1:
        raise ValueError(f"--rounds must be positive, got {flags.rounds}")
    if flags.fast:
        flags = replace(flags, rounds=1)
    print(machine())
    stages, text, out = measure(flags), "", flags.out or page
    for made in (stages,) if isinstance(stages, Page) else stages:
        if flags.fast:
            made.goals.clear()
        about, on = (doc or "").split("\n\n")[1].replace("\n", " "), machine() + versions(made.packages)
        written = f"Written by `{Path(script).name}`: {on}; {flags.rounds} rounds.{made.remark}"
        text = made.text(title, about, written) + kept(out)
        if flags.out or not flags.fast:
            write_atomically(out, text)
    print(text)
