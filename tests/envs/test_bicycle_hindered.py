"""The bicycle made harder: without the rates in sight, and with actions that come late."""

import numpy as np
import pytest

from rllab_envs.bicycle import BicycleBalance, BicycleBalanceEnv, BicycleBalanceVectorEnv
from rllab_envs.delay import Delayed
from tests.proofs.environments import assert_same, prove_dynamics, prove_vector_form

GAIN = np.array([71.04, 29.97, -21.60, -2.29]) / 2.0


def actions_of(seed, n):
    return np.random.default_rng(seed).uniform(-1.5, 1.5, (n, 2)).astype(np.float32)


def test_by_default_nothing_is_hidden_and_nothing_late():
    env = BicycleBalanceEnv()
    assert env.task == BicycleBalance() and env.observation_space.shape == (4,)


def test_without_rates_the_angles_of_the_same_ride_are_observed():
    seeing, blind = BicycleBalanceEnv(), BicycleBalanceEnv(rates=False)
    assert blind.observation_space.shape == (2,)
    np.testing.assert_array_equal(blind.observation_space.high, seeing.observation_space.high[::2])
    assert_same(blind.reset(seed=4)[0], seeing.reset(seed=4)[0][::2])
    for action in actions_of(0, 40):
        ours, theirs = blind.step(action), seeing.step(action)
        assert_same(ours, (theirs[0][::2], *theirs[1:]))


@pytest.mark.parametrize("delay", (1, 3))
@pytest.mark.parametrize("reward", ("survival", "fall"))
def test_a_late_ride_is_the_prompt_one_with_its_actions_moved(delay, reward):
    arguments = {"reward": reward, "dtype": np.float64, "render_mode": "rgb_array"}
    late, prompt = BicycleBalanceEnv(delay=delay, **arguments), BicycleBalanceEnv(**arguments)
    actions = actions_of(1, 400)
    moved = np.concatenate((np.zeros((delay, 2), np.float32), actions))
    assert_same(late.reset(seed=8), prompt.reset(seed=8))
    for t, action in enumerate(actions):
        ours = late.step(action)
        assert_same(ours, prompt.step(moved[t]))
        np.testing.assert_array_equal(late.state[4:], moved[t + 1 : t + 1 + delay].ravel())
        if t == 20:
            np.testing.assert_array_equal(late.render(), prompt.render())
        if ours[2]:
            break
    assert ours[2] and t > 30


@pytest.mark.slow
@pytest.mark.parametrize("mode", ("NEXT_STEP", "SAME_STEP", "DISABLED"))
def test_the_vector_form_is_the_single_one_bit_for_bit(mode):
    arguments = {"rates": False, "delay": 2, "cap": 90}
    vector = BicycleBalanceVectorEnv(4, **arguments, autoreset_mode=mode)
    singles = [lambda: BicycleBalanceEnv(**arguments) for _ in range(4)]
    terminated, truncated = prove_vector_form(vector, singles, 100, seed=5)
    assert terminated > 0 and truncated > 0


def test_dynamics_carry_the_pending_actions():
    prove_dynamics(BicycleBalanceVectorEnv(3, delay=2, autoreset_mode="DISABLED"), 4, seed=2)


def test_delay_makes_riding_harder():
    # the good rider reaches the cap with none or few steps of delay, and no longer with 0.2 s of it
    fallen = {}
    for delay in (0, 2, 20):
        env = BicycleBalanceVectorEnv(20, delay=delay, cap=500, autoreset_mode="DISABLED")
        o, _ = env.reset(seed=0)
        over = np.zeros(20, bool)
        while not over.all():
            o, _, terminated, truncated, _ = env.step(np.stack((np.clip(o @ GAIN, -1, 1), np.zeros(20)), 1))
            over = terminated | truncated
        fallen[delay] = int(terminated.sum())
    assert fallen[0] == fallen[2] == 0 and fallen[20] == 20


class Hasty(Delayed):
    """A delayed task that lets the newest action act."""

    def _acting(self, state, inputs):
        return self.task.inputs(inputs[:-1], inputs[-1])


def test_an_action_that_acts_too_early_is_seen():
    late, hasty = Delayed(BicycleBalance(noise=False), 2), Hasty(BicycleBalance(noise=False), 2)
    state, action = np.zeros((1, 8)), np.ones((1, 2))
    assert not late.dynamics(state, action)[0, :4].any() and hasty.dynamics(state, action)[0, :4].any()


@pytest.mark.parametrize("delay", (-1, 1.5, True))
def test_a_wrong_delay_is_named(delay):
    with pytest.raises(ValueError, match="BicycleBalance: delay must be an integer >= 0"):
        BicycleBalanceEnv(delay=delay)
