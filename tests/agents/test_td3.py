"""TD3: one update is its equations, computed by torch's modules; only termination stops the bootstrap."""

import gymnasium
import numpy as np
import pytest
import torch

from rllab.agents import TD3, off_policy
from rllab.agents.replay import Batch, Replay
from rllab.estimate import Kind
from tests.proofs.agents import (
    Twin,
    prove_only_termination_stops_the_bootstrap,
    prove_td3_updates_as_its_equations_say,
    random_batch,
    td3_agent,
)
from tests.proofs.toy_environments import CHOICE, DRIFT, HIGH, LOG, LOW


def test_critics_actor_and_targets_follow_the_equations_update_by_update():
    prove_td3_updates_as_its_equations_say(TD3)


def test_only_termination_stops_the_bootstrap_a_time_limit_does_not():
    prove_only_termination_stops_the_bootstrap(TD3)


def test_the_larger_of_two_costs_is_believed():
    agent = td3_agent(TD3)
    batch, smoothing = random_batch(400, 0)
    agent.critics.targets.normal_(generator=torch.Generator().manual_seed(4))
    agent.critics.targets[:, -1] = 0  # without their last biases each of the two is the larger somewhere
    both = []
    for i in (0, 1):
        only = td3_agent(TD3)
        only.learned_actor.targets.copy_(agent.learned_actor.targets)
        only.critics.targets.copy_(agent.critics.targets[i].expand(2, -1))
        both.append(only.target(batch, smoothing))
    torch.testing.assert_close(agent.target(batch, smoothing), torch.maximum(*both))
    going = batch.terminated == 0
    assert 0 < (both[0] > both[1])[going].sum() < going.sum()  # each of them is the larger somewhere


def test_target_noise_is_clipped_and_actions_stay_in_the_box():
    agent = td3_agent(TD3, target_policy_noise=0.2, target_noise_clip=0.5)
    batch, _ = random_batch(6, 1)
    edge = 0.5 / 0.2

    def y(noise):
        return agent.target(batch, torch.full((6, 1), noise))

    assert not torch.equal(y(edge - 0.5), y(edge))
    assert torch.equal(y(edge), y(edge + 3)) and torch.equal(y(-edge), y(-edge - 3))
    assert not torch.equal(y(edge), y(-edge))
    with torch.no_grad():
        agent.learned_actor.targets[-1] = 20.0  # the actor's last bias: tanh saturates at 1
    assert torch.equal(y(0.0), y(2.0)) and not torch.equal(y(0.0), y(-2.0))


def test_the_actors_gradient_is_the_slope_of_its_cost():
    agent = td3_agent(TD3, observation_scale=(2.0, 0.5))
    for i in range(6):  # off its first weights
        agent.update(*random_batch(12, i))
    o = np.random.default_rng(0).normal(size=(9, 2)).astype(np.float32)
    weights, critics = agent.weights.tolist(), agent.critics.weights.tolist()
    steps = agent.spent.steps
    estimate = agent.gradient(key=0, observations=o)
    assert (agent.weights.tolist(), agent.critics.weights.tolist(), agent.spent.steps) == (weights, critics, steps)
    assert (estimate.target.kind, estimate.evaluations, estimate.standard_error) == (Kind.SURROGATE, 0, None)
    assert not estimate.gradient.requires_grad and not estimate.value.requires_grad

    scaled = torch.from_numpy(o / np.array([2.0, 0.5])).double()
    actor, (critic, _) = agent.policy.network, agent.critics.weights.double()

    def cost(w):
        return agent.critics.network(critic, torch.cat((scaled, torch.tanh(actor(w, scaled))), 1)).mean()

    w, h = agent.weights.detach().double(), 1e-6
    slopes = torch.stack([(cost(w + h * e) - cost(w - h * e)) / (2 * h) for e in torch.eye(len(w)).double()])
    torch.testing.assert_close(estimate.gradient.double(), slopes, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(estimate.value.double(), cost(w), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(
        cost(w), Twin(agent).critics[0](torch.cat((scaled, Twin(agent).actor(scaled)), 1)).mean()
    )
    with pytest.raises(ValueError, match=r"TD3: observations must be numbers \(2,\), one or n of them, got \(3, 5\)"):
        agent.gradient(key=0, observations=np.zeros((3, 5)))


def test_steps_before_learning_starts_are_uniform_and_count():
    agent = td3_agent(TD3, learning_starts=600)
    LOG.clear()
    agent.learn(600)
    assert (agent.spent.steps, LOG.steps, agent.critic_updates, agent.spent.updates) == (600, 600, 0, 0)
    actions = np.sort([float(a[0]) for a in LOG.actions])
    empirical = np.arange(1, 601) / 600
    distance = np.abs((actions - LOW) / (HIGH - LOW) - empirical).max()
    assert distance < 0.13  # Massart (1990): 2 exp(−2 · 600 · 0.13²) = 3e-9
    agent.learn(31)
    assert (agent.spent.steps, LOG.steps, agent.critic_updates, agent.spent.updates) == (631, 631, 31, 15)


def test_critics_begin_at_the_mean_cost_of_a_step_before_learning_starts():
    agent = td3_agent(TD3, learning_starts=50)
    agent.learn(49)
    first = [critics.clone() for critics in (agent.critics.weights, agent.critics.targets)]
    agent.learn(1)
    mean = agent.replay.table[:50, 3].mean()  # o (2), a (1), then c
    assert mean > 0.05
    for before, after in zip(first, (agent.critics.weights, agent.critics.targets), strict=True):
        assert torch.equal(before[:, :-1], after[:, :-1])  # the output's bias is the last weight
        torch.testing.assert_close(after[:, -1], mean.expand(2))


@pytest.mark.parametrize("policy_delay", (1, 2, 5))
def test_the_actor_moves_at_every_nth_update_of_the_critics(policy_delay):
    agent = td3_agent(TD3, policy_delay=policy_delay)
    moved = []
    for i in range(10):
        before, slow = agent.weights.tolist(), agent.learned_actor.targets.tolist()
        agent.update(*random_batch(12, i))
        moved.append(agent.weights.tolist() != before)
        assert (agent.learned_actor.targets.tolist() != slow) == moved[-1]
    assert moved == [(i + 1) % policy_delay == 0 for i in range(10)]


def test_once_learning_has_started_it_acts_by_its_policy_with_noise_around():
    agent = td3_agent(TD3, learning_starts=1, action_noise=0.05, lr=1e-12, environment_arguments={"cap": 400})
    agent.learn(1)
    LOG.clear()
    agent.learn(900)
    table = agent.replay.table[1:901]
    noise = (table[:, 2:3] - agent.policy(agent.weights.detach(), table[:, :2])).numpy()
    half = (HIGH - LOW) / 2
    taken = (np.array(LOG.actions) - (LOW + HIGH) / 2) / half
    np.testing.assert_allclose(taken, table[:, 2:3].numpy(), rtol=1e-4, atol=1e-6)  # stored in units of half the box
    assert abs(noise.mean()) < 6.5 * 0.05 / 30  # two-sided 8e-11
    assert abs(noise.std() - 0.05) < 6.5 * 0.05 / 1800**0.5


def test_stored_transitions_are_those_that_were_played(monkeypatch):
    monkeypatch.setattr(off_policy, "BLOCK", 70)
    agent = td3_agent(TD3, observation_scale=(2.0, 0.5), environment_arguments={"cap": 7})
    played, step = [], agent.collector.environment.env.step

    def recorded(action):
        result = step(action)
        played.append((result[0], -result[1], result[2]))
        return result

    agent.collector.environment.env.step = recorded
    agent.learn(200)
    rows = agent.replay.table[:200].numpy()
    scale = np.array([2.0, 0.5])
    np.testing.assert_allclose(rows[:, 4:6], [following / scale for following, _, _ in played], rtol=1e-6)
    np.testing.assert_allclose(rows[:, 3], [cost for _, cost, _ in played], rtol=1e-6)
    np.testing.assert_array_equal(rows[:, 6], [terminated for _, _, terminated in played])
    assert (
        agent.spent.episodes == len(LOG.seeds[-agent.spent.episodes :])
        and len(set(LOG.seeds[-agent.spent.episodes :])) > 20
    )


def test_the_replay_keeps_the_last_transitions_and_draws_from_what_it_has():
    replay = Replay(5, 2, 1)
    for i in range(8):
        v = float(i)
        replay.add(np.array([v, v + 0.1]), np.array([v + 0.2]), v + 0.3, np.array([v + 0.4, v + 0.5]), i % 2 == 0)
        assert len(replay) == min(i + 1, 5)
        drawn = replay.batch(torch.linspace(0, 1 - 1e-9, 50, dtype=torch.float64))
        assert sorted(set(drawn.observations[:, 0].tolist())) == list(range(max(0, i - 4), i + 1))
    assert isinstance(drawn, Batch)
    v = drawn.observations[:, 0]
    torch.testing.assert_close(drawn.observations, torch.stack((v, v + 0.1), 1))
    torch.testing.assert_close(drawn.actions, v[:, None] + 0.2)
    torch.testing.assert_close(drawn.costs, v + 0.3)
    torch.testing.assert_close(drawn.next_observations, torch.stack((v + 0.4, v + 0.5), 1))
    torch.testing.assert_close(drawn.terminated, 1.0 - v % 2)
    kept = replay.transitions()
    assert kept.observations[:, 0].tolist() == [3.0, 4.0, 5.0, 6.0, 7.0]  # oldest first, across the seam of the table
    torch.testing.assert_close(kept.next_observations, torch.stack((kept.costs + 0.1, kept.costs + 0.2), 1))
    assert kept.terminated.tolist() == [0.0, 1.0, 0.0, 1.0, 0.0] and kept.discounts is None
    assert replay.transitions(2).costs.tolist() == kept.costs[-2:].tolist() and len(replay.transitions(9).costs) == 5
    replay.add(np.zeros(2), np.zeros(1), 0.0, np.zeros(2), False)
    assert kept.observations[:, 0].tolist() == [3.0, 4.0, 5.0, 6.0, 7.0]  # copies


def test_what_the_replay_holds_is_what_was_seen_and_done_once_it_is_unscaled():
    agent = TD3("Pendulum-v1", seed=0, learning_starts=100)
    agent.learn(steps=20)
    kept, env = agent.replay.transitions(), gymnasium.make("Pendulum-v1")
    observations = (kept.observations * torch.tensor(agent.policy.scale)).numpy()
    actions = agent.policy.actions.to_environment(kept.actions.numpy())
    env.reset(seed=0)
    for t in range(20):  # the state of a pendulum is in its observation
        cos, sin, speed = observations[t]
        env.unwrapped.state = np.array([np.arctan2(sin, cos), speed], float)
        following, reward, *_ = env.step(actions[t])
        np.testing.assert_allclose(following, kept.next_observations[t] * torch.tensor(agent.policy.scale), atol=1e-5)
        np.testing.assert_allclose(-kept.costs[t], reward, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"gamma": 1.0}, r"gamma must be in \(0, 1\), got 1.0"),
        ({"tau": 1.5}, r"tau must be in \(0, 1\], got 1.5"),
        ({"policy_delay": 0}, "policy_delay must be an integer >= 1, got 0"),
        ({"batch_size": 0}, "batch_size must be an integer >= 1, got 0"),
        ({"buffer_size": -1}, "buffer_size must be an integer >= 1, got -1"),
        ({"learning_starts": 0}, "learning_starts must be an integer >= 1, got 0"),
        ({"action_noise": -0.1}, "action_noise must be >= 0 and finite, got -0.1"),
        ({"target_policy_noise": float("nan")}, "target_policy_noise must be >= 0 and finite, got nan"),
        ({"target_noise_clip": -1.0}, "target_noise_clip must be >= 0 and finite, got -1.0"),
        ({"critic_hidden": (4, 0)}, "critic_hidden must be widths >= 1, got"),
    ],
)
def test_its_errors_name_it_and_the_argument(arguments, message):
    with pytest.raises(ValueError, match=f"TD3: {message}"):
        TD3(DRIFT, **arguments)


def test_discrete_actions_are_refused():
    with pytest.raises(
        ValueError, match=r"TD3: actions must be a Box, got Discrete\(3\); these agents .*: .*Reinforce"
    ):
        TD3(CHOICE)
