"""The pages are true: their Python runs, their links lead somewhere, their figures say what they show."""

import re

import pytest
import torch

from rllab.executors import Workers, dispatch
from tests.docs.pages import DOCS, PAGES, ROOT, blocks, name_of, run

WITH_CODE = [page for page in PAGES if any(block.language == "python" for block in blocks(page))]
EVERY = [*PAGES, ROOT / "README.md"]


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_CODE, ids=name_of)
def test_the_python_of_a_page_runs_from_top_to_bottom(page, tmp_path, monkeypatch):
    import matplotlib.pyplot as plt

    if "torch.utils.tensorboard" in page.read_text("utf-8"):
        pytest.importorskip("tensorboard")
    monkeypatch.chdir(tmp_path)
    started = []

    def one_worker(count):  # as each takes seconds to start, and what a page computes does not depend on their number
        started.append(Workers(1))
        return started[-1]

    monkeypatch.setattr(dispatch, "Workers", one_worker)
    try:
        with torch.random.fork_rng():
            run(page)
    finally:
        for workers in started:
            workers.close()
    plt.close("all")
    shown = {name.split("/")[-1] for name in re.findall(r"\]\([./]*figures/start/([\w.]+)\)", page.read_text("utf-8"))}
    assert shown <= {path.name for path in tmp_path.glob("*.png")}  # a picture of a step is what the step draws


def anchors(page):
    """Return the anchors of a page's headings, as GitHub and MyST make them."""
    heads = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.S), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


def links(page):
    """Return the targets of a page's links to files; code has none."""
    text = re.sub(r"```.*?```|`[^`\n]+`", "", page.read_text("utf-8"), flags=re.S)
    return [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if not re.match(r"[a-z]+:", target)]


@pytest.mark.parametrize("page", EVERY, ids=name_of)
def test_every_link_leads_to_a_file_and_to_a_heading(page):
    for target in links(page):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{name_of(page)}: {target}"
        if anchor:
            assert anchor in anchors(file), f"{name_of(page)}: {target}"


@pytest.mark.parametrize("page", EVERY, ids=name_of)
def test_every_figure_says_in_words_what_it_shows(page):
    for alt, target in re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", page.read_text("utf-8")):
        assert len(alt.split()) >= 1 and alt.strip(), f"{name_of(page)}: {target} has no text"


def test_every_page_is_reached_from_the_first():
    reached, new = set(), [DOCS / "index.md"]
    while new:
        page = new.pop()
        reached.add(page.resolve())
        listed = re.findall(r"```\{toctree\}(.*?)```", page.read_text("utf-8"), flags=re.S)
        names = [line.strip() for part in listed for line in part.splitlines() if line.strip() and line[0] != ":"]
        new += [page.parent / f"{name}.md" for name in names]
    assert {name_of(page) for page in PAGES} - {name_of(page) for page in reached} == set()


@pytest.mark.parametrize("page", sorted((DOCS / "how").glob("*.md")), ids=name_of)
def test_a_how_to_is_short(page):
    if page.stem != "index":
        assert len(page.read_text("utf-8").splitlines()) <= 40


FAMILY = ("**What it perturbs:**", "```text", "**An estimate of**", "**Price:**", "**When:**", "**When not:**")
FAMILY += ("## Measured here", "](../figures/", "## In ten lines", "```python", "## References")


@pytest.mark.parametrize("page", sorted((DOCS / "families").glob("*.md")), ids=name_of)
def test_a_family_has_all_parts_of_its_template(page):
    if page.stem != "index":
        text = page.read_text("utf-8")
        assert [part for part in FAMILY if part not in text] == []
        where = [text.index(part) for part in FAMILY if part.startswith("## ")]
        assert where == sorted(where)


def test_a_broken_link_and_an_unknown_heading_are_noticed(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# One head\n[a](missing.md) [b](#one-head) [c](#other) `[d](in-code.md)` [e](https://x.org)\n")
    assert links(page) == ["missing.md", "#one-head", "#other"]
    assert anchors(page) == {"one-head"}


TERM = re.compile("[\u3041-\u30ff\u4e00-\u9fff]+")


@pytest.mark.parametrize("page", [*(DOCS / "lecture").glob("*.md"), DOCS / "lecture.md"], ids=name_of)
def test_a_japanese_term_is_read_without_a_font_for_it(page):
    # in its line, or the next one below a heading, stands how it is read, in letters with a bar over long vowels, or it
    # is named by a link to such a heading
    lines = page.read_text("utf-8").split("\n")
    for i, line in enumerate(lines):
        line = re.sub(r"\]\([^)]*\)", "", line)
        if TERM.search(line) and "日本語" not in line:
            beside = lines[i + 2] if line.startswith("## ") else line
            read = re.search(r"\*[A-Za-zōūēāĀ ,:()-]+\.?\*", beside) or re.fullmatch(r"(\|[^|]+){3,4}\|", beside)
            assert read, f"{name_of(page)}, line {i + 1}: {line}"


def test_no_figure_has_text_in_japanese():
    for script in (ROOT / "experiments").rglob("*.py"):
        if script.name != "acceptance.py":  # the titles of the table
            assert not TERM.search(script.read_text("utf-8")), script


def test_a_page_of_the_lecture_tells_of_what_was_said_beside_it():
    index = (DOCS / "lecture" / "index.md").read_text("utf-8")
    listed = re.findall(r"^\| \[[^]]+\]\((\w+\.md)\) .*\| ([^|]*T\d[^|]*) \|$", index, re.M)
    rows = {(page, row) for page, rows in listed for row in re.findall(r"T\d", rows)}
    assert {row for _, row in rows} == {f"T{i}" for i in range(1, 8)}
    assert [at for at in sorted(rows) if at[1] not in (DOCS / "lecture" / at[0]).read_text("utf-8")] == []
