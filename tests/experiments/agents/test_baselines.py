"""Random search pays for every step and nothing else, finds what it says, and riders by hand ride."""

import re
from dataclasses import replace

from experiments.agents import baselines, random_search
from experiments.agents.random_search import CONFIRMED, play, search_weights
from experiments.agents.riders import GoalRider, balance_rider, ride, whipple_rider
from experiments.common.frame import main

import gymnasium
import numpy as np
import pytest
import torch

from rllab.agents.making import Maker
from rllab.agents.policy import Policy
from rllab.agents.vectorization import make_environments
from rllab_envs.bicycle import Parameters

BALANCE = "rllab_envs:rllab/BicycleBalance-v0"
EASY = {"goal": 250, "scale": 2.0, "biases": False, "observation_scale": (0.1, 0.3, 0.3, 3.0)}
EASY |= {"environment_arguments": {"cap": 250}}


def count_steps(monkeypatch):
    """Count the steps of every environment that a search makes, one by one."""
    counted = []
    of_search = random_search.make_environments

    def make(*arguments):
        counted.append(of_search(*arguments))
        return counted[-1]

    monkeypatch.setattr(random_search, "make_environments", make)
    return counted


def test_what_is_found_rides_and_the_steps_are_those_of_the_draws_before_it(monkeypatch):
    made = count_steps(monkeypatch)
    found = search_weights(BALANCE, key=3, steps=100_000, **EASY)
    assert found.weights is not None and found.reached >= 1
    draws, rides = made  # of one block, whose candidates are confirmed together; those after the rider are not counted
    # side by side no more is played than one block of draws beyond what a search one by one plays
    assert found.steps <= draws.taken <= found.steps + random_search.TOGETHER * 250
    assert rides.taken >= found.evaluated >= CONFIRMED * 250
    assert 20 * found.draws < found.steps <= 250 * found.draws
    again = search_weights(BALANCE, key=3, steps=100_000, **EASY)
    assert torch.equal(again.weights, found.weights) and (again.steps, again.draws) == (found.steps, found.draws)
    other = search_weights(BALANCE, key=4, steps=100_000, **EASY)
    assert not torch.equal(other.weights, found.weights)
    space = gymnasium.make(BALANCE)
    policy = Policy.for_spaces("test", space.observation_space, space.action_space, (), EASY["observation_scale"])
    (_, bias), = policy.layers(found.weights)  # fmt: skip
    assert not bias.any()
    environments = make_environments(Maker("test", BALANCE, EASY["environment_arguments"]), 500)
    unseen = play(policy, found.weights.expand(500, -1), environments, list(range(500)))
    # who rides at most 0.4 of the time is confirmed with probability 0.4^20 = 1e-8; who rides more falls short here
    # with probability e^(−500 KL(0.25 | 0.4)) = 1e-11
    assert (unseen.returns >= 250).mean() > 0.25


def test_one_draw_at_a_time_gives_the_same_search(monkeypatch):
    together = search_weights(BALANCE, key=5, steps=20_000, **EASY)
    made = count_steps(monkeypatch)
    alone = search_weights(BALANCE, key=5, steps=20_000, together=1, **EASY)
    assert torch.equal(alone.weights, together.weights)
    assert replace(alone, weights=None) == replace(together, weights=None)
    draws, *rides = made
    assert (draws.taken, sum(one.taken for one in rides)) == (alone.steps, alone.evaluated)


def test_a_search_for_several_riders_goes_on_after_the_first():
    one = search_weights(BALANCE, key=5, steps=20_000, **EASY)
    three = search_weights(BALANCE, key=5, steps=20_000, riders=3, **EASY)
    assert (one.riders, three.riders) == (1, 3) and torch.equal(three.weights, one.weights)
    assert three.steps > one.steps and three.draws > one.draws


def test_no_more_steps_are_taken_than_allowed():
    found = search_weights(BALANCE, key=3, steps=100_000, **EASY)
    short = search_weights(BALANCE, key=3, steps=found.steps - 1, **EASY)
    assert short.weights is None and short.steps == found.steps - 1 and short.draws == found.draws - 1
    exact = search_weights(BALANCE, key=3, steps=found.steps, **EASY)
    assert torch.equal(exact.weights, found.weights)


class Lottery(gymnasium.Env):
    """One step an episode; a third of all episodes pays 1, whatever is done."""

    observation_space = gymnasium.spaces.Box(-1, 1, (1,))
    action_space = gymnasium.spaces.Box(-1, 1, (1,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action):
        return np.zeros(1, np.float32), float(self.np_random.random() < 1 / 3), True, False, {}


def test_luck_is_not_taken_for_riding():
    # 300 draws, of which a third pays once; that 20 more pay has probability 300 · 3^−21 = 3e-8 in all
    found = search_weights(Lottery, goal=1.0, scale=1.0, key=0, steps=300)
    assert found.weights is None and found.draws == found.steps == 300
    # binomial, standard deviation 8.2: 6.2 of them on either side, false alarm 6e-10
    assert abs(found.reached - 100) < 51 and found.evaluated == CONFIRMED * found.reached


@pytest.mark.parametrize("arguments", ({"scale": 0.0}, {"scale": float("inf")}, {"steps": 0}))
def test_bad_arguments_are_named(arguments):
    with pytest.raises(ValueError, match="search_weights: scale must be positive and steps >= 1"):
        search_weights(BALANCE, **{"goal": 1.0, "scale": 1.0, "key": 0, "steps": 1, **arguments})


def test_riders_by_hand_ride_and_without_their_gains_they_do_not():
    assert (ride(balance_rider(), BALANCE, rides=20, key=0).lengths == 1000).all()
    wrong = type(balance_rider())(tuple(tuple(-g for g in row) for row in balance_rider().gain))
    assert (ride(wrong, BALANCE, rides=20, key=0).lengths < 250).all()


def test_a_rider_by_hand_needs_no_rates():
    rider = balance_rider(rates=False)
    assert (ride(rider, BALANCE, rides=20, key=0, environment_arguments={"rates": False}).lengths == 1000).all()
    wrong = type(rider)(tuple(tuple(-g for g in row) for row in rider.gain))
    assert (ride(wrong, BALANCE, rides=20, key=0, environment_arguments={"rates": False}).lengths < 300).all()


def test_the_rider_by_hand_arrives_at_the_goal():
    arguments = {"distance": 30.0, "reward": "sparse", "cap": 2500}
    rides = ride(GoalRider(), "rllab_envs:rllab/BicycleGoal-v0", rides=12, key=0, environment_arguments=arguments)
    assert (rides.returns == 0.01).all()


def test_the_lean_of_a_turn_is_in_balance():
    # linear: 4.624958 ω = 3.327605 θ, of the linearised equations in the tests of the bicycle's facts
    o = np.zeros((1, 6))
    o[0, 4], p = 0.5, Parameters()
    o[0, 0] = 0.05
    o[0, 2] = 0.05 * p.gravity_moment / (2 * p.tyre_centrifugal + p.mass_centrifugal / p.wheelbase)
    assert o[0, 2] == pytest.approx(0.05 * 4.624958 / 3.327605, rel=1e-6)
    np.testing.assert_allclose(GoalRider()(o), 0.0, atol=1e-13)


def test_the_regulator_rides_the_whipple_bicycle_and_saves_torque():
    name, at = "rllab_envs:rllab/WhippleBicycle-v0", {"speed": 3.0, "reward": "quadratic"}
    best = ride(whipple_rider(3.0), name, rides=20, key=0, environment_arguments=at)
    assert (best.lengths == 1000).all()
    doubled = type(whipple_rider(3.0))(tuple(tuple(2 * g for g in row) for row in whipple_rider(3.0).gain))
    worse = ride(doubled, name, rides=20, key=0, environment_arguments=at)  # in the same noise
    assert (best.returns > worse.returns).all()


@pytest.mark.slow
def test_the_script_prints_its_table_and_draws(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(baselines, "SETTINGS", ((4.0, False),))
    arguments = ["--fast", "--out", str(tmp_path / "baselines")]
    monkeypatch.setattr("sys.argv", ["baselines.py", *arguments])
    parts = (baselines.Config, None, baselines.jobs_of, baselines.run, baselines.claims, baselines.figure)
    with pytest.raises(SystemExit) as stop:
        main(*parts)
    assert stop.value.code == 0 and (tmp_path / "baselines" / "baselines.png").exists()
    line = re.search(r"N\(0, 4²\), no b +([\d,]+) ", capsys.readouterr().out)
    assert line and 20 < int(line[1].replace(",", "")) < 400_000
