"""write_report: recorded runs as one HTML file, with all it shows inside it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from rllab.files import write_atomically
from rllab.report.sections import QUALITY, Section, sections_of
from rllab.runs.loading import load_records
from rllab.runs.record import Record
from rllab.runs.versions import machine
from rllab.version import __version__

HERE = Path(__file__).parent


def write_report(
    folders: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    threshold: Callable[[Record], float | None] = lambda record: None,
    skipped: Callable[[Path, str], None] = lambda path, why: None,
) -> Path:
    """Write recorded runs, and saved reports of quality, as one HTML file that can be sent to anybody.

    It holds its figures, style and script, and asks no server for anything: for each folder of runs the question,
    claims with their numbers, figures, what methods reached with intervals, every run, the configuration, versions,
    and the command that makes it again. Whatever comes from a record is shown as text.

    Args:
        folders: runs, or folders with runs somewhere below; files *.quality.json there, as `Report.save` writes them,
            are shown too.
        out: the file; its folder is made.
        threshold: told a run, returns the value whose first reaching is timed; None for none.
        skipped: told of each run or file that is damaged, and what is wrong with it.

    Returns:
        The path of the file.

    Raises:
        ModuleNotFoundError: the extra `report` is not installed.
        FileNotFoundError: a folder does not exist.
        ValueError: there is nothing to report.
        OSError: the file cannot be written.

    Example:
        import tempfile
        from rllab import runs
        from rllab.report import write_report

        with tempfile.TemporaryDirectory() as folder:
            with runs.Record.create(f"{folder}/es/es-0", {"method": "evolution"}, seed=0) as record:
                record.append({"steps": 100, "evaluation": 1.0})
                record.finish()
            write_report(folder, f"{folder}/report.html")
    """
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "write_report: needs jinja2, which is in the extra: pip install '.[report]'"
        ) from None
    places = [Path(f) for f in ([folders] if isinstance(folders, str | os.PathLike) else folders)]
    measured = [path for place in places for path in place.rglob(f"*{QUALITY}")]
    try:
        records = load_records(places, skipped=skipped)
    except ValueError:
        if not measured:
            raise
        records = []
    sections = sections_of(records, measured, threshold=threshold, skipped=skipped)
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    page = environment.get_template("page.html").render(
        sections=sections,
        legend=legend_of(sections),
        style=(HERE / "page.css").read_text("utf-8"),
        script=(HERE / "page.js").read_text("utf-8"),
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        machine=machine(),
        version=__version__,
    )
    path = Path(out)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, page.encode("utf-8", "backslashreplace"))
    return path


def legend_of(sections: Sequence[Section]) -> str:
    """Explain the columns and intervals that tables of the page have, and no others."""
    tables = [part.table for section in sections for part in section.parts if part.table is not None]
    heads = [name for table in tables for name in table.head]
    said = []
    if any(name.startswith("IQM of ") for name in heads):
        said.append(
            "IQM: interquartile mean, the mean without the lowest and highest quarter, with a 95 % percentile "
            "bootstrap interval, too narrow for fewer than ten seeds. A run that failed or has no score counts as the "
            "worst; one that is under way or was interrupted is left out."
        )
        said.append(
            "Mean height of a curve: that of its stairs, on which a value holds until the next one, from the first "
            "point to where the longest finished run ends; the median over runs."
        )
        said.append("Methods are compared where their runs are in one folder; rllab compare takes several folders.")
    if any(name.startswith("P(first") for name in heads):
        said.append(
            "P(first > second): the probability of improvement, with an interval made likewise; differences over "
            "shared seeds have Student's."
        )
    if any(name.startswith("reached ") for name in heads):
        said.append(
            "What it takes to reach a threshold has Kaplan–Meier's interval, with Greenwood's variance. It has no "
            "upper end with six runs or fewer, and where all reach it at once."
        )
    return " ".join(said)
