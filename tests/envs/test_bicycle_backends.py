"""Bicycles stepped in single precision and by numba: the plain ones to rounding, whatever stands beside them."""

import sys

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from rllab.agents import Evolution
from rllab_envs import streams
from rllab_envs.bicycle import BicycleBalanceEnv, BicycleBalanceVectorEnv, Parameters, compiled, kernels, task
from rllab_envs.noise import BLOCK
from tests.proofs.environments import assert_same

ID = "rllab_envs:rllab/BicycleBalance-v0"
GAIN = np.array([71.04, 29.97, -21.60, -2.29]) / 2.0
# Per step some 60 roundings of half a unit in the last place each, of numbers of order one; a fall from upright grows
# what was there by exp(4.4/s · 2 s) < 1e4, and riders shrink it.
TOLERANCE = {"numba": 1e-11, "numpy32": 5e-3}


def riders(n, seed=0):
    """Actions (n, 2) as a function of the angles and rates of n bicycles: beyond the box for 60 %, the rest ride."""
    rng = np.random.default_rng(seed)

    def act(observation):
        good = np.stack((observation @ GAIN, np.zeros(n)), 1)
        return np.where(np.arange(n)[:, None] < 0.6 * n, rng.uniform(-1.5, 1.5, (n, 2)), good)

    return act


def prove_backend(backend, n, steps, cap, mode, seeds=7, **arguments):
    """Seeded alike and given the same actions, both forms end when the other does, and are within the tolerance."""
    shared = {"cap": cap, "dtype": np.float64, "autoreset_mode": mode, **arguments}
    plain, other = (BicycleBalanceVectorEnv(n, backend=b, **shared) for b in ("numpy", backend))
    act, ends, tolerance = riders(n), np.zeros(2, int), TOLERANCE[backend]
    for seed in (seeds, None):  # the streams go on
        assert_same(other.reset(seed=seed), plain.reset(seed=seed))
        for t in range(steps):
            actions = act(plain.state)
            ours, theirs = other.step(actions), plain.step(actions)
            assert_same(ours[1:4], theirs[1:4])
            assert_same(other.steps, plain.steps)
            for one, two in ((ours[0], theirs[0]), (other.state, plain.state)):
                assert one.dtype == two.dtype and one.shape == two.shape
                np.testing.assert_allclose(one, two, rtol=0, atol=tolerance)
            assert set(ours[4]) == set(theirs[4])
            over = theirs[2] | theirs[3]
            if "final_obs" in ours[4]:
                for i in np.flatnonzero(over):
                    np.testing.assert_allclose(ours[4]["final_obs"][i], theirs[4]["final_obs"][i], 0, tolerance)
            if mode is AutoresetMode.DISABLED and t % 90 == 89:  # some are amid an episode
                mask = np.arange(n) % 3 != 0
                for env in (other, plain):
                    env.reset(options={"reset_mask": mask})
            ends += theirs[2].sum(), theirs[3].sum()
    return ends


@pytest.mark.slow
@pytest.mark.parametrize("mode", AutoresetMode)
def test_numba_is_the_plain_bicycle_to_rounding(mode):
    for cap in (BLOCK, BLOCK + 1):  # episodes that end with a block of noise, and one number later
        ends = prove_backend("numba", 70, BLOCK + 150, cap, mode)
        assert (ends > 0).all()


@pytest.mark.parametrize(
    "arguments",
    (
        {"variant": "ernst"},
        {"variant": "ernst", "parameters": Parameters(tilt="quotient"), "reward": "fall"},
        {"parameters": Parameters(tilt="outside", gyro_sign=1.0, gyro_inertia="dc", speed=4.0), "rates": False},
        {"noise": False, "reward": "fall", "parameters": Parameters(stop_author=0.05, fall_angle=3.0, max_torque=3)},
        {"variant": "ernst", "parameters": Parameters(stop_ernst=0.05, fall_angle=1.0)},
    ),
)
def test_numba_knows_every_argument(arguments):
    prove_backend("numba", 9, 120, None, "DISABLED", **arguments)


@pytest.mark.parametrize("variant", ("author", "ernst"))
@pytest.mark.parametrize("tilt", ("quotient", "outside"))
def test_single_precision_is_the_plain_bicycle_to_its_rounding(variant, tilt):
    # short episodes: a lean within the tolerance of the fall angle may fall a step sooner or later
    prove_backend("numpy32", 40, 40, 37, "NEXT_STEP", variant=variant, parameters=Parameters(tilt=tilt))
    n, lengths, states = 60, [], []
    for backend in ("numpy", "numpy32"):
        env = BicycleBalanceVectorEnv(n, variant, cap=400, autoreset_mode="DISABLED", backend=backend, dtype=np.float64)
        env.reset(seed=1)
        act, over = riders(n), np.zeros(n, bool)
        while not over.all():
            _, _, terminated, truncated, _ = env.step(act(env.state))
            over = terminated | truncated
        lengths.append(env.steps)
        states.append(env.state)
    assert np.abs(lengths[0] - lengths[1]).max() <= 1 and lengths[0].min() < 400 == lengths[0].max()
    rode = lengths[0] == 400  # riders forget roundings
    np.testing.assert_allclose(states[1][rode], states[0][rode], rtol=0, atol=1e-4)


def test_single_precision_keeps_float32_and_meets_the_same_noise_rounded():
    plain, single = (BicycleBalanceVectorEnv(5, backend=b, dtype=np.float64) for b in ("numpy", "numpy32"))
    for env in (plain, single):
        env.reset(seed=3)
        env.step(np.zeros((5, 2)))
    assert {variable.dtype for variable in single._batch._state} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(single._batch.noise.take(), plain._batch.noise.take().astype(np.float32))
    assert single.state.dtype == np.float64


@pytest.mark.parametrize("backend", ("numba", "numpy32"))
def test_what_a_bicycle_does_depends_on_its_seed_and_episode_alone(backend):
    n, few = 300, [0, 131, 299]
    many, three, other = (BicycleBalanceVectorEnv(k, backend=backend, cap=60, dtype=np.float64) for k in (n, 3, 3))
    many.reset(seed=np.arange(n) + 2**62)
    three.reset(seed=np.array(few) + 2**62)
    other.reset(seed=[2**62 + 299, 4, 2**62])
    rng = np.random.default_rng(1)
    for _ in range(200):  # three episodes
        actions = rng.uniform(-1, 1, (n, 2)).astype(np.float32)
        seen = [part[few] for part in many.step(actions)[:4]]
        assert_same(list(three.step(actions[few])[:4]), seen)
        swapped = other.step(actions[[299, 5, 0]])[:4]
        assert_same([part[[2, 0]] for part in swapped], [part[[0, 2]] for part in seen])


def test_compiled_streams_are_numpys():
    seeds = [0, 1, 2**32 - 1, 2**32, 2**63 - 1, 2**64 - 1, *range(7, 80)]
    blocks, which = np.zeros((2, streams.STREAM_ROWS), np.uint64), np.arange(len(seeds))
    streams.seed_streams(blocks, which, np.array(seeds, np.uint64))
    blocks[:, streams.MASK : streams.MASK + streams.WIDTH] = kernels.ALL
    streams.skip(blocks, which, which % 5)
    masked = 3
    blocks[0, streams.MASK + masked] = 0
    drawn, generators = np.zeros((2, streams.WIDTH)), [np.random.Generator(np.random.PCG64(seed)) for seed in seeds]
    for i, generator in enumerate(generators):
        generator.random(i % 5)
    for t in range(9):
        for block, numbers in zip(blocks, drawn, strict=True):
            streams.draw(block, 0.02, numbers)
        expected = np.array([2.0 * 0.02 * g.random() - 0.02 for i, g in enumerate(generators) if i != masked or t == 0])
        np.testing.assert_array_equal(np.delete(drawn.ravel()[: len(seeds)], [masked] if t else []), expected)


def test_seeds_are_what_gymnasium_takes():
    env, plain = (BicycleBalanceVectorEnv(2, backend=b, dtype=np.float64) for b in ("numba", "numpy"))
    seeds = [2**70, 5]
    for one in (env, plain):
        one.reset(seed=seeds)
        one.step(np.zeros((2, 2)))
    np.testing.assert_allclose(env.state, plain.state, rtol=0, atol=1e-15)
    with pytest.raises(gymnasium.error.Error):
        env.reset(seed=[-1, 0])
    fresh = BicycleBalanceVectorEnv(2, backend="numba", dtype=np.float64)
    fresh.reset()  # a stream of the system's entropy
    fresh.step(np.zeros((2, 2)))
    assert np.unique(np.concatenate((fresh.state[:, 0], env.state[:, 0]))).size == 4


def test_sine_and_cosine_are_within_a_rounding():
    x = np.concatenate((np.linspace(-20, 20, 20_001), np.linspace(-1e5, 1e5, 20_001)))
    got = np.array([kernels.sin_cos(value) for value in x])
    np.testing.assert_allclose(got, np.stack((np.sin(x), np.cos(x)), 1), rtol=0, atol=2.3e-16)


@pytest.mark.parametrize("dtype", (np.float32, np.float64))
def test_results_belong_to_the_caller_and_a_refused_action_changes_nothing(dtype):
    env = BicycleBalanceVectorEnv(3, backend="numba", autoreset_mode="DISABLED", dtype=dtype)
    with pytest.raises(RuntimeError, match=r"call reset\(\) before step"):
        env.step(np.zeros((3, 2)))
    env.reset(seed=0)
    state = env.state
    with pytest.raises(ValueError, match="got NaN in environment 1"):
        env.step(np.array([[0, 0], [0, np.nan], [0, 0]]))
    with pytest.raises(ValueError, match=r"actions must be \(3, 2\), got \(2, 3\)"):
        env.step(np.zeros((2, 3)))
    np.testing.assert_array_equal(env.state, state)
    first = env.step(np.full((3, 2), 0.5))
    assert first[0].dtype == dtype and env.observation_space.contains(first[0].astype(dtype))
    kept = [part.copy() for part in first[:4]]
    second = env.step(np.asfortranarray(np.full((3, 2), 0.5)))
    assert_same(list(first[:4]), kept)
    for part in (*first[:4], *second[:4]):
        part[:] = 1
    assert np.abs(env.state).max() < 0.5
    states = np.arange(12.0).reshape(3, 4) / 100
    np.testing.assert_array_equal(env.reset(options={"state": states})[0], states.astype(dtype))


def test_an_agent_learns_from_compiled_bicycles_what_it_learns_from_plain_ones():
    learned = []
    for backend in ("numpy", "numba"):
        agent = Evolution(ID, seed=0, population=6, hidden=(), environment_arguments={"backend": backend, "cap": 300})
        learned.append(([row["return"] for row in agent.learn(steps=3000)], agent.weights))
        assert agent.evaluate(episodes=3).complete
    # float32 policies see the same numbers but where a state lies between two of them
    np.testing.assert_array_equal(*(rows for rows, _ in learned))
    np.testing.assert_allclose(*(weights for _, weights in learned), atol=1e-5)


def test_backends_are_refused_by_name(monkeypatch):
    for kind in (BicycleBalanceEnv, BicycleBalanceVectorEnv):
        with pytest.raises(ValueError, match=f"{kind.__name__}: backend must be one of 'numpy', 'numpy32', 'numba'"):
            kind(backend="jax")
    with pytest.raises(ValueError, match="backend must be 'numpy' with a delay, got 'numba' and delay=2"):
        BicycleBalanceVectorEnv(backend="numba", delay=2)
    with pytest.raises(ValueError, match="backend must be 'numpy' or 'numpy32' with a render_mode, got 'numba'"):
        BicycleBalanceVectorEnv(backend="numba", render_mode="rgb_array")
    with pytest.raises(ValueError, match="dtype must be float32 or float64"):
        BicycleBalanceVectorEnv(backend="numba", dtype=int)
    for module in [name for name in sys.modules if name.startswith("rllab_envs.bicycle.compiled")]:
        monkeypatch.delitem(sys.modules, module)
    for module in ("rllab_envs.streams", "rllab_envs.bicycle.kernels"):
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "numba", None)
    with pytest.raises(ModuleNotFoundError, match=r"needs numba: pip install '\.\[numba\]'"):
        BicycleBalanceVectorEnv(backend="numba")
    BicycleBalanceEnv(backend="numba").reset(seed=0)  # one bicycle is always the plain one


@pytest.mark.parametrize(
    ("name", "wrong"),
    (
        ("BLOCK", BLOCK - 1),  # episodes that begin elsewhere in their streams
        ("skip", lambda streams, which, counts: None),
        ("constants_of", lambda task, right=compiled.constants_of: right(task)._replace(time_step=0.01 + 1e-9)),
        ("constants_of", lambda task, right=compiled.constants_of: right(task)._replace(cap=task.cap + 1)),
        ("constants_of", lambda task, right=compiled.constants_of: right(task)._replace(noise=0.02 * (1 + 1e-8))),
    ),
)
def test_wrong_batches_are_caught(monkeypatch, name, wrong):
    monkeypatch.setattr(compiled, name, wrong)
    with pytest.raises(AssertionError):
        prove_backend("numba", 10, 130, 100, "NEXT_STEP")


@pytest.mark.parametrize(("name", "factor"), (("gyro_step", -1), ("mass_centrifugal", 1.1), ("lean_step", 1.1)))
def test_wrong_steps_in_single_precision_are_caught(monkeypatch, name, factor):
    right = task.constants32

    def wrong(*arguments):
        constants = right(*arguments)
        return constants._replace(**{name: getattr(constants, name) * np.float32(factor)})

    monkeypatch.setattr(task, "constants32", wrong)
    with pytest.raises(AssertionError):
        prove_backend("numpy32", 40, 40, 37, "NEXT_STEP")
