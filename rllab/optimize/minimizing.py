"""minimize: the loop around any estimator, and the trace of what it did."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rllab.checkpoint import as_plain, digest, from_plain, read_checkpoint, write_checkpoint
from rllab.checks import as_count, check_finite
from rllab.cost import Cost
from rllab.distributions import Distribution
from rllab.estimate import Gradient
from rllab.estimators.base import Estimator
from rllab.estimators.flat_parameters import FlatParameters
from rllab.keys import Key, as_key
from rllab.stopping import HeldSignals, sigterm_interrupts
from rllab.warned import warn


@dataclass
class Trace:
    """What a minimisation did.

    Attributes:
        at: the parameters reached: a tensor, an array or a distribution, as they were given; or the module itself.
        evaluations: evaluations of the cost spent by the end of each step, in this call and those it goes on from.
        values: mean cost over the points of each step, at the parameters *before* that step; NaN where an estimator
            gives none, as `OrthogonalSmoothing` and `SphereSmoothing`. Points of smoothing lie around the parameters,
            where the cost may be much larger, so that values of two estimators do not compare; `watched` does.
        watched: what `watch` said of the parameters *after* each step; empty without it.

    Example:
        import torch
        from rllab import Cost, estimators as est, minimize

        cost, start = Cost(lambda x: x.square().sum(-1)), torch.ones(3)
        trace = minimize(cost, start, est.GaussianSmoothing(), evaluations=8, budget=80, lr=0.1, key=0)
        trace.at, trace.evaluations[-1], trace.values[-1]
    """

    at: Any
    evaluations: list[int]
    values: list[float]
    watched: list[float] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.values)

    @property
    def rows(self) -> Iterator[dict[str, float]]:
        """One row a step, as a record stores it."""
        for step, (n, value) in enumerate(zip(self.evaluations, self.values, strict=True)):
            row = {"step": step, "evaluations": n, "value": value}
            yield row | {"watched": self.watched[step]} if self.watched else row


def minimize(
    cost: Cost | Callable[[], Tensor | float],
    at: Tensor | np.ndarray | Distribution | torch.nn.Module,
    estimator: Estimator,
    *,
    evaluations: int,
    budget: int,
    lr: float,
    key: Key | int,
    optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.Adam,
    only: tuple[str, ...] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: float = 60.0,
    watch: Callable[[Any], float] | None = None,
) -> Trace:
    """Minimise a cost by gradient estimates and any torch optimiser that steps without a closure.

    Args:
        at: where to start: a tensor or an array (d,) or (B, d), or a distribution, which are not changed; or a module,
            whose parameters that require a gradient are moved in place, with nothing of it changed by evaluations.
        evaluations: most evaluations a step, for each row of a batch (B, d).
        budget: evaluations in all, those of steps that were interrupted among them, and those that were made again
            after a loss, see `Cost`; the loop ends before a step that would exceed it. Where losses have cost a step, a
            RuntimeWarning says so.
        lr: learning rate handed to `optimizer(parameters, lr=lr)`.
        only: names of the distribution's or module's parameters to move; None for all.
        cost: what is minimised; evaluations are counted in its ledger. For a module a function without arguments that
            returns a scalar and uses the module, see `Estimator.backward`.
        estimator: asked once a step; where it is stateful its state travels from step to step.
        key: of the whole run; step t draws from the stream "step", t.
        optimizer: called as optimizer(parameters, lr=lr).
        checkpoint: a file to which parameters, optimiser, the estimator's state and the trace are written at intervals,
            at the end, and where Ctrl-C, SIGTERM or an error of the cost stops it. If it exists, the run goes on from
            it, and makes the steps, bit for bit, of a run that nothing stopped; `budget` may have grown. Other
            arguments are refused, but for the cost, which cannot be compared. What the interrupted step had asked for
            is asked again: both are counted in `evaluations` and in `budget`. After a kill -9 the file is that of the
            last interval; what was paid since is lost, and known to nobody.
        checkpoint_every: seconds >= 0 between the intervals' writes; 0 writes after every step.
        watch: given the parameters after every step, as `Trace.at` has them, it returns a number, which the trace
            keeps, and a checkpoint with it: the cost there, say, or NaN at most steps. What it asks of the same `cost`
            counts in the budget; ask another `Cost` to count it apart.

    Returns:
        A `Trace`: the parameters reached, and evaluations and mean cost by step.

    Raises:
        TypeError: `cost` is a Cost for a module, or something else for anything else.
        ValueError: if `budget` does not pay for one step, or is less than a checkpoint has spent; or the checkpoint is
            damaged, or of other arguments.
        OSError: the checkpoint cannot be written.
        Exception: whatever the cost raises, or a KeyboardInterrupt; the trace up to then is its attribute `trace`. With
            a `checkpoint`, SIGTERM is a KeyboardInterrupt too, in the main thread of a program without a handler of it.

    Example:
        import torch
        from rllab import Cost, estimators as est, minimize

        cost, start = Cost(lambda x: x.square().sum(-1)), torch.ones(3)
        trace = minimize(cost, start, est.GaussianSmoothing(), evaluations=8, budget=800, lr=0.1, key=0)
        print(trace.at)  # near 0, 0, 0

        look = Cost(cost.function)  # counted apart
        how = {"evaluations": 8, "budget": 800, "lr": 0.1, "key": 0}
        trace = minimize(cost, start, est.GaussianSmoothing(), **how, watch=lambda x: look(x[None]).item())
        print(trace.watched[-1])
    """
    flat = FlatParameters("minimize", at) if isinstance(at, torch.nn.Module) else None
    if isinstance(cost, Cost) is (flat is not None):
        wanted = "a function that uses the module" if flat else "a Cost; wrap it: Cost(function)"
        raise TypeError(f"minimize: cost must be {wanted}, got {cost!r:.80}")
    if flat is not None and not isinstance(cost, Cost):
        cost = flat.cost(cost, estimator.kind, vectorize=False)
    assert isinstance(cost, Cost)  # by now
    moved = _Moved(at, flat)
    key, leaves = as_key(key), moved.leaves(only)
    evaluations, budget = as_count("minimize", "evaluations", evaluations), as_count("minimize", "budget", budget)
    stepper = optimizer(list(leaves.values()), lr=lr)
    check_finite("minimize", checkpoint_every=checkpoint_every)
    if checkpoint_every < 0:
        raise ValueError(f"minimize: checkpoint_every must be >= 0 seconds, got {checkpoint_every}")
    trace, state, spent, written = Trace(at, [], []), None, 0, time.monotonic()
    arguments = {"estimator": repr(estimator), "evaluations": evaluations, "lr": lr, "key": key.integer()}
    arguments |= {"start": digest(as_plain(dict(leaves))), "optimizer": getattr(optimizer, "__name__", "")}
    file = None if checkpoint is None else _Checkpoint(Path(checkpoint), arguments, leaves, stepper, trace)
    if file is not None and file.path.exists():
        state, spent = file.read()
        if spent > budget:
            raise ValueError(
                f"minimize: budget must be at least the {spent} evaluations that {file.path} has spent, got {budget}"
            )
        trace.at = moved.reached(leaves)
        if watch is not None:  # steps that nobody watched
            trace.watched += [math.nan] * (len(trace) - len(trace.watched))
    before, repeated = cost.evaluated - spent, cost.repeated
    moving = False  # between two steps, where nothing can be gone on from

    def save() -> None:
        if file is not None:
            file.write(state, cost.evaluated - before)

    try:
        with nullcontext() if file is None else sigterm_interrupts():
            while True:
                step, spent = key.child("step", len(trace)), cost.evaluated - before
                point = moved.point(leaves)
                price = estimator.price(cost, point, evaluations, step, state=state)
                if spent + price > budget:
                    break
                with nullcontext() if flat is None else flat.kept():
                    estimate = estimator(cost, point, evaluations=evaluations, key=step, state=state, errors=False)
                with HeldSignals(file is not None):
                    moving = True
                    state, gradient = estimate.state, moved.parts(estimate.gradient)
                    for name, leaf in leaves.items():
                        leaf.grad = gradient[name]
                    stepper.step()
                    trace.at = moved.reached(leaves)
                    trace.evaluations.append(cost.evaluated - before)
                    trace.values.append(math.nan if estimate.value is None else float(estimate.value.mean()))
                    if watch is not None:
                        trace.watched.append(math.nan)  # until it has said what
                    moving = False
                if watch is not None:
                    trace.watched[-1] = float(watch(trace.at))
                if time.monotonic() - written >= checkpoint_every:
                    save()
                    written = time.monotonic()
    except (Exception, KeyboardInterrupt, SystemExit) as error:
        paid = cost.evaluated - before
        if paid and not moving:
            save()
        more = paid - (trace.evaluations[-1] if len(trace) else 0)
        error.trace = trace  # type: ignore[attr-defined]
        error.add_note(
            f"minimize: {len(trace)} steps were done; they are this exception's attribute `trace`"
            + (f"; {more} evaluations of the next one were asked for, and count as spent, made or not" if more else "")
        )
        raise
    if not len(trace):
        gone = f", of which {spent} are spent" if spent else ""
        raise ValueError(f"minimize: budget must pay for one step of {price} evaluations, got {budget}{gone}")
    save()
    if (again := cost.repeated - repeated) and spent - again + price <= budget:
        warn(
            f"minimize: the budget of {budget} also paid for lost evaluations that were made again, {again} of them: "
            f"it ends after {len(trace)} steps, earlier than without a loss",
            RuntimeWarning,
        )
    return trace


@dataclass
class _Checkpoint:
    """The file that a minimisation goes on from, and what is written to it and taken over from it."""

    path: Path
    arguments: dict[str, Any]
    leaves: dict[str, Tensor]
    stepper: torch.optim.Optimizer
    trace: Trace

    def write(self, state: object, spent: int) -> None:
        """Write all that `minimize` goes on from; `spent` counts a step that was interrupted, too."""
        learned = {"leaves": dict(self.leaves), "optimizer": self.stepper.state_dict(), "state": state}
        reached = {name: getattr(self.trace, name) for name in ("evaluations", "values", "watched")} | {"spent": spent}
        write_checkpoint("minimize", self.path, {"arguments": self.arguments, **as_plain({**learned, **reached})})

    def read(self) -> tuple[Any, int]:
        """Take over what `write` wrote; return the estimator's state, and what was spent."""
        content, wanted, trace = read_checkpoint(self.path), self.arguments, self.trace
        there = content.get("arguments")
        if not isinstance(there, dict) or there != wanted:
            names = [name for name in wanted if not isinstance(there, dict) or there.get(name) != wanted[name]]
            raise ValueError(
                f"minimize: {self.path} holds a run of another {', '.join(names)}: give another checkpoint"
            )
        with torch.no_grad():
            for name, leaf in self.leaves.items():
                leaf.copy_(content["leaves"][name])
        self.stepper.load_state_dict(content["optimizer"])
        trace.evaluations, trace.values = content["evaluations"], content["values"]
        trace.watched = content.get("watched", [])
        return from_plain(content["state"]), content.get("spent", trace.evaluations[-1] if len(trace) else 0)


class _Moved:
    """What `minimize` moves: parameters by name, the vector or distribution they make, and what a trace shows."""

    def __init__(self, at: Tensor | np.ndarray | Distribution | torch.nn.Module, flat: FlatParameters | None):
        self._at, self._flat, self._is_array = at, flat, isinstance(at, np.ndarray)

    def leaves(self, only: tuple[str, ...] | None) -> dict[str, Tensor]:
        """Return what an optimiser steps: the module's own parameters, or copies."""
        at = torch.from_numpy(self._at) if isinstance(self._at, np.ndarray) else self._at
        if isinstance(at, torch.nn.Module):
            assert self._flat is not None  # it is that module's
            named = self._flat.named
        else:
            named = {"at": at} if isinstance(at, Tensor) else at.parameters
        chosen = tuple(named) if only is None else only
        if unknown := [name for name in chosen if name not in named]:
            raise ValueError(f"minimize: only must name parameters among {tuple(named)}, got {unknown[0]!r}")
        if self._flat:
            return {name: named[name] for name in chosen}
        return {name: named[name].detach().clone().requires_grad_() for name in chosen}

    def point(self, leaves: dict[str, Tensor]) -> Tensor | Distribution:
        """Return where an estimator is asked."""
        if self._flat:
            return self._flat.vector
        if isinstance(self._at, Distribution):
            try:
                return self._at.replace(**{name: leaf.detach().clone() for name, leaf in leaves.items()})
            except ValueError as error:
                error.add_note(
                    f"minimize: its steps move {', '.join(leaves)}; take a smaller lr, or only= to move some alone: "
                    f"only=({next(iter(leaves))!r},)"
                )
                raise
        return leaves["at"].detach().clone()

    def parts(self, gradient: Gradient) -> dict[str, Tensor]:
        """Return a gradient there by the names of leaves."""
        if isinstance(gradient, dict):
            return gradient
        return self._flat.split(gradient) if self._flat else {"at": gradient}

    def reached(self, leaves: dict[str, Tensor]) -> Any:
        """Return what has been reached, as the user gave it."""
        if self._flat:
            return self._at
        point = self.point(leaves)
        return point.numpy() if self._is_array and isinstance(point, Tensor) else point
