"""check_estimator: ask the rules of the contract of an estimator, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

from rllab import estimators
from rllab.estimators.base import Estimator
from rllab.keys import Key, as_key
from rllab.problems import Problem
from rllab.testing.claims import CLAIMS
from rllab.testing.mechanics import MECHANICS
from rllab.testing.power import Power
from rllab.testing.precision import PRECISION
from rllab.testing.subject import MakeAt, Subject

RULES: dict[str, Callable[[Subject], Power | None]] = MECHANICS | PRECISION | CLAIMS


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
) -> dict[str, Power]:
    """Check that an estimator keeps the contract of `rllab.estimators.base`.

    Args:
        estimator: the one under test, with its hyperparameters.
        key: of all draws; the same key gives the same verdict.
        problem: on which it is tested to be unbiased, if it says so; None for one of the lab.
        at: where on that problem; None for some asymmetric one.
        make_at: for an estimator at what the lab has not: what makes an `at` of a tensor (…, d).
        scales: whether estimates are proportional to the cost; a fixed baseline is a reason why not. None for what the
            target says: surrogates and directions are not asked.
        ignores_offset: whether it claims that a constant added to the cost changes nothing.
        detects: the bias, as a share of the truth's norm, that is to be seen; None for 0.05 on a problem of the lab,
            and 0.2 on one that is given, which may be dear. Estimates are repeated until it is, or until the cost was
            given 2 million numbers.
        rules: names from RULES; None for all of them.

    Returns:
        For each rule that is a test of samples, "unbiased" if the truth is known, what it would have seen: see `Power`,
        which prints as a sentence.

    Raises:
        TypeError: `estimator` is none.
        ValueError: a rule is unknown.
        AssertionError: at the first rule that is broken, beginning with the rule's name. A right estimator is taken for
            a biased one with a probability of 1e-10; one whose bias is `Power.detected` passes with 0.001.

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
    found: dict[str, Power] = {}
    for name in names:
        rule = RULES[name]
        try:
            power = rule(subject)
        except Exception as error:
            what = error if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
            law = " ".join((rule.__doc__ or "").split("\n\n")[0].split())
            raise AssertionError(f"{name}: {what} [{estimator}; the rule: {law}]") from error
        if power is not None:
            found[name] = power
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
