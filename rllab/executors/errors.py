"""What goes wrong between a cost and those who evaluate it elsewhere."""

from __future__ import annotations


class ExecutorError(RuntimeError):
    """An evaluation failed for where it was made, not for what the function did."""


class WorkerLost(ExecutorError):
    """A worker died at what it was given, or had to be killed since it took too long.

    Example:
        from rllab.executors import Workers, WorkerLost

        if __name__ == "__main__":
            import os

            with Workers(1) as workers:
                error = workers.submit(os._exit, 3).exception()  # a WorkerLost
    """


class EvaluationLost(ExecutorError):
    """An evaluation was lost as often as it may be, with its worker or by its time-out.

    A cost with an executor raises it under on_failure="raise".
    """


class NotSendable(ExecutorError, ValueError):
    """A function cannot reach a worker: it cannot be pickled, as a lambda, or the worker cannot import its module."""


class CannotStart(ExecutorError):
    """A worker ended before it was ready to work: of a script without `if __name__ == "__main__":`, say."""


class NotDifferentiable(TypeError):
    """Torch cannot differentiate a function; its cause, if there is one, is what the function raised."""
