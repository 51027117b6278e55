"""Riding to the goal: the motion is the pure step's, bearing and rewards are the published ones, and it can be done."""

import math

import numpy as np
import pytest

from rllab_envs.bicycle import step
from rllab_envs.bicycle_goal import BicycleGoal, BicycleGoalEnv, BicycleGoalVectorEnv

GAIN = np.array([71.04, 29.97, -21.60, -2.29]) / 2.0


def rider(o):
    """The good rider of the balance task, leaning towards the goal: at a lean, θ is what balances it."""
    lean = np.clip(0.1 * o[:, 4], -0.1, 0.1)
    errors = o[:, :4] - lean[:, None] * np.array([1.0, 0.0, 4.624958 / 3.327605, 0.0])
    return np.stack((np.clip(errors @ GAIN, -1, 1), np.zeros(len(o))), 1)


def arrivals(act, n=20, **arguments):
    """Last rewards of n rides until they end, and whether the cap ended them."""
    env = BicycleGoalVectorEnv(n, distance=30.0, cap=2500, autoreset_mode="DISABLED", dtype=np.float64, **arguments)
    o, _ = env.reset(seed=0)
    last, over, late = np.zeros(n), np.zeros(n, bool), np.zeros(n, bool)
    while not over.all():
        o, rewards, terminated, truncated, _ = env.step(act(o))
        last[~over] = rewards[~over]
        over, late = terminated | truncated, truncated
    return last, late


def test_who_leans_towards_the_goal_arrives_from_every_heading_and_who_leans_away_does_not():
    last, late = arrivals(rider)
    assert (last == 0.01).all() and not late.any()

    def away(o):
        return rider(o * [1, 1, 1, 1, -1, 1])

    last, late = arrivals(away)
    assert late.mean() > 0.5


def test_headings_are_drawn_all_around_and_the_wheelbase_is_kept():
    state = BicycleGoal().start([np.random.default_rng(s) for s in range(2000)])
    assert not state[:4].any() and not state[6:8].any()
    np.testing.assert_allclose(np.hypot(state[4], state[5]), 1.11, rtol=1e-15)
    np.testing.assert_allclose(np.arctan2(-state[4], state[5]), state[8], rtol=0, atol=1e-15)
    # Kolmogorov-Smirnov against U(−π, π); Dvoretzky-Kiefer-Wolfowitz: P(D > 0.07) <= 2 exp(−2 n 0.07²) = 6e-9
    gap = np.sort(state[8]) / (2 * math.pi) + 0.5 - (np.arange(2000) + 0.5) / 2000
    assert np.abs(gap).max() <= 0.07 - 0.5 / 2000


def test_the_motion_is_the_pure_step_of_all_nine_variables():
    env, rng = BicycleGoalEnv(noise=False, dtype=np.float64), np.random.default_rng(1)
    env.reset(seed=5)
    for _ in range(60):  # `step` is held against the published equations elsewhere
        before, action = env.state, rng.uniform(-1.5, 1.5, 2).astype(np.float32)
        ended = env.step(action)[2]
        torque, displacement = np.clip(action.astype(float), -1, 1) * [2.0, 0.02]
        pure = step(before[None], np.array([[torque, displacement]]))
        np.testing.assert_array_equal(env.state, pure[0])
        if ended:
            break


@pytest.mark.parametrize(
    ("psi", "alpha"), ((-math.pi / 2, 0.0), (0.0, -math.pi / 2), (math.pi / 2, math.pi), (-math.pi, math.pi / 2))
)
def test_the_bearing_is_the_turn_to_the_left_that_faces_the_goal(psi, alpha):
    # at the origin with the front tyre there; heading (−sin ψ, cos ψ), the goal on the x axis
    env = BicycleGoalEnv(dtype=np.float64)
    state = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.11 * math.sin(psi), -1.11 * math.cos(psi), psi]
    o, _ = env.reset(options={"state": state})
    assert o[5] == 1000.0 and min(abs(o[4] - alpha), 2 * math.pi - abs(o[4] - alpha)) < 1e-15


def rows(reward, seed=3, n=400):
    env = BicycleGoalEnv(reward=reward, dtype=np.float64)
    found = [(env.reset(seed=seed)[0][4], 0.0, False)]
    for action in np.random.default_rng(2).uniform(-1, 1, (n, 2)):
        o, r, terminated, _, _ = env.step(action)
        found.append((o[4], r, terminated))
        if terminated:
            break
    return [np.array(column) for column in zip(*found, strict=True)]


def test_rewards_are_the_published_ones_and_a_fall_is_minus_one():
    for reward in ("shaped", "sparse", "progress"):
        alpha, r, terminated = rows(reward)
        assert terminated[-1] and r[-1] == -1.0
        expected = {
            "shaped": 4e-5 * (4 - alpha[1:-1] ** 2),
            "sparse": 0 * alpha[1:-1],
            "progress": -0.1 * np.diff(np.abs(alpha))[:-1],
        }[reward]
        # 0.1 times a difference of two bearings of order one
        np.testing.assert_allclose(r[1:-1], expected, rtol=1e-14, atol=1e-15)


def test_a_step_that_reaches_the_goal_ends_the_ride_unless_it_falls():
    for lean, reward in ((0.0, 0.01), (math.pi / 14, -1.0)):
        env = BicycleGoalEnv(noise=False)
        for gap, ends in ((0.02, True), (0.04, lean > 0.0)):  # a step is 0.0278 m
            x = 1000.0 - 10.0 - gap
            env.reset(options={"state": [lean, 0, 0, 0, x, 0, x - 1.11, 0, -math.pi / 2]})
            _, r, terminated, truncated, _ = env.step(np.zeros(2))
            assert terminated == ends and not truncated
            assert (r == reward) == ends


def test_the_goal_is_drawn_where_it_is_and_watching_changes_nothing():
    from rllab_envs.bicycle.render import BACK, RIDER

    watched, plain = (BicycleGoalEnv(render_mode=mode, distance=40.0) for mode in ("rgb_array", None))
    watched.reset(seed=1)
    plain.reset(seed=1)
    for _ in range(12):
        np.testing.assert_array_equal(watched.step(np.zeros(2))[0], plain.step(np.zeros(2))[0])
    picture = watched.render()
    assert picture.shape == (360, 960, 3) and picture.dtype == np.uint8

    def middle(colour):
        rgb = [int(colour[k : k + 2], 16) for k in (1, 3, 5)]
        y, x = np.nonzero((np.abs(picture[:, 610:].astype(int) - rgb) <= 8).all(2))
        assert x.size > 20
        return np.array([x.mean(), y.mean()])

    goal, here = middle(RIDER), middle(BACK)
    assert goal[0] - here[0] > 150 and abs(goal[1] - here[1]) < 12  # 40 m to the right, hardly up or down


def test_a_long_way_is_thinned():
    from rllab_envs.bicycle_goal.render import THIN

    picture = BicycleGoal().picture()
    state = np.zeros(9)
    for _ in range(3 * THIN):
        picture.follow(state, np.zeros(2), state)
    assert THIN / 2 < len(picture.way) <= THIN and picture.every == 4 and picture.steps == 3 * THIN


@pytest.mark.parametrize(
    ("arguments", "says"),
    (
        ({"reward": "fall"}, "reward must be one of 'shaped', 'sparse', 'progress', got"),
        ({"distance": 10.0}, "distance must be"),
    ),
)
def test_bad_arguments_are_named(arguments, says):
    with pytest.raises(ValueError, match=f"BicycleGoal: {says}"):
        BicycleGoalEnv(**arguments)
