"""TopDirections: augmented random search's direction, pair by pair, in several blocks, and where costs are flat."""

import pytest
import torch

from rllab import Cost
from rllab.estimate import Kind
from rllab.estimators import GaussianSmoothing, TopDirections
from tests.proofs.searching import (
    AT,
    SLOPE,
    assert_mean_on_a_line,
    prove_flat_costs_move_nothing,
    prove_top_directions,
    prove_top_directions_in_blocks,
)


def test_it_is_the_formula_pair_by_pair():
    prove_top_directions(TopDirections)


def test_pairs_find_each_other_across_blocks():
    estimator = TopDirections(0.3)
    assert len(estimator.ask(torch.zeros(90_001, dtype=torch.float64), 10, 5)) == 3  # of 2, 2 and 1 pairs
    prove_top_directions_in_blocks(TopDirections)


def test_each_of_a_batch_keeps_its_own_best():
    at = torch.stack((AT, -2 * AT))

    def cost(x):
        return (x @ SLOPE).sin() + x[:, 0] ** 2

    estimator = TopDirections(0.3, top=2)
    query = estimator.ask(at, 12, 7)
    points = query[0].points
    values = torch.stack([cost(points[:, j]) for j in range(2)], 1)
    e = estimator.tell(query, values)
    for j in range(2):
        u = (points[:6, j] - at[j]) / 0.3
        f, opposite = values[:6, j], values[6:, j]
        kept = torch.minimum(f, opposite).argsort()[:2]
        spread = torch.cat((f[kept], opposite[kept])).std(correction=0)
        expected = ((f - opposite)[kept, None] * u[kept]).sum(0) / (2 * spread)
        torch.testing.assert_close(e.gradient[j], expected, rtol=1e-10, atol=1e-12)


def test_with_all_directions_it_is_smoothing_over_the_spread():
    cost = Cost(lambda x: (x @ SLOPE).sin())
    e = TopDirections(0.3)(cost, AT, evaluations=20, key=1)
    query = GaussianSmoothing(0.3).ask(AT, 20, 1)
    spread = (query[0].points @ SLOPE).sin().std(correction=0)
    smooth = GaussianSmoothing(0.3).tell(query, (query[0].points @ SLOPE).sin())
    torch.testing.assert_close(e.gradient, 2 * 0.3 / spread * smooth.gradient, rtol=1e-12, atol=1e-14)
    assert e.target.kind is Kind.DIRECTION
    torch.testing.assert_close(e.value, smooth.value)


def test_a_positive_factor_and_a_constant_change_nothing():
    query = TopDirections(0.3, top=3).ask(AT, 20, 1)
    values = torch.floor(100 * (query[0].points @ SLOPE))
    one, other = (TopDirections(0.3, top=3).tell(query, f).gradient for f in (values, 4096 * values - 2**30))
    torch.testing.assert_close(one, other, rtol=1e-14, atol=0)


def test_on_a_line_a_single_pair_points_down_in_the_mean():
    # σ_f is half the difference, so ĝ = 2 sign(g·u) u
    assert_mean_on_a_line(TopDirections(0.25), size=2.0)


def test_where_costs_are_flat_it_is_zero():
    prove_flat_costs_move_nothing(TopDirections)


def test_fewer_directions_than_are_kept_are_refused():
    with pytest.raises(ValueError, match="TopDirections: evaluations must be >= 6, got 5"):
        TopDirections(top=3).ask(AT, 5, 0)
    with pytest.raises(ValueError, match="TopDirections: top must be an integer >= 1, got 0"):
        TopDirections(top=0)
    with pytest.raises(ValueError, match="TopDirections: sigma must be positive"):
        TopDirections(0.0)
