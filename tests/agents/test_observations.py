"""Observations: every space is encoded as Gymnasium flattens it, one or many, and nothing else passes."""

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.spaces.utils import flatten
from gymnasium.vector.utils import batch_space, concatenate, create_empty_array

from rllab.agents.observations import Observations

INNER = spaces.Dict(b=spaces.Discrete(4, start=-1), a=spaces.Box(-2, 5, (2, 3), np.float64))
SPACES = {
    "box": spaces.Box(-1, 1, (3,)),
    "box of rank 0": spaces.Box(-1, 1, ()),
    "box of rank 2": spaces.Box(-7, 9, (2, 3), np.int16),
    "box of truth values": spaces.Box(0, 1, (4,), np.bool_),
    "image": spaces.Box(0, 255, (5, 4, 3), np.uint8),
    "discrete": spaces.Discrete(5),
    "discrete from 2": spaces.Discrete(5, start=2),
    "multi discrete": spaces.MultiDiscrete([2, 4, 3]),
    "multi discrete of rank 2": spaces.MultiDiscrete([[2, 4], [3, 2]], start=[[0, 5], [-3, 1]]),
    "multi binary": spaces.MultiBinary(4),
    "multi binary of rank 2": spaces.MultiBinary([2, 3]),
    "dict": INNER,
    "tuple": spaces.Tuple((spaces.Discrete(3), INNER, spaces.MultiBinary(2))),
}
every = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)


def samples(space, n=7):
    space.seed(1)
    return [space.sample() for _ in range(n)]


@every
def test_one_observation_is_what_gymnasium_flattens_it_to(space):
    encoder = Observations("Test", space)
    for observation in samples(space):
        assert encoder.lead(observation) == ()
        row = encoder.encode(observation, ())
        np.testing.assert_array_equal(row, flatten(space, observation))
        assert row.shape == (encoder.size,) == encoder.bounds().shape
        assert (np.abs(row.astype(float)) <= encoder.bounds()).all()


@every
def test_observations_side_by_side_are_encoded_as_each_alone(space):
    encoder, many = Observations("Test", space), samples(space)
    together = concatenate(space, many, create_empty_array(space, len(many)))
    if isinstance(space, spaces.Tuple):
        assert isinstance(batch_space(space, len(many)), spaces.Tuple)
    assert encoder.lead(together) == (len(many),)
    rows = encoder.encode(together, (len(many),))
    np.testing.assert_array_equal(rows, [encoder.encode(observation, ()) for observation in many])


def test_the_bounds_are_those_of_a_box_and_one_for_what_is_one_hot():
    assert Observations("Test", INNER).bounds().tolist() == [1.0] * 4 + [5.0] * 6
    low = spaces.Box(np.array([-4, -np.inf], np.float32), np.array([2, 1], np.float32))
    assert Observations("Test", low).bounds().tolist() == [4.0, np.inf]


@pytest.mark.parametrize(
    ("space", "wrong"),
    [
        (spaces.Discrete(3), [3, -1, 1.0, "1", None, [1], np.array([0, 1])]),
        (spaces.Discrete(3, start=5), [4, 8, 0]),
        (spaces.MultiDiscrete([2, 3]), [[1, 3], [2, 0], [-1, 0], [0], [0.0, 1.0]]),
        (spaces.MultiBinary(2), [[0, 2], [0.5, 0], [1]]),
        (spaces.Box(-1, 1, (2, 2)), [np.zeros(4), np.zeros((2, 2), bool), [["a", "b"], ["c", "d"]], None]),
        (INNER, [{"a": np.zeros((2, 3))}, {"a": np.zeros((3, 2)), "b": 0}, [np.zeros((2, 3)), 0], np.zeros(10), None]),
        (spaces.Tuple((spaces.Discrete(2), spaces.Discrete(2))), [(1,), (1, 2), {"a": 1}, None]),
    ],
    ids=str,
)
def test_what_is_not_of_the_space_is_none(space, wrong):
    encoder = Observations("Test", space)
    assert encoder.encode(space.sample(), ()) is not None
    for answer in wrong:
        assert encoder.encode(answer, ()) is None, answer


def test_an_image_is_flattened_if_it_is_small():
    small = Observations("Test", spaces.Box(0, 255, (32, 32, 1), np.uint8))
    small.check_flat("do else")
    assert small.size == 1024
    with pytest.raises(ValueError, match=r"^Test: images must be of at most 1,024 numbers .*GrayscaleObservation"):
        Observations("Test", spaces.Dict(seen=spaces.Box(0, 255, (33, 32, 1), np.uint8))).check_flat("do else")
    Observations("Test", spaces.Box(-1, 1, (33, 32, 1))).check_flat("do else")  # no image
