"""Costs that jump on contact: against the definition, and the bias that missed jumps leave."""

import math

import mpmath as mp
import pytest
import torch

from rllab.problems import BallWithWall, Pivot
from tests.proofs.oracles import DIGITS, assert_holds, normal_moments
from tests.proofs.problems import DTYPE, curve_moments, prove_definition


def pivot(z):
    return -(mp.sin(z) ** 2) if abs(z) <= mp.mpf(math.pi / 4) else mp.mpf(0)


def ball(z):
    g, d, h = mp.mpf(9.81), mp.mpf(0.06), mp.mpf(0.02)
    reach = mp.sin(2 * z) / g
    over = reach <= d or d * mp.tan(z) - g * d * d / (2 * mp.cos(z) ** 2) > h
    return -((reach if over else d) ** 2)


def ball_breaks(*_):
    """Where the flight just reaches the wall, and where it just clears it, in every period near [0, π]."""
    with mp.workdps(DIGITS):
        g, d, h = mp.mpf(9.81), mp.mpf(0.06), mp.mpf(0.02)
        touch = mp.asin(d * g) / 2
        clears = [
            mp.atan(t) for t in mp.polyroots([-g * d * d / 2, d, -(g * d * d / 2 + h)], maxsteps=200, extraprec=200)
        ]
        return [a + n * mp.pi for a in (touch, mp.pi / 2 - touch, *clears) for n in range(-9, 10)]


CASES = [
    (Pivot(), pivot, lambda *_: [-mp.mpf(math.pi / 4), mp.mpf(math.pi / 4)]),
    (BallWithWall(), ball, ball_breaks),
]
both = pytest.mark.parametrize(("problem", "k", "breaks"), CASES, ids=("pivot", "ball"))


@pytest.mark.slow
@both
@pytest.mark.parametrize(("mu", "s"), ((0.1, 0.1), (0.71, 0.1), (1.3, 0.02), (0.4, 0.5), (-0.9, 1e-3)))
def test_mean_and_gradients_are_those_of_the_definition(problem, k, breaks, mu, s):
    # where E k′ and the jumps cancel, they are known to rounding of their size, some 1e-2
    prove_definition(problem, k, breaks, mu, s, scales=(0, 1e-2, 1e-2))


def test_several_periods_of_noise_leave_the_mean_of_a_throw():
    wide = curve_moments(BallWithWall(), 0.3, 6.0)
    assert wide[0] == pytest.approx(curve_moments(BallWithWall(), 2.0, 1e6)[0], rel=1e-12)
    assert max(map(abs, wide[1:])) < 1e-15


def test_the_tail_of_the_pivot_is_right_relative_to_itself():
    edge, s = math.pi / 4, 0.02
    for z in (6.0, 15.0, 30.0):
        mu = edge + z * s
        prove_definition(Pivot(), pivot, [mp.mpf(-edge), mp.mpf(edge)], mu, s, rtol=1e-10)


@both
def test_the_pathwise_mean_misses_exactly_the_jumps(problem, k, breaks):
    # E k′ by the definition: integrate k′ alone, whose differences at the breaks do not count
    def k_slope(z):
        return mp.diff(k, z, h=mp.mpf(10) ** -15)

    for mu, s in ((0.1, 0.1), (0.71, 0.1), (0.4, 0.3)):
        true = normal_moments(k_slope, breaks(), mu, s)[0]
        assert_holds(float(problem.pathwise_gradient(torch.tensor([mu], dtype=DTYPE), s)), true, scale=1.0, rtol=1e-9)


def test_the_first_order_method_stalls_before_the_wall_and_the_true_gradient_does_not():
    # Suh et al. (2022), figure 4: from 0.1, with noise 0.1, first order stops near 0.50 and zeroth order near 0.83
    problem = BallWithWall()

    def descend(gradient):
        theta = torch.tensor([0.1], dtype=DTYPE)
        for _ in range(400):
            theta = theta - 0.5 * gradient(theta, 0.1)
        return float(theta[0])

    first, true = descend(problem.pathwise_gradient), descend(problem.smoothed_gradient)
    assert 0.45 < first < 0.75 and 0.8 < true < 0.9
    costs = [float(problem.smoothed_value(torch.tensor([t], dtype=DTYPE), 0.1)) for t in (first, true)]
    assert costs[1] < 1.15 * costs[0]


def test_throws_land_where_they_should():
    at = torch.tensor([[0.2], [0.5], [0.9], [1.22]], dtype=DTYPE)  # short; into the wall; over it; into it from above
    expected = [-((math.sin(0.4) / 9.81) ** 2), -(0.06**2), -((math.sin(1.8) / 9.81) ** 2), -(0.06**2)]
    assert BallWithWall().value(at).tolist() == pytest.approx(expected, rel=1e-13)
    assert BallWithWall().gradient(at)[1].item() == 0.0


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Pivot(0.0), "Pivot: edge must be positive"),
        (lambda: BallWithWall(distance=0.2), "BallWithWall: the wall must be within reach"),
        (lambda: BallWithWall(height=0.05), "BallWithWall: the wall must be within reach"),
        (lambda: BallWithWall(gravity=-1.0), "BallWithWall: gravity must be positive"),
        (lambda: Pivot().pathwise_gradient(torch.zeros(1), 0.0), "Pivot.pathwise_gradient: sigma must be positive"),
    ],
)
def test_bad_arguments_are_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()
