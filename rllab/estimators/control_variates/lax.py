"""LAX: score function with a learned, differentiable control variate, for Gaussian outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from rllab.checks import check_not_negative, take_counts
from rllab.distributions import Gaussian
from rllab.estimators.control_variates.surrogate_control import SurrogateControl
from rllab.estimators.query import Plan, PointBlock, Query
from rllab.estimators.score.samples import Contributions, check_distribution, units_per_block
from rllab.keys import Key


@dataclass(frozen=True)
class Lax(SurrogateControl):
    """Estimate the gradient of an expected cost of normal outputs, and learn what lowers the variance.

        ĝ = (f(x) − c(x)) ∇_φ log p(x) + ∇_φ c(x(φ, u)),    x = μ + s u, u ~ N(0, I)          1 evaluation a sample
        c(x) = N_w((x − m)/r),  with numbers m, r that are what μ and s are                   w ← Adam on ∂‖ĝ‖²/∂w

    Unbiased for ∇_φ E f(x), for any w that does not depend on the sample: the last two terms are score function and
    pathwise estimate of the same ∇_φ E c. The network sees u, whatever the units of x; m and r are constants, so
    nothing is differentiated through them. f need not be smooth, nor known: jumps included.

    Args:
        hidden: width of the tanh layer of N.
        lr: of Adam on w; 0 leaves w as it is.

    Returns:
        At a `Gaussian`, an Estimate of ∇E f(x) by mean and scale, unbiased; its `value` is the mean cost. Its `state`
        is the `ControlVariateState` w, each of a batch its own: give it back at the next call, or c starts
        at 0 again. A `BlackBox` does so at each position of a batch, whose size must stay.
        What is minimised is the sum of both gradients' squares.

    Raises:
        TypeError, ValueError: `hidden` is no integer >= 1, or `lr` is negative.

    Source:
        Grathwohl, Choi, Wu, Roeder & Duvenaud (2018), "Backpropagation through the void: Optimizing control variates
        for black-box gradient estimation", eq. 6 and section 3.1. c starts at 0 here, as the score function.

    Example:
        import torch
        from rllab import Cost, Gaussian, estimators as est

        cost = Cost(lambda x: x.square().sum(-1))
        e = est.Lax()(cost, Gaussian(torch.ones(3), 0.2), evaluations=10_000, key=0)
        e.gradient  # by mean about 2, 2, 2, by scale 0.4, 0.4, 0.4
    """

    source: ClassVar[str] = (
        "Grathwohl, Choi, Wu, Roeder & Duvenaud (2018), Backpropagation through the void: Optimizing control variates "
        "for black-box gradient estimation"
    )
    hidden: int = 10
    lr: float = 0.01

    def __post_init__(self) -> None:
        take_counts(self, hidden=1)
        check_not_negative("Lax", lr=self.lr)

    def _initial(self, at: Gaussian, key: Key) -> Tensor:
        return self._network(at).initial(self._batch_shape(at), key, at.mean)

    def _size(self, at: Gaussian) -> int:
        return self._network(at).size

    def _plan(self, at: Any) -> Plan:
        return Plan(per_unit=1, block=units_per_block(check_distribution("Lax", at, Gaussian), points=1))

    def _block(self, query: Query, i: int) -> PointBlock:
        a, b = self._span(query, i)
        return PointBlock(slice(a, b), *query.at.draw(b - a, query.key.child("sample", i)))

    def _contributions(self, phi: Tensor, at: Gaussian, block: PointBlock, f: Tensor) -> Contributions:
        u = block.noise
        c, slope = self._network(at).value_and_slope(phi, u)
        slope = slope / at.parameters["scale"]  # ∇c = ∂N/∂u /r
        score, missed = at.scores(block.points, u), (f - c).unsqueeze(-1)
        # ∂x/∂μ = 1,  ∂x/∂s = u
        return {"mean": missed * score["mean"] + slope, "scale": missed * score["scale"] + slope * u}
