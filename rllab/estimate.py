"""Target, Block, Query, Estimate: the values that estimators, costs and plots exchange.

Query and Estimate are values too, though not frozen: making the two frozen is a twentieth of a small estimate's price.

Letters used throughout: d parameters, B problems at once, n points, m units (a pair, a sample, a coordinate: what an
estimator averages over), K samples of a distribution.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import Tensor

from rllab.cost import Request
from rllab.keys import Key, seeds_for

if TYPE_CHECKING:
    from rllab.estimators.base import Estimator, Plan

Gradient = Tensor | dict[str, Tensor]


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
        kernel: for SMOOTHED, the smoothing kernel: "gaussian", "ball", ….
        radius: for SMOOTHED, its radius: the standard deviation σ, or the ball's radius r.
        of: for RELAXED, SURROGATE and DIRECTION, in words, what stands in for the cost.
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
        detail = f"{self.kernel}, σ = {self.radius:g}" if self.radius is not None else self.of
        return f"{self.kind.value} ({detail})" if detail else self.kind.value


class Block(NamedTuple):
    """Some consecutive points of a query.

    Args:
        rows: where the answers to these points stand in the vector of all answers.
        points: (n, d), or (n, B, d) for B problems at once.
        noise: what the fold needs to weigh the answers; regenerated from the key, never stored.
        tangents: for a "jvp" query, the direction at each point, shaped like `points`.
    """

    rows: slice
    points: Tensor
    noise: Any = None
    tangents: Tensor | None = None


@dataclass(slots=True, eq=False)
class Query:
    """A recipe for the points an estimator wants evaluated; it pickles to a key, not to vectors of noise.

    `query[i]` is pure in (query, i): blocks may be evaluated in any order, by any worker. Put the answers to
    `query[i].points` into `values[query[i].rows]`, then call `query.estimator.tell(query, values)`. N points make

        kind                 answers                                          Cost has it as
        "value"              (N,) costs                                       cost(points)
        "complex"            (N,) complex costs at complex points             cost.complex(points)
        "gradient"           (N, d) gradients                                 cost.gradient(points)
        "value_and_gradient" (N,) and (N, d)                                  cost.value_and_gradient(points)
        "jvp"                (N,) costs and (N,) derivatives along tangents   cost.jvp(points, tangents)

    each with B after N for B problems at once.

    Args:
        units: what the estimator averages over, m.
        evaluations: answers expected for each problem; at (B, d) the cost is charged B times as many.
        plan: how units make blocks; there are `len(query)`.
        kind: what is asked at each point, see above.
    """

    estimator: Estimator
    at: Any
    units: int
    evaluations: int
    plan: Plan
    key: Key
    state: Any = None
    kind: Request = "value"

    def __len__(self) -> int:
        return -(-self.units * self.plan.pieces // self.plan.block)

    def __getitem__(self, i: int) -> Block:
        if not 0 <= i < len(self):
            raise IndexError(f"Query: block must be in 0..{len(self) - 1}, got {i}")
        return self.estimator._block(self, i)

    def __iter__(self) -> Iterator[Block]:
        return (self.estimator._block(self, i) for i in range(len(self)))

    def seeds(self, block: Block) -> Tensor:
        """Return the seed of each point's exogenous noise, int64 (n,), or (n, B) for B problems.

        Points of one unit (a ± pair) share theirs: common random numbers.
        """
        unit = self.estimator._units(self, block)
        problems = block.points.shape[1:-1]
        if problems:
            b = problems[0]
            unit = unit[:, None] * b + range(b)
        return seeds_for(unit, self.key.child("noise"))


@dataclass(slots=True, eq=False)
class Estimate:
    """A gradient estimate: the vector, what it estimates, what it cost, how sure it is. Everything is detached.

    Args:
        gradient: shaped like the parameters: (d,), (B, d), or a dict by parameter name for a distribution.
        value: mean cost over the evaluated points, () or (B,); None where they are not drawn from the target.
        evaluations: evaluations made, per problem, each of what `kind` says.
        target: what `gradient` is an estimate of.
        standard_error: of `gradient`, elementwise, over independent units; None where there is only one.
        rows: (m, …) contributions whose mean is `gradient`, if asked for.
        state: what the estimator wants to be given next time (a moving baseline, a critic), or has to say beside the
            gradient (the effective sample size of `ImportanceWeighted`, which takes none back); None for most.
        kind: what one evaluation was: a value, a gradient, …, see `Query`.
    """

    gradient: Gradient
    value: Tensor | None
    evaluations: int
    target: Target
    standard_error: Gradient | None = None
    rows: Gradient | None = None
    state: Any = None
    kind: Request = "value"
