"""Environments of one's own: a factory or an id, wrappers in order, saved as far as a file can hold them."""

import re

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.wrappers import NormalizeObservation, NormalizeReward, TimeAwareObservation, TimeLimit, TransformReward

from rllab.agents import SAC, TD3, CrossQ, Evolution, Reinforce, load
from rllab.agents.environments import SingleEnvironments
from rllab.agents.making import Maker
from rllab.agents.vectorization import make_environments
from tests.proofs.agents import all_of, kinds, timeless
from tests.proofs.toy_environments import CHOICE, DRIFT, LOG, Choice, Drift

OFF_POLICY = {"learning_starts": 40, "batch_size": 16, "critic_hidden": (8,), "train_freq": 4}
SMALL = {
    "ARS": {"n_delta": 2, "n_top": 1},
    "Evolution": {"population": 4},
    "PPO": {"num_envs": 4, "n_steps": 12, "batch_size": 16, "n_epochs": 2},
    "Reinforce": {"episodes": 4},
    "CrossQ": OFF_POLICY,
    "SAC": OFF_POLICY,
    "TD3": OFF_POLICY,
}
KINDS = [kind for kind in kinds() if kind.__name__ in SMALL]
every = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


def make(kind, environment=DRIFT, **arguments):
    return kind(environment, 3, **{"hidden": (6,)} | SMALL[kind.__name__] | arguments)


def timed(cap=30):
    return TimeLimit(Drift(cap=cap), 20)


def halved(env):
    return TransformReward(env, lambda r: r / 2)


def shifted(env):
    return TransformReward(env, lambda r: r - 1)


@pytest.mark.slow
@every
def test_a_factory_is_learned_as_the_same_environment_by_id(kind):
    by_id, own = make(kind, environment_arguments={"cap": 20}), make(kind, lambda: Drift(cap=20))
    assert timeless(by_id.learn(300)) == timeless(own.learn(300)) and all_of(by_id) == all_of(own)
    np.testing.assert_array_equal(by_id.evaluate(3).returns, own.evaluate(3).returns)


@every
@pytest.mark.parametrize(
    ("wrapper", "instead"),
    (
        (NormalizeObservation, "normalize_observations=True, or observation_scale"),
        (NormalizeReward, "PPO's normalize_costs, or TransformReward with a fixed factor"),
    ),
)
def test_a_wrapper_that_evaluation_would_be_without_is_refused(kind, wrapper, instead):
    """Statistics that grew in training are not in the environments of an evaluation, whose returns would be others."""
    message = re.escape(
        f"{kind.__name__}: no wrapper may normalise by what it has seen, as {wrapper.__name__} does: evaluation and "
        f"files would be without it; take {instead}"
    )
    with pytest.raises(ValueError, match=message):
        make(kind, wrappers=[wrapper])
    with pytest.raises(ValueError, match=message):  # wherever it comes from
        make(kind, lambda: TransformReward(wrapper(Drift()), lambda r: r))


@every
def test_a_factory_is_given_the_arguments_of_the_environment(kind):
    agent = make(kind, timed, environment_arguments={"cap": 4})
    assert (agent.evaluate(4).lengths <= 4).all()
    assert agent.evaluate(4, environment_arguments={"cap": 40}).lengths.max() == 20


def test_wrappers_are_applied_in_order_in_learning_and_evaluation():
    plain = make(Evolution).evaluate(4)
    for wrappers, shift in (((halved, shifted), 1.0), ((shifted, halved), 0.5)):
        played = make(Evolution, wrappers=wrappers).evaluate(4)
        np.testing.assert_allclose(played.returns, 0.5 * plain.returns - shift * plain.lengths, rtol=1e-12)
    agent = make(TD3, wrappers=[lambda env: TimeLimit(env, 20), TimeAwareObservation])
    agent.learn(100)
    assert agent.replay.widths[0] == 3


def test_a_wrapped_id_is_not_played_in_its_vector_form():
    bicycle = "rllab_envs:rllab/BicycleBalance-v0"
    assert not isinstance(make_environments(Maker("Test", bicycle), 2), SingleEnvironments)
    assert isinstance(make_environments(Maker("Test", bicycle, wrappers=(halved,)), 2), SingleEnvironments)


ONE = Drift()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"environment": lambda: ONE}, ValueError, "the factory must make a new environment at every call, got the sa"),
        (
            {"environment": ONE},
            TypeError,
            r"environment must be the id of .*, or a factory that makes one \(lambda: …\)",
        ),
        ({"environment": lambda: 5}, TypeError, "the factory must return a gymnasium.Env, got 5"),
        ({"wrappers": [lambda env: None]}, TypeError, r"wrappers\[0\] must return a gymnasium.Env, got None"),
        ({"wrappers": [5]}, TypeError, r"wrappers must be a list of callables env -> env, got \[5\]"),
        ({"wrappers": TimeAwareObservation}, TypeError, "wrappers must be a list of callables"),
    ],
)
@every
def test_what_makes_no_environment_is_refused(kind, arguments, error, message):
    with pytest.raises(error, match=f"^{kind.__name__}: {message}"):
        kind(**{"environment": DRIFT} | arguments)


# ---- observations and actions of every space


class Room(gymnasium.Env):
    """A dict with a tuple in it, and whatever actions; rewarded by how many components of the action are 1."""

    observation_space = spaces.Dict(
        place=spaces.Discrete(3, start=1), more=spaces.Tuple((spaces.MultiBinary(2), spaces.Box(-1, 1, (2, 2))))
    )

    def __init__(self, actions, wrong=None):
        self.action_space, self.wrong = actions, wrong

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return self._seen(), {}

    def step(self, action):
        assert self.action_space.contains(action), action
        self.t += 1
        seen = self._seen() if self.wrong is None else self.wrong
        return seen, float(np.mean(np.asarray(action) == 1)), False, self.t == 5, {}

    def _seen(self):
        r = self.np_random
        box = r.uniform(-1, 1, (2, 2)).astype(np.float32)
        return {"place": int(r.integers(1, 4)), "more": (r.integers(0, 2, 2).astype(np.int8), box)}


ACTIONS = [
    spaces.Box(-1, 1, (2, 2)),
    spaces.Box(0, 3, (2,), np.int16),
    spaces.Discrete(3, start=-1),
    spaces.MultiDiscrete([2, 3]),
    spaces.MultiDiscrete([[2, 2], [3, 4]], start=[[0, 1], [1, -1]]),
    spaces.MultiBinary(3),
    spaces.MultiBinary([2, 2]),
]


@pytest.mark.slow
@every
@pytest.mark.parametrize("actions", ACTIONS, ids=str)
def test_every_space_is_learned_or_refused_in_a_sentence(kind, actions):
    try:
        agent = make(kind, lambda: Room(actions))
    except ValueError as error:
        assert not isinstance(actions, spaces.Box) and not kind.takes_choices
        assert str(error).startswith(
            f"{kind.__name__}: actions must be a Box, got {actions}; these agents learn them: "
        )
        return
    assert len(agent.policy.scale) == 3 + 2 + 4
    agent.learn(120)
    assert agent.evaluate(2).complete and agent.spent.updates > 0
    env = Room(actions)
    one, _ = env.reset(seed=0)
    single = agent.act(one)
    assert actions.contains(single)
    many = {"place": np.full(4, one["place"]), "more": tuple(np.stack([part] * 4) for part in one["more"])}
    assert agent.act(many).shape == (4, *actions.shape)
    np.testing.assert_allclose(agent.act(many)[3], single, rtol=1e-5)


@pytest.mark.parametrize(
    "wrong", (np.zeros(9), {"place": 0}, {"place": 4, "more": (np.ones(2, int), np.zeros((2, 2)))})
)
@every
def test_an_observation_that_is_not_of_its_space_is_refused(kind, wrong):
    agent = make(kind, lambda: Room(ACTIONS[0], wrong))
    with pytest.raises(ValueError, match=rf"^{kind.__name__}: environment 'Room' must give observations of Dict\("):
        agent.learn(100)
    with pytest.raises(ValueError, match=rf"^{kind.__name__}: observations must be Dict\(.*one or n of them, got"):
        agent.act(wrong)


@pytest.mark.slow
@pytest.mark.parametrize("actions", ACTIONS[2:], ids=str)
def test_reinforce_learns_choices_of_every_kind(actions):
    agent = Reinforce(lambda: Room(actions), hidden=(), episodes=16, lr=0.2)
    agent.learn(16 * 5 * 12)
    assert agent.evaluate(5).returns.mean() > 4.5  # of 5, which seeds 0–3 get after 10 updates; at random at most 3


# ---- saved and loaded


@pytest.mark.slow
@every
def test_what_a_file_cannot_hold_is_given_again(kind, tmp_path):
    path, shown = tmp_path / "agent.pt", re.escape(repr(timed)[:20])
    agent = make(kind, timed, wrappers=[halved], environment_arguments={"cap": 9})
    agent.learn(150)
    agent.save(path)
    with pytest.raises(ValueError, match=rf"load: .*agent.pt must hold.*does not hold environment \(it was {shown}"):
        load(path)
    with pytest.raises(
        ValueError, match=r"does not hold wrappers \(it was \[<function halved.*load\(path, wrappers=…\)"
    ):
        load(path, environment=timed)
    with pytest.raises(ValueError, match=r"it has no setting 'colour'; it has .*actor, "):
        load(path, environment=timed, wrappers=[halved], colour=1)
    again = load(path, environment=timed, wrappers=[halved])
    assert again.environment_arguments == {"cap": 9} and all_of(again) == all_of(agent)
    assert timeless(again.learn(150)) == timeless(agent.learn(150)) and all_of(again) == all_of(agent)


def test_an_argument_of_the_environment_that_is_no_plain_value_is_given_again(tmp_path):
    path, dtype = tmp_path / "agent.pt", {"dtype": np.float64}
    agent = Evolution("rllab_envs:rllab/BicycleBalance-v0", population=2, hidden=(), environment_arguments=dtype)
    agent.save(path)
    with pytest.raises(ValueError, match=r"does not hold environment_arguments \(it was \{'dtype'.*float64"):
        load(path)
    assert all_of(load(path, environment_arguments=dtype)) == all_of(agent)


def test_a_file_may_be_continued_elsewhere(tmp_path):
    agent = make(Evolution, CHOICE)
    agent.save(tmp_path / "agent.pt")
    LOG.clear()
    again = load(tmp_path / "agent.pt", environment=Choice)
    assert again.environment is Choice and again.learn(20)


# ---- environments side by side


def prove_every_transition_is_of_one_environment(agent):
    """Drift's noise is within ±0.3, and what it shows of x' must follow from x and the action."""
    agent.learn(400)
    o, a, _, following, _ = agent.replay.table[: len(agent.replay)].split(agent.replay.widths, 1)
    scale = agent.policy.scale[0]
    noise = scale * (following[:, 0] - 0.9 * o[:, 0]) - 0.3 * (0.5 + 2.0 * a[:, 0])
    assert noise.abs().max() <= 0.3 + 1e-5 and noise.abs().max() > 0.29


def make_several(kind, num_envs):
    # the last of 400 steps are by the policy, and pay for an update each
    return make(kind, num_envs=num_envs, buffer_size=500, learning_starts=340, train_freq=1)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "num_envs"), ((TD3, 1), (TD3, 3), (TD3, 4), (SAC, 3), (CrossQ, 3)))
def test_off_policy_agents_learn_from_environments_side_by_side(kind, num_envs, tmp_path):
    agent = make_several(kind, num_envs)
    prove_every_transition_is_of_one_environment(agent)
    assert agent.spent.steps == 400 // num_envs * num_envs == len(agent.replay)
    assert agent.critic_updates == agent.spent.steps - 340  # one for each step after the start, however many at a time
    agent.save(tmp_path / "agent.pt")
    again = load(tmp_path / "agent.pt")
    assert all_of(again) == all_of(agent)
    assert timeless(again.learn(60)) == timeless(agent.learn(60)) and all_of(again) == all_of(agent)


def test_crossed_environments_are_caught():
    agent = make_several(TD3, 3)
    store = agent.collector._store
    agent.collector._store = lambda taken: store(taken._replace(next_observations=taken.next_observations[::-1]))
    with pytest.raises(AssertionError):
        prove_every_transition_is_of_one_environment(agent)
