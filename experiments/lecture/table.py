"""Does what the lecture on gradient descent and backpropagation says hold, statement by statement?

Every statement is a row with a criterion that can fail (`acceptance.py`), measured by functions that stand in the file
that proves it: the experiments, and `rows/` beside this file. Criteria were set on seeds 0 to 9 and are checked on 10
to 19, those that were changed after a look on seeds of their own. The table states which rows fail: one that comes out
otherwise than stated, or that nothing measures, is a failure of the script. With --wrong, deliberately wrong versions
are measured too, and each must come out on the other side of its criterion.

    python experiments/lecture/table.py --wrong  measures everything in some minutes on 2 cores, writes docs/lecture.md
    python experiments/lecture/table.py --fast       seed 0 alone, small sizes, wrong versions too
    python experiments/lecture/table.py --row L36    that row alone, on all its seeds, into results/lecture-L36
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os.path import relpath
from pathlib import Path
from time import process_time
from typing import Any, ClassVar

from experiments.common.acceptance import FRESH, REGISTRY, ROWS, Measure, Row, Verdict, load_rows, missing, shown
from experiments.common.frame import Flags, Judge, Switch, main
from experiments.common.unfinished import going_on
from experiments.lecture.table_page import checked, page, some_rows

from rllab.files import write_atomically
from rllab.runs import Job, Record

load_rows()

HERE = Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "docs" / "lecture.md"
OUT = Path("results/lecture")


@dataclass(frozen=True)
class Config(Flags):
    seeds: int = 10
    """Seeds of each kind, those of the criteria and fresh ones: 1, 2, 5 or 10."""
    wrong: Switch = False
    """Measure wrong versions too, on the first seed of each kind."""
    row: tuple[str, ...] = ()
    """Rows to measure, as L36 or T2; by default all of them."""
    out: Path = OUT
    """Folder of records and of the table; of some rows alone by default one that is named after them."""
    quick: ClassVar[dict[str, Any]] = {"seeds": 1, "wrong": True}

    def __post_init__(self) -> None:
        if self.row and self.out == OUT:
            object.__setattr__(self, "out", OUT.with_name("-".join([OUT.name, *self.row])))

    def check(self) -> None:
        super().check()
        for id in self.row:
            if id not in ROWS:
                raise ValueError(f"--row must be of L1 to L83 and T1 to T7, got {id}")
        if FRESH % self.seeds:
            raise ValueError(f"--seeds must be 1, 2, 5 or 10, got {self.seeds}")

    @property
    def all_seeds(self) -> range:
        last = FRESH if self.fast else max(entry.fresh for entry in self.entries) + FRESH
        return range(0, last, FRESH // self.seeds)

    @property
    def entries(self) -> list[Row]:
        """What is measured."""
        return [entry for entry in REGISTRY if not self.row or set(entry.ids) & set(self.row)]


def jobs_of(config: Config) -> Iterator[Job]:
    """Yield one job a file and seed; what a file measures is a part of what its job is."""
    for seed in config.all_seeds:
        wrong = config.wrong and seed % FRESH == 0
        files: dict[str, list[str]] = {}
        for entry in config.entries:
            if entry.takes(seed):
                files.setdefault(entry.where.partition(":")[0], []).append(_label(entry))
        for file, rows in files.items():
            name = file.removesuffix(".py").replace("/", ".")
            yield Job(f"{name}-{seed}", {"file": file, "rows": rows, "fast": config.fast, "wrong": wrong}, seed)


def run(job: Job, record: Record) -> None:
    """Measure the rows of a file, and their wrong versions, under one seed."""
    entries = [entry for entry in REGISTRY if _label(entry) in job.config["rows"]]
    versions = [
        (entry, wrong, measure)
        for entry in entries
        for wrong, measure in {"": entry.measure, **(entry.wrong if job.config["wrong"] else {})}.items()
    ]
    for entry, wrong, measure in going_on(record, versions):
        begin = process_time()
        value, error = measured(measure, job.seed, job.config["fast"])
        head = {"row": "/".join(entry.ids), "where": entry.where, "wrong": wrong}
        record.append({**head, "value": value, "error": error, "seconds": process_time() - begin})


def _label(entry: Row) -> str:
    return f"{'/'.join(entry.ids)} {entry.where}"


def measured(measure: Measure, seed: int, fast: bool) -> tuple[float, str]:
    """Return the number, or NaN and in one line why there is none: one row that raises leaves the others be."""
    try:
        return float(measure(seed, fast)), ""
    except Exception as error:
        return math.nan, f"{type(error).__name__}: {error}".splitlines()[0]


def verdicts(records: list[Record], entries: Sequence[Row] | None = None) -> list[Verdict]:
    """Collect the numbers of entries, by default of all; one that was not measured under some seed has NaN there."""
    found, seeds = [], dict.fromkeys(record.seed for record in records)
    rows: dict[tuple[str, str], list[tuple[int, dict[str, Any]]]] = {}
    for record in records:
        for row in record.rows:
            rows.setdefault((row["row"], row["where"]), []).append((record.seed, row))
    for entry in REGISTRY if entries is None else entries:
        mine = rows.get(("/".join(entry.ids), entry.where), [])
        numbers = {seed: math.nan for seed in seeds if entry.takes(seed)} | {
            s: float(r["value"]) for s, r in mine if not r["wrong"]
        }
        versions = [r for _, r in mine if not r["error"]]
        wrong = {what: [float(r["value"]) for r in versions if r["wrong"] == what] for what in entry.wrong}
        errors = sorted({f"{r['wrong']} {r['error']}".strip() for _, r in mine if r["error"]})
        found.append(Verdict(entry, numbers, {what: values for what, values in wrong.items() if values}, errors))
    return found


def claims(records: list[Record], config: Config, judge: Judge) -> None:
    found, unmeasured, last = verdicts(records, config.entries), missing(), None
    for id in [id for id in ROWS if not config.row or id in config.row]:
        if ROWS[id] is not last:
            last = ROWS[id]
            print(f"{last.english}  {last.japanese}")
        if id in unmeasured:
            judge(False, f"{id} missing: nothing measures it")
        for verdict in found:
            if id in verdict.entry.ids and verdict.lacks:
                judge.note(f"{id} {verdict.entry.says} [{verdict.entry.where}]: not measured: {verdict.lacks}")
            elif id in verdict.entry.ids:
                judge(verdict.holds, f"{id} {line(verdict)}", fails=verdict.should_fail)
    if lacking := [v for v in found if v.lacks]:
        judge(False, f"{len(found) - len(lacking)} of {len(found)} measurements were made: the others lack a package")
    survivors = [f"{'/'.join(v.entry.ids)}: {what}" for v in found for what in v.survivors]
    count = sum(len(v.wrong) for v in found)
    if count:
        rows = len({id for v in found if v.wrong for id in v.entry.ids if not config.row or id in config.row})
        names, ending = "; ".join(survivors) or "none", "s"[rows == 1 :]
        judge(
            not survivors,
            f"{count - len(survivors)} of {count} wrong versions of {rows} row{ending} are caught; survivors: {names}",
        )
    timed = sorted((row for record in records if record.seed == 0 for row in record.rows), key=lambda r: -r["seconds"])
    judge.note("slowest, CPU seconds: " + ", ".join(f"{r['where']} {r['seconds']:.2g}" for r in timed[:5]))


def line(verdict: Verdict) -> str:
    """Return statement, place, numbers and criterion of an entry."""
    entry = verdict.entry
    old, new = shown(verdict.number(fresh=False)), checked(verdict)
    gives = {what: " and ".join(dict.fromkeys(map(shown, values))) for what, values in verdict.wrong.items()}
    caught = [f"{what} (gives {numbers})" for what, numbers in gives.items() if what not in verdict.survivors]
    why = "".join(f"; {error}" for error in verdict.errors)
    why += f"; {'but it holds for' if entry.fails else 'caught:'} {', '.join(caught)}" * bool(caught)
    return (
        f"{entry.says} [{entry.where}]: {entry.measures} {old}, on fresh seeds {new} "
        f"({entry.seeds} of the seeds; needs {entry.criterion}){why}"
    )


def figure(records: list[Record], config: Config) -> Path:
    """Write the table; that of the full run, all seeds and wrong versions, is the one in docs."""
    found, machine = verdicts(records, config.entries), records[0].about["machine"]
    whole = not config.fast and config.wrong and config.seeds == FRESH and not config.row
    whole = whole and not any(verdict.lacks for verdict in found)
    path = PAGE if whole else config.out / "lecture.md"
    text = some_rows(found, config.row, machine) if config.row else page(found, machine)
    write_atomically(path, text if whole else _linked_from(path.parent, text))
    return path


def _linked_from(folder: Path, text: str) -> str:
    """Return a page that is read in another folder than docs, with its links leading to the same files."""
    return re.sub(
        r"\]\(((?:\.\./|figures/|\w+\.md)[^)]*)\)",
        lambda link: f"]({relpath(PAGE.parent / link[1], folder.resolve())})",
        text,
    )


if __name__ == "__main__":
    main(Config, __doc__, jobs_of, run, claims, figure)
