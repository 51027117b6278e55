"""Numbers on logarithmic axes do not overlap, over few decades or many, in every figure of the library."""

import itertools

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from rllab import plots, runs
from rllab.plots.log_axes import named, set_log

RANGES = [(20, 200), (2_000, 20_000), (25, 31), (1, 9), (3, 400), (1e-9, 1e-7), (1e-5, 1e5), (0.7, 1.4), (1, 1e8)]


def shown(ax, which):
    """Return the texts of an axis's ticks that are drawn, with their extents."""
    axis = ax.xaxis if which == "x" else ax.yaxis
    canvas = FigureCanvasAgg(ax.figure)
    canvas.draw()
    low, high = sorted(axis.get_view_interval())
    ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
    labels = [t.label1 for t in ticks if low <= t.get_loc() <= high and t.label1.get_text()]
    return {label.get_text(): label.get_window_extent(canvas.get_renderer()) for label in labels}


def overlapping(texts):
    return [pair for pair in itertools.combinations(texts.values(), 2) if pair[0].overlaps(pair[1])]


@pytest.mark.slow
@pytest.mark.parametrize("which", ("x", "y"))
@pytest.mark.parametrize("ends", RANGES, ids=str)
def test_there_are_numbers_and_they_do_not_overlap(ends, which):
    with plots.style():
        _, (ax, _) = plots.panels(2)
        ax.plot(ends, ends)
        set_log(ax, which)
        texts = shown(ax, which)
        assert len(texts) >= 2
        assert not overlapping(texts)


def test_the_numbers_of_matplotlib_do():
    with plots.style():
        _, (ax, _) = plots.panels(2, width=4.0)
        ax.plot((20, 200), (20, 200))
        ax.set_xscale("log")
        assert any("times" in text for text in shown(ax, "x"))
        set_log(ax, "x")
        assert {"20", "50", "100", "200"} <= set(shown(ax, "x"))


def test_a_figure_is_saved_with_numbers_that_do_not_overlap_and_is_as_before(tmp_path):
    with plots.style():
        figure, (ax, other) = plots.panels(2, width=4.0)
        ax.plot((20, 200), (20, 200))
        ax.set(xscale="log", yscale="log")
        other.plot((20, 200), (20, 200))
        other.set_xscale("log")
        other.xaxis.set_major_formatter("{x:g} m")
        other.xaxis.set_minor_formatter("")
        before = shown(ax, "x").keys(), shown(ax, "y").keys()
    drawn = plots.save(figure, tmp_path / "few").with_suffix(".svg").read_text("utf-8")
    assert "<!-- 50 -->" in drawn and "times" not in drawn and "<!-- 100 m -->" in drawn
    with plots.style():
        assert (shown(ax, "x").keys(), shown(ax, "y").keys()) == before


def test_numbers_are_plain_where_that_is_short():
    assert [named(v, 10, 300) for v in (20, 30, 50, 100)] == ["20", "", "50", "100"]
    assert [named(v, 1, 1e6) for v in (20, 1_000, 100_000)] == ["", "1,000", "100,000"]
    assert named(1e6, 1, 1e7) == r"$\mathdefault{10^{6}}$" and named(2e6, 1e6, 3e6) == r"$\mathdefault{2\times10^{6}}$"
    assert [named(v, 21, 45) for v in (30, 40)] == ["30", "40"] and named(-1, 1, 2) == ""


def test_learning_curves_have_them(tmp_path):
    with runs.Record.create(tmp_path / "a", {"method": "evolution"}, seed=0) as record:
        for steps in (20, 60, 200):
            record.append({"steps": steps, "evaluation": float(steps)})
    ax = plots.panels()[1][0]
    plots.curves(ax, runs.load_records(tmp_path), log=True)
    texts = shown(ax, "x")
    assert {"20", "50", "100", "200"} <= set(texts) and not overlapping(texts)
