"""Meter: how far a training is: a bar on a terminal, elsewhere a plain line every ten seconds."""

from __future__ import annotations

import time
from datetime import timedelta

from rllab.text import error_stream, printable

SECONDS_PER_LINE = 10.0


class Meter:
    """Show steps taken, the last return and the time left, on standard error; the last that was shown is always said.

    Args:
        steps: all that are to be taken.
    """

    def __init__(self, steps: int):
        self._steps, self._stream = steps, error_stream()
        self._start = self._last = time.monotonic()
        self._shown, self._taken, self._said = "", 0, True
        self._bar = None
        if self._stream.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=steps, unit="step", file=self._stream)

    def __enter__(self) -> Meter:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
        elif not self._said:
            self._say()

    def show(self, taken: int, evaluation: float | None, latest: float | None) -> None:
        """Say that so many steps are taken; `evaluation` and `latest` are mean returns, evaluated and in training."""
        if evaluation is not None:
            self._shown = f"return {evaluation:.4g} evaluated"
        elif latest is not None and not self._shown.endswith("evaluated"):
            self._shown = f"return {latest:.4g} in training"
        if self._bar is not None:
            self._bar.n = taken
            self._bar.set_postfix_str(self._shown)
            return
        self._taken, self._said = taken, False
        if time.monotonic() - self._last >= SECONDS_PER_LINE:
            self._say()

    def _say(self) -> None:
        self._last, self._said = time.monotonic(), True
        print(printable(self.line(self._taken, self._last - self._start)), file=self._stream, flush=True)

    def line(self, taken: int, elapsed: float) -> str:
        """Return the plain line after so many steps and wall seconds."""
        left = timedelta(seconds=round(elapsed * (self._steps - taken) / max(taken, 1)))
        gone = timedelta(seconds=round(elapsed))
        parts = [f"{taken:,} of {self._steps:,} steps", self._shown, f"{gone} elapsed", f"{left} left"]
        return "; ".join(part for part in parts if part)
