"""Censored times: the published table of a classic data set, values by hand, and runs that never reach a threshold."""

import math

import numpy as np
import pytest

from rllab.runs import Record
from rllab.runs.survival import kaplan_meier, steps_to_threshold

# Weeks in remission under 6-mercaptopurine; a minus marks a patient who was still in remission when last seen.
# Freireich et al. (1963), "The effect of 6-mercaptopurine on the duration of steroid-induced remissions in acute
# leukemia"; as Kalbfleisch & Prentice (1980) print it, with the table below to four digits.
WEEKS = [6, 6, 6, -6, 7, -9, 10, -10, -11, 13, 16, -17, -19, -20, 22, 23, -25, -32, -32, -34, -35]
TABLE = [  # time, at risk, events, share, Greenwood's error, interval of log(−log S)
    (6, 21, 3, 0.8571, 0.0764, 0.6197, 0.9516),
    (7, 17, 1, 0.8067, 0.0869, 0.5631, 0.9228),
    (10, 15, 1, 0.7529, 0.0963, 0.5032, 0.8894),
    (13, 12, 1, 0.6902, 0.1068, 0.4316, 0.8491),
    (16, 11, 1, 0.6275, 0.1141, 0.3675, 0.8049),
    (22, 7, 1, 0.5378, 0.1282, 0.2678, 0.7468),
    (23, 6, 1, 0.4482, 0.1346, 0.1881, 0.6801),
]


def columns(found):
    parts = (found.times, found.at_risk, found.events, found.share, found.error, found.low, found.high)
    return np.column_stack(parts)


def test_the_published_table_comes_out():
    weeks = np.array(WEEKS)
    found = kaplan_meier(abs(weeks), weeks > 0)
    np.testing.assert_allclose(columns(found), TABLE, atol=5.1e-5)
    assert found.median == (23, 13, math.inf)
    with pytest.raises(AssertionError):  # censored runs taken for runs that reached it
        np.testing.assert_allclose(columns(kaplan_meier(abs(weeks), weeks == weeks))[:7], TABLE, atol=5.1e-5)
    with pytest.raises(AssertionError):  # censored runs left out
        np.testing.assert_allclose(columns(kaplan_meier(weeks[weeks > 0], weeks[weeks > 0] > 0)), TABLE, atol=5.1e-5)


def test_without_censoring_it_is_the_share_of_runs_and_the_error_of_a_proportion():
    found = kaplan_meier([3, 1, 1, 8], [True] * 4)
    np.testing.assert_allclose(found.share, [0.5, 0.25, 0], atol=1e-15)
    np.testing.assert_allclose(found.error, [math.sqrt(p * (1 - p) / 4) for p in (0.5, 0.25, 0)], atol=1e-15)
    assert math.isnan(found.low[-1]) and math.isnan(found.high[-1])  # where nobody is left
    assert found.median[0] == 1


def test_all_runs_at_once_have_a_median_and_no_upper_end():
    assert kaplan_meier([5, 5, 5], [True] * 3).median == (5, 5, math.inf)
    never = kaplan_meier([5, 9], [False, False])
    assert never.times.size == 0 and never.median == (math.inf,) * 3


def test_a_run_that_never_reaches_the_threshold_is_censored_at_its_last_row(tmp_path):
    def run(seed, values):
        with Record.create(tmp_path / str(seed), {}, seed=seed) as record:
            for i, value in enumerate(values):
                record.append({"steps": 10 * (i + 1), "evaluation": value, "updates": i})
        return Record.open(tmp_path / str(seed))

    records = [run(0, [0.0, 2.0, 1.0]), run(1, [0.0, math.nan, None, 0.5]), run(2, []), run(3, [2.0])]
    times, reached = steps_to_threshold(records, 2.0)
    assert times.tolist() == [20, 40, 0, 10] and reached.tolist() == [True, False, False, True]
    assert steps_to_threshold(records[:1], 2.0, x="updates")[0].tolist() == [1]


@pytest.mark.parametrize(
    ("times", "reached", "message"),
    [
        ([], [], "must be"),
        ([1, 2], [True], r"must be \(runs,\)"),
        ([-1], [True], ">= 0"),
        ([math.inf], [False], "finite"),
    ],
)
def test_what_are_no_times_is_refused(times, reached, message):
    with pytest.raises(ValueError, match=f"kaplan_meier: .*{message}"):
        kaplan_meier(times, reached)
