"""Has the cost "how soon does the rider fall" a gradient, and does smoothing give it one?

For linear policies a = tanh(W o/scale + b), drawn at random, with the noise of the ride held fixed:
    central differences  f(w + h e_i) − f(w − h e_i), h = 1e-6, in every weight i      (a count: exactly 0 or a jump)
    the gradient of the Gaussian-smoothed cost, with its standard error
"""

from __future__ import annotations

from typing import Any

from experiments.common.estimates import only

import numpy as np
import torch
from torch import Tensor

from rllab import Cost, Key
from rllab.agents.making import Maker
from rllab.agents.rollouts import rollout
from rllab.agents.vectorization import make_environments
from rllab.estimators import GaussianSmoothing
from rllab.keys import seeds_for
from rllab.noise import standard_normal

STEP = 1e-6
SIGMA = 0.1
PAIRS = 128
TOGETHER = 8  # policies asked about in one query: 2,048 rides side by side
SPREAD = 0.5  # standard deviation of the weights of a drawn policy


class Rides:
    """Steps upright of linear policies, float64 all through, as a seeded cost: −steps."""

    def __init__(self, environment: str, scale: tuple[float, ...], n: int):
        self.environments = make_environments(Maker("flatness", environment, {"dtype": np.float64}), n)
        self.shrink = 1.0 / np.array(scale)

    def __call__(self, points: Tensor, seeds: Tensor) -> Tensor:
        w = points.numpy().reshape(len(points), len(self.shrink) + 1, 2)  # W, then b as the last row

        def act(observations: np.ndarray, live: np.ndarray) -> np.ndarray:
            x, mine = observations * self.shrink, w if len(live) == len(w) else w[live]
            return np.tanh(np.einsum("ni,nik->nk", x, mine[:, :-1]) + mine[:, -1])

        return torch.from_numpy(-rollout(self.environments, act, seeds.tolist()).returns)


def flatness(environment: str, scale: tuple[float, ...], *, policies: int, key: int) -> dict[str, Any]:
    """Measure how often the cost is flat, and how often the smoothed cost is visibly not, at drawn policies.

    Returns:
        unchanged: share of policies at which all central differences are exactly 0.
        significant: share at which the largest |slope| of the smoothed cost exceeds 5 of its standard errors.
    """
    root, d = Key(key), 2 * (len(scale) + 1)
    drawn = SPREAD * standard_normal((policies, d), root.child("policy"), torch.empty(0, dtype=torch.float64))
    steps = STEP * torch.cat((torch.eye(d), -torch.eye(d))).double()
    rides = Rides(environment, scale, TOGETHER * 2 * d)
    smoothed, estimator = (
        Cost(Rides(environment, scale, TOGETHER * 2 * PAIRS), seeded=True, check_rows=False),
        GaussianSmoothing(SIGMA),
    )
    unchanged = significant = 0
    for first in range(0, policies, TOGETHER):
        at = drawn[first : first + TOGETHER]
        seeds = seeds_for(np.arange(first, first + TOGETHER), root.child("noise")).repeat_interleave(2 * d)
        f = rides((at[:, None] + steps).reshape(-1, d), seeds).view(TOGETHER, 2, d)
        unchanged += int((f[:, 0] == f[:, 1]).all(-1).sum())
        e = estimator(smoothed, at, evaluations=2 * PAIRS, key=root.child("direction", first))
        significant += int(((only(e.gradient) / only(e.standard_error)).abs().amax(-1) > 5).sum())
    return {
        "policies": policies,
        "h": STEP,
        "sigma": SIGMA,
        "evaluations": 2 * PAIRS,
        "unchanged": unchanged / policies,
        "significant": significant / policies,
    }
