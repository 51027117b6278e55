"""Holes and gates against products of interval probabilities in 40 digits: narrow, far away, in many dimensions."""

import mpmath as mp
import pytest
import torch

from rllab import Gaussian
from rllab.problems import BoxHole, Orthant, Steps
from tests.proofs.oracles import assert_holds

DTYPE = torch.float64


def interval(lo, hi, mu, s):
    """P and its derivatives in μ and s, in the digits in force."""
    u, b = (mp.mpf(hi) - mu) / s, (mp.mpf(lo) - mu) / s
    p = (mp.erfc(-u / mp.sqrt(2)) - mp.erfc(-b / mp.sqrt(2))) / 2
    return p, -(mp.npdf(u) - mp.npdf(b)) / s, -(u * mp.npdf(u) - b * mp.npdf(b)) / s


def products(factors):
    """Π p and, for each of its two derivatives, ∂Π by the product rule."""
    out = [mp.fprod(p for p, _, _ in factors)]
    for which in (1, 2):
        out.append([mp.fprod(f[which] if i == j else f[0] for j, f in enumerate(factors)) for i in range(len(factors))])
    return out


# width over deviation from hair to barn, places from the middle through the wall to far outside
@pytest.mark.parametrize("width", (1e-9, 1e-3, 0.6, 40.0))
@pytest.mark.parametrize("offset", (0.0, 0.05, 0.58, 0.9, 3.0, 9.5))
def test_the_hole_of_one_dimension_is_right_relative_to_itself(width, offset):
    mu, s = 0.25 + offset, 0.3
    problem = BoxHole(1.4, 0.25, width, dimension=1)
    with mp.workdps(400):  # digits enough for differences of probabilities near 1
        c, m, sd = mp.mpf(0.25), mp.mpf(mu), mp.mpf(s)
        p, p_mu, p_s = interval(c - mp.mpf(width), c + mp.mpf(width), m, sd)
        depth = mp.mpf(1.4)
        at = Gaussian(torch.tensor([mu], dtype=DTYPE), s)
        gradient = problem.expected_gradient(at)
        assert_holds(float(problem.expected_value(at)), -depth * p, rtol=1e-11)
        assert_holds(gradient["mean"].numpy(), [-depth * p_mu], rtol=1e-10)
        assert_holds(gradient["scale"].numpy(), [-depth * p_s], rtol=1e-10, scale=mp.mpf(10) ** -4 * depth * p / sd)


def test_a_hole_seen_through_little_noise_has_its_tail_too():
    s, c, w = 3e-8, 0.25, 1.75  # edges at −1.5 and 2
    for mu in (2 + 25 * s, -1.5 - 9 * s, 2 - 6 * s):
        with mp.workdps(400):
            p, p_mu, p_s = interval(mp.mpf(c) - mp.mpf(w), mp.mpf(c) + mp.mpf(w), mp.mpf(mu), mp.mpf(s))
        at = Gaussian(torch.tensor([mu], dtype=DTYPE), s)
        problem = BoxHole(1.0, c, w, dimension=1)
        assert_holds(float(problem.expected_value(at)), -p, rtol=1e-11)
        gradient = problem.expected_gradient(at)
        assert_holds(gradient["mean"].numpy(), [-p_mu], rtol=1e-11)
        assert_holds(gradient["scale"].numpy(), [-p_s], rtol=1e-11)


def test_the_product_rule_holds_with_deviations_of_their_own():
    mean = torch.tensor([0.3, -0.9, 1.2], dtype=DTYPE)
    scale = torch.tensor([0.2, 0.7, 0.4], dtype=DTYPE)
    centre, width = (0.1, -0.5, 0.8), (0.8, 0.6, 0.1)
    at = Gaussian(mean, scale)
    with mp.workdps(40):
        numbers = [tuple(mp.mpf(float(v)) for v in row) for row in zip(centre, width, mean, scale, strict=True)]
        value, by_mean, by_scale = products([interval(c - w, c + w, m, s) for c, w, m, s in numbers])
    problem = BoxHole(1.0, centre, width, dimension=3)
    assert_holds(float(problem.expected_value(at)), -value, rtol=1e-13)
    gradient = problem.expected_gradient(at)
    assert_holds(gradient["mean"].numpy(), [-g for g in by_mean], rtol=1e-12)
    assert_holds(gradient["scale"].numpy(), [-g for g in by_scale], rtol=1e-12)


@pytest.mark.parametrize("gate", ("and", "or"))
@pytest.mark.parametrize("z", (-20.0, -5.0, 0.3, 5.0, 9.0, 20.0))
def test_gates_are_right_relative_to_themselves(gate, z):
    corner, scale = (0.1, -0.5, 0.8), torch.tensor([0.2, 0.7, 0.4], dtype=DTYPE)
    mean = torch.tensor(corner, dtype=DTYPE) + scale * torch.tensor([z, 0.9 * z + 0.1, z - 0.3], dtype=DTYPE)
    at, problem = Gaussian(mean, scale), Orthant(corner, gate, dimension=3)
    with mp.workdps(400):
        far = mp.mpf(10) ** 6
        numbers = [tuple(mp.mpf(float(v)) for v in row) for row in zip(corner, mean, scale, strict=True)]
        sides = [(c, c + far) if gate == "and" else (c - far, c) for c, _, _ in numbers]
        factors = [interval(lo, hi, m, s) for (lo, hi), (_, m, s) in zip(sides, numbers, strict=True)]
        value, by_mean, by_scale = products(factors)
        sign = -1 if gate == "and" else 1
        true = 1 - value if gate == "and" else value
    assert_holds(float(problem.expected_value(at)), true, rtol=1e-11)
    gradient = problem.expected_gradient(at)
    assert_holds(gradient["mean"].numpy(), [sign * g for g in by_mean], rtol=1e-10)
    assert_holds(gradient["scale"].numpy(), [sign * g for g in by_scale], rtol=1e-10)


def test_gates_of_one_input_are_a_step_down():
    at = torch.tensor([[0.4], [-1.3]], dtype=DTYPE)
    for gate in ("and", "or"):
        problem = Orthant(0.1, gate, dimension=1)
        torch.testing.assert_close(problem.smoothed_value(at, 0.3), 1 - Steps((0.1,)).smoothed_value(at, 0.3))
        torch.testing.assert_close(problem.smoothed_gradient(at, 0.3), -Steps((0.1,)).smoothed_gradient(at, 0.3))
        assert problem.value(at).tolist() == [0.0, 1.0]


def test_gates_combine_their_inputs():
    x = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]], dtype=DTYPE)
    assert Orthant(gate="and").value(x).tolist() == [0.0, 1.0, 1.0]
    assert Orthant(gate="or").value(x).tolist() == [0.0, 0.0, 1.0]


def test_a_hole_of_many_dimensions_is_a_needle_in_a_haystack():
    values = [float(BoxHole(dimension=d).smoothed_value(torch.zeros(d, dtype=DTYPE), 1.0)) for d in (1, 20, 1000)]
    with mp.workdps(30):
        p = mp.erf(1 / mp.sqrt(2))
        for got, d in zip(values, (1, 20, 1000), strict=True):
            assert_holds(got, -(p**d), rtol=1e-12)
    gradient = BoxHole(dimension=1000).smoothed_gradient(torch.full((1000,), 0.3, dtype=DTYPE), 1.0)
    assert 0 < gradient.abs().max() < 1e-160


def test_shifting_hole_and_place_changes_nothing():
    here = BoxHole(1.4, (0.125, -0.5), 0.75).smoothed_gradient(torch.tensor([0.5, 0.25], dtype=DTYPE), 0.3)
    there = BoxHole(1.4, (1.125, 3.5), 0.75).smoothed_gradient(torch.tensor([1.5, 4.25], dtype=DTYPE), 0.3)
    assert torch.equal(here, there)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: BoxHole(width=0.0), "BoxHole: width must be positive, got 0.0"),
        (lambda: BoxHole(depth=0.0), "BoxHole: depth must be positive"),
        (lambda: BoxHole(centre=(0.0,)), "BoxHole: centre must be a finite number or a tuple of dimension = 2"),
        (lambda: Orthant(gate="xor"), 'Orthant: gate must be "and" or "or"'),
    ],
)
def test_bad_arguments_are_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()
