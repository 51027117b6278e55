"""Rounds: one step of n environments side by side, and a table of T rounds, which on-policy learners learn from."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from rllab.agents.policy import Policy
from rllab.agents.saved import check_names, check_tensor


class Round(NamedTuple):
    """Hold one step of n environments; each is a transition within one episode.

    Attributes:
        observations: scaled, (n, o).
        actions: as the learner gave them, (n, k).
        rewards: float64 (n,).
        terminated, truncated: (n,).
        next_observations: where the step led, scaled, (n, o): of an episode that ended here its last observation,
            never the first one of the next.
        begun: whether the step is the first of an episode, (n,).
    """

    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    next_observations: np.ndarray
    begun: np.ndarray


class Segment(NamedTuple):
    """Hold T rounds of n environments.

    Attributes:
        observations: scaled, float32 (T, n, o).
        actions: as the learner gave them, (T, n, k): float32 of a box, int64 of choices.
        rewards: float32 (T, n).
        terminated: the episode ended there, bool (T, n).
        truncated: it was cut off there, bool (T, n), by a limit or because it had to be given up: what follows in the
            next row is of another episode, and `next_observations` is what a value function bootstraps from.
        next_observations: scaled, float32 (T, n, o); equal to the next row's `observations` within an episode.
    """

    observations: Tensor
    actions: Tensor
    rewards: Tensor
    terminated: Tensor
    truncated: Tensor
    next_observations: Tensor


class RoundTable:
    """Collect T rounds of n environments; a table that is not yet full is kept until it is.

    Args:
        n_steps: T.
        num_envs: n.
        policy: says how wide observations and actions are.

    Attributes:
        filled: rounds in it.
    """

    def __init__(self, n_steps: int, num_envs: int, policy: Policy):
        shape, o, k = (n_steps, num_envs), len(policy.scale), policy.actions.components
        self.n_steps, self.filled = n_steps, 0
        self._arrays = {
            "observations": np.zeros((*shape, o), np.float32),
            "actions": np.zeros((*shape, k), policy.actions.numbers),
            "rewards": np.zeros(shape, np.float32),
            "terminated": np.zeros(shape, bool),
            "truncated": np.zeros(shape, bool),
            "next_observations": np.zeros((*shape, o), np.float32),
        }
        self._tensors = {name: torch.from_numpy(array) for name, array in self._arrays.items()}

    @property
    def full(self) -> bool:
        """Whether T rounds are in it."""
        return self.filled == self.n_steps

    def add(self, taken: Round) -> None:
        """Store a round.

        Raises:
            ValueError: the table is full.
        """
        if self.full:
            raise ValueError(f"RoundTable: rounds must be taken when there are {self.n_steps}, got one more")
        t, arrays = self.filled, self._arrays
        for name in arrays:
            arrays[name][t] = getattr(taken, name)
        if t:  # an episode that was given up has no last step of its own that says so
            arrays["truncated"][t - 1] |= taken.begun & ~arrays["terminated"][t - 1]
        self.filled += 1

    def take(self) -> Segment:
        """Return the rounds, and begin anew; they are written over by the rounds to come.

        Raises:
            ValueError: the table is not full.
        """
        if not self.full:
            raise ValueError(f"RoundTable: rounds must be {self.n_steps} to be taken, got {self.filled}")
        self.filled = 0
        return Segment(**self._tensors)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the rounds of a table that is not yet full, for a checkpoint."""
        return {name: tensor[: self.filled].clone() for name, tensor in self._tensors.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave.

        Raises:
            ValueError: it is of other shapes, or of T rounds or more.
        """
        check_names("the rollout", state, set(self._tensors))
        rewards = check_tensor("the rollout's rewards", state["rewards"], (None, len(self._arrays["rewards"][0])))
        if len(rewards) >= self.n_steps:
            raise ValueError(f"the rollout must be of fewer than {self.n_steps} steps, got {len(rewards)}")
        for name, tensor in self._tensors.items():
            check_tensor(f"the rollout's {name}", state[name], (len(rewards), *tensor.shape[1:]), tensor.dtype)
        for name, tensor in self._tensors.items():
            tensor[: len(rewards)] = state[name]
        self.filled = len(rewards)
