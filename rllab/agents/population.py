"""Population: n policies that act side by side, in one product of matrices a layer."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from rllab.agents.normalize import RunningMoments
from rllab.agents.policy import Policy

FLUSH = 1 << 14  # observations kept until their moments are taken, which costs more than a round of few policies


class Seen:
    """Take in observations round by round, and their moments in blocks, whose size is part of the numbers.

    Args:
        size: numbers in an observation.
    """

    def __init__(self, size: int):
        self._moments, self._rows, self._kept = RunningMoments(size), list[np.ndarray](), 0

    def keep(self, rows: np.ndarray) -> None:
        """Take in the observations of a round, (m, size)."""
        self._rows.append(rows)
        self._kept += len(rows)
        if self._kept >= FLUSH:
            self._flush()

    @property
    def moments(self) -> RunningMoments:
        """Moments of all so far."""
        if self._rows:
            self._flush()
        return self._moments

    def _flush(self) -> None:
        self._moments.update(torch.from_numpy(np.concatenate(self._rows)))
        self._rows, self._kept = [], 0


class Population:
    """Act for n policies at once; weights of episodes that have ended are dropped when they are a quarter of all.

    Args:
        policy: the architecture.
        points: the weights, (n, d).
        normalizer: of scaled observations, which is left as it is; None leaves them as they are.
    """

    def __init__(self, policy: Policy, points: Tensor, normalizer: RunningMoments | None = None):
        self.policy, self.points, self.normalizer = policy, points, normalizer
        self._seen = Seen(len(policy.scale))
        self.layers = policy.layers(points)
        self.kept = np.arange(len(points))  # the episode each of `points` plays

    @property
    def seen(self) -> RunningMoments:
        """Moments of the scaled observations so far, if there is a normaliser."""
        return self._seen.moments

    def __call__(self, observations: np.ndarray, live: np.ndarray) -> np.ndarray:
        """Return actions at observations (m, o) of the episodes `live`, (m,)."""
        if 4 * len(live) <= 3 * len(self.kept):
            self.points = self.points[np.searchsorted(self.kept, live)]
            self.layers, self.kept = self.policy.layers(self.points), live
        inputs = self.policy.scaled(observations)
        if self.normalizer is not None:
            self._seen.keep(inputs)
            inputs = self.normalizer.array(inputs)
        where = None if len(live) == len(self.kept) else np.searchsorted(self.kept, live)
        if where is not None:
            padded = np.zeros((len(self.kept), inputs.shape[1]), inputs.dtype)
            padded[where] = inputs
            inputs = padded
        with torch.no_grad():
            outputs = self.policy.population(self.layers, torch.from_numpy(inputs)).numpy()
        return self.policy.to_environment(outputs if where is None else outputs[where])
