"""Whole rides of a population: each is a ride of the plain environment under its seed, whoever rides beside it."""

import sys
from functools import cache

import numpy as np
import pytest

from rllab_envs.bicycle import BicycleBalanceEnv, Parameters, compiled, ride_population, riding
from tests.proofs.environments import assert_same

RIDER = np.array([71.04, 29.97, -21.60, -2.29]) / 2.0
BACKENDS = ("numpy", "numpy32", "numba")
every = pytest.mark.parametrize("backend", BACKENDS)


def population(n, seed=0):
    """Riders from the one that lasts to one that does nothing, so that lengths differ; some shift their weight."""
    gains = np.zeros((n, 2, 4))
    gains[:, 0] = RIDER * np.linspace(0, 1, n)[:, None] ** 4
    gains[::3, 1, :2] = np.random.default_rng(seed).uniform(0, 9, (len(gains[::3]), 2))
    return gains


def ridden(gains, seeds, cap, **arguments):
    """The same by the environment of one bicycle."""
    lengths, fallen = np.zeros(seeds.shape, np.int64), np.zeros(seeds.shape, np.bool_)
    env = BicycleBalanceEnv(cap=cap, dtype=np.float64, **arguments)
    for (i, j), seed in np.ndenumerate(seeds):
        seen, over = env.reset(seed=int(seed))[0], False
        while not over:
            seen, _, terminated, truncated, _ = env.step((gains[i] * seen).sum(1))
            lengths[i, j] += 1
            over = terminated or truncated
        fallen[i, j] = terminated
    return lengths, fallen


TASKS = {"author": {}, "ernst": {"variant": "ernst"}, "fast": {"parameters": Parameters(speed=4.0, noise=0.03)}}
SEEDS = np.arange(16, dtype=np.uint64).reshape(8, 2) + np.uint64(2**63)


@cache
def expected(task):
    """Return lengths and falls of eight riders, two rides each, once for all backends."""
    return ridden(population(8), SEEDS, 270, **TASKS[task])


@pytest.mark.slow
@every
@pytest.mark.parametrize("task", TASKS)
def test_a_ride_is_that_of_the_plain_environment(backend, task):
    lengths, fallen = expected(task)
    assert 0 < fallen.mean() < 1 and np.unique(lengths).size > 4
    rides = ride_population(population(8), SEEDS, cap=270, backend=backend, **TASKS[task])
    if backend == "numpy32":  # a lean within its rounding of the fall angle may fall a step sooner or later
        assert np.abs(rides.lengths - lengths).max() <= 1
    else:
        assert_same(rides.lengths, lengths)
        assert_same(rides.fallen, fallen)


@every
def test_a_ride_depends_on_its_gains_and_seed_alone(backend):
    gains, seeds = population(90), np.arange(180).reshape(90, 2)
    whole = ride_population(gains, seeds, cap=260, backend=backend)
    assert whole.fallen.any() and not whole.fallen.all()
    order = np.random.default_rng(1).permutation(90)
    mixed = ride_population(gains[order], seeds[order, ::-1], cap=260, backend=backend)
    assert_same(mixed.lengths, whole.lengths[order, ::-1])
    assert_same(mixed.fallen, whole.fallen[order, ::-1])
    for i in (0, 41, 89):
        alone = ride_population(gains[i : i + 1], seeds[i : i + 1, 1], cap=260, backend=backend)
        assert_same(alone.lengths[0, 0], whole.lengths[i, 1])
    before = gains.copy()
    ride_population(gains, seeds, cap=3, backend=backend)
    np.testing.assert_array_equal(gains, before)


def test_numba_rides_as_numpy_does_until_a_lean_is_within_rounding():
    gains, seeds = population(300), np.arange(300)
    one, other = (ride_population(gains, seeds, cap=400, backend=backend) for backend in ("numpy", "numba"))
    assert_same(other.lengths, one.lengths)
    assert_same(other.fallen, one.fallen)


@pytest.mark.parametrize(
    ("gains", "seeds", "arguments", "says"),
    (
        (
            np.zeros((3, 4)),
            np.arange(3),
            {},
            r"gains must be finite numbers of shape \(n, 2, 4\), n >= 1, got",
        ),
        (np.full((3, 2, 4), np.nan), np.arange(3), {}, "gains must be finite"),
        (np.zeros((3, 2, 4)), np.arange(4), {}, r"seeds must be whole numbers >= 0 of shape \(3,\) or \(3, e\)"),
        (np.zeros((1, 2, 4)), np.array([-1]), {}, "seeds must be whole numbers >= 0"),
        (np.zeros((1, 2, 4)), np.array([0.5]), {}, "seeds must be whole numbers >= 0"),
        (np.zeros((1, 2, 4)), np.arange(1), {"cap": None}, "cap must be an integer >= 1"),
        (np.zeros((1, 2, 4)), np.arange(1), {"backend": "jax"}, "backend must be one of"),
    ),
)
def test_bad_arguments_are_named(gains, seeds, arguments, says):
    with pytest.raises(ValueError, match=f"ride_population: {says}"):
        ride_population(gains, seeds, **arguments)


def test_the_extra_is_named_where_numba_is_missing(monkeypatch):
    for module in ("rllab_envs.streams", *(f"rllab_envs.bicycle.{name}" for name in ("compiled", "kernels", "riding"))):
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "numba", None)
    with pytest.raises(ModuleNotFoundError, match=r"ride_population: .* pip install '\.\[numba\]'"):
        ride_population(np.zeros((1, 2, 4)), np.arange(1), backend="numba")


@pytest.mark.parametrize(
    ("module", "name", "wrong"),
    (
        (riding, "ride", lambda gains, seeds, *a, right=riding.ride: right(gains, seeds + np.uint64(1), *a)),
        (riding, "ride", lambda gains, *a, right=riding.ride: right(np.roll(gains, 1, 0), *a)),
        (riding, "ride", lambda gains, *a, right=riding.ride: right(np.roll(gains, 1, 1), *a)),
        (compiled, "constants_of", lambda t, right=compiled.constants_of: right(t)._replace(cap=t.cap - 1)),
    ),
)
def test_wrong_rides_are_caught(monkeypatch, module, name, wrong):
    monkeypatch.setattr(module, name, wrong)
    with pytest.raises(AssertionError):
        test_numba_rides_as_numpy_does_until_a_lean_is_within_rounding()
