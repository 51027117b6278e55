"""LAX: score function with a learned, differentiable control variate, for Gaussian outputs.

    ĝ = (f(x) − c(x)) ∇_φ log p(x) + ∇_φ c(x(φ, u)),    x = μ + s u, u ~ N(0, I)          1 evaluation a sample
    c(x) = N_w((x − m)/r),  with numbers m, r that are what μ and s are                   w ← Adam on ∂‖ĝ‖²/∂w

Unbiased for ∇_φ E f(x), for any w that does not depend on the sample: the last two terms are score function and
pathwise estimate of the same ∇_φ E c. The network sees u, whatever the units of x; m and r are constants, so nothing is
differentiated through them. f need not be smooth, nor known: jumps included.

Source: Grathwohl, Choi, Wu, Roeder & Duvenaud (2018), "Backpropagation through the void: Optimizing control variates
for black-box gradient estimation", eq. 6 and section 3.1. c starts at 0 here, as the score function.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from rllab.distributions import Gaussian
from rllab.estimate import Estimate, Target
from rllab.estimators.base import Estimator
from rllab.estimators.control_variates.state import Learned, check_learned, check_rate
from rllab.estimators.control_variates.surrogate import Surrogate, check_hidden
from rllab.estimators.query import Block, Plan, Query
from rllab.estimators.score.samples import Contributions, check_place, fold_contributions, units_per_block
from rllab.keys import Key


@dataclass(frozen=True)
class Lax(Estimator):
    """Estimate the gradient of an expected cost of normal outputs, and learn what lowers the variance.

    Args:
        hidden: width of the tanh layer of N.
        lr: of Adam on w; 0 leaves w as it is.

    Returns, when called at a `Gaussian`, an Estimate of ∇E f(x) by mean and scale, unbiased; its `value` is the mean
    cost. Its state is the `Learned` w, for each of B problems its own: give it back at the next call, or c begins anew,
    at 0. What is minimised is the sum of both gradients' squares.
    """

    source: ClassVar[str] = (
        "Grathwohl, Choi, Wu, Roeder & Duvenaud (2018), Backpropagation through the void: Optimizing control variates "
        "for black-box gradient estimation"
    )
    hidden: int = 10
    lr: float = 0.01

    def __post_init__(self) -> None:
        check_hidden("Lax", self.hidden)
        check_rate("Lax", self.lr)

    @property
    def target(self) -> Target:
        return Target.expectation()

    @property
    def unbiased(self) -> bool:
        return True

    @property
    def stateful(self) -> bool:
        return True

    def begun(self, state: Learned | None, at: Gaussian, key: Key) -> Learned:
        """Return the state; at first a c that is 0, with weights drawn for what it may become."""
        problems, net = self._problems(at), self._network(at)
        if state is not None:
            return check_learned("Lax", state, problems, net.size)
        return Learned(net.initial(problems, key.child("weights"), at.mean))

    def _network(self, at: Gaussian) -> Surrogate:
        return Surrogate(at.shape[-1], self.hidden)

    def _plan(self, at: Any) -> Plan:
        return Plan(per_unit=1, block=units_per_block(check_place("Lax", at, Gaussian), points=1))

    def _block(self, query: Query, i: int) -> Block:
        a, b = self._span(query, i)
        return Block(slice(a, b), *query.at.draw(b - a, query.key.child("sample", i)))

    def _fold(self, query: Query, answered: Iterable[tuple[Block, Tensor]], rows: bool, errors: bool) -> Estimate:
        at, state = query.at, self.begun(query.state, query.at, query.key)
        w = state.values.detach().requires_grad_(self.lr > 0)
        slopes = torch.zeros_like(state.values)

        def contributions() -> Iterator[tuple[Contributions, Tensor]]:
            for block, f in answered:
                with torch.enable_grad():
                    r = self._contributions(w, at, block, f)
                    if self.lr > 0:
                        square = sum(part.square().sum() for part in r.values())
                        slopes.add_(torch.autograd.grad(square, w)[0])  # type: ignore[arg-type] - a tensor, not 0
                yield {name: part.detach() for name, part in r.items()}, f

        e = fold_contributions(query, contributions(), rows, errors)
        return replace(e, state=state.after(slopes / query.units, self.lr) if self.lr > 0 else state)

    def _contributions(self, w: Tensor, at: Gaussian, block: Block, f: Tensor) -> Contributions:
        u = block.noise
        c, slope = self._network(at).value_and_slope(w, u)
        slope = slope / at.parameters["scale"]  # ∇c = ∂N/∂u /r
        score, missed = at.scores(block.points, u), (f - c).unsqueeze(-1)
        # ∂x/∂μ = 1,  ∂x/∂s = u
        return {"mean": missed * score["mean"] + slope, "scale": missed * score["scale"] + slope * u}
