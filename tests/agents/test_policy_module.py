"""Policies taken out of an agent, as a torch module, as ONNX and in numpy: they act as it does, in every space."""

import pickle
import subprocess
import sys

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.vector.utils import batch_space

from rllab import Key
from rllab.agents import PPO, TD3, Evolution
from rllab.array_policy import ArrayPolicy
from tests.agents.test_agents_contract import KINDS, SMALL
from tests.proofs.toy_environments import Shown

OBSERVATIONS = {
    "box": spaces.Box(-3, 3, (4,)),
    "matrix": spaces.Box(-3, 8, (2, 3), np.float64),
    "image": spaces.Box(0, 255, (3, 4, 2), np.uint8),
    "whole": spaces.Box(-(2**40), 2**40, (3,), np.int64),
    "choice": spaces.Discrete(5, start=-2),
    "choices": spaces.MultiDiscrete([[2, 3], [4, 2]]),
    "bits": spaces.MultiBinary((2, 2)),
    "dict": spaces.Dict(card=spaces.Discrete(3), place=spaces.Tuple((spaces.Box(-1, 1, (2,)), spaces.MultiBinary(3)))),
}
BOXES = {
    "flat": spaces.Box(np.array([-1, 0], np.float32), np.array([3, 5], np.float32)),
    "matrix": spaces.Box(-2, 1, (2, 2), np.float64),
    "whole": spaces.Box(-7, 9, (3,), np.int16),
}
CHOICES = {
    "one": spaces.Discrete(4, start=3),
    "several": spaces.MultiDiscrete([[2, 5], [3, 4]]),
    "bits": spaces.MultiBinary(3),
}


def agent_of(kind, observations, actions):
    """An agent whose weights are anything, and whose normalisation, where it has one, has seen something."""
    small = {"hidden": (5,), **SMALL[kind.__name__]}
    if kind.normalizes:
        small["normalize_observations"] = True
    agent = kind(lambda: Shown(observations, actions), 0, **small)
    with torch.no_grad():
        agent.weights.copy_(torch.randn(agent.policy.size, generator=Key(3).generator()))
    if agent.normalizer is not None:
        agent.normalizer.update(0.3 + 0.5 * torch.randn(50, len(agent.policy.scale), generator=Key(4).generator()))
    return agent


def several(space, n=6):
    many = batch_space(space, n)
    many.seed(1)
    return many.sample()


def tensors(observations):
    if isinstance(observations, dict):
        return {name: tensors(part) for name, part in observations.items()}
    if isinstance(observations, tuple):
        return tuple(map(tensors, observations))
    return torch.from_numpy(observations)


def assert_acts_alike(acted, expected):
    assert acted.dtype == expected.dtype and acted.shape == expected.shape
    if expected.dtype.kind == "f":
        np.testing.assert_allclose(acted, expected, rtol=1e-5, atol=1e-5)  # sums in another order, single precision
    else:
        np.testing.assert_array_equal(acted, expected)


@pytest.mark.parametrize("shown", OBSERVATIONS)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_both_act_as_the_agent_in_every_space_of_observations(kind, shown):
    space = OBSERVATIONS[shown]
    agent = agent_of(kind, space, BOXES["flat"])
    seen = several(space)
    expected = agent.act(seen)
    assert np.ptp(expected, 0).max() > 0.01  # what is seen matters
    assert_acts_alike(agent.module()(tensors(seen)).detach().numpy(), expected)
    assert_acts_alike(agent.array_policy()(seen), expected)
    space.seed(2)
    one = space.sample()
    assert_acts_alike(agent.array_policy()(one), agent.act(one))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_both_act_as_the_agent_in_every_space_of_actions(kind):
    shown = OBSERVATIONS["dict"]
    for actions in (*BOXES.values(), *(CHOICES.values() if kind.takes_choices else ())):
        agent, seen = agent_of(kind, shown, actions), several(shown, 20)
        expected = agent.act(seen)
        assert len(np.unique(expected, axis=0)) > 1 and all(map(actions.contains, expected))
        assert_acts_alike(agent.module()(tensors(seen)).numpy(force=True), expected)
        assert_acts_alike(agent.array_policy()(seen), expected)


def test_what_is_taken_out_stays_as_it_is():
    agent = Evolution("Pendulum-v1", seed=0, population=2, hidden=(4,))
    module, arrays, seen = agent.module(), agent.array_policy(), np.ones((3, 3), np.float32)
    before = agent.act(seen)
    agent.learn(800)
    assert not np.allclose(agent.act(seen), before)
    assert_acts_alike(module(torch.from_numpy(seen)).numpy(force=True), before)
    assert_acts_alike(arrays(seen), before)
    learned = agent.act(seen)
    with torch.no_grad():
        for p in agent.module().parameters():
            p.zero_()
    np.testing.assert_array_equal(agent.act(seen), learned)


def test_arrays_are_saved_and_act_where_there_is_no_torch(tmp_path):
    shown = OBSERVATIONS["dict"]
    agent, seen = agent_of(PPO, shown, CHOICES["several"]), several(shown)
    policy = agent.array_policy()
    policy.save(tmp_path / "policy.npz")
    for again in (ArrayPolicy.load(tmp_path / "policy.npz"), pickle.loads(pickle.dumps(policy))):
        np.testing.assert_array_equal(again(seen), policy(seen))
    flat = agent_of(TD3, OBSERVATIONS["box"], BOXES["flat"])
    flat.array_policy().save(tmp_path / "flat.npz")
    code = (
        "import sys; from rllab.array_policy import ArrayPolicy; "
        f"action = ArrayPolicy.load({str(tmp_path / 'flat.npz')!r})([1.0, 2.0, -1.0, 0.5]); "
        "assert not {'torch', 'gymnasium', 'scipy'} & set(sys.modules); print(action.tolist())"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    np.testing.assert_allclose(eval(said), flat.act([1.0, 2.0, -1.0, 0.5]), rtol=1e-5)


def test_what_is_no_policy_or_no_observation_is_named(tmp_path):
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(ValueError, match=r"^ArrayPolicy: .*other\.npz must be a file that save wrote"):
        ArrayPolicy.load(tmp_path / "other.npz")
    policy = agent_of(PPO, OBSERVATIONS["dict"], CHOICES["one"]).array_policy()
    place = (np.zeros(2), np.zeros(3, np.int8))
    with pytest.raises(ValueError, match=r"^ArrayPolicy: observations must have a part 'card', got \['place'\]"):
        policy({"place": place})
    with pytest.raises(ValueError, match=r"^ArrayPolicy: observations at place/0 must be \(2,\), one or n, got \(3,\)"):
        policy({"card": 1, "place": (np.zeros(3), place[1])})
    with pytest.raises(ValueError, match=r"^ArrayPolicy: choices must be of \(3,\), from \(0,\) on, got 3"):
        policy({"card": 3, "place": place})


def test_what_goes_into_an_exported_network_bears_the_name_that_the_docs_say():
    program = torch.export.export(agent_of(PPO, OBSERVATIONS["box"], CHOICES["one"]).module(), (torch.zeros(2, 4),))
    assert program.graph_signature.user_inputs == ("observations",)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the exporter
def test_onnx_acts_as_the_agent(tmp_path):
    for needed in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(needed)
    import onnxruntime

    shown = OBSERVATIONS["dict"]
    agent, seen = agent_of(PPO, shown, CHOICES["several"]), several(shown)
    path = tmp_path / "policy.onnx"
    torch.onnx.export(agent.module(), (), path, kwargs={"observations": tensors(seen)}, verbose=False)
    session = onnxruntime.InferenceSession(path)
    leaves = torch.utils._pytree.tree_leaves(seen)
    inputs = dict(zip([i.name for i in session.get_inputs()], leaves, strict=True))
    (acted,) = session.run(None, inputs)
    assert_acts_alike(np.asarray(acted), agent.act(seen))


def test_a_gymnasium_environment_is_played_by_arrays_alone():
    env = gymnasium.make("FrozenLake8x8-v1")
    agent = agent_of(PPO, env.observation_space, env.action_space)
    policy = agent.array_policy()
    observation, _ = env.reset(seed=0)
    for _ in range(20):
        action = policy(observation)
        assert action == agent.act(observation)
        observation, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            observation, _ = env.reset()


def test_the_flat_weights_are_those_of_the_module_each_matrix_by_inputs():
    agent = TD3("Pendulum-v1", seed=0, hidden=(8,))
    first, b, last, c = (p.detach() for p in agent.module().parameters())
    assert torch.equal(agent.weights, torch.cat([first.T.flatten(), b, last.T.flatten(), c]))
    own = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Tanh(), torch.nn.Linear(5, 1))
    given = TD3("Pendulum-v1", seed=0, actor=own)
    assert torch.equal(given.weights, torch.cat([p.detach().flatten() for p in own.parameters()]))


@pytest.mark.parametrize("kind", ("box", "matrix", "choice", "bits", "dict"))
def test_one_observation_is_refused_where_many_are_taken(kind):
    module = agent_of(TD3, OBSERVATIONS[kind], BOXES["flat"]).module()
    many = tensors(several(OBSERVATIONS[kind]))
    assert len(module(many)) == 6
    one = torch.utils._pytree.tree_map(lambda values: values[0], many)
    with pytest.raises(ValueError, match=r"PolicyModule: observations.* must be \(n.*\), n side by side, got"):
        module(one)
