"""The page: one file that fetches nothing, shows what is recorded as text, and says what is missing or damaged."""

import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from rllab.report import write_report
from rllab.report.svg import inline
from rllab.runs import Record
from tests.report.pages import EVIL, make_results

pytest.importorskip("jinja2", reason="the extra `report` is not installed")
VOID = {"meta", "br", "hr", "img", "link", "input"}


class Reader(HTMLParser):
    """Collect elements and text, and check that elements are closed in order."""

    def __init__(self, page):
        super().__init__()
        self.open, self.elements, self.text = [], [], []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("script", "style"):
            self.text.append(data)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return make_results(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def page(results, tmp_path_factory):
    told = []
    path = write_report(results, tmp_path_factory.mktemp("page") / "new" / "report.html", skipped=told.append)
    assert told == []
    return path.read_text()


@pytest.mark.slow
def test_it_is_one_file_that_fetches_nothing_and_runs_one_short_script(page):
    elements = Reader(page).elements
    for tag, attributes in elements:
        assert tag not in {"link", "iframe", "object", "embed", "base", "img", "form"}
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("src", "href", "xlink:href"):
                assert value.startswith("#")
    assert "@import" not in page and not re.search(r"url\((?!#)", page)
    (script,) = re.findall(r"<script>(.*?)</script>", page, flags=re.S)
    assert len(script.strip().splitlines()) <= 30
    assert ("meta", "default-src 'none'") in [(tag, a.get("content", "")[:18]) for tag, a in elements]


def test_names_of_parts_are_unique_and_every_reference_is_met(page):
    ids = [a["id"] for _, a in Reader(page).elements if "id" in a]
    assert len(ids) == len(set(ids))
    wanted = re.findall(r'href="#([^"]+)"', page) + re.findall(r"url\(#([^)]+)\)", page)
    assert len(wanted) > 20 and set(wanted) <= set(ids)


def test_names_from_records_are_text(page):
    assert EVIL not in page
    text = "".join(Reader(page).text)
    assert f"the error halves {EVIL}" in text and f"ValueError: {EVIL}" in text
    assert text.count(EVIL) >= 10


def test_it_shows_question_claims_figures_tables_configuration_and_the_command(page):
    text = " ".join(" ".join(Reader(page).text).split())
    for words in (
        "Does the error halve?",
        "1 of 2 claims hold",
        "1 of 20 runs unfinished",
        "FAILS it is 0 (needs 0)",
        "note a note",
        "Made again by python toys.py",
        "Probability of improvement",
        "performance profile",
        "settings.lr 0.001",
        "versions.torch",
        "Quality of estimates two: mse",
        "SPSA",
    ):
        assert words in text, words
    labels = [a["aria-label"] for tag, a in Reader(page).elements if tag == "svg"]
    assert all(len(label) > 30 for label in labels) and len(labels) >= 6
    assert any("above td3: 0.8" in label or "above td3: 0.9" in label for label in labels)


@pytest.mark.slow
def test_the_threshold_is_timed_and_a_damaged_run_is_told_and_left_out(tmp_path):
    results = make_results(tmp_path / "results")
    (results / "pendulum" / "td3-3" / "rows.jsonl").write_text("nonsense\n")
    (results / "toys" / "two.quality.json").write_text("{}")
    (results / "toys" / "toys.svg").write_text("no drawing")
    told = {}
    path = write_report(results, tmp_path / "a.html", threshold=lambda record: 27.0, skipped=told.__setitem__)
    assert {Path(where).name for where in told} == {"td3-3", "two.quality.json", "toys.svg"}
    text = "".join(Reader(path.read_text()).text)
    assert "reached 27" in text and "8 of 10" in text  # 20 + seed + 5 from seed 2 on
    (results / "toys" / "about.json").write_text('{"claims": 3}')
    told.clear()
    write_report(results, tmp_path / "a.html", skipped=told.__setitem__)
    assert "not of the form that this version writes" in told[(results / "toys").absolute()]


def test_the_legend_explains_what_the_page_has_and_nothing_else(tmp_path, page):
    assert "Kaplan–Meier" not in page and "interquartile mean" in page and "area under" not in page
    for method in ("a", "b"):
        with Record.create(tmp_path / method / f"{method}-0", {"method": method}, seed=0) as record:
            record.append({"steps": 100, "evaluation": 1.0})
            record.finish()
    shown = write_report(tmp_path, tmp_path / "report.html").read_text("utf-8")
    assert "interquartile mean" in shown and "mean height of the curve of evaluation" in shown
    assert "probability of improvement" not in shown.lower() and "rllab compare takes several folders" in shown


def test_nothing_to_report_is_said(tmp_path):
    with pytest.raises(ValueError, match="no run in"):
        write_report(tmp_path, tmp_path / "a.html")
    assert not (tmp_path / "a.html").exists()


SVG = """<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="9pt" height="8pt">
<script>alert(1)</script><style>* {{ fill: url(http://x) }}</style><foreignObject><p/></foreignObject>
<g id="a" onclick="alert(1)" clip-path="url(#a)"><use xlink:href="#a" x="1"/>
<image xlink:href="http://x/y.png"/><image xlink:href="data:image/png;base64,AA"/><path style="fill: url(http://x)"/>
<use href="javascript:alert(1)"/></g></svg>"""


def test_a_drawing_keeps_its_shapes_and_nothing_that_runs_or_is_fetched():
    drawn = inline(SVG.encode(), 'a "label" <b>', "p")
    for wrong in ("script", "style", "foreign", "onclick", "http://x", "alert"):
        assert wrong not in drawn
    root = ElementTree.fromstring(drawn)
    assert root.get("viewBox") == "0 0 9 8" and root.get("aria-label") == 'a "label" <b>'
    (g,) = root
    assert (g.get("id"), g.get("clip-path")) == ("p-a", "url(#p-a)")
    hrefs = [child.get("{http://www.w3.org/1999/xlink}href") for child in g]
    assert hrefs == ["#p-a", None, "data:image/png;base64,AA", None, None]
    for wrong in (b"no", b"<html/>"):
        with pytest.raises(ValueError, match="it is no SVG"):
            inline(wrong, "", "")
