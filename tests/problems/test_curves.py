"""Curves of one variable against the definition in 40 digits, in the bulk, in tails and under small noise."""

import math

import mpmath as mp
import pytest
import torch

from rllab.problems import Absolute, Bell, Clip, Cosine, Exponential, Plateau, Relu, Square, Staircase, Steps
from tests.proofs.oracles import DIGITS, assert_holds, normal_moments
from tests.proofs.problems import curve_moments, prove_definition, slope

DTYPE = torch.float64


def m(x) -> mp.mpf:
    """A float64 number as it is: the oracle's edges are the library's, not their decimal names."""
    return mp.mpf(float(x))


def stairs(n, mu, s):
    near = math.floor(n * mu)
    reach = math.ceil(45 * n * s) + 1
    with mp.workdps(DIGITS):
        return [mp.mpf(j) / n for j in range(near - reach, near + reach + 1)]


# problem, k by its definition, where it is not smooth (a function of μ and s)
CURVES = [
    (Square(0.3), lambda x: (x - m(0.3)) ** 2, []),
    (Exponential(-1.3), lambda x: mp.exp(m(-1.3) * x), []),
    (Bell(1.7), lambda x: mp.exp(-m(1.7) * x * x), range(-5, 6)),  # narrow beside wide noise
    (Cosine(2.1), lambda x: mp.cos(m(2.1) * x), []),
    (Relu(0.2), lambda x: max(mp.mpf(0), x - m(0.2)), [m(0.2)]),
    (Absolute(), abs, [mp.mpf(0)]),
    (Clip(-0.7, 0.4), lambda x: min(max(x, m(-0.7)), m(0.4)), [m(-0.7), m(0.4)]),
    (Plateau(0.6), lambda x: min(abs(x), m(0.6)), [m(-0.6), mp.mpf(0), m(0.6)]),
    (Steps(), lambda x: mp.mpf(x >= 0), [mp.mpf(0)]),
    (
        Steps((-0.4, 0.9), (1.5, -0.6)),
        lambda x: (x >= m(-0.4)) * m(1.5) + (x >= m(0.9)) * m(-0.6),
        [m(-0.4), m(0.9)],
    ),
    (Staircase(1), mp.floor, lambda mu, s: stairs(1, mu, s)),
    (Staircase(3), lambda x: mp.floor(3 * x) / 3, lambda mu, s: stairs(3, mu, s)),
]
every = pytest.mark.parametrize(("problem", "k", "breaks"), CURVES, ids=[str(c[0]) for c in CURVES])
# asymmetric; edges a fraction, a few and many standard deviations away; noise small and large
PLACES = ((0.37, 0.8), (1.9, 0.1), (-2.3, 0.11), (0.87, 0.03), (-0.45, 2e-3), (4.7, 3.0))


@pytest.mark.slow
@every
@pytest.mark.parametrize(("mu", "s"), PLACES)
def test_mean_and_its_gradients_are_those_of_the_definition(problem, k, breaks, mu, s):
    prove_definition(problem, k, breaks, mu, s, scales(problem, s))


def scales(problem, s):
    """The scale below which a number is the difference of larger ones, and known to rounding of those only."""
    if isinstance(problem, (Absolute, Relu, Clip, Plateau)):
        return 0, 0, mp.mpf(10) ** -28  # the oracle subtracts a slope here, to 40 digits
    if isinstance(problem, Staircase):
        return 0, 0, 1e-5 if 3 * s > 0.5 else 0  # Fourier terms of either sign
    return 0, 0, 0


# problem, an edge with nothing but flat to its left, and a noise small beside the width of what is to its right
TAILS = {
    Relu(0.2): (0.2, 0.04),
    Clip(-0.7, 0.4): (-0.7, 0.04),
    Plateau(0.6): (-0.6, 0.03),
    Steps(): (0.0, 0.007),
    Steps((-0.4, 0.9), (1.5, -0.6)): (-0.4, 0.007),
    Staircase(1): (0.0, 0.007),
    Staircase(3): (0.0, 0.007),
}


@pytest.mark.parametrize("problem", TAILS, ids=str)
@pytest.mark.parametrize("z", (9.0, 20.0, 30.0))
def test_a_tail_is_right_relative_to_itself(problem, z):
    k, breaks = next((k, breaks) for p, k, breaks in CURVES if p == problem)
    edge, s = TAILS[problem]
    mu = edge - z * s
    true = normal_moments(k, breaks(mu, s) if callable(breaks) else breaks, mu, s)
    got = curve_moments(problem, mu, s)
    assert 0 < abs(true[1]) < 1e-15
    for a, b in zip(got[1:], true[1:], strict=True):
        assert_holds(a, b, rtol=1e-10)
    if abs(true[0]) < 1e-15:  # where the curve is 0 on that side the value is a tail too
        assert_holds(got[0], true[0], rtol=1e-10)


@pytest.mark.parametrize("problem", (Clip(-0.7, 0.4), Plateau(0.6)), ids=str)
@pytest.mark.parametrize("z", (9.0, 29.0))
def test_a_tail_of_little_noise_sees_the_edge_and_not_the_middle(problem, z):
    # the middle is millions of deviations away, and rounded accordingly; the edge is not
    k, breaks = next((k, breaks) for p, k, breaks in CURVES if p == problem)
    s = 3e-7
    for edge, side in ((float(breaks[0]), -1), (float(breaks[-1]), 1)):
        mu = edge + side * z * s
        true = normal_moments(k, breaks, mu, s)
        for a, b in zip(curve_moments(problem, mu, s)[1:], true[1:], strict=True):
            assert_holds(a, b, rtol=1e-11, scale=mp.mpf(10) ** -36 if b is true[2] else 0)


@every
@pytest.mark.parametrize("mu", (0.37, -1.21, 1.13))
def test_without_noise_the_smoothed_curve_is_the_curve(problem, k, breaks, mu):
    at = torch.tensor([mu], dtype=DTYPE)
    for s, allowed in ((1e-4, 1e-6), (1e-9, 1e-13)):
        assert abs(float(problem.smoothed_value(at, s)) - float(k(mp.mpf(mu)))) < allowed
        plain = float(problem.gradient(at[None])[0, 0])
        assert abs(float(problem.smoothed_gradient(at, s)[0]) - plain) < 1e2 * allowed
    assert float(problem.value(at[None])) == pytest.approx(float(k(mp.mpf(mu))), rel=1e-14)


@every
def test_the_gradient_is_the_slope_of_the_curve(problem, k, breaks):
    for x in (0.37, -1.21, 0.05):
        plain = float(problem.gradient(torch.tensor([[x]], dtype=DTYPE))[0, 0])
        assert plain == pytest.approx(float(mp.diff(k, mp.mpf(x), h=mp.mpf(10) ** -12)), rel=1e-9, abs=1e-9)


@every
@pytest.mark.parametrize(("mu", "s"), PLACES)
def test_the_gradients_are_the_differences_of_the_value(problem, k, breaks, mu, s):
    at, j = torch.tensor([mu], dtype=DTYPE), curve_moments(problem, mu, s)
    size = max(1.0, abs(j[0]), abs(j[1]) * s, abs(j[2]) * s)
    along_mean = slope(lambda t: float(problem.smoothed_value(at + t * s, s)), 2e-4)
    along_scale = slope(lambda t: float(problem.smoothed_value(at, s + t * s)), 2e-4)
    assert along_mean == pytest.approx(j[1] * s, abs=1e-9 * size)
    assert along_scale == pytest.approx(j[2] * s, abs=1e-9 * size)


@pytest.mark.parametrize(
    ("build", "shift"),
    [
        (lambda t: Relu(0.2 + t), 0.5),
        (lambda t: Steps((-0.4 + t, 0.9 + t), (1.5, -0.6)), 0.5),
        (lambda t: Square(0.3 + t), 0.75),
    ],
)
def test_a_shifted_curve_is_the_curve_at_the_shifted_place(build, shift):
    for mu, s in PLACES:
        here, there = curve_moments(build(0.0), mu, s), curve_moments(build(shift), mu + shift, s)
        for a, b in zip(here, there, strict=True):
            assert a == pytest.approx(b, rel=1e-10, abs=1e-12)


def test_stairs_repeat_and_rise_by_one():
    for mu, s in ((0.3, 0.02), (0.3, 0.4), (-0.7, 1.3)):
        low, high = curve_moments(Staircase(3), mu, s), curve_moments(Staircase(3), mu + 2, s)
        assert high[0] == pytest.approx(low[0] + 2, rel=1e-14)
        assert high[1:] == pytest.approx(low[1:], rel=1e-12, abs=1e-14)


def test_edges_and_waves_meet():
    # 1/2 of a stair of noise is where the edge sum hands over to Fourier's series
    for mu in (0.13, 0.5, -3.8):
        below, above = curve_moments(Staircase(1), mu, 0.5 - 1e-15), curve_moments(Staircase(1), mu, 0.5 + 1e-15)
        assert below == pytest.approx(above, rel=1e-13, abs=1e-14)


def test_far_from_zero_a_stair_is_as_sharp_as_at_zero():
    # 10 μ rounds to a grid of 1e-10 here, which is a tenth of a standard deviation; the moments do not see it
    mu, s = 123456.7, 1e-10
    prove_definition(Staircase(10), lambda x: mp.floor(10 * x) / 10, stairs(10, mu, s), mu, s, rtol=1e-10)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Bell(0.0), "Bell: rate must be positive"),
        (lambda: Clip(1.0, 1.0), "Clip: low must be below high"),
        (lambda: Plateau(-1.0), "Plateau: width must be positive"),
        (lambda: Steps(()), "Steps: edges must be one or more finite numbers"),
        (lambda: Steps((0.0, 1.0), (1.0, 2.0, 3.0)), "Steps: heights must be"),
        (lambda: Staircase(0), r"Staircase: levels must be an integer in 1\.\.2\^26, got 0"),
        (lambda: Cosine(dimension=0), "Cosine: dimension must be an integer >= 1, got 0"),
    ],
)
def test_bad_arguments_are_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()
