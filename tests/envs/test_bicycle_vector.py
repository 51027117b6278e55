"""The bicycle's vector form with riders that last: each bicycle is the single environment, bit for bit."""

import math

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from rllab_envs.bicycle import BicycleBalanceEnv, BicycleBalanceVectorEnv, step

GAIN = np.array([71.04, 29.97, -21.60, -2.29]) / 2.0


def riders(n, seed=0):
    """Actions (n, 2) as a function of observations: random ones for the first 60 % of them, the rest ride."""
    rng = np.random.default_rng(seed)

    def act(observation):
        good = np.stack((np.clip(observation @ GAIN, -1, 1), np.zeros(n)), 1)
        random = rng.uniform(-1, 1, (n, 2))
        return np.where(np.arange(n)[:, None] < 0.6 * n, random, good)

    return act


@pytest.mark.slow
@pytest.mark.parametrize(("variant", "n"), (("author", 1), ("ernst", 3), ("author", 37)))
def test_next_step_bicycles_are_single_environments_bit_for_bit(variant, n):
    # 290 steps: several falls, truncations at 265, and more than one block of noise for those that ride on
    many = BicycleBalanceVectorEnv(n, variant, cap=265, dtype=np.float64)
    single = [BicycleBalanceEnv(variant, cap=265, dtype=np.float64) for _ in range(n)]
    seeds = [100 + 7 * i for i in range(n)]
    observation, _ = many.reset(seed=seeds)
    np.testing.assert_array_equal(observation, [env.reset(seed=s)[0] for env, s in zip(single, seeds, strict=True)])
    act, over, ends = riders(n), np.zeros(n, bool), np.zeros(2, int)
    for _ in range(290):
        actions = act(observation)
        taken = many.step(actions)[:4]
        expected = [
            (env.reset()[0], 0.0, False, False) if over[i] else env.step(actions[i])[:4] for i, env in enumerate(single)
        ]
        for ours, theirs in zip(taken, zip(*expected, strict=True), strict=True):
            np.testing.assert_array_equal(ours, np.array(theirs))
        observation, _, terminated, truncated = taken
        over = terminated | truncated
        ends += terminated.sum(), truncated.sum()
    assert ends[0] > 0 and (n == 1 or ends[1] > 0)


@pytest.mark.parametrize("variant", ("author", "ernst"))
def test_a_step_does_not_depend_on_the_size_of_the_batch(variant):
    n = 2048
    rng = np.random.default_rng(3)
    state = rng.uniform(-0.2, 0.2, (n, 9 if variant == "author" else 5))
    action, noise = rng.uniform(-1, 1, (n, 2)), rng.uniform(-0.02, 0.02, n)
    whole = step(state, action, noise, variant=variant)
    for some in (slice(0, 1), slice(5, 8), slice(100, 111), slice(2047, 2048)):
        np.testing.assert_array_equal(whole[some], step(state[some], action[some], noise[some], variant=variant))


def test_disabled_bicycles_freeze_when_they_finish_and_a_mask_starts_them_again():
    n = 5
    env = BicycleBalanceVectorEnv(n, cap=260, dtype=np.float64, autoreset_mode="DISABLED")
    observation, _ = env.reset(seed=list(range(n)))
    act, over, last = riders(n, 2), np.zeros(n, bool), None
    returns = np.zeros(n)
    for _ in range(300):
        before = observation
        observation, rewards, terminated, truncated, _ = env.step(act(observation))
        np.testing.assert_array_equal(observation[over], before[over])
        np.testing.assert_array_equal(rewards, np.where(over, 0.0, 1.0))
        if last is not None:
            np.testing.assert_array_equal(terminated[over], last[0][over])
            np.testing.assert_array_equal(truncated[over], last[1][over])
        last, over = (terminated.copy(), truncated.copy()), terminated | truncated
        terminated[:], truncated[:], observation_kept = True, True, observation.copy()
        observation[:] = 9.0  # results belong to the caller: nothing done to them reaches the environment
        observation = observation_kept
        returns += rewards
    assert over.all() and last[0].any() and last[1].any()
    np.testing.assert_array_equal(returns, env.steps)
    # bicycles 1 and 3 start again in their streams, as the single environment does
    mask = np.array([False, True, False, True, False])
    single = BicycleBalanceEnv(cap=260, dtype=np.float64)
    single.reset(seed=1)
    act, at = riders(n, 2), np.zeros((n, 4))
    for _ in range(int(env.steps[1])):
        at[1] = single.step(act(at)[1])[0]
    single.reset()
    restarted, _ = env.reset(options={"reset_mask": mask})
    assert not restarted[mask].any()
    np.testing.assert_array_equal(restarted[~mask], observation[~mask])
    for _ in range(40):
        seen, rewards, terminated, truncated, _ = env.step(np.full((n, 2), 0.1))
        np.testing.assert_array_equal(seen[1], single.step(np.full(2, 0.1))[0])
        np.testing.assert_array_equal(seen[~mask], observation[~mask])
        np.testing.assert_array_equal(rewards, mask)
        np.testing.assert_array_equal((terminated | truncated)[~mask], True)


def test_equal_seeds_meet_equal_noise_and_a_whole_number_counts_up():
    env = BicycleBalanceVectorEnv(4, dtype=np.float64)
    env.reset(seed=[8, 9, 8, 9])
    for _ in range(60):
        seen = env.step(np.zeros((4, 2)))[0]
    np.testing.assert_array_equal(seen[:2], seen[2:])
    assert not np.array_equal(seen[0], seen[1])
    other = BicycleBalanceVectorEnv(4, dtype=np.float64)
    other.reset(seed=8)
    for _ in range(60):
        counted = other.step(np.zeros((4, 2)))[0]
    np.testing.assert_array_equal(counted[:2], seen[:2])


def test_a_seed_of_none_goes_on_in_the_stream_of_its_bicycle():
    env, other = BicycleBalanceVectorEnv(2, dtype=np.float64), BicycleBalanceVectorEnv(2, dtype=np.float64)
    seen = []
    for one, seeds in ((env, [None, 4]), (other, None)):
        one.reset(seed=[3, 4])
        for _ in range(30):
            one.step(np.zeros((2, 2)))
        one.reset(seed=seeds)
        for _ in range(30):
            after = one.step(np.zeros((2, 2)))[0]
        seen.append(after)
    np.testing.assert_array_equal(seen[0][0], seen[1][0])
    assert not np.array_equal(seen[0][1], seen[1][1])


def test_a_mask_seeds_only_its_bicycles_and_a_start_may_be_given():
    env = BicycleBalanceVectorEnv(3, noise=False, dtype=np.float64)
    env.reset(seed=0, options={"state": [0.01, 0, 0, 0]})
    env.step(np.zeros((3, 2)))
    states = np.arange(12.0).reshape(3, 4) / 100
    seen, _ = env.reset(seed=5, options={"state": states, "reset_mask": np.array([True, False, True])})
    np.testing.assert_array_equal(seen[[0, 2]], states[[0, 2]])
    assert 0.01 < seen[1, 0] < 0.011
    np.testing.assert_array_equal(env.steps, [0, 1, 0])


def test_observations_are_float32_unless_asked_and_the_state_is_never_rounded():
    env = BicycleBalanceVectorEnv(2)
    env.reset(seed=0)
    seen = env.step(np.ones((2, 2), np.float32))[0]
    assert seen.dtype == np.float32 and env.state.dtype == np.float64
    np.testing.assert_array_equal(seen, env.state.astype(np.float32))
    assert not np.array_equal(seen, env.state)
    assert env.observation_space.contains(seen)


def test_fall_rewards_and_pictures_come_one_by_one():
    env = BicycleBalanceVectorEnv(2, reward="fall", render_mode="rgb_array", autoreset_mode=AutoresetMode.DISABLED)
    env.reset(seed=1)
    total = np.zeros(2)
    for _ in range(400):
        _, rewards, terminated, _, _ = env.step(np.zeros((2, 2)))
        total += rewards
        if terminated.all():
            break
    np.testing.assert_array_equal(total, [-1.0, -1.0])
    pictures = env.render()
    assert pictures is not None and len(pictures) == 2 and pictures[0].shape == (360, 960, 3)
    single = BicycleBalanceEnv(render_mode="rgb_array")
    single.reset(seed=2)
    while not single.step(np.zeros(2))[2]:
        pass
    np.testing.assert_array_equal(single.render(), pictures[1])


@pytest.mark.parametrize(
    ("arguments", "says"),
    (
        ({"num_envs": 0}, "num_envs must be an integer >= 1, got 0"),
        (
            {"autoreset_mode": "sometimes"},
            "autoreset_mode must be one of NEXT_STEP, SAME_STEP, DISABLED, got 'sometimes'",
        ),
        ({"variant": "x"}, "variant must be 'author' or 'ernst'"),
    ),
)
def test_bad_arguments_are_named(arguments, says):
    with pytest.raises(ValueError, match=f"BicycleBalance(VectorEnv)?: {says}"):
        BicycleBalanceVectorEnv(**arguments)


def test_bad_calls_are_named():
    env = BicycleBalanceVectorEnv(3)
    with pytest.raises(RuntimeError, match="call reset"):
        env.step(np.zeros((3, 2)))
    with pytest.raises(RuntimeError, match="must start every environment"):
        env.reset(options={"reset_mask": np.array([True, False, True])})
    with pytest.raises(ValueError, match="seed must give 3 seeds, got 2"):
        env.reset(seed=[1, 2])
    with pytest.raises(ValueError, match=r"reset_mask must be bool of shape \(3,\), got bool of shape \(2,\)"):
        env.reset(options={"reset_mask": np.ones(2, bool)})
    with pytest.raises(ValueError, match=r"reset_mask must be bool of shape \(3,\), got int64"):
        env.reset(options={"reset_mask": np.ones(3, int)})
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"actions must be \(3, 2\), got \(2, 3\)"):
        env.step(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="got NaN in environment 1"):
        env.step(np.array([[0, 0], [0, math.nan], [0, 0]]))
