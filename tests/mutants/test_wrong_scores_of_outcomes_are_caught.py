"""Scores of bits and choices that are right but where a probability rounds to one."""

import pytest
import torch

from rllab import Bernoulli, Categorical, Cost
from rllab.arrays import weighted_sum
from rllab.estimators import Enumeration
from tests.mutants.test_wrong_differences_are_caught import prove_enumeration, table
from tests.proofs.score_sums import score_sum
from tests.proofs.stencils import assert_close


def sums_of(scores, once, twice):
    """Return the weighted sums of scores and of their squares, as distributions give them."""
    s = scores.numpy()
    pairs = ((once, s), (twice, s * s))
    return tuple({} if w is None else {"logits": weighted_sum(w, part)} for w, part in pairs)


class OneMinusP(Bernoulli):
    """Scores as x − p: right but where p rounds to one."""

    def replace(self, **parameters):
        return OneMinusP(**parameters)

    def score_sums(self, once, twice, x, noise):
        return sums_of(x - torch.sigmoid(self.logits), once, twice)


class OneMinusPOfChoices(Categorical):
    def replace(self, **parameters):
        return OneMinusPOfChoices(**parameters)

    def score_sums(self, once, twice, x, noise):
        return sums_of(x - torch.softmax(self.logits, -1), once, twice)


def scores_of(at):
    """Return the score of every outcome, by the sums that estimators take."""
    x, log_p = at.support()
    return x, torch.stack([score_sum(at, w, x, None)["logits"] for w in torch.eye(len(log_p), dtype=torch.float64)])


def prove_scores_of_bits(distribution):
    """∂log p/∂l is 1 − p where the bit is on, and −p where it is off, also where p is 1 to all digits."""
    prove_enumeration(Enumeration(), distribution)
    at = distribution(torch.tensor([50.0, -50.0, 0.4], dtype=torch.float64))
    x, scores = scores_of(at)
    expected = torch.where(x == 1, torch.sigmoid(-at.logits), -torch.sigmoid(at.logits))
    assert_close(scores, expected, rtol=1e-12, atol=0)


def prove_scores_of_choices(distribution):
    """∇_c = p_c(f_c − E f), and the scores are those of the choice less p, also where one p is 1 to all digits."""
    at = distribution(torch.tensor([50.0, 0.0, -20.0], dtype=torch.float64))
    p = (at.logits - 50).exp()
    g = Enumeration()(Cost(table), at, evaluations=3, key=0).gradient["logits"]
    expected = torch.stack((4 * p[1] - 1 * p[2], -4 * p[1], 1 * p[2]))
    assert_close(g, expected, rtol=1e-12, atol=0)
    x, scores = scores_of(at)
    own = torch.stack((p[1] + p[2], 1 - p[1], 1 - p[2]))  # 1 − p of each choice
    assert_close(scores, torch.where(x == 1, own, -p), rtol=1e-12, atol=0)


PROOFS = [
    (prove_scores_of_bits, Bernoulli, OneMinusP),
    (prove_scores_of_choices, Categorical, OneMinusPOfChoices),
]


@pytest.mark.parametrize(("proof", "right", "wrong"), PROOFS)
def test_a_score_that_loses_its_digits_is_caught(proof, right, wrong):
    proof(right)
    with pytest.raises(AssertionError):
        proof(wrong)
