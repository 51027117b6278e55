"""The bicycle against its own specification and the pure step; the contract test holds what every environment does."""

import importlib
import math

import gymnasium
import numpy as np
import pytest

import rllab_envs
from rllab_envs.bicycle import BicycleBalance, BicycleBalanceEnv, Parameters, step
from rllab_envs.noise import BLOCK

ID = "rllab_envs:rllab/BicycleBalance-v0"
GAIN = np.array([71.04, 29.97, -21.60, -2.29]) / 2.0  # a good rider


def ride(env, seed, actions):
    """Observations, rewards and flags of a ride from reset(seed) until it ends or the actions do."""
    rows = [(env.reset(seed=seed)[0], 0.0, False, False)]
    for action in actions:
        rows.append(env.step(action)[:4])
        if rows[-1][2] or rows[-1][3]:
            break
    return [np.array(column) for column in zip(*rows, strict=True)]


def actions_of(seed, n):
    return np.random.default_rng(seed).uniform(-1, 1, (n, 2)).astype(np.float32)


def test_make_passes_every_argument_on_and_adds_no_second_limit():
    parameters = Parameters(gyro_sign=1.0)
    env = gymnasium.make(
        ID, variant="ernst", noise=False, cap=7, reward="fall", parameters=parameters, dtype=np.float64
    )
    bare = env.unwrapped
    assert isinstance(bare, BicycleBalanceEnv)
    assert bare.task == BicycleBalance("ernst", False, 7, "fall", parameters)
    wrapper = env
    while wrapper is not bare:
        assert not isinstance(wrapper, gymnasium.wrappers.TimeLimit)
        wrapper = wrapper.env
    observations, _, terminated, truncated = ride(env, 0, np.zeros((9, 2), np.float32))
    assert observations.dtype == np.float64 and not observations.any()  # no noise: upright for ever
    assert truncated.size == 8 and truncated[-1] and not terminated.any()


def test_importing_twice_registers_once():
    importlib.reload(rllab_envs)  # a second registration would warn, which is an error here
    assert gymnasium.spec("rllab/BicycleBalance-v0").max_episode_steps is None


@pytest.mark.parametrize("variant", ("author", "ernst"))
def test_the_environment_is_the_pure_step_with_scaled_clipped_actions_and_its_own_noise(variant):
    env, noise = BicycleBalanceEnv(variant, dtype=np.float64), np.random.Generator(np.random.PCG64(3))
    # the second episode begins where the first one's last block ends, the third one's block after the second's
    for seed, actions in ((3, None), (None, 1.5 * actions_of(1, 40)), (None, 1.5 * actions_of(2, 40))):
        env.reset(seed=seed)
        state = np.zeros((1, 4))
        for t in range(2 * BLOCK + 10 if actions is None else len(actions)):
            if t % BLOCK == 0:
                block = 0.04 * noise.random(BLOCK) - 0.02
            action = actions[t] if actions is not None else np.array([state[0] @ GAIN, 0.0])
            scaled = np.clip(action[None].astype(float), -1, 1) * [2.0, 0.02]
            state = step(state, scaled, block[t % BLOCK, None], variant=variant)
            np.testing.assert_array_equal(env.step(action)[0], state[0])
            np.testing.assert_array_equal(env.state, state[0])


def test_the_observation_space_reaches_to_twice_the_fall_and_to_the_stop():
    most = np.finfo(np.float32).max
    for variant, stop in (("author", 1.3963), ("ernst", math.radians(80))):
        space = BicycleBalanceEnv(variant, dtype=np.float64).observation_space
        np.testing.assert_array_equal(space.high, [2 * math.pi / 15, most, stop, most])
        np.testing.assert_array_equal(space.low, -space.high)


@pytest.mark.parametrize("side", (-1.0, 1.0))
def test_leaning_more_than_twelve_degrees_is_a_fall(side):
    env = BicycleBalanceEnv("ernst", noise=False)  # explicit Euler: a lean at rest is the lean after the step
    for lean, falls in ((math.pi / 15, False), (np.nextafter(math.pi / 15, 1.0), True)):
        env.reset(options={"state": [side * lean, 0.0, 0.0, 0.0]})
        assert env.step(np.zeros(2))[2] == falls


def test_survival_reward_counts_every_step_the_fatal_one_included():
    observations, rewards, terminated, _ = ride(BicycleBalanceEnv(), 5, np.zeros((400, 2)))
    assert terminated[-1] and not terminated[:-1].any()
    assert rewards.sum() == terminated.size - 1
    assert abs(observations[-1, 0]) > math.pi / 15 >= np.abs(observations[:-1, 0]).max()


def test_fall_reward_is_minus_one_at_the_fall_only():
    _, rewards, terminated, _ = ride(BicycleBalanceEnv(reward="fall"), 5, np.zeros((400, 2)))
    assert terminated[-1] and rewards[-1] == -1.0 and not rewards[:-1].any() and not np.signbit(rewards[:-1]).any()


def test_a_fall_on_the_step_that_reaches_the_cap_is_terminated_not_truncated():
    actions = np.zeros((400, 2))
    steps = ride(BicycleBalanceEnv(), 5, actions)[2].size - 1
    for cap, falls in ((steps, True), (steps - 1, False), (steps + 1, True), (None, True)):
        _, _, terminated, truncated = ride(BicycleBalanceEnv(cap=cap), 5, actions)
        assert (terminated[-1], truncated[-1]) == (falls, not falls)
        assert terminated.size - 1 == (steps if falls else steps - 1)


def test_without_a_cap_a_good_rider_is_never_stopped():
    env = BicycleBalanceEnv(cap=None)
    observation, _ = env.reset(seed=0)
    for _ in range(1500):
        action = np.array([observation @ GAIN, 0.0])
        observation, _, terminated, truncated, _ = env.step(action)
        assert not terminated and not truncated


def test_a_ride_without_noise_does_not_depend_on_the_seed():
    env = BicycleBalanceEnv(noise=False, dtype=np.float64)
    np.testing.assert_array_equal(ride(env, 0, actions_of(3, 40))[0], ride(env, 1, actions_of(3, 40))[0])
    assert ride(env, 0, np.zeros((1000, 2)))[3][-1]  # upright is an equilibrium, an unstable one


def test_a_ride_can_start_elsewhere():
    env = BicycleBalanceEnv(noise=False, dtype=np.float64)
    observation, _ = env.reset(options={"state": [0.01, 0.0, 0.0, 0.0]})
    np.testing.assert_array_equal(observation, [0.01, 0, 0, 0])


@pytest.mark.parametrize(
    ("arguments", "says"),
    (
        ({"variant": "x"}, "variant must be 'author' or 'ernst', got 'x'"),
        ({"cap": 0}, "cap must be None or an integer >= 1"),
        ({"cap": 2.5}, "cap must be None or an integer >= 1"),
        ({"reward": "goal"}, "reward must be 'survival' or 'fall', got 'goal'"),
        ({"dtype": np.int64}, "dtype must be float32 or float64, got int64"),
        ({"render_mode": "human"}, "render_mode must be None or 'rgb_array'"),
    ),
)
def test_bad_arguments_are_named(arguments, says):
    with pytest.raises(ValueError, match=f"BicycleBalance(Env)?: {says}"):
        BicycleBalanceEnv(**arguments)


def test_bad_actions_and_steps_out_of_order_are_named():
    env = BicycleBalanceEnv(cap=1)
    with pytest.raises(RuntimeError, match=r"call reset\(\) before step"):
        env.step(np.zeros(2))
    env.reset(seed=0)
    for bad in (np.zeros(3), np.zeros((1, 2)), np.array([math.nan, 0.0])):
        with pytest.raises(ValueError, match=r"actions must be (\(1, 2\)|numbers), got"):
            env.step(bad)
    env.step(np.array([math.inf, -math.inf]))  # clipped like any other
    with pytest.raises(RuntimeError, match="no episode is under way"):
        env.step(np.zeros(2))
