"""measure_quality: estimators side by side, each against what it says it estimates, by evaluations really spent."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, SupportsIndex

import numpy as np
import torch
from torch import Tensor

from rllab.checks import as_count
from rllab.cost import Cost
from rllab.distributions import Distribution
from rllab.estimate import Gradient, Target
from rllab.estimators.base import Estimator
from rllab.executors.jobs import Executor
from rllab.keys import Key, as_key
from rllab.problems import Problem
from rllab.quality.estimates import Begin, Estimates, leaves, name_of
from rllab.quality.report import Report, Row
from rllab.quality.summary import not_measured, summarise
from rllab.quality.truth import Truth, flat, truth_for
from rllab.text import error_stream

_WHO = "measure_quality"
SECONDS_PER_LINE = 10.0  # of progress, where there is no terminal


class _Appendable(Protocol):
    def append(self, row: Mapping[str, Any], /) -> None: ...


def measure_quality(
    estimators: Estimator | Sequence[Estimator],
    problem: Problem | Cost,
    *,
    at: Tensor | np.ndarray | Distribution,
    budgets: Sequence[SupportsIndex],
    repeats: SupportsIndex,
    key: Key | int,
    truth: Target | Gradient | np.ndarray | None = None,
    states: Mapping[Estimator, Begin | object] | None = None,
    warm_up: SupportsIndex = 0,
    record: _Appendable | None = None,
    progress: bool | None = None,
    executor: Executor | None = None,
) -> Report:
    """Measure estimators at the same parameters, for each budget by `repeats` independent estimates.

    Every estimator is held to the gradient it declares to estimate, and beside that to ∇f, where it is known; a
    direction, which declares none, to ∇f alone, and only by its cosine. All estimators draw from the same keys, so that
    a row does not depend on which others there are.

    Args:
        estimators: one, or several that differ.
        problem: where the truth is known from; or any `Cost`, with `truth` given.
        at: parameters (d,), a tensor or an array, or a distribution of such for output-space estimators; no batch.
        budgets: evaluations an estimate may spend.
        repeats: R >= 2 estimates a row; time is proportional to it, intervals shrink as 1/√R.
        truth: None for each estimator's own target; a `Target` to hold all to the same; or the gradient itself, a
            tensor (d,) or a dict by parameter name.
        states: what stateful estimators begin from: for some of them the `state` of an earlier estimate at an `at` of
            this shape, from which each of the `repeats` begins; or a function that is given `at` n times, (n, d), and
            returns the state of as many, `{guided: lambda at: guided.remember(None, guide(at))}`.
        warm_up: estimates, of the same budget each, that a stateful estimator makes at `at` before the one that is
            measured, each given the state of the one before. They are charged to it.
        key: of all draws.
        record: rows are appended to it as they are measured: a `Record`, or a list.
        executor: where a problem is evaluated, see `Cost`; a `Cost` has its own.
        progress: whether to show a bar; None for one if standard error is a terminal.

    Cost: budget × repeats evaluations for each row, times warm_up + 1 if stateful, in queries of a batch each, or of
    one estimate each where they begin from a state that is given, or a batch would share one, as critics do. Memory:
    O(repeats · d).

    Returns:
        A `Report` with a row for each estimator and budget, of the columns

            estimator, target, truth     what was measured, what it says it estimates, what it was held to ("given" is a
                                         gradient given as `truth`): a direction by its cosine only. Names leave
                                         defaults out: `ScoreFunction()` has the baseline "leave-one-out"
            state                        "" if it keeps none; else what it began from: "none", "given", "3 estimates", …
            budget, evaluations, kind    what was allowed, what the cost's ledger says one estimate spent with its
                                         warm-up, and on what
            repeats, affordable, why     R; whether there is anything to see, and if not or not all, why
            bias, variance, mse, snr     see `rllab.quality.summary`; with _low and _high, a 95 % interval
            relative_mse                 mse / ‖truth‖², with _low and _high
            cosine, _low, _high          mean over estimates, and its 95 % interval
            cosine_p10, cosine_p90       quantiles over estimates
            zeros                        how many of them were 0 and have no direction
            gradient_bias, …             bias, mse, relative_mse and cosine against ∇f

        NaN is a number that was not measured, since the budget is too small, the problem does not offer what the
        estimator needs, or the estimator does not take such an `at`; None is one that does not exist: the bias of a
        direction, anything against a truth that is unknown, an angle to a truth that is zero.

    Raises:
        Exception: whatever the cost or an estimator raises; the exception's attribute `report` has the rows before.

    Example:
        import torch
        from rllab import estimators as est, measure_quality, problems

        both, at = [est.GaussianSmoothing(), est.SPSA()], torch.ones(3)
        print(measure_quality(both, problems.Quadratic(dimension=3), at=at, budgets=[8], repeats=20, key=0))
    """
    at = torch.from_numpy(at.copy()) if isinstance(at, np.ndarray) else at
    truth = torch.from_numpy(truth.copy()) if isinstance(truth, np.ndarray) else truth
    estimators, key = [estimators] if isinstance(estimators, Estimator) else list(estimators), as_key(key)
    whole = [as_count(_WHO, "each of budgets", budget) for budget in budgets]
    repeats = as_count(_WHO, "repeats", repeats, least=2)
    warm_up, states = as_count(_WHO, "warm_up", warm_up, least=0), dict(states or {})
    _check(estimators, problem, at, whole, truth, states)
    if executor is not None and isinstance(problem, Cost):
        raise ValueError(f"{_WHO}: executor must be that of the Cost: Cost(…, executor=…)")
    cost = problem if isinstance(problem, Cost) else problem.cost(executor=executor)
    gradient = truth_for(Target.gradient(), problem, at)
    misfits = _misfits(estimators, at, cost)
    unknown = Truth("unknown", None)
    truths = [unknown if e in misfits else truth_for(e.target, problem, at, truth) for e in estimators]
    report = Report()
    cells = [(e, t, budget) for e, t in zip(estimators, truths, strict=True) for budget in whole]
    try:
        for estimator, against, budget in _shown(cells, progress):
            beside = dataclasses.replace(gradient, has_length=against.has_length)
            row = _head(estimator, against, _state(estimator, states, warm_up), budget, repeats)
            if why := misfits.get(estimator) or _out_of_reach(estimator, problem, cost, at, budget):
                row |= {"evaluations": 0, "affordable": False, "why": why, **not_measured(against, beside)}
            else:
                make = Estimates(estimator, cost, at, budget, states.get(estimator), warm_up)
                estimates, spent, kind = make(repeats, key.child("budget", budget))
                row |= {"evaluations": spent, "kind": kind, **summarise(estimates, against, beside)}
            report.rows.append(row)
            if record is not None:
                record.append(row)
    except BaseException as error:
        error.report = report  # type: ignore[attr-defined]
        error.add_note(f"measure_quality: {len(report.rows)} rows were measured; they are this exception's `report`")
        raise
    return report


def _head(estimator: Estimator, truth: Truth, state: str, budget: int, repeats: int) -> Row:
    return {
        "estimator": name_of(estimator),
        "target": str(estimator.target),
        "truth": truth.name,
        "state": state,
        "budget": budget,
        "evaluations": 0,
        "kind": estimator.kind,
        "repeats": repeats,
        "affordable": True,
        "why": "; ".join(filter(None, (truth.why, "without the state it keeps" if state == "none" else ""))),
    }


def _state(estimator: Estimator, states: Mapping[Estimator, Begin | object], warm_up: int) -> str:
    """Say in words what the state of a measured estimate is."""
    if not estimator.stateful:
        return ""
    told = ["given"] * (estimator in states) + [f"{warm_up} estimate{'s' * (warm_up > 1)}"] * (warm_up > 0)
    return " + ".join(told) or "none"


def _out_of_reach(estimator: Estimator, problem: Problem | Cost, cost: Cost, at: Any, budget: int) -> str:
    """Say why an estimator cannot be asked; "" if it can."""
    if isinstance(problem, Problem) and (missing := sorted(estimator.needs - problem.offers)):
        return f"the problem does not offer {', '.join(missing)}"
    least = estimator.minimum(at, cost)
    return f"needs {least} evaluations" if budget < least else ""


def _misfits(estimators: Sequence[Estimator], at: Any, cost: Cost) -> dict[Estimator, str]:
    """Say of estimators that do not take such an `at`, bits say, why; if none can, raise what the first says."""
    found: dict[Estimator, Exception] = {}
    for estimator in estimators:
        try:
            estimator.minimum(at, cost)
        except (TypeError, ValueError) as error:
            found[estimator] = error
    if len(found) == len(estimators):
        raise found[estimators[0]]
    return {estimator: str(error) for estimator, error in found.items()}


def _shown(cells: list[Any], progress: bool | None) -> Iterable[Any]:
    from tqdm import tqdm

    stream = error_stream()
    interval = 0.5 if stream.isatty() else SECONDS_PER_LINE
    quiet = None if progress is None else not progress
    return tqdm(cells, unit="row", disable=quiet, mininterval=interval, file=stream)


def _check(
    estimators: list[Any], problem: Any, at: Any, budgets: list[int], truth: Any, states: dict[Any, Any]
) -> None:
    who = _WHO
    if not estimators or not all(isinstance(e, Estimator) for e in estimators):
        raise TypeError(f"{who}: estimators must be one or more Estimators, got {estimators!r}")
    if len({name_of(e) for e in estimators}) < len(estimators):
        raise ValueError(f"{who}: estimators must differ, got {', '.join(map(name_of, estimators))}")
    if not isinstance(problem, (Problem, Cost)):
        raise TypeError(f"{who}: problem must be a Problem, or a Cost with truth given, got {problem!r}")
    if isinstance(problem, Cost) and (truth is None or isinstance(truth, Target)):
        raise ValueError(f"{who}: truth must be the gradient itself for a Cost, which knows none, got {truth!r}")
    if not isinstance(at, (Tensor, Distribution)) or len(at.shape) != 1:
        got = tuple(at.shape) if isinstance(at, (Tensor, Distribution)) else type(at).__name__
        raise ValueError(f"{who}: at must be a tensor (d,) or a distribution of such, no batch, got {got}")
    if not budgets or len(set(budgets)) < len(budgets):
        raise ValueError(f"{who}: budgets must be one or more different integers, got {budgets!r}")
    if isinstance(truth, (Tensor, dict)) and flat(truth).numel() != (d := flat(leaves(at)).numel()):
        raise ValueError(f"{who}: truth must have {d} numbers like at, got {flat(truth).numel()}")
    for estimator, begin in states.items():
        if estimator not in estimators or not estimator.stateful or begin is None:
            raise ValueError(
                f"{who}: states must map stateful estimators among those measured to the state of an estimate, or to a "
                f"function of parameters, got {estimator!r:.80}: {begin!r:.80}"
            )
