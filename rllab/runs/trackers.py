"""Trackers: a run's rows shown by TensorBoard, W&B or trackio as well; the record on disk stays what counts."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rllab.text import error_stream, printable

if TYPE_CHECKING:
    from rllab.runs.record import Record

PROJECT = "rllab"


class Tracker(Protocol):
    """What shows rows as they are recorded."""

    def log(self, row: Mapping[str, float], step: int) -> None:
        """Show the numbers of a row, which stand after so many steps, evaluations or rows."""
        ...

    def finish(self) -> None:
        """Say that no more rows will come."""
        ...


class TensorBoard:
    """Write event files to the folder `tensorboard` beside the rows; a run that goes on takes back what it repeats."""

    def __init__(self, record: Record):
        self._folder, self._writer = record.folder / "tensorboard", None

    def log(self, row: Mapping[str, float], step: int) -> None:
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(self._folder), purge_step=step)
        for name, value in row.items():
            self._writer.add_scalar(name, value, step)

    def finish(self) -> None:
        if self._writer is not None:
            self._writer.close()


class WandB:
    """Log to W&B in its offline mode, unless WANDB_MODE says otherwise; `wandb sync` uploads what is there."""

    def __init__(self, record: Record):
        wandb: Any = import_module("wandb")
        place, mode = record.folder.absolute(), os.environ.get("WANDB_MODE", "offline")
        about = {"project": PROJECT, "name": _name(record), "group": place.parent.name, "config": _config(record)}
        self._run, self._step = wandb.init(**about, dir=str(place), mode=mode, reinit=True), -1

    def log(self, row: Mapping[str, float], step: int) -> None:
        """See `Tracker`; a row that does not come after the last one stands a step after it."""
        # W&B drops what is logged at an earlier step than the last, and joins what is logged at the same one
        self._step = max(step, self._step + 1)
        self._run.log(dict(row), step=self._step)

    def finish(self) -> None:
        self._run.finish()


class Trackio:
    """Log to trackio's local store, by default in the folder `trackio` beside those of the runs."""

    def __init__(self, record: Record):
        os.environ.setdefault("TRACKIO_DIR", str(record.folder.absolute().parent / "trackio"))  # read when it loads
        trackio: Any = import_module("trackio")
        quiet: dict[str, Any] = {"auto_log_gpu": False, "auto_log_cpu": False, "embed": False}
        with redirect_stdout(error_stream()):  # what it says is no result of the command
            self._run = trackio.init(PROJECT, _name(record), resume="allow", config=_config(record), **quiet)
        self._finish = trackio.finish

    def log(self, row: Mapping[str, float], step: int) -> None:
        self._run.log(dict(row), step=step)

    def finish(self) -> None:
        with redirect_stdout(error_stream()):
            self._finish()


TRACKERS: dict[str, Callable[[Record], Tracker]] = {"tensorboard": TensorBoard, "wandb": WandB, "trackio": Trackio}
COUNTS = ("steps", "evaluations")  # columns whose number a row stands at; where there is none, the row's own


class Tracking:
    """Feed a tracker the rows of a record; if it fails, whatever the reason, say so once and go on without it.

    Args:
        name: one of `TRACKERS`.
        record: of the run.

    Raises:
        ValueError: there is no such tracker.
    """

    def __init__(self, name: str, record: Record):
        check_tracker(name)
        self._name, self._where, self._rows = name, record.folder, 0
        self._tracker: Tracker | None = None
        self._try(lambda: setattr(self, "_tracker", TRACKERS[name](record)))

    def log(self, row: Mapping[str, Any]) -> None:
        """Show the finite numbers of a row."""
        at = next((row[name] for name in COUNTS if isinstance(row.get(name), int)), self._rows)
        self._rows += 1
        numbers = {n: float(v) for n, v in row.items() if isinstance(v, int | float) and math.isfinite(v)}
        if self._tracker is not None:
            self._try(lambda: self._tracker and self._tracker.log(numbers, at))

    def finish(self) -> None:
        """End tracking."""
        if self._tracker is not None:
            self._try(lambda: self._tracker and self._tracker.finish())
        self._tracker = None

    def _try(self, action: Callable[[], object]) -> None:
        try:
            action()
        except Exception as error:  # a lost connection, a full disk, a package of another version: none is the run's
            self._tracker = None
            why = str(error) or type(error).__name__
            if isinstance(error, ImportError):
                why = f"it is not installed: pip install '.[{self._name}]'"
            text = f"{self._where}: tracking by {self._name} ended: {why}; the run goes on, its rows are in rows.jsonl"
            print(printable(text), file=error_stream(), flush=True)


def check_tracker(name: str | None) -> None:
    """Raise a ValueError if there is no tracker of that name; None is no tracker."""
    if name is not None and name not in TRACKERS:
        raise ValueError(f"track: must be one of {', '.join(TRACKERS)}, got {name!r}")


def _name(record: Record) -> str:
    place = Path(record.folder).absolute()
    return f"{place.parent.name}/{place.name}"


def _config(record: Record) -> dict[str, Any]:
    return {**record.config, "seed": record.seed}
