"""Population: n policies that act side by side, in one product of matrices a layer."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from rllab.agents.normalize import RunningMoments
from rllab.agents.policy import Policy


class Population:
    """Act for n policies at once; weights of episodes that have ended are dropped when they are a quarter of all.

    Args:
        policy: the architecture.
        points: the weights, (n, d).
        normalizer: of scaled observations, which is left as it is; None leaves them as they are.

    Attributes:
        seen: moments of the scaled observations, if there is a normaliser.
    """

    def __init__(self, policy: Policy, points: Tensor, normalizer: RunningMoments | None = None):
        self.policy, self.points, self.normalizer = policy, points, normalizer
        self.seen = RunningMoments(len(policy.scale))
        self.layers = policy.layers(points)
        self.kept = np.arange(len(points))  # the episode each of `points` plays

    def __call__(self, observations: np.ndarray, live: np.ndarray) -> np.ndarray:
        """Return actions at observations (m, o) of the episodes `live`, (m,)."""
        if 4 * len(live) <= 3 * len(self.kept):
            self.points = self.points[np.searchsorted(self.kept, live)]
            self.layers, self.kept = self.policy.layers(self.points), live
        inputs = self.policy.scaled(observations)
        if self.normalizer is not None:
            self.seen.update(torch.from_numpy(inputs))
            inputs = self.normalizer.array(inputs)
        where = None if len(live) == len(self.kept) else np.searchsorted(self.kept, live)
        if where is not None:
            padded = np.zeros((len(self.kept), inputs.shape[1]), inputs.dtype)
            padded[where] = inputs
            inputs = padded
        with torch.no_grad():
            outputs = self.policy.population(self.layers, torch.from_numpy(inputs)).numpy()
        return self.policy.to_environment(outputs if where is None else outputs[where])
