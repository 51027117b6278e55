"""Elsewhere: how a cost has its function evaluated by an executor."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from rllab.batches import brief
from rllab.checks import check_finite
from rllab.executors.calls import Call, Recipe
from rllab.executors.dispatch import Dispatcher
from rllab.executors.function import Function, What
from rllab.executors.jobs import Job


class Elsewhere:
    """Make jobs of a cost's points, and tensors of what comes back.

    Args:
        dispatcher: who has them evaluated.
        on_failure: "raise", or the number that stands for a cost that is lost.

    Attributes:
        lost: for how many evaluations that number stands so far.

    Raises:
        TypeError, ValueError: `on_failure` is neither "raise" nor a finite number, or the dispatcher has no executor.
    """

    def __init__(self, dispatcher: Dispatcher, on_failure: Literal["raise"] | float):
        if on_failure != "raise":
            check_finite("Cost", on_failure=on_failure)
            if dispatcher.is_here:
                raise ValueError(
                    "Cost: on_failure needs an executor: nothing is lost in this process; nonfinite= stands for a NaN, "
                    "and an error of the function can be caught inside of it"
                )
        self._dispatcher, self._on_failure = dispatcher, on_failure
        self.lost = 0
        self._remade: tuple[Recipe | None, What, Call | None] = None, "values", None
        self.abandon, self.close = dispatcher.abandon, dispatcher.close

    def begin(
        self,
        function: Function,
        what: What,
        points: Tensor,
        tangents: Tensor | None,
        seeds: Tensor | None,
        first: int,
        charge: Callable[[int], None] | None,
        recipe: tuple[Recipe, int] | None = None,
    ) -> Callable[[], tuple[Tensor, ...]]:
        """Have points evaluated; return a function that waits for `function.answer(what, points, tangents, seeds)`.

        Args:
            first: the number of the first of these evaluations, for errors.
            charge: is told how many are made again, before they are; None for a look at the function: all points are
                one chunk then, and what is lost is an error.
            recipe: makes the points, and of which block.
        """
        job = Job(
            Call(partial(function.answer, what), apart=not function.batched),
            (points, tangents, seeds if function.seeded else None),
            name=lambda i: f"evaluation {first + i} at point {brief(points[i])}",
            charge=charge or _free,
            whole=charge is None,
        )
        if recipe is not None and not self._dispatcher.is_here:
            job.remade = self._call_by(recipe[0], function, what), recipe[1]
        if charge is not None and what in ("values", "complex") and self._on_failure != "raise":
            job.scored = torch.tensor([self._on_failure], dtype=torch.float64)  # no cost is narrower than it came
        self._dispatcher.begin(job)
        return partial(self._wait, job)

    def _call_by(self, recipe: Recipe, function: Function, what: What) -> Call:
        """Return the call of a recipe, the same for all its blocks, so that executors which can send it once."""
        held, of, call = self._remade
        if call is None or held is not recipe or of != what:
            call = Call(partial(function.answer, what), not function.batched, recipe)
            self._remade = recipe, what, call
        return call

    def one(self, function: Callable[..., object], point: Tensor | np.ndarray, *seed: int) -> object:
        """Evaluate a function of one point, a tensor or an array, and of a seed if there is one."""
        value = function if isinstance(point, Tensor) else partial(_of_array, function)
        seeds = torch.tensor(seed) if seed else None
        alone = Function(value, batched=False, seeded=bool(seed))
        return self.begin(alone, "values", torch.as_tensor(point)[None], None, seeds, 0, None)()[0][0]

    def _wait(self, job: Job) -> tuple[Tensor, ...]:
        answers = self._dispatcher.wait(job)
        self.lost += job.lost
        return answers


def _of_array(function: Callable[..., object], point: Tensor, *seed: int) -> object:
    return function(point.numpy(), *seed)


def _free(n: int) -> None:
    """Count nothing: a look at the function is counted as a check."""
