"""The page of the lecture's table: it is of the rows that there are, and its medians say of what they are."""

import re
from pathlib import Path

from experiments.common.acceptance import REGISTRY, AtMost, Row, Verdict
from experiments.lecture import table  # noqa: F401 - registers all rows
from experiments.lecture.rows import prices
from experiments.lecture.table_page import some_rows

DOCS = Path(__file__).parents[3] / "docs"


def line_of(entry):
    return some_rows([Verdict(entry, {0: 0.5}, {})], entry.ids, "a machine").splitlines()[-1]


def test_the_page_in_docs_is_of_the_rows_there_are():
    text = (DOCS / "lecture.md").read_text("utf-8")
    for entry in REGISTRY:
        id_says_measures, where = line_of(entry).split(" | ")[:3], line_of(entry).split(" | ")[-1]
        assert " | ".join(id_says_measures) in text and where in text, entry.where
    assert "missing**" not in text
    shown_there = re.findall(r"^!\[[^\]]+\]\((figures/\w+\.(?:png|gif|svg))\)$", text, flags=re.MULTILINE)
    assert len(shown_there) >= 20 and all((DOCS / figure).is_file() for figure in shown_there)


def test_a_median_that_is_not_over_seeds_says_of_what_it_is():
    assert [entry.where for entry in REGISTRY if entry.measures.startswith("median")] == []
    of_seeds = Row(("L50",), "It is so", "a number", AtMost(1.0), lambda seed, fast: 0.5, seeds="median")
    assert "| median over seeds: a number |" in line_of(of_seeds)


def test_the_median_over_networks_is_in_the_middle_of_an_even_number_of_them(monkeypatch):
    monkeypatch.setattr(prices, "_ratios", lambda seed, fast: ([93, 1633], [4.0, 3.0]))
    assert prices.time_of_a_gradient(0, True) == 3.5
