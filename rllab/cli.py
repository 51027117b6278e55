"""The `rllab` command: one dataclass per sub-command, whose fields are its flags; `--help` answers without torch."""

from __future__ import annotations

import ast
import math
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from rllab.checks import as_count
from rllab.runs import Record, limit_threads, load_records, one_line_errors
from rllab.runs.rows import last_row
from rllab.tables import table
from rllab.text import degrade_output, error_stream, printable
from rllab.version import __version__

DESCRIPTION = "A gradient-estimation lab for reinforcement learning. `rllab --version` prints its version."

MOST = 10_000_000  # parameters that are made to ask every estimator for its price: in seconds, in a gigabyte

Folders = Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="[DIR ...]")]


@dataclass(frozen=True)
class Train:
    """Train agents on a Gymnasium environment, one for each seed; print the result and draw the learning curves."""

    environment: tyro.conf.Positional[str]
    """Gymnasium id, as Pendulum-v1, or module:id, as rllab_envs:rllab/BicycleBalance-v0."""
    method: str = "td3"
    """The agent's name."""
    steps: str = "20_000"
    """Environment steps of each seed, as 20_000 or 2e4."""
    seeds: int = 5
    """How many, from 0 on."""
    set: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME=VALUE ...")] = ()
    """Settings of the agent, as gamma=0.98 hidden=(64,64)."""
    evaluate_every: int | None = None
    """Environment steps between evaluations; by default a twentieth of all."""
    episodes: int = 20
    """Episodes of each evaluation."""
    stop_at: float | None = None
    """Mean return at which a seed's training ends."""
    processes: int = 2
    """Seeds at a time, one thread each."""
    out: Path | None = None
    """Folder of the records; by default one of results, named after environment and method."""
    resume: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Go on where a killed command stopped, or add seeds."""

    def run(self) -> None:
        from rllab import plots
        from rllab.training import Schedule, train_seeds

        settings = dict(map(_setting, self.set))
        steps = as_count("rllab train", "steps", _number("steps", self.steps))
        name = self.environment.rpartition(":")[2].replace("/", "-")
        folder = self.out or Path("results") / f"{name}-{self.method.lower()}"
        every = max(1, steps // 20) if self.evaluate_every is None else self.evaluate_every
        schedule = Schedule(every, self.episodes, stop_at=self.stop_at)
        on = {"seeds": self.seeds, "settings": settings, "schedule": schedule}
        on |= {"resume": self.resume, "processes": self.processes}
        records = train_seeds(self.method, self.environment, steps, folder, **on)
        print(_result([float((record.summary or {})["return"]) for record in records], self.environment, self.method))
        figure, (ax,) = plots.panels()
        plots.curves(ax, records, label=f"mean return of {self.episodes} episodes, {name}")
        print(f"figure: {plots.save(figure, folder / 'curves.png')}")


@dataclass(frozen=True)
class Tune:
    """Search an agent's hyperparameters on an environment; write the best, and where they come from, as a TOML file."""

    environment: tyro.conf.Positional[str]
    """Gymnasium id."""
    method: str = "td3"
    """The agent's name."""
    trials: int = 40
    """Points of the search."""
    steps: str = "20_000"
    """Environment steps of a trial that comes to the end; two thirds end after a ninth of them."""
    seeds: int = 2
    """Of each trial, from 1000 on."""
    set: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME=VALUE ...")] = ()
    """Settings that are not searched, as hidden=(64,64)."""
    range: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME=LOW:HIGH[:SCALE] ...")] = ()
    """Where to look instead of the ranges of the agent's own, as lr=1e-4:1e-2:log; scales: linear, log, below-one."""
    processes: int = 2
    """Runs at a time, one thread each."""
    out: Path | None = None
    """Folder of the records and the file; by default one of results, named after environment and method."""
    resume: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Go on where a killed search stopped."""

    def run(self) -> None:
        from rllab.tuning import Range, tune

        ranges: dict[str, Range] = {}
        for text in self.range:
            match = re.fullmatch(r"([\w.]+)=([^:]+):([^:]+)(?::([\w-]+))?", text)
            if match is None:
                raise ValueError(f"rllab tune: --range takes NAME=LOW:HIGH[:SCALE], as lr=1e-4:1e-2:log, got {text!r}")
            ranges[match[1]] = Range(_number("range", match[2]), _number("range", match[3]), match[4] or "linear")
        name = self.environment.rpartition(":")[2].replace("/", "-")
        folder = self.out or Path("results") / f"tune-{name}-{self.method.lower()}"
        found = tune(
            self.method,
            self.environment,
            folder,
            steps=as_count("rllab tune", "steps", _number("steps", self.steps)),
            trials=self.trials,
            seeds=self.seeds,
            ranges=ranges or None,
            fixed=dict(map(_setting, self.set)),
            resume=self.resume,
            processes=self.processes,
        )
        names = list(found.best.settings)
        ranked = sorted(found.trials, key=lambda trial: (len(trial.scores), trial.scores[-1]), reverse=True)
        lines = [[t.number, len(t.scores), _short(t.scores[-1]), *(t.settings[n] for n in names)] for t in ranked[:10]]
        print(table(["trial", "rungs", "mean return", *names], lines))
        for edge in found.edges:
            print(f"{edge} of the best lies on an end of its range: widen it with --range and search again")
        print(f"written: {found.path}")


@dataclass(frozen=True)
class Video:
    """Play an episode of a trained agent and write it as an animated GIF."""

    run_folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of one run that `rllab train` or `rllab.fit` made."""
    episode: int = 0
    """The environment's seed: another number is another start."""
    best: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Play the checkpoint with the highest evaluation, not the last one."""
    steps: int = 1_000
    """Steps shown at most."""
    out: Path = Path("episode.gif")
    """The picture."""

    def run(self) -> None:
        from rllab.agents import load
        from rllab.training import BEST, LATEST
        from rllab.video import record_episode

        agent = load(self.run_folder / (BEST if self.best else LATEST))
        print(record_episode(agent, self.out, episode=self.episode, max_steps=self.steps))


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
    command = tyro.cli(
        Train | Tune | Plot | Runs | Video | Estimators, prog="rllab", description=DESCRIPTION, args=arguments
    )
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


def _setting(text: str) -> tuple[str, Any]:
    """Return name and value of NAME=VALUE; what is no Python value is a text."""
    name, equals, value = text.partition("=")
    if not equals or not all(part.isidentifier() for part in name.split(".")):
        raise ValueError(f"rllab train: --set takes NAME=VALUE, as gamma=0.98, got {text!r}")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"rllab train: --{name} must be a number, as 20_000 or 2e4, got {text!r}") from None


def _result(returns: list[float], environment: str, method: str) -> str:
    """Say what the seeds reached: the interquartile mean of their returns, its interval, and the worst and best."""
    from rllab.runs.statistics import bootstrap_interval, iqm

    n, worst, best = len(returns), min(returns), max(returns)
    text = f"{method} on {environment}: return {float(iqm(returns)):.5g}"
    if n < 2:
        return f"{text} (1 seed, no interval)"
    if n < 10:  # a bootstrap of so few is narrower than it says
        return f"{text} (interquartile mean of {n} seeds; their range is {worst:.5g} to {best:.5g})"
    low, high = bootstrap_interval(returns, key=0)
    return f"{text} (interquartile mean of {n} seeds; 95 % bootstrap interval {float(low):.5g} to {float(high):.5g})"


def _short(value: object, most: int = 24) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= most else text[: most - 1] + "…"
