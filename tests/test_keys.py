"""Key: equal names give equal streams, other names others, and nothing else in the process is touched."""

import pickle

import numpy as np
import pytest
import torch

from rllab import Key
from rllab.keys import as_key, seeds_for, standard_normal


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
