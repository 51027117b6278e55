"""Dispatcher: who has points evaluated by an executor, in chunks, again where they were lost, and in their order."""

from __future__ import annotations

import math
import pickle
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Future
from dataclasses import replace
from numbers import Real
from queue import Empty, SimpleQueue
from typing import Any, Literal

from torch import Tensor

from rllab.checks import as_count, check_positive
from rllab.executors.calls import Answer, unpack
from rllab.executors.errors import CannotStart, EvaluationLost, ExecutorError, NotSendable
from rllab.executors.jobs import Chunk, Executor, Here, Job, Submits
from rllab.executors.ray_executor import RayExecutor
from rllab.executors.workers import Workers
from rllab.warned import warn

WORK = 0.02  # seconds a chunk should take at least: ten times what the slowest executors take for a message
PROBES = 16  # chunks of one point that are under way until it is known how long a point takes
ENDS = (Workers, RayExecutor)  # who end what takes too long, know who was lost, and send a function once
POLL = 0.005  # seconds between looks at futures that are not those of concurrent.futures


class Dispatcher:
    """Have jobs evaluated by an executor; see `Cost` for the other arguments.

    A row that is lost is evaluated again, alone where chunks may be split, until it was lost more than `retries` times.
    It is given up only where it is known that it was this row: our own workers and Ray know what they had; a pool that
    breaks, or from which nothing comes, loses all it was given, and who was lost too often is then evaluated with
    nothing else under way.

    Args:
        executor: a number of own workers, something with `submit`, a factory of it, or None for this process.
        who: gives it work, for errors.

    Raises:
        TypeError, ValueError: an argument is not what `Cost` says.
    """

    def __init__(
        self,
        executor: Executor | None,
        chunk: int | Literal["auto"] = "auto",
        timeout: float | None = None,
        retries: int = 1,
        who: str = "Cost",
    ):
        self._who = who
        self._size = None if chunk == "auto" else as_count(who, "chunk", chunk)
        self._retries = as_count(who, "retries", retries, least=0)
        if executor is None and self._retries != 1:
            raise ValueError(
                f"{who}: retries needs an executor: nothing is lost in this process, and what the function raises is "
                "never tried again; call it again inside of itself"
            )
        if timeout is not None:
            check_positive(who, timeout=timeout)
            if executor is None:
                raise ValueError(f"{who}: timeout needs an executor: an evaluation in this process cannot be ended")
        self._timeout = timeout
        self._factory: Callable[[], Any] | None = None
        self._executor: Any = None
        self._is_own = isinstance(executor, Real) and not isinstance(executor, bool)
        if executor is None:
            self._executor = Here()
        elif self._is_own:
            self._executor = Workers(as_count(who, "executor", executor))
        elif isinstance(executor, Submits) and not isinstance(executor, type):
            self._executor = executor
        elif callable(executor):
            self._factory = executor
        else:
            raise TypeError(
                f"{who}: executor must be a number of workers, something with submit(function, *arguments), or a "
                f"function without arguments that makes one, got {executor!r:.80}"
            )
        self._waiting: deque[Chunk] = deque()
        self._flying: dict[Any, Chunk] = {}
        self._done: SimpleQueue[Future[Any]] = SimpleQueue()  # told by futures, so that nobody has to ask thousands
        self._measured = [0, 0.0]  # rows, and the seconds they took
        self._heard = 0.0  # when something was submitted to an idle executor, or last came back

    @property
    def is_here(self) -> bool:
        """Whether points are evaluated in this process, chunk by chunk."""
        return isinstance(self._executor, Here)

    def begin(self, job: Job) -> None:
        """Have a job evaluated, as far as the executor takes it now."""
        self._waiting.append(Chunk(job, 0, job.n))
        self._watched(self._fill)

    def wait(self, job: Job) -> tuple[Tensor, ...]:
        """Return the answers to a job, in the order of its rows.

        Raises:
            EvaluationLost: a row was lost too often, and no number stands for it.
            NotSendable, CannotStart: the function cannot reach a worker, or no worker can be started.
            Exception: what the function raised, with what it was evaluating as a note.
        """
        self._watched(lambda: self._until_done(job))
        if job.error is not None:
            self.abandon()
            raise job.error
        return job.joined()

    def abandon(self, kill: bool = False) -> None:
        """Forget all jobs; what has not begun is cancelled, and what has is killed if that is wanted and can be."""
        for chunk in [*self._flying.values(), *self._waiting]:
            chunk.job.error = chunk.job.error or ExecutorError(
                f"{self._who}: another evaluation failed before this one was done"
            )
        for future in self._flying:
            future.cancel()
        self._flying.clear()
        self._waiting.clear()
        self._done = SimpleQueue()
        if kill and isinstance(self._executor, ENDS):
            self._executor.kill()

    def close(self) -> None:
        """Forget all jobs, and end own workers, or the executor that a factory has made."""
        self.abandon()
        if self._is_own:
            self._executor.close()
        self._replace()

    def _watched(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            self.abandon(kill=not isinstance(error, Exception))  # Ctrl-C
            raise

    def _until_done(self, job: Job) -> None:
        while job.left and job.error is None:
            self._fill()
            if landed := self._landed():
                self._heard = time.monotonic()
                for future in landed:
                    if future in self._flying:
                        self._take(future, self._flying.pop(future))
            else:
                self._stalled()

    def _fill(self) -> None:
        """Submit what may be submitted."""
        while self._waiting and self._may_submit(self._waiting[0]):
            self._submit(self._cut())

    def _may_submit(self, chunk: Chunk) -> bool:
        if not isinstance(self._executor, ENDS):
            first = next(iter(self._flying.values()), None)
            if first is not None and (self._suspect(chunk) or self._suspect(first)):
                return False
        known = self._size is not None or chunk.job.whole or self._measured[0]
        return bool(known) or len(self._flying) < PROBES

    def _suspect(self, chunk: Chunk) -> bool:
        return chunk.losses > self._retries

    def _cut(self) -> Chunk:
        """Take the next chunk from what waits."""
        rest = self._waiting[0]
        rows = min(self._rows(rest), rest.rows)
        if rows == rest.rows:
            return self._waiting.popleft()
        self._waiting[0] = replace(rest, start=rest.start + rows)
        return replace(rest, stop=rest.start + rows)

    def _rows(self, chunk: Chunk) -> int:
        rows, seconds = self._measured
        if chunk.job.whole:
            return chunk.rows
        if self._size is not None:
            return self._size
        if chunk.losses or not rows:
            return 1
        share = math.ceil(chunk.job.n / self._executor.count) if isinstance(self._executor, ENDS) else chunk.rows
        return min(share, math.ceil(WORK * rows / max(seconds, 1e-9)))

    def _submit(self, chunk: Chunk) -> None:
        job = chunk.job
        if chunk.losses:
            job.charge(chunk.rows)
            job.again.update(range(chunk.start, chunk.stop))
        if not self._flying:
            self._heard = time.monotonic()
        executor = self._made()
        call, packed = job.message(chunk.start, chunk.stop, known=isinstance(executor, ENDS))
        try:
            if isinstance(executor, ENDS):
                future = executor.submit(call, *packed, timeout=self._limit(chunk))
            else:
                future = executor.submit(call, *packed)
        except BrokenExecutor as error:
            self._broken([chunk], error)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise self._not_sendable(error) from error
        else:
            self._flying[future] = chunk
            if isinstance(future, Future):
                future.add_done_callback(self._done.put)

    def _made(self) -> Any:
        if self._executor is None:
            assert self._factory is not None
            self._executor = self._factory()
            if not isinstance(self._executor, Submits):
                raise TypeError(f"{self._who}: executor must make something with submit, got {self._executor!r:.80}")
        return self._executor

    def _limit(self, chunk: Chunk) -> float | None:
        """Return how long a chunk may take: a fixed one has the time-out for each row, another for all of them."""
        if self._timeout is None:
            return None
        return self._timeout * (chunk.rows if self._size is not None or chunk.job.whole else 1)

    def _landed(self) -> list[Any]:
        """Wait for futures that are done; return none if the executor has said nothing for too long."""
        end = math.inf
        if self._timeout is not None and not isinstance(self._executor, ENDS):
            end = self._heard + max(self._limit(chunk) or 0.0 for chunk in self._flying.values())
        told = isinstance(next(iter(self._flying)), Future)
        while True:
            left = max(end - time.monotonic(), 0.0)
            if told:
                done = self._told(None if left == math.inf else left)
            else:
                done = [future for future in self._flying if future.done()]
                if not done:
                    time.sleep(POLL)
            if done or not left:
                return done

    def _told(self, seconds: float | None) -> list[Any]:
        """Wait for so long until futures under way say that they are done."""
        try:
            done = [self._done.get(timeout=seconds)]
            while not self._done.empty():
                done.append(self._done.get())
        except Empty:
            return []
        return [future for future in done if future in self._flying]  # others were forgotten meanwhile

    def _take(self, future: Any, chunk: Chunk) -> None:
        try:
            answer = future.result()
        except BrokenExecutor as error:
            self._broken([chunk], error)
        except (NotSendable, CannotStart):
            raise
        except (pickle.PicklingError, AttributeError, TypeError) as error:  # the function's own ones are in answers
            raise self._not_sendable(error) from error
        except Exception as error:
            self._lost(chunk, error, sure=True)
        else:
            self._keep(chunk, answer)

    def _keep(self, chunk: Chunk, answer: Answer) -> None:
        job = chunk.job
        if answer.error is not None:
            if job.error is None:
                row = chunk.start + (answer.row or 0)
                more = f", or one of the {chunk.rows - 1} after it" if answer.row is None and chunk.rows > 1 else ""
                answer.error.add_note(f"{self._who}: this came up at {job.name(row)}{more}")
                if answer.error.__traceback__ is None:  # it comes from another process
                    answer.error.__cause__ = WorkerTraceback(answer.trace)
                job.error = answer.error
            return
        self._measured[0] += chunk.rows
        self._measured[1] += answer.seconds
        parts = [unpack(part) for part in answer.parts]
        job.keep(chunk.start, chunk.rows, tuple(part for part in parts if part is not None))

    def _broken(self, lost: list[Chunk], error: BaseException) -> None:
        """Take what is left of an executor that broke: all it was given fails."""
        for future, chunk in list(self._flying.items()):
            del self._flying[future]
            try:
                self._keep(chunk, future.result())
            except Exception:
                lost.append(chunk)
        if self._factory is None:
            raise ExecutorError(
                f"{self._who}: executor is broken ({error}); give a function that makes one, such as "
                "executor=lambda: ProcessPoolExecutor(2), or a number of own workers"
            ) from error
        self._replace()
        for chunk in reversed(lost):
            self._lost(chunk, error, sure=len(lost) == 1)

    def _stalled(self) -> None:
        """Give up what is under way, since nothing has come for as long as the slowest of it may take."""
        why = f"nothing came within {self._timeout:g} s"
        warn(
            f"{self._who}: {why}; the executor cannot end what it does: its worker is lost until then, and a late "
            "result will be discarded",
            RuntimeWarning,
        )
        begun = []
        for future, chunk in reversed(self._flying.items()):
            if future.cancel():
                self._waiting.appendleft(chunk)
            else:
                begun.insert(0, chunk)
        self._flying.clear()
        if self._factory is not None:
            self._replace()
        else:
            self._ask_for_a_worker()
        for chunk in reversed(begun):
            self._lost(chunk, TimeoutError(why), sure=len(begun) == 1)

    def _ask_for_a_worker(self) -> None:
        assert self._timeout is not None
        end, future = time.monotonic() + self._timeout, self._executor.submit(int)
        while not future.done():
            if time.monotonic() > end:
                raise ExecutorError(
                    f"{self._who}: no worker of executor answers: all of them hang; give a number of own workers, "
                    "which are replaced, or a function that makes an executor"
                )
            time.sleep(POLL)

    def _replace(self) -> None:
        """Let the executor that a factory has made go; the next one is made when it is needed."""
        if self._factory is not None and self._executor is not None:
            old, self._executor = self._executor, None
            old.shutdown(wait=False)

    def _lost(self, chunk: Chunk, error: BaseException, sure: bool) -> None:
        """Have a chunk evaluated again, or give it up: `sure` says whether it is known that it was this one."""
        job, losses = chunk.job, chunk.losses + 1
        fixed = self._size is not None or job.whole or chunk.rows == 1
        if not (sure and fixed and losses > self._retries):
            pieces = [(chunk.start, chunk.stop)] if fixed else [(i, i + 1) for i in range(chunk.start, chunk.stop)]
            self._waiting.extendleft(Chunk(job, a, b, losses) for a, b in reversed(pieces))
        elif job.scored is not None:
            job.score(chunk.start, chunk.rows)
        elif job.error is None:
            instead = "; on_failure=<number> scores such points instead" if self._who == "Cost" else ""
            job.error = EvaluationLost(
                f"{self._who}: {job.name(chunk.start)} was lost in each of {losses} attempts: {error}{instead}"
            )
            job.error.__cause__ = error

    def _not_sendable(self, error: BaseException) -> NotSendable:
        return NotSendable(
            f"{self._who}: function cannot be sent to a worker ({error}); a lambda, or a function inside another, "
            "cannot: define it at the top level of a module, with functools.partial for what it needs to know"
        )


class WorkerTraceback(Exception):
    """Show where in a worker an error came up, as the cause of that error here."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"
