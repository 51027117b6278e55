"""SobolSmoothing: unbiased at every number of directions, and what spreading them evenly buys."""

import math

import pytest
import torch

from rllab import Cost
from rllab.estimators import GaussianSmoothing, SobolSmoothing
from tests.proofs.checks import assert_unbiased, detectable_bias, fresh_state, z_scores
from tests.proofs.probing import AT, PROBES, RADIUS, D, assert_close, smoothed_wave_gradient, straight, wave


@pytest.mark.parametrize("form", PROBES)
@pytest.mark.parametrize("evaluations", (4, 33))
def test_draws_are_unbiased_for_the_gaussian_kernel(form, evaluations):
    estimator, repeats = SobolSmoothing(RADIUS, form), 40_000
    truth = smoothed_wave_gradient("gaussian", RADIUS)
    assert estimator.target == GaussianSmoothing(RADIUS).target and estimator.unbiased
    assert_unbiased(z_scores(estimator, wave, AT, truth, evaluations, repeats, key=3))
    sd = estimator(Cost(wave), AT.expand(repeats, -1), evaluations=evaluations, key=3).gradient.std(0)
    bias = detectable_bias(float(sd.max()), repeats, coordinates=D)
    print(f"{form}: a bias of {bias / float(truth.abs().max()):.1%} would be seen with probability 0.999")
    assert bias < 0.2 * float(truth.abs().max())


def spread(estimator, f, m, repeats=2_000):
    g = estimator(Cost(f), AT.expand(repeats, -1), evaluations=2 * m, key=4, errors=False).gradient
    return float(g.var(0).sum())


def test_its_variance_falls_faster_than_that_of_independent_directions():
    # Ratios of sums of 3 sample variances over 2,000 repeats: sd 2 to 3 %
    ratios = [spread(SobolSmoothing(RADIUS), wave, m) / spread(GaussianSmoothing(RADIUS), wave, m) for m in (1, 8, 128)]
    print("variance, Sobol over independent, at m = 1, 8, 128:", ratios)
    assert 0.8 < ratios[0] < 1.25  # one direction is one direction
    assert ratios[1] < 0.8
    assert ratios[2] < 0.1


def test_more_directions_than_a_group_start_an_independent_one():
    estimator, m = SobolSmoothing(RADIUS, group=4), 12
    query = estimator.ask(AT, 2 * m, 1)
    assert [len(block.noise) for block in query] == [4, 4, 4]
    noise = torch.cat([block.noise for block in query])
    assert len(noise.unique(dim=0)) == m
    e = estimator(Cost(wave), AT, evaluations=2 * m, key=1, per_unit=True)
    groups = e.per_unit.view(3, 4, D).mean(1)
    assert_close(groups.std(0) / math.sqrt(3), e.standard_error, 1e-10)
    assert SobolSmoothing(RADIUS, group=16)(Cost(wave), AT, evaluations=2 * m, key=1).standard_error is None


def test_halving_the_groups_doubles_the_variance():
    one, four = (spread(SobolSmoothing(RADIUS, group=8), wave, m, repeats=20_000) for m in (8, 32))
    assert one / four == pytest.approx(4, rel=0.1)  # a ratio of variances over 20,000 repeats: sd about 1.5 %


def test_global_random_state_is_left_alone():
    before = fresh_state()
    SobolSmoothing()(Cost(straight), AT, evaluations=20, key=1)
    assert fresh_state() == before


def test_too_many_dimensions_are_refused_before_anything_is_drawn():
    with pytest.raises(ValueError, match=r"at must have at most 21201 parameters, got 30000"):
        SobolSmoothing().ask(torch.zeros(30_000), 4, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sigma": -1}, "sigma must be positive"),
        ({"group": 0}, "group must be an integer >= 1, got 0"),
        ({"form": "x"}, "form must"),
    ],
)
def test_bad_hyperparameters_are_named(arguments, message):
    with pytest.raises(ValueError, match=f"SobolSmoothing: {message}"):
        SobolSmoothing(**arguments)
