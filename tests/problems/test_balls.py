"""The distribution of one coordinate of a point of the ball, against arithmetic of 50 digits."""

import numpy as np
import pytest
from scipy.special import poch

from rllab._special.balls import ball_cdf, ball_pdf


@pytest.mark.parametrize("d", (1, 2, 3, 10, 1000, 100_000))
def test_it_loses_no_digits_about_the_middle(d):
    t = np.array([0.0, 1e-300, 1e-16, 1e-12, 1e-9, 1e-7, 1e-6]) / np.sqrt(d)
    # H(t) − ½ = t h(0) (1 − (d − 1) t²/6 + …)
    h = poch((d + 1) / 2, 0.5) / np.sqrt(np.pi)
    beyond = t * h * (1 - (d - 1) * t * t / 6)
    for sign in (1, -1):
        assert ball_cdf(sign * t, d) == pytest.approx(0.5 + sign * beyond, rel=1e-15, abs=0)


@pytest.mark.parametrize("d", (1, 2, 3, 10, 1000))
def test_it_is_smooth_where_one_form_hands_over_to_the_other(d):
    edge = 1 / np.sqrt(d + 1)
    t = edge + np.array([-1e-3, 1e-3]) * edge
    slope = np.diff(ball_cdf(t, d))[0] / np.diff(t)[0]
    assert slope == pytest.approx(float(ball_pdf(np.array(edge), d)), rel=1e-5)
    assert np.diff(ball_cdf(-t[::-1], d))[0] / np.diff(t)[0] == pytest.approx(slope, rel=1e-9)
    both = ball_cdf(np.linspace(-1, 1, 1001), d)
    assert (np.diff(both) >= 0).all() and both[0] == 0 and both[-1] == 1
    assert both + both[::-1] == pytest.approx(1, rel=1e-15)
