"""Costs of the distance: noncentral χ² against its mixture, the norm against ₁F₁, both in tails and many dimensions."""

import mpmath as mp
import numpy as np
import pytest
import torch

from rllab import Gaussian
from rllab._special.noncentral import noncentral_density, noncentral_law
from rllab.problems import Absolute, BallHole, BoxHole, NoClosedForm, Norm, RadialStaircase
from tests.proofs.oracles import assert_holds, chi2_density, chi2_tails, panel_nodes

DTYPE = torch.float64


def place(d, distance):
    """A point at a distance from 0, in no special direction."""
    direction = torch.linspace(-1, 2, d, dtype=DTYPE) if d > 1 else torch.tensor([1.0], dtype=DTYPE)
    return distance * direction / direction.norm()


@pytest.mark.slow
@pytest.mark.parametrize("d", (1, 2, 3, 20, 1000))
@pytest.mark.parametrize("lam", (0.0, 1e-8, 0.3, 40.0, 2500.0))
def test_both_tails_of_the_noncentral_law_are_right_relative_to_themselves(d, lam):
    mean, sd = d + lam, (2 * d + 4 * lam) ** 0.5
    for z in (-30.0, -12.0, -4.0, -0.6, 0.0, 0.2, 3.0, 9.0):
        y = mean + z * sd if mean + z * sd > 0 else mean * np.exp(z / 3)
        law = noncentral_law(np.array([y]), np.array([lam]), d)
        for got, wanted in zip((law.lower[0], law.upper[0]), chi2_tails(y, lam, d), strict=True):
            if wanted > 1e-40:  # the oracle's upper tail is 1 − lower, in 60 digits
                assert_holds(got, wanted, rtol=1e-12)
        g, rise = noncentral_density(np.array([y]), np.array([lam]), d)
        here, above = chi2_density(y, lam, d), chi2_density(y, lam, d + 2)
        assert_holds(g[0], here, rtol=1e-12)
        assert_holds(rise[0], above - here, scale=1e-3 * here, rtol=1e-11)


def test_deep_lower_tails_are_not_rounded_to_zero():
    # Boost's, which scipy uses, is 0 here
    for d, r, s, distance in ((2, 1.0, 0.1, 3.9), (3, 1.0, 0.05, 2.5), (20, 2.0, 0.1, 4.0)):
        at = place(d, distance)
        lam = float((at / s).square().sum())
        lower, _ = chi2_tails((r / s) ** 2, lam, d)
        assert lower < 1e-90
        hole = BallHole(1.7, r, dimension=d)
        assert_holds(float(hole.smoothed_value(at, s)), -mp.mpf(1.7) * lower, rtol=1e-10)
        density = chi2_density((r / s) ** 2, lam, d + 2)
        gradient = [2 * mp.mpf(1.7) * mp.mpf(float(t)) / mp.mpf(s) ** 2 * density for t in at]
        assert_holds(hole.smoothed_gradient(at, s).numpy(), gradient, rtol=1e-10)


def test_the_mixture_is_the_probability_of_the_ball():
    # by the definition: one coordinate along the offset, χ² with one degree less for the others
    for d, y, lam in ((2, 1.3, 4.0), (3, 9.0, 30.0), (20, 18.0, 2.0)):
        with mp.workdps(40):
            eta, centre = mp.sqrt(mp.mpf(y)), mp.sqrt(mp.mpf(lam))
            total = mp.mpf(0)
            for psi, w in panel_nodes([mp.pi * j / 8 for j in range(-4, 5)]):
                x = eta * mp.sin(psi)
                others = mp.gammainc(mp.mpf(d - 1) / 2, 0, (mp.mpf(y) - x * x) / 2, regularized=True)
                total += w * eta * mp.cos(psi) * mp.npdf(x - centre) * others
            assert abs(total - chi2_tails(y, lam, d)[0]) < mp.mpf(10) ** -25


def test_a_ball_in_one_dimension_is_a_box():
    at = torch.tensor([[0.4], [-2.3], [9.0]], dtype=DTYPE)
    for s in (0.1, 0.7, 5.0):
        ball, box = BallHole(1.4, 0.9, centre=0.3, dimension=1), BoxHole(1.4, 0.3, 0.9, dimension=1)
        for name in ("smoothed_value", "smoothed_gradient"):
            torch.testing.assert_close(getattr(ball, name)(at, s), getattr(box, name)(at, s), rtol=1e-11, atol=1e-300)
        scales = [p.expected_gradient(Gaussian(at, s))["scale"] for p in (ball, box)]
        torch.testing.assert_close(*scales, rtol=1e-9, atol=1e-300)


def test_at_the_centre_the_gradient_is_zero_and_the_value_central():
    at = torch.zeros(3, dtype=DTYPE)
    for problem in (BallHole(dimension=3), Norm(dimension=3), RadialStaircase(dimension=3)):
        assert problem.smoothed_gradient(at, 0.4).abs().max() == 0
    with mp.workdps(30):
        inside = mp.gammainc(mp.mpf(3) / 2, 0, 1 / mp.mpf(0.4) ** 2 / 2, regularized=True)
        assert_holds(float(BallHole(dimension=3).smoothed_value(at, 0.4)), -inside, rtol=1e-13)
        assert_holds(float(Norm(dimension=3).smoothed_value(at, 0.4)), mp.mpf(0.4) * mp.sqrt(8 / mp.pi), rtol=1e-14)


def test_steps_of_a_radial_staircase_are_the_outsides_of_balls():
    at, stairs = place(4, 1.3), RadialStaircase((0.6, 1.7), 0.5, dimension=4)
    balls = [BallHole(0.5, r, dimension=4) for r in (0.6, 1.7)]
    value = 1.0 + sum(ball.smoothed_value(at, 0.3) for ball in balls)
    torch.testing.assert_close(stairs.smoothed_value(at, 0.3), value, rtol=1e-13, atol=0)
    gradient = sum(ball.smoothed_gradient(at, 0.3) for ball in balls)
    torch.testing.assert_close(stairs.smoothed_gradient(at, 0.3), gradient, rtol=1e-13, atol=0)
    inner = stairs.smoothed_value(place(4, 0.02), 0.05)  # twelve standard deviations inside the first step: a tail
    tail = sum(chi2_tails((r / 0.05) ** 2, 0.16, 4)[1] for r in (0.6, 1.7)) / 2
    assert 0 < inner < 1e-20
    assert_holds(float(inner), tail, rtol=1e-10)


@pytest.mark.parametrize("d", (1, 2, 3, 20, 1000))
def test_the_norm_is_its_hypergeometric_function(d):
    for distance, s in ((0.0, 0.3), (1e-9, 1.0), (0.4, 0.7), (5.0, 0.3), (40.0, 0.02), (3.0, 11.0), (1e5, 0.01)):
        at = place(d, distance)
        with mp.workdps(40):
            theta = [mp.mpf(float(t)) for t in at]
            x, sd, n = mp.fsum(t * t for t in theta) / (2 * mp.mpf(s) ** 2), mp.mpf(s), mp.mpf(d)
            head = mp.sqrt(2) * mp.gamma((n + 1) / 2) / mp.gamma(n / 2)
            value = sd * head * mp.hyp1f1(-mp.mpf(1) / 2, n / 2, -x)
            slope = head / n * mp.hyp1f1(mp.mpf(1) / 2, n / 2 + 1, -x) / sd
            gradient = [t * slope for t in theta]
        problem = Norm(dimension=d)
        assert_holds(float(problem.smoothed_value(at, s)), value, rtol=1e-13)
        assert_holds(problem.smoothed_gradient(at, s).numpy(), gradient, rtol=1e-12)


def test_the_norm_in_one_dimension_is_the_absolute_value():
    at = torch.tensor([[0.0], [0.3], [-1.9], [8.0]], dtype=DTYPE)
    for s in (0.05, 0.6, 30.0):
        norm, absolute = (p.expected_gradient(Gaussian(at, s)) for p in (Norm(dimension=1), Absolute()))
        for name in ("mean", "scale"):
            torch.testing.assert_close(norm[name], absolute[name], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    "build", (lambda c: BallHole(1.4, 0.9, centre=c, dimension=3), lambda c: Norm(centre=c, dimension=3))
)
def test_a_rotation_of_the_place_about_the_centre_rotates_the_gradient(build):
    c = (0.1, -0.5, 0.3)
    problem, centre = build(c), torch.tensor(c, dtype=DTYPE)
    q, _ = torch.linalg.qr(torch.tensor([[1.0, 2.0, 0.3], [0.4, -1.0, 0.8], [-0.7, 0.2, 1.5]], dtype=DTYPE))
    offset = place(3, 1.2)
    for s in (0.1, 0.9):
        here, there = problem.smoothed_value(centre + offset, s), problem.smoothed_value(centre + q @ offset, s)
        torch.testing.assert_close(here, there, rtol=1e-12, atol=1e-14)
        here, there = (problem.smoothed_gradient(centre + o, s) for o in (offset, q @ offset))
        torch.testing.assert_close(q @ here, there, rtol=1e-11, atol=1e-14)


def test_scaling_place_and_noise_scales_the_norm():
    at = place(5, 2.0)
    for factor in (1e-6, 3.7, 1e8):
        torch.testing.assert_close(
            Norm(dimension=5).smoothed_value(factor * at, factor * 0.4),
            factor * Norm(dimension=5).smoothed_value(at, 0.4),
            rtol=1e-13,
            atol=0,
        )


def test_unequal_deviations_have_no_closed_form_and_say_so():
    at = Gaussian(place(2, 1.0), torch.tensor([0.1, 0.2], dtype=DTYPE))
    for problem in (BallHole(), Norm(), RadialStaircase()):
        with pytest.raises(NoClosedForm, match=r"expected_gradient: scale must be equal in all coordinates"):
            problem.expected_gradient(at)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: BallHole(radius=0.0), "BallHole: radius must be positive"),
        (lambda: BallHole(depth=-1.0), "BallHole: depth must be positive"),
        (lambda: Norm(centre=(0.0, 1.0, 2.0)), "Norm: centre must be a finite number or a tuple of dimension = 2"),
        (lambda: RadialStaircase(()), "RadialStaircase: radii must be one or more positive numbers"),
    ],
)
def test_bad_arguments_are_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()
