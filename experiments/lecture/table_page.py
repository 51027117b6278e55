"""The page that the lecture's table is read on: docs/lecture.md, written from measured numbers by `table.py`."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from pathlib import Path

from experiments.common.acceptance import FRESH, ROWS, SECTIONS, Section, Verdict, shown
from experiments.common.frame import named

HERE = Path(__file__).resolve().parent
FIGURES = HERE.parents[1] / "docs" / "figures"
TEMPLATE = HERE / "page.md"  # the page around its tables

# figures of experiments that ask more than the rows of a theme do
RELATED = {
    "blind": ("nonsmooth", "snr_map", "landscape", "bicycle"),
    "hidden_costs": ("revealed",),
    "matrices": ("matrix_step",),
    "prices": ("dimension",),
    "steps": ("minibatch",),
}

TIGHTENED = 30  # the first of the seeds on which criteria were judged that had been too loose to fail


def page(verdicts: Sequence[Verdict], machine: str) -> str:
    """Return the page: a table a section, what we say otherwise, figures, and terms in two languages."""
    failed = rows_of(v for v in verdicts if not v.holds)
    relaxed = [id for id in rows_of(v for v in verdicts if v.entry.first) if id not in failed]
    first = [id for id in rows_of(verdicts) if id not in failed + relaxed]
    exact = [v.entry.exact for v in verdicts for _ in v.entry.ids]
    return TEMPLATE.read_text("utf-8").format(
        count=f"{len(first)} rows as first set, {len(relaxed)} relaxed after a look ({', '.join(relaxed) or 'none'}), "
        f"{len(failed)} fail ({', '.join(failed) or 'none'}).",
        lines=len(exact),
        exact=sum(exact),
        measured=len(exact) - sum(exact),
        tightened=", ".join(rows_of(v for v in verdicts if v.entry.fresh >= TIGHTENED)),
        wrong=sum(len(v.wrong) for v in verdicts),
        rows=len(rows_of(v for v in verdicts if v.wrong)),
        uncaught=sum(len(v.survivors) for v in verdicts),
        machine=machine,
        sections="\n".join(_section(section, verdicts) for section in SECTIONS),
    )


def some_rows(verdicts: Sequence[Verdict], ids: Iterable[str], machine: str) -> str:
    """Return a page of some rows alone, in the order of the lecture."""
    lines = [
        _line([id, *_cells(v, names=True)]) for id in ROWS if id in set(ids) for v in verdicts if id in v.entry.ids
    ]
    return "\n".join([f"# Rows of the lecture, measured alone ({machine})\n", _columns(verdicts), *lines, ""])


def rows_of(verdicts: Iterable[Verdict]) -> list[str]:
    """Return the rows that verdicts are about, each once, in the lecture's order."""
    ids = {id for v in verdicts for id in v.entry.ids}
    return [id for id in ROWS if id in ids]


def _section(section: Section, verdicts: Sequence[Verdict]) -> str:
    mine = [(id, v) for id in section.ids for v in verdicts if id in v.entry.ids]
    missing = [[id, *[""] * 6, "**missing**", ""] for id in section.ids if id not in {row for row, _ in mine}]
    parts = [f"## {section.english} — {section.japanese}\n", f"*{section.read}*\n"]
    for title, exact in (("Measurements", False), ("Identities", True)):
        lines = [[id, *_cells(v)] for id, v in mine if v.entry.exact is exact] + missing * (not exact)
        parts += [f"**{title}**\n", _columns(verdicts), *map(_line, lines), ""] if lines else []
    return "\n".join([*parts[:-1], _figures([v.entry.where.partition(":")[0] for _, v in mine])])


def _columns(verdicts: Sequence[Verdict]) -> str:
    """Return the heads of the columns, with the seeds that were run."""
    seeds = {seed for v in verdicts for seed in v.numbers}
    first, usual = (named({s for s in seeds if lowest <= s < lowest + FRESH}, "–") for lowest in (0, FRESH))
    fresh = f"fresh seeds, {usual}" if usual else "fresh seeds"
    heads = ["row", "statement", "measured", f"seeds {first}", fresh, "needs", "wrong versions", "holds", "where"]
    return f"{_line(heads)}\n{_line(['---'] * len(heads))}"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(text.replace("|", "\\|") for text in cells) + " |"


def _cells(v: Verdict, *, names: bool = False) -> list[str]:
    """Return the cells of a measurement; of wrong versions their count, or their names and which are not caught."""
    entry, path = v.entry, v.entry.where.replace(":", ": ")
    says = entry.says + (f" ({entry.note})" if entry.note else "")
    measures = f"median over seeds: {entry.measures}" if entry.seeds == "median" else entry.measures
    numbers = ["–" if v.lacks else shown(v.number(fresh=False)), checked(v)]
    file, _, function = path.partition(": ")
    where = f"[{function}](../experiments/{file})"
    needs = str(entry.criterion) + f" (first {entry.first})" * bool(entry.first)
    holds = "not measured" if v.lacks else "yes" if v.holds else "**no**"
    named = ", ".join(what + " (**not caught**)" * (what in v.survivors) for what in v.wrong) or "–"
    return [says, measures, *numbers, needs, named if names else f"{len(v.wrong)}", holds, where]


def checked(verdict: Verdict) -> str:
    """Return the number of the fresh seeds, and which they are where they are others than usual; a dash without any."""
    first, number = verdict.entry.fresh, verdict.number(fresh=True)
    if all(seed < FRESH for seed in verdict.numbers) or verdict.lacks:
        return "–"
    fresh = named((seed for seed in verdict.numbers if seed >= first), "–")
    return shown(number) if first == FRESH else f"{shown(number)} (seeds {fresh})"


def question(stem: str) -> str:
    """Return what the experiment of that name asks: the first sentence of its file."""
    (script,) = HERE.parent.glob(f"*/{stem}.py")
    return " ".join((ast.get_docstring(ast.parse(script.read_text("utf-8"))) or "").split("\n\n")[0].split())


def _figures(files: Sequence[str]) -> str:
    """Return the figures of the experiments that measured a section's rows, and links to their pages."""
    stems = dict.fromkeys(stem for file in files for stem in (Path(file).stem, *RELATED.get(Path(file).stem, ())))
    figures = [
        f"![Figure of the experiment that asks: {question(stem)}](figures/{figure.name})"
        for stem in stems
        for figure in sorted(file for file in FIGURES.glob(f"{stem}*") if file.is_file())
    ]
    pages = [f"[{stem}.md]({stem}.md)" for stem in stems if (FIGURES.parent / f"{stem}.md").exists()]
    return "".join(f"\n{line}\n" for line in (*figures, *([f"More figures: {', '.join(pages)}"] if pages else [])))
