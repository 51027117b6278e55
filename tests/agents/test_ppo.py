"""PPO: updates by hand, advantages of real rollouts, what is kept, what is measured at frozen weights."""

import warnings
from functools import partial

import gymnasium
import pytest
import torch

from rllab.agents import PPO, Linear, a2c, load
from rllab.estimate import Kind
from tests.proofs.agents import all_of
from tests.proofs.ppo import Lights, ppo_agent, prove_ppo_updates_as_its_equations_say
from tests.proofs.toy_environments import CHOICE, DRIFT


@pytest.mark.parametrize("environment", (DRIFT, Lights), ids=("box", "choices"))
@pytest.mark.parametrize(
    "arguments", ({}, {"ent_coef": 0.2, "vf_coef": 0.9, "normalize_advantage": False, "max_grad_norm": None})
)
def test_an_update_is_that_of_its_equations(environment, arguments):
    prove_ppo_updates_as_its_equations_say(PPO, environment, **arguments)


def played(agent, steps):
    """Return the rollouts that an agent learned from, copies of them."""
    seen, learn_from = [], agent.learn_from

    def watched(segment):
        seen.append(type(segment)(*(part.clone() for part in segment)))
        learn_from(segment)

    agent.learn_from = watched
    agent.learn(steps)
    return seen


def test_the_first_minibatch_starts_at_ratio_one_and_its_advantages_are_those_of_the_rollout():
    agent = ppo_agent(PPO, n_epochs=1, normalize_observations=True, environment_arguments={"cap": 5})
    batches, update = [], agent.update

    def watched(batch):
        if not len(batches) % 2:
            moved = agent.networks.log_probability(batch.inputs, batch.actions) - batch.log_probability
            statistics = agent.rollouts  # the first rollout changes what the networks see; then only a little
            assert float(moved.abs().max()) < (1.0 if statistics == 0 else 0.2)
        batches.append(type(batch)(*(part.clone() for part in batch)))
        update(batch)

    agent.update = watched
    agent.learn(3 * 24)
    assert len(batches) == 6

    plain, first = ppo_agent(PPO, n_epochs=1, environment_arguments={"cap": 5}), []
    update_plain = plain.update

    def look(batch):
        first.append((plain.networks.log_probability(batch.inputs, batch.actions) - batch.log_probability).abs().max())
        update_plain(batch)

    plain.update = look
    plain.learn(3 * 24)
    assert max(first[::2]) < 1e-6 < first[1]


def test_every_step_is_in_one_minibatch_of_every_epoch_in_another_order():
    agent = ppo_agent(PPO, n_epochs=3, normalize_advantage=False)
    returns = []
    agent.update = lambda batch: returns.append(batch.returns.clone())
    agent.learn(24)
    epochs = torch.cat(returns).view(3, 24)
    orders = {tuple(epoch.tolist()) for epoch in epochs}
    assert len(orders) == 3 and len({tuple(epoch.sort().values.tolist()) for epoch in epochs}) == 1


def test_what_is_fitted_is_the_cost_to_go_of_real_rollouts_with_time_limits_bootstrapped():
    agent = ppo_agent(PPO, n_epochs=1, gae_lambda=1.0, gamma=0.5, environment_arguments={"cap": 4, "fall": 1.2})
    returns = []
    agent.update = lambda batch: returns.append(batch.returns.clone())  # look, do not move
    (segment,) = played(agent, 24)
    v = agent.networks.values
    expected = torch.zeros(6, 4)
    for i in range(4):
        to_go = v(segment.next_observations)[-1, i]
        for t in reversed(range(6)):
            if segment.truncated[t, i]:
                to_go = v(segment.next_observations)[t, i]
            if segment.terminated[t, i]:
                to_go = torch.zeros(())
            to_go = expected[t, i] = -segment.rewards[t, i] + 0.5 * to_go
    assert segment.truncated.any() and segment.terminated.any()
    got, wanted = torch.cat(returns).sort().values, expected.flatten().sort().values
    torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("chunk", (4, 20, 28, 60))
def test_it_learns_the_same_in_chunks(chunk):
    arguments = {"lr": Linear(0.01, 0.0, steps=100), "clip_range": Linear(0.3, 0.1, steps=100)}
    whole, parts = (ppo_agent(PPO, normalize_observations=True, normalize_costs=True, **arguments) for _ in range(2))
    whole.learn(120)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for start in range(0, 120, chunk):
            parts.learn(min(chunk, 120 - start))
    said = [str(w.message) for w in caught]
    assert sum("the learning rate was 0 in" in s for s in said) == (chunk < 60)  # whose last call has one update alone
    short = [s for s in said if "the learning rate was 0 in" not in s]
    assert len(short) == (120 // chunk - 5 if chunk < 24 else 0)
    takes = "environment steps did not suffice for an update, which takes 4 · 6 steps (num_envs · n_steps); what was"
    assert all(takes in s for s in short)
    assert torch.equal(whole.networks.parameters, parts.networks.parameters) and whole.spent.updates == 100
    assert whole.optimizer.lr == parts.optimizer.lr == pytest.approx(0.0, abs=1e-15)


def test_a_line_without_steps_ends_with_the_first_call_also_after_loading(tmp_path):
    agent = ppo_agent(PPO, lr=Linear(0.01, 0.0))
    agent.learn(48)
    assert agent.optimizer.lr == 0.0
    frozen = agent.networks.parameters.clone()
    with pytest.warns(UserWarning, match="the learning rate was 0 in 24 of the 24 environment steps"):
        agent.learn(24)
    assert torch.equal(frozen, agent.networks.parameters)
    half = ppo_agent(PPO, lr=Linear(0.01, 0.0))
    next(half.train(48))
    half.save(tmp_path / "half.pt")
    again = load(tmp_path / "half.pt")
    assert again.lr == Linear(0.01, 0.0)
    with pytest.warns(UserWarning, match="the learning rate was 0 in 24 of the 24 environment steps"):
        again.learn(24)  # the last rollout, whose rate PPO takes after it
    assert torch.equal(again.networks.parameters, frozen)


def test_far_from_the_old_policy_no_further_epoch_is_begun():
    updates = {}
    for target_kl in (None, 1e3, 1e-9):
        agent = ppo_agent(PPO, n_epochs=4, target_kl=target_kl)
        agent.learn(24)
        updates[target_kl] = agent.spent.updates
    assert updates == {None: 8, 1e3: 8, 1e-9: 2}


def test_rows_report_the_update_and_nothing_where_there_was_none():
    agent = ppo_agent(PPO)
    with pytest.warns(UserWarning, match="PPO: 20 environment steps did not suffice for an update"):
        (row,) = agent.learn(20)
    assert all(row[name] is None for name in PPO.columns)
    (row,) = agent.learn(4)
    assert all(isinstance(row[name], float) for name in PPO.columns)
    assert row["grad_norm"] > 0 and row["entropy"] > 0 and 0 <= row["clip_fraction"] <= 1 and row["approx_kl"] >= 0


@pytest.mark.parametrize(
    "change",
    ({"ent_coef": 5.0}, {"vf_coef": 0.1}, {"max_grad_norm": 1e-9}, {"normalize_advantage": True}, {"lr": 1e-9}),
    ids=lambda change: next(iter(change)),
)
def test_a_setting_that_is_changed_between_calls_is_learned_with(change):
    plain, changed = (ppo_agent(PPO, n_epochs=1, normalize_advantage=False) for _ in range(2))
    for agent in (plain, changed):
        agent.learn(24)
    assert torch.equal(plain.networks.parameters, changed.networks.parameters)
    for name, value in change.items():
        setattr(changed, name, value)
    for agent in (plain, changed):
        agent.learn(24)
    assert not torch.equal(plain.networks.parameters, changed.networks.parameters)


def test_before_anything_was_seen_a_gradient_is_of_costs_as_they_are():
    factor = partial(gymnasium.wrappers.TransformReward, func=lambda reward: 1000 * reward)
    scaled, plain = (ppo_agent(PPO, normalize_costs=flag, wrappers=[factor]) for flag in (True, False))
    assert scaled.gradient(steps=40, key=1).value.abs() > 10  # where scaled costs are cut
    torch.testing.assert_close(scaled.gradient(steps=40, key=1).gradient, plain.gradient(steps=40, key=1).gradient)


@pytest.mark.parametrize("environment", (DRIFT, CHOICE, Lights), ids=("box", "choice", "choices"))
def test_a_gradient_changes_nothing_of_the_agent_and_follows_its_key(environment):
    make = partial(ppo_agent, PPO, environment, normalize_observations=True, normalize_costs=True)
    looked, other = make(), make()
    looked.learn(48)
    other.learn(48)
    state = torch.random.get_rng_state()
    one, same, another = (looked.gradient(steps=43, key=k) for k in (1, 1, 2))
    assert torch.equal(one.gradient, same.gradient) and not torch.equal(one.gradient, another.gradient)
    assert one.gradient.shape == one.standard_error.shape == (looked.policy.size,)
    assert one.evaluations == 40 and one.target.kind is Kind.SURROGATE
    assert torch.equal(state, torch.random.get_rng_state())
    looked.learn(48)
    other.learn(48)
    assert all_of(looked) == all_of(other)
    with pytest.raises(ValueError, match="PPO: steps must be an integer >= 8, got 7"):
        looked.gradient(steps=7, key=0)


def test_a_gradient_is_that_of_the_surrogate_where_the_ratio_is_one():
    agent = ppo_agent(PPO, normalize_costs=True, environment_arguments={"cap": 5})
    agent.learn(24)
    segments, judged = [], agent._judged
    agent._judged = lambda segment: segments.append(segment) or judged(segment)
    estimate = agent.gradient(steps=80, key=3)
    (segment,) = segments
    inputs, _, a = judged(segment)
    w = agent.weights.clone().requires_grad_()
    law = torch.distributions.Normal(agent.policy(w, inputs.flatten(0, 1)), agent.networks.log_std.exp())
    log_p = law.log_prob(segment.actions.flatten(0, 1)).sum(-1).view(20, 4)
    ratio = (log_p - log_p.detach()).exp()
    (expected,) = torch.autograd.grad(agent.cost_scale.scale * (ratio * a).mean(), w, retain_graph=True)
    torch.testing.assert_close(estimate.gradient, expected, rtol=1e-3, atol=1e-5 * float(expected.abs().max()))
    units = [
        torch.autograd.grad(agent.cost_scale.scale * (ratio[:, i] * a[:, i]).mean(), w, retain_graph=True)[0]
        for i in range(4)
    ]
    torch.testing.assert_close(estimate.standard_error, torch.stack(units).std(0) / 2, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(estimate.value, -segment.rewards.mean())


def test_a2c_follows_the_policy_gradient_of_each_rollout_once():
    plain = {"normalize_observations": False, "normalize_costs": False}
    agent = a2c(DRIFT, 3, hidden=(4,), num_envs=4, n_steps=6, max_grad_norm=None, ent_coef=0.1, **plain)
    batches, gradients, update = [], [], agent.update
    agent.update = lambda batch: batches.append(type(batch)(*(part.clone() for part in batch))) or update(batch)
    agent.optimizer.step = lambda gradient: gradients.append((agent.networks.parameters.clone(), gradient.clone()))
    agent.learn(24)
    ((batch,), ((parameters, gradient),)) = batches, gradients
    assert agent.spent.updates == 1 and len(batch.returns) == 24
    w = parameters.requires_grad_()
    weights, log_std, value = w.split((agent.policy.size, 1, len(agent.networks.value_weights)))
    law = torch.distributions.Normal(agent.policy(weights, batch.inputs), log_std.exp())
    v = agent.networks.value_network(value, batch.inputs)[:, 0]
    loss = (law.log_prob(batch.actions).sum(-1) * batch.advantages).mean() + 0.5 * (v - batch.returns).square().mean()
    (expected,) = torch.autograd.grad(loss - 0.1 * law.entropy().sum(-1).mean(), w)
    torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))
    with pytest.raises(ValueError, match=r"a2c: n_epochs and batch_size must be left out, got \['n_epochs'\]"):
        a2c(DRIFT, n_epochs=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 7}, r"batch_size must divide num_envs · n_steps = 24, got 7"),
        ({"batch_size": 1}, "batch_size must be an integer >= 2, got 1"),
        ({"num_envs": 0}, "num_envs must be an integer >= 1, got 0"),
        ({"gae_lambda": 1.5}, r"gae_lambda must be in \[0, 1\], got 1.5"),
        ({"gamma": 0.0}, r"gamma must be in \(0, 1\], got 0.0"),
        ({"clip_range": Linear(-0.1, 0.0)}, "clip_range.start must be >= 0 and finite, got -0.1"),
        ({"max_grad_norm": 0.0}, "max_grad_norm must be positive and finite, got 0.0"),
        ({"ent_coef": -0.1}, "ent_coef must be >= 0 and finite, got -0.1"),
        ({"std": 0.0}, "std must be positive and finite, got 0.0"),
    ],
)
def test_its_errors_name_it_and_the_argument(arguments, message):
    with pytest.raises(ValueError, match=f"PPO: {message}"):
        ppo_agent(PPO, **arguments)
