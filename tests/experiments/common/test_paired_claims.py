"""Claims on paired seeds: the sign test, by hand."""

from experiments.common.claims import judge_paired, note_prediction, sign_test
from experiments.common.frame import Judge

import numpy as np
import pytest

LESS, MORE = np.zeros(10), np.ones(10)


def test_the_sign_test_is_that_of_a_coin():
    assert sign_test(LESS, MORE) == pytest.approx(2.0**-10)
    assert sign_test(MORE, LESS) == 1
    one_loss = np.where(np.arange(10) == 3, 2.0, LESS)
    assert sign_test(one_loss, MORE) == pytest.approx(11 * 2.0**-10)  # (10 over 9) + (10 over 10)


def test_ties_count_for_neither():
    both_never = np.where(np.arange(10) < 2, np.inf, LESS)
    assert sign_test(both_never, np.where(np.arange(10) < 2, np.inf, MORE)) == pytest.approx(2.0**-8)
    assert sign_test(LESS, LESS) == 1


def test_a_claim_fails_where_a_coin_would_do(capsys):
    judge = Judge()
    judge_paired(judge, LESS, MORE, "less is less")
    judge_paired(judge, MORE, LESS, "more is less")
    assert judge.verdicts == [True, False] and "10 of 10 seeds" in capsys.readouterr().out


def test_a_prediction_holds_only_if_all_its_pairs_do(capsys):
    note_prediction(Judge(), "both", (LESS, MORE), (LESS, MORE))
    note_prediction(Judge(), "one of two", (LESS, MORE), (MORE, LESS))
    said = capsys.readouterr().out.splitlines()
    assert "so it was" in said[0] and "it was NOT" in said[1]
