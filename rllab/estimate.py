"""Target and Estimate: what a vector is an estimate of, and the vector with its price and standard error.

An Estimate is a value too, though not frozen: freezing it and its query is a twentieth of a small estimate's price.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any

from torch import Tensor

from rllab.cost import Request

Gradient = Tensor | dict[str, Tensor]
IN_EACH_PARAMETER = ("gaussian", "rademacher")  # kernels that move each parameter by σ, not all together by a radius


class Kind(Enum):
    """What a vector may be an estimate of."""

    GRADIENT = "∇f"
    SMOOTHED = "∇f_σ"
    EXPECTATION = "∇E f"
    RELAXED = "∇E f, relaxed"
    SURROGATE = "∇f̂"
    DIRECTION = "direction"


@dataclass(frozen=True, slots=True)
class Target:
    """What a vector is an estimate of; two estimates may be compared only if their targets are equal.

    Args:
        kind: see `Kind`.
        kernel: for SMOOTHED, what u is drawn from: "gaussian", N(0, I); "ball", uniformly from the unit ball;
            "rademacher", signs; "axis", uniformly between ± the unit vector of one axis; or a name of one's own.
        radius: for SMOOTHED, the kernel's own width: σ in each parameter for "gaussian" and "rademacher"; for others,
            as "ball", the radius in all together.
        of: for RELAXED, SURROGATE and DIRECTION, in words, what stands in for the cost.

    Raises:
        ValueError: kernel and radius are missing for SMOOTHED, or stand beside another kind.

    Example:
        from rllab import Target, estimators as est

        assert est.GaussianSmoothing(0.2).target == Target.smoothed("gaussian", 0.2) != Target.gradient()
    """

    kind: Kind
    kernel: str | None = None
    radius: float | None = None
    of: str = ""

    def __post_init__(self) -> None:
        if (self.kind is Kind.SMOOTHED) != (self.kernel is not None and self.radius is not None):
            raise ValueError(
                "Target: kernel and radius belong to SMOOTHED and must both be given there, got "
                f"kind={self.kind.name}, kernel={self.kernel!r}, radius={self.radius!r}"
            )

    @classmethod
    @cache
    def gradient(cls) -> Target:
        """∇f(θ) itself."""
        return cls(Kind.GRADIENT)

    @classmethod
    def smoothed(cls, kernel: str, radius: float) -> Target:
        """∇f_σ(θ), f_σ(θ) = E f(θ + radius·u), u drawn from the kernel."""
        return cls(Kind.SMOOTHED, kernel, radius)

    @classmethod
    @cache
    def expectation(cls) -> Target:
        """∇_φ E_{x∼p_φ} f(x)."""
        return cls(Kind.EXPECTATION)

    @classmethod
    def relaxed(cls, of: str = "") -> Target:
        """The same expectation with discrete x replaced by a continuous relaxation."""
        return cls(Kind.RELAXED, of=of)

    @classmethod
    def surrogate(cls, of: str = "") -> Target:
        """The gradient of a stand-in for the cost: a learned one, or what several samples together make of it."""
        return cls(Kind.SURROGATE, of=of)

    @classmethod
    def direction(cls, of: str = "") -> Target:
        """A direction whose length means nothing (ranks, z-scores, …); it has no bias, because it has no truth."""
        return cls(Kind.DIRECTION, of=of)

    def __str__(self) -> str:
        name = "σ" if self.kernel in IN_EACH_PARAMETER else "radius"
        detail = f"{self.kernel}, {name} = {self.radius:g}" if self.radius is not None else self.of
        return f"{self.kind.value} ({detail})" if detail else self.kind.value


@dataclass(slots=True, eq=False)
class Estimate:
    """A gradient estimate: the vector, what it estimates, what it cost, and its standard error. Everything is detached.

    Args:
        gradient: shaped like the parameters: (d,), (B, d), or a dict by parameter name for a distribution.
        value: mean cost over the evaluated points, () or (B,); None where they are not drawn from the target.
        evaluations: evaluations made, per problem, each of what `kind` says.
        target: what `gradient` is an estimate of.
        standard_error: of `gradient`, elementwise, over independent units; None where there is only one.
        per_unit: (m, …) the contribution of each unit, whose mean is `gradient`, if asked for.
        state: what the estimator wants to be given next time (a moving baseline, a critic), or has to say beside the
            gradient (the effective sample size of `ImportanceWeighted`, which takes none back); None for most.
        kind: what one evaluation was: a value, a gradient, …, see `Query`.

    Example:
        import torch
        from rllab import Cost, estimators as est

        e = est.GaussianSmoothing()(Cost(lambda x: x.square().sum(-1)), torch.ones(3), evaluations=100, key=0)
        print(e.gradient, e.standard_error, e.evaluations, e.target)
    """

    gradient: Gradient
    value: Tensor | None
    evaluations: int
    target: Target
    standard_error: Gradient | None = None
    per_unit: Gradient | None = None
    state: Any = None
    kind: Request = "value"
