"""NStep: transitions of n steps in one, made as single ones come in, so that a minibatch stays one gather."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import torch

from rllab.agents.replay import Replay
from rllab.agents.rounds import Round
from rllab.agents.saved import check_names, check_tensor

Step = tuple[np.ndarray, np.ndarray, np.float32, np.ndarray, bool]


class NStep:
    """Turn each step into a transition over the n steps that begin with it, fewer where its episode ends before.

        c_t^m = (1 − γ)/(1 − γ^m) Σ_{j<m} γ^j c_{t+j},     o' = o_{t+m},     γ^m,     m = min(n, steps to the end)
        y_t = (1 − γ^m) c_t^m + γ^m (1 − terminated) Q(o_{t+m}, a'),     see `Batch.target`

    c^m is the discounted average of m costs: what is stored, and learned, keeps the size of one step's cost. A step is
    stored when its last cost is known, n − 1 steps later; those at the end of an episode when that ends or, if it was
    cut off, when the next one begins. Actions after the first are those of an older policy, and nothing corrects it.

    Args:
        replay: where transitions go, `discounted`.
        n: steps, >= 1.
        gamma: γ.

    Source: Sutton & Barto (2018), "Reinforcement learning: an introduction", section 7.1. Difference: scaled, as above.
    """

    def __init__(self, replay: Replay, n: int, gamma: float):
        self._replay, self._n, self._gamma = replay, n, gamma
        self._waiting: dict[int, deque[Step]] = {}  # by environment

    def add(
        self,
        o: np.ndarray,
        a: np.ndarray,
        cost: float,
        next_observation: np.ndarray,
        terminated: bool,
        *,
        begun: bool,
        environment: int = 0,
    ) -> None:
        """Take one step.

        Args:
            begun: whether it is the first of its episode; what is left of the one before was then cut off.
            environment: which of several side by side it was taken in.
        """
        waiting = self._waiting.setdefault(environment, deque())
        if begun:
            self._empty(waiting)
        waiting.append((np.array(o), np.array(a), np.float32(cost), np.array(next_observation), terminated))
        if terminated:
            self._empty(waiting)
        elif len(waiting) == self._n:
            self._store(waiting)

    def add_round(self, taken: Round) -> None:
        """Take a step of each of n environments."""
        columns = taken.observations, taken.actions, taken.rewards, taken.next_observations, taken.terminated
        for i, (o, a, reward, following, terminated) in enumerate(zip(*columns, strict=True)):
            self.add(o, a, -reward, following, bool(terminated), begun=bool(taken.begun[i]), environment=i)

    def store_all(self) -> None:
        """Store all steps that wait, as if their episodes were cut off here."""
        for waiting in self._waiting.values():
            self._empty(waiting)

    def _empty(self, waiting: deque[Step]) -> None:
        while waiting:
            self._store(waiting)

    def _store(self, waiting: deque[Step]) -> None:
        """Store the transition from the first step that waits to the last, and let the first go."""
        discount, total = 1.0, 0.0
        for _, _, cost, _, _ in waiting:
            total += discount * float(cost)
            discount *= self._gamma
        average = total * (1 - self._gamma) / (1 - discount)
        *_, following, terminated = waiting[-1]
        o, a, *_ = waiting.popleft()
        self._replay.add(o, a, average, following, terminated, discount)

    def state_dict(self) -> dict[str, Any]:
        """Return the steps that wait, for a checkpoint: (environment, o, a, c, o') in a row each."""
        o, a = self._replay.widths[:2]
        rows = [
            np.concatenate(([number], step[0], step[1], [step[2]], step[3]), dtype=np.float32)
            for number, waiting in self._waiting.items()
            for step in waiting
        ]
        return {"waiting": torch.from_numpy(np.array(rows, np.float32).reshape(-1, 2 + 2 * o + a))}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        o, a = self._replay.widths[:2]
        check_names("the steps that wait", state, {"waiting"})
        rows = check_tensor("the steps that wait", state["waiting"], (None, 2 + 2 * o + a)).numpy().copy()
        self._waiting = {}
        for row in rows:
            if len(self._waiting.get(int(row[0]), ())) >= self._n - 1:
                raise ValueError(
                    f"the steps that wait must be fewer than {self._n} in each environment, got {len(rows)}"
                )
            before, action, (cost,), after = np.split(row[1:], (o, o + a, o + a + 1))
            self._waiting.setdefault(int(row[0]), deque()).append((before, action, cost, after, False))
