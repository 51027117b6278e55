"""A report of quality on disk: back to the last bit, and as CSV for other programs."""

import csv
import json
import math

import pytest
import torch

from rllab import estimators as est
from rllab import measure_quality, problems
from rllab.quality import Report


@pytest.fixture(scope="module")
def report():
    at = torch.full((3,), 0.4)
    estimators = [est.SPSA(), est.CentralDifference()]
    return measure_quality(estimators, problems.Quadratic(dimension=3), at=at, budgets=[2, 8], repeats=20, key=0)


def test_what_is_saved_comes_back_to_the_last_bit(report, tmp_path):
    assert any(math.isnan(v) for row in report.rows for v in row.values() if isinstance(v, float))  # one too dear
    again = Report.load(report.save(tmp_path / "new" / "a.quality.json"))
    assert repr(again.rows) == repr(report.rows) and str(again) == str(report)
    json.loads((tmp_path / "new" / "a.quality.json").read_text(), parse_constant=pytest.fail)  # strict JSON


def test_csv_has_a_line_for_each_row(report, tmp_path):
    with open(report.to_csv(tmp_path / "a.csv"), newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 and list(rows[0]) == list(report.rows[0])
    for row, there in zip(report.rows, rows, strict=True):
        assert all(there[name] == ("" if value is None else str(value)) for name, value in row.items())


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "rllab quality 2", "rows": []}'])
def test_another_file_is_refused(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match=r"Report\.load: .*a\.json"):
        Report.load(tmp_path / "a.json")
