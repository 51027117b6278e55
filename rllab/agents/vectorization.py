"""Vectorization: how n environments are stepped side by side, and the collector that goes with it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal

import numpy as np

from rllab.agents.collectors import StepCollector
from rllab.agents.environments import Environment, Environments, SingleEnvironments, VectorEnvironments
from rllab.agents.making import Maker
from rllab.agents.n_step import NStep
from rllab.agents.policy import Policy
from rllab.agents.processes import ProcessEnvironments
from rllab.agents.replay import Replay
from rllab.agents.spent import Spent
from rllab.agents.vector_collector import VectorCollector
from rllab.keys import Key

Vectorization = Literal["auto", "process"]


def make_environments(make: Maker, n: int, vectorization: Vectorization = "auto") -> Environments:
    """Make n environments.

    Args:
        make: makes one of them.
        n: how many.
        vectorization: "auto" takes the id's own vector form, if it has one that leaves ended episodes alone, else n
            single ones; "process" spreads single ones over worker processes.
    """
    if vectorization == "process":
        return ProcessEnvironments(make, n)
    vector = make.vector(n)
    return SingleEnvironments(make, n) if vector is None else VectorEnvironments(make, vector)


class DeferredEnvironments:
    """n environments as `make_environments` makes them, when they are first reset: who only acts needs none.

    So a file that says a number beyond all memory can be read; learning then fails.

    Args:
        make, n, vectorization: as for `make_environments`.
    """

    def __init__(self, make: Maker, n: int, vectorization: Vectorization = "auto"):
        self._make, self.num_envs = partial(make_environments, make, n, vectorization), n
        self._made: Environments | None = None

    @property
    def taken(self) -> int:
        return 0 if self._made is None else self._made.taken

    def reset(self, seeds: Sequence[int], which: np.ndarray | None = None) -> np.ndarray:
        if self._made is None:
            self._made = self._make()
        return self._made.reset(seeds, which)

    def step(self, actions: np.ndarray, live: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        assert self._made is not None  # a step follows a reset
        return self._made.step(actions, live)

    def close(self) -> None:
        if self._made is not None:
            self._made.close()


def replay_collector(
    make: Maker,
    num_envs: int,
    vectorization: Vectorization,
    policy: Policy,
    replay: Replay | NStep,
    spent: Spent,
    key: Key,
) -> StepCollector | VectorCollector:
    """Return what steps environments for an off-policy learner and stores the transitions.

    One environment here is stepped with actions (k,) at observations (o,); several, or those of other processes, with
    (n, k) at (n, o).
    """
    if num_envs == 1 and vectorization == "auto":
        return StepCollector(Environment(make), policy, replay, spent, key)
    environments = make_environments(make, num_envs, vectorization)
    return VectorCollector(environments, policy, replay.add_round, spent, key)
