"""The rule "seeds": whether points share the seed of a noisy cost is reported, and a unit that is missing is named."""

from dataclasses import dataclass

import numpy as np
import pytest

from rllab import estimators as est
from rllab.critics import Residual
from rllab.testing import SharedSeeds, check_estimator

WORDS = {
    est.GaussianSmoothing(): ("pairs", 8, 4),
    est.GaussianSmoothing(form="forward"): ("all points", 8, 1),
    est.GaussianSmoothing(form="one-point"): ("none", 8, 8),
    est.CentralDifference(): ("all points", 10, 1),
    est.CentralDifference(repeat=True): ("units", 20, 2),
    est.DisARM(): ("pairs", 8, 4),
    est.ScoreFunction(): ("none", 8, 8),
    Residual(): ("pairs", 8, 4),
}


@pytest.mark.parametrize("estimator", WORDS, ids=str)
def test_it_is_said_which_points_share_a_seed(estimator):
    word, points, seeds = WORDS[estimator]
    found = check_estimator(estimator, rules=["seeds"])["seeds"]
    assert found == SharedSeeds(points, seeds) and found.word == word
    assert ("a seed of its own" in str(found)) == (word == "none") and "1 seeds" not in str(found)


@dataclass(frozen=True)
class Forgetful(est.GaussianSmoothing):
    def _units(self, query, block):
        return est.Estimator._units(self, query, block)


@dataclass(frozen=True)
class Short(est.GaussianSmoothing):
    def _units(self, query, block):
        return np.arange(len(block.points) // 2)


def test_who_leaves_units_out_passes_and_sees_it_and_who_miscounts_them_does_not():
    assert check_estimator(Forgetful(), rules=["seeds"])["seeds"] == SharedSeeds(8, 8)
    with pytest.raises(AssertionError, match=r"^seeds: seeds of 8 points must be \(8,\), got \(4,\)"):
        check_estimator(Short(), rules=["seeds"])
