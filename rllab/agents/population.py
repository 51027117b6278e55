"""Population: n policies that act side by side, in one product of matrices a layer."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from rllab.agents.policy import Policy


class Population:
    """Act for n policies at once; weights of episodes that have ended are dropped when they are a quarter of all.

    Args:
        policy: the architecture.
        points: the weights, (n, d).
    """

    def __init__(self, policy: Policy, points: Tensor):
        self.policy, self.points = policy, points
        self.layers = policy.layers(points)
        self.kept = np.arange(len(points))  # the episode each of `points` plays

    def __call__(self, inputs: np.ndarray, live: np.ndarray) -> np.ndarray:
        """Return the environment's actions at what the networks are given, (m, o), in the episodes `live`, (m,)."""
        if 4 * len(live) <= 3 * len(self.kept):
            self.points = self.points[np.searchsorted(self.kept, live)]
            self.layers, self.kept = self.policy.layers(self.points), live
        where = None if len(live) == len(self.kept) else np.searchsorted(self.kept, live)
        if where is not None:
            padded = np.zeros((len(self.kept), inputs.shape[1]), inputs.dtype)
            padded[where] = inputs
            inputs = padded
        with torch.no_grad():
            outputs = self.policy.population(self.layers, torch.from_numpy(inputs)).numpy()
        return self.policy.to_environment(outputs if where is None else outputs[where])
