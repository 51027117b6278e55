"""Backends: what steps many bicycles at once, chosen by a name."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..batched import Batch, TaskBatch
from ..task import Task
from .parameters import Parameters
from .task import balance_task

BACKENDS = ("numpy", "numpy32", "numba")


def check_backend(who: str, backend: str, delay: int = 0, render_mode: str | None = None) -> None:
    """Raise ValueError unless `backend` is one of `BACKENDS` and does what is asked; `who` names the caller."""
    if backend not in BACKENDS:
        raise ValueError(f"{who}: backend must be one of {', '.join(map(repr, BACKENDS))}, got {backend!r}")
    if backend != "numpy" and delay:
        raise ValueError(f"{who}: backend must be 'numpy' with a delay, got {backend!r} and delay={delay!r}")
    if backend == "numba" and render_mode is not None:
        raise ValueError(f"{who}: backend must be 'numpy' or 'numpy32' with a render_mode, got 'numba'")


def task_and_batch(
    backend: str,
    rates: bool,
    delay: int,
    variant: str,
    noise: bool,
    cap: int | None,
    reward: str,
    parameters: Parameters,
) -> tuple[Task, Callable[[str, Any, int, Any, str | None], Batch]]:
    """Return the balance task, and what makes the batch that steps it under a backend, which was checked."""
    task = balance_task(rates, delay, variant, noise, cap, reward, parameters, backend == "numpy32")
    return task, _compiled if backend == "numba" else TaskBatch


def _compiled(who: str, task: Any, num_envs: int, dtype: Any, render_mode: str | None) -> Batch:
    TaskBatch(who, task, 1, dtype, render_mode)  # which checks the arguments
    with needs_numba(who):
        from .compiled import CompiledBatch
    return CompiledBatch(who, task, num_envs, np.dtype(dtype))


@contextmanager
def needs_numba(who: str) -> Iterator[None]:
    """Say what to install where an import within fails for want of numba; `who` names the caller."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in ("numba", "llvmlite"):
            raise
        message = f"{who}: backend='numba' needs numba: pip install '.[numba]'"
        raise ModuleNotFoundError(message, name=error.name) from error
