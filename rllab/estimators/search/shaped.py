"""Shaped: any estimator from values, told how each cost stands among the others instead of the costs themselves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from torch import Tensor

from rllab.checks import check_fraction, check_one_of
from rllab.estimate import Target
from rllab.estimators.base import Estimator
from rllab.estimators.query import Query
from rllab.estimators.search import shaping
from rllab.estimators.search.engine import Search
from rllab.estimators.smoothing.gaussian import GaussianSmoothing

Way = Literal["ranks", "z-scores", "utilities", "top-k"]
WAYS = ("ranks", "z-scores", "utilities", "top-k")


@dataclass(frozen=True)
class Shaped(Search):
    """Estimate a direction that does not depend on the scale of costs, or on anything but their order.

        ĝ = fold(s_1, …, s_n),    s_k in the place of the k-th of all n costs f_k

        by            s_k                                                          what leaves ĝ as it is
        "ranks"       rank_k/(n − 1) − ½                                           any increasing function of f
        "utilities"   minus the utilities of natural evolution strategies          the same
        "top-k"       −1 for the round(share n) least costs, else 0                the same
        "z-scores"    (f_k − mean)/standard deviation                              a f + b, a > 0

    A single outlier among the costs, or returns that grow tenfold while something is learned, then leave the length of
    a step as it is. The price is that ĝ is no gradient: its mean is that of no cost that stays the same from one place
    to the next. Equal costs get equal numbers.

    Args:
        estimator: whose points are asked and whose fold weighs them; any that asks for values alone. What it keeps from
            call to call, a critic, it then learns of shaped costs.
        by: how costs are shaped, see above.
        share: of the costs, in (0, 1), that count as the best, for "top-k".

    Returns:
        An Estimate whose target is a direction. Its `value` is the mean of the costs as they came, None where the
        estimator's own is. Its `standard_error` takes the numbers s_k as given. Seeds are shared as by the estimator.

    Raises:
        TypeError, ValueError: `estimator` is none or asks for more than values, or an argument is out of its range.

    Memory: O(n) for the costs of a query; where it has several blocks, each is drawn twice.

    Source:
        "ranks": Salimans et al. (2017), "Evolution strategies as a scalable alternative to reinforcement learning",
        section 2, with equal ranks for equal costs. "utilities": Wierstra et al. (2014), "Natural evolution
        strategies", section 3.1. "top-k": truncation selection, Rubinstein (1999), "The cross-entropy method for
        combinatorial and continuous optimization".

    Example:
        import torch
        from rllab import Cost, estimators as est

        cost = Cost(lambda x: 1e6 * x.square().sum(-1).exp())
        e = est.Shaped(est.GaussianSmoothing(0.1), by="ranks")(cost, torch.ones(3), evaluations=100, key=0)
        e.gradient  # about 2, 2, 2
    """

    source: ClassVar[str] = (
        "Salimans et al. (2017), Evolution strategies as a scalable alternative to reinforcement learning; "
        "Wierstra et al. (2014), Natural evolution strategies"
    )
    estimator: Estimator = field(default_factory=GaussianSmoothing)
    by: Way = "ranks"
    share: float = 0.25

    def __post_init__(self) -> None:
        check_one_of("Shaped", WAYS, by=self.by)
        check_fraction("Shaped", below=True, share=self.share)
        if not isinstance(self.estimator, Estimator):
            raise TypeError(f"Shaped: estimator must be an Estimator, got {self.estimator!r}")
        if self.estimator.needs != {"value"}:
            needs = sorted(self.estimator.needs)
            raise ValueError(
                f"Shaped: estimator must ask for values alone, got {self.estimator!r}, which needs {needs}"
            )

    @property
    def target(self) -> Target:
        return Target.direction(f"{self.estimator.target} of costs shaped by {self.by}")

    @property
    def stateful(self) -> bool:
        return self.estimator.stateful

    @property
    def shares_state(self) -> bool:
        return self.estimator.shares_state

    @property
    def _inner(self) -> Estimator:
        return self.estimator

    def _shape(self, query: Query, costs: Tensor) -> Tensor:
        if self.by == "top-k":
            return shaping.the_best(costs, self.share)
        ways = {"ranks": shaping.centred_ranks, "utilities": shaping.utilities, "z-scores": shaping.z_scores}
        return ways[self.by](costs)
