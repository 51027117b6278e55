"""What an agent writes it reads again, and what does not fit it is refused before anything is made of it."""

import os
import re
import tempfile
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch

from rllab import critics, estimators
from rllab.agents import ARS, PPO, SAC, TD3, CrossQ, Evolution, Reinforce, load, off_policy
from rllab.checkpoint import read_checkpoint, write_checkpoint
from tests.proofs.agents import all_of, kinds, prove_it_goes_on_after_loading
from tests.proofs.toy_environments import DRIFT, Drift

OFF_POLICY = {"learning_starts": 40, "batch_size": 16, "critic_hidden": (8,), "buffer_size": 150}
SMALL = {
    ARS: {"n_delta": 2, "n_top": 1},
    CrossQ: OFF_POLICY,
    Evolution: {"population": 4},
    PPO: {"num_envs": 4, "n_steps": 12, "batch_size": 16, "n_epochs": 2},
    Reinforce: {"episodes": 4},
    SAC: OFF_POLICY,
    TD3: OFF_POLICY,
}
every = pytest.mark.parametrize("kind", SMALL, ids=lambda kind: kind.__name__)


SMOOTHING = estimators.GaussianSmoothing(0.3)


@dataclass(frozen=True)
class Mine(estimators.Estimator):
    """An estimator of one's own, around another."""

    inner: estimators.GaussianSmoothing = SMOOTHING
    source, unbiased, target = "nobody", False, SMOOTHING.target

    def _plan(self, at):
        return self.inner._plan(at)

    def _block(self, query, i):
        return self.inner._block(query, i)

    def _units(self, query, block):
        return self.inner._units(query, block)

    def _fold(self, query, answered, per_unit, errors):
        return self.inner._fold(query, answered, per_unit, errors)


# ---- what is written is read


@pytest.mark.parametrize(
    "estimator",
    [
        critics.Critic(hidden=(5,), gradient_steps=4, ensemble=2),
        critics.Residual(critic=critics.Critic(hidden=(5,), gradient_steps=4)),
        estimators.GaussianSmoothing(np.float64(0.2)),
        Mine(),
    ],
    ids=lambda e: type(e).__name__,
)
def test_evolution_goes_on_with_its_estimator_and_what_that_has_learned(estimator, tmp_path):
    agent = Evolution(DRIFT, hidden=(), estimator=estimator, population=8)
    again = prove_it_goes_on_after_loading(agent, tmp_path / "agent.pt", 600)
    assert again.estimator == agent.estimator and type(again.estimator) is type(estimator)
    assert (agent.state is not None) == estimator.stateful


def test_a_critic_of_evolution_learns_from_one_generation_to_the_next():
    agent = Evolution(DRIFT, hidden=(), estimator=critics.Critic(hidden=(5,), gradient_steps=4), population=8)
    agent.learn(600)
    state = agent.state
    assert agent.spent.updates > 2
    assert (state.fits, state.calls, state.spent) == (agent.spent.updates, agent.spent.updates, agent.spent.updates * 8)


@every
@pytest.mark.parametrize(
    "scale", (np.array([1.0, 2.0]), tuple(np.array([1.0, 2.0])), [1, 2]), ids=lambda scale: type(scale).__name__
)
def test_numpy_numbers_are_saved_wherever_they_came_from(kind, scale, tmp_path):
    arguments = {"cap": np.int64(9), "noise": np.float32(0.25)}
    agent = kind(DRIFT, hidden=[np.int64(4)], observation_scale=scale, environment_arguments=arguments, **SMALL[kind])
    agent.save(tmp_path / "agent.pt")
    again = load(tmp_path / "agent.pt")
    assert again.observation_scale == (1.0, 2.0) and again.hidden == (4,)
    assert again.environment_arguments == {"cap": 9, "noise": 0.25}


def test_what_load_would_refuse_is_not_written(tmp_path):
    class Sub(Evolution):
        pass

    def local():
        @dataclass(frozen=True)
        class Mine(estimators.GaussianSmoothing):
            pass

        return Mine()

    twins = [local(), local()]
    for agent in (Sub(DRIFT, hidden=()), *(Evolution(DRIFT, hidden=(), estimator=twin) for twin in twins)):
        try:
            agent.save(tmp_path / "agent.pt")
        except ValueError as error:
            assert str(error).startswith(type(agent).__name__ + ": to be saved, ")
            assert not (tmp_path / "agent.pt").exists()
        else:
            assert type(load(tmp_path / "agent.pt").estimator) is type(agent.estimator)
            (tmp_path / "agent.pt").unlink()
    with pytest.raises(ValueError, match="Sub: to be saved, an agent must be one of"):
        Sub(DRIFT, hidden=()).save(tmp_path / "agent.pt")


# ---- TD3 within an episode


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """An agent that learned for 175 steps and was saved at each of its five rows, whose files are returned with all of
    it at each of them; then all of an agent that was never saved, and the return that it says 35 steps later."""
    folder, held = tmp_path_factory.mktemp("rows"), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(off_policy, "BLOCK", 35)
        small = SMALL[TD3] | {"buffer_size": 100}
        cut, whole = (TD3(DRIFT, 3, hidden=(6,), **small) for _ in range(2))
        for i, _ in enumerate(cut.train(175)):
            cut.save(folder / f"{i}.pt")
            held.append((folder / f"{i}.pt", all_of(cut)))
        whole.learn(175)
        assert all_of(cut) == all_of(whole)  # to be saved changes nothing of the one in memory
        return held, all_of(whole), whole.learn(35)[-1]["return"]


@pytest.mark.slow
@pytest.mark.parametrize("at", range(5))
def test_td3_goes_on_within_the_episode_from_every_row(at, tmp_path, monkeypatch, interrupted):
    monkeypatch.setattr(off_policy, "BLOCK", 35)
    held, whole, later = interrupted
    path, cut = held[at]
    again = load(path)
    assert all_of(again) == cut
    again.save(tmp_path / "again.pt")  # nor does a file that nobody learned from in between lose it
    again = load(tmp_path / "again.pt")
    if at < 4:
        again.learn(175 - again.spent.steps)
    assert all_of(again) == whole
    assert again.learn(35)[-1]["return"] == later


class Restless(Drift):
    """No episode is the same twice, whatever its seed."""

    made = 0

    def reset(self, *, seed=None, options=None):
        Restless.made += 1
        return super().reset(seed=seed + Restless.made)


gymnasium.register("rllab-tests/Restless-v0", Restless)


def test_an_episode_that_does_not_repeat_itself_is_given_up_and_that_is_said(tmp_path):
    agent = TD3("rllab-tests/Restless-v0", hidden=(6,), **SMALL[TD3])
    agent.learn(61)
    assert agent.collector._actions
    agent.save(tmp_path / "agent.pt")
    again = load(tmp_path / "agent.pt")
    episodes = again.spent.episodes
    with pytest.warns(UserWarning, match="the environment does not repeat an episode from its seed and actions"):
        again.learn(1)
    assert (again.spent.episodes, again.spent.steps) == (episodes + 1, 62)


# ---- what does not fit is refused


@lru_cache(maxsize=len(SMALL))
def saved_content(kind):
    """Return what the file of an agent that has learned a little holds."""
    agent = kind(DRIFT, hidden=(6,), **SMALL[kind])
    agent.learn(200)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "agent.pt"
        agent.save(path)
        return read_checkpoint(path)


def resident():
    """Return the bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def changed(kind, change, tmp_path):
    """Let a change be made to a saved agent's content, with a right digest; return what `load` says to it."""
    path = tmp_path / "agent.pt"
    content = deepcopy(saved_content(kind))
    change(content)
    write_checkpoint("Test", path, {"arguments": None, **content})
    with pytest.raises(ValueError, match=r"^load: .*agent\.pt must hold") as caught:
        load(path)
    return str(caught.value)


def put(*path):
    """Return a change that puts the last of `path` where the names before it lead."""

    def change(content):
        *names, last, value = path
        for name in names:
            content = content[name]
        content[last] = value

    return change


EVERY = [
    (put("weights", torch.full((1,), 7.0)), r"weights must be a tensor \("),
    (put("weights", torch.zeros(3)), r"weights must be a tensor \("),
    (put("weights", [1.0]), r"weights must be a tensor \("),
    (put("spent", "evaluate", 5), "spent must be of"),
    (put("spent", "steps", "many"), "steps must be int >= 0, got 'many'"),
    (put("spent", "steps", -1), "steps must be int >= 0, got -1"),
    (put("spent", "steps", True), "steps must be int >= 0, got True"),
    (put("spent", "seconds", float("nan")), "seconds must be float >= 0, got nan"),
    (lambda c: c["arguments"].pop("lr"), "arguments must be of"),
    (put("arguments", "zzz", 1), "arguments must be of"),
    (put("arguments", [1]), r"arguments must be by name, got \[1\]"),
    (put("missing", [1]), r"arguments must be by name, got .* and \[1\]"),
    (put("missing", {"zzz": "?"}), r"it does not hold zzz \(it was \?\): give load\(path, zzz=…\)"),
    (put("arguments", "hidden", (10**6, 10**6)), r"weights must be a tensor \(\d{13},\)"),
    (put("arguments", "hidden", "ab"), "hidden must be widths"),
    (put("arguments", "lr", "a"), "lr must be a number"),
    (put("arguments", "seed", 1.5), "seed must be an integer"),
    (put("arguments", "environment", 5), "environment must be the id"),
    (put("arguments", "environment_arguments", [1]), "environment_arguments must map names"),
    (put("state", {}), "state must be of"),
    (put("state", None), "state must be of"),
    (put("more", 1), "content must be of"),
    (put("modules", {"actor": {}}), "modules must be of"),
    (put("agent", [1]), r"one of the agents .* got \[1\]"),
    (put("agent", "Oracle"), "one of the agents .* got 'Oracle'"),
]
ADAM = [
    (put("state", "optimizer", {}), "the optimizer's must be of"),
    (put("state", "optimizer", "m", torch.zeros(1)), "the optimizer's m must be a tensor"),
    (put("state", "optimizer", "t", 5), "the optimizer's t must be a tensor"),
]
EPISODES = [
    (put("state", "episodes", "rounds", -2), "the episodes' rounds must be an integer >= -1, got -2"),
    (put("state", "episodes", "returns", torch.zeros(3)), "the episodes' returns must be a tensor"),
]
OWN = {
    ARS: [
        *EPISODES,
        (put("arguments", "n_delta", 10.5), "n_delta must be an integer"),
        (put("normalizer", {}), "the normalisation's must be of"),
    ],
    Evolution: [
        *ADAM,
        *EPISODES,
        (put("arguments", "estimator", {"rllab.class": "Nope"}), "estimators must be known, got 'Nope'"),
        (put("arguments", "estimator", {"rllab.class": ["GaussianSmoothing"]}), "estimators must be known"),
        (put("arguments", "estimator", {"rllab.class": "GaussianSmoothing", "zzz": 1}), "zzz"),
        (put("arguments", "estimator", {"rllab.class": "CriticState", "hidden": (2,)}), "estimator must be an Est"),
        (put("arguments", "population", 10.5), "population must be an integer"),
    ],
    PPO: [
        (put("state", "parameters", torch.zeros(3)), "state parameters must be a tensor"),
        (put("state", "optimizer", "v", torch.zeros(1)), "the optimizer's v must be a tensor"),
        (put("state", "rollouts", -1), "rollouts must be an integer >= 0, got -1"),
        (put("state", "rollout", "rewards", torch.zeros(3, 5)), "the rollout's rewards must be a tensor"),
        (put("state", "episodes", "lengths", torch.zeros(4)), "the episodes' lengths must be a tensor"),
        (put("arguments", "num_envs", 10**9), "batch_size must divide|the episodes' numbers must be a tensor"),
        (put("arguments", "lr", {"rllab.class": "Linear", "start": -1.0, "end": 0.0, "steps": 1}), "lr.start must be"),
        (put("normalizer", None), "the normalisation's must be of"),
        (put("normalizer", "mean", torch.zeros(2)), "the normalisation's mean must be a tensor"),
    ],
    Reinforce: [
        *ADAM,
        *EPISODES,
        (put("state", "log_std", torch.zeros(())), "state log_std must be a tensor"),
        (put("state", "log_std", torch.zeros(1).double()), "state log_std must be a tensor"),
    ],
    CrossQ: [
        (put("state", "critics", "weights", torch.zeros(2, 1)), "the critics' weights must be a tensor"),
        (put("state", "critics", "running", torch.zeros(2, 2, 1)), "the critics' running must be a tensor"),
        (put("state", "normalized_actor", "running", torch.zeros(2, 1)), "the normalised network's running must be"),
        (put("arguments", "renorm_warmup", -1), "renorm_warmup must be an integer >= 0"),
    ],
    SAC: [
        (put("state", "critics", None), "the critics' weights must be a tensor"),
        (put("state", "learned_actor", "weights", torch.zeros(1)), "the actor's weights must be a tensor"),
        (put("state", "temperature", "log_alpha", torch.zeros(1)), "the temperature's log_alpha must be a tensor"),
        (put("state", "several", "waiting", torch.zeros(1, 3)), r"the steps that wait must be a tensor \(None, 7\)"),
        (put("state", "several", "waiting", torch.zeros(1, 7)), "the steps that wait must be fewer than 1 in each"),
        (put("arguments", "ent_coef", "auto_"), "ent_coef must be a number > 0"),
    ],
    TD3: [
        (put("state", "critics", "weights", torch.zeros(2, 1)), "the critics' weights must be a tensor"),
        (put("state", "critics", "targets", torch.zeros(1)), "the critics' targets must be a tensor"),
        (put("state", "critics", "optimizer", "m", torch.zeros(1)), "the optimizer's m must be a tensor"),
        (put("state", "learned_actor", "targets", torch.zeros(1)), "the actor's targets must be a tensor"),
        (put("state", "critic_updates", 1.0), "critic_updates must be an integer >= 0, got 1.0"),
        (put("state", "replay", "table", torch.zeros(150, 1)), r"the replay's table must be a tensor \(150, 7\)"),
        (put("state", "replay", "table", torch.zeros(10, 7)), r"the replay's table must be a tensor \(150, 7\)"),
        (put("state", "replay", "added", -1), "the replay's added must be an integer >= 0"),
        (put("state", "episode", "actions", torch.zeros(2, 5)), "the episode's actions must be a tensor"),
        (put("state", "episode", "observation", torch.zeros(1)), "the episode's observation must be a tensor"),
        (put("arguments", "critic_hidden", (10**6, 10**6)), "the critics' weights must be a tensor"),
        (put("arguments", "num_envs", 10**9), r"the episodes' numbers must be a tensor \(1000000000,\)"),
        (put("arguments", "buffer_size", 10**13), r"TD3 that can be made again: Unable to allocate"),
    ],
}
ALL = [(kind, *case) for kind in SMALL for case in EVERY + OWN[kind]]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "change", "message"), ALL, ids=[f"{k.__name__}-{m[:40]}" for k, _, m in ALL])
def test_every_field_is_checked_before_it_is_used(kind, change, message, tmp_path):
    said = changed(kind, change, tmp_path)
    assert re.search(message, said), said


HUGE = {
    ARS: {"n_delta": 10**9, "n_top": None},
    CrossQ: {"buffer_size": 2 * 10**7},
    Evolution: {"population": 10**9},
    PPO: {"n_steps": 16 * 10**5},
    Reinforce: {"episodes": 10**9},
    SAC: {"buffer_size": 2 * 10**7},
    TD3: {"buffer_size": 2 * 10**7},
}


@every
def test_no_number_in_a_file_takes_memory_before_it_is_needed(kind, tmp_path):
    path = tmp_path / "agent.pt"
    agent = kind(DRIFT, hidden=(6,), **SMALL[kind])
    agent.save(path)
    content = read_checkpoint(path)
    content["arguments"].update(HUGE[kind])
    write_checkpoint("Test", path, content)
    before = resident()
    again = load(path)
    taken = resident() - before
    assert np.array_equal(again.act(np.ones(2)), agent.act(np.ones(2)))
    assert taken < 100 * 2**20  # of 150 MB or more that these numbers are for


def test_every_agent_is_tried_here():
    assert set(SMALL) == set(kinds())
