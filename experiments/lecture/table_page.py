"""The page that the lecture's table is read on: docs/lecture.md, written from measured numbers by `table.py`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from experiments.common.acceptance import FRESH, ROWS, SECTIONS, Section, Verdict, shown

HERE = Path(__file__).resolve().parent
FIGURES = HERE.parents[1] / "docs" / "figures"

# figures of experiments that ask more than the rows of a theme do
RELATED = {
    "blind": ("nonsmooth", "snr_map", "bicycle"),
    "hidden_costs": ("revealed",),
    "matrices": ("matrix_step",),
    "prices": ("dimension",),
    "steps": ("minibatch",),
}

HEAD = """# The lecture, statement by statement

What LeCun's lecture on gradient descent and backpropagation says (NYU Deep Learning 2020, week 2), each statement with
a number and what it must be. L1 … L83 are the statements in order, T1 … T7 what the spoken lecture adds.

**{count}**

Of {lines} lines {exact} are *identities*: they must hold exactly, up to rounding, and fail only by a fault of the code. They
stand apart from the {measured} *measurements*, which could have come out otherwise. Criteria were set on seeds 0 to 9 and
checked once on seeds 10 to 19; where one was changed after a look at those, it was checked anew on later seeds, which
the cell names, and a criterion that was relaxed says what was asked first. {tightened} were asked so little that
nothing could fail: their criteria come from theory or a stated size of effect now, as their notes say, were written
down before seeds 30 to 39 were measured, and are judged on those. A number is the worst of its ten seeds, or their median
where it says so. "Wrong versions" is how many deliberately wrong ones were measured: each comes out on the other side of
the criterion; {wrong} of {rows} rows, {uncaught} uncaught.

`python experiments/lecture/table.py --wrong` wrote this page ({machine}).
"""

COLUMNS = """| row | statement | measured | seeds 0–9 | fresh seeds, 10–19 | needs | wrong versions | holds | where |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |"""
TIGHTENED = 30  # the first of the seeds on which criteria were judged that had been too loose to fail

SLIPS = """## Where we say it otherwise

- **L28.** A step along −Mg with M positive semidefinite goes downhill only if g is outside M's null space and the step
  is short enough; with g in the null space nothing moves, and a long step rises whatever M is.
- **L51.** Hardware is the main reason for mini-batches, not the only one: a few samples a step allow a larger step size
  and then cost no more samples than one does.
- **L75.** `view(-1)` in the listing flattens a batch together with its samples; a layer must keep the first dimension.
- **L78.** The Jacobian's entry in row i and column j is the derivative of output i with respect to input j.
- A weight is *replaced* by the new value, w ← w − η ∂L/∂w; it does not merely approach it.
"""

TERMS = (
    ("model, parametrised function", "モデル、パラメータ付き関数"),
    ("input, output", "入力、出力"),
    ("parameter, weight", "パラメータ、重み"),
    ("observed variable, computed variable", "観測変数、計算変数"),
    ("cost function", "コスト関数"),
    ("loss function (per sample, average)", "損失関数（サンプルごと、平均）"),
    ("training set, sample", "訓練集合、サンプル"),
    ("supervised learning", "教師あり学習"),
    ("nearest neighbour", "最近傍法"),
    ("gradient", "勾配"),
    ("gradient descent", "勾配降下法"),
    ("step size, learning rate", "ステップ幅、学習率"),
    ("steepest descent", "最急降下"),
    ("positive semidefinite matrix", "半正定値行列"),
    ("stochastic gradient descent (SGD)", "確率的勾配降下法"),
    ("batch, mini-batch", "バッチ、ミニバッチ"),
    ("redundancy", "冗長性"),
    ("parallelism", "並列化"),
    ("zeroth-order, gradient-free method", "0次法、勾配を使わない手法"),
    ("reinforcement learning", "強化学習"),
    ("reward", "報酬"),
    ("policy, actor", "方策、行動者（アクター）"),
    ("critic, actor–critic", "批評家（クリティック）、アクター・クリティック"),
    ("black box", "ブラックボックス"),
    ("neural network, hidden layer", "ニューラルネットワーク、隠れ層"),
    ("linear layer, weighted sum", "線形層、加重和"),
    ("pointwise non-linearity, activation", "要素ごとの非線形関数、活性化関数"),
    ("backpropagation", "逆伝播、誤差逆伝播法"),
    ("chain rule", "連鎖律"),
    ("perturbation", "摂動"),
    ("partial derivative", "偏微分"),
    ("Jacobian matrix", "ヤコビ行列"),
    ("vector–Jacobian product", "ベクトル・ヤコビ行列積"),
    ("row vector, column vector", "行ベクトル、列ベクトル"),
    ("module, block diagram", "モジュール、ブロック図"),
    ("computational graph", "計算グラフ"),
    ("automatic differentiation", "自動微分"),
)


def page(verdicts: Sequence[Verdict], machine: str) -> str:
    """Return the page: a table a section, what we say otherwise, figures, and terms in two languages."""
    failed = rows_of(v for v in verdicts if not v.holds)
    relaxed = [id for id in rows_of(v for v in verdicts if v.entry.first) if id not in failed]
    first = [id for id in rows_of(verdicts) if id not in failed + relaxed]
    lines = [v.entry.exact for v in verdicts for _ in v.entry.ids]
    head = {
        "count": f"{len(first)} rows as first set, {len(relaxed)} relaxed after a look ({', '.join(relaxed)}), "
        f"{len(failed)} fail ({', '.join(failed)}).",
        "lines": len(lines),
        "exact": sum(lines),
        "measured": len(lines) - sum(lines),
        "tightened": ", ".join(rows_of(v for v in verdicts if v.entry.fresh >= TIGHTENED)),
        "wrong": sum(len(v.wrong) for v in verdicts),
        "rows": len(rows_of(v for v in verdicts if v.wrong)),
        "uncaught": sum(len(v.survivors) for v in verdicts),
        "machine": machine,
    }
    parts = [HEAD.format(**head)]
    parts += [_section(section, verdicts) for section in SECTIONS]
    pairs = "\n".join(f"| {english} | {japanese} |" for english, japanese in TERMS)
    return "\n".join([*parts, SLIPS, f"## Terms — 用語\n\n| English | 日本語 |\n| --- | --- |\n{pairs}\n"])


def rows_of(verdicts: Iterable[Verdict]) -> list[str]:
    """Return the rows that verdicts are about, each once, in the lecture's order."""
    ids = {id for v in verdicts for id in v.entry.ids}
    return [id for id in ROWS if id in ids]


def _section(section: Section, verdicts: Sequence[Verdict]) -> str:
    mine = [(id, v) for id in section.ids for v in verdicts if id in v.entry.ids]
    missing = [[id, *[""] * 6, "**missing**", ""] for id in section.ids if id not in {row for row, _ in mine}]
    parts = [f"## {section.english} — {section.japanese}\n"]
    for title, exact in (("Measurements", False), ("Identities", True)):
        lines = [[id, *_cells(v)] for id, v in mine if v.entry.exact is exact] + missing * (not exact)
        cells = [" | ".join(text.replace("|", "\\|") for text in line) for line in lines]
        parts += [f"**{title}**\n", COLUMNS, *(f"| {line} |" for line in cells), ""] if lines else []
    return "\n".join([*parts[:-1], _figures([v.entry.where.partition(":")[0] for _, v in mine])])


def _cells(v: Verdict) -> list[str]:
    entry, path = v.entry, v.entry.where.replace(":", ": ")
    says = entry.says + (f" ({entry.note})" if entry.note else "")
    measures = f"median {entry.measures}" if entry.seeds == "median" else entry.measures
    numbers = [shown(v.number(fresh=False)), checked(v)]
    file, _, function = path.partition(": ")
    where = f"[{function}](../experiments/{file})"
    needs = str(entry.criterion) + f" (first {entry.first})" * bool(entry.first)
    holds = "yes" if v.holds else "**no**"
    return [says, measures, *numbers, needs, f"{len(v.wrong)}", holds, where]


def checked(verdict: Verdict) -> str:
    """Return the number of the fresh seeds, and which they are where they are others than usual; a dash without any."""
    first, number = verdict.entry.fresh, verdict.number(fresh=True)
    if all(seed < FRESH for seed in verdict.numbers):
        return "–"
    return shown(number) if first == FRESH else f"{shown(number)} (seeds {first}–{first + FRESH - 1})"


def _figures(files: Sequence[str]) -> str:
    """Return the figures of the experiments that measured a section's rows, and links to their pages."""
    stems = dict.fromkeys(stem for file in files for stem in (Path(file).stem, *RELATED.get(Path(file).stem, ())))
    figures = [
        f"![{figure.stem}](figures/{figure.name})"
        for stem in stems
        for figure in sorted(file for file in FIGURES.glob(f"{stem}*") if file.is_file())
    ]
    pages = [f"[{stem}.md]({stem}.md)" for stem in stems if (FIGURES.parent / f"{stem}.md").exists()]
    return "".join(f"\n{line}\n" for line in (*figures, *([f"More figures: {', '.join(pages)}"] if pages else [])))
