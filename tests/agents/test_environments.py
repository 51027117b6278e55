"""Environments: what they give is copied, converted where it is plain what is meant, or refused by name."""

import re

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from rllab.agents import TD3, Evolution, Reinforce
from rllab.agents.environments import Environment
from rllab.agents.making import Maker
from rllab.agents.rollouts import rollout
from rllab.agents.vectorization import make_environments
from tests.proofs.agents import kinds

KINDS = kinds()
OFF_POLICY = {"learning_starts": 20, "batch_size": 8, "critic_hidden": (4,)}
SMALL = {
    "ARS": {"n_delta": 2, "n_top": 1},
    "CrossQ": OFF_POLICY,
    "Evolution": {"population": 4},
    "PPO": {"num_envs": 4, "n_steps": 4, "batch_size": 8, "n_epochs": 2},
    "Reinforce": {"episodes": 4},
    "SAC": OFF_POLICY,
    "TD3": OFF_POLICY,
}
every = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
pytestmark = pytest.mark.filterwarnings("ignore:.*:UserWarning:gymnasium")  # Gymnasium says some of it too


class Odd(gymnasium.Env):
    """Episodes of `cap` steps that give at step `at` what they are told to, and at every step with `at=0`."""

    observation_space = spaces.Box(-1, 1, (2,), np.float32)

    def __init__(self, at=0, cap=6, box=None, seeds=None, seen=None, **given):
        self.at, self.cap, self.seeds, self.seen, self.given = at, cap, seeds, seen, given
        self.action_space = box or spaces.Box(-1, 1, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        if self.seeds is not None:
            self.seeds.append(seed)
            np.random.RandomState(seed)  # raises a ValueError from 2³² on
            seed = seed % 100
        super().reset(seed=seed)
        self.t = 0
        return np.array([0.5, -0.5], np.float32), {}

    def step(self, action):
        if self.seen is not None:
            self.seen.append(action)
        self.t += 1
        answer = {
            "observation": self.np_random.uniform(-1, 1, 2).astype(np.float32),
            "reward": -float(np.square(action).sum()),
            "terminated": False,
            "truncated": self.t >= self.cap,
        }
        if self.t == self.at or self.at == 0:
            for name, value in self.given.items():
                answer[name] = value(self) if callable(value) else value
        return (*answer.values(), {})


class OddVector(VectorEnv):
    """Gives arrays which it writes over at its next step, and writes over the actions it was given."""

    def __init__(self, num_envs, autoreset_mode=AutoresetMode.DISABLED, copies=False, kind=None):
        self.num_envs, self.metadata, self.copies = num_envs, {"autoreset_mode": autoreset_mode}, copies
        self.single_observation_space = Odd.observation_space
        self.single_action_space = spaces.Discrete(3) if kind == "discrete" else spaces.Box(-1, 1, (1,), np.float32)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.o, self.r = np.ones((num_envs, 2), np.float32), np.zeros(num_envs)
        self.terminated, self.truncated = np.zeros(num_envs, bool), np.zeros(num_envs, bool)

    def reset(self, *, seed=None, options=None):
        self.t = 0
        return self.o, {}

    def step(self, actions):
        self.t += 1
        self.r[:] = self.t * np.asarray(actions, float).reshape(self.num_envs)
        actions[...] = 0
        self.truncated[:] = self.t >= 2 + np.arange(self.num_envs)
        answer = self.o, self.r, self.terminated, self.truncated
        return (*(part.copy() if self.copies else part for part in answer), {})


class OddChoice(Odd):
    def __init__(self, copies=False, kind=None):
        super().__init__()
        self.action_space = spaces.Discrete(3) if kind == "discrete" else self.action_space


gymnasium.register("rllab-tests/Odd-v0", Odd, disable_env_checker=True)
gymnasium.register("rllab-tests/Checked-v0", Odd)
gymnasium.register("rllab-tests/OddVector-v0", OddChoice, vector_entry_point=OddVector)
ODD, CHECKED, VECTOR = "rllab-tests/Odd-v0", "rllab-tests/Checked-v0", "rllab-tests/OddVector-v0"


def make(kind, environment=ODD, **arguments):
    return kind(environment, hidden=(), environment_arguments=arguments, **SMALL[kind.__name__])


REFUSED = [
    ({"reward": float("nan")}, "rewards that are finite in single precision, got nan"),
    ({"reward": -np.inf}, "rewards that are finite in single precision, got -inf"),
    ({"reward": np.float64(1e39)}, r"rewards that are finite in single precision, got 1e\+39"),
    ({"reward": np.zeros(2)}, r"rewards that are numbers, got array\(\[0., 0.\]\) of shape \(2,\)"),
    ({"reward": None}, "rewards that are numbers, got None"),
    ({"reward": "1"}, "rewards that are numbers, got '1'"),
    ({"observation": np.array([np.nan, 0], np.float32)}, "observations that are finite in single precision, got nan"),
    ({"observation": np.array([0, np.inf], np.float32)}, "observations that are finite in single precision, got inf"),
    ({"observation": np.zeros(3, np.float32)}, r"observations of numbers \(2,\), got array"),
    ({"observation": [[0.0], [0.0, 1.0]]}, r"observations of numbers \(2,\), got"),
    ({"terminated": 2}, "terminated flags that are True or False, got 2"),
    ({"terminated": 0.0}, "terminated flags that are True or False, got 0.0"),
    ({"truncated": None}, "truncated flags that are True or False, got None"),
    ({"truncated": "no"}, "truncated flags that are True or False, got 'no'"),
]


@every
@pytest.mark.parametrize(("given", "message"), REFUSED, ids=lambda given: str(given)[:40])
def test_what_cannot_be_learned_from_is_refused_by_name_and_the_steps_are_paid_for(kind, given, message):
    agent = make(kind, at=3, **given)
    expected = f"^{kind.__name__}: environment '{ODD}' must give {message}.* at step 3$"
    with pytest.raises(ValueError, match=expected):
        agent.learn(200)
    assert torch.isfinite(agent.weights).all()
    assert agent.spent.steps == (3 if SMALL[kind.__name__] is OFF_POLICY else 9)
    with pytest.raises(ValueError, match=expected):
        agent.evaluate(2)


@pytest.mark.parametrize("kind", (Evolution, Reinforce), ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("over", (lambda yes: int(yes), np.int64, np.bool_, lambda yes: np.array([yes])))
def test_flags_that_are_ints_end_episodes(kind, over):
    agent = make(kind, terminated=lambda env: over(env.t >= 5), truncated=lambda env: over(False))
    assert agent.learn(400)[-1]["updates"] == 20
    assert agent.evaluate(3).lengths.tolist() == [5, 5, 5]
    td3 = make(TD3, terminated=lambda env: over(env.t >= 5), truncated=lambda env: over(False))
    td3.learn(40)
    assert td3.spent.episodes == 8 and td3.replay.table[:40, -1].sum() == 8


@pytest.mark.slow
@every
def test_a_reward_is_the_same_number_in_whatever_form_it_comes(kind):
    weights = []
    for form in (
        float,
        np.float64,
        lambda r: np.array([r]),
        np.array,
        lambda r: torch.tensor([r], dtype=torch.float64),
    ):
        agent = make(kind, reward=lambda env, form=form: form(-env.t / 4))
        agent.learn(60)
        weights.append(agent.weights.tolist())
    assert all(w == weights[0] for w in weights)


@pytest.mark.parametrize("kind", ("box", "discrete"))
def test_a_vector_environment_may_reuse_its_arrays(kind):
    learned = []
    for copies in (True, False):
        agent = Reinforce(VECTOR, hidden=(), episodes=4, lr=0.1, environment_arguments={"copies": copies, "kind": kind})
        agent.learn(20 * 14)
        learned.append(agent.weights.tolist())
        assert agent.spent.updates == 20
    assert learned[0] == learned[1] and max(map(abs, learned[0])) > 0.1


def test_actions_reach_a_box_in_its_own_dtype_and_never_leave_it():
    boxes = [
        spaces.Box(-0.1, 0.1, (1,), np.float64),
        spaces.Box(0.1, 0.7, (1,), np.float64),
        spaces.Box(-3, 4, (1,), np.int32),
        spaces.Box(0, 255, (1,), np.uint8),
        spaces.Box(-0.1, 0.1, (1,), np.float32),
    ]
    for box in boxes:
        for kind in KINDS:
            seen = []
            agent = make(kind, box=box, seen=seen)
            if kind is Reinforce:
                agent = Reinforce(ODD, hidden=(), episodes=4, std=3.0, environment_arguments=dict(box=box, seen=seen))
            agent.learn(40)
            assert all(box.contains(action) for action in seen), (kind, box)
            if kind is not Evolution:
                assert len({float(a[0]) for a in seen}) > 3
    extremes = make(Evolution, box=boxes[2]).policy.to_environment(np.array([[-1], [-0.8], [0.1], [1]]))
    assert extremes[:, 0].tolist() == [-3, -2, 1, 4]  # of −3, −2.3, 0.85 and 4


def test_integers_that_are_no_floats_are_no_actions():
    with pytest.raises(ValueError, match=r"actions must be a bounded Box, Discrete, .* got Box"):
        make(Evolution, box=spaces.Box(-(2**62), 2**62, (1,), np.int64))


@every
def test_a_generator_of_32_bits_gets_seeds_it_takes(kind):
    seeds = []
    agent = make(kind, environment=CHECKED, seeds=seeds)
    agent.learn(120)
    assert agent.evaluate(2).complete
    taken = [seed for seed in seeds if seed < 2**32]
    assert len(set(taken)) > 4 and all(0 <= seed < 2**31 for seed in taken)
    assert len(seeds) - len(taken) <= 1 + 4 + 2  # each environment refuses once


def test_a_reset_that_fails_for_another_reason_says_its_own():
    class Broken(Odd):
        def reset(self, *, seed=None, options=None):
            raise ValueError("no track to start from")

    gymnasium.register(f"rllab-tests/Broken{id(Broken)}-v0", Broken)
    with pytest.raises(ValueError, match="no track to start from"):
        Environment(Maker("Test", f"rllab-tests/Broken{id(Broken)}-v0")).reset(2**40)


@every
def test_an_endless_environment_is_cut_off_and_that_is_said(kind, monkeypatch):
    agent = make(kind, cap=10**18)
    played = agent.evaluate(2, max_steps=50)
    assert (played.complete, played.lengths.tolist(), played.steps) == (False, [50, 50], 100)
    monkeypatch.setattr("rllab.agents.base.LONGEST", 70)
    with pytest.warns(UserWarning, match=rf"{kind.__name__}: an episode of '{ODD}' had not ended after 70 steps"):
        assert agent.evaluate(1).lengths.tolist() == [70]
    assert make(kind, cap=50).evaluate(2, max_steps=50).complete


def test_an_episode_that_is_cut_off_takes_nothing_from_the_others():
    environments = make_environments(Maker("Test", VECTOR), 5)  # of 2, 3, … steps
    played = rollout(environments, lambda o, live: np.ones((len(live), 1)), range(5), longest=4)
    assert played.lengths.tolist() == [2, 3, 4, 4, 4] and not played.complete


@every
def test_observations_of_another_width_are_no_question_to_act_on(kind):
    agent = make(kind)
    for wrong in (np.zeros(3), np.zeros((5, 1)), np.zeros((1, 1, 2)), np.float64(0.0), ["a", "b"]):
        with pytest.raises(ValueError, match=rf"{kind.__name__}: observations must be numbers \(2,\), one or n of"):
            agent.act(wrong)
    with pytest.raises(ValueError, match=f"{kind.__name__}: observations must be finite, got nan"):
        agent.act(np.array([0.0, np.nan]))


def test_an_error_without_a_text_is_named_by_its_kind():
    class Silent(Odd):
        def __init__(self):
            raise ValueError

    name = f"rllab-tests/Silent{id(Silent)}-v0"
    gymnasium.register(name, Silent)
    with pytest.raises(ValueError, match=re.escape(f"got '{name}': ValueError")):
        Evolution(name)
