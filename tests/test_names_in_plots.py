"""Names of lines: at their ends where they are few, apart and near them; many in a legend that squeezes no axes."""

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from rllab import plots
from rllab.plots.names import FEW, WIDTH, apart
from rllab.runs import Record, load_records
from tests.proofs.figures import names_at_ends, names_in_legend, names_shown


def figure_of(names, *, columns=1, ends=None, title="a note"):
    """Draw a line for each name in every panel; return the figure as it is laid out, and its panels."""
    figure, axes = plots.panels(columns)
    FigureCanvasAgg(figure)
    for ax in axes:
        for i, name in enumerate(names):
            ax.plot([0, 1], [0, i if ends is None else ends[i]], label=name)
        ax.set_xlabel("steps")
        plots.name_lines(ax, title)
    figure.canvas.draw()
    return figure, axes


def text_box(text):
    """Return where a text stands, without the line that leads to it."""
    return Text.get_window_extent(text)


@pytest.mark.parametrize("ends", [[0.0, 0.01, 0.02, 0.0, 1.0], [1.0] * 5, [0.0, 0.25, 0.5, 0.75, 1.0]])
def test_few_lines_are_named_at_their_ends_and_no_name_is_over_another(ends):
    names = [f"a method with settings, lr = {i}" for i in range(FEW)]
    _, (ax,) = figure_of(names, ends=ends)
    assert names_at_ends(ax) == names and names_in_legend(ax) == []
    assert ax.get_legend().get_title().get_text() == "a note"
    found = sorted((text_box(text) for text in ax.texts), key=lambda box: box.y0)
    assert all(low.y1 <= high.y0 + 1 for low, high in pairwise(found))
    assert all(box.x0 > ax.bbox.x1 for box in found)
    lines = {line.get_label(): line for line in ax.lines}
    for text, name in zip(ax.texts, names, strict=True):
        assert text.xy == tuple(lines[name].get_xydata()[-1])
        assert text.arrow_patch.get_edgecolor()[:3] == pytest.approx(rgb(lines[name]))
    by_end = sorted(range(FEW), key=lambda i: ends[i])
    heights = [text_box(ax.texts[i]).y0 for i in by_end]
    assert heights == sorted(heights)  # leaders do not cross


def test_what_leads_from_the_end_of_a_short_line_does_not_look_like_a_part_of_it():
    _, (ax,) = plots.panels()
    ax.plot([0, 10], [0, 1], label="long")
    ax.plot([0, 3], [1, 1], label="short")
    plots.name_lines(ax)
    looks = {text.get_text(): text.arrow_patch for text in ax.texts}
    assert looks["long"].get_edgecolor()[:3] == pytest.approx(rgb(ax.lines[0]))
    r, g, b = looks["short"].get_edgecolor()[:3]
    assert r == g == b and (looks["short"].get_linestyle(), looks["long"].get_linestyle()) == (":", "solid")
    assert looks["short"].get_linewidth() < looks["long"].get_linewidth()


def rgb(line):
    from matplotlib.colors import to_rgb

    return to_rgb(line.get_color())


def test_names_are_not_over_each_other_is_a_check_that_can_fail():
    _, (ax,) = figure_of(["one", "two"], ends=[1.0, 1.0])
    for text in ax.texts:
        text.set_position((1.03, 0.5))
    one, two = map(text_box, ax.texts)
    assert one.y1 > two.y0 + 1


@pytest.mark.slow
@pytest.mark.parametrize("columns", [1, 2])
@pytest.mark.parametrize("n", [FEW + 1, 12, 30])
def test_many_lines_have_a_legend_within_the_figure_and_the_axes_stay_as_large(n, columns):
    few, beside = figure_of(["a"], columns=columns, title="")
    names = [f"td3, clip_range = {i / 10}, gamma = 0.99, lr = 0.000{i}, tau = 0.005 (10 seeds)" for i in range(n)]
    figure, axes = figure_of(names, columns=columns)
    for ax, other in zip(axes, beside, strict=True):
        assert names_at_ends(ax) == [] and names_in_legend(ax) == names
        assert ax.bbox.height >= 0.95 * other.bbox.height and ax.bbox.width >= 0.95 * other.bbox.width
        legend = ax.get_legend().get_window_extent()
        assert 0 <= legend.x0 and legend.x1 <= figure.bbox.x1 and 0 <= legend.y0 and legend.y1 < ax.bbox.y0
        texts = [text.get_window_extent() for text in ax.get_legend().get_texts()]
        assert all(low.y1 <= high.y0 + 1 for high, low in pairwise(texts))
    assert few.get_figheight() < figure.get_figheight() < few.get_figheight() + 0.45 * n + 1  # two lines a name at most


def test_short_names_stand_in_two_columns():
    _, (ax,) = figure_of([f"method {i}" for i in range(8)])
    assert len({round(text.get_window_extent().x0) for text in ax.get_legend().get_texts()}) == 2


def test_what_has_no_point_or_is_no_line_stands_below():
    _, (ax,) = plots.panels()
    ax.plot([0, 1, 2], [0.0, 2.0, np.nan], label="ends early")
    ax.plot([0, 1], [np.nan, np.nan], label="nowhere")
    ax.fill_between([0, 1], 0, 1, label="band")
    assert plots.name_lines(ax) is ax
    assert names_at_ends(ax) == ["ends early"] and ax.texts[0].xy == (1.0, 2.0)
    assert sorted(names_in_legend(ax)) == ["band", "nowhere"]


def test_long_names_are_broken_and_mathematics_is_not():
    long, formula = (
        "GaussianSmoothing(sigma=0.1) vs the gradient of the smoothed cost",
        r"$\sigma + \sigma + \sigma$, of it all",
    )
    _, (ax,) = figure_of([long, formula])
    shown = [text.get_text() for text in ax.texts]
    assert max(map(len, shown[0].split("\n"))) <= max(WIDTH, len("GaussianSmoothing(sigma=0.1)"))
    assert shown[1] == formula and names_shown(ax) == [long, formula]


def test_a_logarithmic_axis_is_named_where_its_lines_end():
    figure, (ax,) = plots.panels()
    ax.set_yscale("log")
    for i, y in enumerate((1e-6, 1e-3, 1.0)):
        ax.plot([1, 2], [y, y], label=f"m{i}")
    plots.name_lines(ax)
    FigureCanvasAgg(figure).draw()
    for text in ax.texts:
        end = ax.transData.transform(text.xy)[1]
        assert text_box(text).y0 <= end <= text_box(text).y1


@pytest.mark.parametrize(
    ("wanted", "heights", "centres"),
    [
        ([], [], []),
        ([0.5], [0.1], [0.5]),
        ([0.5, 0.5], [0.2, 0.2], [0.4, 0.6]),
        ([0.6, 0.5], [0.2, 0.2], [0.65, 0.45]),
        ([1.0, 0.0], [0.2, 0.4], [0.9, 0.2]),
        ([0.1, 0.5, 0.52], [0.1, 0.1, 0.1], [0.1, 0.46, 0.56]),
        ([0.5, 0.5, 0.5], [0.2, 0.4, 0.2], [0.2, 0.5, 0.8]),
    ],
)
def test_centres_are_the_nearest_that_do_not_overlap(wanted, heights, centres):
    assert apart(wanted, heights) == pytest.approx(centres)


def test_settings_are_named_as_they_are_typed_and_a_panel_goes_on_in_their_looks(tmp_path):
    for i in range(14):
        config = {"method": "td3", "environment": "Pendulum-v1", "settings": {"lr": 0.1 * (i + 1), "gamma": 0.99}}
        with Record.create(tmp_path / f"{i}", config, seed=0) as record:
            for steps in (1, 2):
                record.append({"steps": steps, "evaluation": 1.0 * i})
    first, second = plots.overview(load_records(tmp_path)).axes
    lines = [line for ax in (first, second) for line in ax.lines if not line.get_label().startswith("_")]
    assert {line.get_label() for line in lines} == {
        f"td3, lr = {0.1 * (i + 1):.3g} (1 seed, 1 unfinished)" for i in range(14)
    }
    assert (
        len(
            {
                (line._unscaled_dash_pattern[1] and tuple(line._unscaled_dash_pattern[1]), line.get_marker())
                for line in lines
            }
        )
        == 14
    )


@pytest.mark.parametrize("log", (False, True))
def test_a_line_over_all_of_the_axes_is_named_at_their_right_edge(log):
    _, (ax,) = plots.panels()
    ax.plot([10, 100, 1000], [3, 2, 1], label="falls")
    ax.axhline(2.5, label="exact")
    ax.axvline(50, label="there")
    if log:
        ax.set_xscale("log")
    plots.name_lines(ax)
    ends = {text.get_text(): text.xy for text in ax.texts}
    assert ends["exact"] == pytest.approx((ax.get_xlim()[1], 2.5))
    assert ends["there"] == pytest.approx((50, ax.get_ylim()[1]))
    assert ends["falls"] == pytest.approx((1000, 1))
