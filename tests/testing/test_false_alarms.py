"""The false alarms of the whole suite: every limit is counted, each at the rate of its own law."""

import ast
import math
import re
from collections import Counter
from functools import lru_cache
from pathlib import Path

import pytest

from rllab.testing import RULES, exported_estimators
from rllab.testing.power import FALSE_ALARM
from tests.estimators.test_contract import CASES, pairs
from tests.proofs.alarms import LIMITS, Errors, Unbiased, false_alarm

TESTS = Path(__file__).parents[1]
MOST = 1e-6  # of the whole suite
# a number of standard errors, six or more, or a quantile, in a comparison
LIMIT = re.compile(
    r"(?:<=?|rel=) -?(?<![\w.])[6-9](?:\.\d+)? *(?:\*|/|$|\)|#|, f)|\bSIX \*|(?:assert|<|limit =|z =).*isf\(|"
    r"(?:limit|z|epsilon|slack) = .*(?:FALSE_ALARM|inv_cdf|1e-10)|-norm\.ppf\(|pvalue > |> 1e-9 /|assert_unbiased\(|"
    r"return .*6\.2 \* |\+ 6\.\d \* |< 0\.22"
)
NO_LIMITS = {  # what looks like one, and why it is none
    "proofs/checks.py::assert_unbiased": "its calls are counted",
    "envs/test_bicycle_render.py::marked": "colours",
    "envs/test_bicycle_goal.py::middle": "colours",
    "envs/test_bicycle_goal.py::test_the_goal_is_drawn_where_it_is_and_watching_changes_nothing": "colours",
    "envs/test_whipple_env.py::middle_of": "colours",
    "estimators/score/test_measure_valued.py::test_the_ends_of_the_uniform_numbers_are_finite": "no draw",
    "estimators/smoothing/test_directions.py::test_sobol_directions_are_finite_and_bounded": "a bound of all draws",
    "experiments/zeroth_order/test_snr_map_script.py::test_the_mean_square_on_stairs_is_its_integral": "an integral",
    "optimize/test_minimize.py::test_the_trace_is_the_ledger": "evaluations",
    "runs/test_statistics.py::theory": "a coverage by a formula",
    "estimators/test_heavy_tails.py::"
    "test_at_a_narrow_law_far_from_the_jumps_a_t_test_has_no_rate_and_elsewhere_it_is_small": "asks for the rates",
}


@lru_cache(maxsize=1)
def functions() -> dict[str, str]:
    """Return the source of every function of the tests by file and name."""
    found = {}
    for path in sorted(TESTS.rglob("*.py")):
        text = path.read_text("utf-8")
        lines = text.splitlines()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                source = "\n".join(lines[node.lineno - 1 : node.end_lineno])
                found[f"{path.relative_to(TESTS).as_posix()}::{node.name}"] = source
    return {name: source for name, source in found.items() if Path(__file__).name not in name}


def test_every_limit_is_counted():
    sources = functions()
    with_limits = {name for name, source in sources.items() if any(map(LIMIT.search, source.splitlines()))}
    assert with_limits - set(LIMITS) - set(NO_LIMITS) == set(), "not counted in tests/proofs/alarms.py"
    assert set(LIMITS) - set(sources) == set(), "counted, and gone"
    assert set(NO_LIMITS) <= with_limits and len(with_limits & set(LIMITS)) > 60


def test_limits_are_counted_as_they_stand_in_the_tests():
    sources = functions()
    for name, limits in LIMITS.items():
        for limit in limits:
            if isinstance(limit, Errors):  # as a number of standard errors, or as a tolerance that is so many of them
                assert re.search(rf"(?<![\w.]){limit.limit:g}\b|\bSIX\b|rel=0\.|tol=0\.", sources[name]), (name, limit)


def test_no_test_has_more_cases_than_are_counted(request):
    asked = Counter(f"{item.path.relative_to(TESTS).as_posix()}::{item.originalname}" for item in request.session.items)
    counted = {name: max(getattr(limit, "cases", 1) for limit in limits) for name, limits in LIMITS.items()}
    more = {name: (asked[name], cases) for name, cases in counted.items() if asked[name] > cases}
    assert not more, f"of each (asked, counted): {more}"


def test_rates_are_those_of_students_law():
    # closed forms: P(|t| >= 1) = 1/2 of one degree of freedom, P(|t| >= x) = 1 − x/√(x² + 2) of two
    assert false_alarm(1.0, 1) == pytest.approx(0.5, rel=1e-12)
    assert false_alarm(3.0, 2) == pytest.approx(1 - 3 / math.sqrt(11), rel=1e-12)
    assert false_alarm(3.0) == pytest.approx(math.erfc(3 / math.sqrt(2)), rel=1e-12)
    assert Errors(3.0, 4, 5, freedom=2).rate == pytest.approx(20 * false_alarm(3.0, 2))
    # what is 1e-9 by the normal law is 2e-8 by that of a hundred numbers, and more where they are skewed
    assert Unbiased(1, math.inf, 7).rate == pytest.approx(7e-9, rel=1e-6)
    assert 1.8e-8 < Unbiased(1, 99).rate < Unbiased(1, 99, skewness=1.0).rate


def test_the_whole_suite_fails_a_right_program_less_than_once_in_a_million():
    # each rule that draws, of each case, and those here
    checks = len(pairs()) + 5 * len(CASES) + len(RULES) * len(exported_estimators())
    rates = {name: sum(limit.rate for limit in limits) for name, limits in LIMITS.items()}
    elsewhere = sum(rates.values())
    assert checks > 800 and elsewhere > 7e-8  # some seventy limits, few of them for less than 1e-9
    assert max(rates.values()) < 1e-7, max(rates, key=rates.__getitem__)
    assert checks * FALSE_ALARM + elsewhere < MOST
