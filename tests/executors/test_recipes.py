"""What is sent to workers: a recipe for points where that is less than the points, for the same bits."""

import pickle

import pytest
import torch

from rllab import Cost, Gaussian
from rllab import estimators as est
from rllab.executors import calls
from tests.proofs import evaluated
from tests.proofs.weighing import Weighing

AT = torch.linspace(-1, 1, 2_000)


def rows(points):
    return points.square().sum(-1)


def estimates(estimator, at, n, chunk=3, **how):
    pool = Weighing()
    here = estimator(Cost(chunk=chunk, check_rows=False, **how), at, evaluations=n, key=7)
    there = estimator(Cost(chunk=chunk, check_rows=False, executor=pool, **how), at, evaluations=n, key=7)
    return here, there, pool


@pytest.mark.slow
@pytest.mark.parametrize(
    ("estimator", "n"),
    [
        (est.GaussianSmoothing(0.1), 200),
        (est.SPSA(form="forward"), 200),
        (est.SphereSmoothing(0.1), 200),
        (est.Shaped(est.GaussianSmoothing(0.1)), 200),
        (est.CentralDifference(), 0),
        (est.ForwardGradient(), 120),
    ],
    ids=lambda x: type(x).__name__,
)
@pytest.mark.parametrize("batch", [False, True])
def test_a_recipe_gives_the_same_bits_as_its_points(estimator, n, batch):
    x = AT if n else AT[::5] if batch else AT[::20]  # differences go along each parameter
    at = torch.stack((x[::10], -x[::10])) if batch else x
    n = min(n or 2 * len(x), 2 * at.shape[-1])
    here, there, pool = estimates(estimator, at, n, function=rows)
    assert torch.equal(here.gradient, there.gradient)
    assert pool.recipes > 0


def test_seeds_are_made_with_the_points():
    here, there, pool = estimates(est.GaussianSmoothing(0.1), AT, 100, function=evaluated.drawn_rows, seeded=True)
    assert torch.equal(here.gradient, there.gradient) and pool.recipes > 0


def test_two_thousand_directions_cost_kilobytes_beside_the_parameters():
    at, m = torch.linspace(-1, 1, 20_000), 512
    _, _, pool = estimates(est.GaussianSmoothing(0.1), at, 2 * m, chunk=64, function=rows)
    parameters, points = at.nbytes, 2 * m * at.nbytes
    assert pool.functions < pool.count * (parameters + 4_000)
    assert pool.inputs < 8_000 < points / 1000


def test_a_block_is_made_once_for_all_its_rows_and_nobody_writes_into_it(monkeypatch):
    estimator, made = est.GaussianSmoothing(0.1), []
    recipe = estimator.recipe(estimator.ask(AT, 20, key=0), seeded=True)
    right = est.GaussianSmoothing._block
    monkeypatch.setattr(est.GaussianSmoothing, "_block", lambda self, *of: made.append(of[1]) or right(self, *of))
    first, _, seeds = recipe(0, 3, 5)
    kept = first.clone()
    first.zero_(), seeds.zero_()
    again, _, others = recipe(0, 3, 5)
    assert torch.equal(again, kept) and others.any() and made == [0]
    assert len(pickle.dumps(recipe)) < AT.nbytes + 4_000  # without the block


def test_what_is_less_is_sent():
    one = est.GaussianSmoothing(0.1)
    assert estimates(one, torch.ones(3), 4, function=rows)[2].recipes == 0  # a few numbers are less than a query
    assert estimates(one, AT, 4, function=rows)[2].recipes > 0
    drawn = Gaussian(AT, torch.ones_like(AT))
    assert estimates(est.ScoreFunction(), drawn, 8, function=rows)[2].recipes == 0


def test_points_that_a_matrix_is_decomposed_for_are_sent_themselves():
    for estimator in (est.OrthogonalSmoothing(), est.Shaped(est.OrthogonalSmoothing()), est.LinearInterpolation()):
        assert estimates(estimator, AT[:300], 400, function=rows)[2].recipes == 0


def test_an_estimator_that_cannot_be_pickled_sends_its_points():
    class Local(est.GaussianSmoothing):
        pass

    here, there, pool = estimates(Local(0.1), AT, 20, function=rows)
    assert pool.recipes == 0 and torch.equal(here.gradient, there.gradient)


def test_a_recipe_that_makes_other_rows_would_be_noticed(monkeypatch):
    right = calls.Call.__call__

    def wrong(self, *packed):
        return right(self, packed[0], 0, packed[2] - packed[1]) if self.recipe is not None else right(self, *packed)

    monkeypatch.setattr(calls.Call, "__call__", wrong)
    here, there, pool = estimates(est.GaussianSmoothing(0.1), AT, 200, function=rows)
    assert pool.recipes > 0 and not torch.equal(here.gradient, there.gradient)


@pytest.mark.slow
def test_an_error_in_a_recipes_row_names_evaluation_and_point():
    at, pool = torch.zeros(200), Weighing()
    at[0] = 3
    step = est.CentralDifference(step=1.0)
    with pytest.raises(ZeroDivisionError, match="three") as caught:
        step(Cost(evaluated.failing, batched=False, executor=pool, chunk=8), at, evaluations=400, key=0)
    assert pool.recipes > 0
    assert "evaluation" in caught.value.__notes__[0] and "point [3, " in caught.value.__notes__[0]
