"""The Whipple bicycle as a task: its optimum against simulation, who rides at which speed, ends, rewards, pictures."""

import math

import numpy as np
import pytest
from scipy.linalg import solve_discrete_are, solve_discrete_lyapunov

from rllab_envs.bicycle.render import FRONT, RIDER
from rllab_envs.whipple import Parameters, WhippleBicycleEnv, WhippleBicycleVectorEnv, optimum, transition

SPEED = 10 / 3.6
Q = np.zeros((4, 4))
Q[0, 0] = (15 / math.pi) ** 2
R = 0.1


def ridden(gain, n=20, **arguments):
    """Steps of n rides of the rider a = −K x, and whether each fell."""
    env = WhippleBicycleVectorEnv(n, dtype=np.float64, autoreset_mode="DISABLED", **arguments)
    x, _ = env.reset(seed=0)
    over = np.zeros(n, bool)
    while not over.all():
        x, _, terminated, truncated, _ = env.step(-(x @ gain)[:, None])
        over = terminated | truncated
    return env.steps, terminated


def cost_of(gain, speed):
    """Mean cost of a step of the rider a = −K x, from the stationary covariance."""
    a, torques = transition(speed)
    e, b = torques[:, 0], 2.0 * torques[:, 1]
    covariance = solve_discrete_lyapunov(a - np.outer(b, gain), np.outer(e, e) * 15.0**2 / 3)
    return np.trace(Q @ covariance) + R * gain @ covariance @ gain


@pytest.mark.parametrize("speed", (1.0, SPEED, 5.0, 8.0))
@pytest.mark.parametrize("gamma", (1.0, 0.99))
def test_the_optimum_solves_the_riccati_equation(speed, gamma):
    a, torques = (np.sqrt(gamma) * m for m in transition(speed))
    b, found = 2.0 * torques[:, 1:], optimum(speed, gamma=gamma)
    value = solve_discrete_are(a, b, Q, np.array([[R]]))
    np.testing.assert_allclose(found.value, value, rtol=0, atol=1e-9 * np.abs(value).max())
    gain = np.linalg.solve(R + b.T @ value @ b, b.T @ value @ a)[0]
    np.testing.assert_allclose(found.gain, gain, rtol=0, atol=1e-9 * np.abs(gain).max())


@pytest.mark.parametrize("speed", (SPEED, 5.0))
def test_no_other_gain_costs_less_and_its_cost_is_the_stationary_one(speed):
    best = optimum(speed)
    assert abs(cost_of(best.gain, speed) / best.noise_cost - 1) < 1e-8
    for i in range(4):
        for change in (-0.05, 0.05):
            assert cost_of(best.gain * (1 + change * (np.arange(4) == i)), speed) > best.noise_cost * (1 + 1e-6)


@pytest.mark.parametrize("gamma", (1.0, 0.99))
def test_a_ride_without_noise_costs_what_the_optimum_says(gamma):
    best, start = optimum(SPEED, gamma=gamma, noise=False), np.array([0.02, -0.01, 0.03, 0.05])
    env = WhippleBicycleEnv(noise=False, cap=None, reward="quadratic", dtype=np.float64)
    x, _ = env.reset(options={"state": start})
    total = 0.0
    for t in range(2500):
        action = -(x @ best.gain)[None]
        assert abs(action[0]) < 1.0
        x, reward, _, _, _ = env.step(action)
        total += gamma**t * (1.0 - reward)
    # what follows is below e^(−2·25 s·the slowest mode); rewards are 1 minus the cost: each is off by a rounding of 1
    assert abs(total - start @ best.value @ start) < 2500 * 2.3e-16 + 1e-9 * total
    if gamma < 1.0:
        assert best.cost(start) == pytest.approx(total, rel=1e-8)


def test_noisy_rides_cost_what_the_optimum_says():
    # 300 independent rides of 600 steps, 300 of them after the start has died out. Their means are close to normal;
    # limit 6.2 standard errors, false alarm 6e-10; a noise of another variance, say a² for a²/3, is 200 % off.
    n, best = 300, optimum(SPEED)
    env = WhippleBicycleVectorEnv(n, reward="quadratic", dtype=np.float64, autoreset_mode="DISABLED")
    x, _ = env.reset(seed=7)
    costs = np.zeros(n)
    for t in range(600):
        x, rewards, terminated, _, _ = env.step(-(x @ best.gain)[:, None])
        assert not terminated.any()
        costs += (1.0 - rewards) * (t >= 300) / 300
    error = costs.std(ddof=1) / math.sqrt(n)
    assert error < 0.05 * best.noise_cost
    assert abs(costs.mean() - best.noise_cost) <= 6.2 * error


def test_the_speed_decides_whether_doing_nothing_rides():
    idle = np.zeros(4)
    for speed, falls in ((1.0, True), (SPEED, True), (5.0, False)):
        steps, fallen = ridden(idle, speed=speed)
        assert fallen.all() == falls and fallen.any() == falls
        steps, fallen = ridden(optimum(speed).gain, speed=speed)
        assert not fallen.any() and (steps == 1000).all()


def test_leaning_or_steering_too_far_ends_the_ride():
    env = WhippleBicycleEnv(noise=False)
    for state, ends in (
        ((0.2, 0, 0, 0), False),
        ((-0.22, 0, 0, 0), True),
        ((0, 0, 1.5, 0), True),
        ((0, 0, 1.3, 0), False),
    ):
        env.reset(options={"state": state})
        _, reward, terminated, truncated, _ = env.step(np.zeros(1))
        assert (terminated, truncated, reward) == (ends, False, 1.0)


def test_the_quadratic_reward_is_that_of_the_specification():
    env = WhippleBicycleEnv(noise=False, reward="quadratic")
    env.reset(options={"state": [0.1, 0.0, 0.0, 0.0]})
    for action, paid in ((0.5, 0.5), (-3.0, 1.0)):
        lean = env.state[0]
        reward = env.step(np.array([action]))[1]
        assert reward == pytest.approx(1.0 - (lean * 15 / math.pi) ** 2 - 0.1 * paid**2, rel=1e-14)


def middle_of(picture, colour):
    rgb = [int(colour[k : k + 2], 16) for k in (1, 3, 5)]
    x = np.nonzero((np.abs(picture.astype(int) - rgb) <= 8).all(2))[1]
    assert x.size > 20
    return x.mean()


def test_the_picture_shows_right_on_the_right():
    env = WhippleBicycleEnv(render_mode="rgb_array", noise=False)
    for side in (-1, 1):
        env.reset(options={"state": [0.1 * side, 0.0, 0.4 * side, 0.0]})
        picture = env.render()
        assert picture.shape == (360, 960, 3) and picture.dtype == np.uint8
        assert side * (middle_of(picture[:, :300], RIDER) - 150) > 8
        assert side * (middle_of(picture[:, 300:600], FRONT) - 150) > 4
        for _ in range(40):
            env.step(np.zeros(1))
        heading = env._batch._pictures[0].heading
        assert side * heading > 0.1 and side * (middle_of(env.render()[:, 602:], FRONT) - 178) > 3


@pytest.mark.parametrize(
    ("arguments", "says"),
    (({"reward": "fall"}, "WhippleBicycle: reward must be"), ({"speed": -1.0}, "speed must be finite and >= 0")),
)
def test_bad_arguments_are_named(arguments, says):
    with pytest.raises(ValueError, match=says):
        WhippleBicycleEnv(**arguments)


def test_the_discount_is_checked_and_an_endless_cost_refused():
    with pytest.raises(ValueError, match=r"optimum: gamma must be in \(0, 1\]"):
        optimum(SPEED, gamma=1.5)
    with pytest.raises(ValueError, match="gamma must be < 1"):
        optimum(SPEED).cost(np.zeros(4))
    assert optimum(SPEED, Parameters(noise=0.0), gamma=0.9).cost(np.zeros((3, 4))).tolist() == [0.0] * 3
