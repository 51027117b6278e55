"""Ridges against their curve along the direction; ball smoothing of ridges and curves against the definition."""

import math

import mpmath as mp
import pytest
import torch

from rllab import Gaussian
from rllab._special.balls import ball_damping, ball_growth
from rllab.problems import Cliff, Cosine, Exponential, Relu, Ridge, Square, Staircase, Steps
from tests.proofs.oracles import assert_holds, ball_moments, normal_moments

DTYPE = torch.float64
A = (0.6, -1.1, 0.2)
AT = torch.tensor([0.37, 0.22, -1.4], dtype=DTYPE)
SCALE = torch.tensor([0.3, 0.7, 0.05], dtype=DTYPE)


@pytest.mark.parametrize(
    ("curve", "k", "breaks"),
    [
        (Cosine(2.1), lambda x: mp.cos(mp.mpf(2.1) * x), []),
        (Relu(0.2), lambda x: max(mp.mpf(0), x - mp.mpf(0.2)), [0.2]),
        (
            Steps((-0.4, 0.9), (1.5, -0.6)),
            lambda x: (x >= mp.mpf(-0.4)) * 1.5 - (x >= mp.mpf(0.9)) * mp.mpf(0.6),
            [-0.4, 0.9],
        ),
    ],
    ids=("cosine", "relu", "steps"),
)
def test_a_ridge_has_the_moments_of_its_curve_along_the_direction(curve, k, breaks):
    problem = Ridge(curve, direction=A, dimension=3)
    a = torch.tensor(A, dtype=DTYPE)
    sigma = float((a * SCALE).norm())
    j, j_mu, j_s = normal_moments(k, breaks, float(a @ AT), sigma)
    at = Gaussian(AT, SCALE)
    assert_holds(float(problem.expected_value(at)), j, rtol=1e-13)
    gradient = problem.expected_gradient(at)
    assert_holds(gradient["mean"].numpy(), [float(c) * j_mu for c in a], rtol=1e-12)
    assert_holds(
        gradient["scale"].numpy(), [float(c * c * s) / sigma * j_s for c, s in zip(a, SCALE, strict=True)], rtol=1e-12
    )


def test_a_ridge_is_constant_across_and_follows_a_rotation():
    q, _ = torch.linalg.qr(torch.tensor([[1.0, 2.0, 0.3], [0.4, -1.0, 0.8], [-0.7, 0.2, 1.5]], dtype=DTYPE))
    a = torch.tensor(A, dtype=DTYPE)
    across = torch.linalg.cross(a, AT)
    rotated = Ridge(Cosine(2.1), direction=tuple((q @ a).tolist()), dimension=3)
    problem = Ridge(Cosine(2.1), direction=A, dimension=3)
    for kernel in ("gaussian", "ball"):
        value, gradient = problem.smoothed_value(AT, 0.4, kernel), problem.smoothed_gradient(AT, 0.4, kernel)
        torch.testing.assert_close(problem.smoothed_value(AT + across, 0.4, kernel), value, rtol=1e-13, atol=0)
        torch.testing.assert_close(rotated.smoothed_value(q @ AT, 0.4, kernel), value, rtol=1e-12, atol=0)
        torch.testing.assert_close(rotated.smoothed_gradient(q @ AT, 0.4, kernel), q @ gradient, rtol=1e-12, atol=1e-15)


def test_a_cliff_is_a_ridge_of_one_step():
    cliff, ridge = (
        Cliff(0.3, 2.0, direction=A, dimension=3),
        Ridge(Steps((0.3,), 2.0), direction=A, dimension=3),
    )
    for kernel in ("gaussian", "ball"):
        assert torch.equal(cliff.smoothed_gradient(AT, 0.9, kernel), ridge.smoothed_gradient(AT, 0.9, kernel))
    assert cliff.value(AT[None]).item() == 0.0
    assert cliff.value(-AT[None]).item() == 2.0 * (-float(AT @ torch.tensor(A, dtype=DTYPE)) >= 0.3)


CURVES = [
    (Square(0.3), lambda x: (x - mp.mpf(0.3)) ** 2, lambda mu, r: []),
    (Cosine(2.1), lambda x: mp.cos(mp.mpf(2.1) * x), lambda mu, r: []),
    (Exponential(-1.3), lambda x: mp.exp(mp.mpf(-1.3) * x), lambda mu, r: []),
    (
        Steps((-0.4, 0.9), (1.5, -0.6)),
        lambda x: (x >= mp.mpf(-0.4)) * 1.5 - (x >= mp.mpf(0.9)) * mp.mpf(0.6),
        lambda mu, r: [-0.4, 0.9],
    ),
    (Staircase(3, average=False), lambda x: mp.floor(3 * x) / 3, lambda mu, r: thirds(mu, r)),
]


def thirds(mu, r):
    with mp.workdps(40):
        return [mp.mpf(j) / 3 for j in range(math.floor(3 * (mu - r)) - 1, math.ceil(3 * (mu + r)) + 2)]


@pytest.mark.slow
@pytest.mark.parametrize(("curve", "k", "breaks"), CURVES, ids=[str(c[0]) for c in CURVES])
@pytest.mark.parametrize("d", (1, 2, 7, 1000))
def test_smoothing_by_a_ball_is_that_of_the_definition(curve, k, breaks, d):
    # along a unit vector, so that the ball's radius is the curve's
    direction = torch.linspace(-1, 2, d, dtype=DTYPE) if d > 1 else torch.ones(1, dtype=DTYPE)
    direction = direction / direction.norm()
    problem = Ridge(curve, direction=tuple(direction.tolist()), dimension=d)
    for mu, r in ((0.37, 0.8), (-0.9, 2.3), (0.8, 0.03)):
        at = mu * direction
        along, radius = float(at @ direction), r * float(direction.norm())
        j, j_mu = ball_moments(k, breaks(along, radius), along, radius, d)
        assert_holds(float(problem.smoothed_value(at, r, "ball")), j, rtol=1e-12, scale=1e-3)
        gradient = problem.smoothed_gradient(at, r, "ball")
        assert_holds(float(gradient @ direction), j_mu, rtol=1e-11, scale=1e-3)
        torch.testing.assert_close(gradient, (gradient @ direction) * direction, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("d", (1, 3, 20, 1000))
def test_growth_and_damping_by_a_ball_are_the_hypergeometric_function(d):
    for k in (0.0, 1e-9, 0.9, 2.9, 19.0, 150.0, 900.0, 1100.0):
        with mp.workdps(40):
            b, z = mp.mpf(d) / 2 + 1, mp.mpf(k) ** 2 / 4
            down, up = mp.hyp0f1(b, -z), mp.hyp0f1(b, z)
        assert_holds(ball_damping(k, d), down, rtol=2e-11)
        if up < 1e300:
            assert_holds(ball_growth(k, d), up, rtol=1e-13)


def test_a_half_space_under_a_ball_is_the_incomplete_beta_function_in_its_tail_too():
    direction = (1.0,) + (0.0,) * 19
    problem = Cliff(direction=direction, dimension=20)
    for t in (-0.999, -0.9, -0.3, 0.0, 0.4):
        at = torch.zeros(20, dtype=DTYPE)
        at[0] = 0.7 * t
        with mp.workdps(40):
            x = mp.mpf(float(at[0])) / mp.mpf(0.7)
            tail = mp.betainc(mp.mpf(21) / 2, mp.mpf(1) / 2, 0, 1 - x * x, regularized=True) / 2
            slope = mp.gamma(11) / (mp.sqrt(mp.pi) * mp.gamma(mp.mpf(21) / 2)) * (1 - x * x) ** (mp.mpf(19) / 2)
        assert_holds(float(problem.smoothed_value(at, 0.7, "ball")), tail if t < 0 else 1 - tail, rtol=1e-11)
        assert_holds(float(problem.smoothed_gradient(at, 0.7, "ball")[0]), slope / mp.mpf(0.7), rtol=1e-11)
    outside = torch.full((20,), 3.0, dtype=DTYPE)
    assert problem.smoothed_value(outside, 0.7, "ball") == 1 and problem.smoothed_value(-outside, 0.7, "ball") == 0
    assert problem.smoothed_gradient(outside, 0.7, "ball").abs().max() == 0


def test_a_separable_sum_is_the_sum_of_its_coordinates():
    for several, one in (
        (Cosine(2.1, dimension=3), Cosine(2.1)),
        (Staircase(3, dimension=3, average=False), Staircase(3)),
        (Relu(0.2, dimension=3), Relu(0.2)),
    ):
        parts = [AT[i : i + 1] for i in range(3)]
        value = sum(one.smoothed_value(part, 0.4) for part in parts)
        torch.testing.assert_close(several.smoothed_value(AT, 0.4), value)
        slopes = torch.cat([one.smoothed_gradient(part, 0.4) for part in parts])
        torch.testing.assert_close(several.smoothed_gradient(AT, 0.4), slopes)
    whole = Staircase(3, dimension=3, average=False)
    torch.testing.assert_close(
        3 * Staircase(3, dimension=3).smoothed_gradient(AT, 0.1), whole.smoothed_gradient(AT, 0.1)
    )
    assert Staircase(dimension=20).value(torch.full((1, 20), 0.6, dtype=DTYPE)).item() == 0.5


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Ridge(Cosine(dimension=2)), "Ridge: curve must be a curve of dimension 1"),
        (lambda: Ridge("cosine"), "Ridge: curve must be a curve of dimension 1"),
        (lambda: Cliff(direction=0.0), "Cliff: direction must not be zero"),
        (lambda: Cliff(direction=(1.0,)), "Cliff: direction must be a finite number or a tuple of dimension = 2"),
        (lambda: Cliff(float("inf")), "Steps: edges must be"),
    ],
)
def test_bad_arguments_are_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()
