"""What TD3, SAC and CrossQ share: when they update, transitions of several steps, the gradient at frozen weights."""

from functools import partial

import numpy as np
import pytest
import torch

from rllab import Key
from rllab.agents import SAC, TD3, CrossQ, Linear, load, off_policy
from rllab.agents.adam import Adam
from rllab.agents.n_step import NStep
from rllab.agents.off_policy import OffPolicy
from rllab.agents.replay import Batch, Replay
from rllab.estimate import Kind
from tests.proofs.agents import all_of, kinds, prove_it_goes_on_after_loading, timeless
from tests.proofs.toy_environments import DRIFT, LOG

KINDS = [kind for kind in kinds() if issubclass(kind, OffPolicy)]
every = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
GAMMA = 0.8


def make(kind, **arguments):
    small = {"hidden": (6,), "critic_hidden": (8,), "learning_starts": 40, "batch_size": 16, "buffer_size": 150}
    return kind(DRIFT, **small | arguments)


def test_these_are_the_agents_that_share_it():
    assert {TD3, SAC, CrossQ} <= set(KINDS)


# ---- when updates are made


@pytest.mark.slow
@every
@pytest.mark.parametrize(("every_nth", "updates"), ((1, 1), (4, 1), (1, 3), (5, 2), (7, 7)))
def test_updates_are_those_that_steps_after_the_start_pay_for(kind, every_nth, updates, monkeypatch):
    monkeypatch.setattr(off_policy, "BLOCK", 33)
    agent = make(kind, train_freq=every_nth, gradient_steps=updates)
    agent.learn(100)
    assert agent.critic_updates == 60 // every_nth * updates
    assert agent.spent.updates == agent.critic_updates // agent.policy_delay


@every
@pytest.mark.parametrize(("num_envs", "every_nth", "updates"), ((1, 1, 1), (1, 4, 1), (3, 5, 2), (3, 1, 3)))
def test_how_steps_are_divided_into_calls_changes_nothing(kind, num_envs, every_nth, updates, monkeypatch, tmp_path):
    monkeypatch.setattr(off_policy, "BLOCK", 36)
    whole, parts = (make(kind, num_envs=num_envs, train_freq=every_nth, gradient_steps=updates) for _ in range(2))
    rows, ends = whole.learn(90), []
    for steps in (15, 27, 3, 45):  # with calls that end within a block, at its end, and after one that was saved
        ends += [row["steps"] for row in parts.learn(steps)]
        parts.save(tmp_path / "agent.pt")
        parts = load(tmp_path / "agent.pt")
    parts.spent.iterations, parts.spent.first_call = whole.spent.iterations, whole.spent.first_call
    assert all_of(parts) == all_of(whole) and whole.critic_updates > 0
    blocks = {*range(whole.iteration_steps, 90, whole.iteration_steps), 90}
    assert {row["steps"] for row in rows} == blocks and set(ends) == blocks | {15, 42, 45}


def test_no_two_updates_have_one_minibatch(monkeypatch):
    monkeypatch.setattr(off_policy, "BLOCK", 33)
    agent, picks = make(TD3, train_freq=3, gradient_steps=2), []
    batch = agent.replay.batch
    agent.replay.batch = lambda uniform: picks.append(tuple(uniform.tolist())) or batch(uniform)
    agent.learn(100)
    assert len(picks) == len(set(picks)) == 40


# ---- learning rates that move


@every
def test_a_learning_rate_moves_with_the_steps_of_all_that_learns(kind, monkeypatch):
    monkeypatch.setattr(off_policy, "BLOCK", 25)
    line = Linear(0.01, 0.0, steps=100)
    whole, chunks = (make(kind, lr=line) for _ in range(2))
    assert {optimizer.lr for optimizer in whole._optimizers()} == {0.01}
    for steps in (30, 30):
        whole.learn(steps)
    chunks.learn(60)
    for agent in (whole, chunks):  # by the last multiple of 25, whatever the calls
        assert [o.lr for o in agent._optimizers()] == [pytest.approx(0.005)] * len(agent._optimizers())
    whole.learn(45)  # from 100 steps on it is 0, and all stands still
    before = [optimizer.weights.clone() for optimizer in whole._optimizers()]
    with pytest.warns(UserWarning, match="the learning rate was 0 in 20 of the 20 environment steps"):
        whole.learn(20)
    assert whole.critic_updates == 85
    assert all(map(torch.equal, before, [optimizer.weights for optimizer in whole._optimizers()]))


@every
def test_a_line_that_is_level_is_a_number(kind, tmp_path):
    level, plain = make(kind, lr=Linear(0.01, 0.01)), make(kind, lr=0.01)
    for agent in (level, plain):
        agent.learn(70)
    assert torch.equal(level.weights, plain.weights)
    level.save(tmp_path / "agent.pt")
    again = load(tmp_path / "agent.pt")
    assert again.lr == Linear(0.01, 0.01)


def test_what_learns_is_all_named():
    learned = {"TD3": 2, "SAC": 3, "CrossQ": 3}  # actor, critics, and the temperature where there is one
    for kind in KINDS:
        agent = make(kind)
        assert len({id(o) for o in agent._optimizers()}) == learned[kind.__name__]


# ---- transitions of several steps


def episodes(generator, lengths, environments):
    """Steps (environment, o, a, c, o', terminated, begun), environments taking turns; some ends are cut off."""
    lanes = []
    for e in range(environments):
        lane = []
        for length in lengths:
            fell, states = generator.random() < 0.5, generator.normal(size=(length + 1, 2)).astype(np.float32)
            for t in range(length):
                action, cost = generator.normal(size=1).astype(np.float32), float(np.float32(generator.normal()))
                lane.append((e, states[t], action, cost, states[t + 1], fell and t == length - 1, t == 0))
        lanes.append(lane)
    return lanes, [step for turn in zip(*lanes, strict=True) for step in turn]


def brute_force(lane, n):
    """Every transition of n steps, from the definition, in the order of the steps."""
    rows = []
    for t, (_, o, a, *_) in enumerate(lane):
        end = next((s for s in range(t, len(lane)) if lane[s][5] or (s + 1 < len(lane) and lane[s + 1][6])), None)
        last = t + n - 1 if end is None else min(t + n - 1, end)
        if last >= len(lane) or (end is not None and end == len(lane) - 1 and not lane[end][5] and last == end):
            break  # not yet known
        m = last - t + 1
        total = sum(GAMMA**j * lane[t + j][3] for j in range(m))
        average = (1 - GAMMA) / (1 - GAMMA**m) * total
        rows.append([*o, *a, average, *lane[last][4], float(lane[last][5]), GAMMA**m])
    return np.array(rows)


def prove_several_steps_are_those_of_brute_force(kind, n, environments):
    lanes, steps = episodes(np.random.default_rng(n), (1, 5, 2, 7, 3, 4, 1, 6, 3, 5), environments)
    large, ring = (Replay(size, 2, 1, discounted=True) for size in (500, 12))
    for replay in (large, ring):
        several = kind(replay, n, GAMMA)
        for environment, o, a, cost, following, terminated, begun in steps:
            several.add(o, a, cost, following, terminated, begun=begun, environment=environment)
    expected = np.concatenate([brute_force(lane, n) for lane in lanes])
    stored = large.table[: large.added].numpy()
    assert len(stored) == len(expected) > 20 * environments
    order = [np.lexsort(np.round(rows, 5).T) for rows in (stored, expected)]
    np.testing.assert_allclose(stored[order[0]], expected[order[1]], rtol=1e-5, atol=1e-6)
    # the ring, which is full several times over, holds the last of them
    assert ring.added == large.added > 2 * len(ring.table)
    newest = stored[-12:]
    np.testing.assert_array_equal(np.roll(ring.table.numpy(), -(ring.added % 12), 0), newest)


@pytest.mark.parametrize("environments", (1, 2))
@pytest.mark.parametrize("n", (1, 2, 3, 5))
def test_transitions_of_several_steps_are_those_of_the_definition(n, environments):
    prove_several_steps_are_those_of_brute_force(NStep, n, environments)


class CrossesEpisodes(NStep):
    def add(self, *given, begun, **others):
        super().add(*given, begun=False, **others)


class OnePowerLess(NStep):
    def __init__(self, replay, n, gamma):
        add = replay.add
        replay.add = lambda o, a, c, following, over, discount: add(o, a, c, following, over, discount / gamma)
        super().__init__(replay, n, gamma)


class MixesEnvironments(NStep):
    def add(self, *given, environment, **others):
        super().add(*given, **others)


class CutOffIsTermination(NStep):
    def __init__(self, replay, n, gamma):
        add = replay.add
        replay.add = lambda o, a, c, x, over, discount: add(o, a, c, x, over or discount > gamma**n, discount)
        super().__init__(replay, n, gamma)


@pytest.mark.parametrize("wrong", (CrossesEpisodes, OnePowerLess, MixesEnvironments, CutOffIsTermination))
def test_wrong_transitions_of_several_steps_are_caught(wrong):
    with pytest.raises((AssertionError, ValueError)):
        prove_several_steps_are_those_of_brute_force(wrong, 3, 2)


def test_targets_of_several_steps_are_discounted_sums():
    generator = Key(0).generator()
    costs, q = torch.randn(6, 3, generator=generator), torch.randn(6, generator=generator)  # three steps each
    powers, terminated = GAMMA ** torch.arange(3), torch.tensor([0.0, 1, 0, 0, 1, 0])
    total = (costs * powers).sum(1)
    o = torch.zeros(6, 2)
    average = total * (1 - GAMMA) / (1 - GAMMA**3)
    batch = Batch(o, o, average, o, terminated, torch.full((6,), GAMMA**3))
    # Q and y are 1 − γ times the cost to go
    expected = (1 - GAMMA) * total + GAMMA**3 * (1 - terminated) * q
    torch.testing.assert_close(batch.target(q.clone(), 0.123), expected)
    one = Batch(o, o, costs[:, 0], o, terminated)
    expected = (1 - GAMMA) * costs[:, 0] + GAMMA * (1 - terminated) * q
    torch.testing.assert_close(one.target(q.clone(), GAMMA), expected)


@pytest.mark.slow
@every
@pytest.mark.parametrize("num_envs", (1, 3))
def test_agents_go_on_in_the_middle_of_several_steps(kind, num_envs, tmp_path, monkeypatch):
    monkeypatch.setattr(off_policy, "BLOCK", 35)
    agent = make(kind, n_steps=4, num_envs=num_envs, max_grad_norm=0.01, environment_arguments={"cap": 11})
    prove_it_goes_on_after_loading(agent, tmp_path / "agent.pt", 69)
    assert agent.multistep.state_dict()["waiting"].shape[0] > 0
    discounts = agent.replay.table[: len(agent.replay), -1]
    powers = 0.99 ** torch.arange(1, 5)
    assert ((discounts[:, None] - powers).abs().amin(1) < 1e-6).all()
    assert (discounts < 0.99**3.5).any() and (discounts > 0.99**1.5).any()


# ---- gradients that are shortened


def test_a_gradient_is_shortened_as_torch_does_and_zero_stays_zero():
    generator = Key(1).generator()
    w = torch.randn(5, generator=generator)
    theirs = w.clone().requires_grad_()
    ours, adam = Adam(w, lr=0.1, beta1=0.5, max_grad_norm=1.5), torch.optim.Adam([theirs], lr=0.1, betas=(0.5, 0.999))
    for size in (1.0, 0.1, 5.0):
        gradient = size * torch.randn(5, generator=generator)
        given = gradient.clone()
        ours.step(gradient)
        assert torch.equal(gradient, given)
        theirs.grad = gradient.clone()
        torch.nn.utils.clip_grad_norm_([theirs], 1.5)
        adam.step()
        torch.testing.assert_close(w, theirs.detach(), rtol=1e-4, atol=1e-5)
    before = w.clone()
    ours.step(torch.zeros(5))
    assert torch.equal(w, before)  # momentum does not walk on, nor is 0/0 made of it


# ---- the gradient at frozen weights


def prove_a_gradient_changes_nothing(kind, **arguments):
    """Ask one of two equal agents for gradients while it learns: both stay equal, rows and all."""
    asked, plain = (make(kind, **arguments) for _ in range(2))
    for learned in (60, 60):
        asked.learn(learned)
        plain.learn(learned)
        before, spent = all_of(asked), vars(asked.spent).copy()
        LOG.clear()
        estimate = asked.gradient(36, key=5)
        assert (LOG.steps, estimate.evaluations, estimate.target.kind) == (36, 36, Kind.SURROGATE)
        assert estimate.standard_error is None and estimate.gradient.shape == asked.weights.shape
        assert LOG.seeds and asked.gradient(key=5).evaluations == 0 and LOG.steps == 36
        assert all_of(asked) == before and vars(asked.spent) == spent
    assert timeless(asked.learn(90)) == timeless(plain.learn(90)) and all_of(asked) == all_of(plain)


@pytest.mark.slow
@every
def test_a_gradient_changes_nothing(kind):
    prove_a_gradient_changes_nothing(kind)


def test_nor_does_it_with_several_environments_and_steps():
    prove_a_gradient_changes_nothing(SAC, num_envs=3, n_steps=2, train_freq=2)


@pytest.mark.parametrize("steps", (1, 2, 30))
def test_a_gradient_is_averaged_over_the_fresh_steps_all_of_them_and_no_others(steps):
    agent = make(SAC, n_steps=3)
    agent.learn(100)
    tuned = agent._fine_tuned(steps, Key(1))
    assert tuned.replay.added == agent.replay.added + steps
    noise = torch.randn(steps, 1, generator=Key(1).child("actions").generator())
    cost, gradient = tuned.descent(tuned.replay.newest(steps), noise)
    estimate = agent.gradient(steps, key=1)
    torch.testing.assert_close((estimate.value, estimate.gradient), (cost, gradient), rtol=1e-5, atol=1e-7)


@every
def test_a_gradient_that_learns_in_place_is_caught(kind):
    def in_place(self, steps, key):
        self._go_on(steps, partial(self.update, learn_actor=False))
        return self

    with pytest.raises(AssertionError):
        prove_a_gradient_changes_nothing(type(kind.__name__, (kind,), {"_fine_tuned": in_place}))


@every
def test_the_fresh_steps_and_their_key_decide_and_nothing_else(kind):
    agent = make(kind)
    agent.learn(100)
    o = np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)
    gradients = [agent.gradient(50, key=key, observations=o).gradient for key in (1, 1, 2)]
    gradients.append(agent.gradient(key=1, observations=o).gradient)
    assert torch.equal(gradients[0], gradients[1])
    for other in gradients[2:]:
        assert not torch.equal(gradients[0], other)
    tuned = agent._fine_tuned(50, Key(1))
    assert torch.equal(tuned.weights, agent.weights) and tuned.critic_updates == agent.critic_updates + 50
    assert not torch.equal(tuned.critics.weights, agent.critics.weights)
    torch.testing.assert_close(tuned.replay.table[:100], agent.replay.table[:100], rtol=0, atol=0)


@every
def test_at_no_steps_it_is_the_mean_over_the_replay_in_pieces_and_the_slope_of_its_cost(kind, monkeypatch):
    agent = make(kind)
    agent.learn(70)
    whole = agent.gradient(key=3)
    monkeypatch.setattr(off_policy, "CHUNK", 32)
    pieces = agent.gradient(key=3)
    torch.testing.assert_close(pieces.gradient, whole.gradient, rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(pieces.value, whole.value)
    # the cost along a direction in the weights of the mean, by differences of values alone
    u, h = torch.randn(len(agent.weights), generator=Key(2).generator()), 1e-2
    target = agent.learned_actor.weights
    shift = torch.zeros_like(target)
    if kind is TD3:
        shift.copy_(u)
    else:
        for own, part in zip(agent.learned_actor._means(agent.policy.network, shift), _parts_of(agent, u), strict=True):
            own.copy_(part)
    kept, values = target.clone(), []
    for sign in (1, -1):
        target.copy_(kept + sign * h * shift)
        values.append(agent.gradient(key=3).value.double())
    target.copy_(kept)
    slope = (values[0] - values[1]) / (2 * h)
    torch.testing.assert_close(whole.gradient.double() @ u.double(), slope, rtol=2e-2, atol=2e-4)


def _parts_of(agent, u):
    return [part for layer in agent.policy.network.layers(u) for part in layer]


def test_before_anything_was_learned_there_is_nothing_to_average_over():
    agent = make(SAC, num_envs=2)
    with pytest.raises(ValueError, match="SAC: steps or observations must be given before anything was learned"):
        agent.gradient(key=0)
    with pytest.raises(ValueError, match="SAC: steps must be a multiple of num_envs, 2, got 7"):
        agent.gradient(7, key=0)
    assert agent.gradient(60, key=0).evaluations == 60


def test_a_loaded_agent_gives_the_same_gradient(tmp_path):
    agent = make(CrossQ)
    agent.learn(90)
    agent.save(tmp_path / "agent.pt")
    again = load(tmp_path / "agent.pt")
    for steps in (0, 40):
        assert torch.equal(again.gradient(steps, key=2).gradient, agent.gradient(steps, key=2).gradient)


@every
def test_a_gradient_of_fresh_steps_learns_at_the_rate_of_now(kind, monkeypatch):
    monkeypatch.setattr(off_policy, "BLOCK", 25)
    agent = make(kind, lr=Linear(0.01, 0.0))
    agent.learn(100)
    before = agent.critics.weights.clone()
    assert torch.equal(agent._fine_tuned(30, Key(1)).critics.weights, before)  # the line has ended at 0


# ---- where critics begin


@every
@pytest.mark.parametrize("arguments", ({"n_steps": 5, "learning_starts": 2}, {"n_steps": 4, "num_envs": 20}))
def test_critics_begin_at_the_mean_cost_also_where_the_first_steps_wait(kind, arguments):
    agent, costs = make(kind, train_freq=10, **arguments), []
    agent.critics.start_at = lambda cost: costs.append((float(cost), float(agent.replay.costs().mean())))
    agent.learn(100)
    assert len(costs) == 1 and costs[0][0] == costs[0][1] and agent.critic_updates > 0


def test_a_fresh_agents_critics_begin_at_the_mean_cost_for_a_gradient_too():
    agent = make(TD3)
    agent.learn(30)
    assert agent._fine_tuned(20, Key(1)).critics.weights[:, -1].abs().min() > 0.01


@every
def test_a_rate_that_is_set_between_calls_is_learned_with(kind):
    agent = make(kind)
    agent.learn(60)
    agent.lr = 1e-30
    before = agent.critics.weights.clone()
    agent.learn(20)
    assert torch.equal(agent.critics.weights, before) and agent.critic_updates == 40
