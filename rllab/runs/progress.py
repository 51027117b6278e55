"""Progress of a sweep, read from the records on disk: a bar on a terminal, elsewhere a plain line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from threading import Event, Lock, Thread
from typing import TextIO

from rllab.runs.job import Job
from rllab.runs.record import Record
from rllab.runs.rows import Row, last_row
from rllab.text import error_stream, printable

SECONDS_PER_LINE = 10.0
SECONDS_PER_REFRESH = 0.5  # of the bar


class Progress:
    """Say how far a sweep is while its block runs, from a thread of its own.

    Args:
        done: runs that were finished before.
        total: all runs.
        describe: what to say of a run that finished.
        stream: where to; by default standard error.
    """

    def __init__(
        self,
        folder: Path,
        done: int,
        total: int,
        *,
        describe: Callable[[Record], str] | None = None,
        stream: TextIO | None = None,
        seconds_per_line: float = SECONDS_PER_LINE,
    ):
        self.folder, self.done, self.total, self.describe = folder, done, total, describe
        self.running: dict[str, int | None] = {}  # names of runs, and how many steps they are to take if they say so
        self._stream = stream or error_stream()
        self._start, self._bar = time.monotonic(), None
        self._waiting, self._over = total - done, 0  # at the start, and of those what has ended, well or not
        self._period = seconds_per_line
        self._stop, self._lock = Event(), Lock()
        if self._stream.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=total, initial=done, unit="run", file=self._stream)
            self._period = SECONDS_PER_REFRESH
        self._thread = Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Progress:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._show()
        if self._bar is not None:
            self._bar.close()

    def started(self, job: Job) -> None:
        with self._lock:
            steps = job.config.get("steps")
            self.running[job.name] = steps if type(steps) is int and steps > 0 else None

    def ended(self, job: Job, error: str | None) -> None:
        with self._lock:
            del self.running[job.name]
            self.done += error is None
            self._over += 1
        if error is not None:
            self._say(f"{job.name} failed: {error}")
        elif self.describe is not None:
            try:
                record = Record.open(self.folder / job.name)
                self._say(f"{job.name}: {self.describe(record)}")
            except Exception as wrong:  # no reason to end the runs that are under way
                self._say(f"{job.name}: describe raised {wrong!r}")

    def line(self) -> str:
        """Return finished and all runs, the time since the start and that which is left, and how far each one is."""
        with self._lock:
            rows = {name: self._last_row(name) for name in self.running}
            elapsed = time.monotonic() - self._start
            begun = self._over + sum(self._share(name, row) for name, row in rows.items())
            times = f"{timedelta(seconds=int(elapsed))} elapsed"
            if begun > 0:
                left = elapsed * (self._waiting - begun) / begun
                times += f", about {timedelta(seconds=round(left))} left"
            running = [_how_far(name, row) for name, row in rows.items()]
            return "; ".join([f"{self.done}/{self.total} runs finished, {times}", *running])

    def _last_row(self, name: str) -> Row:
        try:
            return last_row(self.folder / name) or {}
        except (OSError, ValueError):  # a folder that is gone, or a damaged row: the run says so itself
            return {}

    def _share(self, name: str, row: Row) -> float:
        """Return how much of a run is done, as far as it says what it is to take."""
        steps, wanted = row.get("steps"), self.running[name]
        return min(steps / wanted, 1.0) if wanted and isinstance(steps, int) else 0.0

    def _watch(self) -> None:
        while not self._stop.wait(self._period):
            self._show()

    def _show(self) -> None:
        if self._bar is None:
            self._say(self.line())
        else:
            self._bar.n = self.done
            self._bar.set_postfix_str(self.line().partition("; ")[2])

    def _say(self, text: str) -> None:
        text = printable(text)
        if self._bar is None:
            print(text, file=self._stream, flush=True)
        else:
            self._bar.write(text, file=self._stream)


def _how_far(name: str, row: Row) -> str:
    counts = [f"{row[what]:,} {what}" for what in ("steps", "evaluations") if isinstance(row.get(what), int)]
    return f"{name} at {counts[0]}" if counts else f"{name} running"
