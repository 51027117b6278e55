"""Order: does the bias of an estimator that steps shrink with the step as its declared order says."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from rllab.estimate import Kind
from rllab.estimators.base import Estimator
from rllab.problems import Cosine, Ridge
from rllab.quality.estimates import Estimates
from rllab.testing.mechanics import must
from rllab.testing.power import FALSE_ALARM, NotTested
from rllab.testing.subject import WAVE, Subject, parameters

STEPS = ("step", "sigma", "radius")  # names of the hyperparameter h
LONG, SHORT = 0.4, 0.2  # h, where the cost is cos(c·x) of ‖c‖ = 1.5: long enough for a bias, short for its first power
NUMBERS = 1 << 17  # at which the cost is evaluated at each h: estimates × evaluations × d
TOGETHER = 2_000  # estimates in one query
SURE = 0.35  # of an order, which chance may take it off by
SMALLEST = 1e-7  # of the gradient, below which a bias is rounding


@dataclass(frozen=True)
class Order:
    """What a bias at two steps says of its order: p = log₂(b(h) / b(h/2)) where the bias is b(h) = O(hᵖ).

    Args:
        of: what was measured.
        declared: p as the estimator says.
        measured: p as the biases say.

    Example:
        from rllab import estimators as est
        from rllab.testing import check_estimator

        print(check_estimator(est.CentralDifference(), rules=["order"])["order"])
    """

    of: str
    declared: int
    measured: float

    def __str__(self) -> str:
        return f"{self.of}: halving it divides the bias by 2^{self.measured:.2f}, and the order is {self.declared}"


def shrinks_as_its_order_says(s: Subject) -> Order | NotTested:
    """Halving its step divides the bias by about 2 to the power of its order, at a cost with a known gradient.

    Nothing is tested if it declares none, is asked at a distribution, has no hyperparameter of the names in STEPS, or
    is so noisy that its bias does not show.
    """
    from scipy.stats import norm

    e = s.estimator
    names = [f.name for f in dataclasses.fields(e) if f.name in STEPS]  # type: ignore[arg-type] - a rule asks for that
    if e.order is None:
        return NotTested("it declares no order")
    if e.target.kind is not Kind.GRADIENT or s._make_at is not parameters or not names:
        return NotTested(f"an order of the gradient in one of the hyperparameters {', '.join(STEPS)} would be")
    problem = Ridge(Cosine(), direction=WAVE, dimension=3)
    if not e.needs <= problem.offers:
        return NotTested(f"it needs {', '.join(sorted(e.needs))} of a cost")
    at = torch.tensor([0.37, -0.61, 1.13], dtype=torch.float64)
    truth = problem.gradient(at[None])[0]
    biases: list[tuple[float, float]] = []  # along the longer one, and its standard error
    along: Tensor | None = None
    for h in (LONG, SHORT):
        stepping: Estimator = dataclasses.replace(e, **{names[0]: h})  # type: ignore[type-var]
        n = stepping.minimum(at)
        off = Estimates(stepping, problem.cost(), at, n, together=TOGETHER)(NUMBERS // (3 * n), s.key)[0] - truth
        along = torch.nn.functional.normalize(off.mean(0), dim=0) if along is None else along
        biases.append((float((off @ along).mean()), float((off @ along).std()) / len(off) ** 0.5))
    (long, w_long), (short, w_short) = biases
    if long < SMALLEST * float(truth.norm()):
        return NotTested("it has no bias there")
    # p = log₂ b(h) − log₂ b(h/2), and its standard error by the rule of propagation
    measured = math.log2(long / short) if short > 0 else math.inf
    chance = float(norm.isf(FALSE_ALARM / 2)) * math.hypot(w_long / long, w_short / short) / math.log(2)
    if chance > SURE:
        return NotTested("it is too noisy for its bias to show")
    g = float(truth.norm())
    must(
        abs(measured - e.order) <= 0.5 + chance,
        f"halving {names[0]} must divide the bias by about 2^{e.order}, got 2^{measured:.2f}: it is {long / g:.2g} and "
        f"{short / g:.2g} times the gradient's length at {names[0]}={LONG:g} and {SHORT:g}",
    )
    return Order(names[0], e.order, measured)
