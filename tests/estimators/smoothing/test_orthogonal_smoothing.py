"""OrthogonalSmoothing: exact variances over all frames, orders and signs; exactness on lines; padding; groups."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import roots_genlaguerre

from rllab import Cost
from rllab.estimators import GaussianSmoothing, OrthogonalSmoothing
from rllab.estimators.smoothing.directions import padded
from tests.proofs.checks import assert_unbiased, detectable_bias, z_scores
from tests.proofs.prescribed import Prescribed
from tests.proofs.probing import (
    AT,
    OFFSET,
    RADIUS,
    SLOPE,
    D,
    G,
    assert_close,
    assert_moments,
    curved,
    evaluations_for,
    frame_rule,
    over,
    prove_axes,
    prove_haar,
    prove_hadamard,
    smoothed_wave_gradient,
    straight,
    wave,
)

LAWS = ("haar", "gaussian", "coordinate", "hadamard")
KERNELS = {"haar": "ball", "gaussian": "gaussian", "coordinate": "axis", "hadamard": "rademacher"}
every_law = pytest.mark.parametrize("law", LAWS)


@pytest.mark.parametrize("form", ("antithetic", "forward"))
def test_haar_directions_have_the_closed_form_variance_over_all_frames(form):
    prove_haar(OrthogonalSmoothing(RADIUS, "haar", form))


@pytest.mark.parametrize("form", ("antithetic", "forward"))
def test_coordinates_have_the_closed_form_variance_over_all_orders(form):
    prove_axes(OrthogonalSmoothing(RADIUS, "coordinate", form))


@pytest.mark.parametrize("form", ("antithetic", "forward"))
def test_hadamard_rows_are_exact_only_for_the_whole_padded_set(form):
    prove_hadamard(OrthogonalSmoothing(RADIUS, "hadamard", form))


@pytest.mark.parametrize("m", (1, 2, 3))
def test_lengths_of_normal_vectors_have_the_closed_form_variance(m):
    # ℓ² = 2t with t ~ Gamma(d/2): generalised Gauss–Laguerre nodes for every length, times all frames
    frames, w = frame_rule(4)
    t, v = (torch.tensor(x, dtype=torch.float64) for x in roots_genlaguerre(4, D / 2 - 1))
    lengths, v = (2 * t).sqrt(), v / v.sum()
    grid = torch.cartesian_prod(torch.arange(len(frames)), *[torch.arange(4)] * m)
    nodes = frames[grid[:, 0], :m] * lengths[grid[:, 1:]].unsqueeze(-1)
    rule = nodes, w[grid[:, 0]] * v[grid[:, 1:]].prod(-1)
    moments = over("orthonormal", rule, OrthogonalSmoothing(RADIUS, "gaussian"), straight, 2 * m)
    assert_moments(moments, SLOPE, ((D + 2) / m - 1) * G)


@every_law
@pytest.mark.parametrize("evaluations", (4, 20))
def test_draws_are_unbiased_for_what_the_law_says(law, evaluations):
    estimator, repeats = OrthogonalSmoothing(RADIUS, law), 40_000
    truth = smoothed_wave_gradient(KERNELS[law], RADIUS)
    assert (estimator.target.kernel, estimator.target.radius) == (KERNELS[law], RADIUS)
    g = estimator(Cost(wave), AT.expand(repeats, -1), evaluations=evaluations, key=8).gradient
    sd = g.std(0)
    if float(sd.max()) < 1e-9:  # every axis was used equally often: no randomness is left
        assert law == "coordinate"
        assert_close(g[0], truth)
        return
    assert_unbiased(z_scores(estimator, wave, AT, truth, evaluations, repeats, key=8))
    bias = detectable_bias(float(sd.max()), repeats, coordinates=D)
    print(f"{law}: a bias of {bias / float(truth.abs().max()):.1%} would be seen with probability 0.999")
    assert bias < 0.1 * float(truth.abs().max())


@pytest.mark.parametrize(
    ("law", "m"), (("haar", 5), ("haar", 10), ("coordinate", 5), ("coordinate", 15), ("hadamard", 8))
)
@pytest.mark.parametrize("form", ("antithetic", "forward"))
def test_a_whole_set_of_directions_knows_a_line_exactly(law, m, form):
    at, slope = torch.linspace(-1, 2, 5, dtype=torch.float64), torch.linspace(2, -1, 5, dtype=torch.float64)
    e = OrthogonalSmoothing(RADIUS, law, form)(
        Cost(lambda x: OFFSET + x @ slope), at, evaluations=evaluations_for(form, m), key=1
    )
    assert_close(e.gradient, slope, 1e-12)


def test_rows_that_fill_the_dimension_but_not_the_padding_are_not_exact():
    slope = torch.linspace(2, -1, 5, dtype=torch.float64)
    e = OrthogonalSmoothing(RADIUS, "hadamard")(
        Cost(lambda x: x @ slope), torch.zeros_like(slope), evaluations=10, key=1
    )
    assert float((e.gradient - slope).norm() / slope.norm()) > 0.1


@pytest.mark.parametrize("d", (4, 8))
def test_without_padding_hadamard_rows_have_the_variance_of_haar_directions(d):
    # exact: all 2^d signs, one problem each
    slope, m = torch.linspace(2, -1, d, dtype=torch.float64), d // 2
    signs = (torch.arange(2**d)[:, None] >> torch.arange(d) & 1).double() * 2 - 1
    key = Prescribed({"sign": signs[None]})
    g = OrthogonalSmoothing(RADIUS, "hadamard")(
        Cost(lambda x: x @ slope), torch.zeros(2**d, d, dtype=torch.float64), evaluations=2 * m, key=key
    ).gradient
    assert_close(g.mean(0), slope)
    assert_close((g - slope).square().sum(-1).mean(), (d / m - 1) * slope.square().sum())


@pytest.mark.parametrize("m", (7, 11, 15))
def test_an_incomplete_last_group_counts_for_its_share(m):
    # On a line only the last group errs, by (m_r/m)²(d/m_r − 1)G in all
    d, repeats, r = 5, 60_000, m % 5
    slope = torch.linspace(2, -1, d, dtype=torch.float64)
    g = OrthogonalSmoothing(RADIUS)(
        Cost(lambda x: x @ slope), torch.zeros(repeats, d, dtype=torch.float64), evaluations=2 * m, key=3
    ).gradient
    if r == 0:
        assert_close(g, slope.expand(repeats, d), 1e-12)
        return
    errors = (g - slope).square().sum(-1)
    wanted = (r / m) ** 2 * (d / r - 1) * float(slope @ slope)
    assert_unbiased(((errors.mean() - wanted) / (errors.std() / math.sqrt(repeats)))[None])


def test_many_groups_average_like_independent_ones():
    # "gaussian" keeps variance at m = d, so groups differ: their standard error is that of equal, independent units
    at, m = torch.linspace(-1, 2, 4, dtype=torch.float64), 4 * 25
    e = OrthogonalSmoothing(RADIUS, "gaussian")(
        Cost(lambda x: torch.cos(2 * x).sum(-1)), at, evaluations=2 * m, key=2, per_unit=True
    )
    groups = e.per_unit.view(25, 4, 4).mean(1)
    assert_close(groups.mean(0), e.gradient, 1e-12)
    assert_close(groups.std(0) / 5, e.standard_error, 1e-10)


def test_the_error_is_right_for_equal_groups_and_errs_high_with_a_smaller_one():
    at, repeats = torch.linspace(-1, 2, 4, dtype=torch.float64), 20_000

    def cost(x):
        return torch.cos(2 * x).sum(-1)

    ratios = {}
    for m in (8, 9):
        e = OrthogonalSmoothing(RADIUS, "gaussian")(Cost(cost), at.expand(repeats, -1), evaluations=2 * m, key=4)
        ratios[m] = float(e.standard_error.square().mean() / e.gradient.var(0).mean())
    print(ratios)
    assert 0.95 < ratios[8] < 1.05  # a ratio of means over 80,000 terms: sd about 1 %
    assert 1 < ratios[9] < 4


@every_law
def test_there_is_no_error_of_a_single_group(law):
    assert OrthogonalSmoothing(RADIUS, law)(Cost(curved), AT, evaluations=4, key=0).standard_error is None
    assert OrthogonalSmoothing(RADIUS, law)(Cost(curved), AT, evaluations=40, key=0).standard_error is not None


@every_law
@pytest.mark.parametrize("d", (1, 2, 3, 5, 8))
@pytest.mark.parametrize("m", (1, 7, 16))
def test_groups_are_whole_wherever_blocks_end(monkeypatch, law, d, m):
    at = torch.linspace(-1, 2, 2 * d, dtype=torch.float64).view(2, d)
    monkeypatch.setattr(
        "rllab.estimators.smoothing.orthogonal.BLOCK", 2 * d * 4
    )  # four directions a block, unless a group is more
    query = OrthogonalSmoothing(RADIUS, law).ask(at, 2 * m, 5)
    assert [row for block in query for row in range(block.rows.start, block.rows.stop)] == list(range(2 * m))
    u = torch.cat([block.noise for block in query]).movedim(0, 1)  # problem, direction, coordinate
    size = padded(d) if law == "hadamard" else d
    for group in u.split(size, dim=1):
        n = group.shape[1]
        if law == "hadamard":
            if n == size:
                assert_close(group.mT @ group, n * torch.eye(d).expand(2, d, d), 1e-12)
        else:
            unit = torch.nn.functional.normalize(group, dim=-1)
            assert_close(unit @ unit.mT, torch.eye(n).expand(2, n, n), 1e-12)


def test_directions_per_law_have_the_length_they_should():
    at = torch.zeros(6, dtype=torch.float64)
    lengths = {law: OrthogonalSmoothing(RADIUS, law).ask(at, 12, 1)[0].noise.norm(dim=-1) for law in LAWS}
    assert_close(lengths["haar"], torch.ones(6), 1e-12)
    assert_close(lengths["coordinate"], torch.ones(6), 1e-12)
    assert_close(lengths["hadamard"], torch.full((6,), 6**0.5, dtype=torch.float64), 1e-12)
    assert float(lengths["gaussian"].std()) > 0.1


def test_memory_of_haar_is_one_group_however_many_directions():
    at = torch.zeros(600)
    query = OrthogonalSmoothing().ask(at, 2 * 1_300, 0)
    assert [len(query[i].noise) for i in range(len(query))] == [600, 600, 100]


def test_orthogonal_directions_beat_independent_ones_by_the_law_of_cosines():
    # on a line: E cos² = m/d for "haar"; for independent normal directions cos² ~ Beta(m/2, (d − 1)/2)
    d, repeats = 50, 3_000
    slope = torch.from_numpy(np.random.default_rng(0).standard_normal(d))
    at = torch.zeros(repeats, d, dtype=torch.float64)

    def cosines(estimator, m):
        g = estimator(Cost(lambda x: x @ slope), at, evaluations=2 * m, key=6, errors=False).gradient
        return g @ slope / (g.norm(dim=-1) * slope.norm())

    for m in (5, 25, 50):
        square = cosines(OrthogonalSmoothing(RADIUS), m).square()
        if m < d:
            assert_unbiased(((square.mean() - m / d) / (square.std() / math.sqrt(repeats)))[None])
        else:
            assert_close(square, torch.ones(repeats), 1e-10)
        iid = cosines(GaussianSmoothing(RADIUS), m).square()
        law = stats.beta(m / 2, (d - 1) / 2)
        assert_unbiased(((iid.mean() - law.mean()) / (law.std() / math.sqrt(repeats)))[None])
        assert detectable_bias(law.std(), repeats, 1) < (m / d - law.mean()) or m == 5  # where the two laws are near


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"radius": 0}, "OrthogonalSmoothing: radius must be positive"),
        ({"law": "qr"}, "OrthogonalSmoothing: law must be one of"),
        ({"form": "central"}, "OrthogonalSmoothing: form must be one of"),
    ],
)
def test_bad_hyperparameters_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        OrthogonalSmoothing(**arguments)


@pytest.mark.parametrize(("radius", "comes_down"), [(0.1, False), (math.sqrt(10), True)])  # the default; w√d
def test_stairs_are_come_down_at_a_radius_of_their_width_times_the_root_of_d(radius, comes_down):
    def stairs(x):
        return torch.floor(x.abs() / width).sum(-1)

    width, d = 1.0, 10
    cost, at = Cost(stairs), torch.full((d,), 3.5, dtype=torch.float64)
    start = float(stairs(at))
    for step in range(100):
        g = OrthogonalSmoothing(radius=radius)(cost, at, evaluations=2 * d, key=step).gradient
        assert isinstance(g, torch.Tensor)
        at = at - 0.1 * g
    assert OrthogonalSmoothing().radius == 0.1
    assert float(stairs(at)) == (0.0 if comes_down else start)
