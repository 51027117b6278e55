"""Plots: the lines hold the data of the records, a method looks the same everywhere, files are whole and repeatable."""

import math
from collections import Counter
from io import BytesIO
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from rllab import plots
from rllab.agents.base import known_agents
from rllab.plots.styles import _known
from rllab.runs import Record
from rllab.runs.statistics import bootstrap_interval, median
from rllab.testing import exported_estimators
from tests.proofs.figures import names_at_ends, names_in_legend, names_shown


def run(folder, seed, values, *, config=None, finish=True, every=10):
    with Record.create(folder, {"method": "evolution", **(config or {})}, seed=seed) as record:
        for i, value in enumerate(values):
            record.append({"steps": every * i, "evaluation": value, "seconds": 0.5 * i + seed})
        if finish:
            record.finish()
    return Record.open(folder)


def drawn(records, **options):
    _, (ax,) = plots.panels()
    assert plots.curves(ax, records, **options) is ax
    lines = {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}
    faint = [line for line in ax.lines if line.get_label().startswith("_")]
    return ax, lines, faint


def test_lines_and_band_hold_the_data(tmp_path):
    values = np.random.default_rng(3).normal(size=(25, 3))
    ax, lines, faint = drawn([run(tmp_path / str(s), s, row) for s, row in enumerate(values)], key=9)
    (name,) = lines
    assert name == "evolution (25 seeds)"
    np.testing.assert_array_equal(lines[name].get_xydata(), np.column_stack(([0, 10, 20], np.median(values, axis=0))))
    for line, row in zip(faint, values, strict=True):
        np.testing.assert_array_equal(line.get_xydata(), np.column_stack(([0, 10, 20], row)))
    low, high = bootstrap_interval(values, median, key=9)
    assert (low != bootstrap_interval(values, median, key=0)[0]).any()
    (band,) = ax.collections
    corners = {tuple(corner) for corner in band.get_paths()[0].vertices.tolist()}
    for i in range(3):
        assert {(10.0 * i, low[i]), (10.0 * i, high[i])} <= corners
    assert {y for _, y in corners} == {*low, *high}
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_xscale()) == ("environment steps", "evaluation", "linear")
    assert names_at_ends(ax) == [name] and names_in_legend(ax) == []
    assert "median and 95 % bootstrap band over seeds; faint" in ax.get_legend().get_title().get_text()


def test_the_caption_says_of_how_few_seeds_a_band_is_and_that_one_seed_has_none(tmp_path):
    records = [run(tmp_path / str(s), s, [0.0, 1.0 * s]) for s in range(9)]
    for n, says in ((1, "one seed each, no interval"), (9, "band over seeds (too narrow for fewer than 10 seeds)")):
        ax, _, _ = drawn(records[:n])
        assert says in " ".join(ax.get_legend().get_title().get_text().split())


def test_a_value_is_drawn_as_held_until_the_next_row(tmp_path):
    ax, lines, faint = drawn([run(tmp_path / str(s), s, [0.0, 4.0, 1.0 + s]) for s in (0, 1, 2)])
    for line in (*lines.values(), *faint):
        corners = line.get_path().vertices  # as drawn: before a new value comes, the old one stands
        values = line.get_ydata()
        stairs = [(0, values[0]), (10, values[0]), (10, values[1]), (20, values[1]), (20, values[2])]
        np.testing.assert_array_equal(corners, stairs)
    (band,) = ax.collections
    ends = band.get_paths()[0].vertices.tolist()
    assert [10.0, 0.0] in ends and [10.0, 4.0] in ends  # of no width at 0 and at 10, but upright between


def test_another_column_another_label_and_a_logarithmic_axis(tmp_path):
    records = [run(tmp_path / str(s), s, [1.0, 2.0]) for s in (0, 1)]
    ax, lines, _ = drawn(records, x="seconds", label="steps upright", log=True, names={"evolution": "ES"})
    (line,) = lines.values()
    np.testing.assert_array_equal(line.get_xdata(), [0, 0.5, 1, 1.5])
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_xscale()) == ("wall seconds", "steps upright", "log")
    assert list(lines) == ["ES (2 seeds)"]


def test_the_median_ends_where_fewer_than_half_of_the_runs_remain_and_every_seed_goes_on(tmp_path):
    lengths = (2, 3, 3, 5, 5)
    records = [run(tmp_path / str(s), s, [float(s)] * n, finish=s < 3) for s, n in enumerate(lengths)]
    ax, lines, faint = drawn(records)
    ((name, line),) = lines.items()
    assert name == "evolution (5 seeds, 2 unfinished)"
    np.testing.assert_array_equal(line.get_ydata(), [2, 2, 2.5, math.nan, math.nan])
    assert [len(seed.get_xdata()) for seed in faint] == list(lengths)
    (band,) = ax.collections
    assert max(x for path in band.get_paths() for x, _ in path.vertices) == 20


def test_a_value_without_a_neighbour_is_drawn_as_a_point(tmp_path):
    records = []
    for seed in range(10):  # each ends elsewhere, with one evaluation, but for two that have two
        with Record.create(tmp_path / str(seed), {"method": "ars"}, seed=seed) as record:
            for steps in (2_500,) * (seed < 2) + (4_990 + seed,):
                record.append({"steps": steps, "evaluation": 100.0 + seed})
            record.finish()
        records.append(Record.open(tmp_path / str(seed)))
    ax, _, faint = drawn(records)
    marked = [[line.get_xdata()[i] for i in line.get_markevery() or ()] for line in faint[:10]]
    assert marked == [[], [], *([4_990 + seed] for seed in range(2, 10))]
    assert all(line.get_marker() == ("o" if at else "None") for line, at in zip(faint, marked, strict=False))
    (said,) = names_in_legend(ax)
    assert said == "ars (10 seeds, no median: fewer than half overlap)"
    # a median at one point, where all are, is marked too
    _, lines, faint = drawn([run(tmp_path / f"one-{s}", s, [1.0 + s]) for s in range(3)])
    (line,) = lines.values()
    assert list(line.get_markevery()) == [0] and line.get_marker() not in ("", "None", "none")
    assert all(list(seed.get_markevery()) == [0] for seed in faint)


def test_a_single_run_has_no_band(tmp_path):
    ax, lines, _ = drawn([run(tmp_path / "0", 0, [1.0, 2.0])])
    assert list(lines) == ["evolution (1 seed)"]
    assert not any(len(path.vertices) for band in ax.collections for path in band.get_paths())


def test_configurations_of_one_method_are_drawn_apart_and_named_by_what_differs(tmp_path):
    records = [
        run(tmp_path / f"{lr}-{seed}", seed, [lr, 1.0], config={"optimizer": {"lr": lr, "beta": 0.9}, "seed": seed})
        for lr in (0.1, 0.5)
        for seed in (0, 1)
    ]
    _, lines, _ = drawn(records, names={"evolution": "ES"})
    assert list(lines) == [f"ES, optimizer.lr = {lr} (2 seeds)" for lr in (0.1, 0.5)]
    one, two = lines.values()
    np.testing.assert_array_equal(one.get_ydata(), [0.1, 1])
    assert one.get_color() == two.get_color()
    assert one.get_marker() != two.get_marker() and one._unscaled_dash_pattern != two._unscaled_dash_pattern


def test_what_cannot_be_drawn_is_refused_and_named(tmp_path):
    records = [run(tmp_path / "a", 0, [1.0]), run(tmp_path / "b", 0, [2.0])]
    with pytest.raises(ValueError, match=r"b and .*a are one run, evolution with seed 0"):
        drawn(records)
    with pytest.raises(ValueError, match="both 'steps' and 'score'; columns are evaluation, seconds, steps"):
        drawn(records[:1], y="score")
    with pytest.raises(ValueError, match="columns are none: no rows"):
        drawn([run(tmp_path / "empty", 0, [])])
    with pytest.raises(ValueError, match=r'config\["method"\] must name the method, got None'):
        drawn([run(tmp_path / "nameless", 0, [1.0], config={"method": None})])


def test_a_run_killed_before_its_first_row_is_counted_beside_the_others(tmp_path):
    records = [run(tmp_path / "0", 0, [1.0, 2.0]), run(tmp_path / "1", 1, [], config={"method": "td3"}, finish=False)]
    _, lines, _ = drawn(records)
    assert list(lines) == ["evolution (1 seed)", "td3 (1 seed, 1 unfinished, no rows)"]
    assert len(lines["td3 (1 seed, 1 unfinished, no rows)"].get_xdata()) == 0


def test_a_method_looks_the_same_in_every_figure(tmp_path):
    alone = plots.method_styles(["td3"])
    assert plots.method_styles(["evolution", "td3", "unheard-of"])["td3"] == alone["td3"] == plots.METHODS["td3"]
    assert plots.method_styles(["unheard-of"])["unheard-of"] == plots.method_styles(["unheard-of", "td3"])["unheard-of"]
    _, lines, _ = drawn([run(tmp_path / "0", 0, [1.0], config={"method": "td3"})])
    (line,) = lines.values()
    assert (line.get_color(), line.get_marker()) == (alone["td3"].color, alone["td3"].marker)


def test_any_methods_of_one_figure_can_be_told_apart_without_colour_or_by_it():
    names = [*plots.METHODS, *(f"method {i}" for i in range(len(plots.styles._OTHERS)))]
    styles = plots.method_styles(reversed(names))
    assert styles == plots.method_styles(names)
    assert len({(style.color, style.linestyle) for style in styles.values()}) == len(names)
    known = [(str(style.linestyle), style.marker) for style in plots.METHODS.values()]
    assert len(set(known)) == len(known)
    assert len(plots.method_styles([*names, "one too many"])) == len(names) + 1


@pytest.mark.parametrize("n", [2, 8, 24])
def test_own_methods_are_distinct_by_construction(n):
    for kind in ("mine-{}", "Method{}", "_{}"):
        styles = list(plots.method_styles(kind.format(i) for i in range(n)).values())
        assert len({(how.color, how.linestyle) for how in styles}) == n
        assert len({(how.linestyle, how.marker) for how in styles}) == n
        uses = Counter(how.color for how in styles)
        assert len(uses) == min(n, 7) and max(uses.values()) <= -(-n // 7)


def test_own_methods_take_no_colour_of_a_fixed_one_while_there_are_others():
    fixed = ["evolution", "reinforce", "td3", "sac"]
    for i in range(40):
        styles = plots.method_styles([*fixed, f"mine-{i}", f"yours-{i}"])
        assert len({how.color for how in styles.values()}) == 6


def test_a_method_has_its_look_by_the_name_of_its_class_too():
    styles = plots.method_styles(["Evolution", "Reinforce", "TD3", "OrthogonalSmoothing(radius=0.2)", "orthonormal-x"])
    for name, key in (("Evolution", "evolution"), ("Reinforce", "reinforce"), ("TD3", "td3")):
        assert styles[name] == plots.METHODS[key]
    assert styles["OrthogonalSmoothing(radius=0.2)"] == plots.METHODS["orthogonal"]
    twice = plots.method_styles(["gaussian", "GaussianSmoothing(sigma=0.2)", "GaussianSmoothing(sigma=0.4)"])
    assert twice["gaussian"] == plots.METHODS["gaussian"] and len(set(twice.values())) == 3
    neither = plots.method_styles(["GaussianSmoothing(sigma=0.2)", "GaussianSmoothing(sigma=0.4)"])
    assert len({how.color for how in neither.values()}) == 2
    estimators = {_known(cls.__name__) for cls in exported_estimators()}
    agents = {kind.__name__.lower() for kind in known_agents()}
    of_scripts = {"surrogate", "forward", "one-point"}  # no classes: a baseline, and two forms of one
    assert set(plots.METHODS) <= estimators | agents | of_scripts


def test_variants_of_methods_are_distinct_by_construction():
    for counts in ({"evolution": 24}, {"mine": 12, "evolution": 12}, dict.fromkeys(plots.METHODS, 3), {"a": 8, "b": 8}):
        styles = plots.variant_styles(counts)
        assert {name: len(looks) for name, looks in styles.items()} == counts
        every = [how for looks in styles.values() for how in looks]
        assert len(set(every)) == len(every)
        assert all(looks[0] == plots.method_styles(counts)[name] for name, looks in styles.items())
        assert all(len({how.color for how in looks}) == 1 for looks in styles.values())


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["_mine", "a$b", "$\\frac{$", "$x^$ _", "\x1b[31mred", "two\nlines$", "-->", "$\\sigma$", ""]
)
def test_any_name_of_a_method_is_shown_and_stops_no_figure(tmp_path, name):
    records = [run(tmp_path / "0", 0, [1.0], config={"method": name}), run(tmp_path / "1", 0, [2.0])]
    figure, (ax,) = plots.panels()
    plots.curves(ax, records, label=name)
    assert len(names_shown(ax)) == 2 and "(1 seed)" in names_shown(ax)[0]
    ElementTree.parse(plots.save(figure, tmp_path / "a.png").with_suffix(".svg"))


def test_mathematics_is_drawn_as_such_and_what_is_none_letter_by_letter():
    assert plots.as_label(r"$\sigma$ = 1") == r"$\sigma$ = 1"
    assert plots.as_label(r"$\frac{$ = 1") == r"\$\frac{\$ = 1"
    assert plots.as_label("_a").removeprefix("\u200b") == "_a" and plots.as_label("a_b") == "a_b"


def test_a_legend_shows_no_line_that_is_not_drawn(tmp_path):
    lost = [run(tmp_path / f"t{s}", s, [5.0] * (s == 0), config={"method": "td3"}, finish=False) for s in range(3)]
    ax, lines, _ = drawn([run(tmp_path / "0", 0, [1.0, 2.0]), *lost])
    assert list(lines) == ["evolution (1 seed)", "td3 (3 seeds, 3 unfinished, no median: fewer than half overlap)"]
    assert names_at_ends(ax) == ["evolution (1 seed)"]
    assert names_in_legend(ax) == ["td3 (3 seeds, 3 unfinished, no median: fewer than half overlap)"]
    (entry,) = ax.get_legend().get_lines()
    assert (entry.get_linestyle(), entry.get_marker()) == ("None", "none")


def runs_of_ink(linestyle, marker, size):
    """Lengths in pixels of what a legend shows of a line, along its middle and left and right of the marker."""
    with plots.style():
        figure, (ax,) = plots.panels(width=4, height=3)
        figure.set_dpi(200)
        ax.set_axis_off()
        (line,) = ax.plot([], [], color="#000000", linestyle=linestyle, marker=marker, label="x")
        legend = ax.legend(fontsize=size)
        FigureCanvasAgg(figure).draw()
    (handle,) = legend.get_lines()
    (x0, y), (x1, _) = handle.get_transform().transform(handle.get_xydata()[[0, -1]])
    pixels = np.asarray(figure.canvas.buffer_rgba())[-round(y), round(x0) : round(x1), 0] < 128
    half = line.get_markersize() * 200 / 72 / math.sqrt(2) + 2  # a diamond is a square on its corner
    middle, runs = len(pixels) / 2, []
    for side in (pixels[: int(middle - half)], pixels[int(middle + half) :]):
        edges = np.flatnonzero(np.diff(np.concatenate(([0], side, [0]))))
        runs.append(edges[1::2] - edges[::2])
    return runs


@pytest.mark.parametrize("size", [8, 9])
@pytest.mark.parametrize("marker", ["o", "D", "P"])
def test_a_legend_shows_of_every_line_how_it_is_dashed_beside_its_marker(marker, size):
    solid, dashed, dotted, dashdot = (runs_of_ink(line, marker, size) for line in plots.LINES)
    assert all(len(side) == 1 for side in solid)
    assert all(len(side) >= 2 for side in dashed)
    assert all(len(side) >= 4 and max(side) < 8 for side in dotted)
    dot = plots.STYLE["lines.linewidth"] * 200 / 72  # as long as the line is wide
    for side in dashdot:
        assert any(abs(run - dot) <= 1 for run in side) and max(side) > 2 * dot


def test_a_style_leaves_no_setting_behind():
    with mpl.rc_context():
        mpl.rcdefaults()  # not what a style may have left in a test before this one
        before = dict(mpl.rcParams)
        with plots.style():
            assert dict(mpl.rcParams) != before
        assert dict(mpl.rcParams) == before


@pytest.mark.slow
def test_a_figure_is_written_twice_whole_and_with_the_same_bytes(tmp_path):
    records = [run(tmp_path / str(s), s, [1.0, 5.0, 3.0 + s]) for s in (0, 1, 2)]
    before = dict(mpl.rcParams)
    written = []
    for name in ("new/one.png", "two.svg", "three"):
        figure, (ax,) = plots.panels()
        plots.curves(ax, records)
        layout = figure.get_layout_engine()
        path = plots.save(figure, tmp_path / name)
        assert figure.get_layout_engine() is layout
        assert path == (tmp_path / name).with_suffix(".png")
        written.append((path.read_bytes(), path.with_suffix(".svg").read_bytes()))
    assert written[0] == written[1] == written[2]
    assert b"<dc:date>" not in written[0][1]
    assert dict(mpl.rcParams) == before
    with Image.open(path) as image:
        assert image.mode == "P"  # 8 bits a pixel
        grey = np.asarray(image.convert("L"))
    assert min(grey.shape) > 300 and grey.min() < 50 and np.median(grey) == 255
    with pytest.raises(ValueError, match=r"save: path must end in \.png or \.svg, both are written, got 'a\.pdf'"):
        plots.save(figure, tmp_path / "a.pdf")


def test_a_palette_keeps_every_colour_and_makes_the_file_small():
    with plots.style():
        figure, (ax,) = plots.panels()
        for i, color in enumerate(plots.COLOURS):  # thin lines, and bands that mix with white and with one another
            ax.plot([0, 1], [i, i + 2], color=color, lw=0.7)
            ax.fill_between([0, 1], i, i + 2, color=color, alpha=0.2, lw=0)
        full = BytesIO()
        figure.savefig(full, format="png")
    small = plots.styles.with_palette(full)
    assert len(small) < 0.6 * len(full.getvalue())
    with Image.open(full) as wanted, Image.open(BytesIO(small)) as image:
        off = np.asarray(image.convert("RGB")).astype(int) - np.asarray(wanted.convert("RGB"))
    assert np.abs(off).max() <= 24  # of 255


def test_panels_come_row_by_row_and_open_no_window():
    figure, axes = plots.panels(3, 2, width=2, height=1)
    assert len(axes) == 6 and figure.get_size_inches().tolist() == [6, 2]
    positions = [ax.get_subplotspec() for ax in axes]
    assert [(p.rowspan.start, p.colspan.start) for p in positions] == [(r, c) for r in (0, 1) for c in (0, 1, 2)]
    assert figure.canvas.manager is None
