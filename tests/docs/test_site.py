"""The site builds without a warning, offline; its pages ask nothing of other hosts, and no link is broken."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.docs.pages import DOCS, PAGES

pytest.importorskip("sphinx")
pytest.importorskip("myst_parser")
pytest.importorskip("furo")
pytestmark = pytest.mark.slow
LOADS = {("img", "src"), ("script", "src"), ("iframe", "src"), ("source", "src"), ("form", "action")}
LINKS = {"stylesheet", "icon", "preload", "preconnect", "dns-prefetch", "search"}  # what a <link> loads


class Page(HTMLParser):
    """What a page loads, where it links to, its ids, its pictures without a text, and what is skipped by a heading."""

    def __init__(self, text):
        super().__init__()
        self.loads, self.links, self.ids, self.unsaid, self.levels = [], [], set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.ids |= {given[name] for name in ("id", "name") if given.get(name)}
        self.loads += [given[name] for name in ("src", "action") if (tag, name) in LOADS and given.get(name)]
        if tag == "link" and set((given.get("rel") or "").split()) & LINKS:
            self.loads.append(given["href"])
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        if tag == "img" and not (given.get("alt") or "").strip():
            self.unsaid.append(given.get("src"))
        if re.fullmatch("h[1-6]", tag):
            self.levels.append(int(tag[1]))


@pytest.fixture(scope="module")
def pages(site):
    return {path: Page(path.read_text("utf-8")) for path in site.rglob("*.html")}


def test_every_page_is_built(site, pages):
    for page in PAGES:
        assert (site / page.relative_to(DOCS)).with_suffix(".html") in pages


def test_nothing_is_loaded_from_another_host(site, pages):
    for path, page in pages.items():
        assert [what for what in page.loads if re.match(r"(https?:)?//", what)] == [], path.name
    for sheet in site.rglob("*.css"):
        text = sheet.read_text("utf-8")
        assert not re.search(r"@import|url\(\s*['\"]?(https?:)?//", text), sheet.name


def test_no_link_within_the_site_is_broken(site, pages):
    for path, page in pages.items():
        for href in {link for link in page.links if not re.match(r"[a-z]+:|//", link)}:
            file, _, anchor = unquote(href).partition("#")
            target = (path.parent / file).resolve() if file else path
            assert target.exists(), f"{path.name}: {href}"
            if anchor and target in pages:
                assert anchor in pages[target].ids, f"{path.name}: {href}"


def test_every_picture_has_a_text_and_no_level_of_headings_is_skipped(pages):
    for path, page in pages.items():
        assert page.unsaid == [], path.name
        for above, below in zip(page.levels, page.levels[1:], strict=False):
            assert below <= above + 1, path.name


def test_every_public_name_is_in_the_reference(site, pages):
    from tests.test_docstrings import MODULES, PACKAGES, exported

    shown = set().union(*(page.ids for page in pages.values()))
    names = {name.rpartition(".")[2] for name in exported()}
    assert {
        name for name in names if not any(f"{package}.{name}" in shown for package in (*PACKAGES, *MODULES))
    } == set()


def test_japanese_terms_are_named_as_such(site):
    spans = 0
    for path in site.rglob("*.html"):
        text = re.sub(
            r"<script.*?</script>|<title>.*?</title>|<[^>]*>(?=[^<]*</title>)", "", path.read_text("utf-8"), flags=re.S
        )
        spans += text.count('<span lang="ja">')
        text = re.sub(r'<span lang="ja">[^<]*</span>', "", text)
        assert not re.search("[\u3041-\u30ff\u4e00-\u9fff]", re.sub(r"<[^>]*>", "", text)), path.name
    assert spans > 80


def test_signatures_link_to_torch_and_python(site):
    text = (site / "reference" / "estimators.html").read_text("utf-8")
    assert "docs.pytorch.org/docs/stable/tensors.html#torch.Tensor" in text
    assert "docs.python.org/3/library" in text


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs the browser chromium")
def test_no_page_is_wider_than_a_phone(site, tmp_path):
    # what is wide, code and tables, scrolls by itself; a page that is too wide is put among them, and must be found
    (site / "wide.html").write_text('<!doctype html><body><div style="width: 900px">wide</div>')
    names = sorted(str(path.relative_to(site)) for path in site.rglob("*.html"))
    look = (Path(__file__).parent / "phone.html").read_text("utf-8").replace("PAGES", json.dumps(names))
    (site / "phone.html").write_text(look, "utf-8")
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files"]
    command += [
        f"--user-data-dir={tmp_path}",
        "--virtual-time-budget=600000",
        "--dump-dom",
        (site / "phone.html").as_uri(),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    finally:
        for name in ("wide.html", "phone.html"):  # other tests look at every page
            (site / name).unlink()
    assert "wider than a phone: wide.html<" in done.stdout


def test_faults_are_noticed():
    page = Page(
        '<img src="https://a.org/x.png"><a href="no.html">a</a><link rel="stylesheet" href="//b.org/c.css"><h1/><h3/>'
    )
    assert page.loads == ["https://a.org/x.png", "//b.org/c.css"] and page.links == ["no.html"]
    assert page.unsaid == ["https://a.org/x.png"] and page.levels == [1, 3]
