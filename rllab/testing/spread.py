"""Spread: is a standard error as large as repeated estimates say, and what factor in it would have been seen."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from rllab.cost import Cost
from rllab.estimate import Kind
from rllab.keys import Key
from rllab.quality.estimates import repeated
from rllab.quality.truth import flat
from rllab.testing.mechanics import must
from rllab.testing.power import FALSE_ALARM, LARGEST, MISS, NotTested
from rllab.testing.subject import Subject, parts

UNITS = (16, 64, 256, 1024)  # of one estimate: the first number at which there is a standard error
REPEATS, MOST = 400, 1_600  # estimates, and how many where the tails are so heavy that those show too little
QUERIES = 4  # they come in so many
TOLERANCE = 1.5  # of a variance: some err by a share that falls with the number of units
DIRECTION = 5.0  # the same where numbers that depend on each other, such as ranks, are taken as given
ENOUGH = 0.6  # of ln q, within which chance is to stay
ROUNDING = 1e-9  # of the largest component, or of 1, below which nothing scatters
SMALL = 1e-6  # the same, below which the standard error of what does not scatter must be


@dataclass(frozen=True)
class Spread:
    """What a test that standard errors are the spread of estimates would have seen.

    With R independent estimates g_r (d,) of m units each, and their standard errors e_r, every component that scatters
    is held to

        q = mean e_r² / s²,  s² the variance of the g_r        |ln q| <= ln τ + max(F, z w)

        τ   how far a variance may be off: 1.5, for small numbers of units; 5 for a direction, whose ranks, scores or
            choices are taken as given
        F   quantile of |ln q| at the rate α/d, if units are normal: q has Fisher's law of R (m − 1) and R − 1 degrees
        w   standard error of ln q, from the scatter of e_r²/mean e² − (g_r − ḡ)²/s², which heavy tails make larger
        z   quantile of the normal law at the rate α/d

    Args:
        of: what was measured.
        repeats: estimates, R.
        units: of each, m.
        low, high: the least and the largest of the ratios √q of a standard error to the spread.
        detected: a standard error that is right but for this factor, or its inverse, is missed with a probability of
            MISS only.

    Example:
        from rllab import estimators as est
        from rllab.testing import check_estimator

        print(check_estimator(est.SPSA(), rules=["standard error"])["standard error"])
    """

    of: str
    repeats: int
    units: int
    low: float
    high: float
    detected: float

    def __str__(self) -> str:
        return (
            f"{self.of}: {self.low:.2f} to {self.high:.2f} of the spread of {self.repeats:,} estimates of {self.units} "
            f"units; a factor of {self.detected:.2g} is seen with probability {1 - MISS:g} "
            f"(false alarm {FALSE_ALARM:g})"
        )


def has_the_spread_it_says(s: Subject) -> Spread | NotTested:
    """Its standard error is the spread of repeated estimates, up to a factor: see `rllab.testing.Spread`.

    Nothing is tested of an estimator that gives neither a standard error nor contributions of several units.
    """
    at, plain = s.some_at(min(3, s.d)), s.cost()
    plan = s.estimator._plan(at)
    n, units = 0, 0
    for units in UNITS:
        n = s.estimator._each(plain) * (plan.shared + max(units, plan.least_units) * plan.per_unit)
        e = s.estimator(plain, at, evaluations=n, key=s.key, per_unit=True)
        if e.standard_error is not None:
            break
        # what follows a surrogate may give none: its error is the surrogate's, which no spread shows
        several = max(map(len, parts(e.per_unit)), default=1) > 1 and s.estimator.target.kind is not Kind.SURROGATE
        must(units < UNITS[-1] or not several, f"of {units} units there must be a standard error, got None")
        if plan.most_units == 1 or units == UNITS[-1]:
            return NotTested("it gives no standard error")
    repeats = min(REPEATS, LARGEST // (n * flat(s.estimator(plain, at, evaluations=n, key=s.key).gradient).numel()))
    cost, of = plain, f"standard error of {s.name}"
    g, _ = _estimates(s, plain, at, n, QUERIES, s.key)
    if not _scatters(g).any():
        if not isinstance(at, Tensor):  # of the samples that are drawn, as a rule, whatever else there is
            return NotTested("nothing is left to chance at a small distribution")
        # only a noisy cost makes it scatter
        function = s.function()
        cost = s.cost(lambda x, seeds: function(x) + (seeds % 1000).to(x) / 1000 * (x * x).sum(-1), seeded=True)
        of = f"{of} of a noisy cost"
    tolerance = DIRECTION if s.estimator.target.kind is Kind.DIRECTION else TOLERANCE
    # two tests, so that each has half of the false alarms; the second is of fresh estimates
    spread, chance = spread_of(*_estimates(s, cost, at, n, repeats, s.key), of, units, tolerance, FALSE_ALARM / 2)
    if chance > ENOUGH and repeats == REPEATS:
        found = _estimates(s, cost, at, n, MOST, s.key.child("more"))
        spread, _ = spread_of(*found, of, units, tolerance, FALSE_ALARM / 2)
    return spread


def spread_of(
    g: Tensor, se: Tensor, of: str, units: int, tolerance: float = TOLERANCE, false_alarm: float = FALSE_ALARM
) -> tuple[Spread, float]:
    """Return what estimates (R, d) and their standard errors tell of these, and how far chance may take ln q.

    Raises:
        AssertionError: if a standard error is off by more than that and the tolerance.
    """
    from scipy.stats import f as fisher
    from scipy.stats import norm

    r, scatters = len(g), _scatters(g)
    still = se[:, ~scatters]
    small = SMALL * max(1.0, float(g.abs().max()))
    must(not (still > small).any(), f"the {of} of what does not scatter must be 0, got {still.amax(0).tolist()}")
    g, se = g[:, scatters], se[:, scatters]
    must(g.shape[-1] > 0, f"nothing scatters, so that there is nothing to hold the {of} against")
    squares, errors = (g - g.mean(0)).square() * (r / (r - 1)), se.square()
    s2, e2 = squares.mean(0), errors.mean(0)
    q = e2 / s2
    each = false_alarm / (2 * g.shape[-1])
    law = fisher(r * (units - 1), r - 1)
    w = (errors / e2.clamp_min(1e-300) - squares / s2).std(0) / r**0.5
    chance = (float(norm.isf(each)) * w).clamp_min(max(math.log(law.isf(each)), -math.log(law.ppf(each))))
    limit = math.log(tolerance) + chance
    off = q.log().abs()
    if not (off <= limit).all():
        j = int((off / limit).argmax())
        raise AssertionError(
            f"the {of} must be the spread of {r} estimates within a factor of {math.exp(float(limit[j]) / 2):.3g}, "
            f"{float(s2[j].sqrt()):.4g} in component {int(scatters.nonzero()[j])}, got {float(e2[j].sqrt()):.4g}"
        )
    detected = math.exp(float((limit + float(norm.isf(MISS)) * w).max()) / 2)
    return Spread(of, r, units, float(q.min().sqrt()), float(q.max().sqrt()), detected), float(chance.max())


def _scatters(g: Tensor) -> Tensor:
    """Return which components of estimates (R, d) are more than rounding apart."""
    return (g - g[0]).std(0) > ROUNDING * max(1.0, float(g.abs().max()))


def _estimates(s: Subject, cost: Cost, at: object, n: int, repeats: int, key: Key) -> tuple[Tensor, Tensor]:
    """Return independent estimates and their standard errors, (repeats, d) each, by a few queries."""
    size, found = -(-repeats // QUERIES), []
    for i in range(QUERIES):
        e = s.estimator(cost, repeated(at, size), evaluations=n, key=key.child("spread", i))  # type: ignore[arg-type]
        assert e.standard_error is not None  # of as many units there is one
        found.append((flat(e.gradient, size), flat(e.standard_error, size)))
    g, se = (torch.cat(part) for part in zip(*found, strict=True))
    return g, se
