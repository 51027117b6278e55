"""Relaxations of one bit: moments in closed form, and where descent along them must end."""

import math

from experiments.score_function import relaxations

import numpy as np
import pytest
from scipy import integrate
from scipy.special import expit


@pytest.mark.parametrize("method", ["soft", "hard"])
def test_moments_are_those_of_adaptive_quadrature(method):
    logit, temperature, target = 0.7, 0.4, 0.3

    def g(e):
        y = expit((logit + e) / temperature)
        return 2 * ((y if method == "soft" else float(y > 0.5)) - target) * y * (1 - y) / temperature

    def mean_of(h):
        return integrate.quad(lambda e: h(e) * expit(e) * expit(-e), -40, 40, points=[-logit], limit=800)[0]

    mean, variance, fourth = relaxations.moments(method, logit, temperature, target)
    assert mean == pytest.approx(mean_of(g), rel=1e-8)
    assert variance == pytest.approx(mean_of(lambda e: (g(e) - mean) ** 2), rel=1e-7)
    assert fourth == pytest.approx(mean_of(lambda e: (g(e) - mean) ** 4), rel=1e-7)


def test_weights_on_the_grid_are_probabilities_of_the_bit():
    _, weights, bits = relaxations._over_noise("hard", 0.7, 0.4, 0.3)
    assert weights.sum() == pytest.approx(1, abs=1e-12)
    assert weights[bits == 1].sum() == pytest.approx(expit(0.7), abs=1e-12)


def test_straight_through_has_the_mean_of_the_closed_form():
    p, t = expit(0.7), 0.3
    mean, variance, _ = relaxations.moments("straight", 0.7, 1.0, t)
    assert mean == pytest.approx(2 * p * (1 - p) * (p - t), rel=1e-12)
    assert variance == pytest.approx(4 * (p * (1 - p)) ** 3, rel=1e-12)


def test_gumbel_rao_keeps_the_mean_and_takes_variance_out():
    hard, rao = (relaxations.moments(m, 0.7, 0.4, 0.3) for m in ("hard", "rao"))
    assert rao[0] == hard[0] and 0 < rao[1] < hard[1]


@pytest.mark.parametrize("target", [0.2, 0.45])
def test_straight_through_ends_between_the_corners(target):
    assert relaxations.attractor("straight", 1.0, target) == pytest.approx(target, abs=1e-9)


def test_a_field_without_zero_leads_to_the_corner(monkeypatch):
    monkeypatch.setattr(relaxations, "moments", lambda method, logit, *_: (expit(logit) * expit(-logit), 0, math.nan))
    assert relaxations.attractor("exact", 1.0, 0.2) == 0.0
    assert np.isfinite(relaxations.truth(0.7, 0.2))
