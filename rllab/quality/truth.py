"""What an estimator is held to: a gradient, its name, and where there is none, why.

Two ways of smoothing are finite sums, whatever the cost: with U uniform in [−1, 1] and Δ fair signs,

    axis         E ∂_j f(θ + σU e_j)                        = (f(θ + σe_j) − f(θ − σe_j)) / 2σ
    rademacher   E ∂_j f(θ + σΔʲ), Δʲ = Δ but Δʲ_j = U      = E f(θ + σΔ) Δ_j / σ           2ᵈ terms

jumps included; and on a sum over coordinates the second is the first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from rllab.cost import Cost
from rllab.distributions import Distribution
from rllab.estimate import Gradient, Kind, Target
from rllab.problems import Linear, NoClosedForm, Problem, Quadratic
from rllab.problems.separable import Separable
from rllab.quality.report import GIVEN

_MOST_SIGNS = 14  # coordinates whose 2ᵈ signs are enumerated


@dataclass(frozen=True, eq=False)
class Truth:
    """What estimates are held to.

    Args:
        name: as it stands in a table; "unknown", or GIVEN by the user.
        gradient: (d,) float64; None where it is unknown.
        has_length: whether the length of the estimates means anything; a direction has an angle, but no bias.
        why: why there is less than everything to compare.
    """

    name: str
    gradient: Tensor | None
    has_length: bool = True
    why: str = ""


def truth_for(
    target: Target, problem: Problem | Cost, at: Tensor | Distribution, given: Target | Gradient | None = None
) -> Truth:
    """Return what an estimator of `target` is held to: `given` if there is such, else what it names itself.

    A direction is held to ∇f, or ∇E f at a distribution.
    """
    if target.kind is Kind.DIRECTION:
        whole = Target.gradient() if isinstance(at, Tensor) else Target.expectation()
        truth = truth_for(whole, problem, at, given)
        why = "; ".join(filter(None, ("a direction has no bias", truth.why)))
        return replace(truth, has_length=False, why=why)
    if given is None or isinstance(given, Target):
        wanted = given or target
        if isinstance(problem, Cost):
            return Truth("unknown", None, why=f"a bare cost does not know {wanted}")
        try:
            name, gradient = str(wanted), flat(exact_gradient(problem, wanted, at))
        except NoClosedForm:
            return Truth("unknown", None, why=f"{wanted} has no closed form here")
    else:
        name, gradient = GIVEN, flat(given)
    return Truth(name, gradient, why="" if gradient.any() else "the truth is 0 and points nowhere")


def exact_gradient(problem: Problem, target: Target, at: Tensor | Distribution) -> Gradient:
    """Return the gradient that `target` names: what the problem knows, or one of the sums above.

    Raises:
        NoClosedForm: if there is neither.
    """
    try:
        return problem.truth(target, at)
    except NoClosedForm:
        if target.kind is not Kind.SMOOTHED or not isinstance(at, Tensor) or at.ndim != 1:
            raise
        assert target.radius is not None  # Target checks that
        if isinstance(problem, (Linear, Quadratic)):
            return problem.truth(Target.gradient(), at)  # every kernel has mean zero
        d, x = at.numel(), at.detach().double()
        if target.kernel == "axis" or (target.kernel == "rademacher" and isinstance(problem, Separable)):
            step = target.radius * torch.eye(d, dtype=x.dtype)
            return ((problem.value(x + step) - problem.value(x - step)) / (2 * target.radius)).to(at)
        if target.kernel == "rademacher" and d <= _MOST_SIGNS:
            signs = 2.0 * ((torch.arange(2**d)[:, None] >> torch.arange(d)) & 1) - 1
            signs = signs.to(x)
            return (problem.value(x + target.radius * signs) @ signs / (2**d * target.radius)).to(at)
        raise


def flat(gradient: Gradient, batch: int | None = None) -> Tensor:
    """Return a gradient as (d,), or one of a batch of B as (B, d), float64 on the CPU; a dict's parts end to end."""
    parts = gradient.values() if isinstance(gradient, dict) else (gradient,)
    shape = (-1,) if batch is None else (batch, -1)
    return torch.cat([part.detach().reshape(shape).to("cpu", torch.float64) for part in parts], -1)
