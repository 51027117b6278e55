"""Processes: environments that take long for a step, spread over worker processes."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

import numpy as np
from gymnasium.vector.utils import CloudpickleWrapper

from rllab.agents.environments import SingleEnvironments
from rllab.agents.making import Maker
from rllab.children import begin_as_child, cores, portable, start_child
from rllab.warned import warn

PATIENCE = 5.0  # seconds for a worker to leave by itself
SILENCE = 60.0  # seconds without an answer until that is said


class ProcessEnvironments:
    """n single environments in worker processes; the same numbers as `SingleEnvironments`, bit for bit.

    It pays where a step takes longer than what a round of messages costs, some 100 µs. Workers are started by
    "spawn": a script that uses them keeps its work under `if __name__ == "__main__":`.

    Args:
        make: of each; a lambda is welcome.
        n: environments.
        workers: processes; None is one a core, at most n.

    Raises:
        ValueError: on `reset` and `step`, as `Environment`; an error of an environment comes as it is.
        RuntimeError: a worker has died; in the name of `make.who`. One that does not answer is waited for, with a
            warning after a minute: whether a step hangs or only takes long, nobody can tell.
    """

    def __init__(self, make: Maker, n: int, workers: int | None = None):
        count = min(n, workers or cores())
        self._who, self._worker = make.who, np.sort(np.arange(n) % count)  # which worker has environment i
        self._first = np.searchsorted(self._worker, np.arange(count))  # the first environment of each
        sent, shares = CloudpickleWrapper(make), np.bincount(self._worker).tolist()
        self._workers = [start_child(partial(_serve, sent, share), daemon=True) for share in shares]
        self._taken, self._owed = [0] * count, [0] * count  # steps, and answers that are still to come
        self._leave = weakref.finalize(self, _end, self._workers)

    @property
    def num_envs(self) -> int:
        return len(self._worker)

    @property
    def taken(self) -> int:
        return sum(self._taken)

    def close(self) -> None:
        """Let the workers go."""
        self._leave()

    def reset(self, seeds: Sequence[int], which: np.ndarray | None = None) -> np.ndarray:
        """Begin an episode in environments `which` (m,), or in all, under a seed each; return observations (m, o)."""
        (observations,) = self._ask("reset", np.array(seeds), np.arange(self.num_envs) if which is None else which)
        return observations

    def step(self, actions: np.ndarray, live: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Take actions (m, …) in environments `live` (m,); return observations, rewards, terminated and truncated."""
        observations, rewards, terminated, truncated = self._ask("step", actions, live)
        return observations, rewards, terminated, truncated

    def _ask(self, what: str, values: np.ndarray, which: np.ndarray) -> tuple[np.ndarray, ...]:
        """Let every worker do its share, all at once; return what they answer, in the order of `which`."""
        owner = self._worker[which]
        asked = np.unique(owner)
        for k in asked:
            mine = owner == k
            self._tell(k, (what, values[mine], which[mine] - self._first[k]))
        answers, errors = [], []
        for k in asked:  # all of them, so that no answer is left for the next question
            answer, error, self._taken[k] = self._hear(k)
            answers.append(answer)
            if error is not None:
                errors.append(error)
        if errors:
            raise errors[0]
        back = np.argsort(np.concatenate([np.flatnonzero(owner == k) for k in asked]))
        return tuple(np.concatenate(column)[back] for column in zip(*answers, strict=True))

    def _tell(self, k: int, message: tuple[object, ...]) -> None:
        try:
            self._workers[k][0].send(message)
        except OSError as error:
            raise self._lost(k) from error
        self._owed[k] += 1

    def _hear(self, k: int) -> Any:
        try:
            while True:
                if not self._workers[k][0].poll(SILENCE):
                    warn(
                        f"{self._who}: worker process {k} of the environments has not answered for {SILENCE:g} s; it "
                        "is waited for",
                    )
                answer = self._workers[k][0].recv()
                self._owed[k] -= 1
                if not self._owed[k]:  # else it is to an earlier question, which Ctrl-C has cut short
                    return answer
        except (EOFError, OSError) as error:
            raise self._lost(k) from error

    def _lost(self, k: int) -> RuntimeError:
        process = self._workers[k][1]
        process.join(PATIENCE)
        code = process.exitcode
        return RuntimeError(f"{self._who}: worker process {k} of the environments has ended, exit code {code}")


def _serve(make: CloudpickleWrapper, n: int, pipe: Connection) -> None:
    """Answer "reset" and "step" until the other end is closed: (arrays, error, steps taken so far)."""
    begin_as_child()
    environments, failed = None, None
    try:
        environments = SingleEnvironments(make.fn, n)  # pyright: ignore[reportArgumentType] - the wrapper holds a Maker
    except Exception as error:
        failed = portable(error)
    while True:
        try:
            what, values, which = pipe.recv()
        except EOFError:
            return
        answer, error = None, failed
        if environments is not None:
            try:
                if what == "reset":
                    answer = (environments.reset(values.tolist(), which),)
                else:
                    answer = environments.step(values, which)
            except Exception as raised:
                error = portable(raised)
        pipe.send((answer, error, 0 if environments is None else environments.taken))


def _end(workers: list[tuple[Connection, SpawnProcess]]) -> None:
    for pipe, _ in workers:
        pipe.close()
    for _, process in workers:
        process.join(PATIENCE)
        if process.is_alive():  # it hangs within a step
            process.kill()
            process.join()
