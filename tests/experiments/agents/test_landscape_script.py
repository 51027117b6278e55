"""The landscape as it is ridden and drawn: its claims can fail, and a second drawing needs the disk alone."""

import shutil

from experiments.agents import landscape
from experiments.common.frame import Judge, main, select

import numpy as np
import pytest
from PIL import Image

from rllab.runs import Record


def script(patch, *arguments):
    """Run the script in this process; return its exit code."""
    patch.setattr(landscape, "FITS", 60)
    patch.setattr("sys.argv", ["landscape.py", *map(str, arguments)])
    parts = (landscape.jobs_of, landscape.run, landscape.claims, landscape.figure)
    with pytest.raises(SystemExit) as stop:
        main(landscape.Config, None, *parts)
    return stop.value.code


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results") / "landscape"
    with pytest.MonkeyPatch.context() as patch:
        script(patch, "--fast", "--points", 3, "--out", folder)  # so short a fit need not make (d) hold
    return folder


def test_riders_ride_who_should_and_the_cost_is_a_count():
    # units of (60, 24): a rider who rides, one who only steers straight, one who steers into the fall
    steps = landscape.upright(np.array([[0.7, 0.15], [0.0, 0.0], [-1.0, -1.0]]))
    assert steps[0] == landscape.CAP and 100 < steps[1] < 400 and steps[2] < 150
    assert steps.dtype.kind == "i"


def test_the_truth_is_the_slope_of_the_smoothed_landscape(tmp_path, monkeypatch):
    # of a plane f = 3 x − 2 y, smoothed or not, the slope is (3, −2)
    monkeypatch.setattr(landscape, "upright", lambda w: 3.0 * w[:, 0] - 2.0 * w[:, 1])
    monkeypatch.setattr(landscape, "store", lambda record, **arrays: stored.update(arrays))
    stored: dict[str, np.ndarray] = {}
    with Record.create(tmp_path / "run", {}, seed=0) as record:
        job = landscape.Job("land", {"part": "landscape", "spacing": 0.2}, 0)
        landscape.surface(job, record)
    along, smoothed = stored["along"], stored["smoothed"].astype(float)
    assert along[0] == pytest.approx(landscape.LOW - landscape.MARGIN)
    by_y, by_x = np.gradient(smoothed, along, along)
    middle = slice(8, -8)  # beyond 4 σ of the border
    np.testing.assert_allclose(by_x[middle, middle], 3.0, rtol=1e-4)
    np.testing.assert_allclose(by_y[middle, middle], -2.0, rtol=1e-4)


@pytest.mark.slow
def test_replot_draws_the_same_from_disk_alone(results, tmp_path, monkeypatch):
    copy = tmp_path / "copy"
    shutil.copytree(results, copy)
    (copy / "landscape.png").unlink()
    monkeypatch.setattr(landscape, "upright", None)  # nothing may be ridden again
    script(monkeypatch, "--fast", "--points", 3, "--replot", "--out", copy)
    assert (copy / "landscape.png").read_bytes() == (results / "landscape.png").read_bytes()
    with Image.open(copy / "landscape.png") as image:
        assert image.width > 1500


def verdicts(results, **changes):
    """Judge what was recorded, with other columns of arrows (a factor) or other shares of flat differences."""
    records = [Record.open(path.parent) for path in sorted(results.glob("*/run.json"))]
    for record in records:
        for row in record.rows:
            for name, factor in changes.items():
                if row.get(name) is not None:
                    row[name] *= factor
    judge = Judge()

    def column(record, name):
        return np.array([np.nan if row[name] is None else row[name] for row in record.rows], float)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Record, "column", column)
        landscape.claims(records, landscape.Config(), judge)
    return judge.verdicts


@pytest.mark.slow
def test_each_claim_can_fail(results):
    a, b, c_perturb, c_score, _ = verdicts(results)
    assert a and b and c_perturb and c_score
    assert not verdicts(results, flat=0.9)[0]
    assert not verdicts(results, rides=0.5)[1]
    against = verdicts(results, dx=-1.0, dy=-1.0)  # the wrong version: costs are ascended
    assert not against[2] and not against[3]
    assert not verdicts(results, sx=1e3, sy=1e3)[2]  # nothing stands out
    assert not (against[4] and verdicts(results)[4])  # both signs of one direction cannot point uphill


@pytest.mark.slow
def test_arrows_that_stand_out_are_told_by_both_components(results):
    record = select([Record.open(p.parent) for p in results.glob("*/run.json")], part="arrows")[0]
    f = landscape.field(record, "perturb")
    assert f["at"].shape == f["direction"].shape == (9, 2) and f["out"].dtype == bool
    assert landscape.field(record, "learn")["out"].all()  # it has no standard error
    assert landscape.cosines(np.array([[1.0, 0.0], [0.0, 0.0]]), np.array([[1.0, 1.0], [1.0, 0.0]])) == pytest.approx(
        [0.5**0.5, 0.0]
    )
