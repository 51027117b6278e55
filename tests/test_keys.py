"""Key: equal names give equal streams, other names others, and nothing else in the process is touched."""

import math
import pickle
from statistics import NormalDist

import numpy as np
import pytest
import torch
from scipy.special import ndtr

from rllab import Key
from rllab.keys import as_key, seeds_for
from rllab.noise import rademacher, standard_normal

FALSE_ALARM = 1e-9
SINGLE = torch.empty(())


def draw(key):
    return torch.rand(4, generator=key.generator()).tolist()


def test_a_key_always_starts_its_stream_anew():
    assert draw(Key(3)) == draw(Key(3))
    assert draw(Key(3).child("direction", 2)) == draw(Key(3).child("direction", 2))


def test_other_names_give_other_streams():
    root = Key(3)
    keys = [
        root,
        Key(4),
        Key(-3),
        root.child(1),
        root.child("1"),
        root.child(1, 2),
        root.child(1).child(2),
        root.child("a", "b"),
        root.child("ab"),
    ]
    assert len({tuple(draw(k)) for k in keys}) == len(keys)


def test_streams_of_neighbouring_seeds_are_uncorrelated():
    # 1,000 correlations of 1,000 numbers each: sd 1/√1000, |r| < 0.22 is 7 sd, false alarm 3e-9 in all
    draws = torch.stack([standard_normal((1000,), Key(seed), torch.empty(())) for seed in range(1001)])
    r = (draws[1:] * draws[:-1]).mean(1)
    assert float(r.abs().max()) < 0.22


def test_a_key_is_a_value():
    key = Key(5).child("x")
    assert key == Key(5).child("x") and hash(key) == hash(Key(5).child("x"))
    assert pickle.loads(pickle.dumps(key)) == key
    assert as_key(key) is key and as_key(5) == Key(5) == Key(np.int64(5))


@pytest.mark.parametrize("path", ((), (1.5,), (None,)))
def test_a_path_of_anything_else_is_refused(path):
    with pytest.raises(TypeError, match="path must be one or more strings or integers"):
        Key(0).child(*path)


def test_a_seed_that_is_no_integer_is_refused():
    with pytest.raises(TypeError, match="seed must be an integer"):
        Key(1.5)


def test_integers_are_valid_seeds_everywhere():
    for i in range(100):
        n = Key(i).integer()
        assert 0 <= n < 2**63
        np.random.default_rng(n)


def test_seeds_follow_the_index_and_the_key():
    index = np.array([[0, 1, 2], [0, 1, 2]])
    seeds = seeds_for(index, Key(1))
    assert seeds.shape == (2, 3) and seeds.dtype == torch.int64
    assert torch.equal(seeds[0], seeds[1])
    assert len(set(seeds[0].tolist()) | set(seeds_for(index[0], Key(2)).tolist())) == 6
    many = seeds_for(np.arange(100_000), Key(1))
    assert len(many.unique()) == 100_000
    assert bool((many >= 0).all())


def test_float64_normals_are_the_float32_ones():
    single, double = (standard_normal((3, 2), Key(1), torch.empty((), dtype=t)) for t in (torch.float32, torch.float64))
    assert double.dtype == torch.float64
    assert torch.equal(single.double(), double)


def test_normals_follow_the_normal_law():
    n = 1_000_000
    u = standard_normal((n,), Key(1), SINGLE).double().sort().values.numpy()
    # Dvoretzky, Kiefer & Wolfowitz with Massart's constant: P(sup |F_n − Φ| > ε) <= 2 exp(−2nε²)
    epsilon = math.sqrt(math.log(2 / FALSE_ALARM) / (2 * n))
    assert epsilon < 0.0034  # a scale wrong by 1.5 % moves Φ by 0.0036
    steps = np.arange(n + 1) / n
    assert max(np.abs(ndtr(u) - steps[:-1]).max(), np.abs(ndtr(u) - steps[1:]).max()) < epsilon


def test_the_two_normals_of_a_pair_are_independent():
    # They share a radius: their squares would be correlated by a wrong angle, their signs by a wrong quadrant.
    n = 1_000_000
    x, y = standard_normal((2, n), Key(2), SINGLE).double()
    limit = -NormalDist().inv_cdf(FALSE_ALARM / 8) / math.sqrt(n)
    for f in (lambda v: v, lambda v: (v * v - 1) / math.sqrt(2)):
        for g in (lambda v: v, lambda v: (v * v - 1) / math.sqrt(2)):
            assert abs(float((f(x) * g(y)).mean())) < limit  # mean of n products of unit variance


def test_normals_are_finite_and_reach_far_enough():
    u = standard_normal((2**23,), Key(3), SINGLE)
    assert bool(torch.isfinite(u).all())
    # P(max |u| < 4.5) = (1 − 6.8e-6)^(2²³) < e⁻⁵⁷; P(max |u| > 6.56) is zero by construction
    assert 4.5 < float(u.abs().max()) < math.sqrt(62 * math.log(2)) + 1e-5


@pytest.mark.parametrize("shape", ((1,), (7,), (3, 5), (2, 3, 4), (0, 3)))
@pytest.mark.parametrize("draw", (standard_normal, rademacher))
def test_noise_comes_in_any_shape_and_precision(draw, shape):
    single, double, half = (
        draw(shape, Key(4), torch.empty((), dtype=t)) for t in (torch.float32, torch.float64, torch.bfloat16)
    )
    assert single.shape == double.shape == half.shape == shape
    assert (single.dtype, double.dtype, half.dtype) == (torch.float32, torch.float64, torch.bfloat16)
    assert torch.equal(single.double(), double)


def test_signs_are_fair_and_independent():
    # Mean, and correlation with the sign 1, 2, 7, 8, 63, 64 places on (within a byte, across bytes, across words)
    n = 1_000_000
    s = rademacher((n,), Key(5), SINGLE)
    assert set(s.tolist()) == {-1.0, 1.0}
    s, limit = s.double(), -NormalDist().inv_cdf(FALSE_ALARM / 14) / math.sqrt(n - 64)
    assert abs(float(s.mean())) < limit
    for lag in (1, 2, 7, 8, 63, 64):
        assert abs(float((s[lag:] * s[:-lag]).mean())) < limit


def test_a_key_seeds_numpy_generators():
    first, again, other = (np.random.default_rng(k).random(3) for k in (Key(1), Key(1), Key(2)))
    assert (first == again).all() and (first != other).all()
    state = Key(1).generate_state(624)  # as much as the largest of numpy's generators asks for
    assert state.shape == (624,) and state.dtype == np.uint32 and len(set(state.tolist())) > 620
