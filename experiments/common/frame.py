"""Frame: what experiments share: the flags, claims that can fail, and the way from the one to the other.

    flags ──▶ jobs ──▶ records on disk ──▶ claims, printed with their numbers ──▶ figure ──▶ exit 0, or 1 if one fails

An experiment is a script with a question as the first line of its docstring, and five things of its own:

    @dataclass(frozen=True)
    class Config(Flags): ...                        its flags, all defaulted; `quick` says what --fast changes
    def jobs_of(config) -> Iterable[Job]: ...       what is to be run, under which seeds
    def run(job, record) -> summary | None: ...     appends rows; knows nothing of claims and figures
    def claims(records, config, judge): ...         judge(holds, "what was measured (and what it takes)")
    def figure(records, config) -> Path: ...        draws what is on disk, computes nothing

    if __name__ == "__main__":
        main(Config, __doc__, jobs_of, run, claims, figure)
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, TypeVar

import tyro

from rllab.runs import Job, Record, machine, one_line_errors, sweep
from rllab.runs.about import About, Claim
from rllab.runs.job import Worker
from rllab.text import degrade_output

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike

    from rllab.executors.jobs import Executor


# flags on which no single number depends
SHARED = ("seeds", "processes", "executor", "out", "replot", "resume", "track")

Switch = Annotated[bool, tyro.conf.FlagCreatePairsOff]  # a flag that is on where it is given

WRITTEN = {".md": "table", ".json": "settings"}  # what is not a figure


@dataclass(frozen=True)
class Flags:
    """Flags of every experiment; a subclass adds its own."""

    first_seed: ClassVar[int] = 0
    quick: ClassVar[dict[str, Any]] = {}  # what --fast changes besides seeds and processes
    seeds: int = 10
    """Seeds, from the first on: repetitions of everything."""
    processes: int = 2
    """Runs at a time, one thread each."""
    executor: str = ""
    """Who makes the runs: 4 for as many workers, ray, or the address of a Ray cluster; by default, processes here."""
    out: Path = Path("results")
    """Folder of records and figures; by default one of results, named after the script."""
    fast: Switch = False
    """A pass of a few seconds, in one process."""
    replot: Switch = False
    """Only draw, and print claims, from what is on disk."""
    resume: Switch = False
    """Go on where a killed run stopped, or add seeds."""
    track: Literal["tensorboard", "wandb", "trackio"] | None = None
    """Show the rows there as well."""

    def check(self) -> None:
        """Raise a ValueError that names a flag whose value makes no sense."""
        for flag in fields(self):
            value = getattr(self, flag.name)
            if type(value) in (int, float) and not value > 0:
                raise ValueError(f"--{flag.name.replace('_', '-')} must be positive, got {value}")

    @property
    def all_seeds(self) -> range:
        """The seeds that are run and reported."""
        return range(self.first_seed, self.first_seed + self.seeds)

    @property
    def identity(self) -> dict[str, Any]:
        """What the numbers depend on; results of another identity are never mixed with these."""
        return {flag.name: getattr(self, flag.name) for flag in fields(self) if flag.name not in SHARED}

    def faster(self) -> Self:
        """Return what --fast runs."""
        return replace(self, **{"seeds": 3, "processes": 1, **self.quick})


class Judge:
    """Print claims as they are judged, and remember whether one failed."""

    def __init__(self) -> None:
        self.claims: list[Claim] = []
        self.verdicts: list[bool] = []  # of each claim that was judged, whether it came out as stated

    def __call__(self, holds: bool | np.bool_ | np.ndarray, text: str, *, fails: bool = False) -> None:
        """Print one claim.

        Args:
            holds: whether it does.
            text: what was measured, and in brackets what it takes.
            fails: whether it is stated to fail: then a script fails where it holds.
        """
        as_stated, word = bool(holds) is not fails, "holds" if holds else "FAILS"
        if fails:
            word += ", as stated" if as_stated else ", not as stated"
        self.verdicts.append(as_stated)
        # one that fails as stated is neither among those that hold nor a failure
        self.claims.append(Claim(None if fails and as_stated else as_stated, f"{word}: {text}" if fails else text))
        print(f"  {word}  {text}")

    def note(self, text: str) -> None:
        """Print what is worth knowing and is not judged."""
        self.claims.append(Claim(None, text))
        print(f"  -----  {text}")

    @property
    def all_hold(self) -> bool:
        """Whether there are claims, and all came out as stated."""
        return bool(self.verdicts) and all(self.verdicts)


AConfig = TypeVar("AConfig", bound=Flags)


@one_line_errors()
def main(
    config_class: type[AConfig],
    description: str | None,
    jobs_of: Callable[[AConfig], Iterable[Job]],
    run: Worker,
    claims: Callable[[list[Record], AConfig, Judge], None],
    figure: Callable[[list[Record], AConfig], Path],
    *,
    describe: Callable[[Record], str] | None = None,
) -> None:
    """Parse the flags, run what is missing (or nothing, with --replot), judge, draw; exit with 0 if all claims hold.

    Args:
        run: at the top level of the script, for it is sent to other processes.
        describe: what to say of a finished run.
    """
    degrade_output()
    config = tyro.cli(config_class, description=description, default=with_folder(config_class()))
    config.check()
    if config.fast:
        config = config.faster()
    jobs = list(jobs_of(config))
    if config.replot:
        records = [Record.open(config.out / job.name) for job in jobs]
    else:
        records = sweep(
            run,
            jobs,
            config.out,
            config=config.identity,
            resume=config.resume,
            processes=config.processes,
            executor=_executor(config),
            describe=describe,
            track=config.track,
        )
    if unfinished := [record.folder.name for record in records if not record.finished]:
        raise ValueError(f"{config.out}: {', '.join(unfinished[:3])} … did not finish; --resume goes on")
    judge = Judge()
    print(f"\nClaims ({machine()}, seeds {named(job.seed for job in jobs)})")
    claims(records, config, judge)
    drawn = figure(records, config)
    print(f"\n{WRITTEN.get(drawn.suffix, 'figure')}: {drawn}")
    if config.fast and drawn.suffix not in WRITTEN:
        print("A fast pass: where a title of the figure is an answer, it is that of the full run.")
    question, command = (description or "").strip().partition("\n")[0], shlex.join(["python", *sys.argv])
    svg = drawn.with_suffix(".svg")
    shown = (svg.name,) if svg.is_file() and svg.parent.samefile(config.out) else ()
    About(question, command.replace(" --replot", ""), tuple(judge.claims), shown).save(config.out)
    sys.exit(0 if judge.all_hold else 1)


def _executor(config: Flags) -> Executor | None:
    if not config.executor:
        return None
    from rllab.executors.named import executor_of  # which loads torch

    return executor_of(config.executor)


def named(seeds: Iterable[int], to: str = " to ") -> str:
    """Return which seeds these are, those in a row by the first and the last of them: 0 to 9, 30."""
    rows: list[list[int]] = []
    for seed in sorted(set(seeds)):
        if rows and seed == rows[-1][-1] + 1:
            rows[-1].append(seed)
        else:
            rows.append([seed])
    return ", ".join(f"{row[0]}{to}{row[-1]}" if len(row) > 1 else f"{row[0]}" for row in rows)


def script_of(config: Flags) -> str:
    """Return the name of the script that a configuration is of, dimension of dimension.py."""
    return Path(sys.modules[type(config).__module__].__file__ or "").stem


def with_folder(config: AConfig) -> AConfig:
    """Return a configuration whose default folder is that of its script, results/dimension of dimension.py."""
    return replace(config, out=Flags.out / script_of(config)) if config.out == Flags.out else config


def one_a_seed(config: Flags) -> list[Job]:
    """Return a job for each seed, which is told every flag that its numbers depend on."""
    return [Job(f"{script_of(config)}-{seed}", config.identity, seed) for seed in config.all_seeds]


def select(records: Sequence[Record], **wanted: object) -> list[Record]:
    """Return the runs whose configuration has these values."""
    return [record for record in records if all(record.config.get(name) == value for name, value in wanted.items())]


def column(records: Iterable[Record], name: str) -> np.ndarray:
    """Return one number of every run's summary, (runs,); NaN where there is none."""
    import numpy as np

    values = [(record.summary or {}).get(name) for record in records]
    return np.array([np.nan if value is None else value for value in values], float)


def values(records: Iterable[Record], name: str, **wanted: object) -> np.ndarray:
    """Return one number of every row that has these values, of all runs together, (rows,).

    Raises:
        ValueError: if there is no such row.
    """
    import numpy as np

    rows = [row for record in records for row in record.rows if all(row.get(k) == v for k, v in wanted.items())]
    if not rows:
        raise ValueError(f"values: no row has {', '.join(f'{k} = {v!r}' for k, v in wanted.items())}")
    return np.array([row[name] for row in rows], float)


def by_seed(records: Iterable[Record], name: str, **wanted: object) -> np.ndarray:
    """Return one number of every row that has these values, a line for each run, (runs, rows).

    Raises:
        ValueError: if a run has no such row.
    """
    import numpy as np

    return np.array([values([record], name, **wanted) for record in records])


def slopes(x: ArrayLike, y: ArrayLike) -> np.ndarray:
    """Return d log y/d log x of a straight line through all points, for each run; y is (runs, points) or (points,)."""
    import numpy as np

    return np.polyfit(np.log(x), np.log(y).T, 1)[0]


def mean_slope(x: ArrayLike, y: ArrayLike) -> tuple[float, float]:
    """Return the mean over runs of d log y/d log x, and half its 95 % interval; y is (runs, points)."""
    each = slopes(x, y)
    return float(each.mean()), float(half_width(each))


def half_width(x: np.ndarray, *, level: float = 0.95) -> np.ndarray:
    """Return half the interval of Student's t of the mean over runs, axis 0."""
    from scipy.special import stdtrit  # scipy.stats takes a second to load

    return stdtrit(len(x) - 1, (1 + level) / 2) * x.std(0, ddof=1) / len(x) ** 0.5


def plus_minus(x: np.ndarray, digits: int) -> str:
    """Write the mean over runs and half its 95 % interval of Student's t, with so many digits behind the point."""
    return f"{x.mean():.{digits}f} ± {half_width(x):.{digits}f}"
