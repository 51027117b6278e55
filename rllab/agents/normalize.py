"""Normalisation by what was seen so far: of observations to mean 0 and variance 1, of costs to a steady size."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rllab.agents.saved import check_names, take

CLIP = 10.0  # standard deviations beyond which an observation is cut, as in stable-baselines3's VecNormalize
TINY = 1e-8  # added to variances


class RunningMoments:
    """Keep mean and variance of all rows seen so far, and normalise by them.

        x̂ = clip((x − mean)/√(variance + 1e-8), ±10),  and x̂ = x before anything was seen

    Nothing is taken in by normalising: a learner says what is, so that evaluation, acting and `gradient` leave the
    moments as they are.

    Args:
        shape: of one row.

    Attributes:
        mean, squares: the mean, and the sum of squared differences from it, float64 of that shape.
        count: rows so far, float64 ().

    Source: Chan, Golub & LeVeque (1983), "Algorithms for computing the sample variance", eq. 2.1.
    """

    def __init__(self, *shape: int):
        self.mean, self.squares = (torch.zeros(shape, dtype=torch.float64) for _ in range(2))
        self.count = torch.zeros((), dtype=torch.float64)
        self._refresh()

    @property
    def variance(self) -> Tensor:
        """The variance, with 1/count, of that shape; 1 before anything was seen."""
        return self.squares / self.count if self.count else torch.ones_like(self.squares)

    def update(self, rows: Tensor) -> None:
        """Take in rows (…, *shape)."""
        rows = rows.detach().reshape(-1, *self.mean.shape).double()
        mean = rows.mean(0)
        self._take(len(rows), mean, (rows - mean).square().sum(0))

    def merge(self, other: RunningMoments) -> None:
        """Take in all that another one has seen."""
        if other.count:
            self._take(float(other.count), other.mean, other.squares)

    def _take(self, n: float, mean: Tensor, squares: Tensor) -> None:
        total = self.count + n
        # M ← M + M_new + (mean_new − mean)² · count · n / (count + n)
        self.squares += squares + (mean - self.mean).square() * (self.count * n / total)
        self.mean += (mean - self.mean) * (n / total)
        self.count += n
        self._refresh()

    def __call__(self, rows: Tensor) -> Tensor:
        """Return normalised rows (…, *shape), of their dtype."""
        return torch.from_numpy(self.array(rows.numpy())) if self.count else rows

    def array(self, rows: np.ndarray) -> np.ndarray:
        """Return normalised rows (…, *shape), of their dtype."""
        if not self.count:
            return rows
        return ((rows - self._mean) * self._factor).clip(-CLIP, CLIP).astype(rows.dtype, copy=False)

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean and the inverse deviation that rows are normalised by, float32 of the shape of a row each."""
        return self._mean, self._factor

    def state_dict(self) -> dict[str, Tensor]:
        """Return the moments, for a checkpoint."""
        return {"mean": self.mean, "squares": self.squares, "count": self.count}

    def load_state_dict(self, state: object) -> None:
        """Take over what `state_dict` gave."""
        take("the normalisation's", self.state_dict(), state)
        self._refresh()

    def _refresh(self) -> None:
        self._mean = self.mean.numpy().astype(np.float32)
        self._factor = (1.0 / (self.variance + TINY).sqrt()).numpy().astype(np.float32)


class CostScale:
    """Keep the standard deviation of discounted sums of costs, which costs are divided by.

        s_t = c_t + γ (1 − over_{t−1}) s_{t−1} in each environment,      ĉ = clip(c/√(Var s + 1e-8), ±10)
        and ĉ = c before anything was seen

    A value function of such costs is of size 1 whatever the task's units. Costs are not centred: that would pay or
    punish for a longer episode.

    Args:
        num_envs: n.
        gamma: γ.

    Source: Engstrom et al. (2020), "Implementation matters in deep policy gradients", section 3, item 2; s_t as in
    stable-baselines3's VecNormalize.
    """

    def __init__(self, num_envs: int, gamma: float):
        self.gamma, self.moments = gamma, RunningMoments()
        self._sums = torch.zeros(num_envs, dtype=torch.float64)

    def update(self, costs: Tensor, over: Tensor) -> None:
        """Take in costs (T, n), and whether an episode ended there, bool (T, n)."""
        seen = torch.empty(costs.shape, dtype=torch.float64)
        for t, cost in enumerate(costs.double()):
            # s_t = c_t + γ (1 − over_{t−1}) s_{t−1}
            seen[t] = self._sums.mul_(self.gamma).add_(cost)
            self._sums.masked_fill_(over[t], 0.0)
        self.moments.update(seen)

    @property
    def scale(self) -> float:
        """What costs are divided by; 1 before anything was seen."""
        return math.sqrt(float(self.moments.variance) + TINY) if self.moments.count else 1.0

    def __call__(self, costs: Tensor) -> Tensor:
        """Return scaled costs, of their shape."""
        return (costs / self.scale).clamp(-CLIP, CLIP) if self.moments.count else costs

    def state_dict(self) -> dict[str, Any]:
        """Return moments and running sums, for a checkpoint."""
        return {"moments": self.moments.state_dict(), "sums": self._sums}

    def load_state_dict(self, state: object) -> None:
        """Take over what `state_dict` gave."""
        given = check_names("the costs' scale", state, {"moments", "sums"})
        take("the costs' scale", {"sums": self._sums}, {"sums": given["sums"]})
        self.moments.load_state_dict(given["moments"])
