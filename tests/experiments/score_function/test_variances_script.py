"""Variances by quadrature: the same numbers by another rule, and a table that cannot agree by chance."""

import math

from experiments.score_function import variances

import pytest
import torch
from scipy import integrate

from rllab.problems import Bell, Cosine, Square


def by_adaptive_quadrature(g):
    """Return mean and variance of g(u) under N(0, 1)."""

    def mean_of(h):
        return integrate.quad(lambda u: h(u) * math.exp(-u * u / 2), -10, 10, limit=400)[0] / math.sqrt(2 * math.pi)

    return mean_of(g), mean_of(lambda u: g(u) ** 2) - mean_of(g) ** 2


@pytest.mark.parametrize("problem", [Square(0.7), Bell(2.3), Cosine(1.7)], ids=str)
def test_score_function_and_pathwise_moments_are_those_of_adaptive_quadrature(problem):
    def f(u):
        return problem.value(torch.tensor([[1 + u]], dtype=torch.float64)).item()

    def slope(u):
        return problem.gradient(torch.tensor([[1 + u]], dtype=torch.float64)).item()

    for parameter, gs in {
        "mean": {"none": lambda u: f(u) * u, "pathwise": slope},
        "scale": {"none": lambda u: f(u) * (u * u - 1), "pathwise": lambda u: slope(u) * u},
    }.items():
        found = variances.integrals(problem, parameter)
        for method, g in gs.items():
            mean, variance = by_adaptive_quadrature(g)
            assert found[method].mean == pytest.approx(mean, rel=1e-9, abs=1e-12)
            assert found[method].variance == pytest.approx(variance, rel=1e-8)


def test_measure_valued_moments_on_the_square_are_those_of_the_closed_form():
    a = 1 - 0.7  # μ − k
    by_mean, by_scale = (variances.integrals(Square(0.7), p)["measure-valued"] for p in ("mean", "scale"))
    assert by_mean.variance == pytest.approx(8 * a**2 / math.pi * (2 - math.pi / 2), rel=1e-12)
    assert by_scale.variance == pytest.approx(4 * a**2 + 4, rel=1e-12)
    assert (by_mean.mean, by_scale.mean) == (pytest.approx(2 * a, rel=1e-12), pytest.approx(2, rel=1e-12))


def test_no_baseline_has_less_variance_than_the_best():
    at = variances.distribution()
    for parameter in variances.PARAMETERS:
        best = variances.integrals(Cosine(1.7), parameter)["optimal"].variance
        u, w = variances.legendre(-11, 11, 320)
        w = w * torch.exp(-u * u / 2) / math.sqrt(2 * math.pi)
        x = (1 + u).unsqueeze(-1)
        f, s = Cosine(1.7).value(x), at.scores(x, u.unsqueeze(-1))[parameter].squeeze(-1)
        b = variances.baselines(f, s, w)["optimal"]
        for near in (b - 0.01, b + 0.01):
            assert variances.moments((f - near) * s, w).variance > best
