"""Variances of gradients of bits: closed forms against sums over all draws, and the mean of every estimator."""

import itertools

from experiments.common.claims import agrees
from experiments.score_function import discrete_toys as toys

import numpy as np
import pytest
import torch
from scipy.special import expit

from rllab import Bernoulli, Key
from rllab import estimators as est


@pytest.mark.parametrize("logit", [0.0, -0.9, 1.3])
@pytest.mark.parametrize("method", toys.ESTIMATORS)
def test_every_mean_of_three_bits_is_the_exact_gradient(method, logit):
    at = Bernoulli(torch.full((3,), logit, dtype=torch.float64))
    exact = est.Enumeration()(toys.THREE.cost(), at, evaluations=8, key=0).gradient["logits"].sum().item()
    assert toys.three_bits(method, logit)[0] == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize("p", [0.5, 0.3, 0.8])
def test_variances_of_one_bit_with_two_samples_are_those_of_all_draws(p):
    target, g, w = 0.45, {"reinforce": [], "leave-one-out": []}, []
    for bits in itertools.product((0, 1), repeat=2):
        f, s = [(b - target) ** 2 for b in bits], [b - p for b in bits]
        g["reinforce"].append((f[0] * s[0] + f[1] * s[1]) / 2)
        g["leave-one-out"].append((f[0] - f[1]) * (s[0] - s[1]) / 2)
        w.append(np.prod([p if b else 1 - p for b in bits]))
    for method, values in g.items():
        mean = np.dot(w, values)
        assert mean == pytest.approx((1 - 2 * target) * p * (1 - p), rel=1e-12)
        assert toys.one_bit(method, p, target) == pytest.approx(np.dot(w, (np.array(values) - mean) ** 2), rel=1e-9)


@pytest.mark.parametrize(("p", "target"), [(0.3, 0.45), (0.8, 0.45), (0.1, 0.499)])
def test_variance_of_arm_is_that_over_a_fine_grid_of_its_uniform_number(p, target):
    u = (np.arange(1_000_000) + 0.5) / 1e6
    b, other = u > 1 - p, u < p
    g = ((b - target) ** 2 - (other - target) ** 2) * (u - 0.5)
    assert toys.one_bit("arm", p, target) == pytest.approx(g.var(), rel=1e-5)


def test_variance_of_arm_at_a_rare_bit_is_the_closed_form_and_not_what_is_also_found():
    assert agrees(toys.one_bit("arm", 0.1, 0.499), toys.TABLE[0.1]["arm"])
    assert not agrees(toys.one_bit("arm", 0.1, 0.499), "1.305e-7")


@pytest.mark.parametrize("logit", [-1.1, 0.6])
def test_disarm_takes_variance_off_arm_with_three_bits(logit):
    assert 0 < toys.three_bits("disarm", logit)[1] < toys.three_bits("arm", logit)[1]
    assert expit(logit) != 0.5


def test_a_variance_that_is_the_same_in_every_sample_is_off_by_nothing():
    # leave-one-out at p = ½ is 0 or twice its mean, by even chances: each square about the mean is the variance
    rows = [r for seed in range(3) for r in toys.sampled(1_000, Key(seed))]
    off = [r["off_variance"] for r in rows if (r["at"], r["method"]) == (0.5, "leave-one-out")]
    assert len(off) == 3 and np.abs(off).max() < 1e-3
