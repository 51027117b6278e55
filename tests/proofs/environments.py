"""What an environment of the lab promises, checked: shared by tests of right ones and of wrong ones that must fail."""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Mapping

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv

SECTIONS = ("State", "Action", "Observation", "Reward", "Start and end", "Arguments", "Version history")


def assert_same(ours, theirs) -> None:
    """The same keys, arrays, dtypes and bits, however nested."""
    if isinstance(theirs, dict):
        assert set(ours) == set(theirs)
        for name in theirs:
            assert_same(ours[name], theirs[name])
    elif isinstance(theirs, (list, tuple)) or (isinstance(theirs, np.ndarray) and theirs.dtype == object):
        for one, other in zip(ours, theirs, strict=True):
            assert_same(one, other)
    else:
        one, other = np.asarray(ours), np.asarray(theirs)
        assert one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


def prove_vector_form(vector, singles, steps: int, seed: int) -> tuple[int, int]:
    """The vector form is Gymnasium's loop over single ones, bit for bit, in the mode of the first; ends of both kinds.

    In DISABLED mode finished environments are restarted by a mask at once, as the loop knows no other way.
    """
    mode = vector.metadata["autoreset_mode"]
    looped = SyncVectorEnv(singles, autoreset_mode=mode)
    for space in ("observation_space", "action_space", "single_observation_space", "single_action_space"):
        assert getattr(vector, space) == getattr(looped, space)
    vector.action_space.seed(seed)
    ends = np.zeros(2, int)
    # an int, then one seed each, then none: the streams go on
    for seeds in (seed, list(range(seed + 50, seed + 50 + vector.num_envs)), None):
        assert_same(vector.reset(seed=seeds), looped.reset(seed=seeds))
        for _ in range(steps):
            actions = vector.action_space.sample()
            ours, theirs = vector.step(actions), looped.step(actions)
            assert_same(ours, theirs)
            ends += ours[2].sum(), ours[3].sum()
            over = ours[2] | ours[3]
            if mode is AutoresetMode.DISABLED and over.any():
                assert_same(
                    vector.reset(options={"reset_mask": over}), looped.reset(options={"reset_mask": over.copy()})
                )
    vector.close()
    looped.close()
    return int(ends[0]), int(ends[1])


def episode(env, actions, seed: int | None) -> list:
    """Observations, rewards and flags from reset(seed) until the episode or the actions end."""
    rows = [(env.reset(seed=seed)[0], 0.0, False, False)]
    for action in actions:
        rows.append(env.step(action)[:4])
        if rows[-1][2] or rows[-1][3]:
            break
    return [np.array(column) for column in zip(*rows, strict=True)]


def prove_seeding(make, actions) -> None:
    """One seed, one episode; without a seed the stream goes on; the stream is `np_random`; nothing global is drawn."""
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - the state that must not change
    env, other = make(), make()
    first = episode(env, actions, 11)
    assert_same(episode(other, actions, 11), first)
    second = episode(env, actions, None)
    assert any(one.shape != two.shape or (one != two).any() for one, two in zip(first, second, strict=True))
    assert_same(episode(other, actions, None), second)
    assert_same(episode(env, actions, 11), first)
    assert env.unwrapped.np_random_seed == 11
    fresh = make()
    fresh.unwrapped.np_random = np.random.Generator(np.random.PCG64(11))
    assert_same(episode(fresh, actions, None), first)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


def prove_dynamics(vector, steps: int, seed: int) -> None:
    """`dynamics` is the environment's step bit for bit, of one and of many; torch agrees, its derivatives too.

    The environments are made with autoreset_mode="DISABLED".
    """
    vector.reset(seed=seed)
    vector.action_space.seed(seed)
    take, taken = vector._batch.noise.take, []

    def take_and_tell():
        taken.append(take().copy())
        return taken[-1]

    vector._batch.noise.take = take_and_tell
    for _ in range(steps):
        before, actions = vector.state, vector.action_space.sample()
        _, _, terminated, truncated, _ = vector.step(actions)
        kept = before.copy(), np.array(actions), taken[-1].copy()
        after = vector.dynamics(before, actions, taken[-1])
        assert_same(after, vector.state)
        assert_same((before, np.array(actions), taken[-1]), kept)
        assert_same(vector.dynamics(before[0], actions[0], taken[-1][0]), after[0])
        assert_same(vector.dynamics(before, actions), vector.dynamics(before, actions, np.zeros(len(before))))
        vector.reset(options={"reset_mask": terminated | truncated})
    assert np.ptp(taken) > 0 or not vector.task.noise_amplitude
    in_torch = [torch.tensor(part, dtype=torch.float64) for part in (before, actions, taken[-1])]
    # a few dozen operations on numbers of order one, each within a rounding or two of the other library's
    np.testing.assert_allclose(vector.dynamics(*in_torch).numpy(), after, rtol=1e-12, atol=1e-13)
    assert vector.dynamics(*(part.float() for part in in_torch)).dtype == torch.float32
    assert vector.dynamics(before.astype(np.float32), actions).dtype == np.float32
    for part in in_torch[: 1 if vector.single_action_space.shape == () else 3]:
        part.requires_grad_()
    assert torch.autograd.gradcheck(vector.dynamics, in_torch)
    for bad in ((before[:, 1:], actions), (before, actions[:-1]), (before, actions, taken[-1][:-1])):
        with pytest.raises(ValueError, match=r"\.dynamics: (state|action|noise) must be \("):
            vector.dynamics(*bad)
    with pytest.raises(TypeError, match="must be numpy arrays"):
        vector.dynamics(before, in_torch[1].detach())


def prove_docstring(env) -> None:
    """The class docstring has every section; of state, action and observation a table with units, a line for each."""
    doc = inspect.getdoc(type(env))
    assert doc is not None
    found = dict(re.findall(r"^## ([A-Z][a-z]+(?: and end| history)?)[^\n]*\n(.*?)(?=^## |\Z)", doc, re.M | re.S))
    assert [name for name in SECTIONS if not found.get(name, "").strip()] == []
    shape = env.action_space.shape
    lines = {
        "State": env.state.size,
        "Action": int(np.prod(shape)) if shape else env.action_space.n,
        "Observation": int(np.prod(env.observation_space.shape)),
    }
    for name, wanted in lines.items():
        table = [line for line in found[name].splitlines() if line.startswith("|")]
        assert "unit" in table[0], f"{name}: a table with a column of units"
        assert len(table) - 2 == wanted, f"{name}: {wanted} lines, got {len(table) - 2}"
    assert re.search(r"\bv\d+: ", found["Version history"])
    for word in ("terminated", "truncated"):
        assert f"`{word}`" in found["Start and end"]


def unlisted(package, environments: Mapping[str, str]) -> list[str]:
    """Names of environment folders of a package, and of environments in them, that its list does not hold."""
    missing = []
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        if module.ispkg:
            face = importlib.import_module(module.name)
            kinds = [k for k in vars(face).values() if isinstance(k, type) and issubclass(k, gymnasium.Env)]
            missing += [f"{module.name}:{k.__name__}" for k in kinds]
            missing += [] if kinds else [module.name]
    return sorted(set(missing) - {f"{found}Env" for found in environments.values()})
