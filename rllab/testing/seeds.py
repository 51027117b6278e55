"""Seeds: which points of an estimate share the seed of a noisy cost, and so its noise."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rllab.testing.mechanics import must
from rllab.testing.subject import Subject


@dataclass(frozen=True)
class SharedSeeds:
    """How many points of a query share a seed: common random numbers, where the cost is seeded.

    Args:
        points: of the query.
        seeds: how many different ones they have.

    Example:
        from rllab import estimators as est
        from rllab.testing import check_estimator

        print(check_estimator(est.SPSA(), rules=["seeds"])["seeds"])
    """

    points: int
    seeds: int

    @property
    def word(self) -> str:
        """Who shares one, as a table says it: "none", "all points", "pairs", or "units" of more points."""
        if self.seeds == self.points:
            return "none"
        return "all points" if self.seeds == 1 else "pairs" if self.points == 2 * self.seeds else "units"

    def __str__(self) -> str:
        if self.seeds == self.points:
            return "each point has a seed of its own; `_units` says where some are to share one, and its noise"
        return (
            f"{self.points} points have {self.seeds} seed{'s' * (self.seeds > 1)}: who shares one meets the same noise"
        )


def says_which_points_share_a_seed(s: Subject) -> SharedSeeds:
    """Each point has a seed, the same whenever it is asked for; whether points share one is reported and not judged."""
    at = s.some_at(s.d)
    query = s.estimator.ask(at, s.evaluations(at, 8), s.key)
    seeds, again = ([query.seeds(block) for block in query] for _ in range(2))
    for block, one in zip(query, seeds, strict=True):
        n, got = len(block.points), tuple(one.shape)
        must(got == (n,), f"seeds of {n} points must be ({n},), got {got}: `_units` returns a unit for each point")
    must(all(map(torch.equal, seeds, again)), "seeds must be the same whenever they are asked for")
    return SharedSeeds(query.evaluations, len(torch.cat(seeds).unique()))
