"""Replay: transitions (o, a, c, o', terminated) in one preallocated matrix, so that a minibatch is one gather."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from rllab.agents.rounds import Round
from rllab.agents.saved import check_names, check_tensor, check_whole


class Batch(NamedTuple):
    """Hold n transitions, float32.

    Attributes:
        observations: scaled, that is flattened and divided by the agent's `policy.scale`, (n, o).
        actions: those taken, exploration included, in [−1, 1] for the action box from its lower to its upper bound,
            (n, k).
        costs: negative rewards, (n,); of several steps in one, see `NStep`, their discounted average.
        next_observations: scaled, (n, o).
        terminated: 1 where the episode ended there, else 0, (n,); 0 where it was merely cut off.
        discounts: γ^m, (n,), for transitions of m steps each; None where all are of one.

    Example:
        from rllab.agents import TD3

        agent = TD3("Pendulum-v1", seed=0, learning_starts=100)
        agent.learn(steps=50)
        newest = agent.replay.transitions(3)
        print(newest.observations.shape, newest.costs)
    """

    observations: Tensor
    actions: Tensor
    costs: Tensor
    next_observations: Tensor
    terminated: Tensor
    discounts: Tensor | None = None

    def target(self, ahead: Tensor, gamma: float) -> Tensor:
        """Turn the learned cost after each transition into what it should be before, in place; return it.

            y = (1 − γ^m) c + γ^m (1 − terminated) Q(o', a')

        Args:
            ahead: Q(o', a'), (n,), of the scale of one step's cost: 1 − γ times the cost to go.
            gamma: γ, where all transitions are of one step.
        """
        torch.addcmul(ahead, ahead, self.terminated, value=-1.0, out=ahead)
        if self.discounts is None:
            return ahead.mul_(gamma).add_(self.costs, alpha=1 - gamma)
        return torch.lerp(self.costs, ahead, self.discounts, out=ahead)


class Replay:
    """Keep the last `buffer_size` transitions, float32.

    Args:
        buffer_size: how many.
        observations, actions: their widths o and k.
        discounted: whether each transition comes with a discount of its own.

    Example:
        import torch
        from rllab.agents import TD3

        agent = TD3("Pendulum-v1", seed=0, learning_starts=100)
        agent.learn(steps=50)
        kept = agent.replay.transitions()  # oldest first
        print(len(agent.replay), kept.observations * torch.tensor(agent.policy.scale), -kept.costs)
        print(agent.policy.actions.to_environment(kept.actions.numpy()))
    """

    def __init__(self, buffer_size: int, observations: int, actions: int, *, discounted: bool = False):
        self.widths = (observations, actions, 1, observations, 1, *([1] * discounted))
        # numpy's zeros, unlike torch's, take no memory before they are written to
        self._array = np.zeros((buffer_size, sum(self.widths)), np.float32)
        self.table = torch.from_numpy(self._array)
        self.added = 0
        self._scaled = torch.empty(0)

    def __len__(self) -> int:
        return min(self.added, len(self.table))

    def add(
        self,
        o: np.ndarray,
        a: np.ndarray,
        cost: float,
        next_observation: np.ndarray,
        terminated: bool,
        discount: float | None = None,
        begun: bool = False,
    ) -> None:
        """Store one transition.

        Args:
            terminated: never true for an episode that was merely cut off.
            discount: where the replay is `discounted`.
            begun: whether it is the first of its episode, as `NStep` wants to know; here it changes nothing.
        """
        row = self._array[self.added % len(self._array)]
        width, end = len(o), len(o) + len(a)
        row[:width], row[width:end] = o, a
        row[end] = cost
        row[end + 1 : end + 1 + width] = next_observation
        row[end + 1 + width] = terminated
        if discount is not None:
            row[-1] = discount
        self.added += 1

    def add_round(self, taken: Round) -> None:
        """Store the transitions of n environments, the first of them first."""
        for o, a, reward, terminated, following in zip(
            taken.observations, taken.actions, taken.rewards, taken.terminated, taken.next_observations, strict=True
        ):
            self.add(o, a, -reward, following, terminated)

    def clear(self) -> None:
        """Forget all transitions: to go on with another task, say, of which the old ones would teach wrong things."""
        self.added = 0

    def costs(self) -> Tensor:
        """Return the costs of all stored transitions, (len,)."""
        return self.table[: len(self), self.widths[0] + self.widths[1]]

    def newest(self, n: int) -> Tensor:
        """Return the observations of the last n transitions, scaled, (n, o), a copy; of all there are, if fewer."""
        return self.table[self._last(n), : self.widths[0]]

    def transitions(self, n: int | None = None) -> Batch:
        """Return the last n transitions in the order in which they were stored, copies; all of them by default.

        Args:
            n: how many; all there are, if fewer.

        Returns:
            A named tuple of `observations` and `next_observations`, flattened and divided by `agent.policy.scale`,
            `actions` in [−1, 1], `costs`, which are negative rewards, `terminated`, 0 where an episode was merely cut
            off, and `discounts`, None where transitions are of one step.
        """
        return self._as_batch(self.table[self._last(len(self) if n is None else n)])

    def _last(self, n: int) -> Tensor:
        """Return where the last n transitions are, the oldest of them first."""
        return torch.arange(self.added - min(n, len(self)), self.added) % len(self.table)

    def _as_batch(self, rows: Tensor) -> Batch:
        """Return rows of the table as views of their parts."""
        o, a, c, following, *flags = rows.split(self.widths, 1)
        return Batch(o, a, c.squeeze(1), following, *(flag.squeeze(1) for flag in flags))

    def batch(self, uniform: Tensor) -> Batch:
        """Return the transitions at uniform numbers (n,) in [0, 1), scaled to what is stored.

        They are written over by the next call with as many numbers.
        """
        if self._scaled.shape != uniform.shape or self._scaled.dtype != uniform.dtype:
            self._scaled, self._indices = torch.empty_like(uniform), torch.empty(len(uniform), dtype=torch.int64)
            self._rows = torch.empty(len(uniform), sum(self.widths), dtype=torch.float32)
            self._batch = self._as_batch(self._rows)
        self._indices.copy_(torch.mul(uniform, len(self), out=self._scaled))  # rounds towards 0
        torch.index_select(self.table, 0, self._indices, out=self._rows)
        return self._batch

    def state_dict(self) -> dict[str, Any]:
        """Return what is stored, for a checkpoint."""
        return {"table": self.table[: len(self)].clone(), "added": self.added}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        check_names("the replay", state, {"table", "added"})
        added = check_whole("the replay's added", state["added"])
        table = check_tensor("the replay's table", state["table"], (min(added, len(self.table)), sum(self.widths)))
        self.table[: len(table)] = table
        self.added = added
