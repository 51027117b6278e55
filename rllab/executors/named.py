"""The executor that a flag of the command line names."""

from __future__ import annotations

from rllab.executors.jobs import Executor


def executor_of(named: str) -> Executor | None:
    """Return the executor that a flag names; None for processes of this machine.

    Raises:
        CannotStart: no Ray cluster answers.
        ValueError: it names none.
    """
    if not named:
        return None
    if named.isdecimal():
        return int(named)
    from rllab.executors.ray_executor import RayExecutor

    if named == "ray":
        return RayExecutor()
    if named.startswith("ray://") or named.rpartition(":")[2].isdecimal():
        return RayExecutor(named)
    raise ValueError(f"--executor must be a number of workers, ray, or the address of a Ray cluster, got {named!r}")
