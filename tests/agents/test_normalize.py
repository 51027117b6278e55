"""Normalisation: moments of all rows at once, whatever the parts they came in; sums of costs that stop at ends."""

import numpy as np
import pytest
import torch

from rllab import Key
from rllab.agents.normalize import CLIP, CostScale, RunningMoments


def rows(n, key=0):
    return 1e3 + 7 * torch.randn(n, 3, generator=Key(key).generator(), dtype=torch.float64)


def prove_moments_are_those_of_all_rows(kind):
    seen, moments = rows(100), kind(3)
    for part in seen.split((1, 5, 60, 34)):
        moments.update(part)
    np.testing.assert_allclose(moments.mean, seen.mean(0), rtol=1e-12)
    np.testing.assert_allclose(moments.variance, seen.var(0, correction=0), rtol=1e-9)
    x = seen[:4].float()
    expected = (seen[:4] - seen.mean(0)) / seen.std(0, correction=0)
    np.testing.assert_allclose(moments(x), expected, atol=2e-4)  # float32 numbers near 1,000 over 7: 1e-7 · 150
    np.testing.assert_array_equal(moments(x), moments.array(x.numpy()))
    assert moments(x).dtype == torch.float32


def test_moments_are_those_of_all_rows():
    prove_moments_are_those_of_all_rows(RunningMoments)


class ForgetsTheMeansDifference(RunningMoments):
    def update(self, rows):
        mean, count = self.mean.clone(), float(self.count)
        super().update(rows)
        self.squares -= (rows.mean(0) - mean).square() * (count * len(rows) / float(self.count))


class MeanOfMeans(RunningMoments):
    def update(self, rows):
        mean = self.mean.clone()
        first = not self.count
        super().update(rows)
        if not first:
            self.mean.copy_((mean + rows.mean(0)) / 2)


@pytest.mark.parametrize("wrong", (ForgetsTheMeansDifference, MeanOfMeans))
def test_wrong_moments_are_caught(wrong):
    with pytest.raises(AssertionError):
        prove_moments_are_those_of_all_rows(wrong)


def test_before_anything_was_seen_nothing_is_changed_and_far_away_is_cut():
    moments, x = RunningMoments(2), torch.tensor([[3.0, -4.0]])
    assert torch.equal(moments(x), x)
    moments.update(torch.tensor([[0.0, 1.0], [2.0, 1.0]]))
    assert moments(torch.tensor([[1e9, 1.0]])).tolist() == [[CLIP, 0.0]]


def prove_sums_of_costs_stop_at_ends(kind, gamma=0.5):
    costs = torch.tensor([[1.0, 2.0], [4.0, 8.0], [16.0, 32.0]])
    over = torch.tensor([[False, True], [False, False], [True, False]])
    whole, parts = kind(2, gamma), kind(2, gamma)
    whole.update(costs, over)
    for t in range(3):
        parts.update(costs[t : t + 1], over[t : t + 1])
    sums = np.array([1.0, 2.0, 4.5, 8.0, 18.25, 36.0])
    for scale in (whole, parts):
        np.testing.assert_allclose(scale.scale, sums.std(), rtol=1e-7)
        np.testing.assert_allclose(scale(costs), costs / sums.std(), rtol=1e-6)
    whole.update(torch.tensor([[1.0, 1.0]]), torch.tensor([[False, False]]))
    np.testing.assert_allclose(whole.scale, np.append(sums, (1.0, 19.0)).std(), rtol=1e-7)


def test_sums_of_costs_stop_at_ends():
    prove_sums_of_costs_stop_at_ends(CostScale)


class RunsIntoTheNextEpisode(CostScale):
    def update(self, costs, over):
        super().update(costs, over & False)


class CostsAlone(CostScale):
    def update(self, costs, over):
        super().update(costs, over | True)


@pytest.mark.parametrize("wrong", (RunsIntoTheNextEpisode, CostsAlone))
def test_wrong_sums_are_caught(wrong):
    with pytest.raises(AssertionError):
        prove_sums_of_costs_stop_at_ends(wrong)


def test_both_go_on_from_their_state():
    moments, again = RunningMoments(3), RunningMoments(3)
    moments.update(rows(5))
    again.load_state_dict(moments.state_dict())
    for one in (moments, again):
        one.update(rows(4, key=1))
    assert torch.equal(moments(rows(2)), again(rows(2)))
    scale, other = CostScale(2, 0.9), CostScale(2, 0.9)
    scale.update(torch.ones(3, 2), torch.zeros(3, 2, dtype=torch.bool))
    other.load_state_dict(scale.state_dict())
    for one in (scale, other):
        one.update(torch.ones(1, 2), torch.zeros(1, 2, dtype=torch.bool))
    assert scale.scale == other.scale
    with pytest.raises(ValueError, match=r"the normalisation's mean must be a tensor \(3,\)"):
        again.load_state_dict(RunningMoments(2).state_dict())
