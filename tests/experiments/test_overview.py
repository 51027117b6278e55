"""The overview of figures notices one that is older than its script's last run, and one that the docs do not show."""

import os

from experiments.overview import Config, main, states

import pytest

SCRIPT = "zeroth_order/noise.py"


@pytest.fixture
def results(tmp_path):
    """A folder of results with one run of noise.py, and its figure drawn after it; the docs show the same."""
    run, figures = tmp_path / "results" / "noise" / "noise-0", tmp_path / "figures"
    run.mkdir(parents=True), figures.mkdir()
    for file, text, time in (
        (run / "done.json", "{}", 1_000),
        (run.parent / "noise.png", "new", 2_000),
        (figures / "noise.png", "new", 0),
    ):
        file.write_text(text)
        os.utime(file, (time, time))
    return tmp_path


def wrong(results):
    found = {s.script: s.wrong for s in states(results / "results", results / "figures")}
    assert {name for name, fault in found.items() if fault} <= {SCRIPT}
    return found[SCRIPT]


def test_a_figure_drawn_after_the_last_run_and_shown_is_up_to_date(results):
    assert wrong(results) == ""


def test_a_figure_older_than_the_last_run_is_noticed(results):
    os.utime(results / "results" / "noise" / "noise-0" / "done.json", (3_000, 3_000))
    assert "older than the last run" in wrong(results)
    assert main(Config(results / "results")) == 0 and main(Config(results / "results", check=True)) == 1


def test_docs_that_show_another_figure_are_noticed(results):
    (results / "figures" / "noise.png").write_text("old")
    assert "docs show another figure" in wrong(results)


def test_nothing_recorded_is_no_fault(tmp_path):
    assert {s.recorded for s in states(tmp_path)} == {"not here"}
    assert main(Config(tmp_path, check=True)) == 0
