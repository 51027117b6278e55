"""Peers: stable-baselines3, sb3-contrib and sbx under our names for settings, judged on our episodes; imported late."""

from __future__ import annotations

import importlib
import importlib.util
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from gymnasium.spaces import Box

from rllab.agents.base import EVALUATION
from rllab.agents.collectors import episode_seeds
from rllab.agents.making import Maker
from rllab.agents.rollouts import rollout
from rllab.agents.vectorization import make_environments

LIBRARIES = {  # the first that is installed
    "ARS": ("sb3_contrib",),
    "CrossQ": ("sbx", "sb3_contrib"),
    "PPO": ("stable_baselines3",),
    "SAC": ("stable_baselines3",),
    "TD3": ("stable_baselines3",),
}
LONGEST = 10_000  # steps of an evaluated episode
LINEAR = {"with_bias": True, "squash_output": True}  # sb3-contrib's linear policy as ours is: a constant, and tanh
XLA = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"  # sbx on one thread, as all others
Evaluate = Callable[[int, float, np.ndarray], None]  # steps, CPU seconds of learning, returns


def library_of(method: str) -> str | None:
    """Return the installed library that a method is compared with; None if there is none."""
    return next((name for name in LIBRARIES[method] if importlib.util.find_spec(name) is not None), None)


def play(task: str, act: Callable[[np.ndarray], np.ndarray], episodes: int, first: int = 0) -> np.ndarray:
    """Return the returns (episodes,) of actions act(observations), on the episodes that our agents are evaluated on."""
    environments = make_environments(Maker("strength", task), episodes)
    try:
        seeds = episode_seeds(EVALUATION, first, episodes)
        return rollout(environments, lambda o, _: act(o), seeds, longest=LONGEST).returns
    finally:
        environments.close()


def random_returns(task: str, episodes: int, seed: int) -> np.ndarray:
    """Return the returns (episodes,) of uniformly random actions."""
    env = Maker("strength", task)()
    space = env.action_space
    env.close()
    space.seed(seed)
    return play(task, lambda o: np.array([space.sample() for _ in o]), episodes)


def learn(
    library: str,
    method: str,
    task: str,
    steps: int,
    seed: int,
    settings: Mapping[str, Any],
    *,
    every: int,
    episodes: int,
    evaluated: Evaluate,
) -> tuple[Callable[[np.ndarray], np.ndarray], int, float]:
    """Train a peer's agent; return how it acts on observations (n, o) without exploration, its steps and CPU seconds.

    Args:
        settings: of our agent, translated here; networks, budgets and all that has a name in both are the same.
        every: steps between evaluations on `episodes` episodes, told to `evaluated`; their time is not counted.
    """
    if library == "sbx":
        os.environ.setdefault("XLA_FLAGS", XLA)
    callbacks: Any = importlib.import_module("stable_baselines3.common.callbacks")

    model, normalizer = _model(library, method, task, seed, settings)

    def act(observations: np.ndarray) -> np.ndarray:
        seen = observations if normalizer is None else normalizer.normalize_obs(observations)
        return model.predict(seen, deterministic=True)[0]

    class Evaluation(callbacks.BaseCallback):
        due, spent, since = every, 0.0, time.process_time()

        def _on_step(self) -> bool:
            if self.num_timesteps >= self.due:
                self.spent += time.process_time() - self.since
                evaluated(self.num_timesteps, self.spent, play(task, act, episodes))
                self.due += every
                self.since = time.process_time()
            return True

    clock = Evaluation()
    model.learn(steps, callback=clock)
    return act, model.num_timesteps, clock.spent + time.process_time() - clock.since


def _model(library: str, method: str, task: str, seed: int, settings: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return a model, and what normalises its observations, or None."""
    envs, noise, vec_env = (
        importlib.import_module(f"stable_baselines3.common.{part}") for part in ("env_util", "noise", "vec_env")
    )

    kind, given = getattr(importlib.import_module(library), method), dict(settings)
    hidden = list(given.pop("hidden", (64, 64)))
    named: dict[str, Any] = {"learning_rate": given.pop("lr"), "seed": seed, "device": "cpu"}
    if method in ("PPO", "ARS"):
        venv = envs.make_vec_env(task, n_envs=given.pop("num_envs", 1), seed=seed)
        space = venv.action_space
        venv = vec_env.VecNormalize(venv, norm_reward=method == "PPO", gamma=given.get("gamma", 0.99))
        if method == "PPO":
            nets: dict[str, Any] = {"net_arch": hidden}
            std = given.pop("std", 1.0)
            if isinstance(space, Box):  # our σ is in units of half the box, theirs in the environment's
                half = (space.high - space.low) / 2
                if (half != half[0]).any():
                    raise ValueError(f"_model: actions must have ranges of one width for PPO's first σ, got {space}")
                nets["log_std_init"] = float(np.log(std * half[0]))
            return kind("MlpPolicy", venv, policy_kwargs=nets, **named, **given), venv
        # its standard deviation of the 2b returns that count divides by 2b − 1, ours by 2b
        named["learning_rate"] *= (2 * given["n_top"] / (2 * given["n_top"] - 1)) ** 0.5
        return kind("LinearPolicy", venv, policy_kwargs=LINEAR, **named, **given), venv
    venv = envs.make_vec_env(task, n_envs=1, seed=seed)
    critics = list(given.pop("critic_hidden", (64, 64)))
    named["policy_kwargs"] = {"net_arch": {"pi": hidden, "qf": critics}}
    if method == "TD3":
        k = venv.action_space.shape[0]
        named["action_noise"] = noise.NormalActionNoise(np.zeros(k), np.full(k, given.pop("action_noise", 0.1)))
    return kind("MlpPolicy", venv, **named, **given), None
