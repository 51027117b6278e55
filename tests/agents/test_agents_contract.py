"""What all agents share: counts, isolation of evaluation, resuming, seeds, actions, errors; new agents are found."""

from dataclasses import fields

import numpy as np
import pytest
import torch

from rllab.agents import load, off_policy
from tests.proofs.agents import (
    all_of,
    kinds,
    prove_evaluation_changes_nothing_of_learning,
    prove_it_goes_on_after_loading,
    timeless,
)
from tests.proofs.checks import fresh_state
from tests.proofs.toy_environments import CHOICE, DRIFT, LOG

KINDS = kinds()
# the ring is full before the end; updates, which cost most, are some dozens
OFF_POLICY = {"learning_starts": 40, "batch_size": 16, "critic_hidden": (8,), "buffer_size": 120, "train_freq": 4}
SMALL = {
    "ARS": {"n_delta": 2, "n_top": 1},
    "CrossQ": OFF_POLICY,
    "Evolution": {"population": 4},
    "PPO": {"num_envs": 4, "n_steps": 12, "batch_size": 16, "n_epochs": 2},
    "Reinforce": {"episodes": 4},
    "SAC": OFF_POLICY,
    "TD3": OFF_POLICY,
}
STEPS = 200
every = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


@pytest.fixture(autouse=True)
def short_blocks(monkeypatch):
    monkeypatch.setattr(off_policy, "BLOCK", 45)  # several rows a test, and blocks that end within episodes


def make(kind, seed=0, **arguments):
    return kind(DRIFT, seed, **{"hidden": (6,)} | SMALL.get(kind.__name__, {}) | arguments)


@pytest.mark.slow
@every
def test_evaluation_changes_nothing_of_learning(kind):
    prove_evaluation_changes_nothing_of_learning(make(kind), make(kind), STEPS)


@every
def test_evaluation_is_the_same_episodes_whoever_asks_and_however_many(kind):
    agent = make(kind)
    LOG.clear()
    five = agent.evaluate(5)
    seeds = LOG.seeds[-5:]
    LOG.clear()
    three = make(kind, seed=9).evaluate(3)
    assert LOG.seeds[-3:] == seeds[:3] and len(set(seeds)) == 5
    np.testing.assert_array_equal(agent.evaluate(5).returns, five.returns)
    np.testing.assert_allclose(agent.evaluate(3).returns, five.returns[:3], rtol=1e-5)  # float32 sums of other batches
    assert len(three.returns) == 3
    np.testing.assert_array_equal(five.lengths, agent.evaluate(5, environment_arguments={}).lengths)
    capped = agent.evaluate(5, environment_arguments={"cap": 2})
    assert (capped.lengths <= 2).all() and agent.spent.steps == agent.spent.episodes == agent.spent.seconds == 0


@every
def test_no_evaluation_episode_is_met_in_learning(kind):
    agent = make(kind)
    LOG.clear()
    agent.learn(STEPS)
    learned = set(LOG.seeds)
    LOG.clear()
    agent.evaluate(20)
    assert len(set(LOG.seeds)) == 20 and not learned & set(LOG.seeds)


@pytest.mark.slow
@every
@pytest.mark.parametrize("steps", (1, 7, 100, 171))
def test_steps_are_those_taken_and_never_more_than_asked(kind, steps):
    agent = make(kind)
    LOG.clear()
    for asked in (steps, 2 * steps):
        before = agent.spent.steps
        rows = agent.learn(asked)
        assert agent.spent.steps == LOG.steps
        assert asked - 4 < agent.spent.steps - before <= asked  # SMALL plays four episodes side by side at most
        assert rows[-1]["steps"] == agent.spent.steps
    assert agent.spent.episodes >= len(LOG.ends)


@pytest.mark.slow
@every
def test_rows_say_what_was_spent_in_all(kind):
    agent = make(kind)
    rows = agent.learn(STEPS) + agent.learn(STEPS)
    assert all(set(row) == set(rows[0]) for row in rows)
    for name in ("steps", "seconds", "cpu_seconds", "episodes", "updates"):
        column = [row[name] for row in rows]
        assert column == sorted(column) and column[0] >= 0 and column[-1] == getattr(agent.spent, name)
    assert agent.spent.updates > 0 and rows[-1]["seconds"] > 0
    assert any(row["return"] is not None for row in rows)


@pytest.mark.slow
@every
def test_the_clock_stands_still_between_rows(kind, monkeypatch):
    agent, now = make(kind), [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    for row in agent.train(STEPS):
        assert row["seconds"] == 0.0
        now[0] += 100.0
    monkeypatch.setattr("time.perf_counter", lambda: now.__setitem__(0, now[0] + 1) or now[0])
    assert len(agent.learn(10**6, seconds=3.5)) == 4  # each iteration takes a second of this clock
    assert agent.spent.seconds == 4.0


@pytest.mark.slow
@every
def test_a_saved_and_loaded_agent_goes_on_bit_for_bit(kind, tmp_path):
    agent = make(kind, seed=5, observation_scale=(1.5, 2.5), environment_arguments={"cap": 25})
    again = prove_it_goes_on_after_loading(agent, tmp_path / "agent.pt", STEPS)
    assert type(again) is kind
    for name in kind.__dataclass_fields__:
        if name != "_":
            assert getattr(again, name) == getattr(agent, name)
    np.testing.assert_array_equal(again.evaluate(4).returns, agent.evaluate(4).returns)


@every
def test_normalisation_is_learned_in_learning_alone_and_saved(kind, tmp_path):
    if not kind.normalizes:
        with pytest.raises(ValueError, match=f"{kind.__name__}: normalize_observations must be False, got True"):
            make(kind, normalize_observations=True)
        return
    plain, watched, off = (make(kind, normalize_observations=on) for on in (True, True, False))
    prove_evaluation_changes_nothing_of_learning(plain, watched, STEPS)
    off.learn(STEPS)
    assert not torch.equal(off.weights, plain.weights)
    again = prove_it_goes_on_after_loading(watched, tmp_path / "agent.pt", STEPS)
    moments = again.normalizer
    assert 2 * STEPS < moments.count <= again.spent.steps
    o = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
    seen = (o / np.array(again.policy.scale) - moments.mean.numpy()) / moments.variance.sqrt().numpy()
    with torch.no_grad():
        outputs = again.policy(again.weights, torch.from_numpy(seen.astype(np.float32))).numpy()
    np.testing.assert_allclose(again.act(o), again.policy.to_environment(outputs), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@every
def test_the_same_seed_learns_the_same_and_another_does_not(kind):
    agents = [make(kind, seed) for seed in (1, 1, 2)]
    rows = [timeless(agent.learn(STEPS)) for agent in agents]
    assert all_of(agents[0]) == all_of(agents[1]) and rows[0] == rows[1]
    assert agents[0].weights.tolist() != agents[2].weights.tolist() and rows[0] != rows[2]


@pytest.mark.slow
@every
def test_global_generators_are_left_alone(kind, tmp_path):
    before = fresh_state()
    agent = make(kind)
    agent.learn(STEPS)
    agent.evaluate(2)
    agent.save(tmp_path / "agent.pt")
    load(tmp_path / "agent.pt").learn(STEPS)
    assert fresh_state() == before


@every
def test_it_acts_on_one_observation_or_many_within_the_box(kind):
    agent = make(kind)
    agent.learn(STEPS)
    observations = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
    many = agent.act(observations)
    assert many.shape == (5, 1) and many.dtype == np.float32
    for o, a in zip(observations, many, strict=True):
        one = agent.act(o)
        assert one.shape == (1,)
        np.testing.assert_allclose(one, a, rtol=1e-5, atol=1e-6)
    with torch.no_grad():
        scaled = observations / np.array(agent.policy.scale, np.float32)
        expected = agent.policy(agent.weights, torch.from_numpy(agent._normalized(scaled)))
    np.testing.assert_allclose(many, agent.policy.to_environment(expected.numpy()), rtol=1e-5, atol=1e-6)


@every
def test_discrete_actions_are_learned_or_refused(kind):
    arguments = {"hidden": (6,)} | SMALL.get(kind.__name__, {})
    try:
        agent = kind(CHOICE, **arguments)
    except ValueError as error:
        others = ", ".join(other.__name__ for other in KINDS if other.takes_choices)
        refused = f"{kind.__name__}: actions must be a Box, got Discrete(3); these agents learn them: {others}"
        assert str(error) == refused and not kind.takes_choices
        return
    agent.learn(STEPS)
    actions = agent.act(np.eye(3))
    assert actions.shape == (3,) and agent.act(np.eye(3)[0]) == actions[0] and set(actions) <= {0, 1, 2}


@every
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"environment": "Nowhere-v0"}, "environment must be the id of a Gymnasium environment, got 'Nowhere-v0'"),
        ({"environment_arguments": {"colour": 1}}, "environment must be the id of a Gymnasium environment, .*colour"),
        ({"observation_scale": (1.0,)}, "observation_scale must be 2 positive numbers, got"),
        ({"observation_scale": (1.0, -1.0)}, "observation_scale must be 2 positive numbers, got"),
        ({"hidden": (8, 0)}, r"hidden must be widths >= 1, got \(8, 0\)"),
        ({"lr": 0.0}, "lr must be positive and finite, got 0.0"),
        ({"lr": float("inf")}, "lr must be positive and finite, got inf"),
    ],
)
def test_wrong_arguments_are_named_with_the_agent(kind, arguments, message):
    right = {"environment": DRIFT, "hidden": (6,)} | SMALL.get(kind.__name__, {})
    with pytest.raises(ValueError, match=f"^{kind.__name__}: {message}"):
        kind(**right | arguments)


@every
@pytest.mark.parametrize("wrong", ["false", 0])
def test_what_is_on_or_off_is_no_text_that_would_be_taken_for_on(kind, wrong):
    switches = [f.name for f in fields(kind) if isinstance(f.default, bool)]
    assert "normalize_observations" in switches
    for name in switches:
        with pytest.raises(TypeError, match=f"^{kind.__name__}: {name} must be True or False, got {wrong!r}"):
            make(kind, **{name: wrong})


@every
def test_nothing_can_be_learned_or_judged_from_no_steps(kind):
    agent = make(kind)
    for wrong in ({"steps": 0}, {"steps": -5}, {"steps": 20.5}, {"steps": float("nan")}):
        with pytest.raises(ValueError, match=f"{kind.__name__}: steps must be an integer >= 1, got"):
            agent.learn(**wrong)
    with pytest.raises(ValueError, match=f"{kind.__name__}: seconds must be positive, got 0.0"):
        agent.learn(10, seconds=0.0)
    with pytest.raises(ValueError, match=f"{kind.__name__}: episodes must be an integer >= 1, got 0"):
        agent.evaluate(0)
    assert agent.spent.steps == 0


def test_every_agent_has_an_example_here():
    assert {kind.__name__ for kind in KINDS} == set(SMALL)
