"""What docs/figures may hold: plots as small PNGs, diagrams as SVG, animations as GIF; each once, and shown somewhere.

A figure is committed when its numbers changed: the PNG that `rllab.plots.save` wrote under results/, or the SVG of a
diagram, copied as it is.
"""

import re
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[1]
FIGURES = [file for file in sorted((ROOT / "docs" / "figures").rglob("*")) if file.is_file()]
WIDEST = 1960  # pixels of 160 an inch: text of 8 points is then 6.4 pixels high where a page shows 700 across
# still wider; their least text is of 8 and of 10 points
WIDER = {"bicycle", "landscape"}
LIMITS = {".png": 150_000, ".svg": 250_000, ".gif": 2_000_000}  # bytes


def test_figures_are_small():
    assert len(FIGURES) >= 40
    for figure in FIGURES:
        assert figure.stat().st_size <= LIMITS[figure.suffix], figure
    assert sum(figure.stat().st_size for figure in FIGURES) <= 6_000_000


def test_plots_have_a_palette_and_are_wide_enough_to_read():
    for figure in FIGURES:
        if figure.suffix == ".png":
            with Image.open(figure) as image:
                assert image.mode == "P" and image.width >= 1000, figure


def test_plots_are_narrow_enough_to_read_at_the_width_of_a_page():
    wide = set()
    for figure in FIGURES:
        if figure.suffix == ".png":
            with Image.open(figure) as image:
                wide |= {figure.stem} if image.width > WIDEST else set()
    assert wide == WIDER  # none more; and whoever draws one anew takes it out of the list


def test_lines_of_an_experiment_have_a_legend_only_where_they_are_many():
    # elsewhere they are named where they are: `label_end`, `say`, `plots.name_lines`
    legends = {
        script.relative_to(ROOT / "experiments").as_posix()
        for script in (ROOT / "experiments").rglob("*.py")
        if re.search(r"\.legend\(|\b(?:legend_below|shared_legend)\(", script.read_text("utf-8"))
    }
    assert legends == {
        "common/drawing.py",
        "agents/baselines.py",
        "agents/rider_figures.py",
        "agents/road_figures.py",
        "agents/strength_figure.py",
        "score_function/discrete_toys.py",
        "score_function/relax_toy.py",
        "score_function/variances.py",
    }


def test_a_figure_comes_in_one_format():
    # an animation stands beside the plot of the same experiment: it shows something else
    names = [figure.with_suffix("") for figure in FIGURES if figure.suffix != ".gif"]
    assert len(set(names)) == len(names)


def test_every_figure_is_shown_or_linked_and_every_link_leads_to_one():
    linked = set()
    for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
        for link in re.findall(r"\]\(([^)#]*figures/[^)]+)\)", page.read_text()):
            linked.add((page.parent / link).resolve())
    assert linked == {figure.resolve() for figure in FIGURES}
