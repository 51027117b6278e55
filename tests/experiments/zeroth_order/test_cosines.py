"""Laws of cosines: their moments, and a bound on how improbable a mean is that is never too small."""

import math

from experiments.zeroth_order.cosines import chance, cosine_law, mean_cosine

import numpy as np
import pytest
from scipy import stats


@pytest.mark.parametrize(("d", "m"), [(8, 1), (64, 16), (9, 30)])
def test_the_mean_cosine_is_that_of_random_directions(d, m):
    u = np.random.default_rng(0).standard_normal((20_000, m, d))
    g = np.einsum("nm,nmd->nd", u[..., 0], u)  # the gradient is the first axis
    cos = g[:, 0] / np.linalg.norm(g, axis=1)
    assert abs(cos.mean() - mean_cosine(d, m)) < 6.2 * cos.std() / math.sqrt(len(cos))
    a, b = cosine_law("gaussian", d, m)
    assert abs((cos**2).mean() - a / (a + b)) < 6.2 * (cos**2).std() / math.sqrt(len(cos))
    assert mean_cosine(d, m) < math.sqrt(a / (a + b)) * (1 - 1e-3)  # so that one is not taken for the other


@pytest.mark.parametrize("law", [(0.5, 3.5), (8.0, 31.5), (0.5, 511.5)])
def test_a_mean_is_never_called_less_probable_than_it_is(law):
    beta = stats.beta(*law)
    # of one number, the tail is known
    for p in (1e-3, 1e-6, 1e-9):
        for x in (beta.ppf(p), beta.isf(p)):
            assert 2 * p <= chance(x, law, 1)
    assert chance(beta.mean(), law, 50) == pytest.approx(1.0)
    # and of many the bound is sharp to the exponent: of five standard errors about that of a normal law
    error = beta.std() / math.sqrt(3_000)
    for off in (-8.0, 8.0):
        assert -math.log(chance(beta.mean() + off * error, law, 3_000)) == pytest.approx(off**2 / 2, rel=0.2)


def test_a_mean_under_another_law_is_found_out():
    n, d = 160, 64
    normal, orthonormal = cosine_law("gaussian", d, 16), cosine_law("orthonormal", d, 16)
    draws = stats.beta(*orthonormal).rvs(n, random_state=1)
    assert chance(draws.mean(), orthonormal, n) > 1e-9 > chance(draws.mean(), normal, n)
    assert chance(1.0, cosine_law("orthonormal", d, d), n) == 1 and chance(0.999, (32.0, 0.0), n) == 0
