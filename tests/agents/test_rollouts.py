"""Rollouts: every environment plays one episode under its own seed, paid for to the step, however it is run."""

import gymnasium
import numpy as np
import pytest

from rllab.agents.environments import SingleEnvironments, VectorEnvironments
from rllab.agents.making import Maker
from rllab.agents.rollouts import rollout
from rllab.agents.vectorization import make_environments
from tests.proofs.toy_environments import DRIFT, LOG

BICYCLE = "rllab_envs:rllab/BicycleBalance-v0"
SEEDS = [11, 12, 13, 14, 12, 16, 17]


def wobbling(k):
    """Actions (m, k) that depend on environment and observation; elementwise: no sum depends on how many are alive."""
    gains = np.random.default_rng(0).normal(size=(len(SEEDS), k))
    return lambda o, live: np.clip(gains[live] * np.tanh(3 * o[:, :1]) - o[:, 1:2], -1, 1).astype(np.float32)


def history(environments, seeds, act, **options):
    """Play; also return what `act` and `watch` were given in every round."""
    seen = []

    def watched(o, live):
        seen.append([live.copy(), o.copy()])
        return act(o, live)

    played = rollout(
        environments, watched, seeds, watch=lambda live, rewards: seen[-1].extend((live, rewards.copy())), **options
    )
    return played, seen


@pytest.mark.parametrize("variant", ("author", "ernst"))
def test_the_bicycles_vector_form_is_single_bicycles_number_for_number(variant):
    arguments = {"variant": variant, "cap": 400}
    native = make_environments(Maker("Test", BICYCLE, arguments), len(SEEDS))
    single = SingleEnvironments(Maker("Test", BICYCLE, arguments), len(SEEDS))
    assert isinstance(native, VectorEnvironments)
    for _ in range(2):  # the second time after all have ended
        (a, left), (b, right) = history(native, SEEDS, wobbling(2)), history(single, SEEDS, wobbling(2))
        np.testing.assert_array_equal(a.returns, b.returns)
        np.testing.assert_array_equal(a.lengths, b.lengths)
        assert a.steps == b.steps and len(left) == len(right)
        for one, other in zip(left, right, strict=True):
            for x, y in zip(one, other, strict=True):
                np.testing.assert_array_equal(x, y)
    assert len(set(a.lengths)) > 2  # they ended at different times


def test_a_vector_form_that_resets_by_itself_is_not_used():
    assert gymnasium.spec("CartPole-v1").vector_entry_point is not None
    assert isinstance(make_environments(Maker("Test", "CartPole-v1"), 2), SingleEnvironments)


@pytest.mark.parametrize(("environment", "k"), ((BICYCLE, 2), (DRIFT, 1)))
def test_equal_seeds_meet_equal_noise_and_others_do_not(environment, k):
    def same(o, live):
        return np.tile(np.tanh(o[:, :1]), k).astype(np.float32)

    played, seen = history(make_environments(Maker("Test", environment, {}), len(SEEDS)), SEEDS, same)
    twins = [i for i, seed in enumerate(SEEDS) if seed == 12]
    assert played.lengths[twins[0]] == played.lengths[twins[1]]
    assert played.returns[twins[0]] == played.returns[twins[1]]
    _, second, *_ = seen[1]  # a bicycle's first observation is the same for all
    assert len({second[i].tobytes() for i in range(len(SEEDS))}) == len(set(SEEDS))


@pytest.mark.parametrize(("environment", "k"), ((BICYCLE, 2), (DRIFT, 1)))
def test_an_environment_is_what_it_would_be_alone(environment, k):
    act = wobbling(k)
    together = rollout(make_environments(Maker("Test", environment, {}), len(SEEDS)), act, SEEDS)
    assert len(set(together.lengths)) > 2
    one = make_environments(Maker("Test", environment, {}), 1)
    for i, seed in enumerate(SEEDS):
        alone = rollout(one, lambda o, live, i=i: act(o, live + i), [seed])
        assert (alone.returns[0], alone.lengths[0]) == (together.returns[i], together.lengths[i])


def test_steps_are_counted_as_taken_and_those_that_ended_are_left_alone():
    LOG.clear()  # the environment raises if it is stepped after its end
    played, seen = history(make_environments(Maker("Test", DRIFT, {}), len(SEEDS)), SEEDS, wobbling(1))
    assert played.complete
    assert played.steps == played.lengths.sum() == LOG.steps
    assert LOG.seeds == SEEDS and len(LOG.ends) == len(SEEDS)
    assert {(True, False), (False, True)} <= set(LOG.ends)  # both ways to end were met
    returns = np.zeros(len(SEEDS))
    for live, _, told, rewards in seen:
        np.testing.assert_array_equal(live, told)
        returns[told] += rewards
    np.testing.assert_array_equal(returns, played.returns)


def test_the_step_limit_is_never_exceeded():
    environments, act = make_environments(Maker("Test", DRIFT, {}), len(SEEDS)), wobbling(1)
    whole = rollout(environments, act, SEEDS)
    for limit in range(whole.steps + 2):
        LOG.clear()
        played = rollout(environments, act, SEEDS, limit=limit)
        assert played.steps == LOG.steps == played.lengths.sum() <= limit
        assert played.complete == (limit >= whole.steps)
        assert limit - played.steps < len(SEEDS) or played.complete
    np.testing.assert_array_equal(played.returns, whole.returns)


@pytest.mark.parametrize(
    ("environment", "arguments"),
    [("Nowhere-v0", {}), ("no_such_module:Nowhere-v0", {}), (DRIFT, {"colour": "red"}), (BICYCLE, {"variant": "fish"})],
)
def test_an_environment_that_cannot_be_made_is_named(environment, arguments):
    with pytest.raises(ValueError, match=f"Somebody: environment must be .*{environment}"):
        Maker("Somebody", environment, arguments)()
    with pytest.raises(ValueError, match=f"Somebody: environment must be .*{environment}"):
        make_environments(Maker("Somebody", environment, arguments), 2)
