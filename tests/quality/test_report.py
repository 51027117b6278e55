"""Report: its table and its figures hold the numbers of the rows, gaps for what could not be measured included."""

import math

import numpy as np
import pytest
import torch

import rllab
from rllab import plots
from rllab.estimators import SPSA, Backprop, CentralDifference, ForwardDifference, GaussianSmoothing, GuidedSmoothing
from rllab.plots import quality
from rllab.problems import Linear, Quadratic, Staircase
from rllab.quality.report import Report
from tests.proofs.figures import names_in_legend, names_shown

DTYPE = torch.float64
AT = torch.tensor([0.7, -1.3, 0.4, 0.2], dtype=DTYPE)
LINE = Linear((1.9, -0.4, 0.8, -1.3), dimension=4, offset=3.1)
BOWL = Quadratic((2.0, 0.5, -1.0, 3.0), 0.3, dimension=4, offset=1.7)


def measure(estimators, problem=LINE, *, budgets=(8,), repeats=100):
    return rllab.measure_quality(estimators, problem, at=AT, budgets=budgets, repeats=repeats, key=0)


@pytest.fixture(scope="module")
def report():
    estimators = [CentralDifference(), GaussianSmoothing(0.3), ForwardDifference(step=0.5), GuidedSmoothing()]
    return measure(estimators, BOWL, budgets=[2, 8, 32], repeats=300)


def test_the_report_prints_a_row_each(report):
    head, *lines = str(report).splitlines()
    assert head.split() == [
        "estimator",
        "truth",
        "budget",
        "evaluations",
        *"kind bias variance mse/‖truth‖² cosine snr".split(),
    ]
    assert len(lines) == 12
    assert "needs 8 evaluations" in lines[0]
    assert "CentralDifference()" in lines[1] and "[0, " in lines[1]
    assert "none" in lines[-1]
    assert len(str(Report()).splitlines()) == 1


def drawn(ax):
    """Return the lines with a label, by the estimator's name, as (x, y) without gaps."""
    lines = {}
    for line in ax.lines:
        if not line.get_label().startswith("_"):
            xy = line.get_xydata()
            lines[line.get_label().split(" vs ")[0].split(";")[0]] = xy[np.isfinite(xy).all(1)]
    return lines


@pytest.mark.parametrize("quantity", ("cosine", "mse", "variance", "snr"))
def test_a_figure_holds_the_numbers_of_the_rows_and_gaps_for_the_rest(report, quantity):
    ax = quality(report, quantity)
    lines = drawn(ax)
    for name in ("CentralDifference()", "GaussianSmoothing(sigma=0.3)", "GuidedSmoothing()"):
        rows = [r for r in report.rows if r["estimator"] == name and r["affordable"] and r[quantity]]
        want = [(r["evaluations"], r[quantity]) for r in rows if math.isfinite(r[quantity])]
        np.testing.assert_array_equal(lines[name], np.array(want).reshape(-1, 2))
    assert len(lines["GaussianSmoothing(sigma=0.3)"]) == 3
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "linear" if quantity == "cosine" else "log")
    (central,) = (name for name in names_shown(ax) if name.startswith("CentralDifference"))
    assert len(names_shown(ax)) == 4 and "needs 8 evaluations at 2" in central
    if quantity == "variance":
        assert "variance is 0 at 8, 32" in central
        assert "squared bias" in ax.get_legend().get_title().get_text()
        thin = [line.get_ydata() for line in ax.lines if line.get_linewidth() == 0.7]
        (wide,) = (y[np.isfinite(y)] for y in thin if np.isfinite(y).any())
        np.testing.assert_allclose(wide, (0.25 * np.linalg.norm((2.0, 0.5, -1.0, 3.0))) ** 2)
    band = [path.vertices for c in ax.collections for path in c.get_paths() if len(path.vertices)]
    low, high = ("p10", "p90") if quantity == "cosine" else ("low", "high")
    smooth = [r for r in report.rows if r["estimator"] == "GaussianSmoothing(sigma=0.3)"]
    corners = {tuple(v) for vertices in band for v in vertices.tolist()}
    assert {(r["evaluations"], r[f"{quantity}_{end}"]) for r in smooth for end in (low, high)} <= corners


def test_a_bias_that_could_be_zero_is_drawn_as_its_upper_limit_and_a_direction_left_out_by_name(report):
    ax = quality(report, "bias")
    lines = drawn(ax)
    assert len(lines["ForwardDifference(step=0.5)"]) == 2 and len(lines["GuidedSmoothing()"]) == 0
    (label,) = (name for name in names_in_legend(ax) if name.startswith("GuidedSmoothing"))
    assert "a direction has no bias" in label
    hollow = [line for line in ax.lines if line.get_markerfacecolor() == "none"]
    limits = {tuple(p) for line in hollow for p in line.get_xydata() if np.isfinite(p).all()}
    assert len({line.get_marker() for line in hollow}) == len(hollow) >= 2  # told apart in grey, too
    named = {line.get_label().split(" vs ")[0]: line for line in hollow}
    assert named["CentralDifference()"].get_linestyle() == "None"  # its name shows what is drawn, and no line
    assert "hollow" in ax.get_legend().get_title().get_text()
    open_rows = [r for r in report.rows if r["affordable"] and r["bias_low"] == 0]
    assert limits == {(r["evaluations"], r["bias_high"]) for r in open_rows} and len(open_rows) >= 4
    with pytest.raises(ValueError, match=r"no bias to draw: GuidedSmoothing\(\): a direction has no bias"):
        quality(measure([GuidedSmoothing()], BOWL), "bias")


@pytest.mark.parametrize("quantity", ("bias", "cosine", "mse", "snr"))
def test_a_figure_says_what_estimates_are_held_to_where_the_gradient_was_given(quantity):
    measured = [SPSA(), GuidedSmoothing()] if quantity == "cosine" else [SPSA(), GaussianSmoothing(0.3)]
    truth = torch.full((4,), 9.0, dtype=torch.float64)
    ax = quality(rllab.measure_quality(measured, BOWL, at=AT, budgets=[8], repeats=20, key=0, truth=truth), quantity)
    assert not [name for name in names_shown(ax) if " vs " in name or "given" in name]
    said = ax.get_ylabel().endswith("\nagainst the gradient that was given as truth")
    assert said == (quantity != "snr") and "to the truth" not in ax.get_ylabel()


def test_a_point_without_a_neighbour_at_another_price_has_a_bar_in_place_of_a_band():
    report = measure([CentralDifference(step=0.3), SPSA()], Staircase(dimension=4), budgets=(8, 20, 80), repeats=20)
    for r in report.rows:
        if r["estimator"].startswith("Central"):
            r |= {"mse": 2.0, "mse_low": 1.0, "mse_high": 3.0}
    ax = quality(report, "mse")
    bars = {tuple(map(tuple, part)) for c in ax.collections if hasattr(c, "get_segments") for part in c.get_segments()}
    assert bars == {((8.0, 1.0), (8.0, 3.0))}  # three rows that spent 8; those of SPSA are beside each other


def test_figures_go_into_axes_that_are_given_and_are_saved(report, tmp_path):
    figure, (ax,) = plots.panels()
    assert quality(report, "mse", ax) is ax
    assert plots.save(figure, tmp_path / "mse").exists()
    with pytest.raises(ValueError, match=r"quantity must be one of .*'snr'.*, got 'speed'"):
        quality(report, "speed")
    with pytest.raises(ValueError, match="no mse to draw: there are no rows"):
        quality(Report(), "mse")


def test_an_estimator_looks_as_its_method_does_everywhere_unless_there_are_two_of_it():
    look = {
        line.get_label().split(";")[0]: line.get_color() for line in quality(measure([SPSA(), Backprop()]), "mse").lines
    }
    assert look["SPSA() vs ∇f_σ (rademacher, σ = 0.1)"] == plots.METHODS["spsa"].color
    two = quality(measure([SPSA(), SPSA(0.2), GaussianSmoothing(0.2)]), "snr").lines
    assert len({(line.get_color(), str(line.get_linestyle()), line.get_marker()) for line in two}) == 3
    assert two[2].get_color() == plots.METHODS["gaussian"].color


def test_the_example_of_the_package_works():
    w0 = torch.linspace(-1, 2, 20, dtype=DTYPE)
    report = rllab.measure_quality(
        [CentralDifference(), SPSA(), GaussianSmoothing(sigma=0.1)],
        Staircase(dimension=20),
        at=w0,
        budgets=[8, 32, 128],
        repeats=1000,
        key=0,
    )
    assert len(report.rows) == 9 and len(drawn(quality(report, "cosine"))) == 3
    spsa = [r["cosine"] for r in report.rows if r["estimator"] == "SPSA()"]
    assert spsa == sorted(spsa) and spsa[-1] > 0.8
