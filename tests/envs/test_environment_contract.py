"""The contract, on every environment of the lab, and on a second one built on the same machinery; a new one unasked."""

import dataclasses
import sys
from functools import cache

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

import rllab_envs
from rllab_envs import ENVIRONMENTS
from rllab_envs.batched import TaskVectorEnv
from rllab_envs.single import TaskEnv
from tests.proofs import second_environment
from tests.proofs.environments import (
    assert_same,
    prove_docstring,
    prove_dynamics,
    prove_seeding,
    prove_vector_form,
    unlisted,
)
from tests.proofs.second_environment import Cart, CartEnv, CartVectorEnv

IDS = [*(f"rllab_envs:{name}" for name in ENVIRONMENTS), second_environment.ID]
every = pytest.mark.parametrize("name", IDS)


def make(name, **arguments):
    return gymnasium.make(name, disable_env_checker=True, **arguments)


def actions_of(env, n, seed=3):
    env.action_space.seed(seed)
    return [env.action_space.sample() for _ in range(n)]


@every
@pytest.mark.parametrize("dtype", (np.float32, np.float64))
def test_gymnasium_finds_nothing_to_say(name, dtype):
    modes = make(name).metadata["render_modes"]
    env = make(name, dtype=dtype, render_mode=modes[0] if modes else None)
    check_env(env.unwrapped)  # its warnings are errors here
    assert env.observation_space.dtype == dtype


@every
def test_one_seed_gives_one_episode(name):
    prove_seeding(lambda: make(name, dtype=np.float64), actions_of(make(name), 40))


@cache
def quarter_fallen(name):
    """Return after how many steps a quarter of environments has ended under random actions."""
    n = 32
    env = gymnasium.make_vec(name, num_envs=n, cap=None, autoreset_mode="DISABLED")
    env.reset(seed=0)
    env.action_space.seed(0)
    over = np.zeros(n, bool)
    while over.mean() < 0.25:
        over |= env.step(env.action_space.sample())[2]
    return int(env.steps.max())


@pytest.mark.slow
@every
@pytest.mark.parametrize("mode", AutoresetMode)
@pytest.mark.parametrize(("num_envs", "dtype"), ((1, np.float32), (4, np.float64)))
def test_the_vector_form_is_the_single_one_bit_for_bit(name, mode, num_envs, dtype):
    cap = quarter_fallen(name)  # amid the times of ends, so that both kinds are met
    steps = cap + 10 if num_envs > 1 else 2 * cap + 10
    vector = gymnasium.make_vec(name, num_envs=num_envs, cap=cap, dtype=dtype, autoreset_mode=mode)
    singles = [lambda: make(name, cap=cap, dtype=dtype) for _ in range(num_envs)]
    terminated, truncated = prove_vector_form(vector, singles, steps, seed=8)
    assert terminated > 0 and truncated > 0


@every
def test_the_vector_form_is_registered_and_takes_the_same_arguments(name):
    env = gymnasium.make_vec(name, num_envs=2)
    assert isinstance(env, TaskVectorEnv) and env.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    single = make(name).unwrapped
    assert isinstance(single, TaskEnv) and single.task == env.task
    with pytest.raises(dataclasses.FrozenInstanceError):
        env.task.cap = 7


@every
def test_results_do_not_depend_on_the_size_of_the_batch(name):
    n, few = 300, [0, 131, 299]
    many, three = (gymnasium.make_vec(name, num_envs=k, dtype=np.float64) for k in (n, 3))
    many.reset(seed=0)
    three.reset(seed=few)
    for _ in range(40):
        actions = many.action_space.sample()
        assert_same([part[few] for part in many.step(actions)[:4]], three.step(actions[few])[:4])


@every
def test_a_frozen_environment_stays_as_it_ended_until_a_mask_starts_it(name):
    n = 5
    env = gymnasium.make_vec(name, num_envs=n, cap=90, dtype=np.float64, autoreset_mode="DISABLED")
    seen, over, flags, returns = env.reset(seed=1)[0], np.zeros(n, bool), None, np.zeros(n)
    for _ in range(95):
        before = seen
        seen, rewards, terminated, truncated, info = env.step(env.action_space.sample())
        np.testing.assert_array_equal(seen[over], before[over])
        assert not rewards[over].any() and info == {}
        if flags is not None:
            np.testing.assert_array_equal(terminated[over], flags[0][over])
            np.testing.assert_array_equal(truncated[over], flags[1][over])
        flags, over = (terminated.copy(), truncated.copy()), terminated | truncated
        assert not (terminated & truncated).any()
        terminated[:], truncated[:] = True, True  # results belong to the caller: nothing done to them matters
        returns += rewards
    steps = env.steps
    assert over.all() and steps.max() <= 90
    mask = np.array([False, True, False, True, False])
    restarted = env.reset(options={"reset_mask": mask})[0]
    np.testing.assert_array_equal(restarted[~mask], seen[~mask])
    np.testing.assert_array_equal(env.steps, np.where(mask, 0, steps))
    env.step(env.action_space.sample())
    np.testing.assert_array_equal(env.steps, np.where(mask, 1, steps))


@every
def test_a_start_may_be_given_and_draws_nothing(name):
    env = make(name, dtype=np.float64).unwrapped
    env.reset(seed=0)
    state = np.linspace(0.01, 0.02, env.state.size)
    streams = [np.random.Generator(np.random.PCG64(4)) for _ in range(2)]
    for stream in streams[:1]:
        env.np_random = stream
        env.reset(options={"state": state})
    np.testing.assert_array_equal(env.state, state)
    assert streams[0].random() == streams[1].random()
    for bad in (np.zeros(env.state.size + 1), np.full(env.state.size, np.nan)):
        with pytest.raises(ValueError, match=r"Env: options\['state'\] must be finite numbers of shape"):
            env.reset(options={"state": bad})


@every
def test_dynamics_is_the_step_without_the_environment(name):
    prove_dynamics(gymnasium.make_vec(name, num_envs=3, cap=None, autoreset_mode="DISABLED"), 4, seed=2)


@every
def test_the_docstring_is_the_specification(name):
    env = make(name).unwrapped
    env.reset(seed=0)
    prove_docstring(env)


def test_every_environment_is_in_the_list_and_registered():
    assert unlisted(rllab_envs, ENVIRONMENTS) == []
    for name, found in ENVIRONMENTS.items():
        spec = gymnasium.spec(name)
        assert spec.entry_point == f"{found}Env" and spec.vector_entry_point == f"{found}VectorEnv"
        assert spec.max_episode_steps is None  # the cap is the environment's own


def test_a_forgotten_line_is_found(tmp_path, monkeypatch):
    folder = tmp_path / "forgotten_envs" / "cart"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("")
    (folder / "__init__.py").write_text("from tests.proofs.second_environment import CartEnv as CartEnv\n")
    (tmp_path / "forgotten_envs" / "empty").mkdir()
    (tmp_path / "forgotten_envs" / "empty" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    package = __import__("forgotten_envs")
    listed = {"x/Cart-v0": "forgotten_envs.cart:Cart", "x/Empty-v0": "forgotten_envs.empty:Empty"}
    assert unlisted(package, {}) == ["forgotten_envs.cart:CartEnv", "forgotten_envs.empty"]
    assert unlisted(package, listed) == ["forgotten_envs.empty"]
    for module in [module for module in sys.modules if module.startswith("forgotten_envs")]:
        del sys.modules[module]


class ChangedCart(Cart):
    """A cart whose result for one environment depends on how many there are."""

    def step(self, state, inputs):
        x, v = super().step(state, inputs)
        return x + 1e-16 * len(x), v


class RestlessCart(CartVectorEnv):
    """Carts whose first environment restarts with the second's numbers."""

    def reset(self, *, seed=None, options=None):
        return super().reset(seed=[*self._seeds(seed)[1:2], *self._seeds(seed)[1:]], options=options)


class ForgetfulCart(CartEnv):
    """A cart that draws from a stream of its own.

    ## State
    It has one.
    """

    def reset(self, *, seed=None, options=None):
        return super().reset(seed=None, options=options)


class CalmCart(CartVectorEnv):
    """Carts whose dynamics forget the noise."""

    def dynamics(self, state, action, noise=None):
        return super().dynamics(state, action, None)


class StiffCart(Cart):
    """A cart whose motion in torch has a derivative of its own."""

    def step(self, state, inputs):
        x, v = super().step(state, inputs)
        return (x, v) if isinstance(x, np.ndarray) else (x, v.detach())


def test_wrong_environments_are_caught():
    for wrong in (CalmCart(3, autoreset_mode="DISABLED"), TaskVectorEnv(StiffCart(), 3, np.float64, None, "DISABLED")):
        with pytest.raises((AssertionError, RuntimeError)):
            prove_dynamics(wrong, 6, seed=2)
    prove_dynamics(CartVectorEnv(3, autoreset_mode="DISABLED"), 4, seed=2)
    changed = TaskVectorEnv(ChangedCart(), 4, np.float64, None, "NEXT_STEP")
    for vector in (changed, RestlessCart(4, dtype=np.float64)):
        with pytest.raises(AssertionError):
            prove_vector_form(vector, [lambda: CartEnv(dtype=np.float64) for _ in range(4)], 200, seed=0)
    with pytest.raises(AssertionError):
        prove_seeding(lambda: ForgetfulCart(), [0] * 9)
    with pytest.raises(AssertionError):
        prove_docstring(ForgetfulCart())
