"""What becomes of measured rows, and which arguments are refused."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from rllab import Categorical, Cost
from rllab.estimators import ARM, SPSA, Backprop, CentralDifference, GaussianSmoothing, GuidedSmoothing, ScoreFunction
from rllab.problems import CategoricalPayoffs, Flat
from rllab.quality.estimates import name_of, repeated
from rllab.runs import Record
from tests.proofs.checks import fresh_state
from tests.proofs.measuring import AT, BOWL, DTYPE, LINE, SLOPE, measure, row


@dataclass(frozen=True)
class Endless(GaussianSmoothing):
    """Returns an infinite estimate."""

    def _fold(self, query, answered, per_unit, errors):
        e = super()._fold(query, answered, per_unit, errors)
        e.gradient[3, 0] = torch.inf
        return e


def test_an_error_loses_none_of_the_rows_before_it(tmp_path):
    left = [8 * 50 * 2 + 9]

    def ill(x):
        left[0] -= len(x)
        return LINE.value(x) if left[0] >= 0 else LINE.value(x) * torch.nan

    truth = torch.tensor(SLOPE, dtype=DTYPE)
    with Record.create(tmp_path / "run", {}, seed=0) as record:
        with pytest.raises(FloatingPointError, match="is nan at point") as caught:
            measure([SPSA(), SPSA(0.2), SPSA(0.3)], Cost(ill), repeats=50, truth=truth, record=record)
        assert [r["estimator"] for r in caught.value.report.rows] == ["SPSA()", "SPSA(sigma=0.2)"]
        assert "2 rows were measured" in caught.value.__notes__[-1]
    assert Record.open(tmp_path / "run").rows == caught.value.report.rows
    with pytest.raises(
        FloatingPointError, match=r"estimate 3 by Endless\(\) with 8 evaluations is not finite"
    ) as caught:
        measure([SPSA(), Endless()])
    assert len(caught.value.report.rows) == 1


def test_rows_are_stored_as_they_are_and_random_states_left_alone(tmp_path):
    before = fresh_state()
    with Record.create(tmp_path / "run", {}, seed=0) as record:
        report = measure([Backprop(), CentralDifference(), GuidedSmoothing()], BOWL, budgets=[2, 8], record=record)
        record.finish()
    stored = Record.open(tmp_path / "run").rows
    assert [repr(r) for r in stored] == [repr(r) for r in report.rows]  # NaN and infinity included
    kept = []
    measure([SPSA()], record=kept)
    assert len(kept) == 1 and fresh_state() == before


def test_an_estimator_that_does_not_fit_the_place_is_a_marked_row_and_not_the_end_of_the_table():
    at = Categorical(torch.tensor([[0.3, -0.2, 0.5]], dtype=DTYPE))
    two = [ARM(), GaussianSmoothing(), ScoreFunction()]
    rows = measure(two, CategoricalPayoffs(), at=at, budgets=[4.0, 8], repeats=20.0).rows
    assert [(r["estimator"], r["budget"]) for r in rows] == [(name_of(e), b) for e in two for b in (4, 8)]
    for r in rows[:4]:
        assert not r["affordable"] and r["evaluations"] == 0 and np.isnan(r["variance"])
        assert "at must be a" in r["why"]
    alone = measure([ScoreFunction()], CategoricalPayoffs(), at=at, budgets=[4, 8], repeats=20).rows
    assert [repr(r) for r in rows[4:]] == [repr(r) for r in alone]


def test_progress_is_silent_unless_it_is_asked_for(capsys):
    measure(SPSA())
    assert capsys.readouterr().err == ""
    measure(SPSA(), progress=True)
    assert "1/1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"estimators": []}, TypeError, "estimators must be one or more Estimators"),
        ({"estimators": [SPSA]}, TypeError, "estimators must be one or more Estimators"),
        ({"estimators": [SPSA(), SPSA(0.1)]}, ValueError, r"estimators must differ, got SPSA\(\), SPSA\(\)"),
        ({"problem": lambda x: x.sum(-1)}, TypeError, "problem must be a Problem, or a Cost"),
        ({"problem": LINE.cost()}, ValueError, "truth must be the gradient itself for a Cost"),
        ({"at": AT.expand(3, -1)}, ValueError, r"at must be a tensor \(d,\).*got \(3, 4\)"),
        ({"at": [0.0]}, ValueError, r"at must be a tensor \(d,\).*got list"),
        ({"budgets": []}, ValueError, "budgets must be one or more different integers"),
        ({"budgets": [8, np.int64(8)]}, ValueError, "budgets must be one or more different integers"),
        ({"budgets": [0]}, ValueError, "each of budgets must be an integer >= 1, got 0"),
        ({"budgets": [8.5]}, ValueError, r"each of budgets must be an integer >= 1, got 8\.5"),
        ({"repeats": "4"}, TypeError, "repeats must be an integer >= 2, got '4'"),
        ({"repeats": 1}, ValueError, "repeats must be an integer >= 2"),
        ({"warm_up": -1}, ValueError, "warm_up must be an integer >= 0"),
        ({"states": {SPSA(): len}}, ValueError, r"states must map stateful estimators among .*SPSA.*: <built-in"),
        ({"states": {GuidedSmoothing(): len}}, ValueError, "states must map stateful estimators among those measured"),
        (
            {"estimators": [GuidedSmoothing()], "states": {GuidedSmoothing(): None}},
            ValueError,
            "or to a function of parameters, got GuidedSmoothing",
        ),
        ({"truth": torch.zeros(3)}, ValueError, "truth must have 4 numbers like at, got 3"),
        ({"estimators": [ScoreFunction(), ARM()]}, TypeError, "ScoreFunction: at must be a Distribution"),
    ],
    ids=lambda v: "-".join(v) if isinstance(v, dict) else "",
)
def test_bad_arguments_are_named_before_anything_is_evaluated(change, error, says):
    with pytest.raises(error, match=says):
        measure(**{"estimators": [SPSA()], "problem": LINE} | change)


def test_estimators_are_called_as_they_are_written():
    assert name_of(SPSA()) == "SPSA()" and name_of(SPSA(0.1)) == "SPSA()"
    assert name_of(GaussianSmoothing(0.2, "forward")) == "GaussianSmoothing(sigma=0.2, form='forward')"
    assert repeated(Categorical(torch.zeros(3)), 5).shape == (5, 3)


def test_a_truth_of_zero_has_no_angle_and_says_so():
    r = row(GaussianSmoothing(form="one-point"), Flat(dimension=4))
    assert r["cosine"] is None and r["relative_mse"] is None and r["bias"] >= 0 and "the truth is 0" in r["why"]
