"""Records and curves with one mistake each; the tests of runs and plots must fail every one of them."""

import os

import numpy as np
import pytest

from rllab.plots import learning_curves
from rllab.runs import Record, statistics
from tests import test_plots
from tests.runs import test_record, test_statistics


def _numbered_by_count(folder):
    aside = Record_set_aside(folder)
    n = sum(name.startswith("interrupted-") for name in os.listdir(folder))
    return aside.rename(aside.with_name(f"interrupted-{n}"))


def _interpolated(curves, points):
    values = held(curves, points)
    for value, (xs, ys) in zip(values, curves, strict=True):
        if len(xs):
            known = ~np.isnan(value)
            value[known] = np.interp(points[known], xs, ys)
    return values


Record_set_aside, held = Record.set_aside, statistics._held
MUTANTS = {
    "set aside by count": (
        Record,
        "set_aside",
        staticmethod(_numbered_by_count),
        lambda path: test_record.test_what_is_set_aside_never_meets_an_older_one_when_some_were_deleted(path),
    ),
    "curves interpolated": (
        statistics,
        "_held",
        _interpolated,
        lambda path: test_statistics.test_runs_with_rows_at_other_points_are_compared_where_each_last_stood(path),
    ),
    "curves drawn interpolated": (
        learning_curves,
        "STEPS",
        "default",
        lambda path: test_plots.test_a_value_is_drawn_as_held_until_the_next_row(path),
    ),
    "curves drawn ahead": (
        learning_curves,
        "STEPS",
        "steps-pre",
        lambda path: test_plots.test_a_value_is_drawn_as_held_until_the_next_row(path),
    ),
}


@pytest.mark.parametrize("mistake", MUTANTS)
def test_a_wrong_run_is_caught(mistake, monkeypatch, tmp_path):
    owner, name, wrong, check = MUTANTS[mistake]
    monkeypatch.setattr(owner, name, wrong)
    with pytest.raises((AssertionError, OSError)):
        check(tmp_path)


@pytest.mark.parametrize("mistake", MUTANTS)
def test_the_right_ones_pass(mistake, tmp_path):
    MUTANTS[mistake][3](tmp_path)
