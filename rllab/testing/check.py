"""check_estimator: ask the rules of the contract of an estimator, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

from rllab import estimators
from rllab.estimators.base import Estimator
from rllab.keys import Key, as_key
from rllab.problems import Problem
from rllab.testing.claims import CLAIMS, Found
from rllab.testing.mechanics import MECHANICS
from rllab.testing.precision import PRECISION
from rllab.testing.subject import MakeAt, Subject

RULES: dict[str, Callable[[Subject], Found | None]] = MECHANICS | PRECISION | CLAIMS


def check_estimator(
    estimator: Estimator,
    problem: Problem | None = None,
    key: Key | int = 0,
    *,
    at: Any = None,
    make_at: MakeAt | None = None,
    scales: bool | None = None,
    ignores_offset: bool = False,
    detects: float | None = None,
    rules: Iterable[str] | None = None,
) -> dict[str, Found]:
    """Check that an estimator keeps the contract of `rllab.estimators.base`.

    The rules, by name; `RULES[name].__doc__` says what each demands:

    - what is declared: "declarations", "frozen", "minimum";
    - queries: "pure blocks", "ask and tell", "pickled query", "own queries", "key", "seeds";
    - the price: "spending", "reservation";
    - a batch: "batch", "batch members apart";
    - what surrounds it: "nothing touched", "dtype", "wide costs", "half precision", "modes";
    - errors: "not a number", "wrong values", "wrong arguments", "one unit";
    - what is claimed, measured: "unbiased", "order", "standard error", "scale", "offset".

    Of a biased estimator the rule "unbiased" asks nothing: `measure_quality(..., truth=Target.gradient())` measures
    its bias, and if the bias is O(hᵖ) in `step`, `sigma` or `radius`, `order` says p, and the rule of that name
    measures it.

    Args:
        estimator: the one under test, with its hyperparameters.
        key: of all draws; the same key gives the same verdict.
        problem: on which it is tested to be unbiased, if it says so. None for one of the lab, which at parameters and
            at a Gaussian is a wave as short as the radius that the target names: a radius or a kernel that is another
            than the one that is named shows there, and a gradient that is a smoothed one.
        at: where on that problem; None for some asymmetric one.
        make_at: for an estimator at what the lab has not: what makes an `at` of a tensor (…, 3), which all rules give
            it but "unbiased", on a `problem`. So one that needs more parameters takes all three: a problem
            of 30, an `at` of (30,), and `make_at=lambda t: t.repeat_interleave(10, -1)`.
        scales: whether estimates are proportional to the cost; a fixed baseline is a reason why not. None for what the
            target says: surrogates and directions are not asked.
        ignores_offset: whether it claims that a constant added to the cost changes nothing.
        detects: the bias, as a share of the truth's norm, that is to be seen; None for 0.05 on a problem of the lab,
            and 0.2 on one that is given, which may be dear. Estimates are repeated until it is, or until the cost was
            given 2 million numbers.
        rules: names from RULES; None for all of them.

    Returns:
        For each rule that measures, "unbiased", "order" and "standard error", what it would have seen, as a `Power`, an
        `Order` or a `Spread`, or why it was not tested, as a `NotTested`; for "seeds" which points share one, as
        `SharedSeeds`. Each prints as a sentence.

    Raises:
        TypeError: `estimator` is none.
        ValueError: a rule is unknown.
        AssertionError: at the first rule that is broken, beginning with the rule's name. A right estimator fails a rule
            that measures with a probability of 1e-10; one whose bias is `Power.detected`, or whose standard error is
            off by a factor of `Spread.detected`, passes with 0.001.

    Example:
        from rllab import estimators as est
        from rllab.testing import check_estimator

        check_estimator(est.SPSA(), rules=["dtype", "unbiased"])
    """
    if not isinstance(estimator, Estimator):
        raise TypeError(f"check_estimator: estimator must be an Estimator, got {estimator!r}")
    names = list(RULES if rules is None else rules)
    if unknown := [name for name in names if name not in RULES]:
        raise ValueError(f"check_estimator: rules must be among {tuple(RULES)}, got {unknown[0]!r}")
    detects = detects or (0.05 if problem is None else 0.2)
    subject = Subject(estimator, make_at, problem, at, as_key(key), scales, ignores_offset, detects)
    found: dict[str, Found] = {}
    for name in names:
        rule = RULES[name]
        try:
            said = rule(subject)
        except Exception as error:
            what = error if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
            law = " ".join((rule.__doc__ or "").split("\n\n")[0].split())
            raise AssertionError(f"{name}: {what} [{estimator}; the rule: {law}]") from error
        if said is not None:
            found[name] = said
    return found


def exported_estimators(package: ModuleType = estimators) -> list[type[Estimator]]:
    """Return the estimators that a package of the lab exports.

    Args:
        package: of estimators, by default `rllab.estimators`.

    Returns:
        The classes, in the order in which they are exported.

    Example:
        from rllab.testing import exported_estimators

        [cls.__name__ for cls in exported_estimators()]
    """
    classes = [value for value in vars(package).values() if isinstance(value, type)]
    return [cls for cls in classes if issubclass(cls, Estimator) and cls is not Estimator]
