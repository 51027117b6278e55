"""Power: how often the test of a mean errs, and how often the whole suite may."""

import pytest
import torch
from scipy import stats

from rllab.testing import RULES, exported_estimators
from rllab.testing.power import FALSE_ALARM, MISS, power_of
from tests.estimators.test_contract import CASES, pairs


@pytest.mark.slow
def test_the_test_of_a_mean_errs_as_often_as_it_says():
    truth, scale, r, trials = torch.tensor([1.3, -0.4, 0.2]).double(), torch.tensor([1.0, 3.0, 0.2]).double(), 60, 3_000
    noise = scale * torch.randn(trials, r, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    alarms, seen = 0, 0
    for x in noise:
        try:
            power = power_of(truth + x, truth, "", 0.05, 0.1)
        except AssertionError:
            alarms += 1
        bias = torch.tensor([0.0, 1.0, 0.0]) * 3.0 * (2.5 + 3.2) / r**0.5  # more than is detected, 1.645 < 2.5
        try:
            power_of(truth + bias + x, truth, "", 0.05, 0.1)
        except AssertionError:
            seen += 1
    # Bonferroni over four dependent tests: at most 0.1, at least what one of them alone does
    assert 0.025 - 6.2 * (0.025 / trials) ** 0.5 < alarms / trials < 0.1 + 6.2 * (0.09 / trials) ** 0.5
    assert trials - seen <= stats.binom.isf(1e-9, trials, MISS)
    z = stats.t.isf(0.1 / 8, r - 1) + stats.t.isf(MISS, r - 1)
    assert power.detected == pytest.approx(z * 3 / r**0.5, rel=0.5) and power.truth == pytest.approx(
        float(truth.norm())
    )


def test_false_alarms_of_the_whole_contract_leave_half_of_what_the_suite_may_have():
    checks = (
        len(pairs()) + 3 * len(CASES) + len(RULES) * len(exported_estimators())
    )  # each rule of each case, and those here
    assert checks > 800 and checks * FALSE_ALARM < 5e-7  # of 1e-6


def test_what_is_detected_by_few_estimates_is_by_students_law():
    g = torch.tensor([[0.0], [1.0], [2.0], [3.0]], dtype=torch.float64)
    power = power_of(g, torch.tensor([1.5], dtype=torch.float64), "", 0.05, 0.1)
    se = float(g.std()) / 2
    wanted = (stats.t.isf(0.1 / 4, 3) + stats.t.isf(MISS, 3)) * se  # the normal law would have 3.1 for 10.2
    assert power.detected == pytest.approx(wanted, rel=1e-6)
