"""The gallery: its page is the one in docs, its pictures are there, and nothing in them lies on anything else."""

from pathlib import Path

from experiments.lecture.gallery import page
from experiments.lecture.pictures import PICTURES

import pytest

from rllab.diagrams.layout import laid_out
from rllab.diagrams.painting import text_measure
from tests.proofs.layouts import faults, gaps

DOCS = Path(__file__).parents[2] / "docs"
CROSSINGS = {"figure_4": 48, "figure_5": 1}  # 45 = C(6, 2) C(3, 2) and 3 = C(3, 2) C(2, 2) for all on all; else none


def test_the_page_is_the_one_that_the_script_writes():
    assert (DOCS / "gallery.md").read_text() == page()


@pytest.mark.slow
@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_clean_and_drawn(name):
    layout = laid_out(PICTURES[name].make(), text_measure(), PICTURES[name].direction)
    assert not faults(layout) and max(gaps(layout)) <= 1e-6
    assert layout.crossings <= CROSSINGS.get(name, 0)
    assert (DOCS / f"figures/gallery/{name}.svg").stat().st_size
