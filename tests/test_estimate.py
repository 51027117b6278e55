"""Target and Query: what is estimated is a value that can be compared, and a query is a pure recipe."""

import pytest
import torch

from rllab import Target
from rllab.estimate import Kind
from rllab.estimators import GaussianSmoothing, ScoreFunction

AT = torch.linspace(-1, 1, 40_000, dtype=torch.float64)


def test_targets_are_equal_only_if_kernel_and_radius_are():
    assert GaussianSmoothing(0.1).target == GaussianSmoothing(0.1, "forward").target
    assert GaussianSmoothing(0.1).target != GaussianSmoothing(0.2).target
    assert Target.smoothed("gaussian", 0.1) != Target.smoothed("ball", 0.1)
    assert ScoreFunction().target == Target.expectation() != Target.gradient()


def test_a_target_says_what_it_is():
    assert str(Target.smoothed("gaussian", 0.1)) == "∇f_σ (gaussian, σ = 0.1)"
    assert str(Target.gradient()) == "∇f"
    assert str(Target.direction("ranks")) == "direction (ranks)"


@pytest.mark.parametrize("arguments", ((Kind.SMOOTHED,), (Kind.SMOOTHED, "gaussian"), (Kind.GRADIENT, "ball", 0.1)))
def test_kernel_and_radius_belong_to_smoothing(arguments):
    with pytest.raises(ValueError, match="kernel and radius belong to SMOOTHED"):
        Target(*arguments)


def test_blocks_cover_every_evaluation_once_and_are_pure():
    query = GaussianSmoothing(0.1, "forward").ask(AT, 7, 3)
    rows = [row for block in query for row in range(block.rows.start, block.rows.stop)]
    assert rows == list(range(query.evaluations))
    assert len(query) == len(list(query)) > 1
    assert torch.equal(query[1].points, query[1].points)
    assert not torch.equal(query[1].points, query[2].points)
    for i in (-1, len(query)):
        with pytest.raises(IndexError, match="block must be in"):
            query[i]


def test_points_of_a_pair_straddle_the_parameters():
    query = GaussianSmoothing(0.1).ask(AT, 8, 3)
    for block in query:
        plus, minus = block.points.chunk(2)
        torch.testing.assert_close((plus + minus) / 2, AT.expand_as(plus))
        torch.testing.assert_close((plus - minus) / 2, 0.1 * block.noise)


def test_seeds_of_problems_differ_and_pairs_agree():
    query = GaussianSmoothing(0.1).ask(torch.zeros(3, 2), 8, 3)
    seeds = query.seeds(query[0])
    assert seeds.shape == (8, 3)
    assert torch.equal(seeds[:4], seeds[4:])
    assert seeds[:4].unique().numel() == 12
