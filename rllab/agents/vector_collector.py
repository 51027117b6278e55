"""VectorCollector: step n environments side by side, episode after episode in each of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rllab.agents.environments import Environments
from rllab.agents.policy import Policy
from rllab.agents.rounds import Round
from rllab.agents.saved import GIVEN_UP, check_names, check_tensor
from rllab.agents.spent import Spent
from rllab.keys import Key, seeds_for
from rllab.warned import warn


class VectorCollector:
    """Step n environments, an action in each at a time, and hand on the round of transitions.

    An environment whose episode has ended is reset before the next round, under a seed of its own, so no transition
    leads from one episode into another. The episodes under way are saved as their seeds and actions, which are taken
    again after a checkpoint is loaded, uncounted, since they were paid for.

    Args:
        environments: where steps are taken.
        policy: scales observations and actions.
        store: is given every round: `Replay.add_round` or `RoundTable.add`.
        spent: where steps and episodes are counted.
        key: episode i, counted in `spent`, meets the i-th seed of it.
    """

    def __init__(
        self,
        environments: Environments,
        policy: Policy,
        store: Callable[[Round], None],
        spent: Spent,
        key: Key,
    ):
        self.environments, self._policy, self._store, self._spent, self._key = environments, policy, store, spent, key
        n = environments.num_envs
        self._all = np.arange(n)
        self._observations = np.zeros((n, len(policy.scale)), np.float32)
        self._episodes = np.full(n, -1)  # the number of the episode under way, −1 if there is none
        self._begun = np.zeros(n, bool)
        self._returns = np.zeros(n)
        self._actions = [bytearray() for _ in range(n)]  # of the episode under way
        self._saved: dict[str, Tensor] | None = None  # what was loaded, until the next step is due

    def observe(self) -> np.ndarray:
        """Return the scaled observations to act on, (n, o); episodes begin where none is under way."""
        if self._saved is not None:
            self._repeat(self._saved)
        idle = np.flatnonzero(self._episodes < 0)
        if idle.size:
            self._begin(idle)
        return self._observations

    def step(self, actions: np.ndarray) -> list[float]:
        """Take a round of actions.

        Args:
            actions: (n, k): of a box in [−1, 1]^k, float32, and clipped to it; of choices counted from 0, int64.
        Returns:
            The returns of the episodes that ended in this round.
        """
        o, taken = self.observe(), self.environments.taken
        try:
            answer = self.environments.step(self._policy.actions.to_environment(actions), self._all)
        except BaseException:
            self._episodes[:] = -1
            raise
        finally:  # what was taken is paid for, even if an environment fails
            self._spent.steps += self.environments.taken - taken
        observations, rewards, terminated, truncated = answer
        following = self._policy.scaled(observations)
        self._store(Round(o, actions, rewards, terminated, truncated, following, self._begun))
        for kept, action in zip(self._actions, actions, strict=True):
            kept += action.tobytes()
        self._observations, self._begun = following, np.zeros(len(rewards), bool)
        self._returns += rewards
        over = np.flatnonzero(terminated | truncated)
        self._episodes[over] = -1
        return self._returns[over].tolist()

    def close(self) -> None:
        """Let go of the environments."""
        self.environments.close()

    def state_dict(self) -> dict[str, Tensor]:
        """Return the episodes under way, for a checkpoint.

        Returns:
            episodes: their numbers, (n,), −1 where there is none; lengths: steps taken in each, (n,); actions: of the
            first one, then of the second, …, (Σ lengths, k); observations: where they led, scaled, (n, o).
        """
        if self._saved is not None:
            return self._saved
        under_way = self._episodes >= 0
        width, dtype = self._policy.actions.components, np.dtype(self._policy.actions.numbers)
        actions = [bytes(kept) if going else b"" for kept, going in zip(self._actions, under_way, strict=True)]
        lengths = [len(kept) // (width * dtype.itemsize) for kept in actions]
        return {
            "episodes": torch.from_numpy(self._episodes.copy()),
            "lengths": torch.tensor(lengths),
            "actions": torch.from_numpy(np.frombuffer(b"".join(actions), dtype).reshape(-1, width).copy()),
            "observations": torch.from_numpy(np.where(under_way[:, None], self._observations, np.float32(0.0))),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave; the actions are taken again when the next step is due.

        Raises:
            ValueError: it is of other shapes, or of episodes that are not counted in `spent`.
        """
        check_names("the episodes under way", state, {"episodes", "lengths", "actions", "observations"})
        n, actions = len(self._all), self._policy.actions
        episodes = check_tensor("the episodes' numbers", state["episodes"], (n,), torch.int64)
        lengths = check_tensor("the episodes' lengths", state["lengths"], (n,), torch.int64)
        if not bool(((episodes >= -1) & (episodes < self._spent.episodes)).all()):
            raise ValueError(f"the episodes' numbers must be below {self._spent.episodes}, got {episodes.tolist()}")
        if not bool(((lengths >= 0) & ((lengths == 0) | (episodes >= 0))).all()):
            raise ValueError(f"the episodes' lengths must be >= 0, and 0 where there is none, got {lengths.tolist()}")
        dtype = torch.from_numpy(np.zeros(0, actions.numbers)).dtype
        check_tensor("the episodes' actions", state["actions"], (int(lengths.sum()), actions.components), dtype)
        check_tensor("the episodes' observations", state["observations"], (n, len(self._policy.scale)))
        self._saved = dict(state)

    def _begin(self, which: np.ndarray) -> None:
        """Begin an episode in each environment of an index array, under the next seeds."""
        numbers = self._spent.episodes + np.arange(len(which))
        self._spent.episodes += len(which)
        self._reset(which, numbers)
        self._returns[which] = 0.0
        for i in which:
            self._actions[i] = bytearray()

    def _reset(self, which: np.ndarray, numbers: np.ndarray) -> None:
        seeds = seeds_for(numbers, self._key).tolist()
        first = self.environments.reset(seeds, None if len(which) == len(self._all) else which)
        observations, begun = self._observations.copy(), self._begun.copy()  # the old ones may be kept by somebody
        observations[which], begun[which] = self._policy.scaled(first), True
        self._observations, self._begun = observations, begun
        self._episodes[which] = numbers

    def _repeat(self, saved: dict[str, Tensor]) -> None:
        """Go to where the saved episodes were; one whose actions lead elsewhere this time is given up."""
        self._saved = None
        numbers, lengths = saved["episodes"].numpy(), saved["lengths"].numpy()
        taken, under_way = np.split(saved["actions"].numpy(), np.cumsum(lengths)[:-1]), numbers >= 0
        for i, actions in enumerate(taken):
            self._actions[i] = bytearray(actions.tobytes())
        self._returns[:] = 0.0
        self._reset(self._all, np.maximum(numbers, 0))
        longest, lost = int(lengths.max()), ~under_way
        for t in range(longest):
            # all of them arrive in the last round: a vector form steps every environment, so none may wait at its goal
            starting = np.flatnonzero(under_way & (lengths == longest - t))
            if t and starting.size:
                self._reset(starting, numbers[starting])
            live = np.flatnonzero((lengths >= longest - t) & ~lost)
            if not live.size:
                continue
            actions = np.stack([taken[i][t - longest + lengths[i]] for i in live])
            answer = self.environments.step(self._policy.actions.to_environment(actions), live)
            observations, rewards, terminated, truncated = answer
            self._observations[live] = self._policy.scaled(observations)
            self._returns[live] += rewards
            lost[live] |= terminated | truncated
        lost |= (self._observations != saved["observations"].numpy()).any(1)
        self._begun = lengths == 0
        self._episodes = np.where(lost, -1, numbers)
        if (lost & under_way).any():
            warn(GIVEN_UP)
