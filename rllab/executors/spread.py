"""Spread: a function of rows, with as many inputs and outputs as it likes, applied by an executor chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from rllab.batches import as_numbers, brief
from rllab.executors.calls import Call
from rllab.executors.dispatch import Dispatcher
from rllab.executors.jobs import Job


class Spread:
    """Apply a function elsewhere to inputs (n, …), and return its outputs (n, …) in the order of the rows.

    Args:
        function: of rows, or, if not `batched`, of one row at a time; its last input is a seed, if `seeded`.
        dispatcher: who has it evaluated.
        charge: is told how many rows are evaluated again, before they are.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        dispatcher: Dispatcher,
        *,
        batched: bool,
        seeded: bool,
        charge: Callable[[int], None],
    ):
        self._dispatcher, self._charge = dispatcher, charge
        self._call = Call(partial(_outputs, function, batched, seeded), apart=not batched)

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs.

        Raises:
            ValueError: there are no rows, and the function takes one at a time.
            EvaluationLost: a row was lost too often.
            Exception: what the function raised, with the row as a note.
        """
        if not len(inputs[0]):
            if self._call.apart:
                raise ValueError(
                    "a function of single rows (batched=False) does not say what it returns for 0 rows; leave empty "
                    "batches out"
                )
            return self._call.function(*inputs)
        job = Job(self._call, inputs, lambda i: f"row {i} of inputs {brief(inputs[0][i].reshape(-1))}", self._charge)
        self._dispatcher.begin(job)
        return self._dispatcher.wait(job)


def _outputs(function: Callable[..., Any], batched: bool, seeded: bool, *inputs: Tensor) -> tuple[Tensor, ...]:
    with torch.no_grad():
        if batched:
            y = function(*inputs)
            return tuple(as_numbers(t) for t in y) if isinstance(y, tuple) else (as_numbers(y),)
        row: list[Any] = [x[0] for x in inputs]
        if seeded:
            row[-1] = int(row[-1])
        y = function(*row)
        return tuple(as_numbers(t)[None] for t in (y if isinstance(y, tuple) else (y,)))
