"""Noise: the predicted error of smoothing, and where the figure says that steps are best."""

from experiments.zeroth_order import noise

import numpy as np
import pytest

from rllab import plots


@pytest.mark.parametrize(("sigma", "tau"), [(0.3, 0.0), (0.7, 0.4)])
def test_the_predicted_error_of_smoothing_is_that_of_quadrature(sigma, tau):
    x, w = np.polynomial.hermite_e.hermegauss(60)
    w = w / w.sum()
    g = (np.exp(sigma * x) - np.exp(-sigma * x)) / (2 * sigma) * x  # one pair, without noise
    mean = (w * g).sum()
    # noise of two values, times u²/4σ² with E u² = 1
    variance = (w * g**2).sum() - mean**2 + 2 * tau**2 / (4 * sigma**2)
    wanted = np.sqrt((mean - 1) ** 2 + variance / noise.PAIRS)
    assert noise.smoothing_error(np.array([sigma]), tau)[0] == pytest.approx(wanted, rel=1e-9)


def test_a_ring_lies_on_its_curve_between_the_measured_steps_and_needs_no_legend():
    h = np.array([1e-3, 1e-2, 1e-1])
    errors = np.stack([3 * h**-2.0] * 2)
    _, (ax,) = plots.panels()
    for place in (2e-3, 5e-2):
        noise.mark(ax, h, errors, place)
    noise.mark(ax, h, errors, None)
    first, second = ax.lines
    for ring, place in ((first, 2e-3), (second, 5e-2)):
        np.testing.assert_allclose(ring.get_xydata(), [[place, 3 * place**-2.0]])
    assert ax.get_legend_handles_labels()[1] == []  # the panel says what a ring is


def test_predicted_best_steps_are_where_the_bound_on_the_error_turns():
    (tau,) = (t for t in noise.NOISES if t == 1e-4)
    h = np.geomspace(1e-4, 1, 200_001)
    # expected square: noise of both values, and what the series leaves out where every derivative is 1
    forward = 2 * tau**2 / h**2 + (h / 2) ** 2
    central = 2 * tau**2 / (2 * h) ** 2 + (h**2 / 6) ** 2
    found = noise.predictions("noise", repr(tau))
    assert found["forward"] == pytest.approx(h[forward.argmin()], rel=1e-3)
    assert found["central"] == pytest.approx(h[central.argmin()], rel=1e-3)
