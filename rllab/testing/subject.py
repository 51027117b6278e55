"""Subject: an estimator under test, what it is asked at, about which costs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from rllab.cost import Cost
from rllab.distributions import (
    Bernoulli,
    Beta,
    Categorical,
    Dirichlet,
    Distribution,
    Gamma,
    Gaussian,
    GaussianMixture,
    Poisson,
)
from rllab.estimate import Gradient, Target
from rllab.estimators.base import Estimator
from rllab.estimators.query import Query
from rllab.keys import Key
from rllab.problems import BooleanQuadratic, CategoricalPayoffs, Cosine, Problem, Quadratic, Ridge

MakeAt = Callable[[Tensor], Any]

# c of cos(c·x/r), by a radius r, ‖c‖ = 1. Directions too long by a factor k, and points with them, have a mean k² g(k),
# g the damping: at ‖c‖² = 2, of a Gaussian, the two would cancel. Of a ball or an axis g is nearer 1, and r half of it
WAVE = (0.75, -0.6, 0.28)
_HALVED = ("ball", "axis")
_FINEST = 0.05  # r where no radius is named: who steps as far as that unsaid is seen to
_MOST_NUMBERS = 1 << 22  # of one query here: evaluations × d
_SIZES = [(d, m) for d in (5, 7, 11, 15, 20, 300, 420, 600, 2_000, 100_000) for m in (11, 300, 900)]


def parameters(x: Tensor) -> Tensor:
    """Parameters (…, d) themselves."""
    return x


def gaussian(x: Tensor) -> Gaussian:
    """N(x, 0.2²)."""
    return Gaussian(x, 0.2)


def gamma(x: Tensor) -> Gamma:
    """Gamma(e^x, 1.5)."""
    return Gamma(x.exp(), 1.5)


def beta(x: Tensor) -> Beta:
    """Beta(e^x, 1.5)."""
    return Beta(x.exp(), 1.5)


def poisson(x: Tensor) -> Poisson:
    """Poisson(e^x)."""
    return Poisson(x.exp())


def dirichlet(x: Tensor) -> Dirichlet:
    """Dirichlet(e^x)."""
    return Dirichlet(x.exp())


def mixture(x: Tensor) -> GaussianMixture:
    """Two laws about x, near each other, N(x − 0.1, 0.2²) and N(x + 0.2, 0.3²), of probabilities 0.57 and 0.43."""
    mean = torch.stack((x - 0.1, x + 0.2), -2)
    scale = x.new_tensor([[0.2], [0.3]])
    return GaussianMixture(x.new_tensor([0.3, 0.0]).repeat(*mean.shape[:-2], 1), mean, scale)


def choice(x: Tensor) -> Categorical:
    """One choice among d, with logits x (…, d)."""
    return Categorical(x.unsqueeze(-2))


_KINDS: dict[str, MakeAt] = {
    "parameters": parameters,
    "Gaussian": gaussian,
    "Bernoulli": Bernoulli,
    "Categorical": choice,
    "Gamma": gamma,
    "Beta": beta,
    "Poisson": poisson,
    "Dirichlet": dirichlet,
    "GaussianMixture": mixture,
}


def accepted_kinds(estimator: Estimator) -> dict[str, MakeAt]:
    """Return the kinds of `at` that an estimator accepts, by name, each as a function of a tensor (…, d).

    Args:
        estimator: which is asked what an estimate needs at least.

    Returns:
        By the name of a kind, what makes an `at` of it.

    Example:
        from rllab import estimators as est
        from rllab.testing import accepted_kinds

        list(accepted_kinds(est.Pathwise()))
    """
    accepted = {}
    for name, make_at in _KINDS.items():
        try:
            estimator.minimum(make_at(torch.zeros(3, dtype=torch.float64)))
        except TypeError:
            continue
        accepted[name] = make_at
    return accepted


def default_problem(at: Any) -> Problem:
    """Return a problem of known gradient for such a kind of `at`: at parameters a quadratic, whatever the kernel."""
    if isinstance(at, Bernoulli):
        return BooleanQuadratic((0.6, 0.2, 0.48), 0.3, dimension=3)
    if isinstance(at, Categorical):
        return CategoricalPayoffs()
    curvature = ((2.0, 0.6, -0.3), (0.6, -0.5, 0.9), (-0.3, 0.9, 0.7))
    return Quadratic(curvature, (0.7, -1.3, 0.4), dimension=3, offset=3.1)


def default_problems(at: Any, target: Target) -> list[tuple[Problem, float]]:
    """Return problems on which an estimator of a target is measured by default, the best first.

    At parameters, and at a Gaussian, that is a wave cos(c·x/r), r the radius that the target names or the Gaussian's
    scale. There each kernel, each radius and no radius make another gradient. On the quadratic all kernels of mean zero
    agree; it is for those without a closed form on waves.

    Returns:
        Each with the unit of length of its parameters.
    """
    quadratic = (default_problem(at), 1.0)
    if isinstance(at, (Bernoulli, Categorical)):
        return [quadratic]
    radius = float(at.parameters["scale"].mean()) if isinstance(at, Gaussian) else target.radius or _FINEST
    radius = radius / 2 if target.kernel in _HALVED else radius
    return [(Ridge(Cosine(1 / radius), direction=WAVE, dimension=3), radius), quadratic]


@dataclass(frozen=True)
class Subject:
    """An estimator under test.

    Args:
        make_at: makes, of a tensor (…, d), the `at` it is asked at; None for the first kind it accepts.
        problem: on which what it claims is measured; None for one of the lab.
        at: where; None for some asymmetric one.
        key: of all draws.
        scales: whether an estimate of 4f is four times that of f; not so with a fixed baseline. None for what the
            target says: gradients, smoothed ones and expectations do, a surrogate of the cost need not.
        ignores_offset: whether it says that a constant added to the cost changes nothing.
        detects: the bias, as a share of the truth's norm, that is to be seen.

    Example:
        from rllab import Key, estimators as est
        from rllab.testing import RULES, Subject

        RULES["pickled query"](Subject(est.SPSA(), None, None, None, Key(0)))
    """

    estimator: Estimator
    make_at: MakeAt | None = None
    problem: Problem | None = None
    at: Any = None
    key: Key = field(default_factory=lambda: Key(0))
    scales: bool | None = None
    ignores_offset: bool = False
    detects: float = 0.05

    @property
    def name(self) -> str:
        return type(self.estimator).__name__

    @cached_property
    def _make_at(self) -> MakeAt:
        if self.make_at is not None:
            return self.make_at
        if not (kinds := accepted_kinds(self.estimator)):
            raise AssertionError(f"{self.name} accepts neither parameters nor any distribution of the lab")
        return next(iter(kinds.values()))

    def some_at(self, *shape: int, dtype: torch.dtype = torch.float64) -> Any:
        """Return parameters, or a distribution, of a shape (d,) or (B, d)."""
        # x_i = 3 t_i^1.3 − 0.97, t from 0 to 1: no two differences are equal, so that sums of bits' logits do not tie
        t = torch.linspace(0, 1, math.prod(shape), dtype=torch.float64)
        return self._make_at((3 * t**1.3 - 0.97).to(dtype).reshape(shape))

    @cached_property
    def d(self) -> int:
        """A dimension at which the estimator is cheap."""
        affordable = (d for d in (5, 4, 3, 2) if self.estimator.minimum(self.some_at(d)) <= 5_000)
        return next(affordable, 1)

    def evaluations(self, at: Any, wanted: int) -> int:
        return max(wanted, 2 * self.estimator.minimum(at))  # more than one unit, for those that can

    def long(self, *batch: int) -> tuple[Any, int]:
        """Return an `at` and a number of evaluations at which a query has many blocks, if there is one."""
        for d, wanted in _SIZES:
            at = self.some_at(*batch, d)
            try:
                evaluations = self.evaluations(at, wanted)
                few = evaluations * d <= _MOST_NUMBERS
                if few and len(self.estimator.ask(at, evaluations, self.key)) > 1:
                    return at, evaluations
            except ValueError:  # too many parameters for it
                continue
        at = self.some_at(*batch, self.d)
        return at, self.evaluations(at, 11)

    def function(self, *, smooth_only: bool = False) -> Callable[[Tensor], Tensor]:
        """Return an asymmetric cost of any dimension that jumps, if the estimator can do with that."""
        return smooth if smooth_only or "complex" in self.estimator.needs else bumpy

    def cost(self, function: Callable[..., Tensor] | None = None, **arguments: Any) -> Cost:
        """Return a function, by default that above, as a cost the estimator can be asked about."""
        return Cost(function or self.function(), relaxed="relaxed" in self.estimator.needs, **arguments)


def smooth(x: Tensor) -> Tensor:
    return x[:, 0] * x[:, -1] + torch.sin(x * torch.linspace(0.5, 2, x.shape[-1], dtype=x.real.dtype)).mean(-1)


def bumpy(x: Tensor) -> Tensor:
    return torch.floor(4 * x.abs()).mean(-1) + smooth(x)


def dyadic(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Return a function rounded to multiples of 2⁻⁴⁰: in float64 its sum with a small power of two is exact."""
    return lambda x: torch.round(function(x) * 2.0**40) / 2.0**40


def leaf(at: Tensor | Distribution) -> Tensor:
    """Return the parameters, or the first ones of a distribution."""
    return at if isinstance(at, Tensor) else next(iter(at.parameters.values()))


def parts(gradient: Gradient | None) -> list[Tensor]:
    """Return the tensors of a gradient, none for None."""
    return [] if gradient is None else list(gradient.values()) if isinstance(gradient, dict) else [gradient]


def same(a: Gradient | None, b: Gradient | None) -> bool:
    """Whether two gradients are the same bits."""
    one, two = parts(a), parts(b)
    return len(one) == len(two) and all(map(torch.equal, one, two))


def answer(cost: Cost, query: Query) -> Any:
    """Evaluate a query's blocks in reverse, into preallocated answers, by the public methods of a cost."""
    values: tuple[Tensor, ...] | None = None
    for i in reversed(range(len(query))):
        block = query[i]
        points = block.points.reshape(-1, block.points.shape[-1])
        if query.kind == "jvp":
            assert block.tangents is not None  # a "jvp" block holds them
            got: Any = cost.jvp(points, block.tangents.reshape(points.shape))
        else:
            got = cost(points) if query.kind == "value" else getattr(cost, query.kind)(points)
        got = got if isinstance(got, tuple) else (got,)
        shaped = [part.reshape(*block.points.shape[:-1], *part.shape[1:]) for part in got]
        if values is None:
            values = tuple(part.new_empty(query.evaluations, *part.shape[1:]) for part in shaped)
        for whole, part in zip(values, shaped, strict=True):
            whole[block.rows] = part
    assert values is not None  # a query has blocks
    one, *more = values
    return values if more else one
