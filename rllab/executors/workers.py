"""Workers: processes of our own with an executor's `submit`; one that dies or takes too long is replaced."""

from __future__ import annotations

import atexit
import os
import pickle
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from queue import SimpleQueue
from threading import Thread, current_thread
from typing import Any, NamedTuple

from rllab.checks import as_count
from rllab.children import begin_as_child, how_it_ended, portable, start_child
from rllab.executors.calls import loaded
from rllab.executors.errors import CannotStart, NotSendable, WorkerLost

LOOK = 1.0  # seconds between looks whether a child lives, whose own children may hold its pipe open


class _Task(NamedTuple):
    """What a worker is given: a pickled function, its pickled inputs, and how long it may take."""

    future: Future[Any]
    function: bytes
    inputs: bytes
    timeout: float | None


class Workers:
    """Run functions in processes of one thread each, started by "spawn" when they are first needed.

    A worker that dies, or takes longer than it may, is replaced: what it did is lost, nothing else. The script that
    uses them keeps its work under `if __name__ == "__main__":`. They end when this object is closed or collected, with
    the program, and with its death.

    Args:
        count: how many, >= 1.

    Raises:
        TypeError, ValueError: `count` is not an integer >= 1.

    Example:
        from rllab.executors import Workers

        if __name__ == "__main__":
            with Workers(2) as workers:
                assert workers.submit(sum, [1, 2, 3]).result() == 6
    """

    def __init__(self, count: int):
        self.count = as_count("Workers", "count", count)
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self._slots = [_Slot() for _ in range(self.count)]
        self._threads: list[Thread] = []
        self._last: tuple[object, bytes] = None, b""
        self._end = weakref.finalize(self, _end, self._tasks, self._slots, self._threads)
        self._end.atexit = False
        atexit.register(self._end)  # before multiprocessing waits for its children, which it has registered earlier

    def submit(self, function: Callable[..., Any], /, *inputs: Any, timeout: float | None = None) -> Future[Any]:
        """Run `function(*inputs)` in a worker.

        Args:
            function: can be pickled. It is sent to each worker once, as long as the same object is submitted.
            timeout: seconds it may take once a worker has it; the worker is killed then. None for as long as it takes.

        Returns:
            A future, whose error is that of the function; or a WorkerLost.

        Raises:
            NotSendable: the function or its inputs cannot be pickled.
            RuntimeError: the workers are closed.
        """
        if not self._end.alive:
            raise RuntimeError("Workers: submit needs open workers, these are closed")
        if function is not self._last[0]:
            self._last = function, _pickled(function)
        task = _Task(Future(), self._last[1], _pickled(inputs), timeout)
        if not self._threads:
            self._threads += [Thread(target=_work, args=(self._tasks, slot), daemon=True) for slot in self._slots]
            for thread in self._threads:
                thread.start()
        self._tasks.put(task)
        return task.future

    def kill(self) -> None:
        """Kill the processes, whatever they do; new ones are started when they are needed."""
        for slot in self._slots:
            slot.kill()

    def close(self) -> None:
        """Kill the processes for good."""
        self._end()

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Slot:
    """The place of one worker: its process, if it has one, seen from the thread that looks after it."""

    def __init__(self):
        self.closed, self._owner = False, os.getpid()
        self._child: tuple[Connection, SpawnProcess] | None = None
        self._knows = b""  # the function that the child was sent last

    def do(self, task: _Task) -> Any:
        connection, child = self._ready()
        function = None if task.function == self._knows else task.function
        try:
            connection.send((function, task.inputs))
            self._knows = task.function
            if not self._answers(task.timeout):
                child.kill()
                self._ended()
                raise WorkerLost(f"it took more than {task.timeout:g} s, and its worker was killed")
            fine, value = pickle.loads(connection.recv_bytes())
        except (EOFError, OSError) as error:
            raise WorkerLost(f"its worker ended with {self._ended()}") from error
        if not fine:
            raise value
        return value

    def kill(self) -> None:
        if (held := self._child) is not None and os.getpid() == self._owner:  # not in a fork of it
            with suppress(ValueError):  # its thread has closed it meanwhile
                held[1].kill()

    def leave(self) -> None:
        """Wait for a child that was killed."""
        if self._child is not None:
            self._ended()

    def _ready(self) -> tuple[Connection, SpawnProcess]:
        """Return a child that has said it is ready, a new one where there is none."""
        if self._child is not None and not self._child[1].is_alive():
            self._ended()
        if self._child is None:
            self._knows = b""
            self._child = start_child(_serve)
            if self.closed:  # while it was started
                self.kill()
            try:
                self._answers(None)
                self._child[0].recv_bytes()
            except (EOFError, OSError) as error:
                raise CannotStart(
                    f"Workers: a worker ended with {self._ended()} before it was ready, see its own message; a script "
                    'that uses workers must be a file, and keep its work under `if __name__ == "__main__":`'
                ) from error
        return self._child

    def _answers(self, timeout: float | None) -> bool:
        """Wait until the child says something or ends; return whether it did in time."""
        assert self._child is not None
        connection, child = self._child
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = LOOK if end is None else min(LOOK, max(end - time.monotonic(), 0.0))
            if wait([connection, child.sentinel], left):
                return True
            if not child.is_alive():
                raise EOFError
            if end is not None and time.monotonic() >= end:
                return False

    def _ended(self) -> str:
        """Forget the child, and return how it ended."""
        assert self._child is not None
        (connection, child), self._child = self._child, None
        connection.close()
        return how_it_ended(child)


def _work(tasks: SimpleQueue[_Task | None], slot: _Slot) -> None:
    while (task := tasks.get()) is not None:
        if slot.closed:
            task.future.cancel()
        elif task.future.set_running_or_notify_cancel():
            try:
                value = slot.do(task)
            except BaseException as error:
                task.future.set_exception(error)
            else:
                task.future.set_result(value)
        del task  # and what it holds, while nothing else is to be done
    slot.leave()


def _end(tasks: SimpleQueue[_Task | None], slots: list[_Slot], threads: list[Thread]) -> None:
    for slot in slots:
        slot.closed = True
        slot.kill()
        tasks.put(None)
    for thread in threads:
        if thread is not current_thread():  # which may be the one that collects garbage
            thread.join()


def _pickled(thing: object) -> bytes:
    try:
        return pickle.dumps(thing)
    except Exception as error:  # whatever an object's own way of pickling raises
        raise NotSendable(
            f"Workers: function cannot be sent to a worker ({error}); a lambda, or a function inside another, cannot: "
            "define it at the top level of a module, with functools.partial for what it needs to know"
        ) from error


def _serve(connection: Connection) -> None:
    begin_as_child()
    function: Callable[..., Any] | None = None
    with suppress(EOFError, OSError):  # the parent has gone
        connection.send_bytes(b"ready")
        while True:
            sent, inputs = connection.recv()
            if sent is not None:
                function = loaded(sent)
            try:
                assert function is not None  # the first message brings one
                answer = pickle.dumps((True, function(*pickle.loads(inputs))))
            except Exception as error:
                answer = pickle.dumps((False, portable(error)))
            connection.send_bytes(answer)
