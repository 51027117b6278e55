"""Stochastic: a cost that is simulated, whose mean over the simulator's noise is known."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from scipy.special import ndtri
from torch import Tensor

from rllab.cost import Cost
from rllab.executors.jobs import Executor
from rllab.keys import Key, seeds_for
from rllab.problems.base import Problem


class SimulatedRuns(NamedTuple):
    """Cost (n,), score Σ_t ∇_θ log π(a_t | s_t) (n, d), and steps taken (n,), of n runs."""

    cost: Tensor
    score: Tensor
    steps: Tensor


class Stochastic(Problem):
    """Base of the simulated problems. `value` and `gradient` are of the mean; no smoothing of it has a closed form.

        C(θ) = E_ω c(θ, ω)            value, gradient                 exact
        c(θ, ω)                       sample, sample_gradient         one run a point, ω named by a seed
        E c Σ_t ∇ log π(a_t | s_t) = ∇C                               `score` of a run, for who knows the policy

    A seed names the whole noise of a run, number by number, so that runs of one seed share it whatever their length is.

    Example:
        import torch
        from rllab import problems

        walk, at = problems.RandomWalk(), torch.zeros(5, 1)
        runs = walk.cost()(at, torch.arange(5))  # simulated, one seed a run
        walk.value(at)  # their mean, exact
    """

    kernels: ClassVar[tuple[str, ...]] = ()

    def run(self, x: Tensor, seeds: Tensor) -> SimulatedRuns:
        """Simulate points (n, d) under seeds (n,): one run each."""
        x = self._points(f"{self._name}.run", x)
        if not isinstance(seeds, Tensor) or seeds.shape != (len(x),) or seeds.dtype != torch.int64:
            got = f"{tuple(seeds.shape)} {seeds.dtype}" if isinstance(seeds, Tensor) else type(seeds).__name__
            raise ValueError(f"{self._name}.run: seeds must be an int64 tensor ({len(x)},), got {got}")
        return self._run(x, Noise(seeds))

    def sample(self, x: Tensor, seeds: Tensor) -> Tensor:
        """Return the costs (n,) of one run a point."""
        return self.run(x, seeds).cost.to(x)

    def sample_gradient(self, x: Tensor, seeds: Tensor) -> Tensor:
        """Return the pathwise gradients (n, d) of `sample`, noise held: unbiased only if no run ends by a jump."""
        return self._run_gradient(self._points(f"{self._name}.sample_gradient", x), Noise(seeds)).to(x)

    def sample_jvp(self, x: Tensor, v: Tensor, seeds: Tensor) -> tuple[Tensor, Tensor]:
        """Return `sample` and its pathwise derivative along v (n, d), each (n,)."""
        return self.sample(x, seeds), (self.sample_gradient(x, seeds) * v).sum(-1)

    def cost(self, budget: int | None = None, *, executor: Executor | None = None) -> Cost:
        """Return `sample` as a counted black box with seeds, differentiated path by path.

        Its mean is `value`; `Cost(problem.value, gradient=problem.gradient)` is that mean as a cost.
        """
        given = {"gradient": self.sample_gradient, "jvp": self.sample_jvp}
        return Cost(self.sample, budget, seeded=True, check_rows=False, executor=executor, **given)

    @abstractmethod
    def _run(self, x: Tensor, noise: Noise) -> SimulatedRuns: ...

    @abstractmethod
    def _run_gradient(self, x: Tensor, noise: Noise) -> Tensor: ...


class Noise:
    """Numbers i = 0, 1, … for each seed: SplitMix64 streams whose start depends on the seed."""

    def __init__(self, seeds: Tensor):
        self._start = seeds_for(seeds.cpu().numpy(), _START).numpy()

    def uniform(self, first: int, count: int, of: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Return numbers first … first + count − 1 of each seed, or of some, uniform in (0, 1), as (n, count)."""
        bits = seeds_for(self._start[of, None] + np.arange(first, first + count), _STREAM).numpy() >> 10
        return (bits + 0.5) * 2.0**-53

    def normal(self, first: int, count: int) -> np.ndarray:
        """Return the same numbers as N(0, 1), by the inverse of Φ."""
        return ndtri(self.uniform(first, count))


_START, _STREAM = Key(0).child("start"), Key(0).child("stream")
